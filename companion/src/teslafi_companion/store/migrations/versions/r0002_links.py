"""Linked Home Assistants: links, access tokens, authorization codes, device grants."""

from alembic import op
import sqlalchemy as sa

from teslafi_companion.store.columns import Moment

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables of the authorization server."""
    op.create_table(
        "authorization_code",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("spent_at", Moment(), nullable=True),
        sa.Column("family", sa.Uuid(), nullable=True),
        sa.Column("scopes", sa.String(length=120), nullable=False),
        sa.Column("authenticated_at", Moment(), nullable=False),
        sa.Column("acr", sa.String(length=60), nullable=False),
        sa.Column("credential_version", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_authorization_code_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authorization_code")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_authorization_code_code_hash")),
    )
    op.create_index(op.f("ix_authorization_code_account_id"), "authorization_code", ["account_id"], unique=False)
    op.create_index(op.f("ix_authorization_code_expires_at"), "authorization_code", ["expires_at"], unique=False)
    op.create_table(
        "device_grant",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("client_id", sa.String(length=40), nullable=False),
        sa.Column("device_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_code_mac", sa.LargeBinary(), nullable=True),
        sa.Column("instance_mac", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("polled_at", Moment(), nullable=True),
        sa.Column("poll_seconds", sa.Integer(), nullable=False),
        sa.Column("scopes", sa.String(length=120), nullable=False),
        sa.Column("authenticated_at", Moment(), nullable=True),
        sa.Column("acr", sa.String(length=60), nullable=True),
        sa.Column("credential_version", sa.Integer(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_device_grant_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_grant")),
        sa.UniqueConstraint("device_hash", name=op.f("uq_device_grant_device_hash")),
        sa.UniqueConstraint("user_code_mac", name=op.f("uq_device_grant_user_code_mac")),
    )
    op.create_index(op.f("ix_device_grant_account_id"), "device_grant", ["account_id"], unique=False)
    op.create_index(op.f("ix_device_grant_expires_at"), "device_grant", ["expires_at"], unique=False)
    op.create_index(op.f("ix_device_grant_instance_mac"), "device_grant", ["instance_mac"], unique=False)
    op.create_table(
        "link",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.String(length=40), nullable=False),
        sa.Column("instance_mac", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("contact_at", Moment(), nullable=False),
        sa.Column("scopes", sa.String(length=120), nullable=False),
        sa.Column("family", sa.Uuid(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("rotated_at", Moment(), nullable=False),
        sa.Column("authorized_at", Moment(), nullable=False),
        sa.Column("authenticated_at", Moment(), nullable=False),
        sa.Column("acr", sa.String(length=60), nullable=False),
        sa.Column("credential_version", sa.Integer(), nullable=False),
        sa.Column("network_mac", sa.LargeBinary(), nullable=False),
        sa.Column("suspicious_since", Moment(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_link_account_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link")),
        sa.UniqueConstraint("account_id", "instance_mac", name=op.f("uq_link_account_id_instance_mac")),
        sa.UniqueConstraint("family", name=op.f("uq_link_family")),
    )
    op.create_index(op.f("ix_link_account_id"), "link", ["account_id"], unique=False)
    op.create_table(
        "access_token",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("link_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("scopes", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name=op.f("fk_access_token_link_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_access_token_token_hash")),
    )
    op.create_index(op.f("ix_access_token_expires_at"), "access_token", ["expires_at"], unique=False)
    op.create_index(op.f("ix_access_token_link_id"), "access_token", ["link_id"], unique=False)
