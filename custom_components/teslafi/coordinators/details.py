"""Asks about one car what Tesla bills beside live data: within the budget, with a memory for each endpoint."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
import time
from typing import Any, Final, cast

from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from ..const import DOMAIN
from ..polling.backoff import Trouble
from ..tesla.charging_history import ChargingHistory
from ..tesla.errors import NotFound, SignInRequired, TeslaError, VehicleAsleep
from ..tesla.reader import MOST_PAGES, Count, Reader
from ..tesla.requests import Category
from ..tesla.vehicle_details import Alert, NearbySites, ReleaseNote, ServiceVisit, VehicleOption, Warranties
from .budget import Budget
from .endpoint import Endpoint

ALERTS: Final = "recent_alerts"
SERVICE: Final = "service_data"

REMEMBERED: Final = 60.0
"""Seconds for which a question that comes again is answered as before: an automation in a loop is billed once."""
TWICE: Final = 1
"""Requests more than a question needs, held back for its repetition with another access token or in another region."""

HELD_BACK: Final = frozenset({Trouble.RATE_LIMITED, Trouble.REFUSED, Trouble.SPENDING_LIMIT})
"""Failures after which Tesla is not asked again before its wait is over, whoever asks: Tesla bills the refusal too."""


class BudgetUsedUp(Exception):
    """The owner's monthly limit leaves no room for the question; nothing was asked."""


@dataclass(slots=True)
class Question:
    """One question with its arguments, and what came of it last."""

    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    answer: Any = None
    answered_at: float | None = None
    """Monotonic."""
    failure: TeslaError | None = None
    failed: int = 0
    """How often there was no answer."""

    def remembered(self) -> bool:
        """Tell whether the last answer is new enough to be given again."""
        return self.answered_at is not None and time.monotonic() - self.answered_at < REMEMBERED


@dataclass(slots=True)
class DetailsMemory:
    """What is remembered of a car's details while Home Assistant runs: a reload is no reason to ask again."""

    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    questions: dict[tuple[object, ...], Question] = field(default_factory=dict)
    """By endpoint and arguments: those of the last minute, and those under way."""
    answers: dict[str, Any] = field(default_factory=dict)
    """The last answer of endpoints that entities show."""
    alerts_seen: frozenset[Alert] | None = None
    """Alerts that are no news any more; None before there was an answer for the entity whose events they are."""


