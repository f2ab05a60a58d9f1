"""By which root each part of the audit chain is keyed; everything that older versions wrote is by the first."""

from alembic import op
import sqlalchemy as sa

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the two columns."""
    for table in ("audit", "audit_chain"):
        op.add_column(table, sa.Column("root", sa.Integer(), server_default="0", nullable=False))
