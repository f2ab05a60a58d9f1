"""One command, from press to record: code, budget, gate, and a look at the car to see what came of it."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.dispatcher import async_dispatcher_connect, async_dispatcher_send
from homeassistant.helpers.event import async_call_later
from homeassistant.util import dt as dt_util

from ..const import DOMAIN, EVENT_COMMAND, LOGGER
from ..coordinators.account import AccountCoordinator
from ..coordinators.vehicle import VehicleCoordinator
from ..finite import ensure_finite
from ..subject import subject_of
from ..tesla.commander import UNSIGNED, Answer, Hold
from ..tesla.errors import CommandRefused, CommandUncertain, TeslaError
from ..tesla.requests import PRICES_USD, Category
from ..tesla.snapshot import CarState
from .audit import AuditReporter
from .code_check import CodeCheck
from .commands import shown_parameters
from .coordinator import ControlsCoordinator
from .gate import Forbidden, GateShut
from .record import CommandRecord, user_id
from .sentences import outcome_of, sentence

LOOK_AFTER: Final = 3.0
"""Seconds after a command at which the car is asked what came of it."""
REQUESTS: Final = 2
"""Requests for which a command holds money: its own, and one before it to agree on a session or with a dead token."""
GIVEN_UP: Final = "Whoever called gave up while it was under way: it may have been carried out"


class CommandSender:
    """Sends commands for entities and actions, and tells of the outcome."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        account: AccountCoordinator,
        coordinator: ControlsCoordinator,
        code: CodeCheck,
        audit: AuditReporter,
        companion: str,
    ) -> None:
        """Send through the coordinator's gate; `companion` is the companion's address, for sentences."""
        self._hass = hass
        self._entry = entry
        self._account = account
        self._coordinator = coordinator
        self._gate = coordinator.gate
        self._code = code
        self._audit = audit
        self._companion = companion
        self._looks: dict[str, CALLBACK_TYPE] = {}
        self._closed = False

    async def async_command(
        self,
        vin: str,
        name: str,
        parameters: Mapping[str, Any],
        *,
        context: Context | None,
        entity_id: str | None = None,
        code: str | None = None,
        assumed: Mapping[str, object] | None = None,
        shown_before: bool = True,
    ) -> Answer:
        """Send a command to a car for somebody; `assumed` is what the car will report if all went well.

        With `shown_before` that is shown from the press on, and what was shown before again when the command fails.
        Raise ServiceValidationError when it is not sent, HomeAssistantError when it was not carried out.
        """
        ensure_finite(parameters)
        vehicle = self._account.vehicles[vin]
        cost = 0.0

        def count(category: Category) -> None:
            nonlocal cost
            cost += PRICES_USD[category]
            vehicle.count(category)

        assumed, under_way = assumed or {}, False
        with vehicle.commanding(), vehicle.expecting(assumed if shown_before else {}):
            record = await self._record(vin, name, parameters, context, entity_id)
            try:
                await self._code.async_check(name, parameters, context, code)
                with self._reserving(vehicle) as waking:
                    under_way = True
                    answer = await self._gate.command(vin, name, parameters, count, signed=vehicle.signs, waking=waking)
            except (GateShut, Forbidden, TeslaError, HomeAssistantError) as error:
                said = self._sentence(error, vehicle.vehicle_name)
                self._tell(record, context, error, said, cost=cost)
                self._look_soon(vehicle, error)
                raise said from error
            except asyncio.CancelledError:
                if under_way:
                    given_up = CommandUncertain(GIVEN_UP)
                    self._tell(record, context, given_up, self._sentence(given_up, vehicle.vehicle_name), cost=cost)
                    self._look_soon(vehicle, given_up)
                raise
            self._tell(record, context, cost=cost)
            vehicle.assume(assumed)
            if name not in UNSIGNED:
                vehicle.note_answered()
        self._look_soon(vehicle)
        return answer

    async def async_command_site(
        self,
        site_id: int,
        name: str,
        parameters: Mapping[str, Any],
        *,
        context: Context | None,
        entity_id: str | None = None,
    ) -> Answer:
        """Send a command to an energy site for somebody; raise as `async_command` does."""
        ensure_finite(parameters)
        site = self._account.sites[site_id]
        record = await self._record(str(site_id), name, parameters, context, entity_id)
        try:
            answer = await self._gate.command_site(site_id, name, parameters)
        except (GateShut, Forbidden, TeslaError) as error:
            said = self._sentence(error, site.site_name)
            self._tell(record, context, error, said)
            if isinstance(error, CommandUncertain | CommandRefused):
                await site.async_look_at_settings()
            raise said from error
        except asyncio.CancelledError:
            given_up = CommandUncertain(GIVEN_UP)
            self._tell(record, context, given_up, self._sentence(given_up, site.site_name))
            raise
        self._tell(record, context)
        await site.async_look_at_settings()
        return answer

    def async_on_command(self, target: str, told: Callable[[CommandRecord], None]) -> CALLBACK_TYPE:
        """Call `told` after each command to a car (VIN) or energy site (number); return how to stop."""
        return async_dispatcher_connect(self._hass, self._signal(target), told)

    def close(self) -> None:
        """Call off the looks that are still to come, and let none begin any more."""
        self._closed = True
        for vin in list(self._looks):
            self._cancel_look(vin)

    @contextmanager
    def _reserving(self, vehicle: VehicleCoordinator) -> Iterator[Hold]:
        """Hold the money for a command until it has ended; raise Forbidden when the month has none left.

        What is given holds the money for waking: from now on for a car that is known to sleep, else when it turns out
        that it does, which raises Forbidden then.
        """
        budget = self._account.budget
        command, wake = REQUESTS * budget.price(Category.COMMAND), budget.price(Category.WAKE)
        asleep = vehicle.data.state not in (None, CarState.ONLINE)
        with self._holding(command + wake if asleep else command):
            yield nullcontext if asleep else partial(self._holding, wake)

    @contextmanager
    def _holding(self, price: float) -> Iterator[None]:
        budget = self._account.budget
        if not budget.may_spend_on(price):
            raise Forbidden("budget_reached")
        with budget.under_way(price):
            yield

    def _look_soon(self, vehicle: VehicleCoordinator, error: Exception | None = None) -> None:
        """Ask the car in a moment what came of it; not when nothing was sent."""
        if self._closed or (error is not None and not isinstance(error, CommandUncertain | CommandRefused)):
            return

        async def look(_now: datetime) -> None:
            self._looks.pop(vehicle.vin, None)
            await vehicle.async_request_refresh()

        self._cancel_look(vehicle.vin)
        self._looks[vehicle.vin] = async_call_later(self._hass, LOOK_AFTER, look)

    def _cancel_look(self, vin: str) -> None:
        if (cancel := self._looks.pop(vin, None)) is not None:
            cancel()

    async def _record(
        self, target: str, name: str, parameters: Mapping[str, Any], context: Context | None, entity_id: str | None
    ) -> CommandRecord:
        caller = user_id(context)
        user = await self._hass.auth.async_get_user(caller) if caller else None
        who = (user.name or caller or "") if user else "Home Assistant"
        return CommandRecord(dt_util.utcnow(), who, target, name, shown_parameters(parameters), entity_id=entity_id)

    def _tell(
        self,
        record: CommandRecord,
        context: Context | None,
        error: Exception | None = None,
        said: HomeAssistantError | None = None,
        *,
        cost: float = 0.0,
    ) -> None:
        """Tell the activity and the event entity, and the companion's audit log with the next occasion."""
        told = replace(record, **outcome_of(error, said), cost_usd=cost)
        if isinstance(error, CommandRefused):
            LOGGER.warning("%s was refused, in the words of car or site: %s", record.command, error.reason)
        subject = subject_of(self._hass, self._entry.entry_id, record.target, record.entity_id)
        self._hass.bus.async_fire(EVENT_COMMAND, {**told.activity(), **subject}, context=context)
        async_dispatcher_send(self._hass, self._signal(record.target), told)
        self._audit.add(told)
        if self._coordinator.is_open:
            self._audit.report_soon()

    def _sentence(self, error: Exception, target: str) -> HomeAssistantError:
        if isinstance(error, GateShut):
            self._coordinator.look_at_gate()
        return sentence(error, target=target, companion=self._companion)

    def _signal(self, target: str) -> str:
        return f"{DOMAIN}_command_{self._entry.entry_id}_{target}"
