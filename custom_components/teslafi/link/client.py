"""The client of the companion's HTTP API (contract/companion-api.yaml). It knows nothing of Tesla."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address
import json
import socket
from typing import Any, ClassVar, Final, Protocol, Self

import aiohttp
from yarl import URL

from ..moments import aware_moment
from ..secret import Secret
from .words import API_VERSION, CLIENT_ID, PROBLEM, PRODUCT, Acr, Scope, SubscriptionReason

SCOPES: Final = (Scope.ACCOUNT, Scope.LINK)
CONTROLS_SCOPE: Final = Scope.CONTROLS
SECOND_FACTOR: Final = Acr.SECOND_FACTOR
TIMEOUT: Final = aiohttp.ClientTimeout(total=20)
LONGEST_ANSWER: Final = 64 * 1024
EARLY: Final = 30.0
"""Seconds before its end at which an access token is replaced."""


class CompanionError(Exception):
    """The companion did not give what was asked for; `key` is the translation key of the sentence about it."""

    key: ClassVar = "companion_trouble"

    def __init__(self, **placeholders: str) -> None:
        """Keep what the sentence names."""
        super().__init__(self.key)
        self.placeholders = placeholders


class NoAddress(CompanionError):
    """The text is not an address of a companion: scheme, host and port, nothing else."""

    key = "companion_no_address"


class PlainHttp(CompanionError):
    """Plain http to a machine that is neither this one nor in a private network."""

    key = "companion_plain_http"


class Unreachable(CompanionError):
    """Nothing answers there, or not in time."""

    key = "companion_unreachable"


class CertificateRefused(CompanionError):
    """The certificate is not valid for this address, or not trusted."""

    key = "companion_certificate"


class NoTls(CompanionError):
    """Something answers there, but does not speak TLS."""

    key = "companion_no_tls"


class NotACompanion(CompanionError):
    """Something answers there, but no companion."""

    key = "companion_not_one"


class OtherVersion(CompanionError):
    """A companion whose API this integration does not speak."""

    key = "companion_version"


class OtherName(CompanionError):
    """The companion calls itself by another address, at which its pages would be opened."""

    key = "companion_other_name"


class PermitRefused(CompanionError):
    """The companion refuses a permit for controls now; `reason` is the last word of its problem's type."""

    key = "companion_permit_refused"

    def __init__(self, reason: str, sentence: str = "") -> None:
        """Keep the reason, and what the companion says to the owner about it."""
        super().__init__()
        self.reason = reason
        self.sentence = sentence


class NotKnown(CompanionError):
    """The companion does not know this question: it is older than it."""


class Unlinked(CompanionError):
    """The companion does not know this link any more: revoked there, or its tokens are spent."""

    key = "companion_unlinked"


@dataclass(frozen=True, slots=True)
class LinkTokens:
    """What the companion issued for this link; `expires_at` of the access token in epoch seconds."""

    access_token: Secret
    refresh_token: Secret
    expires_at: float

    @classmethod
    def of_answer(cls, answer: Mapping[str, Any], now: float) -> Self:
        """Read a token answer (RFC 6749, section 5.1); raise CompanionError when it holds no tokens."""
        access, refresh, lifetime = (answer.get(name) for name in ("access_token", "refresh_token", "expires_in"))
        if not isinstance(access, str) or not isinstance(refresh, str) or not isinstance(lifetime, int):
            raise CompanionError
        return cls(Secret(access), Secret(refresh), now + lifetime)

    @classmethod
    def from_plaintext(cls, text: str) -> Self:
        """Undo `to_plaintext`; raise ValueError when the text is none of its."""
        said = json.loads(text)
        if not isinstance(said, dict) or not {"access_token", "refresh_token", "expires_at"} <= said.keys():
            raise ValueError("not the tokens of a link")
        return cls(Secret(str(said["access_token"])), Secret(str(said["refresh_token"])), float(said["expires_at"]))

    def to_plaintext(self) -> str:
        """Return the text that the vault seals."""
        return json.dumps(
            {
                "access_token": self.access_token.reveal(),
                "refresh_token": self.refresh_token.reveal(),
                "expires_at": self.expires_at,
            }
        )

    def is_stale(self, now: float) -> bool:
        """Say whether the access token is over, or nearly."""
        return self.expires_at - EARLY <= now

    def spent(self) -> Self:
        """Return the tokens with an access token that is known to be refused."""
        return replace(self, expires_at=0.0)


