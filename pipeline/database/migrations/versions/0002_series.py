"""Series with generations, bars by series, decisions on quarantined bars, and how each request ended."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DAY = sa.Date().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _make_series()
    _make_bars()
    _remake_quarantine()
    _make_decisions()
    _make_coverage()
    op.create_index("ix_batches_source", "batches", ["source", "known_at"])


def _make_series() -> None:
    op.create_table(
        "series",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False),
        sa.Column(
            "generation", sa.Integer(), nullable=False, comment="1, incremented whenever the history was rewritten"
        ),
        sa.Column("basis", sa.String(length=16), nullable=False, comment="raw, split_adjusted or as_given"),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.Column("batch_id", ID, nullable=False, comment="the batch it began with"),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_series_batch_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series")),
        sa.UniqueConstraint("source", "symbol", "generation", name="uq_series_source"),
        comment="a symbol of a source, on one scale",
    )
    op.execute(
        "INSERT INTO series (source, symbol, generation, basis, currency, batch_id) "
        "SELECT source, symbol, 1, 'as_given', MAX(currency), MIN(batch_id) FROM bars GROUP BY source, symbol"
    )


def _make_bars() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    op.rename_table("bars", "bars_0001")
    if not on_sqlite:  # the name of the key stays with the old table otherwise
        op.execute("ALTER INDEX pk_bars RENAME TO pk_bars_0001")
    op.create_table(
        "bars",
        sa.Column("series_id", ID, nullable=False),
        sa.Column("session", DAY, nullable=False),
        sa.Column("batch_id", ID, nullable=False, comment="a later batch for the same session is a revision"),
        sa.Column("open", sa.Float(), nullable=False),
        sa.Column("high", sa.Float(), nullable=False),
        sa.Column("low", sa.Float(), nullable=False),
        sa.Column("close", sa.Float(), nullable=False),
        sa.Column("volume", sa.Float(), nullable=False),
        sa.Column(
            "dividend", sa.Float(), nullable=False, comment="paid per share on the ex-date, in the price's currency"
        ),
        sa.Column("split_ratio", sa.Float(), nullable=False, comment="new shares for one old; 1 on all other days"),
        sa.Column("warning", sa.String(length=32), comment="the rule that raised a warning, if any"),
        sa.PrimaryKeyConstraint("series_id", "session", "batch_id", name=op.f("pk_bars")),
        comment="accepted prices",
        sqlite_with_rowid=False,
    )
    day = _as_day("b.session")
    values = "b.open, b.high, b.low, b.close, b.volume, b.dividend, b.split_ratio"
    op.execute(
        f"INSERT INTO bars SELECT s.id, {day}, b.batch_id, {values}, "
        "CASE WHEN b.verdict = 'warn' THEN 'warned' END "
        "FROM bars_0001 b JOIN series s ON s.source = b.source AND s.symbol = b.symbol"
    )
    op.drop_table("bars_0001")


def _as_day(column: str) -> str:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    return f"CAST(julianday({column}) - julianday('1970-01-01') AS INTEGER)" if on_sqlite else column


def _remake_quarantine() -> None:
    """Only SQLite keeps a day as another type than before; remade everywhere, so that both go the same way."""
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    op.drop_index("ix_quarantine_symbol", "quarantine")
    op.rename_table("quarantine", "quarantine_0001")
    if not on_sqlite:
        op.execute("ALTER INDEX pk_quarantine RENAME TO pk_quarantine_0001")
    op.create_table(
        "quarantine",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False),
        sa.Column("session", DAY, nullable=False),
        sa.Column("known_at", sa.DateTime(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False, comment="quarantine or reject"),
        sa.Column("rule", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("bar", sa.Text(), nullable=False, comment="the bar as received, as JSON"),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        comment="bars that were held back, with the reason",
    )
    names = "symbol, known_at, verdict, rule, detail, bar, source"
    op.execute(f"INSERT INTO quarantine ({names}, session) SELECT {names}, {_as_day('session')} FROM quarantine_0001")
    op.drop_table("quarantine_0001")
    op.create_index("ix_quarantine_symbol", "quarantine", ["symbol", "session"])


def _make_decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("quarantine_id", ID, nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False, comment="released or confirmed"),
        sa.Column("decided_at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["quarantine_id"], ["quarantine.id"], name=op.f("fk_decisions_quarantine_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
        comment="decisions on quarantined bars; the last one counts",
    )
    op.create_index("ix_decisions_quarantine_id", "decisions", ["quarantine_id"])


def _make_coverage() -> None:
    op.create_table(
        "coverage",
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False),
        sa.Column("asked_at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.Column("through", DAY, nullable=False, comment="the last session requested"),
        sa.Column("outcome", sa.String(length=16), nullable=False, comment="see pipeline.prices.store.request_log"),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source", "symbol", name=op.f("pk_coverage")),
        comment="how the last request for each symbol ended",
    )
