"""Nothing that Tesla's servers answer makes us go elsewhere: token, PIN, client secret and payload would go along."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
import pytest

from custom_components.teslafi.secret import Secret
from custom_components.teslafi.tesla import pairing
from custom_components.teslafi.tesla.commander import Commander
from custom_components.teslafi.tesla.errors import CommandUncertain, NotAwake, TeslaError, UnexpectedAnswer, Unreachable
from custom_components.teslafi.tesla.reader import Reader
from custom_components.teslafi.tesla.requests import Category
from custom_components.teslafi.tesla.servers import SERVERS
from custom_components.teslafi.tesla.session import GrantSession
from custom_components.teslafi.tesla.snapshot import Snapshot
from custom_components.teslafi.tesla.token import TokenEndpoint

from .scripted import ScriptedServer, scripted_server
from .test_blame import VIN, valid
from .test_session import NOW, Shelf, good, session_of

STATUSES: Final = (301, 302, 303, 307, 308)
PIN: Final = "7391"


@pytest.fixture
async def tesla(socket_enabled: None) -> AsyncIterator[ScriptedServer]:
    """Be all of Tesla."""
    async with scripted_server() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Return a client session."""
    async with aiohttp.ClientSession() as session:
        yield session


class Asker:
    """Sends what there is to send."""

    def __init__(self, http: aiohttp.ClientSession, session: GrantSession) -> None:
        """Send with this grant, and a command key."""
        self.http = http
        self.session = session
        self.reader = Reader(http, session)
        key = ec.generate_private_key(ec.SECP256R1())
        self.commander = Commander(http, session, key, self.look, self.no_sleep)
        self.counted: list[Category] = []

    async def look(self, _vin: str, _count: object) -> Snapshot:
        """Look at nothing."""
        return Snapshot()

    async def no_sleep(self, _seconds: float) -> None:
        """Let no time pass."""

    async def allowed(self) -> None:
        """Allow it."""

    async def state(self) -> object:
        """Ask whether the car is online."""
        return await self.reader.vehicle_state(VIN, self.counted.append)

    async def data(self) -> object:
        """Ask for everything the car tells."""
        return await self.reader.vehicle_data(VIN, self.counted.append)

    async def products(self) -> object:
        """Ask for the list."""
        return await self.reader.products()

    async def _command(self, name: str, *, signed: bool) -> object:
        parameters = {"on": True, "password": PIN}
        return await self.commander.send(
            VIN, name, parameters, self.counted.append, signed=signed, still_allowed=self.allowed
        )

    async def unsigned_command(self) -> object:
        """Command over REST, with a PIN."""
        return await self._command("set_pin_to_drive", signed=False)

    async def signed_command(self) -> object:
        """Command by the signed protocol."""
        return await self._command("set_pin_to_drive", signed=True)

    async def site_command(self) -> object:
        """Command a site."""
        return await self.commander.send_to_site(12, "storm_mode", {"enabled": True})

    async def wake(self) -> object:
        """Wake the car."""
        await self.commander.wake(VIN, self.counted.append)
        return None

    async def paired(self) -> object:
        """Ask which cars know the key."""
        return await pairing.paired(self.http, self.session, [VIN])

    async def refresh(self) -> object:
        """Renew a token."""
        return await TokenEndpoint(self.http, lambda: NOW).refresh(valid())

    async def register(self) -> object:
        """Register the domain, with the client secret."""
        endpoint = TokenEndpoint(self.http, lambda: NOW)
        application = pairing.Application("client-1", Secret("CLIENT-SECRET-MARKER"))
        await pairing.register(self.http, endpoint, application, SERVERS["eu"], "example.com", "")
        return None


type Ask = Callable[[Asker], Awaitable[object]]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (Asker.state, UnexpectedAnswer),
        (Asker.data, UnexpectedAnswer),
        (Asker.products, UnexpectedAnswer),
        (Asker.unsigned_command, CommandUncertain),
        (Asker.site_command, CommandUncertain),
        (Asker.signed_command, Unreachable),  # the handshake comes first
        (Asker.wake, NotAwake),  # it is looked at
        (Asker.paired, UnexpectedAnswer),
        (Asker.refresh, Unreachable),
        (Asker.register, Unreachable),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_no_redirect_is_followed_or_believed(
    tesla: ScriptedServer, http: aiohttp.ClientSession, ask: Ask, error: type[TeslaError], status: int
) -> None:
    """Even one whose body looks like success."""
    body = {"response": {"result": True, "reason": "", "vin": VIN, "key_paired_vins": [VIN]}, "access_token": "x"}
    answer = web.json_response(body, status=status, headers={"Location": f"{tesla.base}/thief"})
    tesla.answers = [answer]
    asker = Asker(http, await session_of(Shelf(valid()), http))
    with pytest.raises(error):
        await ask(asker)
    assert [request.path for request in tesla.requests if "thief" in request.path] == []


async def test_a_redirect_after_the_partners_token_is_not_followed_either(
    tesla: ScriptedServer, http: aiohttp.ClientSession
) -> None:
    """Registration: the token endpoint answers well, the API sends elsewhere."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/token":
            return good()
        return web.Response(status=307, headers={"Location": f"{tesla.base}/thief"})

    tesla.answers = [answer]
    with pytest.raises(UnexpectedAnswer):
        await Asker(http, await session_of(Shelf(valid()), http)).register()
    assert [request.path for request in tesla.requests] == ["/token", "/eu/api/1/partner_accounts"]


async def endless(request: web.Request) -> web.StreamResponse:
    """Answer 200 and send until nobody listens."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(200):
        await response.write(b" " * 65_536)
    return response


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (Asker.state, UnexpectedAnswer),
        (Asker.unsigned_command, CommandUncertain),
        (Asker.refresh, UnexpectedAnswer),
        (Asker.paired, UnexpectedAnswer),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_an_endless_body_is_not_read_to_its_end(
    tesla: ScriptedServer, http: aiohttp.ClientSession, ask: Ask, error: type[TeslaError]
) -> None:
    tesla.answers = [endless]
    with pytest.raises(error):
        await ask(Asker(http, await session_of(Shelf(valid()), http)))
