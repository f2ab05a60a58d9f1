"""A strict stand-in for Tesla: sign-in, tokens and Fleet API on one port."""

from .clock import ManualClock
from .simulator import TeslaSimulator

__all__ = ["ManualClock", "TeslaSimulator"]
