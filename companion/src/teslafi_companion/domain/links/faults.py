"""What the authorization server answers when it does not do what it was asked."""

from typing import Final

INVALID_REQUEST: Final = "invalid_request"
INVALID_CLIENT: Final = "invalid_client"
INVALID_GRANT: Final = "invalid_grant"
INVALID_SCOPE: Final = "invalid_scope"
UNSUPPORTED_GRANT_TYPE: Final = "unsupported_grant_type"
UNSUPPORTED_RESPONSE_TYPE: Final = "unsupported_response_type"
ACCESS_DENIED: Final = "access_denied"
AUTHORIZATION_PENDING: Final = "authorization_pending"
SLOW_DOWN: Final = "slow_down"
EXPIRED_TOKEN: Final = "expired_token"  # noqa: S105 - an error's name in RFC 8628
UNMET_AUTHENTICATION: Final = "unmet_authentication_requirements"
SUBSCRIPTION_REQUIRED: Final = "subscription_required"
TEMPORARILY_UNAVAILABLE: Final = "temporarily_unavailable"


class OAuthFault(Exception):
    """A refusal by its registered name, with a sentence for whoever writes the client.

    Raised for malformed requests. Rules whose transaction has to commit all the same (a family ends because its
    token was used twice) return it.
    """

    def __init__(self, error: str, description: str) -> None:
        """Take the error's name (RFC 6749, 8628, 9470) and an ASCII sentence without quotes."""
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
