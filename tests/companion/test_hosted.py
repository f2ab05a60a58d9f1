"""What a companion needs on a platform: a password that changes, TLS without a file, mails whose age is known."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count
import json
from pathlib import Path
import ssl
from typing import Any

import aiohttp
import asyncpg
from cryptography import x509
from moto.server import ThreadedMotoServer
import pytest
from pytest_socket import enable_socket
from sqlalchemy import text
import structlog

from teslafi_companion.adapters.secrets_manager import password as adapter
from teslafi_companion.adapters.secrets_manager.password import PasswordUnavailable, RotatedPassword
from teslafi_companion.mail import outbox
from teslafi_companion.server import started
from teslafi_companion.settings import Settings
from teslafi_companion.store.database import Store, StoreUnreachable, create_engine, reaching
from teslafi_companion.store.schema import migrate
from teslafi_companion.work.housekeeping import Housekeeping
from tests.live.ports import free_port

from .clock import ManualClock
from .postgresql import running_server

REGION = "eu-central-1"


@pytest.fixture(scope="module")
def secrets_manager() -> Iterator[str]:
    """Run moto's stand-in for AWS; gives its address."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        # It starts inside the first test that needs it, where PHACC forbids sockets; that test gets them anyway
        enable_socket()
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://{host}:{port}")
        yield f"http://{host}:{port}"
        server.stop()


_names = count()


@asynccontextmanager
async def secret(value: str) -> AsyncIterator[tuple[str, Any]]:
    """Keep a secret; gives its ARN and the client that changes it."""
    from aiobotocore.session import get_session  # noqa: PLC0415 - 0.4 s that the other tests need not wait

    async with get_session().create_client("secretsmanager", region_name=REGION) as client:
        made = await client.create_secret(Name=f"database-{next(_names)}", SecretString=value)
        yield made["ARN"], client


def login(password: str) -> str:
    """Return a secret as RDS writes it."""
    return json.dumps({"username": "companion", "password": password})


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.slow
@pytest.mark.usefixtures("socket_enabled", "secrets_manager")
async def test_a_password_that_changed_is_found_again(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(adapter, "KEPT_SECONDS", 0)
    with running_server(password="first marker") as port:
        async with secret(login("first marker")) as (arn, client):
            at_aws = replace(
                settings, database=f"postgresql://companion@127.0.0.1:{port}/postgres", database_secret=arn
            )
            engine = create_engine(at_aws)
            try:
                async with engine.begin() as connection:
                    await connection.execute(text("ALTER USER companion PASSWORD 'second marker'"))
                await engine.dispose()
                with pytest.raises(StoreUnreachable, match=r"^InvalidPasswordError$"), reaching():
                    await engine.connect()
                await client.put_secret_value(SecretId=arn, SecretString=login("second marker"))
                async with engine.connect() as connection:
                    assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
            finally:
                await engine.dispose()


@pytest.mark.usefixtures("socket_enabled", "secrets_manager")
@pytest.mark.parametrize(
    "value", ["no JSON, marker", "[]", "{}", '{"password": 7}', '{"password": ""}', '{"password": null}', '"marker"']
)
async def test_a_secret_without_password_is_no_password(value: str) -> None:
    async with secret(value) as (arn, _):
        with pytest.raises(PasswordUnavailable, match="holds no password") as caught:
            await RotatedPassword(arn)()
    assert "marker" not in repr(caught.value)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("socket_enabled", "secrets_manager")
async def test_a_secret_that_is_gone_means_waiting(settings: Settings) -> None:
    """It is trouble like a database that does not answer: 503, and all is well when it is back."""
    missing = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:gone-AbCdEf"
    address = "postgresql://companion@127.0.0.1:1/postgres"
    engine = create_engine(replace(settings, database=address, database_secret=missing))
    with pytest.raises(StoreUnreachable, match=r"^PasswordUnavailable$"), reaching():
        await engine.connect()


@pytest.mark.usefixtures("socket_enabled", "secrets_manager")
async def test_a_storm_of_connections_asks_once() -> None:
    async with secret(login("one marker")) as (arn, client):
        password = RotatedPassword(arn)
        assert set(await asyncio.gather(*(password() for _ in range(200)))) == {"one marker"}
        await client.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
        assert await password() == "one marker"
    assert "marker" not in repr(password)


async def test_whoever_waits_in_line_shares_the_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten connections that each waited five seconds for the one before would outlast every request."""
    asked = 0

    async def ask(_self: RotatedPassword) -> str:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        if asked == 1:
            raise PasswordUnavailable("no answer")
        return "one marker"

    monkeypatch.setattr(RotatedPassword, "_ask", ask)
    monkeypatch.setattr(adapter, "REFUSED_SECONDS", 3600)
    password = RotatedPassword(f"arn:aws:secretsmanager:{REGION}:123456789012:secret:x-AbCdEf")
    results = await asyncio.gather(*(password() for _ in range(50)), return_exceptions=True)
    assert {str(one) for one in results} == {"no answer"}
    assert asked == 1
    monkeypatch.setattr(adapter, "REFUSED_SECONDS", 0)
    assert await password() == "one marker"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.slow
@pytest.mark.usefixtures("socket_enabled")
async def test_several_may_migrate_at_once(settings: Settings, postgresql_database: str) -> None:
    """Every task of a new version brings the tables up to date before it serves."""
    engines = [create_engine(replace(settings, database=postgresql_database)) for _ in range(4)]
    try:
        await asyncio.gather(*(migrate(engine) for engine in engines))
    finally:
        for engine in engines:
            await engine.dispose()
    connection = await asyncpg.connect(postgresql_database)
    try:
        assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1
    finally:
        await connection.close()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.slow
@pytest.mark.usefixtures("socket_enabled")
async def test_a_balancer_reaches_it_by_tls_without_a_file(settings: Settings, tmp_path: Path) -> None:
    port = free_port()
    balanced = replace(
        settings,
        base_url="https://companion.example.org",
        listen_port=port,
        metrics_port=-1,
        trusted_proxies=("127.0.0.1/32",),
        tls_own_certificate=True,
        database=f"sqlite:///{tmp_path / 'own' / 'companion.sqlite3'}",
    )
    async with AsyncExitStack() as stack:
        await started(stack, balanced)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"https://127.0.0.1:{port}/healthz", ssl=False) as answer:
                assert answer.status == 200
                assert "Strict-Transport-Security" in answer.headers
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(f"https://127.0.0.1:{port}/healthz")
            with pytest.raises(aiohttp.ClientError):
                await session.get(f"http://127.0.0.1:{port}/healthz")
    certificate = await asyncio.to_thread(_certificates_on_disk, tmp_path)
    assert certificate == []


def _certificates_on_disk(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and b"PRIVATE KEY" in file.read_bytes()]


def test_every_start_has_its_own_certificate() -> None:
    from teslafi_companion.tls import load_own_certificate  # noqa: PLC0415 - beside what it is about

    seen = set()
    for _ in range(2):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        load_own_certificate(context, "companion.example.org")
        seen.add(_served_certificate(context))
    assert len({one.serial_number for one in seen}) == 2
    names = [one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value for one in seen]
    assert all(one.get_values_for_type(x509.DNSName) == ["companion.example.org"] for one in names)


def _served_certificate(context: ssl.SSLContext) -> x509.Certificate:
    """Return the certificate that a server with this context shows, without any network."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    ours, theirs = (ssl.MemoryBIO(), ssl.MemoryBIO()), (ssl.MemoryBIO(), ssl.MemoryBIO())
    server_end = context.wrap_bio(ours[0], theirs[0], server_side=True)
    client_end = client.wrap_bio(theirs[0], ours[0])
    for _ in range(6):
        for end in (client_end, server_end):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    shown = client_end.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown)


