"""Every setting of the service, from a TOML file and the environment; what would be unsafe is refused at start.

A setting `smtp_host` is `smtp_host = "…"` in the file and `TESLAFI_COMPANION_SMTP_HOST` in the environment, which wins.
Lists are separated by commas in the environment.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from email.errors import MessageError
from email.headerregistry import Address
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
import os
from pathlib import Path
import re
import ssl
import stat
import tomllib
from typing import Any, Final, Literal, get_args

import sqlalchemy
from sqlalchemy.exc import ArgumentError
from yarl import URL

PREFIX: Final = "TESLAFI_COMPANION_"
CHECKED_TLS: Final = frozenset({"verify-ca", "verify-full"})
"""Modes of PostgreSQL's TLS that check the server's certificate."""
MY_HOME_ASSISTANT: Final = "https://my.home-assistant.io/redirect/oauth"

_SECRET_ARN: Final = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[\w/+=.@!-]+", re.ASCII)

_WEB: Final = re.compile(r"https://[!-~]+", re.ASCII)
_CONTACT: Final = re.compile(r"(https://|mailto:[^@\s]+@|tel:\+)[!-~]+", re.ASCII)
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", re.ASCII)

NO_BILLING: Final = "none"

type Network = IPv4Network | IPv6Network
type KeyProvider = Literal["file", "env", "aws-kms"]
type SmtpSecurity = Literal["tls", "starttls", "none"]
type LogLevel = Literal["debug", "info", "warning", "error"]


class UnsafeSetting(Exception):
    """A setting is unknown, malformed, or unsafe together with another; the text is a sentence for the operator."""


@dataclass(frozen=True)
class Policy:
    """The account rules' numbers, with the reasons in reference: NIST SP 800-63B-4, OWASP ASVS 5.0, RFC 6238."""

    password_minimum: int = 15
    password_minimum_with_second_factor: int = 12
    password_maximum: int = 256
    password_maximum_bytes: int = 1024
    password_guesses: float = 1e8
    """What zxcvbn calls score 3: safe against guessing online, and against argon2id for a while."""
    password_judge_queue: int = 8
    password_judge_seconds: float = 5
    argon2_memory_kib: int = 65536
    argon2_passes: int = 2
    argon2_lanes: int = 1
    password_threads: int = 2
    password_queue: int = 16
    totp_drift_steps: int = 1
    totp_enrolment: timedelta = timedelta(minutes=10)
    recovery_codes: int = 8
    recovery_codes_low: int = 3
    session_idle: timedelta = timedelta(minutes=60)
    session_absolute: timedelta = timedelta(hours=24)
    session_limit: int = 20
    sign_in_pending: timedelta = timedelta(minutes=5)
    step_up: timedelta = timedelta(minutes=5)
    known_device: timedelta = timedelta(days=180)
    reset_link: timedelta = timedelta(minutes=30)
    confirm_link: timedelta = timedelta(hours=24)
    passkey_challenge: timedelta = timedelta(minutes=5)
    incomplete_sign_in_notice: timedelta = timedelta(minutes=3)
    incomplete_sign_in_tries: int = 3
    login_notices_per_hour: int = 5
    operator_recovery_delay: timedelta = timedelta(hours=72)
    billing_gap: timedelta = timedelta(seconds=10)
    billing_fresh: timedelta = timedelta(minutes=15)
    billing_reconcile: timedelta = timedelta(hours=12)
    billing_poll: timedelta = timedelta(minutes=10)
    billing_poll_overlap: timedelta = timedelta(hours=1)
    billing_outage_reading: timedelta = timedelta(hours=72)
    billing_outage_controls: timedelta = timedelta(hours=24)
    billing_event_kept: timedelta = timedelta(days=30)
    audit_visible: timedelta = timedelta(days=90)
    audit_retention: timedelta = timedelta(days=400)
    mail_lease: timedelta = timedelta(seconds=60)
    mail_give_up: timedelta = timedelta(days=5)


