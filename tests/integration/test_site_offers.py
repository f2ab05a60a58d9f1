"""What an energy site offers beyond powers, against the simulator: tariff, parts, energy of wall connectors."""

from datetime import timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from hypothesis import given, settings, strategies as st
import pytest

from custom_components.teslafi import async_remove_config_entry_device
from custom_components.teslafi.const import DOMAIN
from custom_components.teslafi.diagnostics import async_get_config_entry_diagnostics
from custom_components.teslafi.meters import ChargesMeter
from custom_components.teslafi.tesla.energy_site import decode_info, decode_wall_charges
from teslafi_simulators.tesla.scenario import ANNAS_SITE

from .owner import Owner
from .recorded import SITE_ID, RecordedReader, look_again, watch
from .test_decode import anything, scalars
from .test_statistics import START
from .test_watching import pass_time

IMPORT = "calendar.anna_s_home_import_tariff"
EXPORT = "calendar.anna_s_home_export_tariff"
HOUR, HALF = 3600, 1800
ENERGY = "sensor.anna_s_home_wall_connector_energy"


@pytest.fixture(autouse=True)
def _at_a_quiet_time(freezer: FrozenDateTimeFactory) -> None:
    """Stand in the middle of a month, at noon of a Monday."""
    freezer.move_to("2026-11-16 12:00:00")


async def events(hass: HomeAssistant, entity_id: str, begin: str, end: str) -> list[dict[str, Any]]:
    """Ask a calendar what it has, as an automation does."""
    answer = await hass.services.async_call(
        "calendar",
        "get_events",
        {"entity_id": entity_id, "start_date_time": begin, "end_date_time": end},
        blocking=True,
        return_response=True,
    )
    assert answer is not None
    found: Any = answer[entity_id]
    return list(found["events"])


async def test_the_tariff_is_two_calendars(hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory) -> None:
    """By the site's own clock; the state tells the price that holds, and changes when it does."""
    owner.tesla.state.sites[ANNAS_SITE].time_zone = "America/Los_Angeles"
    await owner.sign_in()
    found = await events(hass, IMPORT, "2026-11-16T08:00:00+00:00", "2026-11-17T08:00:00+00:00")
    assert [(event["summary"], event["start"]) for event in found] == [
        ("Off-peak: 0.19 USD/kWh", "2026-11-15T21:00:00-08:00"),
        ("Peak: 0.44 USD/kWh", "2026-11-16T16:00:00-08:00"),
        ("Off-peak: 0.19 USD/kWh", "2026-11-16T21:00:00-08:00"),
    ]
    (sold,) = await events(hass, EXPORT, "2026-07-01T12:00:00-07:00", "2026-07-01T13:00:00-07:00")
    assert (sold["summary"], sold["description"]) == ("All day: 0.08 USD/kWh", "Year")
    summer = await events(hass, IMPORT, "2027-07-01T16:00:00-07:00", "2027-07-01T17:00:00-07:00")
    assert [event["summary"] for event in summer] == ["Peak: 0.58 USD/kWh"]
    state = hass.states.get(IMPORT)
    assert state is not None
    assert state.attributes["message"] == "Off-peak: 0.19 USD/kWh"
    assert "supported_features" not in state.attributes or state.attributes["supported_features"] == 0
    assert price(hass, "import") == ("0.19", "USD/kWh")
    assert price(hass, "export") == ("0.08", "USD/kWh")
    freezer.move_to("2026-11-17 00:30:00+00:00")
    await pass_time(hass, freezer, 3700, step=1850)
    state = hass.states.get(IMPORT)
    assert state is not None
    assert state.attributes["message"] == "Peak: 0.44 USD/kWh"
    assert price(hass, "import") == ("0.44", "USD/kWh")


def price(hass: HomeAssistant, way: str) -> tuple[str, str]:
    """Return the price that holds now, and its unit."""
    state = hass.states.get(f"sensor.anna_s_home_{way}_price")
    assert state is not None
    return state.state, state.attributes["unit_of_measurement"]


@pytest.mark.parametrize("zone", ["", "Nowhere/Town", "/etc/passwd", "../../etc", "x" * 5000, 7, None])
async def test_a_zone_that_there_is_not(hass: HomeAssistant, zone: object) -> None:
    """Home Assistant's stands in."""
    reader = RecordedReader({}, {SITE_ID: "Home"})
    season = {"fromMonth": 1, "fromDay": 1, "toMonth": 12, "toDay": 31, "tou_periods": {"ALL": {"periods": [{}]}}}
    reader.info |= {"installation_time_zone": zone, "tariff_content_v2": {"seasons": {"Year": season}}}
    await watch(hass, reader)
    (event,) = await events(hass, "calendar.home_import_tariff", "2026-11-16T12:00:00", "2026-11-16T13:00:00")
    assert event["summary"] == "All day"


