"""The rules that are compared: ours in three modes, and those of others, restated.

Sources: core `tesla_fleet`: Home Assistant 2026.10, its coordinator. `tesla_custom` (alandtse/tesla): its document
POLLING_POLICY.md and teslajsonpy's constants. TeslaMate: its vehicle state machine (commit 8a692e29) without the
streaming socket, which the Fleet API does not have. Only their timings are restated, no code.
"""

from collections.abc import Callable, Mapping
from typing import Final

from custom_components.teslafi.polling import rule
from custom_components.teslafi.polling.backoff import Trouble
from custom_components.teslafi.polling.learnt import Kind
from custom_components.teslafi.polling.observation import Observation, Reason
from custom_components.teslafi.polling.pace import Mode
from custom_components.teslafi.polling.rule import Ask, Moment, PollingState

from .car import EPOCH, MONTH, Car

type Rule = Callable[[Car], None]


def moment(now: float) -> Moment:
    """Return the moment so many seconds after a Monday's midnight."""
    return Moment(now, EPOCH + now, int(now // 60))


def ours(mode: Mode) -> Rule:
    """Return our rule in a mode."""

    def run(car: Car) -> None:
        polling = PollingState(kind=Kind.OLDER if car.life.older else Kind.CURRENT)
        now = 0.0
        while True:
            here = moment(now)
            request = rule.next_request(polling, here, mode)
            if request.at > now:
                now = request.at
                here = moment(now)
            if now >= MONTH:
                return
            polling = rule.asked(polling, request.ask, here)
            if request.ask is Ask.STATE:
                online = car.state(now)
                polling = rule.state_answered(polling, online=online, asleep=not online, now=here)
            elif (observed := car.look(now)) is not None:
                polling = rule.data_answered(polling, observed, here)
            else:
                polling = rule.data_failed(polling, Trouble.UNANSWERED, here)

    return run


def _idle(observed: Observation) -> bool:
    return not observed.reasons


def tesla_fleet(car: Car) -> None:
    """Ask the state each 600 s and, if online, the data; rest older cars that have been idle for 15 minutes."""
    now, idle_since, rest_until = 0.0, None, 0.0
    while now < MONTH:
        if now >= rest_until and car.state(now) and (observed := car.look(now)) is not None and car.life.older:
            if not _idle(observed):
                idle_since = None
            elif idle_since is None or now - idle_since > 1200:
                idle_since = now
            elif now - idle_since >= 900:
                rest_until = now + 900
        now += 600


def tesla_custom(car: Car) -> None:
    """List cars each 60 s; the data of an online one each 660 s, each 60 s while driving."""
    now, looked, driving = 0.0, -1e9, False
    while now < MONTH:
        if car.state(now) and now - looked >= (60 if driving else 660):
            observed = car.look(now)
            looked, driving = now, observed is not None and observed.driving
        now += 60


def teslamate(car: Car) -> None:
    """2.5 s while driving, 5 to 20 charging, 15 else; after 15 idle minutes silent for 21; the state each 30 s."""
    now, idle_since, online = 0.0, 0.0, False
    while now < MONTH:
        if not car.state(now):
            online, now = False, now + 30
            continue
        if not online:
            online, idle_since = True, now
        observed = car.look(now)
        if observed is None:
            now += 30
            continue
        blocked = bool(observed.reasons & _BLOCKS) or observed.open
        if observed.driving:
            idle_since, now = now, now + 2.5
        elif observed.charging:
            idle_since, now = now, now + (5 if observed.fast else 20)
        elif blocked:
            idle_since, now = now, now + (30 if observed.reasons & _SLOW else 15)
        elif now - idle_since < 900:
            now += 15
        else:
            silent_until = now + 1260
            while now < silent_until and car.state(now):
                now += 30
            idle_since = now - 840


_SLOW: Final = frozenset({Reason.PRECONDITIONING, Reason.CLIMATE_KEEPER, Reason.SENTRY})
_BLOCKS: Final = frozenset({Reason.USER_PRESENT, Reason.UPDATE, *_SLOW})


def each_minute(car: Car) -> None:
    """Ask the state each 60 s and, if online, the data."""
    now = 0.0
    while now < MONTH:
        if car.state(now):
            car.look(now)
        now += 60


RULES: Final[Mapping[str, Rule]] = {
    "economy": ours(Mode.ECONOMY),
    "balanced": ours(Mode.BALANCED),
    "detailed": ours(Mode.DETAILED),
    "core tesla_fleet": tesla_fleet,
    "tesla_custom": tesla_custom,
    "TeslaMate": teslamate,
    "fixed 60 s": each_minute,
}
OURS: Final = ("economy", "balanced", "detailed")