@dataclass(frozen=True, kw_only=True)
class KeeperSettings:
    """What any keeper of subscriptions has to be told. Its adapter's own settings are a subclass in its folder.

    A field `site` of the keeper `chargebee` is the setting `chargebee_site`.
    """

    item_prices: tuple[str, ...] = ()
    """What gives access, each with a name for people: `controls-USD-monthly=Controls, monthly`."""
    feature: str = ""
    """A feature (entitlement) that a subscription must carry as well; empty: none."""
    past_due_grace_days: int = 14


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an operator can set. Construction refuses unsafe combinations with UnsafeSetting."""

    base_url: str = "http://localhost:8080"
    """Where browsers and Home Assistant reach the service: scheme, host and port, no path."""
    listen_host: str = "127.0.0.1"
    listen_port: int = 8080
    reuse_port: bool = False
    """Let several processes of one PostgreSQL share the listening port."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_own_certificate: bool = False
    """Speak TLS with a certificate made at the start, for a load balancer that encrypts without checking it (Linux)."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks of the reverse proxies whose X-Forwarded-For is believed."""
    connections: int = 800
    """Connections at once; beyond that, those that wait without a request make room."""
    connections_of_network: int = 100
    """Connections at once from one address (the /64 of IPv6); trusted proxies are exempt."""
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 9464
    """0 takes a free port; -1 serves no metrics."""
    database: str = field(default="sqlite:///data/companion.sqlite3", repr=False)
    """`sqlite:///path` or `postgresql://user:password@host/name?sslmode=verify-full`, with `&sslrootcert=path`."""
    database_authority: str = ""
    """Certificate authority of the PostgreSQL server as PEM text, for hosts without a file of it."""
    database_secret: str = ""
    """ARN of a secret at AWS Secrets Manager with the `password` of PostgreSQL; it is asked when a connection opens."""
    database_pool: int = 10
    database_transaction_pooling: bool = False
    """A pooler (pgbouncer) hands each transaction to another connection of the database: nothing is prepared."""
    key_provider: KeyProvider = "file"
    key_file: Path = Path("keys/companion.key")
    previous_key_file: Path | None = None
    key: str = field(default="", repr=False)
    previous_key: str = field(default="", repr=False)
    aws_kms_key_id: str = ""
    aws_kms_region: str = ""
    aws_kms_endpoint: str | None = None
    breached_passwords_url: str = ""
    """Where new passwords are looked up by the first five digits of their SHA-1; empty: nobody is asked."""
    smtp_host: str = ""
    """Empty: mails wait in the outbox, and sign-up cannot be finished."""
    smtp_port: int = 587
    smtp_security: SmtpSecurity = "starttls"
    smtp_plain_allowed: bool = False
    smtp_username: str = ""
    smtp_password: str = field(default="", repr=False)
    smtp_ca_file: Path | None = None
    mail_sender: str = "companion@localhost"
    service_name: str = "TeslaFi companion"
    sign_up_open: bool = True
    security_contact: tuple[str, ...] = ()
    """Where weaknesses are reported: `mailto:…`, `https://…` or `tel:…`, the best one first. Empty: no security.txt."""
    security_expires: str = ""
    """Until when that is true, as RFC 3339 writes it: `2027-06-01T00:00:00Z`."""
    security_policy: str = ""
    """Address of the policy: what is in scope, how fast somebody answers."""
    security_languages: tuple[str, ...] = ("en",)
    """Languages that reports are read in, as RFC 5646 writes them."""
    oauth_redirect_uris: tuple[str, ...] = (MY_HOME_ASSISTANT,)
    totp_drift_steps: int = 1
    """1 takes the code before and after as well (RFC 6238 5.2); 0 only the present one (ASVS 6.5.5)."""
    operator_recovery_hours: int = 72
    billing: str = NO_BILLING
    """`none`: every account may use everything. Otherwise a folder of adapters/: a subscription there decides."""
    keeper: KeeperSettings | None = None
    """Settings of the keeper of subscriptions that `billing` names; without one all is free of charge."""
    log_level: LogLevel = "info"
    shutdown_seconds: int = 20
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        """Refuse what is malformed or unsafe."""
        for check in _CHECKS:
            check(self)

    @property
    def database_url(self) -> sqlalchemy.URL:
        """Return the database's address with the asynchronous driver that serves it."""
        url = sqlalchemy.make_url(self.database)
        if url.get_backend_name() == "sqlite":
            return url.set(drivername="sqlite+aiosqlite")
        query = {name: value for name, value in url.query.items() if name not in {"sslmode", "sslrootcert"}}
        return url.set(drivername="postgresql+asyncpg", query=query)

    @property
    def database_tls(self) -> ssl.SSLContext | str | None:
        """Return how PostgreSQL is spoken to: a context that checks its certificate, asyncpg's word, or None."""
        query = sqlalchemy.make_url(self.database).query
        mode, authority = (str(query[name]) if name in query else None for name in ("sslmode", "sslrootcert"))
        if mode not in CHECKED_TLS:
            return mode
        context = ssl.create_default_context(cafile=authority, cadata=self.database_authority or None)
        context.check_hostname = mode == "verify-full"
        return context

    @property
    def sqlite_path(self) -> Path | None:
        """Return the database file, or None with PostgreSQL."""
        url = sqlalchemy.make_url(self.database)
        return Path(url.database or "") if url.get_backend_name() == "sqlite" else None

    @property
    def origin(self) -> str:
        """Return scheme, host and port as a browser writes them in Origin."""
        return str(URL(self.base_url).origin())

    @property
    def host(self) -> str:
        """Return the host name of the service, which is also the identifier that passkeys are bound to."""
        return URL(self.base_url).host or ""

    @property
    def proxy_networks(self) -> tuple[Network, ...]:
        """Return the networks whose forwarding headers are believed."""
        return tuple(ip_network(text) for text in self.trusted_proxies)

    @property
    def security_expiry(self) -> datetime | None:
        """Return until when the contact for reports is true; None without one."""
        return datetime.fromisoformat(self.security_expires) if self.security_contact else None

    def refuse_expired(self, now: datetime) -> None:
        """Refuse a contact for reports whose own time has passed: is anybody there? Raises UnsafeSetting."""
        if self.security_expiry is not None and self.security_expiry <= now:
            raise UnsafeSetting(
                f"security_expires ({self.security_expires}) has passed. Check that security_contact still reaches "
                "someone, and set a date within the next year."
            )

    @property
    def serves_tls(self) -> bool:
        """Say whether this process speaks TLS itself."""
        return self.tls_certificate is not None or self.tls_own_certificate


