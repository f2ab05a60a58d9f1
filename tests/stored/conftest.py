"""A Home Assistant that keeps and reads everything on disk, at the moment of the fixtures."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from aiohttp.resolver import ThreadedResolver
from freezegun import freeze_time
from freezegun.api import TickingDateTimeFactory
from homeassistant import bootstrap
from homeassistant.core import HomeAssistant
from homeassistant.helpers import aiohttp_client
import pytest

from teslafi_companion.clock import system_clock
from tests.companion.conftest import postgresql, postgresql_database, verify_cleanup  # noqa: F401 - fixtures
from tests.integration.conftest import (  # noqa: F401 - fixtures
    _custom_components,
    _teslas_addresses,
    hass_storage,
    owner,
    tesla,
)

from .place import MADE_AT


class Time:
    """The one clock of everything in this process; a test moves it on."""

    def __init__(self, factory: TickingDateTimeFactory) -> None:
        """Steer this clock."""
        self._factory = factory

    def advance(self, *, seconds: float) -> None:
        """Move on."""
        self._factory.tick(timedelta(seconds=seconds))

    def move_to(self, moment: datetime) -> None:
        """Go to a moment."""
        self._factory.move_to(moment)

    def __call__(self) -> datetime:
        """Return the present moment."""
        return system_clock()


@pytest.fixture(autouse=True)
def clock() -> Iterator[Time]:
    """Begin at the moment of the fixtures; time goes on, as it does in the event loop."""
    with freeze_time(MADE_AT, tick=True, real_asyncio=True) as factory:
        assert isinstance(factory, TickingDateTimeFactory)
        yield Time(factory)


@pytest.fixture
def load_registries() -> bool:
    """Leave the registries to Home Assistant's own start: PHACC's neither read nor write their files."""
    return False


@pytest.fixture(autouse=True)
async def _names(mock_zeroconf_resolver: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Home Assistant resolve localhost, which passkeys are bound to; it asks no name server for that."""

    class Resolver(ThreadedResolver):
        real_close = ThreadedResolver.close

    monkeypatch.setattr(aiohttp_client, "_async_make_resolver", lambda _hass: Resolver())


@pytest.fixture
async def hass(hass: HomeAssistant) -> HomeAssistant:
    """Load registries and config entries from disk, as Home Assistant's start does."""
    assert await bootstrap.async_load_base_functionality(hass)
    return hass
