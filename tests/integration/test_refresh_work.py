"""What a look makes Home Assistant do, counted, not timed: an enabled entity is asked once, and writes what changed."""

from collections import Counter
from dataclasses import dataclass, field

from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity import Entity
import pytest

from custom_components.teslafi.coordinators.vehicle import VehicleCoordinator
from custom_components.teslafi.entity import VehicleEntity

from .recorded import MODEL_3, VIN, look_again, watch_car
from .test_defaults import enabled


@dataclass
class Work:
    """How often entities were asked for their value, and wrote their state, by key."""

    asked: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        """Count from here on."""
        self.asked.clear()
        self.written.clear()


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    done = Work()
    ask, write = VehicleEntity._current_value, Entity.async_write_ha_state  # noqa: SLF001 - counted where it happens

    def asking(self: VehicleEntity) -> object:
        done.asked[self.entity_description.key] += 1
        return ask(self)

    def writing(self: Entity) -> None:
        done.written[self.entity_description.key] += 1
        write(self)

    monkeypatch.setattr(VehicleEntity, "_current_value", asking)
    monkeypatch.setattr(Entity, "async_write_ha_state", writing)
    return done


async def test_a_look_asks_enabled_entities_once_and_writes_what_changed(hass: HomeAssistant, work: Work) -> None:
    """Not one of the disabled ones, which are most; and nothing at all when the car says the same again."""
    entry, reader = await watch_car(hass, MODEL_3)
    car: VehicleCoordinator = entry.runtime_data.vehicles[VIN]
    await look_again(hass, entry)
    keys = {key.partition(".")[2] for key in enabled(hass)}
    listeners = car._listeners  # noqa: SLF001 - Home Assistant tells of no listeners without a context
    assert len(listeners) == len({key for key in keys if not key.startswith("journal_")}) + 1
    work.clear()
    car.want_look()
    await car.async_refresh()
    await hass.async_block_till_done()
    assert set(work.asked.values()) == {1}
    assert set(work.asked) <= keys
    assert len(work.asked) > 30
    assert work.written == {"state": 1}  # the state tells how old the data are

    reader.cars[VIN]["vehicle_state"]["ft"] = 16
    work.clear()
    car.want_look()
    await car.async_refresh()
    await hass.async_block_till_done()
    assert set(work.asked.values()) == {1}
    assert work.written == {"state": 1, "vehicle_state_ft": 1}


async def test_what_a_car_may_newly_have_is_looked_for_when_it_reports_more(
    hass: HomeAssistant,
) -> None:
    """Not at each look: the tables of what may exist are long. Other firmware is a reason as well."""
    entry, reader = await watch_car(hass, MODEL_3)
    car: VehicleCoordinator = entry.runtime_data.vehicles[VIN]
    told: list[str] = []
    car.listen_to_news(lambda: told.append("news"))
    for _ in range(3):
        car.want_look()
        await car.async_refresh()
    assert told == []
    reader.cars[VIN]["charge_state"]["powershare_status"] = "Inactive"
    car.want_look()
    await car.async_refresh()
    assert told == ["news"]
    reader.cars[VIN]["vehicle_state"]["car_version"] = "2099.1 0123456789ab"
    car.want_look()
    await car.async_refresh()
    assert told == ["news", "news"]