def read_settings(
    environ: Mapping[str, str], file: Path | None, keepers: Mapping[str, type[KeeperSettings]]
) -> Settings:
    """Read settings from a TOML file and the environment, those of a keeper too; raises UnsafeSetting."""
    values = _values(environ, file)
    billing = values.get("billing", NO_BILLING)
    if billing != NO_BILLING and billing not in keepers:
        raise UnsafeSetting(f"billing must be one of {', '.join((NO_BILLING, *sorted(keepers)))}.")
    for name in keepers:
        if name != billing and any(key.startswith(f"{name}_") for key, value in values.items() if value):
            raise UnsafeSetting(f'{name} has settings, but billing is {billing}. Set billing = "{name}".')
    keeper = None
    if isinstance(billing, str) and billing in keepers:
        own = {key: values.pop(key) for key in list(values) if key.startswith(f"{billing}_")}
        keeper = keepers[billing](**_converted(own, keepers[billing], f"{billing}_"))
    read = _converted(values, Settings)
    policy = Policy(
        totp_drift_steps=read.get("totp_drift_steps", 1),
        operator_recovery_delay=timedelta(hours=read.get("operator_recovery_hours", 72)),
    )
    return Settings(**read, keeper=keeper, policy=policy)


def _values(environ: Mapping[str, str], file: Path | None) -> dict[str, object]:
    """Return what the file and the environment say, as it stands there."""
    values: dict[str, object] = {}
    if file is not None:
        try:
            _refuse_readable(file)
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as fault:
            raise UnsafeSetting(f"Can't read the settings file {file}: {fault.strerror}.") from None
        except tomllib.TOMLDecodeError as fault:
            raise UnsafeSetting(f"The settings file {file} isn't valid TOML: {fault}.") from None
    return values | {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX) and name != f"{PREFIX}SETTINGS"
    }


