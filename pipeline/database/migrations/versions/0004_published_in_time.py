"""Of which source a forecast is, when it was published, and whether its session was still to come then."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    comment = "of its prices; not known of the oldest"
    source = sa.Column("source", sa.String(length=32), nullable=False, server_default="", comment=comment)
    op.add_column("forecasts", source)
    op.add_column("forecasts", sa.Column("published_at", sa.DateTime(), comment="UTC; not known of the oldest"))
    comment = "before its target session closed"
    in_time = sa.Column("in_time", sa.Boolean(), nullable=False, server_default=sa.false(), comment=comment)
    op.add_column("forecasts", in_time)
