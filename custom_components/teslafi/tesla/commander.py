"""Sends commands to cars and energy sites: each once, and says truly what is known of the outcome.

Whoever commands holds a `Commander`; only `controls/gate.py` makes one. Signed and unsigned commands go through
`tesla-fleet-api`, by Tesla's Vehicle Command Protocol or its REST form ("Vehicle commands").

A command that Tesla or the car certainly did not carry out may be sent again after its obstacle is gone (asleep, an old
access token, another region, the other way of sending). Anything else that brings no answer is uncertain, and is not
repeated.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from tesla_fleet_api.tesla.energysite import EnergySite
from tesla_fleet_api.tesla.vehicle.fleet import VehicleFleet

from .compat import SignedCar
from .errors import (
    CommandUncertain,
    KeyNotPaired,
    NotAwake,
    SigningRequired,
    SigningUnknown,
    Unreachable,
    VehicleAsleep,
    VehicleBusy,
    VehicleSilent,
    refusal,
)
from .exchange import Caller
from .requests import Category
from .session import GrantSession
from .snapshot import CarState, Snapshot

HANDSHAKE_TRIES: Final = 4
HANDSHAKE_PAUSE: Final = 2.0
"""After a wake-up the security computer answers before the infotainment computer does."""
WAKE_LOOKS: Final = (2.0,) * 10 + (4.0,) * 10
"""Pauses in seconds before each free look at a car that was woken; after the last it counts as not awake."""
BLIND_LOOKS: Final = 3
"""Looks without an answer after which waking is given up: Tesla is out of reach."""

SECURITY_COMMANDS: Final = frozenset(
    {
        "actuate_trunk",
        "charge_port_door_close",
        "charge_port_door_open",
        "door_lock",
        "door_unlock",
        "remote_start_drive",
    }
)
"""Commands of the security computer; all others are the infotainment computer's."""
UNSIGNED: Final = frozenset({"navigation_request"})
"""Commands that Tesla's server works off, and that go out unsigned to every car."""
SIGNED_ONLY: Final = frozenset({"media_volume_up", "set_keep_accessory_power_mode", "set_low_power_mode"})

type Count = Callable[[Category], None]
type Look = Callable[[str, Count], Awaitable[Snapshot]]
type Sleep = Callable[[float], Awaitable[None]]
type WakingTold = Callable[[str, bool], None]
type Hold = Callable[[], AbstractContextManager[None]]
type Answer = Mapping[str, Any]


def _untold(_vin: str, _waking: bool) -> None:  # noqa: FBT001 - a value
    """Tell nobody."""