def _converted(values: Mapping[str, object], into: type[Settings | KeeperSettings], prefix: str = "") -> dict[str, Any]:
    """Return the values in the types of the fields they are for."""
    settable = {f"{prefix}{item.name}": item for item in fields(into) if item.name not in {"policy", "keeper"}}
    read: dict[str, Any] = {}
    for name, value in values.items():
        if name not in settable:
            raise UnsafeSetting(f"There is no setting {name}. See the settings in docs/companion.md.")
        read[settable[name].name] = _convert(name, value, settable[name].type)
    return read


def _refuse_readable(file: Path) -> None:
    """Refuse a file of passwords that others on this machine can read; a group of root's file may be ours."""
    status = file.stat()
    others = stat.S_IRWXO if status.st_uid == 0 and status.st_gid == os.getegid() else stat.S_IRWXG | stat.S_IRWXO
    if status.st_mode & others:
        raise UnsafeSetting(f"Other users can read the settings file {file}. Run `chmod 600 {file}`.")


def _convert(name: str, value: object, kind: object) -> object:
    converter = _CONVERTERS.get(kind)
    if converter is not None:
        try:
            return converter(value)
        except ValueError, TypeError:
            raise UnsafeSetting(f"The value of {name} isn't valid.") from None
    allowed = get_args(getattr(kind, "__value__", kind))
    if value not in allowed:
        raise UnsafeSetting(f"{name} must be one of {', '.join(allowed)}.")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _truth(value: object) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.lower() not in words:
        raise ValueError
    return words[value.lower()]


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError
    return int(value)


def _list(value: object) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list):
        raise TypeError
    return tuple(text for text in (_text(part).strip() for part in parts) if text)


def _path(value: object) -> Path:
    return Path(_text(value))


def _optional_path(value: object) -> Path | None:
    return Path(text) if (text := _text(value)) else None


def _optional_text(value: object) -> str | None:
    return _text(value) or None


_CONVERTERS: Final[Mapping[object, Callable[[object], object]]] = {
    str: _text,
    bool: _truth,
    int: _number,
    Path: _path,
    Path | None: _optional_path,
    str | None: _optional_text,
    tuple[str, ...]: _list,
}


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine: a loopback address or `localhost`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _base_url(settings: Settings) -> None:
    try:
        url = URL(settings.base_url)
        port = url.port
    except ValueError:
        raise UnsafeSetting("base_url isn't a URL. Use the form https://companion.example.org.") from None
    if url.scheme not in {"http", "https"} or not url.host or port is None:
        raise UnsafeSetting("base_url isn't a URL. Use the form https://companion.example.org.")
    if url.path not in {"", "/"} or url.query_string or url.fragment or url.user or url.password:
        raise UnsafeSetting("base_url can only have a scheme, host, and port: no path, query, or user name.")
    if url.scheme == "http" and not is_loopback(url.host):
        raise UnsafeSetting(
            "base_url uses http with a host other than this machine, so passwords would be sent unencrypted. Use https."
        )


def _listening(settings: Settings) -> None:
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise UnsafeSetting("tls_certificate and tls_key belong together. Set both or neither.")
    https = URL(settings.base_url).scheme == "https"
    if settings.serves_tls and not https:
        raise UnsafeSetting("The service uses TLS, but base_url starts with http. Use https in base_url.")
    if settings.tls_own_certificate and (settings.tls_certificate is not None or not settings.trusted_proxies):
        raise UnsafeSetting(
            "tls_own_certificate is for a load balancer in front of the service, because no browser accepts such a "
            "certificate. Set trusted_proxies, and leave tls_certificate and tls_key empty."
        )
    if settings.serves_tls:
        return
    if not is_loopback(settings.listen_host) and not settings.trusted_proxies:
        raise UnsafeSetting(
            "Other machines could connect without encryption. Set tls_certificate and tls_key, set "
            "trusted_proxies to a reverse proxy with TLS, or set listen_host to 127.0.0.1."
        )
    if https and not settings.trusted_proxies:
        raise UnsafeSetting(
            "base_url uses https, but neither tls_certificate nor trusted_proxies is set. All visitors would appear "
            "to come from the proxy's address, and one attacker could lock out everyone. Set trusted_proxies."
        )