async def test_a_site_without_a_tariff_has_no_calendar(hass: HomeAssistant) -> None:
    """Until it gets one."""
    reader = RecordedReader({}, {SITE_ID: "Home"})
    entry = await watch(hass, reader)
    assert hass.states.async_entity_ids("calendar") == []
    season = {"fromMonth": 1, "fromDay": 1, "toMonth": 12, "toDay": 31, "tou_periods": {"ALL": {"periods": [{}]}}}
    reader.info["tou_settings"] = {"tariff_content_v2": {"sell_tariff": {"seasons": {"Year": season}}}}
    await look_again(hass, entry)
    assert hass.states.async_entity_ids("calendar") == ["calendar.home_export_tariff"]


async def test_parts_are_devices_behind_their_site(hass: HomeAssistant, owner: Owner) -> None:
    """With what they are called, their serial numbers and firmware; they stay while the site lists them."""
    entry = await owner.sign_in()
    registry = dr.async_get(hass)
    site = registry.async_get_device_by_identifier((DOMAIN, str(ANNAS_SITE)), entry.entry_id)
    assert site is not None
    gateway, battery = (
        registry.async_get_device_by_identifier((DOMAIN, din), entry.entry_id)
        for din in ("1152100-14-J--TG0000000001", "3012170-10-B--TG0000000002")
    )
    assert gateway is not None
    assert battery is not None
    assert (gateway.name, gateway.serial_number, gateway.sw_version) == (
        "Tesla Backup Gateway 2",
        "TG0000000001",
        "24.4.0",
    )
    assert (battery.name, battery.model_id, battery.serial_number) == ("Powerwall 2", "3012170-10-B", "TG0000000002")
    assert gateway.via_device_id == battery.via_device_id == site.id
    entities = er.async_get(hass)
    assert all(
        entity.disabled_by is er.RegistryEntryDisabler.INTEGRATION
        for device in (gateway, battery)
        for entity in er.async_entries_for_device(entities, device.id, include_disabled_entities=True)
    )
    assert not await async_remove_config_entry_device(hass, entry, battery)


async def test_no_serial_number_leaves_in_diagnostics(hass: HomeAssistant, owner: Owner) -> None:
    """They identify the owner's devices at Tesla; the numbers of parts do not."""
    entry = await owner.sign_in()
    told = await async_get_config_entry_diagnostics(hass, entry)
    assert told["energy_sites"][0]["batteries"] == told["energy_sites"][0]["gateways"] == 1
    assert "TG00000" not in str(told)


async def test_every_entity_of_parts(hass: HomeAssistant) -> None:
    """Part numbers and what they are built for; a part without a number is none."""
    reader = RecordedReader({}, {SITE_ID: "Home"})
    reader.info["components"] |= {
        "gateways": [{"din": "1-2-A--TG1", "firmware_version": "24.4.0 abc"}, {"part_name": "No number"}, None],
        "batteries": [{"din": "3-4-B--TG2", "part_name": "Powerwall 3", "nameplate_energy": 13500}],
    }
    entry = await watch(hass, reader, every_entity=True)
    assert hass.states.get("sensor.gateway_firmware_version").state == "24.4.0"  # type: ignore[union-attr]
    assert hass.states.get("sensor.powerwall_3_nameplate_energy").state == "13.5"  # type: ignore[union-attr]
    reader.info["components"]["batteries"] = []
    await look_again(hass, entry)
    assert hass.states.get("sensor.powerwall_3_nameplate_energy").state == "unknown"  # type: ignore[union-attr]


async def test_the_energy_of_wall_connectors_counts_from_now_on(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory
) -> None:
    """What was charged before is not counted, one charge a day is, over a reload too; Tesla bills nothing for it."""
    freezer.move_to("2026-11-16 21:50:00")
    entry = await owner.sign_in()
    assert energy(hass) == 0
    await pass_time(hass, freezer, 3 * HOUR, step=HALF)
    assert energy(hass) == pytest.approx(10.5)
    began = hass.states.get(ENERGY).attributes["last_reset"]  # type: ignore[union-attr]
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert energy(hass) == pytest.approx(10.5)
    freezer.move_to("2026-11-17 21:50:00")
    await pass_time(hass, freezer, 3 * HOUR, step=HALF)
    assert energy(hass) == pytest.approx(21.0)
    state = hass.states.get(ENERGY)
    assert state is not None
    assert (state.attributes["last_reset"], state.attributes["state_class"]) == (began, "total")
    histories = [one for one in owner.tesla.state.billing.exchanges if one.path.endswith("/telemetry_history")]
    assert histories
    assert sum(one.usd for one in histories) == 0


