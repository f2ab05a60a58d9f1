"""Chargebee's words for a subscription's status, marked for translation; pages show them with spaces."""

from typing import Final

from teslafi_companion.language import N_

STATUSES: Final = (
    N_("future"),
    N_("in trial"),
    N_("active"),
    N_("non renewing"),
    N_("paused"),
    N_("cancelled"),
    N_("transferred"),
)
"""One that is not listed is shown as it is."""
