"""The hosted page that an owner came back from, so that the worker acknowledges it and no page has to ask."""

from alembic import op
import sqlalchemy as sa

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column."""
    op.add_column("billing_customer", sa.Column("returned_page", sa.String(100), nullable=True))
