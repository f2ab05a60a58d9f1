"""Controls: what owners allowed their links to control, and the key shares."""

from alembic import op
import sqlalchemy as sa

from teslafi_companion.store.columns import Moment

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table of consents to controls."""
    op.create_table(
        "controls",
        sa.Column("link_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("given_at", Moment(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_controls_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name=op.f("fk_controls_link_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("link_id", name=op.f("pk_controls")),
    )
    op.create_index(op.f("ix_controls_account_id"), "controls", ["account_id"], unique=False)