def _connections(settings: Settings) -> None:
    if not 1 <= settings.connections_of_network <= settings.connections:
        raise UnsafeSetting("connections_of_network must be between 1 and connections.")


def _proxies(settings: Settings) -> None:
    for text in settings.trusted_proxies:
        try:
            network = ip_network(text)
        except ValueError:
            raise UnsafeSetting(f"trusted_proxies: {text} isn't a network such as 10.0.0.0/24.") from None
        if network.prefixlen == 0:
            raise UnsafeSetting("trusted_proxies includes the whole internet, so anyone could forge their address.")


def _metrics(settings: Settings) -> None:
    if not is_loopback(settings.metrics_host):
        raise UnsafeSetting("metrics_host must be a loopback address of this machine.")


def _database(settings: Settings) -> None:
    try:
        url = sqlalchemy.make_url(settings.database)
    except ArgumentError:
        raise UnsafeSetting("database must be sqlite:///path or postgresql://user@host/name.") from None
    backend = url.get_backend_name()
    if backend not in {"sqlite", "postgresql"}:
        raise UnsafeSetting("database must be sqlite:///path or postgresql://user@host/name.")
    if backend == "sqlite" and (not url.database or url.database == ":memory:"):
        raise UnsafeSetting("database has no file name. Use sqlite:///path/companion.sqlite3.")
    if backend == "sqlite" and settings.reuse_port:
        raise UnsafeSetting("reuse_port needs PostgreSQL. Only one process can use SQLite.")
    remote = backend == "postgresql" and url.host is not None and not is_loopback(url.host)
    if remote and url.query.get("sslmode") not in CHECKED_TLS:
        raise UnsafeSetting(
            "The PostgreSQL server is on another machine and its certificate isn't verified (sslmode=require doesn't). "
            "Add ?sslmode=verify-full to database, and &sslrootcert=path for your own certificate authority."
        )
    authority = url.query.get("sslrootcert")
    if authority is not None and not Path(str(authority)).is_file():
        raise UnsafeSetting(f"sslrootcert: the file {authority} doesn't exist.")
    _database_secrets(settings, url)


def _database_secrets(settings: Settings, url: sqlalchemy.URL) -> None:
    if settings.database_authority:
        if url.query.get("sslmode") not in CHECKED_TLS or "sslrootcert" in url.query:
            raise UnsafeSetting(
                "database_authority needs ?sslmode=verify-full in database, and replaces &sslrootcert=path."
            )
        try:
            ssl.create_default_context(cadata=settings.database_authority)
        except ValueError, ssl.SSLError:
            raise UnsafeSetting("database_authority isn't a certificate in PEM format.") from None
    if not settings.database_secret:
        return
    if _SECRET_ARN.fullmatch(settings.database_secret) is None:
        raise UnsafeSetting(
            "database_secret must be the ARN of a secret: arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME."
        )
    if url.get_backend_name() != "postgresql" or url.password is not None:
        raise UnsafeSetting("database_secret has the password of PostgreSQL. Remove the password from database.")


def _keys(settings: Settings) -> None:
    provider = settings.key_provider
    if provider != "env" and (settings.key or settings.previous_key):
        raise UnsafeSetting("A key is set, but key_provider isn't env. Remove the key or set key_provider to env.")
    if provider == "env" and not settings.key:
        raise UnsafeSetting(f"key_provider is env, but {PREFIX}KEY is empty. Set it (`openssl rand -base64 32`).")
    if provider == "aws-kms" and not (settings.aws_kms_key_id and settings.aws_kms_region):
        raise UnsafeSetting("key_provider is aws-kms, but aws_kms_key_id or aws_kms_region is missing.")
    if settings.aws_kms_endpoint and not _safe_endpoint(settings.aws_kms_endpoint):
        raise UnsafeSetting("aws_kms_endpoint uses http with another machine. Use https.")
    file = settings.sqlite_path
    if provider == "file" and file and settings.key_file.resolve().is_relative_to(file.resolve().parent):
        raise UnsafeSetting(
            "key_file is in the database's folder, so a copy of it would contain both. Store the key in another folder."
        )


