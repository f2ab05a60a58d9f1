"""What Tesla billed for charges: asked a few times after a charge at a Supercharger, and whenever the owner wants.

Needs the consent to charging history, which the owner gives apart from everything else. Each question is billed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.util import dt as dt_util

from ..const import LOGGER
from ..journal.bills import Bill, Billed, billed
from ..journal.file import JournalUnusable
from ..journal.sample import Moment
from ..journal.sessions import Charge, Closed, CostSource
from ..journal.store import Store
from ..journal.tariff import is_supercharger
from ..tesla.charging_history import ChargingSession
from ..tesla.errors import TeslaError
from ..tesla.vin import vin_of
from .details import BudgetUsedUp, VehicleDetails
from .journal_summary import JournalCoordinator

WAITS: Final = (1_800, 6 * 3_600, 26 * 3_600)
"""Seconds after the end of a charge at which Tesla is asked for its bill, until there is one."""
AROUND: Final = timedelta(days=1)
"""How much more than the charges' time is asked for: Tesla takes sessions by their beginning."""
DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Applied:
    """Charges whose cost is Tesla's now, bills that fit no charge of the journal, and whether there were all bills."""

    charges: Sequence[Billed]
    kept: int
    """Of the charges, those where the owner's own word stays."""
    bills: Sequence[Bill]
    complete: bool


async def async_apply_bills(
    car: JournalCoordinator, details: VehicleDetails, begin: datetime | None, end: datetime | None
) -> Applied:
    """Ask Tesla for what it billed in a span, and take that as the costs of the charges.

    Raise a TeslaError, BudgetUsedUp, or JournalUnusable.
    """
    history = await details.charging_history(begin, end)
    bills = [bill for session in history.sessions if (bill := _bill(session, car.vin)) is not None]
    if not bills:
        return Applied((), 0, (), history.complete)
    store = car.journal.store
    found, kept, rest = await car.journal.async_rewrite(car.vin, lambda: _apply(store, car.vin, bills))
    if found:
        car.note_changed(min(one.charge.start for one in found))
        await car.async_refresh()
    return Applied(found, kept, rest, history.complete)


def _apply(store: Store, vin: str, bills: Sequence[Bill]) -> tuple[Sequence[Billed], int, Sequence[Bill]]:
    """Keep what bills say; return the charges, how many stay the owner's, and the bills that fit none.

    Blocks: a thousand bills and the charges of years take a second.
    """
    since, until = min(bill.start for bill in bills) - DAY, max(bill.end for bill in bills) + DAY
    found, rest = billed(store.charges(vin, since, until), bills)
    kept = _set(store, vin, found)
    if places := [(one.position, one.site) for one in found if one.position is not None and one.site]:
        store.note_addresses(vin, places)
    return found, kept, rest


def _set(store: Store, vin: str, found: Iterable[Billed]) -> int:
    """Keep the costs; return how many stay the owner's. Blocks."""
    kept = 0
    for one in found:
        after = store.set_cost(vin, one.charge.start, one.cost, one.currency, CostSource.TESLA)
        kept += after is not None and after.cost_source is CostSource.OWNER
    return kept


def _bill(session: ChargingSession, vin: str) -> Bill | None:
    """Return the bill for a session of a car; None for another car's, and for one without a time."""
    start, end = session.charge_start_date_time, session.charge_stop_date_time
    if start is None or vin_of(session.vin or vin) != vin:
        return None
    begun = int(start.timestamp())
    return Bill(
        start=begun,
        end=begun if end is None else max(int(end.timestamp()), begun),
        kwh=session.energy,
        cost=session.cost,
        currency=session.currency,
        site=session.site_location_name,
    )


def next_question(charges: Iterable[Charge], asked: Moment, begun: Moment) -> Moment | None:
    """Return when to ask for bills that are still missing, None when there is no charge to ask for.

    `asked`: when it was done last; `begun`: when Home Assistant started. What was due before that is not made up for,
    so that no restart adds a question to those of `WAITS`.
    """
    times = [
        at
        for charge in charges
        if is_supercharger(charge) and charge.cost_source in (None, CostSource.TARIFF)
        for at in (charge.end + wait for wait in WAITS)
        if at > max(asked, begun)
    ]
    return min(times, default=None)


class BillFollower:
    """Asks for the bills of one car's charges at Superchargers, where the owner shares them."""

    def __init__(self, hass: HomeAssistant, car: JournalCoordinator, details: VehicleDetails) -> None:
        """Prepare; `start` begins."""
        self._hass = hass
        self._car = car
        self._details = details
        self._begun = _now()
        self._asked = 0
        self._stopped = False
        self._later: CALLBACK_TYPE | None = None
        self._due: Moment | None = None

    @callback
    def start(self) -> None:
        """Follow until the entry is unloaded."""
        entry = self._car.config_entry
        entry.async_on_unload(self._car.listen_to_closed(self._ended))
        entry.async_on_unload(self._stop)
        self._look_soon()

    @callback
    def _ended(self, session: Closed) -> None:
        if isinstance(session, Charge):
            self._look_soon()

    @callback
    def _stop(self) -> None:
        """Ask no more, also when a question is under way: whoever follows next asks."""
        self._stopped = True
        self._cancel()

    @callback
    def _cancel(self) -> None:
        if self._later is not None:
            self._later()
            self._later = None
        self._due = None

    @callback
    def _look_soon(self) -> None:
        if self._details.reads_charging_history and not self._stopped:
            self._car.config_entry.async_create_background_task(self._hass, self._look(), "teslafi bills")

    async def _look(self) -> None:
        """Plan the next question."""
        try:
            due = next_question(await self._recent(), self._asked, self._begun)
        except JournalUnusable as error:
            # The journal's own repair tells of it; the next session looks again
            LOGGER.debug("No bills: %s", error)
            return
        if due == self._due:
            return
        self._cancel()
        if due is not None:
            self._due = due
            job = HassJob(self._ask, "teslafi bills", cancel_on_shutdown=True)
            self._later = async_call_later(self._hass, max(due - _now(), 0), job)

    async def _recent(self) -> list[Charge]:
        since = _now() - WAITS[-1] - DAY
        return await self._car.journal.async_query(self._car.journal.store.charges, self._car.vin, since)

    async def _ask(self, _now_at: datetime) -> None:
        self._later, self._due, self._asked = None, None, _now()
        try:
            charges = [one for one in await self._recent() if is_supercharger(one)]
            begin = dt_util.utc_from_timestamp(min((one.start for one in charges), default=_now())) - AROUND
            await async_apply_bills(self._car, self._details, begin, None)
        except (TeslaError, BudgetUsedUp, JournalUnusable) as error:
            LOGGER.debug("No bills of car …%s (%s)", self._car.vin[-6:], type(error).__name__)
        self._look_soon()


def _now() -> Moment:
    return int(dt_util.utcnow().timestamp())
