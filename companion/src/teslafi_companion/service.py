"""Opening the service's parts out of its settings, for the server and for every command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from teslafi_companion.clock import Clock, system_clock
from teslafi_companion.settings import Settings
from teslafi_companion.store.database import Store, StoreUnreachable, create_engine, reaching, serving_alone
from teslafi_companion.store.keyring import open_cipher
from teslafi_companion.store.schema import migrate, prepare_schema


class DatabaseUnreachable(Exception):
    """The database does not answer, or refuses; the text is a sentence without its address's password."""


@asynccontextmanager
async def opened_store(
    settings: Settings, clock: Clock = system_clock, *, patient: bool = True
) -> AsyncIterator[Store]:
    """Open the database and its key ring for the time of the block.

    `patient` is for commands beside the service: their statements may take long, and they leave the tables of a file
    that is being served as they are. Raises DatabaseUnreachable, DatabaseInUse (store/database.py), SchemaOutdated
    (store/schema.py) and KeyFault (crypto.py).
    """
    engine = create_engine(settings, patient=patient)
    try:
        try:
            with reaching():
                await prepare_schema(engine, serving_alone(settings) if patient else nullcontext())
                cipher = await open_cipher(engine, settings, clock)
        except StoreUnreachable as fault:
            raise DatabaseUnreachable(_sentence(settings, fault)) from None
        yield Store(engine, settings, cipher, clock)
    finally:
        await engine.dispose()


async def migrate_database(settings: Settings) -> None:
    """Bring the tables up to date; raises DatabaseUnreachable, and DatabaseInUse for a file that is being served."""
    engine = create_engine(settings, patient=True)
    try:
        with reaching():
            if settings.sqlite_path is not None:
                await prepare_schema(engine, serving_alone(settings))
            else:
                await migrate(engine)
    except StoreUnreachable as fault:
        raise DatabaseUnreachable(_sentence(settings, fault)) from None
    finally:
        await engine.dispose()


def _sentence(settings: Settings, fault: Exception) -> str:
    # Without its query: libpq takes a password there as well
    place = settings.database_url.set(query={}).render_as_string(hide_password=True)
    return f"Can't use the database {place} ({fault}). Check that it's running and that this user can write to it."