async def test_the_age_of_waiting_mail_is_known(store: Store, clock: ManualClock) -> None:
    async def age() -> outbox.Waiting:
        async with store.reading() as transaction:
            return await outbox.waiting(transaction)

    async def write(delay: timedelta = timedelta()) -> None:
        async with store.transaction() as transaction:
            await outbox.send(
                transaction, outbox.Mail("olga@example.org", "Hello", "Hello", "<p>Hello</p>"), delay=delay
            )

    assert await age() == (0, 0.0)
    await write()
    clock.advance(minutes=20)
    await write()
    assert await age() == (2, 1200.0)
    # Work that is meant to wait, such as a digest, is no mail that is late
    async with store.transaction() as transaction:
        await outbox.ask(transaction, "digest", {}, delay=timedelta(hours=1))
    clock.advance(hours=-1)
    assert await age() == (3, 0.0)


async def test_mail_that_waits_is_told_of_every_five_minutes(store: Store, clock: ManualClock) -> None:
    housekeeping = Housekeeping(store)
    store.settings = replace(store.settings, smtp_host="127.0.0.1")
    async with store.transaction() as transaction:
        await outbox.send(transaction, outbox.Mail("olga@example.org", "Hello", "Hello", "<p>Hello</p>"))
    with structlog.testing.capture_logs() as lines:
        for _ in range(2 * 12):
            await housekeeping.turn()
            clock.advance(seconds=30)
    told = [line for line in lines if line["event"] == "mail_waiting"]
    assert [(line["oldest_seconds"], line["rows"], line["log_level"]) for line in told] == [
        (300, 1, "warning"),
        (600, 1, "warning"),
    ]
    assert "olga" not in str(lines)


async def test_without_a_mail_server_nothing_is_late(store: Store, clock: ManualClock) -> None:
    async with store.transaction() as transaction:
        await outbox.send(transaction, outbox.Mail("olga@example.org", "Hello", "Hello", "<p>Hello</p>"))
    clock.advance(days=1)
    with structlog.testing.capture_logs() as lines:
        await Housekeeping(store).turn()
    assert "mail_waiting" not in str(lines)
