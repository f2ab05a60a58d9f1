"""Names that several modules of the integration share."""

import logging
from typing import Final

DOMAIN: Final = "teslafi"
LOGGER: Final = logging.getLogger(__package__)

MONITORING: Final = "monitoring"
"""Name of the grant that reads; the controls grant is a later sign-in of its own (docs/security.md)."""

CONTROLS: Final = "controls"
"""Name of the controls grant and the command key, sealed with the companion's key share (docs/security.md)."""

LINK: Final = "link"
"""Name of the tokens of the link to a companion."""

EVENT_COMMAND: Final = "teslafi_command"
"""On Home Assistant's bus: a command that ended, however it ended. `CommandRecord.activity` says what it holds."""
CONF_METHOD: Final = "method"
METHOD_SIGN_IN: Final = "sign_in"
METHOD_TOKEN: Final = "token"  # noqa: S105 - a way to sign in, no secret
CONF_REGION: Final = "region"
REGION_GLOBAL: Final = "global"
REGION_CHINA: Final = "china"
CONF_IMPLEMENTATION: Final = "auth_implementation"
CONF_REQUESTED_SCOPES: Final = "requested_scopes"
CONF_DECLINED_SCOPES: Final = "declined_scopes"
CONF_MONTHLY_BUDGET: Final = "monthly_budget"
CONF_POLLING_MODE: Final = "polling_mode"
"""The owner's choice between detail and cost: a value of polling.pace.Mode."""
CONF_HINTS: Final = "hints"
"""Entities whose changes tell that a drive or charge probably begins or ends."""
CONF_SHOW_TOKENS: Final = "show_tokens"
"""Whether the options also show the tokens' last characters, to tell which ones are in use. Off by default."""
CONF_REGISTRATION: Final = "registration"
"""How TeslaFi registered the application for monitoring at Tesla: client id, domain, public key. Absent otherwise."""
CONF_CLIENT_ID: Final = "client_id"
CONF_DOMAIN: Final = "domain"
CONF_PUBLIC_KEY: Final = "public_key"
"""A public key in PEM; no secret."""
CONF_COMPANION: Final = "companion"
CONF_ADDRESS: Final = "address"
CONF_INSTANCE_ID: Final = "instance_id"
CONF_CONTROLS: Final = "controls"
"""What was enabled: groups, vehicles, whether the application is the monitoring one. Present while controls are on."""
CONF_GROUPS: Final = "groups"
CONF_VEHICLES: Final = "vehicles"
CONF_SAME_APPLICATION: Final = "same_application"
CONF_PAIRING_DOMAIN: Final = "pairing_domain"
CONF_COMMAND_CODE: Final = "command_code"
"""Salted hash of the code that sensitive commands ask for."""
CONF_REPORT_COMMANDS: Final = "report_commands"
"""Whether commands join the companion's audit log. On by default."""
