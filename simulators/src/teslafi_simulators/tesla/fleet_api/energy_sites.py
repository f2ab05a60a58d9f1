"""Endpoints about energy sites: what they tell, and what they are told ("Energy endpoints")."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ..commands.parameters import BadParameter, Parameters
from ..energy.history import PERIODS, Period, Window, window
from ..energy.site import Site
from .access import Answer, Call
from .answers import Refused, not_found
from .commands import sent_parameters
from .reading import whole_number

MODES: Final = ("self_consumption", "autonomous", "backup")
EXPORTS: Final = ("battery_ok", "pv_only", "never")
FULL: Final = 100
EARLIEST: Final = 2000
LATEST: Final = 2100
"""Years that dates may name."""
UPDATED: Final = {"code": 201, "message": "Updated"}


def _site(call: Call, *scopes: str) -> Site:
    call.needs(*scopes)
    site = call.state.sites.get(whole_number(call.request.match_info["site"]) or 0)
    if site is None or site.owner != call.account:
        raise not_found()
    site.advance(call.state.clock())
    return site


def _read_site(call: Call) -> Site:
    return _site(call, "energy_device_data", "energy_cmds")


def live_status(call: Call) -> Any:  # noqa: ANN401 - JSON
    """Tell the site's powers."""
    return _read_site(call).live_status()


def site_info(call: Call) -> Answer:
    """Tell what the site consists of, its settings and its tariff."""
    return _read_site(call).site_info()


def calendar_history(call: Call) -> Answer:
    """Tell the site's energy, power or failures of the grid over time."""
    site = _read_site(call)
    kinds: dict[str, Callable[[Window], dict[str, Any]]] = {
        "backup": site.backup_history,
        "energy": site.energy_history,
        "power": site.power_history,
    }
    kind = call.request.query.get("kind", "")
    if kind not in kinds:
        raise Refused(400, "invalid_request")
    return kinds[kind](_window(call, site))


def telemetry_history(call: Call) -> Answer:
    """Tell the wall connectors' charges."""
    site = _read_site(call)
    if call.request.query.get("kind", "charge") != "charge":
        raise Refused(400, "invalid_request")
    return site.charge_history(_window(call, site))


def _window(call: Call, site: Site) -> Window:
    """Read period, dates and time zone; refuse those that there are not."""
    query = call.request.query
    period = query.get("period", "day")
    if period not in PERIODS:
        raise Refused(400, "invalid_request")
    try:
        zone = ZoneInfo(query["time_zone"]) if query.get("time_zone") else site.zone
        begins, ends = (_moment(query.get(name), zone) for name in ("start_date", "end_date"))
        return window(cast("Period", period), zone, call.state.clock(), begins, ends)
    except ValueError, OverflowError, OSError, ZoneInfoNotFoundError:
        raise Refused(400, "invalid_request") from None


def _moment(text: str | None, zone: ZoneInfo) -> datetime | None:
    """Read a moment (RFC 3339); one without offset is of the time zone. Raise ValueError."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    if not EARLIEST <= moment.year <= LATEST:
        raise ValueError(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def _with_site(call: Call, change: Callable[[Site, Parameters], None]) -> Answer:
    site = _site(call, "energy_cmds")
    try:
        change(site, sent_parameters(call))
    except BadParameter:
        raise Refused(400, "invalid_field") from None
    return UPDATED


def _percent(sent: Parameters, name: str) -> int:
    percent = sent.integer(name)
    if not 0 <= percent <= FULL:
        raise BadParameter(name)
    return percent


def backup(call: Call) -> Answer:
    """Set the reserve for outages, in percent."""

    def change(site: Site, sent: Parameters) -> None:
        site.reserve = _percent(sent, "backup_reserve_percent")

    return _with_site(call, change)


def off_grid_reserve(call: Call) -> Answer:
    """Set what the battery keeps back from cars while off the grid, in percent."""

    def change(site: Site, sent: Parameters) -> None:
        site.off_grid_reserve = _percent(sent, "off_grid_vehicle_charging_reserve_percent")

    return _with_site(call, change)


def operation(call: Call) -> Answer:
    """Set the mode."""

    def change(site: Site, sent: Parameters) -> None:
        site.mode = sent.one_of("default_real_mode", MODES)

    return _with_site(call, change)


def storm_mode(call: Call) -> Answer:
    """Fill up ahead of storms."""

    def change(site: Site, sent: Parameters) -> None:
        site.storm_mode = sent.boolean("enabled")

    return _with_site(call, change)


def grid_import_export(call: Call) -> Answer:
    """Set charging from the grid and what goes out to it."""

    def change(site: Site, sent: Parameters) -> None:
        if "disallow_charge_from_grid_with_solar_installed" in sent:
            site.no_grid_charging = sent.boolean("disallow_charge_from_grid_with_solar_installed")
        if "customer_preferred_export_rule" in sent:
            site.export_rule = sent.one_of("customer_preferred_export_rule", EXPORTS)

    return _with_site(call, change)


def time_of_use(call: Call) -> Answer:
    """Set the tariff."""

    def change(site: Site, sent: Parameters) -> None:
        settings = sent.sent().get("tou_settings")
        if not isinstance(settings, dict) or not isinstance(settings.get("tariff_content_v2"), dict):
            raise BadParameter("tou_settings")
        site.tariff = settings["tariff_content_v2"]

    return _with_site(call, change)