def _safe_endpoint(address: str) -> bool:
    url = URL(address)
    return url.scheme == "https" or is_loopback(url.host or "")


def _mail(settings: Settings) -> None:
    if not settings.service_name.isprintable():
        raise UnsafeSetting("service_name must be one line of printable characters.")
    local, at, host = settings.mail_sender.rpartition("@")
    try:
        Address(settings.service_name, local, host)
        usable = bool(at and local and host) and settings.mail_sender.isascii() and settings.mail_sender.isprintable()
    except ValueError, IndexError, MessageError:
        usable = False
    if not usable:
        raise UnsafeSetting("mail_sender isn't an email address.")
    if not settings.smtp_host or settings.smtp_security != "none":
        return
    if settings.smtp_password:
        raise UnsafeSetting(
            "smtp_security is none, so the mail server's password would be sent unencrypted. Use starttls."
        )
    if not is_loopback(settings.smtp_host) and not settings.smtp_plain_allowed:
        raise UnsafeSetting(
            "smtp_security is none with a mail server on another machine. Use tls or starttls, or set "
            "smtp_plain_allowed = true if you trust the network."
        )


def _breached_passwords(settings: Settings) -> None:
    address = settings.breached_passwords_url
    try:
        usable = not address or (_safe_endpoint(address) and address.endswith("/") and bool(URL(address).host))
    except ValueError:
        usable = False
    if not usable:
        raise UnsafeSetting("breached_passwords_url must be an https URL that ends with /, such as https://…/range/.")


def _second_factor(settings: Settings) -> None:
    if settings.totp_drift_steps not in {0, 1}:
        raise UnsafeSetting("totp_drift_steps must be 0 or 1. With more, codes would be easier to guess.")
    if settings.operator_recovery_hours < 1:
        raise UnsafeSetting("operator_recovery_hours must be at least 1, so that the owner can object.")


def _security(settings: Settings) -> None:
    for contact in settings.security_contact:
        if not _CONTACT.fullmatch(contact):
            raise UnsafeSetting(
                "security_contact must be mailto:, https:// or tel: addresses, such as mailto:security@example.org."
            )
    if settings.security_policy and not _WEB.fullmatch(settings.security_policy):
        raise UnsafeSetting("security_policy must be an https address.")
    for language in settings.security_languages:
        if not _LANGUAGE.fullmatch(language):
            raise UnsafeSetting(f"security_languages: {language!a} isn't a language such as en or pt-BR.")
    if not settings.security_contact:
        if settings.security_expires or settings.security_policy:
            raise UnsafeSetting("security_expires and security_policy need security_contact.")
        return
    try:
        expiry = datetime.fromisoformat(settings.security_expires)
    except ValueError:
        expiry = None
    if expiry is None or expiry.tzinfo is None:
        raise UnsafeSetting("security_contact needs security_expires, a date such as 2027-06-01T00:00:00Z.")


def _redirects(settings: Settings) -> None:
    for uri in settings.oauth_redirect_uris:
        url = URL(uri)
        if url.fragment or not url.host or (url.scheme != "https" and not is_loopback(url.host)):
            raise UnsafeSetting(
                f"oauth_redirect_uris: {uri} must use https or point to this machine, and can't have a fragment."
            )


def _billing(settings: Settings) -> None:
    if (settings.keeper is None) != (settings.billing == NO_BILLING):
        raise UnsafeSetting("The settings don't belong to the provider in billing.")
    if settings.keeper is not None and settings.keeper.past_due_grace_days < 0:
        raise UnsafeSetting(f"{settings.billing}_past_due_grace_days must be 0 or more.")


_CHECKS: Final = (
    _base_url,
    _listening,
    _connections,
    _proxies,
    _metrics,
    _database,
    _keys,
    _mail,
    _breached_passwords,
    _second_factor,
    _security,
    _redirects,
    _billing,
)
