"""Authorization codes and tokens: issued, rotated, ended and verified as Tesla's documents and recordings tell.

Claims, lifetimes and the rule of the last used refresh token: developer.tesla.com, "Third-party tokens", and recorded
tokens. Two readings of it are ours, where Tesla says nothing:

- A refresh with the last used token cancels the successor that its first use made: there is one current token.
- A token never carries a scope that its sign-in did not ask for, even if the owner consented to it before.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
import secrets
from typing import Any, Final, Literal
from uuid import NAMESPACE_DNS, uuid5

from cryptography.hazmat.primitives.asymmetric import ec
import jwt
from jwt.algorithms import ECAlgorithm

from .accounts import Account, AccountStore
from .addresses import REGIONS, TESLA_FLEET, Addresses, Deployment, Region, deployment_of
from .applications import OWNER_CLIENT, Application, ApplicationStore
from .clock import Clock
from .pkce import challenge_of

CODE_LIFE: Final = 300
"""Seconds; Tesla's is not known, RFC 6749 recommends no more than ten minutes."""
ACCESS_LIFE: Final = 28_800
"""Seconds: eight hours."""
REFRESH_LIFE: Final = 90 * 86_400
"""Seconds: three months."""
GRACE: Final = 86_400
"""Seconds for which the last used refresh token still works."""

ALGORITHM: Final = "ES256"

ISSUER: Final[dict[Deployment, str]] = {
    "global": "https://auth.tesla.com/oauth2/v3",
    "cn": "https://auth.tesla.cn/oauth2/v3",
}
"""`iss` of owner tokens; those of the Fleet API add /nts."""

TESLA_OWNER_API: Final[dict[Deployment, str]] = {
    "global": "https://owner-api.teslamotors.com/",
    "cn": "https://owner-api.vn.cloud.tesla.cn/",
}

type Kind = Literal["fleet", "owner", "partner"]


class Refusal(StrEnum):
    """Why the token endpoint refuses a code or a refresh token."""

    CODE = "code"
    REDIRECT = "redirect"
    AUDIENCE = "audience"
    LOGIN_REQUIRED = "login_required"
    CONSENT_REVOKED = "consent_revoked"
    UNKNOWN_USER = "unknown_user"


class GrantRefused(Exception):
    """The code or the refresh token does not earn tokens."""

    def __init__(self, refusal: Refusal) -> None:
        """Keep why."""
        super().__init__(refusal.value)
        self.refusal = refusal


class BearerRefusal(StrEnum):
    """Why an access token is not accepted."""

    UNKNOWN = "unknown"
    EXPIRED = "expired"
    REVOKED = "revoked"
    AUDIENCE = "audience"


class BearerRefused(Exception):
    """The access token is not accepted: the API answers 401. `bearer` is whose it was, if it ever was anybody's."""

    def __init__(self, reason: BearerRefusal, bearer: Bearer | None = None) -> None:
        """Keep why and whose."""
        super().__init__(reason.value)
        self.reason = reason
        self.bearer = bearer


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """Who asks the API, and for what.

    `account_sub` of a partner token is the partner account's own, which no owner has. `region` is the account's home;
    for a partner token that of its audience. `fingerprint_ok` is False for an owner token that another program than
    Tesla's app fetched: the Owner API answers it 403 since June 2026.
    """

    account_sub: str
    client_id: str
    scopes: frozenset[str]
    region: Region
    kind: Kind
    fingerprint_ok: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """What the token endpoint gives out."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)
    expires_in: int = ACCESS_LIFE
    scopes: frozenset[str]

    def answer(self, *, state: str | None = None) -> dict[str, Any]:
        """Return the JSON body; Tesla names no scopes in it."""
        body: dict[str, Any] = {"access_token": self.access_token}
        if self.refresh_token is not None:
            body["refresh_token"] = self.refresh_token
        if self.id_token is not None:
            body["id_token"] = self.id_token
        body |= {"expires_in": self.expires_in, "token_type": "Bearer"}
        if state is not None:
            body["state"] = state
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """What an owner agreed to on the sign-in pages: a code stands for it.

    `audience_implied`: begun at fleet-auth, where core's tesla_fleet gets Fleet tokens though it names no audience.
    """

    account: Account
    client_id: str
    redirect_uri: str
    scopes: frozenset[str]
    state: str
    amr: tuple[str, ...]
    auth_time: float
    code_challenge: str | None = None
    nonce: str | None = None
    locale: str | None = None
    audience_implied: bool = False


@dataclass(slots=True, eq=False)
class _Code:
    authorization: Authorization
    expires_at: float
    password_version: int


@dataclass(slots=True, eq=False, kw_only=True)
class _Grant:
    """One sign-in and the refresh tokens that follow from it; `current` is None when none was asked for."""

    account: Account
    client_id: str
    scopes: frozenset[str]
    for_fleet: bool
    amr: tuple[str, ...]
    auth_time: float
    nonce: str | None
    locale: str
    password_version: int
    app_fingerprint: bool
    current: str | None = field(default=None, repr=False)
    current_ends: float = 0.0
    last_used: str | None = field(default=None, repr=False)
    last_used_at: float = 0.0
    ended: Refusal | None = None


@dataclass(slots=True, eq=False)
class _Access:
    """An access token that was issued; `grant` is None for a partner's."""

    bearer: Bearer
    ends: float
    accepted: bool
    grant: _Grant | None


