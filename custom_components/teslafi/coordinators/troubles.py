"""What is wrong at present, by car, site or account and by endpoint: told once in the log and once as a repair.

A success tells of the endpoint alone that it came from. A trouble of one kind makes one line in the log when it begins
anywhere in the account and one when it is over everywhere, however many cars and sites share it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

import aiohttp
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from ..const import LOGGER
from ..issues import delete_issue, issue_of, raise_issue
from ..polling.backoff import Trouble
from ..tesla.errors import (
    BillingLimitReached,
    RateLimited,
    TeslaError,
    Unreachable,
    VehicleAsleep,
    VehicleInService,
)

WORTH_A_LINE: Final = 3
"""Failures in a row of one endpoint after which Tesla being out of reach is worth a line; one lost answer is not."""


class Subject(NamedTuple):
    """A car, a site or the account: `key` is the VIN, the number or "", `name` what its owner calls it."""

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class _Noted:
    """The last failure of one endpoint, and how many there were in a row."""

    subject: Subject
    error: TeslaError
    times: int


class Troubles:
    """The present troubles of one account. They outlast a reload, so that it makes no repair come and go."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        """Begin with none."""
        self._hass = hass
        self._entry = entry
        self._noted: dict[tuple[str, str], _Noted] = {}
        self._told: dict[str, str] = {}

    @contextmanager
    def telling(self, subject: Subject, endpoint: str) -> Iterator[None]:
        """Take in how the request inside ends. That a car sleeps or is in service is an answer, no trouble."""
        try:
            yield
        except VehicleAsleep, VehicleInService:
            raise
        except TeslaError as error:
            self.note(subject, endpoint, error)
            raise
        self.settle(subject.key, endpoint)

    @callback
    def note(self, subject: Subject, endpoint: str, error: TeslaError) -> None:
        """Take in a failure: raise its repair, if it has one, and withdraw that of another trouble before it."""
        place = (subject.key, endpoint)
        before = self._noted.get(place)
        self._noted[place] = _Noted(subject, error, before.times + 1 if before else 1)
        if before is not None and type(before.error) is not type(error):
            self._withdraw(before)
        raise_issue(self._hass, self._entry, error, key=subject.key, name=subject.name)
        self._tell()

    @callback
    def settle(self, key: str, endpoint: str) -> None:
        """Take in that an endpoint answered about a car, a site or the account."""
        if (noted := self._noted.pop((key, endpoint), None)) is not None:
            self._withdraw(noted)
            self._tell()

    @callback
    def forget(self, key: str) -> None:
        """Let go of a car or site that went."""
        for place in [place for place in self._noted if place[0] == key]:
            self._withdraw(self._noted.pop(place))
        self._tell()

    def _withdraw(self, noted: _Noted) -> None:
        """Delete a repair that no endpoint has a reason for any more."""
        issue_id = issue_of(self._entry, noted.error, noted.subject.key)
        reasons = (issue_of(self._entry, other.error, other.subject.key) for other in self._noted.values())
        if issue_id is not None and issue_id not in reasons:
            delete_issue(self._hass, issue_id)

    def _tell(self) -> None:
        now = {kind: noted for noted in self._noted.values() if (kind := _kind(noted)) is not None}
        for kind in now.keys() - self._told.keys():
            self._told[kind] = str(now[kind].error)
            LOGGER.warning(
                "Trouble with %s: %s (first %s)", self._entry.title, self._told[kind], now[kind].subject.name
            )
        for kind in self._told.keys() - now.keys():
            LOGGER.info("Trouble with %s is over: %s", self._entry.title, self._told.pop(kind))


def _kind(noted: _Noted) -> str | None:
    """Return which line of the log tells of this, None when it is not worth one yet."""
    if isinstance(noted.error, Unreachable):
        return Unreachable.key if noted.times >= WORTH_A_LINE else None
    return noted.error.key


def trouble_of(error: TeslaError) -> Trouble:
    """Return what a failure means for the next attempt."""
    if isinstance(error, Unreachable):
        network = isinstance(error.__cause__, aiohttp.ClientError | TimeoutError)
        return Trouble.NETWORK if network else Trouble.SERVER
    return next((trouble for kind, trouble in _TROUBLES if isinstance(error, kind)), Trouble.REFUSED)


_TROUBLES: Final[tuple[tuple[type[TeslaError], Trouble], ...]] = (
    (RateLimited, Trouble.RATE_LIMITED),
    (BillingLimitReached, Trouble.SPENDING_LIMIT),
    (VehicleInService, Trouble.IN_SERVICE),
    (VehicleAsleep, Trouble.UNANSWERED),
)
