"""Sends commands to cars and energy sites: each once, and says truly what is known of the outcome.

Whoever commands holds a `Commander`; only `controls/gate.py` makes one. Signed and unsigned commands go through
`tesla-fleet-api`, by Tesla's Vehicle Command Protocol or its REST form ("Vehicle commands").

A command that Tesla or the car certainly did not carry out may be sent again after its obstacle is gone (asleep, an old
access token, another region, the other way of sending). Anything else that brings no answer is uncertain, and is not
repeated.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, override

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from tesla_fleet_api import TeslaFleetApi
from tesla_fleet_api.tesla.energysite import EnergySite
from tesla_fleet_api.tesla.vehicle.fleet import VehicleFleet
from tesla_fleet_api.tesla.vehicle.signed import VehicleSigned
from tesla_protocol.command.universal_message_pb2 import Domain, OperationStatus_E, RoutableMessage
from tesla_protocol.command.vcsec_pb2 import FromVCSECMessage, OperationStatus_E as SecurityStatus

from . import library_log  # noqa: F401 - takes effect by being there
from .errors import (
    AccessTokenRefused,
    CommandRefused,
    CommandUncertain,
    KeyNotPaired,
    NotAwake,
    SigningRequired,
    SigningUnknown,
    TeslaError,
    UnexpectedAnswer,
    Unreachable,
    VehicleAsleep,
    VehicleBusy,
    VehicleSilent,
    WrongRegion,
    translated,
)
from .requests import Category
from .servers import region_at
from .session import GrantSession
from .snapshot import CarState, Snapshot

TIMEOUT: Final = 30.0
"""Seconds after which a command without answer is uncertain."""
HANDSHAKE_TRIES: Final = 4
HANDSHAKE_PAUSE: Final = 2.0
"""After a wake-up the security computer answers before the infotainment computer does."""
WAKE_LOOKS: Final = (2.0,) * 10 + (4.0,) * 10
"""Pauses in seconds before each free look at a car that was woken; after the last it counts as not awake."""

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
type Answer = Mapping[str, Any]


class _Waits(Exception):
    """The car's computer asks to wait: it has the command, and nobody knows what becomes of it."""


class _Signed(VehicleSigned[TeslaFleetApi]):
    """The library's signed car, but for its habit of sending a command again when the car says "wait"."""

    @override
    async def _send(self, msg: RoutableMessage, requires: str, *args: Any, **more: Any) -> RoutableMessage:
        answer = await super()._send(msg, requires, *args, **more)
        if _says_wait(answer):
            raise _Waits
        return answer


def _says_wait(answer: RoutableMessage) -> bool:
    if answer.signedMessageStatus.operation_status == OperationStatus_E.OPERATIONSTATUS_WAIT:
        return True
    if answer.from_destination.domain != Domain.DOMAIN_VEHICLE_SECURITY:
        return False
    status = FromVCSECMessage.FromString(answer.protobuf_message_as_bytes).commandStatus.operationStatus
    return status == SecurityStatus.OPERATIONSTATUS_WAIT


