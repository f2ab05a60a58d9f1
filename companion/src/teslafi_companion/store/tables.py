"""Every table. In clear are only identifiers, moments, counters, states and hashes; all else is in sealed columns.

A sealed column is bound to its row and to the row's owner: the account, or the row itself where there is no account
(see `SEALED` and crypto.Place). Row identifiers are made before the insert (UUID version 7) and never change.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    Uuid,
)

from .columns import Moment

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def _identifier() -> Column[object]:
    return Column("id", Uuid, primary_key=True)


def _of_account(*, nullable: bool = False) -> Column[object]:
    return Column("account_id", Uuid, ForeignKey("account.id", ondelete="CASCADE"), nullable=nullable, index=True)


# Data keys, wrapped by the key-encryption key. purpose: field | root | signing.
# state: incoming | active | replaced | retired, and sole for a signing root before which nothing counts. Of the roots
# (blind indexes, audit chain) the newest that is not incoming is in use.
keyring: Final = Table(
    "keyring",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("purpose", String(8), nullable=False),
    Column("state", String(8), nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("kek", String(200), nullable=False),
    Column("created_at", Moment, nullable=False),
)

# One row: the revision of the oldest code that may use these tables (schema.py).
schema_support: Final = Table(
    "schema_support",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    Column("oldest_code", String(32), nullable=False),
)

# One row that is written to find out whether the disk takes writes.
probe: Final = Table(
    "probe",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    Column("written_at", Moment, nullable=False),
)

# A person. email_index finds an address without revealing it (HMAC). A new credential_version ends reset links.
# language: the one that was chosen; without one, the browser's counts.
account: Final = Table(
    "account",
    metadata,
    _identifier(),
    Column("email_index", LargeBinary, nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    Column("credential_version", Integer, nullable=False),
    Column("password_changed_at", Moment, nullable=False),
    Column("login_notices", Boolean, nullable=False),
    Column("language", String(8)),
    Column("sealed_email", LargeBinary, nullable=False),
    Column("sealed_password", LargeBinary, nullable=False),
)

# A time-based code generator. state: pending | active. last_step: the time step of the last code taken.
totp: Final = Table(
    "totp",
    metadata,
    _identifier(),
    _of_account(),
    Column("state", String(8), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("last_step", BigInteger),
    Column("sealed", LargeBinary, nullable=False),
    UniqueConstraint("account_id", "state"),
)

recovery_code: Final = Table(
    "recovery_code",
    metadata,
    _identifier(),
    _of_account(),
    Column("code_mac", LargeBinary, nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    Column("used_at", Moment),
    Column("kept_at", Moment),
)

passkey: Final = Table(
    "passkey",
    metadata,
    _identifier(),
    _of_account(),
    Column("credential_index", LargeBinary, nullable=False, unique=True),
    Column("sign_count", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("used_at", Moment),
    Column("sealed", LargeBinary, nullable=False),
)

# What a browser was asked to sign. bound_to: hash of the session's or the pending sign-in's token.
passkey_challenge: Final = Table(
    "passkey_challenge",
    metadata,
    _identifier(),
    _of_account(),
    Column("bound_to", LargeBinary, nullable=False, unique=True),
    Column("expires_at", Moment, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

# A browser that is signed in. methods: RFC 8176 names (pwd otp rc hwk), by blanks.
session: Final = Table(
    "session",
    metadata,
    _identifier(),
    _of_account(),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("authenticated_at", Moment, nullable=False),
    Column("methods", String(40), nullable=False),
    Column("step_up_at", Moment),
    Column("step_up_purpose", String(40)),
    Column("step_up_version", Integer),
    Column("sealed", LargeBinary, nullable=False),
)

# The password was right, the second factor is awaited.
pending_sign_in: Final = Table(
    "pending_sign_in",
    metadata,
    _identifier(),
    _of_account(),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("noticed", Boolean, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

# A browser in which this account has signed in with all factors before.
known_device: Final = Table(
    "known_device",
    metadata,
    _identifier(),
    _of_account(),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
)

# Sign-ins of the last hours: each is mailed at once, or held for the hour's summary.
sign_in: Final = Table(
    "sign_in",
    metadata,
    _identifier(),
    _of_account(),
    Column("at", Moment, nullable=False),
    Column("held", Boolean, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

# What a link in a mail stands for. purpose: sign-up | change-email | reset-password.
mail_link: Final = Table(
    "mail_link",
    metadata,
    _identifier(),
    _of_account(nullable=True),
    Column("purpose", String(16), nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("credential_version", Integer),
    Column("sealed", LargeBinary, nullable=False),
)

# Removal of the second factor by the operator, carried out when due.
factor_removal: Final = Table(
    "factor_removal",
    metadata,
    _identifier(),
    Column("account_id", Uuid, ForeignKey("account.id", ondelete="CASCADE"), nullable=False, unique=True),
    Column("asked_at", Moment, nullable=False),
    Column("due_at", Moment, nullable=False),
)

# Attempts, one row per rule and key (HMAC of account, address or network).
throttle: Final = Table(
    "throttle",
    metadata,
    Column("scope", String(40), primary_key=True),
    Column("key", LargeBinary, primary_key=True),
    Column("window_start", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("rung", Integer, nullable=False),
    Column("consecutive", Integer, nullable=False),
    Column("locked_until", Moment),
    Column("touched_at", Moment, nullable=False),
)

# Mails (kind "message") and work that ends in a mail (other kinds). state: waiting | done | given-up.
outbox: Final = Table(
    "outbox",
    metadata,
    _identifier(),
    Column("account_id", Uuid, index=True),
    Column("kind", String(24), nullable=False),
    Column("state", String(8), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("leased_until", Moment),
    Column("sealed", LargeBinary),
    Index("ix_outbox_state_due_at", "state", "due_at"),
)

# Append-only; each row's hash covers the one before it, keyed by its root. detail_mac stays when a deleted account's
# detail is wiped.
audit: Final = Table(
    "audit",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("id", Uuid, nullable=False, unique=True),
    Column("at", Moment, nullable=False, index=True),
    Column("account_id", Uuid, index=True),
    Column("actor", String(16), nullable=False),
    Column("event", String(40), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("detail_mac", LargeBinary, nullable=False),
    Column("sealed", LargeBinary),
    Column("hash", LargeBinary, nullable=False),
    Column("root", Integer, nullable=False, server_default="0"),
)

# The chain's two ends: the last row written, and the last row that was deleted because of its age. root: by which root
# the next row and the tail are keyed.
audit_chain: Final = Table(
    "audit_chain",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("head_number", BigInteger, nullable=False),
    Column("head_hash", LargeBinary, nullable=False),
    Column("tail_number", BigInteger, nullable=False),
    Column("tail_hash", LargeBinary, nullable=False),
    Column("tail_mac", LargeBinary, nullable=False),
    Column("root", Integer, nullable=False, server_default="0"),
    CheckConstraint("id = 1", name="one_row"),
)

# One linked Home Assistant. instance_mac finds it by what it calls itself; network_mac is the network it was last
# used from (for versions before 0005). Its refresh tokens are a family (`family`, `generation`), none of them kept: see
# oauth/tokens.py; used_generation is the newest whose access token was used.
link: Final = Table(
    "link",
    metadata,
    _identifier(),
    _of_account(),
    Column("client_id", String(40), nullable=False),
    Column("instance_mac", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("contact_at", Moment, nullable=False),
    Column("scopes", String(120), nullable=False),
    Column("family", Uuid, nullable=False, unique=True),
    Column("generation", Integer, nullable=False),
    Column("used_generation", Integer, nullable=False, server_default="0"),
    Column("rotated_at", Moment, nullable=False),
    Column("authorized_at", Moment, nullable=False),
    Column("authenticated_at", Moment, nullable=False),
    Column("acr", String(60), nullable=False),
    Column("credential_version", Integer, nullable=False),
    Column("network_mac", LargeBinary, nullable=False),
    Column("suspicious_since", Moment),
    Column("sealed", LargeBinary, nullable=False),
    UniqueConstraint("account_id", "instance_mac"),
)

# What an owner allowed a link to control, with the key share; gone with the link, or when controls are locked.
controls: Final = Table(
    "controls",
    metadata,
    Column("link_id", Uuid, ForeignKey("link.id", ondelete="CASCADE"), primary_key=True),
    _of_account(),
    Column("given_at", Moment, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

access_token: Final = Table(
    "access_token",
    metadata,
    _identifier(),
    Column("link_id", Uuid, ForeignKey("link.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("scopes", String(120), nullable=False),
    Column("generation", Integer),
)

# What a consent was turned into. spent_at and family stay a day, so that a second use ends what the first one began.
authorization_code: Final = Table(
    "authorization_code",
    metadata,
    _identifier(),
    _of_account(),
    Column("code_hash", LargeBinary, nullable=False, unique=True),
    Column("client_id", String(40), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("spent_at", Moment),
    Column("family", Uuid),
    Column("scopes", String(120), nullable=False),
    Column("authenticated_at", Moment, nullable=False),
    Column("acr", String(60), nullable=False),
    Column("credential_version", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

# A device's request (RFC 8628). state: waiting | claimed | approved | denied | spent. The account is that of whoever
# typed the user code, which is forgotten at that moment.
device_grant: Final = Table(
    "device_grant",
    metadata,
    _identifier(),
    _of_account(nullable=True),
    Column("client_id", String(40), nullable=False),
    Column("device_hash", LargeBinary, nullable=False, unique=True),
    Column("user_code_mac", LargeBinary, unique=True),
    Column("instance_mac", LargeBinary, nullable=False, index=True),
    Column("state", String(8), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("polled_at", Moment),
    Column("poll_seconds", Integer, nullable=False),
    Column("scopes", String(120), nullable=False),
    Column("authenticated_at", Moment),
    Column("acr", String(60)),
    Column("credential_version", Integer),
    Column("sealed", LargeBinary, nullable=False),
)

# An account as a payer. checked_at: when Chargebee last answered about it; wanted_at: from when on it should be
# asked again. returned_page: the hosted page that its owner came back from. email_index: the address that Chargebee was
# last told.
billing_customer: Final = Table(
    "billing_customer",
    metadata,
    Column("account_id", Uuid, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True),
    Column("created_at", Moment, nullable=False),
    Column("email_index", LargeBinary, nullable=False),
    Column("checked_at", Moment, index=True),
    Column("wanted_at", Moment, index=True),
    Column("leased_until", Moment),
    Column("returned_page", String(100)),
)

# Chargebee's subscriptions, as of the request begun at seen_at. item_prices: by blanks.
subscription: Final = Table(
    "subscription",
    metadata,
    Column("id", String(50), primary_key=True),
    _of_account(),
    Column("status", String(50), nullable=False),
    Column("resource_version", BigInteger, nullable=False),
    Column("item_prices", String(500), nullable=False),
    Column("start_at", Moment),
    Column("trial_end", Moment),
    Column("term_end", Moment),
    Column("pause_at", Moment),
    Column("resume_at", Moment),
    Column("due_since", Moment),
    Column("due_invoices", Integer, nullable=False),
    Column("cancel_reason", String(40)),
    Column("deleted", Boolean, nullable=False),
    Column("entitled", Boolean),
    Column("seen_at", Moment, nullable=False),
)

# Hints that something happened, by webhook or poll; each is worked off once.
billing_event: Final = Table(
    "billing_event",
    metadata,
    Column("id", String(60), primary_key=True),
    Column("type", String(80), nullable=False),
    Column("occurred_at", Moment, nullable=False, index=True),
    Column("subscription_id", String(50)),
    Column("customer_id", String(50)),
    Column("source", String(8), nullable=False),
    Column("received_at", Moment, nullable=False, index=True),
    Column("handled_at", Moment, index=True),
)

# How far the poll of Chargebee's events has come; one row.
billing_poll: Final = Table(
    "billing_poll",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seen_until", Moment, nullable=False),
    Column("next_at", Moment, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

# Portal sessions that end with the session they were opened from.
billing_portal: Final = Table(
    "billing_portal",
    metadata,
    Column("id", String(60), primary_key=True),
    Column("session_id", Uuid, nullable=False, index=True),
    Column("opened_at", Moment, nullable=False),
)


@dataclass(frozen=True)
class SealedColumn:
    """A sealed column; `owner` names the column of its owner's identifier, `row` the column of its own."""

    table: Table
    column: str
    owner: str = "account_id"
    row: str = "id"


SEALED: Final = (
    SealedColumn(account, "sealed_email", owner="id"),
    SealedColumn(account, "sealed_password", owner="id"),
    SealedColumn(totp, "sealed"),
    SealedColumn(passkey, "sealed"),
    SealedColumn(passkey_challenge, "sealed"),
    SealedColumn(session, "sealed"),
    SealedColumn(pending_sign_in, "sealed"),
    SealedColumn(sign_in, "sealed"),
    SealedColumn(mail_link, "sealed"),
    SealedColumn(outbox, "sealed"),
    SealedColumn(audit, "sealed"),
    SealedColumn(link, "sealed"),
    SealedColumn(controls, "sealed", row="link_id"),
    SealedColumn(authorization_code, "sealed"),
    SealedColumn(device_grant, "sealed", owner="id"),
)
"""All that key rotation has to seal anew; a test holds it against the tables. A row without an owner owns itself."""
