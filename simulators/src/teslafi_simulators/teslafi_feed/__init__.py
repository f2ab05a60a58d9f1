"""A simulated TeslaFi.com feed: `TeslaFiFeedSimulator`."""

from .simulator import TeslaFiFeedSimulator, recorded

__all__ = ["TeslaFiFeedSimulator", "recorded"]
