"""Whether a scheduled report may move the session after a forecast's origin."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    comment = "a scheduled report may move the session after as_of; not known without a calendar"
    op.add_column("forecasts", sa.Column("report_due", sa.Boolean(), comment=comment))