LAPSED: Final = frozenset(
    {SubscriptionReason.UNPAID, SubscriptionReason.PAUSED, SubscriptionReason.EXPIRED, SubscriptionReason.CANCELLED}
)
"""States in which something that was there is gone until the owner does something."""


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """What the companion tells of the link and its account; `until` is when the subscription ends or renews."""

    instance_name: str
    linked_at: datetime | None
    two_factor: bool
    subscription: SubscriptionReason | None = None
    until: datetime | None = None
    controls: bool = False


@dataclass(frozen=True, slots=True)
class SignedPermit:
    """A permit as the companion signed it, its key share (base64), and the keys to verify it with (a JWK set).

    Permit (a JWT) and share are for memory alone.
    """

    jwt: str = field(repr=False)
    key_share: Secret
    keys: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CheckedIn:
    """How link and account are; where a permit was asked for, the permit or why there is none."""

    status: AccountStatus
    permit: SignedPermit | None = None
    refused: PermitRefused | None = None


def origins_of(typed: str) -> tuple[str, ...]:
    """Return the origins that a typed address can mean, in the order to be tried: without a scheme https, then http."""
    origin = origin_of(typed)
    return (origin,) if "://" in typed else (origin, f"http://{origin.removeprefix('https://')}")


def origin_of(typed: str) -> str:
    """Return scheme, host and port of a typed address; raise NoAddress."""
    text = typed.strip()
    try:
        url = URL(text if "://" in text else f"https://{text}")
        if url.scheme not in {"http", "https"} or not url.host or url.explicit_port == 0 or len(text.split()) != 1:
            raise NoAddress
    except ValueError as error:
        raise NoAddress from error
    if url.path not in {"", "/"} or url.query_string or url.fragment or url.user or url.password:
        raise NoAddress
    return str(url.origin())


def is_near(address: IPv4Address | IPv6Address) -> bool:
    """Say whether an IP address is this machine or one of a private network."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_private or (mapped or address).is_link_local


class Resolver(Protocol):
    """What finds the IP addresses of a host: an event loop."""

    async def getaddrinfo(self, host: str, port: int, *, type: int) -> list[Any]:  # noqa: A002 - asyncio's own name
        """Resolve a host name."""


async def found_companion(http: aiohttp.ClientSession, typed: str, resolver: Resolver) -> str:
    """Return the origin of the companion that a typed address means; raise a CompanionError.

    Plain http is tried where nothing speaks https, on this machine and in private networks alone.
    """
    trouble: CompanionError | None = None
    for origin in origins_of(typed):
        try:
            return await _by_its_name(http, origin, resolver)
        except (Unreachable, NoTls, PlainHttp) as error:
            # What is said of the address as it was typed comes first, but for a better answer
            trouble = trouble or error
    raise trouble or NoAddress


async def _by_its_name(http: aiohttp.ClientSession, origin: str, resolver: Resolver) -> str:
    """See that a companion lives here; go on with its own name for itself where it answers there as well."""
    try:
        await Companion(http, origin).examine(resolver)
    except OtherName as other:
        name = other.placeholders["issuer"]
        if not _may_follow(origin, name):
            raise
        try:
            await Companion(http, name).examine(resolver)
        except CompanionError:
            raise other from None
        return name
    return origin


def _may_follow(origin: str, name: str) -> bool:
    """Say whether a companion's name for itself may be taken over: an origin, and no way from https to plain http."""
    try:
        return origin_of(name) == name and not (origin.startswith("https://") and name.startswith("http://"))
    except NoAddress:
        return False


