"""Watches one car by the polling rule."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
import random
import time
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.util import dt as dt_util

from ..journal.sample import Sample
from ..polling import rule
from ..polling.backoff import Trouble
from ..polling.learnt import kind_of
from ..polling.ledger import Ledger
from ..polling.memory import Memory
from ..polling.observation import fresh_blocks, observed_in
from ..polling.pace import PACES, Step
from ..polling.rule import Ask, AwakeBecause, Moment, PollingState
from ..record import changed
from ..storage.last_values import LastValues
from ..tesla.decode import Decoded, assume, decode_vehicle, merge, without
from ..tesla.errors import RateLimited, TeslaError, UnexpectedAnswer, VehicleAsleep, VehicleInService
from ..tesla.reader import Reader
from ..tesla.requests import Category, Currency
from ..tesla.snapshot import CarState, Snapshot
from ..tesla.vehicle_details import ServiceVisit
from .assumed import AssumedValues
from .base import EARLY, StillInTrouble, TeslaCoordinator
from .budget import Budget
from .details import ALERTS, SERVICE, DetailsMemory, VehicleDetails
from .memory import memory_of
from .polled_details import DetailCoordinator
from .samples import CarClock, sample_of, state_sample
from .troubles import Subject, Troubles, trouble_of

AWAKE: Final = decode_vehicle({"state": "online"}).snapshot
"""What a car says of itself that has carried out a command."""
FIRST_MONDAY: Final = date(1970, 1, 5).toordinal()
"""From where the polling rule counts local minutes."""
REQUESTS_MOST: Final = len(Ask)
"""Requests of one refresh: the answer to one may make the next due."""
BLOCK_AGE_MOST: Final = 3600.0
"""Seconds by which a block may be older than the car's newest answer: then it has stopped coming, and says nothing."""


class VehicleData(NamedTuple):
    """What is known of a car. `data_at` and `contact_at` are UTC; requests and cost are of the month shown.

    A category that `requests` lacks had none.
    """

    state: CarState | None
    snapshot: Snapshot
    data_at: datetime | None
    contact_at: datetime | None
    requests: Mapping[Category, int]
    cost: float
    """In `currency`."""
    block_at: Mapping[str, datetime] = MappingProxyType({})
    """When each block of the snapshot last came, UTC."""
    polling: Step = Step.FULL
    awake_because: AwakeBecause | None = None
    asleep_today: int | None = None
    """Share of today, as far as it was watched, in per cent."""
    currency: Currency = Currency.USD
    waking: bool = False
    """Whether a command that is under way wakes the car, or is about to."""
    month_began: datetime | None = None
    """When the month began that requests and cost are of."""


class VehicleAudience(Protocol):
    """Who hears of a car what concerns more than the car."""

    @property
    def troubles(self) -> Troubles:
        """Where troubles of the whole account are told."""

    def data_received(self) -> None:
        """The car answered with data."""

    def seen(self, vin: str, sample: Sample) -> None:
        """Something was seen of the car that belongs into the journal."""

    def look_at_budget(self) -> None:
        """The monthly limit leaves the car more or less than before."""


