"""The command `teslafi-companion`: what an operator does with the service."""

from argparse import ArgumentParser, Namespace
import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from getpass import getpass
import json
import os
from pathlib import Path
import sys
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from teslafi_companion.adapters.breached_passwords.adapter import range_service
from teslafi_companion.clock import system_clock
from teslafi_companion.configuration import load_settings
from teslafi_companion.crypto import KeyFault
from teslafi_companion.domain.accounts import account, factors, lockout
from teslafi_companion.domain.accounts.addresses import AddressRefused, parse_address, parse_known
from teslafi_companion.domain.accounts.passwords import PasswordRefused, Passwords, PasswordsBusy, context_words
from teslafi_companion.domain.links.links import end_all_links
from teslafi_companion.rotation import rewrap_keys, rotate_keys
from teslafi_companion.service import DatabaseUnreachable, migrate_database, opened_store
from teslafi_companion.settings import PREFIX, Settings, UnsafeSetting
from teslafi_companion.store.database import DatabaseInUse, Store, StoreUnreachable
from teslafi_companion.store.schema import SchemaOutdated

from . import audit

type Command = Callable[[Settings, Namespace], Coroutine[Any, Any, int]]


class Refused(Exception):
    """The command cannot be done as asked; the text is a sentence for the operator."""


SENTENCES: Final = (
    AddressRefused,
    DatabaseInUse,
    DatabaseUnreachable,
    KeyFault,
    PasswordRefused,
    Refused,
    SchemaOutdated,
    StoreUnreachable,
    UnsafeSetting,
)
"""What is told in one sentence instead of a traceback."""


async def _migrate(settings: Settings, _arguments: Namespace) -> int:
    await migrate_database(settings)
    print("The database is up to date.")
    return 0


async def _create_account(settings: Settings, arguments: Namespace) -> int:
    address = parse_address(arguments.email)
    password = sys.stdin.readline().rstrip("\n") if arguments.password_stdin else _typed_password()
    async with opened_store(settings) as store:
        phc = await _judged(store, address, password)
        async with store.transaction() as transaction:
            if await account.create(transaction, address, phc) is None:
                raise Refused("There is already an account with this address.")
    print("The account was created. Its owner can now sign in and set up two-factor authentication.")
    return 0


async def _judged(store: Store, address: str, password: str) -> str:
    """Return the hash of a password that signing up would take as well."""
    passwords = Passwords(store.settings.policy, range_service(store))
    try:
        context = context_words(store.settings.service_name, address)
        await passwords.judge(password, second_factor=False, context=context)
        return await passwords.hash(password)
    except PasswordsBusy:
        raise Refused("Checking this password took too long. Choose another one.") from None
    finally:
        passwords.close()


def _typed_password() -> str:
    password = getpass("Password: ")
    if getpass("Again: ") != password:
        raise Refused("The passwords don't match. No account was created.")
    return password


async def _disable_two_factor(settings: Settings, arguments: Namespace) -> int:
    async with opened_store(settings) as store, store.transaction() as transaction:
        owner = await account.find(transaction, parse_known(arguments.email))
        if owner is None:
            raise Refused("There is no account with this address.")
        if arguments.cancel:
            kept = await factors.keep_factors(transaction, owner.id, actor="operator")
            print("The removal was canceled." if kept else "There was no removal to cancel.")
            return 0
        if not owner.has_second_factor:
            raise Refused("This account doesn't have two-factor authentication.")
        due = await factors.ask_removal(transaction, owner)
    print(
        f"It will be removed at {due:%Y-%m-%d %H:%M} UTC. The owner was notified by email and can cancel the removal."
    )
    return 0


async def _unlock(settings: Settings, arguments: Namespace) -> int:
    async with opened_store(settings) as store, store.transaction() as transaction:
        owner = await account.find(transaction, parse_known(arguments.email))
        if owner is None:
            raise Refused("There is no account with this address.")
        locked = await lockout.unlock(transaction, owner, actor="operator")
    print(f"All failed attempts for this account were cleared, including {locked} active lockouts.")
    return 0


async def _sign_out(settings: Settings, arguments: Namespace) -> int:
    async with opened_store(settings) as store, store.transaction() as transaction:
        owner = await account.find(transaction, parse_known(arguments.email))
        if owner is None:
            raise Refused("There is no account with this address.")
        await account.sign_out_everywhere(transaction, owner, actor="operator")
        ended = await end_all_links(transaction, owner.id, None, actor="operator")
    print(f"Every browser was signed out, and {ended} linked Home Assistants were unlinked.")
    return 0


async def _rotate_keys(settings: Settings, arguments: Namespace) -> int:
    async def at_once(_span: timedelta) -> None:
        """Wait for nobody: no other process seals with the old key."""

    async with opened_store(settings) as store:
        wrapped = await rewrap_keys(store)
        print(f"{wrapped} data keys were encrypted with the current key-encryption key.")
        settle = at_once if arguments.stopped else None
        sealed = await rotate_keys(store, settle=settle, leaked=arguments.leaked)
    print(f"{sealed} fields were encrypted with a new key, and the old key was deleted.")
    if arguments.leaked:
        print("Everything signed with the old key is invalid. Every Home Assistant has to be linked again.")
    else:
        print("Links and permits are signed with a new key. What the old key signed expires.")
    return 0


