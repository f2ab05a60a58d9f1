"""The language that an account has chosen, and the row that readiness writes."""

from alembic import op
import sqlalchemy as sa

from teslafi_companion.store.columns import Moment

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add a column that older versions leave empty, and a table that they do not know."""
    op.add_column("account", sa.Column("language", sa.String(length=8), nullable=True))
    op.create_table(
        "probe",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("written_at", Moment(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_probe_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_probe")),
    )
