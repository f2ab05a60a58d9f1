"""A car that lives, Tesla that fails, clocks that jump, and the rule between them, with every request written down."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from custom_components.teslafi.polling import rule
from custom_components.teslafi.polling.backoff import Trouble
from custom_components.teslafi.polling.budget import Spending, steps
from custom_components.teslafi.polling.ledger import Ledger
from custom_components.teslafi.polling.pace import Mode, Step
from custom_components.teslafi.polling.rule import Ask, Moment, PollingState, Request
from custom_components.teslafi.tesla.requests import PRICES_USD, Category, Currency, cost_of
from tests.bench.policy.car import EPOCH, Car, Life

BILLED = frozenset(Trouble) - {Trouble.NETWORK, Trouble.SERVER}


@dataclass(frozen=True)
class Fault:
    """Tesla answers one kind of request with trouble for a while."""

    start: float
    seconds: float
    ask: Ask
    trouble: Trouble
    retry_after: float | None = None


@dataclass(frozen=True)
class Suspension:
    """The machine sleeps, and the monotonic clock goes on."""

    at: float
    seconds: float


@dataclass(frozen=True)
class Storm:
    """A sign comes after each request for a quarter of an hour: a door that flaps, an automation gone wild."""

    start: float
    sign: Callable[[PollingState, Moment], PollingState]
    seconds: float = 900.0


@dataclass
class Sent:
    """One request as it went out, with what was known then."""

    at: float
    ask: Ask
    due: float
    trouble: Trouble | None = None
    online: bool | None = None
    on_the_move: bool = False
    """Whether the last look saw it drive or charge."""


@dataclass
class World:
    """Polls a car by the rule."""

    life: Life
    quiet: float = 540.0
    mode: Mode = Mode.BALANCED
    limit: float | None = None
    faults: Sequence[Fault] = ()
    wall: Callable[[float], float] = lambda clock: EPOCH + clock
    """The wall clock's answer at a monotonic moment; clocks jump."""
    disturbances: Sequence[Suspension | Storm] = ()
    polling: PollingState = field(default_factory=PollingState)
    ledger: Ledger = field(default_factory=Ledger)
    now: float = 0.0
    sent: list[Sent] = field(default_factory=list)
    most_ahead: float = 0.0
    """The longest that the next request was ever away."""
    billed: int = 0

    def __post_init__(self) -> None:
        """Give birth to the car."""
        self._slept: list[Suspension] = []
        self.car = Car(self.life, self.quiet)

    def moment(self, at: float) -> Moment:
        """Return what the clocks show."""
        wall = self.wall(at)
        return Moment(at, wall, int((wall - EPOCH) // 60))

    def step(self, here: Moment) -> Step:
        """Return what the limit leaves of the mode."""
        usual = None if self.limit is None else self.ledger.usual_day(here.wall)
        price = PRICES_USD[Category.DATA]
        spending = Spending(
            cost_of(self.ledger.counts(here.wall), Currency.USD), None if usual is None else usual * price, price
        )
        return steps(self.limit, {"car": spending}, here.wall)["car"]

    def next_request(self) -> Request:
        """Ask the rule."""
        here = self.moment(self.now)
        return rule.next_request(self.polling, here, self.mode, self.step(here))

    def run(self, seconds: float, *, between: Callable[[World], None] = lambda _: None) -> World:
        """Poll for so long."""
        until = self.now + seconds
        while True:
            request = self.next_request()
            self.most_ahead = max(self.most_ahead, request.at - self.now)
            if request.at >= until:
                self.now = until
                return self
            self.now = max(self.now, request.at)
            self._send(request)
            between(self)
            self._disturb()

    def _disturb(self) -> None:
        for storm in self.disturbances:
            if isinstance(storm, Storm) and storm.start <= self.now < storm.start + storm.seconds:
                self.polling = storm.sign(self.polling, self.moment(self.now))
        for suspension in self.disturbances:
            if isinstance(suspension, Suspension) and suspension.at <= self.now and suspension not in self._slept:
                self._slept.append(suspension)
                self.now += suspension.seconds

    def _send(self, request: Request) -> None:
        here = self.moment(self.now)
        self.polling = rule.asked(self.polling, request.ask, here)
        before = self.polling.observed
        on_the_move = before.driving or before.charging
        sent = Sent(self.now, request.ask, request.at, online=self.polling.online, on_the_move=on_the_move)
        self.sent.append(sent)
        fault = next(
            (f for f in self.faults if f.ask is request.ask and f.start <= self.now < f.start + f.seconds), None
        )
        if fault is not None:
            sent.trouble = fault.trouble
            self._count(request.ask, billed=fault.trouble in BILLED)
            failed = rule.state_failed if request.ask is Ask.STATE else rule.data_failed
            self.polling = failed(self.polling, fault.trouble, here, retry_after=fault.retry_after, jitter=0.3)
            return
        self._count(request.ask, billed=True)
        if request.ask is Ask.STATE:
            online = self.car.state(self.now)
            self.polling = rule.state_answered(self.polling, online=online, asleep=not online, now=here)
        elif (observed := self.car.look(self.now)) is not None:
            self.polling = rule.data_answered(self.polling, observed, here)
        else:
            sent.trouble = Trouble.UNANSWERED
            self.polling = rule.data_failed(self.polling, Trouble.UNANSWERED, here)

    def _count(self, ask: Ask, *, billed: bool) -> None:
        if billed:
            self.billed += ask is Ask.DATA
            category = Category.DATA if ask is Ask.DATA else Category.STATE
            self.ledger = self.ledger.counted(category, self.wall(self.now))

    def times(self, ask: Ask) -> list[float]:
        """Return when requests of a kind went out."""
        return [sent.at for sent in self.sent if sent.ask is ask]
