"""Opening the service's parts out of its settings, for the server and for every command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from teslafi_companion.clock import Clock, system_clock
from teslafi_companion.settings import Settings
from teslafi_companion.store.database import Store, StoreUnreachable, create_engine, reaching
from teslafi_companion.store.keyring import open_cipher
from teslafi_companion.store.schema import migrate, prepare_schema


class DatabaseUnreachable(Exception):
    """The database does not answer, or refuses; the text is a sentence without its address's password."""


@asynccontextmanager
async def opened_store(
    settings: Settings, clock: Clock = system_clock, *, patient: bool = True
) -> AsyncIterator[Store]:
    """Open the database and its key ring for the time of the block; `patient` with statements that take long.

    Raises DatabaseUnreachable, SchemaOutdated (store/schema.py) and KeyFault (crypto.py).
    """
    engine = create_engine(settings, patient=patient)
    try:
        try:
            with reaching():
                await prepare_schema(engine)
                cipher = await open_cipher(engine, settings, clock)
        except StoreUnreachable as fault:
            raise DatabaseUnreachable(_sentence(settings, fault)) from None
        yield Store(engine, settings, cipher, clock)
    finally:
        await engine.dispose()


async def migrate_database(settings: Settings) -> None:
    """Bring the tables up to date; raises DatabaseUnreachable."""
    engine = create_engine(settings, patient=True)
    try:
        with reaching():
            await migrate(engine)
    except StoreUnreachable as fault:
        raise DatabaseUnreachable(_sentence(settings, fault)) from None
    finally:
        await engine.dispose()


def _sentence(settings: Settings, fault: Exception) -> str:
    place = settings.database_url.render_as_string(hide_password=True)
    return f"Can't use the database {place} ({fault}). Check that it's running and that this user can write to it."