class TokenStore:
    """Issues, refreshes, ends and verifies every token of one simulator run, signed with a key of that run."""

    def __init__(
        self,
        clock: Clock,
        accounts: AccountStore,
        applications: ApplicationStore,
        addresses: Callable[[], Addresses],
    ) -> None:
        """Begin with a fresh key and no tokens. `addresses` is asked when a token is made, not before.

        `app_fingerprint` decides whether owner tokens fetched from now on pass for those of Tesla's app, which Tesla
        tells by TLS and HTTP versions that a loopback connection does not have.
        """
        self.app_fingerprint = True
        self._clock = clock
        self._accounts = accounts
        self._applications = applications
        self._addresses = addresses
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._key_id = secrets.token_urlsafe(8)
        self._codes: dict[str, _Code] = {}
        self._grants: list[_Grant] = []
        self._by_refresh_token: dict[str, _Grant] = {}
        self._by_access_token: dict[str, _Access] = {}

    @property
    def public_keys(self) -> dict[str, Any]:
        """Return the JSON Web Key Set with which anyone can check the signatures."""
        key: dict[str, Any] = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [key | {"kid": self._key_id, "use": "sig", "alg": ALGORITHM}]}

    def issue_code(self, authorization: Authorization) -> str:
        """Return a code for what the owner agreed to: with region prefix for third parties, plain hex otherwise."""
        code = secrets.token_hex(30)
        if authorization.client_id != OWNER_CLIENT:
            code = f"{authorization.account.region.upper()}_{code}"
        self._codes[code] = _Code(authorization, self._clock() + CODE_LIFE, authorization.account.password_version)
        return code

    def redeem_code(
        self,
        code: str,
        *,
        client_id: str,
        redirect_uri: str,
        deployment: Deployment,
        code_verifier: str | None = None,
        audience: str | None = None,
    ) -> tuple[TokenPair, str]:
        """Spend a code; return the tokens and the state of its sign-in. Raise GrantRefused.

        A code is spent by its own client's attempt, be it refused; another client's attempt leaves it alone.
        """
        held = self._codes.get(code)
        if held is None or held.authorization.client_id != client_id:
            raise GrantRefused(Refusal.CODE)
        del self._codes[code]
        authorization = held.authorization
        self._check_code(held, deployment)
        if redirect_uri != authorization.redirect_uri:
            raise GrantRefused(Refusal.REDIRECT)
        if not _verifier_fits(authorization.code_challenge, code_verifier):
            raise GrantRefused(Refusal.CODE)
        if audience is not None:
            self._region_of(audience, deployment)
        grant = self._begin(authorization, for_fleet=audience is not None or authorization.audience_implied)
        return self._tokens(grant), authorization.state

    def _check_code(self, held: _Code, deployment: Deployment) -> None:
        account, client_id = held.authorization.account, held.authorization.client_id
        if not self._is_known(account):
            raise GrantRefused(Refusal.UNKNOWN_USER)
        if client_id != OWNER_CLIENT and client_id not in account.consents:
            raise GrantRefused(Refusal.CONSENT_REVOKED)
        if (
            held.expires_at <= self._clock()
            or held.password_version != account.password_version
            or deployment_of(account.region) != deployment
        ):
            raise GrantRefused(Refusal.CODE)

    def refresh(self, refresh_token: str, *, client_id: str, deployment: Deployment) -> TokenPair:
        """Return the successor pair. Raise GrantRefused.

        The current token and, for 24 hours after its first use, the last used one are taken.
        """
        grant = self._by_refresh_token.get(refresh_token)
        if grant is None or grant.client_id != client_id:
            raise GrantRefused(Refusal.LOGIN_REQUIRED)
        if not self._is_known(grant.account) or deployment_of(grant.account.region) != deployment:
            raise GrantRefused(Refusal.UNKNOWN_USER)
        ended = self._ended(grant)
        if ended is not None:
            raise GrantRefused(ended)
        now = self._clock()
        if refresh_token == grant.current and now < grant.current_ends:
            grant.last_used, grant.last_used_at = refresh_token, now
        elif refresh_token != grant.last_used or now >= grant.last_used_at + GRACE:
            raise GrantRefused(Refusal.LOGIN_REQUIRED)
        return self._tokens(grant)

    def issue_partner_token(
        self, application: Application, scopes: frozenset[str], *, deployment: Deployment, audience: str | None
    ) -> TokenPair:
        """Return an access token of the application itself (client_credentials). Raise GrantRefused.

        Without audience the token is of no use at the Fleet API.
        """
        region = _regions(deployment)[0] if audience is None else self._region_of(audience, deployment)
        sub = str(uuid5(NAMESPACE_DNS, application.client_id))
        access_token = self._sign(
            {
                "iss": f"{ISSUER[deployment]}/nts",
                "azp": application.client_id,
                "sub": sub,
                "aud": self._audiences(deployment, for_fleet=audience is not None),
                "gty": "client-credentials",
                "scp": sorted(scopes),
                **self._span(),
                "ou_code": region.upper(),
            }
        )
        bearer = Bearer(account_sub=sub, client_id=application.client_id, scopes=scopes, region=region, kind="partner")
        self._keep(access_token, bearer, accepted=audience is not None, grant=None)
        return TokenPair(access_token=access_token, scopes=scopes)

    def mint(
        self,
        account: Account,
        client_id: str,
        scopes: frozenset[str],
        *,
        for_fleet: bool = True,
        app_fingerprint: bool | None = None,
    ) -> TokenPair:
        """Return tokens as after a sign-in with full consent: it cancels the earlier ones of account and application.

        Scopes as in a sign-in: `offline_access` brings the refresh token, `openid` the id_token. `for_fleet=False`
        makes a token whose exchange named no audience; `app_fingerprint` stands in for the store's own setting.
        Raise KeyError for a client that is not registered.
        """
        grant = self._consented(account, client_id, scopes, for_fleet=for_fleet)
        if app_fingerprint is not None:
            grant.app_fingerprint = app_fingerprint
        return self._tokens(grant)

    def recall(self, account: Account, client_id: str, scopes: frozenset[str], refresh_token: str) -> None:
        """Take a refresh token of an earlier run for the current one; its access tokens stay unknown.

        Raise KeyError for a client that is not registered.
        """
        grant = self._consented(account, client_id, scopes, for_fleet=True)
        grant.current, grant.current_ends = refresh_token, self._clock() + REFRESH_LIFE
        self._by_refresh_token[refresh_token] = grant

    def _consented(self, account: Account, client_id: str, scopes: frozenset[str], *, for_fleet: bool) -> _Grant:
        """Begin what a sign-in with full consent begins."""
        if self._applications.by_client_id(client_id) is None:
            raise KeyError(client_id)
        if client_id != OWNER_CLIENT:
            account.consents[client_id] = account.consents.get(client_id, frozenset()) | scopes
        authorization = Authorization(
            account=account,
            client_id=client_id,
            redirect_uri="",
            scopes=scopes,
            state="",
            amr=("pwd", "mfa", "otp") if account.devices else ("pwd",),
            auth_time=self._clock(),
        )
        return self._begin(authorization, for_fleet=for_fleet)

    def expire(self, access_token: str) -> None:
        """Let an access token be over now, whatever its `exp` says. Raise KeyError when it was never issued."""
        self._by_access_token[access_token].ends = self._clock()

    def expire_all(self, account: Account) -> int:
        """Let every access token of the account be over now; return how many still lived."""
        now = self._clock()
        mine = [one for one in self._by_access_token.values() if one.grant is not None and one.grant.account is account]
        living = [one for one in mine if one.ends > now]
        for one in living:
            one.ends = now
        return len(living)

    def revoke_all(self, account: Account) -> None:
        """End every token of the account: refreshes meet `login_required`."""
        for grant in self._grants:
            if grant.account is account and self._ended(grant) is None:
                grant.ended = Refusal.LOGIN_REQUIRED

    def revoke_consent(self, account: Account, client_id: str) -> None:
        """Withdraw the account's consent to the application: its tokens stop at once."""
        account.consents.pop(client_id, None)
        for grant in self._grants_of(account, client_id):
            grant.ended = Refusal.CONSENT_REVOKED

    def verify(self, bearer: str) -> Bearer:
        """Return whom the access token stands for; raise BearerRefused."""
        access = self._by_access_token.get(bearer)
        if access is None:
            raise BearerRefused(BearerRefusal.UNKNOWN)
        if access.grant is not None and (not self._is_known(access.grant.account) or self._ended(access.grant)):
            raise BearerRefused(BearerRefusal.REVOKED, access.bearer)
        if access.ends <= self._clock():
            raise BearerRefused(BearerRefusal.EXPIRED, access.bearer)
        if not access.accepted:
            raise BearerRefused(BearerRefusal.AUDIENCE, access.bearer)
        return access.bearer

    def _region_of(self, audience: str, deployment: Deployment) -> Region:
        """Return whose Fleet base address, the simulator's or Tesla's own, the audience is; raise GrantRefused."""
        addresses = self._addresses()
        for region in _regions(deployment):
            if audience in {addresses.fleet(region), TESLA_FLEET[region]}:
                return region
        raise GrantRefused(Refusal.AUDIENCE)

    def _begin(self, authorization: Authorization, *, for_fleet: bool) -> _Grant:
        """Begin a grant. A third party has one per account; Tesla's own app runs on many devices."""
        account = authorization.account
        if authorization.client_id != OWNER_CLIENT:
            for grant in self._grants_of(account, authorization.client_id):
                grant.ended = Refusal.LOGIN_REQUIRED
        grant = _Grant(
            account=account,
            client_id=authorization.client_id,
            scopes=authorization.scopes,
            for_fleet=for_fleet,
            amr=authorization.amr,
            auth_time=authorization.auth_time,
            nonce=authorization.nonce,
            locale=authorization.locale or account.locale,
            password_version=account.password_version,
            app_fingerprint=self.app_fingerprint,
        )
        self._grants.append(grant)
        return grant

    def _grants_of(self, account: Account, client_id: str) -> list[_Grant]:
        """Return the grants of account and application that have not ended."""
        return [
            grant
            for grant in self._grants
            if grant.account is account and grant.client_id == client_id and self._ended(grant) is None
        ]

    def _is_known(self, account: Account) -> bool:
        return self._accounts.by_sub(account.sub) is account

    def _ended(self, grant: _Grant) -> Refusal | None:
        """Return why the grant's tokens no longer work; None while they do."""
        if grant.ended is not None:
            return grant.ended
        return Refusal.LOGIN_REQUIRED if grant.password_version != grant.account.password_version else None

    def _tokens(self, grant: _Grant) -> TokenPair:
        """Make the grant's next pair; consent that was reduced since counts from here on."""
        scopes = grant.scopes
        if grant.client_id != OWNER_CLIENT:
            scopes &= grant.account.consents.get(grant.client_id, frozenset())
        access_token = self._access_token(grant, scopes)
        return TokenPair(
            access_token=access_token,
            refresh_token=self._next_refresh_token(grant) if "offline_access" in scopes else None,
            id_token=self._id_token(grant) if "openid" in scopes else None,
            scopes=scopes,
        )

    def _access_token(self, grant: _Grant, scopes: frozenset[str]) -> str:
        account = grant.account
        deployment = deployment_of(account.region)
        owner = grant.client_id == OWNER_CLIENT
        claims = {
            "iss": ISSUER[deployment] if owner else f"{ISSUER[deployment]}/nts",
            "azp": grant.client_id,
            "sub": account.sub,
            "aud": self._owner_audiences(deployment)
            if owner
            else self._audiences(deployment, for_fleet=grant.for_fleet),
            "scp": sorted(scopes),
            "amr": list(grant.amr),
            **self._span(),
            "auth_time": int(grant.auth_time),
            "ou_code": account.region.upper(),
            "locale": grant.locale,
        }
        if owner:
            # That the claim tells the two kinds of owner token apart was observed; its values were not.
            claims["x-enc"] = "app" if grant.app_fingerprint else "other"
        access_token = self._sign(claims)
        bearer = Bearer(
            account_sub=account.sub,
            client_id=grant.client_id,
            scopes=scopes,
            region=account.region,
            kind="owner" if owner else "fleet",
            fingerprint_ok=grant.app_fingerprint or not owner,
        )
        self._keep(access_token, bearer, accepted=owner or grant.for_fleet, grant=grant)
        return access_token

    def _id_token(self, grant: _Grant) -> str:
        issuer = ISSUER[deployment_of(grant.account.region)]
        claims: dict[str, Any] = {
            # The one that the OpenID configuration for third parties names; an id_token whose issuer differs is none
            "iss": issuer if grant.client_id == OWNER_CLIENT else f"{issuer}/nts",
            "aud": grant.client_id,
            "sub": grant.account.sub,
            "email": grant.account.email,
            **self._span(),
            "auth_time": int(grant.auth_time),
        }
        if grant.nonce is not None:
            claims["nonce"] = grant.nonce
        return self._sign(claims)

    def _next_refresh_token(self, grant: _Grant) -> str:
        """Put another refresh token in place of the current one."""
        account = grant.account
        if grant.client_id == OWNER_CLIENT:
            refresh_token = self._sign(
                {
                    "iss": ISSUER[deployment_of(account.region)],
                    "sub": account.sub,
                    "iat": int(self._clock()),
                    "jti": secrets.token_urlsafe(16),
                }
            )
        else:
            refresh_token = f"{account.region.upper()}_{secrets.token_hex(32)}"
        grant.current, grant.current_ends = refresh_token, self._clock() + REFRESH_LIFE
        self._by_refresh_token[refresh_token] = grant
        return refresh_token

    def _keep(self, access_token: str, bearer: Bearer, *, accepted: bool, grant: _Grant | None) -> None:
        self._by_access_token[access_token] = _Access(bearer, self._clock() + ACCESS_LIFE, accepted, grant)

    def _span(self) -> dict[str, int]:
        now = int(self._clock())
        return {"exp": now + ACCESS_LIFE, "iat": now}

    def _audiences(self, deployment: Deployment, *, for_fleet: bool) -> list[str]:
        userinfo = f"{ISSUER[deployment]}/userinfo"
        if not for_fleet:
            return [userinfo]
        regions = _regions(deployment)
        addresses = self._addresses()
        return [
            *(TESLA_FLEET[region] for region in regions),
            *(addresses.fleet(region) for region in regions),
            userinfo,
        ]

    def _owner_audiences(self, deployment: Deployment) -> list[str]:
        return [TESLA_OWNER_API[deployment], self._addresses().owner_api, f"{ISSUER[deployment]}/userinfo"]

    def _sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"kid": self._key_id})


def _regions(deployment: Deployment) -> list[Region]:
    return [region for region in REGIONS if deployment_of(region) == deployment]


def _verifier_fits(challenge: str | None, verifier: str | None) -> bool:
    """Tell whether the verifier is the challenge's; without challenge there is nothing to prove."""
    if challenge is None:
        return True
    return verifier is not None and challenge.isascii() and secrets.compare_digest(challenge_of(verifier), challenge)