class Companion:
    """One companion at an address (`origin_of`). Every method raises a CompanionError."""

    def __init__(self, http: aiohttp.ClientSession, origin: str) -> None:
        """Talk to the companion at this origin."""
        self._http = http
        self.origin = origin

    async def examine(self, resolver: Resolver) -> None:
        """See that a companion of a version we speak lives here, safely reachable, and calls itself by this address."""
        await self._refuse_far_plain_http(resolver)
        about = await self._about()
        if about.get("product") != PRODUCT:
            raise NotACompanion(address=self.origin)
        if about.get("api") != API_VERSION:
            raise OtherVersion(version=str(about.get("version", "?"))[:40])
        metadata = await self._json("GET", "/.well-known/oauth-authorization-server")
        if metadata.get("issuer") != self.origin:
            raise OtherName(issuer=str(metadata.get("issuer", "?"))[:200])

    async def _about(self) -> Mapping[str, Any]:
        try:
            return await self._json("GET", "/api/v1/about")
        except Unreachable, CertificateRefused, NoTls:
            raise
        except CompanionError as error:
            raise NotACompanion(address=self.origin) from error

    async def _refuse_far_plain_http(self, resolver: Resolver) -> None:
        url = URL(self.origin)
        if url.scheme == "https" or url.host is None or url.port is None:
            return
        try:
            found = await resolver.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise Unreachable(address=self.origin) from error
        if not all(is_near(ip_address(str(place[4][0]).partition("%")[0])) for place in found):
            raise PlainHttp(address=self.origin)

    async def redeem(self, form: Mapping[str, str], now: float) -> LinkTokens:
        """Exchange an authorization code; `form` holds it with its redirect address and PKCE verifier."""
        answer = await self._json("POST", "/oauth/token", form={"client_id": CLIENT_ID, **form})
        return LinkTokens.of_answer(answer, now)

    async def refresh(self, tokens: LinkTokens, now: float) -> LinkTokens:
        """Return the tokens' successors; raise Unlinked when the companion does not take them any more."""
        form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token.reveal(), "client_id": CLIENT_ID}
        return LinkTokens.of_answer(await self._json("POST", "/oauth/token", form=form), now)

    async def status(self, tokens: LinkTokens) -> AccountStatus:
        """Ask how link and account are."""
        return _status(await self._json("GET", "/api/v1/status", tokens=tokens))

    async def check_in(self, tokens: LinkTokens, *, permit: bool) -> CheckedIn:
        """Ask how link and account are, and for a permit where `permit` says so, by one question.

        A companion of 0.1.0 does not know that question, and is asked the three that it knows.
        """
        try:
            said = await self._json("POST", "/api/v1/status", tokens=tokens, said={"permit": permit})
        except NotKnown:
            return await self._check_in_by_parts(tokens, permit=permit)
        status = _status(said)
        if not permit:
            return CheckedIn(status)
        given, refusal = said.get("permit"), said.get("refusal")
        if isinstance(given, dict):
            return CheckedIn(status, _signed_permit(given, given))
        if not isinstance(refusal, dict):
            raise CompanionError
        return CheckedIn(status, refused=_refused(refusal))

    async def _check_in_by_parts(self, tokens: LinkTokens, *, permit: bool) -> CheckedIn:
        status = await self.status(tokens)
        if not permit:
            return CheckedIn(status)
        try:
            given = await self._json("POST", "/api/v1/permit", tokens=tokens)
        except PermitRefused as refused:
            return CheckedIn(status, refused=refused)
        return CheckedIn(status, _signed_permit(given, await self._json("GET", "/api/v1/permit-keys")))

    async def lock_controls(self, tokens: LinkTokens) -> None:
        """Withdraw the owner's consent to controls; the companion forgets the key share."""
        await self._send("DELETE", "/api/v1/controls", tokens=tokens)

    async def record_commands(self, tokens: LinkTokens, commands: Sequence[Mapping[str, str]]) -> None:
        """Write commands into the owner's audit log there."""
        await self._send("POST", "/api/v1/commands", tokens=tokens, said={"commands": list(commands)})

    async def unlink(self, tokens: LinkTokens) -> None:
        """End the link at the companion."""
        await self._send("DELETE", "/api/v1/link", tokens=tokens)

    async def _json(
        self,
        method: str,
        path: str,
        *,
        form: Mapping[str, str] | None = None,
        tokens: LinkTokens | None = None,
        said: object = None,
    ) -> Mapping[str, Any]:
        body = await self._send(method, path, form=form, tokens=tokens, said=said)
        answer = _object(body)
        if answer is None:
            raise CompanionError
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        *,
        form: Mapping[str, str] | None = None,
        tokens: LinkTokens | None = None,
        said: object = None,
    ) -> bytes:
        headers = {"Authorization": f"Bearer {tokens.access_token.reveal()}"} if tokens else None
        try:
            async with self._http.request(
                method,
                f"{self.origin}{path}",
                data=form,
                json=said,
                headers=headers,
                timeout=TIMEOUT,
                allow_redirects=False,
            ) as response:
                body = await _whole(response.content)
                status = response.status
        except aiohttp.ClientConnectorCertificateError as error:
            raise CertificateRefused(address=self.origin) from error
        except aiohttp.ClientConnectorSSLError as error:
            raise NoTls(address=self.origin) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(address=self.origin) from error
        if (status == HTTPStatus.UNAUTHORIZED and _is_ours(body)) or (
            form and status == HTTPStatus.BAD_REQUEST and _is_dead(body)
        ):
            raise Unlinked
        if status == HTTPStatus.FORBIDDEN:
            raise _forbidden(body)
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
            raise NotKnown
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unreachable(address=self.origin)
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            raise CompanionError
        return body