async def _check(settings: Settings, arguments: Namespace) -> int:
    settings.refuse_expired(system_clock())
    print("Settings: OK.")
    async with opened_store(settings) as store:
        print("Database: reachable and up to date. Keys: OK.")
        report = await audit.check_chain(store, arguments.head)
    for fault in report.faults:
        print(f"Audit: {fault}")
    print(f"Audit: {report.rows} rows, {'complete' if not report.faults else 'NOT COMPLETE'}, head {report.head}")
    if arguments.textfile is not None:
        _write_figures(arguments.textfile, report)
    return 1 if report.faults else 0


def _write_figures(file: Path, report: audit.ChainReport) -> None:
    """Write the result for Prometheus' node_exporter, whose textfile collector picks it up."""
    registry = CollectorRegistry()
    Gauge("companion_audit_faults", "Faults of the audit log's chain", registry=registry).set(len(report.faults))
    Gauge("companion_audit_rows", "Rows of the audit log", registry=registry).set(report.rows)
    Gauge("companion_audit_checked_seconds", "When the chain was last checked", registry=registry).set_to_current_time()
    try:
        write_to_textfile(str(file), registry)
    except OSError as fault:
        raise Refused(f"The figures could not be written to {file}: {fault.strerror}.") from None


async def _export_audit(settings: Settings, arguments: Namespace) -> int:
    after: int = arguments.after
    async with opened_store(settings) as store, store.reading(snapshot=True) as transaction:
        while entries := await audit.all_entries(transaction, after=after):
            for number, entry in entries:
                row = {
                    "number": number,
                    "at": entry.at.isoformat(),
                    "account": str(entry.account_id) if entry.account_id else None,
                    "actor": entry.actor,
                    "event": entry.event,
                    "outcome": entry.outcome,
                    "detail": entry.detail,
                }
                print(json.dumps(row, ensure_ascii=False))
                after = number
    return 0


async def _serve(settings: Settings, arguments: Namespace) -> int:
    from teslafi_companion.server import serve  # noqa: PLC0415 - the other commands start without the web

    await serve(settings, migrates=arguments.migrate)
    return 0


COMMANDS: Final[Mapping[str, Command]] = {
    "serve": _serve,
    "migrate": _migrate,
    "create-account": _create_account,
    "disable-two-factor": _disable_two_factor,
    "unlock": _unlock,
    "sign-out": _sign_out,
    "rotate-keys": _rotate_keys,
    "check": _check,
    "export-audit": _export_audit,
}


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="teslafi-companion", description="The companion service of TeslaFi.")
    parser.add_argument(
        "--settings",
        type=Path,
        default=os.environ.get(f"{PREFIX}SETTINGS"),
        help=f"settings file (TOML); default: {PREFIX}SETTINGS; environment variables override it",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serving = commands.add_parser("serve", help="run the service until SIGTERM")
    serving.add_argument(
        "--migrate", action="store_true", help="wait for the database and update its tables first (for containers)"
    )
    commands.add_parser("migrate", help="update the database's tables (PostgreSQL; automatic with SQLite)")
    create = commands.add_parser(
        "create-account", help="create an account with an email address that you have verified"
    )
    create.add_argument("email")
    create.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    disable = commands.add_parser(
        "disable-two-factor", help="remove a lost second factor after a delay announced by email"
    )
    disable.add_argument("email")
    disable.add_argument("--cancel", "--call-off", action="store_true", help="cancel an announced removal")
    unlock = commands.add_parser("unlock", help="clear all failed attempts for an account")
    unlock.add_argument("email")
    sign_out = commands.add_parser(
        "sign-out", help="sign every browser of an account out and unlink its Home Assistants"
    )
    sign_out.add_argument("email")
    rotate = commands.add_parser("rotate-keys", help="encrypt and sign everything with new keys while the service runs")
    rotate.add_argument("--leaked", action="store_true", help="someone else may have the old keys: end every link")
    rotate.add_argument("--stopped", action="store_true", help="the service isn't running: don't wait for it")
    check = commands.add_parser("check", help="check the settings, database, keys, and audit log")
    check.add_argument("--head", help="an audit head from the log that must still be part of the chain")
    check.add_argument("--textfile", type=Path, help="also write the result to this file (.prom) for node_exporter")
    export = commands.add_parser("export-audit", help="write the audit log as JSON lines")
    export.add_argument("--after", type=int, default=0, metavar="NUMBER", help="start after this row")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 refused or found faulty, 2 not understood."""
    arguments = _parser().parse_args(argv)
    try:
        settings = load_settings(os.environ, arguments.settings)
        return asyncio.run(COMMANDS[arguments.command](settings, arguments))
    except SENTENCES as refusal:
        print(f"teslafi-companion: {refusal}", file=sys.stderr)
        return 1
