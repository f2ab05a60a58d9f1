"""Reading an authorization request. Its faults are told to the client only at an address that is on the list."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
import re
from typing import Final, Protocol

from yarl import URL

from teslafi_companion.domain.links import pkce
from teslafi_companion.domain.links.clients import Client, find_client, is_redirect_uri
from teslafi_companion.domain.links.controls_request import ControlsRequest, parse_details
from teslafi_companion.domain.links.faults import INVALID_REQUEST, UNSUPPORTED_RESPONSE_TYPE, OAuthFault
from teslafi_companion.domain.links.instance import Instance, parse_instance
from teslafi_companion.domain.links.lifetimes import FRESHEST
from teslafi_companion.domain.links.scopes import Acr, Scope, parse_scopes
from teslafi_companion.settings import Policy, Settings

_LONGEST_STATE: Final = 2000
_STATE: Final = re.compile(r"[\x20-\x7e]+", re.ASCII)
_SECONDS: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
PARAMETERS: Final = (
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "acr_values",
    "max_age",
    "authorization_details",
    "instance_name",
    "instance_id",
)
"""What is read; other parameters are ignored (RFC 6749, 3.1) but for those that would carry the request itself."""


class Parameters(Protocol):
    """The parameters of a query or a form, each of which may come several times."""

    def getall(self, key: str, default: Sequence[str]) -> Sequence[str]:
        """Return all values of one name."""


class RequestRefused(Exception):
    """The request names no client or no allowed address: it is told to the person, never by a redirect."""


class RequestFault(Exception):
    """The request is at fault; `address` is the listed redirect address with the error for the client."""

    def __init__(self, address: URL, fault: OAuthFault) -> None:
        """Take where to say it and what it is."""
        super().__init__(str(fault))
        self.address = address
        self.fault = fault


@dataclass(frozen=True)
class AuthorizationRequest:
    """A request that an owner can be asked about."""

    client: Client
    redirect_uri: str
    state: str
    challenge: str
    scopes: frozenset[Scope]
    instance: Instance
    acr: Acr
    max_age: timedelta | None
    controls: ControlsRequest | None = None

    @property
    def wants_controls(self) -> bool:
        """Say whether this asks for controls, which need a proof of their own."""
        return Scope.CONTROLS in self.scopes

    def freshness(self, policy: Policy) -> timedelta:
        """Return how old the owner's proof may be."""
        return policy.step_up if self.max_age is None else min(policy.step_up, max(self.max_age, FRESHEST))


def answer_address(settings: Settings, redirect_uri: str, state: str | None, **answer: str) -> URL:
    """Return the redirect address with an answer, the request's state, and who answers (RFC 9207)."""
    given = {} if state is None else {"state": state}
    return URL(redirect_uri).update_query(answer | given | {"iss": settings.origin})


def fault_address(settings: Settings, redirect_uri: str, state: str | None, fault: OAuthFault) -> URL:
    """Return the redirect address with an error."""
    return answer_address(settings, redirect_uri, state, error=fault.error, error_description=fault.description)


def _one(parameters: Parameters, name: str) -> str | None:
    """Return the one value of a parameter; an empty one counts as absent (RFC 6749, 3.1). Raises OAuthFault."""
    values = parameters.getall(name, ())
    if len(values) > 1:
        raise OAuthFault(INVALID_REQUEST, f"{name} comes more than once")
    return values[0] or None if values else None


def parse_request(parameters: Parameters, settings: Settings) -> AuthorizationRequest:
    """Read a request; raises RequestRefused or RequestFault."""
    try:
        client = find_client(_one(parameters, "client_id"))
        redirect_uri = _one(parameters, "redirect_uri")
    except OAuthFault as fault:
        raise RequestRefused(fault.description) from None
    if redirect_uri is None or not is_redirect_uri(settings, redirect_uri):
        raise RequestRefused("redirect_uri is not on the list of this server (setting oauth_redirect_uris)")
    state: str | None = None
    try:
        state = _one(parameters, "state")
        return _parse(parameters, client, redirect_uri, state)
    except OAuthFault as fault:
        # A state that could not be read is not repeated
        said = state if state is None or _is_state(state) else None
        raise RequestFault(fault_address(settings, redirect_uri, said, fault), fault) from None


def _is_state(state: str) -> bool:
    return len(state) <= _LONGEST_STATE and _STATE.fullmatch(state) is not None


def _parse(parameters: Parameters, client: Client, redirect_uri: str, state: str | None) -> AuthorizationRequest:
    if state is None or not _is_state(state):
        raise OAuthFault(INVALID_REQUEST, f"state is 1 to {_LONGEST_STATE} printable ASCII characters")
    for name in ("request", "request_uri"):
        if parameters.getall(name, ()):
            raise OAuthFault(f"{name}_not_supported", f"{name} is not supported: send the parameters themselves")
    if _one(parameters, "response_type") != "code":
        raise OAuthFault(UNSUPPORTED_RESPONSE_TYPE, "response_type is code")
    if _one(parameters, "response_mode") not in {None, "query"}:
        raise OAuthFault(INVALID_REQUEST, "response_mode is query")
    if _one(parameters, "code_challenge_method") != pkce.METHOD:
        raise OAuthFault(INVALID_REQUEST, "code_challenge_method is S256")
    challenge = _one(parameters, "code_challenge")
    if challenge is None or not pkce.is_challenge(challenge):
        raise OAuthFault(INVALID_REQUEST, "code_challenge is the base64url of a SHA-256, without padding")
    scopes = parse_scopes(_one(parameters, "scope"), client.scopes)
    acr = _acr(_one(parameters, "acr_values"))
    if Scope.CONTROLS in scopes and acr is not Acr.SECOND_FACTOR:
        raise OAuthFault(INVALID_REQUEST, f"controls is asked for with acr_values={Acr.SECOND_FACTOR}")
    return AuthorizationRequest(
        client,
        redirect_uri,
        state,
        challenge,
        scopes,
        parse_instance(_one(parameters, "instance_name"), _one(parameters, "instance_id")),
        acr,
        _max_age(_one(parameters, "max_age")),
        parse_details(_one(parameters, "authorization_details")) if Scope.CONTROLS in scopes else None,
    )


def _acr(text: str | None) -> Acr:
    """Return the strongest of the levels asked for that is known here; others are ignored."""
    return Acr.SECOND_FACTOR if Acr.SECOND_FACTOR in (text or "").split(" ") else Acr.PASSWORD


def _max_age(text: str | None) -> timedelta | None:
    if text is None:
        return None
    if not _SECONDS.fullmatch(text):
        raise OAuthFault(INVALID_REQUEST, "max_age is a number of seconds")
    return timedelta(seconds=int(text))
