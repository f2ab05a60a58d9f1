"""A strict stand-in for Chargebee (Product Catalog 2.0): API v2, hosted checkout, self-serve portal, webhooks."""

from .simulator import ChargebeeSimulator
from .site import Site, Status

__all__ = ["ChargebeeSimulator", "Site", "Status"]