async def _whole(content: aiohttp.StreamReader) -> bytes:
    """Read an answer to its end, however many pieces it comes in; raise CompanionError when it is too long."""
    body = bytearray()
    async for piece in content.iter_any():
        body += piece
        if len(body) > LONGEST_ANSWER:
            raise CompanionError
    return bytes(body)


def _object(body: bytes) -> Mapping[str, Any] | None:
    """Return the JSON object that an answer holds; None when it holds anything else."""
    try:
        said = json.loads(body)
    except ValueError, RecursionError:
        return None
    return said if isinstance(said, dict) else None


def _status(said: Mapping[str, Any]) -> AccountStatus:
    account, link = said.get("account"), said.get("link")
    if not isinstance(account, dict) or not isinstance(link, dict):
        raise CompanionError
    subscription = said.get("subscription")
    subscription = subscription if isinstance(subscription, dict) else {}
    return AccountStatus(
        instance_name=str(link.get("instance_name", "")),
        linked_at=aware_moment(link.get("linked_at")),
        two_factor=account.get("two_factor") is True,
        subscription=_subscription_reason(subscription.get("reason")),
        until=aware_moment(subscription.get("until")),
        controls=isinstance(said.get("controls"), dict),
    )


def _signed_permit(given: Mapping[str, Any], keys: Mapping[str, Any]) -> SignedPermit:
    permit, share = given.get("permit"), given.get("key_share")
    if not isinstance(permit, str) or not isinstance(share, str):
        raise CompanionError
    return SignedPermit(permit, Secret(share), keys)


def _refused(said: Mapping[str, Any]) -> PermitRefused:
    """Read a refusal; one without a type that we know of locks all the same."""
    kind, detail = said.get("type"), said.get("detail")
    reason = kind.removeprefix(PROBLEM) if isinstance(kind, str) else ""
    return PermitRefused(reason, detail if isinstance(detail, str) else "")


def _subscription_reason(value: object) -> SubscriptionReason | None:
    """Return a state, None for one that a newer companion has and this integration does not."""
    return SubscriptionReason(value) if isinstance(value, str) and value in SubscriptionReason else None


def _forbidden(body: bytes) -> CompanionError:
    """Tell why a request was forbidden (RFC 9457)."""
    said = _object(body) or {}
    kind = said.get("type")
    return _refused(said) if isinstance(kind, str) and kind.startswith(PROBLEM) else CompanionError()


def _is_ours(body: bytes) -> bool:
    """Say whether the companion itself refused a token: what stands in front of it may want a password of its own."""
    return str((_object(body) or {}).get("type", "")).startswith(PROBLEM)


def _is_dead(body: bytes) -> bool:
    """Say whether a refusal of the token endpoint means that the grant is over (RFC 6749, section 5.2)."""
    return (_object(body) or {}).get("error") == "invalid_grant"