def energy(hass: HomeAssistant) -> float:
    """Return the sum, in kWh."""
    state = hass.states.get(ENERGY)
    assert state is not None
    return float(state.state)


async def test_charges_are_asked_where_there_are_wall_connectors(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory
) -> None:
    """Nowhere else; and a site whose three other endpoints fail is in trouble though this one was never asked."""
    owner.tesla.state.sites[ANNAS_SITE].wall_connectors = ()
    entry = await owner.sign_in()
    await pass_time(hass, freezer, HOUR, step=HALF)
    assert not [path for _, path in owner.tesla.state.requests if path.endswith("telemetry_history")]
    assert hass.states.get(ENERGY) is None
    owner.tesla.control.fault(path="*energy_sites*", kind="status", status=500, times=None)
    await pass_time(hass, freezer, 2 * HOUR, step=HALF)
    assert entry.runtime_data.sites[ANNAS_SITE].last_update_success is False


async def test_a_history_that_fails_takes_nothing_else(
    hass: HomeAssistant, owner: Owner, freezer: FrozenDateTimeFactory
) -> None:
    """Powers go on, and the sum goes on where it stood."""
    freezer.move_to("2026-11-16 21:50:00")
    await owner.sign_in()
    owner.tesla.control.fault(path="*/telemetry_history", kind="status", status=404, times=None)
    await pass_time(hass, freezer, 7 * HOUR, step=HALF)
    state, power = hass.states.get(ENERGY), hass.states.get("sensor.anna_s_home_solar_power")
    assert state is not None
    assert power is not None
    assert state.state == "unavailable"
    assert power.state != "unavailable"
    owner.tesla.control.clear_faults()
    await pass_time(hass, freezer, 3 * HOUR, step=HALF)
    assert energy(hass) == pytest.approx(10.5)


names = st.sampled_from(
    ["charge_history", "charge_start_time", "seconds", "energy_added_wh", "charge_duration", "response"]
)
resembling = st.recursive(
    scalars | st.integers(1_600_000_000, 1_800_000_000),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=30,
)


@settings(deadline=None, max_examples=50)
@given(anything | resembling)
def test_no_history_raises(answer: object) -> None:
    """Whatever it is, and whatever the site says it consists of; energies are numbers that a sum can take."""
    charges = decode_wall_charges(answer).snapshot
    meter = ChargesMeter().take(([(one.begun, one.energy) for one in charges], START))
    assert meter.value == 0
    assert ChargesMeter.from_json(meter.to_json()) == meter
    decode_info({"components": {"gateways": answer, "batteries": answer}})


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_the_sum_is_what_was_charged_since(data: st.DataObject) -> None:
    """Charges grow, are corrected, come late or leave the list; answers repeat; restarts come between: none twice."""
    before = data.draw(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 9e4)), max_size=5))
    known = dict(before)
    late = data.draw(st.sets(st.sampled_from(sorted(known)))) - {max(known)} if known else set()
    meter = ChargesMeter().take(([one for one in known.items() if one[0] not in late], START))
    counted: dict[int, float] = {}
    for number in range(data.draw(st.integers(1, 12))):
        for _ in range(data.draw(st.integers(0, 2))):
            start = data.draw(st.integers(51 + number, 60 + number))
            known[start] = counted[start] = data.draw(st.floats(0, 9e4))
        shown = data.draw(st.lists(st.sampled_from(sorted(known)), unique=True)) if known else []
        meter = meter.take(([(start, known[start]) for start in shown], START + timedelta(minutes=number)))
        if data.draw(st.booleans()):
            meter = ChargesMeter.from_json(meter.to_json())
    meter = meter.take((list(known.items()), START))
    assert meter.value == pytest.approx(sum(counted.values()), abs=0.01)
    assert meter.began == START
    assert meter.take((list(known.items()), START)).value == meter.value


def test_a_charge_that_left_the_memory_counts_no_more() -> None:
    """However often the history lists it again, as with a clock that was wrong for a while."""
    meter = ChargesMeter().take(([], START))
    charges = [(start, 1000.0) for start in range(1, 500)]
    for end in range(10, 500, 10):
        meter = meter.take((charges[:end], START))
    assert meter.value == 490_000
    assert meter.take((charges[:490], START)).value == 490_000
    assert len(meter.counted) <= ChargesMeter.KEPT


@given(anything)
def test_anything_may_have_been_kept(kept: object) -> None:
    """What is not understood counts as never seen."""
    assert ChargesMeter.from_json(kept).take(([(1, 5.0)], START)).value is not None
