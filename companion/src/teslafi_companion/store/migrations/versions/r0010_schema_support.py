"""Which versions may use these tables: so that a process of the version before can start while a new one rolls out."""

from alembic import op
import sqlalchemy as sa

revision = "0010"
down_revision = "0009"
oldest_code = "0009"


def upgrade() -> None:
    """Make the table; `store/schema.py` writes its row after each migration."""
    op.create_table(
        "schema_support",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("oldest_code", sa.String(length=32), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_schema_support_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schema_support")),
    )
