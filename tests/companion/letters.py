"""The outbox's worker, as the service makes it."""

from collections.abc import Mapping

from teslafi_companion.adapters.smtp.server import open_mail_server
from teslafi_companion.mail.outbox import Resolver
from teslafi_companion.store.database import Store
from teslafi_companion.work.outbox import OutboxWorker


def outbox_worker(store: Store, resolvers: Mapping[str, Resolver] | None = None) -> OutboxWorker:
    """Return a worker that hands over to the mail server of the store's settings."""
    return OutboxWorker(store, resolvers or {}, open_mail_server(store.settings))
