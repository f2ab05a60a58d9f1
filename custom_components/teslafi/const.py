"""Names that several modules of the integration share."""

import logging
from typing import Final

DOMAIN: Final = "teslafi"
LOGGER: Final = logging.getLogger(__package__)

MONITORING: Final = "monitoring"
"""Name of the grant that reads; the controls grant is a later sign-in of its own (docs/security.md)."""

CONF_METHOD: Final = "method"
CONF_REQUESTED_SCOPES: Final = "requested_scopes"
CONF_MONTHLY_BUDGET: Final = "monthly_budget"
