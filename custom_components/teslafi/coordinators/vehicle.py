"""Watches one car by the polling rule."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
import time
from typing import Final, Protocol, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util

from ..polling import policy
from ..polling.activity import activity_of
from ..polling.ledger import Ledger
from ..polling.policy import Ask, Failure, Watch
from ..storage.last_values import LastValues
from ..tesla.decode import assume, merge
from ..tesla.errors import BillingLimitReached, RateLimited, TeslaError, VehicleAsleep, VehicleInService
from ..tesla.reader import Reader
from ..tesla.requests import Category
from ..tesla.snapshot import CarState, Snapshot
from .base import EARLY, StillInTrouble, TeslaCoordinator
from .budget import Budget
from .troubles import Subject, Troubles


@dataclass(frozen=True, slots=True)
class VehicleData:
    """What is known of a car. `data_at` and `contact_at` are UTC; requests and cost are of this month."""

    state: CarState | None
    snapshot: Snapshot
    data_at: datetime | None
    contact_at: datetime | None
    requests: Mapping[str, int]
    cost_usd: float


class VehicleAudience(Protocol):
    """Who hears of a car what concerns more than the car."""

    @property
    def troubles(self) -> Troubles:
        """Where troubles of the whole account are told."""

    def data_came(self) -> None:
        """The car answered with data."""


class VehicleCoordinator(TeslaCoordinator[VehicleData]):
    """Watches one car by the polling rule."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        vin: str,
        last: LastValues,
        reader: Reader,
        budget: Budget,
        audience: VehicleAudience,
    ) -> None:
        """Begin with the last values known of the car; `audience` hears what concerns more than the car."""
        super().__init__(hass, entry, f"car …{vin[-6:]}", timedelta(seconds=policy.STATE_AWAKE), audience.troubles)
        self.vin = vin
        self.malformed: tuple[str, ...] = ()
        self._reader = reader
        self._budget = budget
        self._audience = audience
        self._watch = Watch()
        self._wanted = False
        self._real: Snapshot | None = None
        self.data = VehicleData(last.state, last.snapshot, last.data_at, last.contact_at, {}, 0.0)
        self.data = self._with_costs(self.data)

    @property
    @override
    def subject(self) -> Subject:
        return Subject(self.vin, self.vehicle_name)

    @property
    def ledger(self) -> Ledger:
        """What the requests about this car come to."""
        return self._budget.ledger(self.vin)

    @property
    def watch(self) -> Watch:
        """What the polling rule knows, for diagnostics."""
        return self._watch

    @property
    def last_values(self) -> LastValues:
        """What is kept across restarts."""
        data = self.data
        return LastValues(data.state, self._real or data.snapshot, data.data_at, data.contact_at, self.ledger)

    @property
    def vehicle_name(self) -> str:
        """The name its owner gave to the car, or the end of its VIN."""
        snapshot = self.data.snapshot
        return snapshot.vehicle_state.vehicle_name or snapshot.vehicle.display_name or f"Tesla {self.vin[-6:]}"

    @property
    def signs(self) -> bool:
        """Whether Tesla says that the car takes signed commands alone."""
        return self.data.snapshot.vehicle.command_signing == "required"

    @property
    def cost_usd(self) -> float:
        """What this month's requests about this car come to."""
        return self.ledger.cost(time.time())

    def count(self, category: Category) -> None:
        """Count a request about this car that somebody else made."""
        self._budget.count(self.vin, category)

    @callback
    def assume(self, values: Mapping[str, object]) -> None:
        """Show values that a command should have set, until the car was asked once more."""
        self._real = self._real or self.data.snapshot
        self.data = self._with_costs(replace(self.data, snapshot=assume(self.data.snapshot, values)))
        self.async_update_listeners()

    @callback
    def want_look(self) -> None:
        """Make the next refresh ask for everything. Does not wake the car."""
        self._wanted = True

    @override
    async def async_request_refresh(self) -> None:
        """Look now: the owner asked."""
        self.want_look()
        await super().async_request_refresh()

    @callback
    def take_listed(self, listed: Snapshot) -> None:
        """Take in what the list of products says of this car, which saves the question after its state."""
        self.data = self._with_state(self.data, listed)

    @override
    async def _read(self) -> VehicleData:
        if self._wanted:
            self._wanted = False
            self._watch = policy.wanted(self._watch)
        if self._real is not None and self._next_request().at <= time.time() + EARLY:
            # What was assumed after a command gives way to the car's own word, or to what it last said
            self.data, self._real = replace(self.data, snapshot=self._real), None
        try:
            return self._with_costs(await self._ask_what_is_due())
        except TeslaError as error:
            self._put_off(error)
            raise
        finally:
            self._plan()

    async def _ask_what_is_due(self) -> VehicleData:
        """Ask for the state and, if that says online, for the data; with nothing due the last trouble stays."""
        data = self.data
        for nothing_asked in (True, False):
            request = self._next_request()
            if request.at <= time.time() + EARLY:
                data = await self._ask(request.ask, data)
            elif nothing_asked and self._trouble:
                raise StillInTrouble(self._trouble)
        return data

    async def _ask(self, ask: Ask, data: VehicleData) -> VehicleData:
        telling = self.troubles.telling(self.subject, ask)
        if ask is Ask.STATE:
            with telling:
                answer = await self._reader.vehicle_state(self.vin, self.count)
            return self._with_state(data, answer)
        try:
            with telling:
                decoded = await self._reader.vehicle_data(self.vin, self.count)
        except VehicleAsleep:
            self._watch = policy.went_quiet(self._watch, time.time())
            return data
        except VehicleInService:
            self._watch = policy.failed(self._watch, Failure.IN_SERVICE, time.time())
            return data
        self.malformed = decoded.malformed
        snapshot = merge(data.snapshot, decoded.snapshot)
        self._watch = policy.data_answered(self._watch, activity=activity_of(snapshot), now=time.time())
        self._audience.data_came()
        now = dt_util.utcnow()
        return replace(data, state=CarState.ONLINE, snapshot=snapshot, data_at=now, contact_at=now)

    def _with_state(self, data: VehicleData, answer: Snapshot) -> VehicleData:
        """Take in the vehicle object of an answer."""
        state = answer.vehicle.state
        self._watch = policy.state_answered(self._watch, awake=state is CarState.ONLINE, now=time.time())
        return replace(data, state=state, snapshot=merge(data.snapshot, answer), contact_at=dt_util.utcnow())

    def _with_costs(self, data: VehicleData) -> VehicleData:
        now = time.time()
        counts = self.ledger.counts(now)
        requests = {category.value: counts.get(category, 0) for category in Category}
        return replace(data, requests=requests, cost_usd=self.ledger.cost(now))

    def _next_request(self) -> policy.Request:
        return policy.next_request(self._watch, time.time(), may_spend=self._budget.may_spend)

    def _plan(self) -> None:
        wait = max(self._next_request().at - time.time(), 1.0)
        self.update_interval = timedelta(seconds=wait)

    def _put_off(self, error: TeslaError) -> None:
        """Let the polling rule decide when to try again."""
        now = time.time()
        if isinstance(error, RateLimited):
            self._watch = policy.failed(self._watch, Failure.RATE_LIMITED, now, retry_after=error.retry_after)
            return
        self._watch = policy.failed(self._watch, _FAILURES.get(type(error), Failure.TROUBLE), now)


_FAILURES: Final[Mapping[type[TeslaError], Failure]] = {BillingLimitReached: Failure.SPENDING_LIMIT}
"""What puts off the next attempt in a way of its own; all else is trouble that passes."""
