"""Asks seldom for details of a car that entities show: while one that is enabled wants them, and it is worth its price.

Alerts are asked of a car that is awake, at most four times a day (0.24 US dollars a month). Whether a car is in service
its state says for nothing; what is done there is asked only meanwhile.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from .base import EARLY, StillInTrouble, TeslaCoordinator
from .details import BudgetUsedUp, VehicleDetails
from .troubles import Subject, Troubles

INTERVAL: Final = 6 * 3600.0
"""Seconds between two questions."""
LOOK_UP: Final = 600.0
"""Seconds after which it is looked anew whether a question is worth its price. That costs nothing."""


class DetailCoordinator[T](TeslaCoordinator[T | None]):
    """What is known of one detail; None before the first answer. Home Assistant runs no timer while nobody listens."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        subject: Callable[[], Subject],
        troubles: Troubles,
        details: VehicleDetails,
        name: str,
        *,
        ask: Callable[[], Awaitable[T]],
        worth: Callable[[], bool],
        known: Callable[[], T | None],
    ) -> None:
        """Ask by `ask` while it is `worth` it; `known` is what follows without a question, None when nothing does."""
        super().__init__(hass, entry, name, timedelta(seconds=LOOK_UP), troubles)
        self._subject = subject
        self._endpoint = details.endpoint(name)
        self._endpoint.interval = INTERVAL
        self._answers = details.memory.answers
        self.data = self._answers.get(name)
        self._ask = ask
        self._worth = worth
        self._known = known

    @property
    @override
    def subject(self) -> Subject:
        return self._subject()

    @callback
    def take(self, answer: T) -> None:
        """Take in an answer that somebody else asked for."""
        self._answers[self._endpoint.name] = answer
        self._failures, self._trouble = 0, None
        self.async_set_updated_data(answer)

    @override
    async def _read(self) -> T | None:
        self.plan(LOOK_UP)
        if not self._worth():
            known = self._known()
            return self.data if known is None else known
        if self._endpoint.wait(early=EARLY):
            if (trouble := self._endpoint.trouble) is not None:
                raise StillInTrouble(trouble)
            return self.data
        try:
            with self.troubles.telling(self.subject, self._endpoint.name):
                answer = self._answers[self._endpoint.name] = await self._ask()
        except BudgetUsedUp:
            return self.data
        return answer
