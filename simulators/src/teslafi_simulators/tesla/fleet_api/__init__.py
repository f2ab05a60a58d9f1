"""The Fleet API and what is left of the Owner API, read side; commands exist and refuse."""

from .routes import fleet_routes

__all__ = ["fleet_routes"]