class VehicleCoordinator(TeslaCoordinator[VehicleData]):
    """Watches one car by the polling rule. Waiting is monotonic; the wall clock serves calendars and dates alone."""

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
        interval = timedelta(seconds=PACES[budget.mode].state_awake)
        super().__init__(hass, entry, f"car …{vin[-6:]}", interval, audience.troubles)
        self.vin = vin
        self.malformed: tuple[str, ...] = ()
        self.reads_location = reader.grant.reads_location
        """Whether the owner shares where the car is."""
        memory = memory_of(hass, entry).details.setdefault(vin, DetailsMemory())
        self.details = VehicleDetails(
            vin, reader, budget, memory, lambda: self.data.state not in (None, CarState.ONLINE)
        )
        self.alerts = self._polled(
            ALERTS, self.details.recent_alerts, worth=lambda: self.data.state is CarState.ONLINE, known=lambda: None
        )
        self.service = self._polled(
            SERVICE,
            self.details.service_visit,
            worth=lambda: self.data.snapshot.vehicle.in_service is True,
            known=lambda: ServiceVisit() if self.data.snapshot.vehicle.in_service is False else None,
        )
        self._reader = reader
        self._budget = budget
        self._audience = audience
        self._memory = Memory.from_json(last.polling, self._moment(), kind_of(vin))
        self._forget_unwanted_habits()
        self._refused: dict[Ask, TeslaError] = {}
        self._wanted = False
        self._base = last.snapshot
        """What the car itself last said."""
        self._assumed = AssumedValues()
        self._waking = False
        self._commands = 0
        """How many commands are under way."""
        self._news: list[CALLBACK_TYPE] = []
        self._stop_news: CALLBACK_TYPE = _nothing
        self._known = (last.snapshot.reported, last.snapshot.vehicle_state.car_version)
        """What was ever reported, and the firmware, when the listeners of news were called last."""
        self._clock_of_car = CarClock()
        self._untold: Sample | None = None
        """The state that the journal has not heard of: a look that follows at once says more."""
        self._looked_at = 0
        """When the last look was made that the journal heard of, epoch seconds by the car's clock."""
        self._came_at = {name: _clock_at(at) for name, at in last.block_at.items()}
        """When each block last came (monotonic): no step of the wall clock makes one older or newer."""
        self.data = VehicleData(last.state, last.snapshot, last.data_at, last.contact_at, {}, 0.0, last.block_at)
        self.data = self._told(self.data)

    def _polled[T](
        self, name: str, ask: Callable[[], Awaitable[T]], *, worth: Callable[[], bool], known: Callable[[], T | None]
    ) -> DetailCoordinator[T]:
        """Return a coordinator of a detail, which asks nothing unless an entity is there for it."""
        return DetailCoordinator(
            self.hass,
            self.config_entry,
            lambda: self.subject,
            self.troubles,
            self.details,
            name,
            ask=ask,
            worth=lambda: worth() and self._budget.may_look,
            known=known,
        )

    @property
    @override
    def subject(self) -> Subject:
        return Subject(self.vin, self.vehicle_name)

    @property
    def ledger(self) -> Ledger:
        """What the requests about this car come to."""
        return self._budget.ledger(self.vin)

    @property
    def polling(self) -> PollingState:
        """What the polling rule knows, for diagnostics."""
        return self._memory.polling

    @property
    def asked_by_others(self) -> bool:
        """Whether there are signs of requests about the car that are not ours, for diagnostics."""
        return rule.asked_by_others(self.polling, self._moment())

    @property
    def next_request(self) -> rule.Request:
        """The next request, and why it is the next."""
        return rule.next_request(self.polling, self._moment(), self._budget.mode, self._budget.step(self.vin))

    @property
    def last_values(self) -> LastValues:
        """What is kept across restarts."""
        data = self.data
        return LastValues(
            data.state,
            self._base,
            data.data_at,
            data.contact_at,
            self.ledger,
            data.block_at,
            self._memory.to_json(self._moment()),
        )

    @property
    def vehicle_name(self) -> str:
        """The name its owner gave to the car, or the end of its VIN."""
        snapshot = self.data.snapshot
        return snapshot.vehicle_state.vehicle_name or snapshot.vehicle.display_name or f"Tesla {self.vin[-6:]}"

    @property
    def signs(self) -> bool:
        """Whether Tesla says that the car takes signed commands alone."""
        return self.data.snapshot.vehicle.command_signing == "required"

    def count(self, category: Category) -> None:
        """Count a request about this car that somebody else made."""
        self._budget.count(self.vin, category)

    @callback
    def assume(self, values: Mapping[str, object]) -> None:
        """Show values that a command has set, until the car says otherwise in answer to a later question."""
        self._assumed.set_by_command(values, time.monotonic())
        self._show_anew()

    @contextmanager
    def expecting(self, values: Mapping[str, object]) -> Iterator[None]:
        """Show values that a command is about to set while it is under way; the old ones again when it has ended."""
        if not values:
            yield
            return
        try:
            with self._assumed.expecting(values):
                self._show_anew()
                yield
        finally:
            self._show_anew()

    @contextmanager
    def commanding(self) -> Iterator[None]:
        """While a command is under way, show a car that is known to be asleep as waking: the command will wake it."""
        self._commands += 1
        if self.data.state is CarState.ASLEEP:
            self._show_anew()
        try:
            yield
        finally:
            self._commands -= 1
            if self.data.waking:
                self._show_anew()

    @callback
    def note_answered(self) -> None:
        """Take in that the car carried out a command: it is awake."""
        if self.data.state is not CarState.ONLINE:
            self.note_look(AWAKE)

    @callback
    def note_waking(self, waking: bool) -> None:  # noqa: FBT001 - a value
        """Show that a command wakes the car, or no longer does."""
        self._waking = waking
        self._show_anew()

    @callback
    def note_look(self, answer: Snapshot) -> None:
        """Take in what somebody else learnt who asked after the car's state."""
        self.note_listed(answer)
        self.async_update_listeners()

    def _show_anew(self) -> None:
        self.data = self._told(self.data)
        self.async_update_listeners()

    @callback
    def listen_to_news(self, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Have `listener` called when the car reports what it never did, or has other firmware; return how to stop."""
        if not self._news:
            self._stop_news = self.async_add_listener(self._look_for_news)
        self._news.append(listener)

        @callback
        def stop() -> None:
            self._news.remove(listener)
            if not self._news:
                self._stop_news()

        return stop

    @callback
    def _look_for_news(self) -> None:
        snapshot = self.data.snapshot
        known = (snapshot.reported, snapshot.vehicle_state.car_version)
        if known != self._known:
            self._known = known
            for listener in list(self._news):
                listener()

    @callback
    def want_look(self) -> None:
        """Make the next refresh ask for everything. Does not wake the car."""
        self._wanted = True

    @override
    async def async_request_refresh(self) -> None:
        """Look now: the owner asked."""
        self.want_look()
        await super().async_request_refresh()

    async def async_hint(self) -> None:
        """Look now and a few times more: a drive or charge probably begins or ends. Does not wake the car."""
        self._remember(rule.hinted(self.polling, self._moment()))
        await super().async_request_refresh()

    @callback
    def note_listed(self, listed: Snapshot) -> None:
        """Take in what the list of products says of this car, which saves the question after its state."""
        self.data = self._told(self._with_state(self.data, listed, listed=True))
        self.tell_journal()

    @override
    async def _read(self) -> VehicleData:
        if self._wanted:
            self._wanted = False
            self._remember(rule.look_wanted(self.polling, self._moment()))
        data = self.data
        try:
            for _ in range(REQUESTS_MOST):
                request = self.next_request
                if request.at <= time.monotonic() + EARLY:
                    self.data = data = await self._ask(request.ask, data)
        finally:
            self.tell_journal()
            self.data = data = self._told(data)
            self.plan(max(self.next_request.at - time.monotonic(), 0.0))
        if (error := self._trouble_now()) is not None:
            raise StillInTrouble(error)
        return data

    def _trouble_now(self) -> TeslaError | None:
        """Return the trouble that is not over. That looks are refused says nothing about a car that sleeps."""
        refused = self._refused.get(Ask.STATE)
        return refused or (self._refused.get(Ask.DATA) if self.polling.online else None)

    async def _ask(self, ask: Ask, data: VehicleData) -> VehicleData:
        """Ask Tesla. That a car sleeps or is in service is an answer, no trouble."""
        self._remember(rule.asked(self.polling, ask, self._moment()))
        try:
            data = await (self._ask_state(data) if ask is Ask.STATE else self._ask_data(data))
        except VehicleAsleep:
            self._failed(ask, Trouble.UNANSWERED)
        except VehicleInService:
            self._failed(ask, Trouble.IN_SERVICE)
        except TeslaError as error:
            self.troubles.note(self.subject, ask, error)
            self._refused[ask] = error
            self._failed(ask, trouble_of(error), error.retry_after if isinstance(error, RateLimited) else None)
            raise
        else:
            self.troubles.settle(self.vin, ask)
        return data

    async def _ask_state(self, data: VehicleData) -> VehicleData:
        answer = await self._reader.vehicle_state(self.vin, self.count)
        if answer.vehicle.state is None:
            # Else nothing would be known by it, and it would be asked again at once, for as long as that lasts
            raise UnexpectedAnswer("Tesla's answer does not say whether the car is online")
        self._refused.pop(Ask.STATE, None)
        return self._with_state(data, answer)

    async def _ask_data(self, data: VehicleData) -> VehicleData:
        asked_at = time.monotonic()
        with self._budget.under_way(self._budget.price(Category.DATA, self.vin)):
            decoded = await self._reader.vehicle_data(self.vin, self.count)
        self._refused.pop(Ask.DATA, None)
        self.malformed = decoded.malformed
        return self._with_data(data, decoded, asked_at)

    def _with_data(self, data: VehicleData, decoded: Decoded[Snapshot], asked_at: float) -> VehicleData:
        """Take in a look's answer. An answer without any block says nothing: no date moves."""
        came = fresh_blocks(decoded.snapshot)
        if not came:
            self._failed(Ask.DATA, Trouble.UNANSWERED)
            return data
        now = dt_util.utcnow()
        block_at = {**data.block_at, **dict.fromkeys(came, now)}
        self._came_at |= dict.fromkeys(came, time.monotonic())
        self._base = without(merge(self._base, decoded.snapshot), self._gone())
        self._assumed.answered(asked_at)
        observation = observed_in(decoded.snapshot, came)
        self._remember(rule.data_answered(self.polling, observation, self._moment()))
        self._audience.data_received()
        seen_at = self._seen_at(decoded.snapshot)
        self._tell_of_look(sample_of(decoded.snapshot, came, observation.reasons, seen_at))
        return changed(data, state=CarState.ONLINE, data_at=now, contact_at=now, block_at=block_at)

    def _with_state(self, data: VehicleData, answer: Snapshot, *, listed: bool = False) -> VehicleData:
        """Take in the vehicle object of an answer; `listed`, when it came with the list of products."""
        if (state := answer.vehicle.state) is None:
            return data
        now = self._moment()
        self._memory = self._memory.noting(state is CarState.ASLEEP, now)
        tell = rule.state_told if listed else rule.state_answered
        polling = tell(self.polling, online=state is CarState.ONLINE, asleep=state is CarState.ASLEEP, now=now)
        self._remember(polling)
        self._base = merge(self._base, answer)
        self.tell_journal()
        self._untold = state_sample(state, self._seen_at(answer))
        return changed(data, state=state, contact_at=dt_util.utcnow())

    @callback
    def tell_journal(self) -> None:
        """Have the journal hear of the state that was seen last: no look follows, or another state came before it."""
        if (sample := self._untold) is not None:
            self._untold = None
            self._audience.seen(self.vin, sample)

    def _tell_of_look(self, look: Sample) -> None:
        """Have the journal hear of a look, and of the state before it when the look is an old one told again."""
        if look.has_data and look.at > self._looked_at:
            self._untold = None
        self._looked_at = look.at
        self.tell_journal()
        self._audience.seen(self.vin, look)

    def _gone(self) -> Iterable[str]:
        """Return the blocks that have stopped coming."""
        now = time.monotonic()
        return [name for name, came_at in self._came_at.items() if now - came_at > BLOCK_AGE_MOST]

    def _seen_at(self, answer: Snapshot) -> int:
        return self._clock_of_car.at(answer, time.monotonic(), time.time())

    def _failed(self, ask: Ask, trouble: Trouble, retry_after: float | None = None) -> None:
        failed = rule.state_failed if ask is Ask.STATE else rule.data_failed
        jitter = random.random()  # noqa: S311 - spreads requests, keeps no secret
        polling = failed(self.polling, trouble, self._moment(), retry_after=retry_after, jitter=jitter)
        self._remember(polling)

    def _remember(self, polling: PollingState) -> None:
        """Keep what the rule knows; without times and places when the owner does not want them learned."""
        if polling.learnt is not self.polling.learnt and not self._budget.learns_habits:
            polling = rule.without_habits(polling)
        self._memory = self._memory.with_polling(polling)

    @callback
    def options_changed(self) -> None:
        """Forget at once what the owner does not want learned, and show what follows from the other options."""
        self._forget_unwanted_habits()
        self.data = self._told(self.data)
        self.async_update_listeners()

    def _forget_unwanted_habits(self) -> None:
        """Forget times and places that were learned before the owner said no, also while Home Assistant was off."""
        if not self._budget.learns_habits:
            self._memory = self._memory.with_polling(rule.without_habits(self.polling))

    def _told(self, data: VehicleData) -> VehicleData:
        """Return the data with everything that follows from what is known now."""
        month = self._budget.shown_month
        step = self._budget.step(self.vin)
        if step is not data.polling:
            self._audience.look_at_budget()
        return changed(
            data,
            snapshot=assume(self._base, self._assumed.values()),
            requests=self.ledger.page(month.month),
            cost=self._budget.cost_of_month(self.vin, month.month),
            currency=self._budget.currency,
            month_began=month.began,
            polling=step,
            awake_because=rule.awake_because(self.polling, self._moment(), self._budget.mode, step),
            asleep_today=self._memory.asleep_share,
            waking=self._waking or (self._commands > 0 and data.state is CarState.ASLEEP),
        )

    def _moment(self) -> Moment:
        wall = time.time()
        return Moment(time.monotonic(), wall, *_local(int(wall // 60), dt_util.get_default_time_zone()))


def _nothing() -> None:
    """Stop nothing: nobody has listened yet."""


@lru_cache(maxsize=8)
def _local(minute: int, zone: tzinfo) -> tuple[int, str]:
    """Return the local minute since a Monday and the date, of a minute since 1970: asked many times for each look."""
    local = dt_util.utc_from_timestamp(minute * 60).astimezone(zone)
    return ((local.toordinal() - FIRST_MONDAY) * 24 + local.hour) * 60 + local.minute, local.date().isoformat()


def _clock_at(moment: datetime) -> float:
    """Return the monotonic time of a moment; one that lies ahead is now."""
    return time.monotonic() - max((dt_util.utcnow() - moment).total_seconds(), 0.0)
