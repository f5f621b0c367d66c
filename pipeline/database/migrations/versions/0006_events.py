"""Scheduled events, the sessions for which they were requested, and what was odd about them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DAY = sa.Date().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False, comment="empty: of the market"),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("day", DAY, nullable=False),
        sa.Column("batch_id", ID, nullable=False, comment="a later batch for the same day is a revision"),
        sa.Column("time", sa.String(length=16), nullable=False, comment="before_open, after_close or unknown"),
        sa.Column("confirmed", sa.Boolean(), nullable=False, comment="not estimated by the vendor"),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.Column("known_at", sa.DateTime(), comment="UTC; when it was announced, where the source states it"),
        sa.PrimaryKeyConstraint("source", "symbol", "kind", "day", "batch_id", name=op.f("pk_events")),
        comment="scheduled events, with every change",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "event_requests",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False, comment="empty: the market"),
        sa.Column("first_session", DAY, nullable=False),
        sa.Column("last_session", DAY, nullable=False),
        sa.PrimaryKeyConstraint("source", "symbol", "first_session", name=op.f("pk_event_requests")),
        comment="successive sessions whose run requested the events of a symbol in time, answered or not",
    )
    op.create_table(
        "event_histories",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False),
        sa.Column("asked_at", sa.DateTime(), nullable=False, comment="UTC; when all past events were last requested"),
        sa.Column("tries", sa.Integer(), nullable=False, comment="requests without an answer, in a row"),
        sa.Column("through", DAY, comment="the day up to which they are received without a gap"),
        sa.PrimaryKeyConstraint("source", "symbol", name=op.f("pk_event_histories")),
        comment="up to which day the past events of a symbol have been received",
    )
    _make_findings()


def _make_findings() -> None:
    op.create_table(
        "event_findings",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False, comment="empty: of the market, or not readable"),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("day", DAY, comment="unless it cannot be read"),
        sa.Column("verdict", sa.String(length=16), nullable=False, comment="warn, quarantine or reject"),
        sa.Column("rule", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("known_at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.Column("settled_at", sa.DateTime(), comment="UTC; when an answer about the same did not have it any more"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_findings")),
        comment="events that were odd or held back, with the reason",
    )
    op.create_index("ix_event_findings_source", "event_findings", ["source", "symbol"])
