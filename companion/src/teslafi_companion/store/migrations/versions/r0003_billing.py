"""Subscriptions: payers, the mirror of Chargebee's subscriptions, its events, portal sessions."""

from alembic import op
import sqlalchemy as sa

from teslafi_companion.store.columns import Moment

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables of billing."""
    op.create_table(
        "billing_event",
        sa.Column("id", sa.String(length=60), nullable=False),
        sa.Column("type", sa.String(length=80), nullable=False),
        sa.Column("occurred_at", Moment(), nullable=False),
        sa.Column("subscription_id", sa.String(length=50), nullable=True),
        sa.Column("customer_id", sa.String(length=50), nullable=True),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("received_at", Moment(), nullable=False),
        sa.Column("handled_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_event")),
    )
    op.create_index(op.f("ix_billing_event_handled_at"), "billing_event", ["handled_at"], unique=False)
    op.create_index(op.f("ix_billing_event_occurred_at"), "billing_event", ["occurred_at"], unique=False)
    op.create_index(op.f("ix_billing_event_received_at"), "billing_event", ["received_at"], unique=False)
    op.create_table(
        "billing_poll",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seen_until", Moment(), nullable=False),
        sa.Column("next_at", Moment(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_billing_poll_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_poll")),
    )
    op.create_table(
        "billing_portal",
        sa.Column("id", sa.String(length=60), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_portal")),
    )
    op.create_index(op.f("ix_billing_portal_session_id"), "billing_portal", ["session_id"], unique=False)
    op.create_table(
        "billing_customer",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("email_index", sa.LargeBinary(), nullable=False),
        sa.Column("checked_at", Moment(), nullable=True),
        sa.Column("wanted_at", Moment(), nullable=True),
        sa.Column("leased_until", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_billing_customer_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_billing_customer")),
    )
    op.create_index(op.f("ix_billing_customer_checked_at"), "billing_customer", ["checked_at"], unique=False)
    op.create_index(op.f("ix_billing_customer_wanted_at"), "billing_customer", ["wanted_at"], unique=False)
    op.create_table(
        "subscription",
        sa.Column("id", sa.String(length=50), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=50), nullable=False),
        sa.Column("resource_version", sa.BigInteger(), nullable=False),
        sa.Column("item_prices", sa.String(length=500), nullable=False),
        sa.Column("start_at", Moment(), nullable=True),
        sa.Column("trial_end", Moment(), nullable=True),
        sa.Column("term_end", Moment(), nullable=True),
        sa.Column("pause_at", Moment(), nullable=True),
        sa.Column("resume_at", Moment(), nullable=True),
        sa.Column("due_since", Moment(), nullable=True),
        sa.Column("due_invoices", sa.Integer(), nullable=False),
        sa.Column("cancel_reason", sa.String(length=40), nullable=True),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("entitled", sa.Boolean(), nullable=True),
        sa.Column("seen_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_subscription_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription")),
    )
    op.create_index(op.f("ix_subscription_account_id"), "subscription", ["account_id"], unique=False)
    # ### end Alembic commands ###
