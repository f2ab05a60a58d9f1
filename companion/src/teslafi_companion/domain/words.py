"""The words of the contract between a linked Home Assistant and the companion.

Made from contract/companion-api.yaml by script/contract; edit that.
"""

from enum import StrEnum
from typing import Final

PRODUCT: Final = "teslafi-companion"
API_VERSION: Final = 1
CLIENT_ID: Final = "home-assistant"
PROBLEM: Final = "urn:teslafi:problem:"


class Scope(StrEnum):
    """What a link may do."""

    ACCOUNT = "account:read"
    LINK = "link:read"
    CONTROLS = "controls"


class Acr(StrEnum):
    """How the owner was recognized when the link was allowed (the `acr` of RFC 9470)."""

    PASSWORD = "urn:teslafi:password"  # noqa: S105 - a name
    SECOND_FACTOR = "urn:teslafi:second-factor"


class TwoFactorMethod(StrEnum):
    """A way to prove the second factor."""

    TOTP = "totp"
    PASSKEY = "passkey"


class SubscriptionReason(StrEnum):
    """Why the subscription gives access or not. More may come; a client goes by `access` for one it does not know."""

    NOT_REQUIRED = "not_required"
    ACTIVE = "active"
    TRIAL = "trial"
    ENDING = "ending"
    PAST_DUE = "past_due"
    UNCERTAIN = "uncertain"
    UNPAID = "unpaid"
    PAUSED = "paused"
    FUTURE = "future"
    NOT_ENTITLED = "not_entitled"
    OTHER_PLAN = "other_plan"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    NONE = "none"


class Group(StrEnum):
    """A group of commands that an owner allows by itself. More may come; ignore one that is unknown."""

    CHARGING = "charging"
    CLIMATE = "climate"
    OPENINGS = "openings"
    SECURITY = "security"
    MEDIA = "media"
    SOFTWARE = "software"
    SCHEDULES = "schedules"
    ENERGY = "energy"


class ProblemType(StrEnum):
    """What went wrong. A type never changes its meaning; more types may come."""

    TOKEN_MISSING = "urn:teslafi:problem:token-missing"  # noqa: S105 - a name
    TOKEN_REFUSED = "urn:teslafi:problem:token-refused"  # noqa: S105 - a name
    STEP_UP_NEEDED = "urn:teslafi:problem:step-up-needed"
    SCOPE_MISSING = "urn:teslafi:problem:scope-missing"
    MALFORMED = "urn:teslafi:problem:malformed"
    CONTROLS_NOT_ALLOWED = "urn:teslafi:problem:controls-not-allowed"
    SECOND_FACTOR_MISSING = "urn:teslafi:problem:second-factor-missing"
    PROOF_OUTDATED = "urn:teslafi:problem:proof-outdated"
    LINK_SUSPICIOUS = "urn:teslafi:problem:link-suspicious"
    SUBSCRIPTION_NEEDED = "urn:teslafi:problem:subscription-needed"
    NOT_FOUND = "urn:teslafi:problem:not-found"
    METHOD_NOT_ALLOWED = "urn:teslafi:problem:method-not-allowed"


class Refusal(StrEnum):
    """Why no permit is given, by the type of its problem."""

    CONTROLS_NOT_ALLOWED = "urn:teslafi:problem:controls-not-allowed"
    SECOND_FACTOR_MISSING = "urn:teslafi:problem:second-factor-missing"
    PROOF_OUTDATED = "urn:teslafi:problem:proof-outdated"
    LINK_SUSPICIOUS = "urn:teslafi:problem:link-suspicious"
    SUBSCRIPTION_NEEDED = "urn:teslafi:problem:subscription-needed"