class Commander:
    """Sends commands with one grant and one command key. Every method raises a TeslaError."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        session: GrantSession,
        key: EllipticCurvePrivateKey | None,
        look: Look,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Use the grant that `session` keeps valid; `look` asks whether a car is awake, free of charge."""
        self._http = http
        self._session = session
        self._key = key
        self._look = look
        self._sleep = sleep
        self._api = self._connect()
        self._signed: dict[str, _Signed] = {}
        self._speaks: dict[str, bool] = {}
        self._waking: dict[str, asyncio.Task[None]] = {}

    def _connect(self) -> TeslaFleetApi:
        api = TeslaFleetApi(self._http, access_token=self._session.access_token, server=self._session.grant.server.api)
        api.private_key = self._key
        return api

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
    ) -> Answer:
        """Send a command to a car that is thought awake, waking it when it is not; return the answer's body.

        `signed` is what Tesla says of the car; the car's own refusal of one way is believed, and the other taken.
        Waking takes up to a minute: `still_allowed` is asked after it, and raises when the command may not go any more.
        """
        sign = (self._speaks.get(vin, signed) or name in SIGNED_ONLY) and name not in UNSIGNED
        try:
            return await self._try(vin, name, parameters, count, sign=sign)
        except VehicleAsleep:
            # Refused before it reached the car
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
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise NotAwake("Waking was given up") from None
            raise

    def _woken(self, vin: str, task: asyncio.Task[None]) -> None:
        """Free the place; look at the outcome, which every caller may have stopped waiting for."""
        del self._waking[vin]
        if not task.cancelled():
            task.exception()

    async def _wake(self, vin: str, count: Count) -> None:
        await self._ask(lambda: VehicleFleet(self._api, vin).wake_up(), count, Category.WAKE)
        for pause in WAKE_LOOKS:
            await self._sleep(pause)
            if (await self._look(vin, count)).vehicle.state is CarState.ONLINE:
                return
        raise NotAwake("The car did not wake up")

    async def send_to_site(self, site_id: int, name: str, parameters: Mapping[str, Any]) -> Answer:
        """Send a command to an energy site."""
        answer = await self._ask(
            lambda: getattr(EnergySite(self._api, site_id), name)(**parameters), _uncounted, Category.ENERGY, sent=True
        )
        return _body(answer)

    async def _try(self, vin: str, name: str, parameters: Mapping[str, Any], count: Count, *, sign: bool) -> Answer:
        if sign and self._key is None:
            raise KeyNotPaired("There is no command key")
        vehicle = await self._session_with(vin, name, count) if sign else VehicleFleet(self._api, vin)
        answer = await self._ask(lambda: getattr(vehicle, name)(**parameters), count, Category.COMMAND, sent=True)
        try:
            body = _body(answer)
        except UnexpectedAnswer as error:
            raise CommandUncertain("An answer that says nothing") from error
        if body.get("result") is not True:
            raise CommandRefused(str(body.get("reason") or "unknown"))
        return body

    async def _session_with(self, vin: str, name: str, count: Count) -> _Signed:
        """Return the car with a session of the right computer; a handshake changes nothing, so it may be repeated."""
        vehicle = self._signed.get(vin)
        if vehicle is None:
            vehicle = self._signed[vin] = _Signed(self._api, vin)
        security = name in SECURITY_COMMANDS
        domain = Domain.DOMAIN_VEHICLE_SECURITY if security else Domain.DOMAIN_INFOTAINMENT
        if vehicle._sessions[domain].ready:  # noqa: SLF001 - the library has no public word for it
            return vehicle
        shake = vehicle.handshakeVehicleSecurity if security else vehicle.handshakeInfotainment
        for left in reversed(range(HANDSHAKE_TRIES)):
            try:
                await self._ask(shake, count, Category.COMMAND)
            except Unreachable, VehicleBusy, CommandUncertain:
                if not left:
                    raise Unreachable("The car's computer does not answer") from None
            else:
                return vehicle
            await self._sleep(HANDSHAKE_PAUSE)
        return vehicle

    async def _ask(
        self, request: Callable[[], Awaitable[Any]], count: Count, category: Category, *, sent: bool = False
    ) -> Any:  # noqa: ANN401 - JSON
        """Ask, after 401 once more with a new access token; `sent` marks a command: no answer means nobody knows."""
        try:
            return await self._send(request, count, category, sent=sent)
        except AccessTokenRefused:
            self._session.refuse(self._session.grant.access_token)
        except WrongRegion as error:
            await self._move(error)
            raise Unreachable("The account has moved to another region; try again") from error
        return await self._send(request, count, category, sent=sent)

    async def _send(
        self, request: Callable[[], Awaitable[Any]], count: Count, category: Category, *, sent: bool
    ) -> Any:  # noqa: ANN401 - JSON
        try:
            with translated():
                async with asyncio.timeout(TIMEOUT):
                    answer = await request()
        except _Waits as error:
            count(category)
            raise CommandUncertain("The car asks to wait") from error
        except TeslaError as error:
            if error.billable:
                count(category)
            if sent and _may_have_been_done(error):
                raise CommandUncertain("No answer: the car may have done it") from error
            raise
        count(category)
        return answer

    async def _move(self, error: WrongRegion) -> None:
        region = region_at(error.api) if error.api else None
        if region is None or region == self._session.grant.region:
            raise error
        await self._session.move(self._session.grant.moved_to(region))
        self._api = self._connect()
        self._signed.clear()


def _may_have_been_done(error: TeslaError) -> bool:
    """Say whether a command may have reached the car: not when no connection came about."""
    if isinstance(error, VehicleSilent):
        return True
    return isinstance(error, Unreachable) and not isinstance(error.__cause__, aiohttp.ClientConnectorError)


def _uncounted(_category: Category) -> None:
    """Tesla does not bill what energy sites are told ("Billing and limits")."""


def _body(answer: object) -> Answer:
    body = answer.get("response") if isinstance(answer, dict) else None
    if not isinstance(body, dict):
        raise UnexpectedAnswer("Tesla's answer has no response")
    return body
