"""Lost answers: which generation of a link's tokens was used. Older versions need to know neither column."""

from alembic import op
import sqlalchemy as sa

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the two columns."""
    op.add_column("link", sa.Column("used_generation", sa.Integer(), server_default="0", nullable=False))
    op.add_column("access_token", sa.Column("generation", sa.Integer(), nullable=True))
