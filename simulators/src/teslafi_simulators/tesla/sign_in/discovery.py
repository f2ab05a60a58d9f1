"""What the hosts say about themselves: OpenID configuration and keys for third-party applications."""

from typing import Final

from aiohttp import web

from ..addresses import Region
from ..applications import USER_SCOPES
from ..tokens import ALGORITHM, ISSUER
from .hosts import Host
from .steps import SignInContext

CONFIGURATION: Final = "/oauth2/v3/thirdparty/.well-known/openid-configuration"
KEYS: Final = "/oauth2/v3/discovery/thirdparty/keys"


class Discovery:
    """The documents of one host."""

    def __init__(self, context: SignInContext, host: Host) -> None:
        """Serve `host`."""
        self._context = context
        self._host = host

    async def configuration(self, _request: web.Request) -> web.Response:
        """Return the OpenID configuration (OpenID Connect Discovery 1.0, section 3)."""
        addresses = self._context.addresses()
        region: Region = "cn" if self._host.deployment == "cn" else "na"
        return web.json_response(
            {
                "issuer": f"{ISSUER[self._host.deployment]}/nts",
                "authorization_endpoint": addresses.authorize(region),
                "token_endpoint": addresses.token(region),
                "jwks_uri": f"{addresses.base_url}{self._host.prefix}{KEYS}",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [ALGORITHM],
                "code_challenge_methods_supported": ["S256"],
                # RFC 8414: with this left out, basic would be the one way there is
                "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
                "scopes_supported": list(USER_SCOPES),
            }
        )

    async def keys(self, _request: web.Request) -> web.Response:
        """Return the keys that check the signatures of this run."""
        return web.json_response(self._context.tokens.public_keys)