class Commander:
    """Sends commands with one grant and one command key. Every method raises a TeslaError."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        session: GrantSession,
        key: EllipticCurvePrivateKey | None,
        look: Look,
        sleep: Sleep = asyncio.sleep,
        waking_told: WakingTold = _untold,
    ) -> None:
        """Use the grant that `session` keeps valid; `look` asks whether a car is awake, free of charge.

        `waking_told` hears when a car begins to be woken, and when that has ended either way.
        """
        self._caller = Caller(http, session, key)
        self._key = key
        self._look = look
        self._sleep = sleep
        self._waking_told = waking_told
        self._signed: dict[str, SignedCar] = {}
        self._speaks: dict[str, bool] = {}
        self._waking: dict[str, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """Give up waking."""
        for task in self._waking.values():
            task.cancel()

    async def send(
        self,
        vin: str,
        name: str,
        parameters: Mapping[str, Any],
        count: Count,
        *,
        signed: bool,
        still_allowed: Callable[[], Awaitable[object]],
        waking: Hold = nullcontext,
    ) -> Answer:
        """Send a command to a car that is thought awake, waking it when it is not; return the answer's body.

        `signed` is what Tesla says of the car; the car's own refusal of one way is believed, and the other taken.
        Waking takes up to a minute and costs more than a command: it is done within `waking`, which raises when it may
        not be, and `still_allowed` is asked after it, which raises when the command may not go any more.
        """
        sign = (self._speaks.get(vin, signed) or name in SIGNED_ONLY) and name not in UNSIGNED
        try:
            return await self._try(vin, name, parameters, count, sign=sign)
        except VehicleAsleep:
            # Refused before it reached the car
            with waking():
                await self.wake(vin, count)
            await still_allowed()
        except SigningRequired:
            self._speaks[vin] = sign = True
        except SigningUnknown:
            self._speaks[vin] = sign = False
        return await self._try(vin, name, parameters, count, sign=sign)

    async def wake(self, vin: str, count: Count) -> None:
        """Wake a car once, whoever else waits for it, and wait until it is awake; raise NotAwake after a minute."""
        if (task := self._waking.get(vin)) is None:
            task = self._waking[vin] = asyncio.ensure_future(self._wake(vin, count))
            task.add_done_callback(lambda done: self._woken(vin, done))
        await asyncio.wait([task])
        if task.cancelled():
            raise NotAwake("Waking was given up")
        task.result()

    def _woken(self, vin: str, task: asyncio.Task[None]) -> None:
        """Free the place; look at the outcome, which every caller may have stopped waiting for."""
        del self._waking[vin]
        if not task.cancelled():
            task.exception()

    async def _wake(self, vin: str, count: Count) -> None:
        self._waking_told(vin, True)  # noqa: FBT003 - a value
        try:
            await self._wake_and_wait(vin, count)
        finally:
            self._waking_told(vin, False)  # noqa: FBT003 - a value

    async def _wake_and_wait(self, vin: str, count: Count) -> None:
        try:
            await self._caller.ask(lambda: VehicleFleet(self._caller.api, vin).wake_up(), partial(count, Category.WAKE))
        except (Unreachable, VehicleAsleep) as error:
            # Whether it wakes is seen by looking at it
            if not error.delivered:
                raise
        blind = 0
        for pause in WAKE_LOOKS:
            await self._sleep(pause)
            try:
                looked = await self._look(vin, count)
            except Unreachable:
                blind += 1
                if blind == BLIND_LOOKS:
                    raise
                continue
            if looked.vehicle.state is CarState.ONLINE:
                return
        raise NotAwake("The car did not wake up")

    async def send_to_site(self, site_id: int, name: str, parameters: Mapping[str, Any]) -> Answer:
        """Send a command to an energy site, for which Tesla sends no bill."""
        site = EnergySite(self._caller.api, site_id)
        return _outcome_at_site(await self._command(lambda: getattr(site, name)(**parameters)))

    async def _try(self, vin: str, name: str, parameters: Mapping[str, Any], count: Count, *, sign: bool) -> Answer:
        if sign and self._key is None:
            raise KeyNotPaired("There is no command key")
        vehicle = await self._met(vin, name, count) if sign else VehicleFleet(self._caller.api, vin)
        answer = await self._command(lambda: getattr(vehicle, name)(**parameters), partial(count, Category.COMMAND))
        return _outcome(answer)

    async def _met(self, vin: str, name: str, count: Count) -> SignedCar:
        """Return the car with a session of the computer that works the command off."""
        vehicle = self._signed.get(vin)
        if vehicle is None:
            vehicle = self._signed[vin] = SignedCar(self._caller.api, vin)
        security = name in SECURITY_COMMANDS
        for left in reversed(range(HANDSHAKE_TRIES)):
            if vehicle.has_met(security=security):
                break
            try:
                await self._caller.ask(lambda: vehicle.meet(security=security), partial(count, Category.COMMAND))
            except Unreachable, VehicleBusy, CommandUncertain:
                if not left:
                    raise Unreachable("The car's computer does not answer") from None
                await self._sleep(HANDSHAKE_PAUSE)
        return vehicle

    async def _command(
        self, request: Callable[[], Awaitable[object]], count: Callable[[], None] | None = None
    ) -> object:
        """Send what commands; when nobody knows what became of it, say so."""
        try:
            return await self._caller.ask(request, count)
        except (Unreachable, VehicleSilent) as error:
            if error.delivered:
                raise CommandUncertain("No usable answer: it may have been carried out") from error
            raise Unreachable("Nothing was sent") from error


def _outcome(answer: object) -> Answer:
    """Read what a car says of a command: done, or not done. Anything else says nothing."""
    body = answer.get("response") if isinstance(answer, dict) else None
    if isinstance(body, dict) and body.get("result") is True:
        return body
    if isinstance(body, dict) and body.get("result") is False:
        raise refusal(body.get("reason"))
    raise CommandUncertain("An answer that says nothing")


def _outcome_at_site(answer: object) -> Answer:
    """Read what Tesla says of a command to a site: a code, a result, or the empty text for done."""
    if not isinstance(answer, dict) or "response" not in answer:
        raise CommandUncertain("An answer that says nothing")
    body = answer["response"]
    if body == "":
        return {}
    if not isinstance(body, dict):
        raise CommandUncertain("An answer that says nothing")
    code, result = body.get("code"), body.get("result")
    if result is False or (type(code) is int and code >= HTTPStatus.BAD_REQUEST):
        raise refusal(body.get("reason") or body.get("message"))
    if result is True or (type(code) is int and HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES):
        return body
    raise CommandUncertain("An answer that says nothing")
