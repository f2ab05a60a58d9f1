"""Moments as text, as we and others have kept or sent them."""

from datetime import datetime


def aware_moment(text: object) -> datetime | None:
    """Return the moment that an ISO 8601 text names; None for anything else, and for one that names no zone."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
