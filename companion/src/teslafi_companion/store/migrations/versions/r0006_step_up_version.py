"""Step-ups are bound to the credentials they were given under; one of an older version has to be given again."""

from alembic import op
import sqlalchemy as sa

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column."""
    op.add_column("session", sa.Column("step_up_version", sa.Integer(), nullable=True))
