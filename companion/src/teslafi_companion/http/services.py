"""What every handler works with, and who is asking."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from importlib.resources import files
from ipaddress import IPv6Address, ip_address
from typing import Final

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from teslafi_companion.adapters.breached_passwords.adapter import range_service
from teslafi_companion.adapters.free.billing import FreeOfCharge
from teslafi_companion.domain.accounts.passwords import Passwords
from teslafi_companion.domain.accounts.visitor import Visitor
from teslafi_companion.domain.billing.port import BillingPort
from teslafi_companion.language import catalogue, day, hour, languages, moment, translate
from teslafi_companion.settings import Settings
from teslafi_companion.store.database import Store
from teslafi_companion.store.probe import Probe

from .metrics import Metrics
from .received import header, header_lines

STATIC: Final = {
    "companion.css": "text/css",
    "page.js": "text/javascript",
    "passkeys.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Services:
    """The parts of one process; handlers get them by `services(request)`."""

    store: Store
    passwords: Passwords
    metrics: Metrics
    billing: BillingPort
    templates: Mapping[str, Environment]
    """The pages, by language."""
    static: dict[str, bytes]
    probe: Probe

    @property
    def settings(self) -> Settings:
        """The service's settings."""
        return self.store.settings


SERVICES: Final = web.AppKey("services", Services)


def make_services(store: Store, billing: BillingPort | None = None) -> Services:
    """Make the parts that a store does not hold; whoever makes them closes `passwords`. Without billing all is free."""
    folder = files(__package__).joinpath("static")
    static = {name: folder.joinpath(name).read_bytes() for name in STATIC}
    versions = {name: sha256(content).hexdigest()[:12] for name, content in static.items()}
    known = {
        "static": lambda name: f"/static/{name}?v={versions[name]}",
        "sold": billing is not None and billing.required,
        "keeper": "" if billing is None else billing.keeper,
        "service_name": store.settings.service_name,
        "languages": languages(),
        "takes_reports": bool(store.settings.security_contact),
    }
    templates = {language: _templates(language, known) for language in languages()}
    passwords = Passwords(store.settings.policy, range_service(store))
    return Services(store, passwords, Metrics(), billing or FreeOfCharge(), templates, static, Probe(store))


def _templates(language: str, known: Mapping[str, object]) -> Environment:
    """Return the pages' templates in a language, with what all of them know."""
    environment = Environment(
        loader=PackageLoader("teslafi_companion.http"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_translations(catalogue(language), newstyle=True)  # type: ignore[attr-defined] # i18n adds it
    environment.filters |= {
        "t": partial(translate, language),
        "moment": partial(_time, "moment", partial(moment, language)),
        "hour": partial(_time, "hour", hour),
        "day": partial(day, language),
    }
    environment.globals |= {**known, "language": language}
    return environment


def _time(shown: str, write: Callable[[datetime], str], at: datetime) -> Markup:
    """Return a moment in UTC, which the page's script shows in the visitor's own time."""
    moment_there = at.astimezone(UTC).isoformat(timespec="seconds")
    return Markup('<time datetime="{}" data-shown="{}">{}</time>').format(moment_there, shown, write(at))


def services(request: web.Request) -> Services:
    """Return the parts that serve this request."""
    return request.config_dict[SERVICES]


def visitor_of(request: web.Request) -> Visitor:
    """Return the client: its address as far as trusted proxies tell, its browser's own description."""
    networks = services(request).settings.proxy_networks
    address = _plain(request.remote or "0.0.0.0")  # noqa: S104 - an unknown client, nothing is bound to
    said = [part.strip() for line in header_lines(request, "X-Forwarded-For") for part in line.split(",")]
    # Each trusted proxy appended whom it saw: walk back from the nearest until somebody who is no proxy of ours
    while said and any(ip_address(address) in network for network in networks):
        try:
            address = _plain(said.pop())
        except ValueError:
            break
    return Visitor(address, header(request, "User-Agent") or "")


def _plain(text: str) -> str:
    """Return an IP address as it is listed: a socket for both protocols shows IPv4 inside IPv6. Raises ValueError."""
    address = ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
