"""Commands of energy sites: reserve, mode, storm watch, grid and tariff ("Energy endpoints")."""

from typing import Any, Final

from ..commands.parameters import BadParameter, Parameters
from ..energy.site import Site
from .access import Call
from .answers import Refused, not_found
from .commands import sent_parameters
from .reading import whole_number

MODES: Final = ("self_consumption", "autonomous", "backup")
EXPORTS: Final = ("battery_ok", "pv_only", "never")
FULL: Final = 100
UPDATED: Final = {"code": 201, "message": "Updated"}


def _with_site(call: Call, change: Any) -> Any:  # noqa: ANN401 - JSON
    call.needs("energy_cmds")
    site = call.state.sites.get(whole_number(call.request.match_info["site"]) or 0)
    if site is None or site.owner != call.account:
        raise not_found()
    site.advance(call.state.clock())
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


def backup(call: Call) -> Any:  # noqa: ANN401
    """Set the reserve for outages, in percent."""

    def change(site: Site, sent: Parameters) -> None:
        site.reserve = _percent(sent, "backup_reserve_percent")

    return _with_site(call, change)


def off_grid_reserve(call: Call) -> Any:  # noqa: ANN401
    """Set what the battery keeps back from cars while off the grid, in percent."""

    def change(site: Site, sent: Parameters) -> None:
        site.off_grid_reserve = _percent(sent, "off_grid_vehicle_charging_reserve_percent")

    return _with_site(call, change)


def operation(call: Call) -> Any:  # noqa: ANN401
    """Set the mode."""

    def change(site: Site, sent: Parameters) -> None:
        site.mode = sent.one_of("default_real_mode", MODES)

    return _with_site(call, change)


def storm_mode(call: Call) -> Any:  # noqa: ANN401
    """Fill up ahead of storms."""

    def change(site: Site, sent: Parameters) -> None:
        site.storm_mode = sent.boolean("enabled")

    return _with_site(call, change)


def grid_import_export(call: Call) -> Any:  # noqa: ANN401
    """Set charging from the grid and what goes out to it."""

    def change(site: Site, sent: Parameters) -> None:
        if "disallow_charge_from_grid_with_solar_installed" in sent:
            site.no_grid_charging = sent.boolean("disallow_charge_from_grid_with_solar_installed")
        if "customer_preferred_export_rule" in sent:
            site.export_rule = sent.one_of("customer_preferred_export_rule", EXPORTS)

    return _with_site(call, change)


def time_of_use(call: Call) -> Any:  # noqa: ANN401
    """Set the tariff."""

    def change(site: Site, sent: Parameters) -> None:
        settings = sent.sent().get("tou_settings")
        if not isinstance(settings, dict) or not isinstance(settings.get("tariff_content_v2"), dict):
            raise BadParameter("tou_settings")
        site.tariff = settings["tariff_content_v2"]

    return _with_site(call, change)