class VehicleDetails:
    """What can be asked about a car beside its live data.

    Every method raises a TeslaError when there is no answer, BudgetUsedUp when it may not be asked for. Nothing is
    asked unless somebody asks, and nothing wakes the car.
    """

    def __init__(
        self, vin: str, reader: Reader, budget: Budget, memory: DetailsMemory, asleep: Callable[[], bool]
    ) -> None:
        """Ask with `reader`, and count in the budget's ledger of the car; `asleep` tells what is known of the car."""
        self.vin = vin
        self.offered = not reader.grant.is_feed
        """Whether there is anything to ask: TeslaFi.com's feed has none of it."""
        self._reader = reader
        self._budget = budget
        self._asleep = asleep
        self.memory = memory

    @property
    def reads_charging_history(self) -> bool:
        """Whether the owner shares paid sessions and invoices."""
        return self._reader.grant.reads_charging_history

    def endpoint(self, name: str) -> Endpoint:
        """Return the memory of an endpoint."""
        return self.memory.endpoints.setdefault(name, Endpoint(name, 0.0, 0.0))

    async def charging_history(self, begin: datetime | None, end: datetime | None) -> ChargingHistory:
        """Return the paid sessions of a span."""
        return await self._ask(
            "charging_history",
            lambda count: self._reader.charging_history(self.vin, count, begin=begin, end=end),
            begin,
            end,
            most=MOST_PAGES,
        )

    async def charging_invoice(self, content_id: str) -> bytes:
        """Return an invoice as a PDF; raise NotFound when Tesla has none of this id."""

        async def fetch(count: Count) -> bytes | None:
            try:
                return await self._reader.charging_invoice(content_id, count)
            except NotFound:
                # Says something about the id, nothing about the endpoint
                return None

        document = await self._ask("charging_invoice", fetch, content_id)
        if document is None:
            raise NotFound("Tesla has no such invoice")
        return document

    async def nearby_charging_sites(self, most: int | None, radius: int | None) -> NearbySites:
        """Return the chargers around the car, `most` of each kind within `radius` miles; the car has to be awake."""
        return await self._ask(
            "nearby_charging_sites",
            lambda count: self._reader.nearby_charging_sites(self.vin, count, most=most, radius=radius),
            most,
            radius,
            awake=True,
        )

    async def warranties(self) -> Warranties:
        """Return the car's warranties."""
        return await self._ask("warranty", lambda count: self._reader.warranties(self.vin, count))

    async def options(self) -> tuple[VehicleOption, ...]:
        """Return what the car was ordered with."""
        return await self._ask("options", lambda count: self._reader.options(self.vin, count))

    async def release_notes(self, version: str, *, staged: bool) -> tuple[ReleaseNote, ...]:
        """Return the notes of the installed software, or of the offered one; the car has to be awake.

        Tesla is not told the `version`; what it says of one is no answer to the question about the next.
        """
        return await self._ask(
            "release_notes",
            lambda count: self._reader.release_notes(self.vin, count, staged=staged),
            version,
            staged,
            awake=True,
        )

    async def recent_alerts(self) -> tuple[Alert, ...]:
        """Return the car's recent alerts, as Tesla orders them."""
        return await self._ask(ALERTS, lambda count: self._reader.recent_alerts(self.vin, count))

    async def service_visit(self) -> ServiceVisit:
        """Return the visit to a service center, empty when there is none."""
        return await self._ask(SERVICE, lambda count: self._reader.service_visit(self.vin, count))

    async def _ask[T](
        self,
        name: str,
        read: Callable[[Count], Awaitable[T]],
        *arguments: object,
        most: int = 1,
        awake: bool = False,
    ) -> T:
        """Ask one endpoint, which up to `most` requests answer; `awake`: only the car itself can.

        The same question within a minute gets the same answer. Who asks it while it is under way shares what comes
        of it, a failure too.
        """
        question = self._question(name, *arguments)
        failed = question.failed
        async with question.asking:
            if question.remembered():
                return cast("T", question.answer)
            if question.failure is not None and question.failed != failed:
                raise question.failure
            if awake and self._asleep():
                raise VehicleAsleep("The car is asleep or offline")
            try:
                question.answer = answer = await self._ask_tesla(name, read, most)
            except TeslaError as error:
                question.failure, question.failed = error, question.failed + 1
                raise
            question.answered_at = time.monotonic()
            return answer

    def _question(self, *asked: object) -> Question:
        """Return the memory of a question, and forget those that are over."""
        questions = self.memory.questions
        over = [key for key, one in questions.items() if not one.remembered() and not one.asking.locked()]
        for key in over:
            del questions[key]
        return questions.setdefault(asked, Question())

    async def _ask_tesla[T](self, name: str, read: Callable[[Count], Awaitable[T]], most: int) -> T:
        endpoint = self.endpoint(name)
        if (error := _held_back(endpoint)) is not None:
            raise error
        price = self._budget.price(Category.DETAILS) * (most + TWICE)
        if not self._budget.may_spend_on(price):
            raise BudgetUsedUp
        with self._budget.under_way(price):
            return await endpoint.ask(read(self._count))

    def _count(self, category: Category) -> None:
        self._budget.count(self.vin, category)


def _held_back(endpoint: Endpoint) -> TeslaError | None:
    """Return the refusal that still stands."""
    stands = endpoint.backoff.trouble in HELD_BACK and not endpoint.backoff.due(time.monotonic())
    return endpoint.trouble if stands else None


def refusal(error: TeslaError | BudgetUsedUp, name: str) -> HomeAssistantError:
    """Return Home Assistant's exception for a question about the car `name` that was not answered."""
    if isinstance(error, BudgetUsedUp):
        return ServiceValidationError(translation_domain=DOMAIN, translation_key="budget_reached")
    if isinstance(error, SignInRequired):
        return HomeAssistantError(translation_domain=DOMAIN, translation_key=f"sign_in_{error.reason}")
    return HomeAssistantError(
        translation_domain=DOMAIN, translation_key=error.key, translation_placeholders={"name": name}
    )
