"""The tables. A change here needs a migration in `migrations/versions`; a test compares the two."""

from datetime import date, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

_IDENTITY = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows automatically only for INTEGER

_EPOCH = date(1970, 1, 1)


class Day(TypeDecorator[date]):
    """A date. SQLite, which has no type for it, stores the days since 1970: text is slow to read by the million."""

    impl = Date
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column type of the database."""
        return dialect.type_descriptor(Integer() if dialect.name == "sqlite" else Date())

    def process_bind_param(self, value: date | None, dialect: Dialect) -> Any:
        """Return the value as stored, for a parameter or a literal."""
        return (value - _EPOCH).days if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> date | None:
        """Return a stored value as a date."""
        return _EPOCH + timedelta(days=value) if value is not None and dialect.name == "sqlite" else value


class day_number(FunctionElement[int]):  # noqa: N801  a function of SQL
    """A `Day` as the days since 1970, on either database."""

    type = Integer()
    inherit_cache = True


@compiles(day_number)
def _as_it_is(element: day_number, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(day_number, "postgresql")
def _since_1970(element: day_number, compiler: SQLCompiler, **options: Any) -> str:
    return f"({compiler.process(element.clauses, **options)} - DATE '1970-01-01')"


# Numbered in the order of writing, since writers wait for each other: a later batch is never known before an earlier.
batches = Table(
    "batches",
    metadata,
    Column("id", _IDENTITY, primary_key=True, autoincrement=True),
    Column("source", String(32), nullable=False),
    Column("known_at", DateTime, nullable=False, comment="UTC"),
    Column("rows", Integer, nullable=False),
    Index("ix_batches_source", "source", "known_at"),
    comment="one row per ingestion that changed something",
)

# A series is one symbol's prices on one scale and in one currency. A split that rescales a whole history, or another
# currency, begins a new generation: prices of two scales never mix.
series = Table(
    "series",
    metadata,
    Column("id", _IDENTITY, primary_key=True, autoincrement=True),
    Column("source", String(32), nullable=False),
    Column("symbol", String(20), nullable=False),
    Column("generation", Integer, nullable=False, comment="1, incremented whenever the history was rewritten"),
    Column("basis", String(16), nullable=False, comment="raw, split_adjusted or as_given"),
    Column("currency", String(8), nullable=False),
    Column("batch_id", _IDENTITY, ForeignKey("batches.id"), nullable=False, comment="the batch it began with"),
    UniqueConstraint("source", "symbol", "generation", name="uq_series_source"),
    comment="a symbol of a source, on one scale",
)

_HAS_WARNING = text("warning IS NOT NULL")

# Append-only and bitemporal: `session` is when a price was made, its batch says when it became known here.
# Clustered by its key, so that a symbol's history is read in one sweep; no foreign keys, which would cost a look-up
# for each of millions of rows that are written with their batch and series in one transaction.
bars = Table(
    "bars",
    metadata,
    Column("series_id", _IDENTITY, nullable=False),
    Column("session", Day, nullable=False),
    Column("batch_id", _IDENTITY, nullable=False, comment="a later batch for the same session is a revision"),
    Column("open", Float, nullable=False),
    Column("high", Float, nullable=False),
    Column("low", Float, nullable=False),
    Column("close", Float, nullable=False),
    Column("volume", Float, nullable=False),
    Column("dividend", Float, nullable=False, comment="paid per share on the ex-date, in the price's currency"),
    Column("split_ratio", Float, nullable=False, comment="new shares for one old; 1 on all other days"),
    Column("warning", String(32), comment="the rule that raised a warning, if any"),
    PrimaryKeyConstraint("series_id", "session", "batch_id"),
    # Of the few bars with a warning: every audit reads them, and would read all bars otherwise.
    Index("ix_bars_warning", "series_id", "session", sqlite_where=_HAS_WARNING, postgresql_where=_HAS_WARNING),
    comment="accepted prices",
    sqlite_with_rowid=False,
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", _IDENTITY, primary_key=True, autoincrement=True),
    Column("symbol", String(20), nullable=False),
    Column("session", Day, nullable=False),
    Column("known_at", DateTime, nullable=False),
    Column("verdict", String(16), nullable=False, comment="quarantine or reject"),
    Column("rule", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("bar", Text, nullable=False, comment="the bar as received, as JSON"),
    Column("source", String(32), nullable=False),
    Column("batch_id", _IDENTITY, nullable=False, server_default="0", comment="the last batch before it was held"),
    Index("ix_quarantine_symbol", "symbol", "session"),
    comment="bars that were held back, with the reason",
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", _IDENTITY, primary_key=True, autoincrement=True),
    Column("quarantine_id", _IDENTITY, ForeignKey("quarantine.id"), nullable=False),
    Column("decision", String(16), nullable=False, comment="released or confirmed"),
    Column("decided_at", DateTime, nullable=False, comment="UTC"),
    Column("note", Text, nullable=False),
    Index("ix_decisions_quarantine_id", "quarantine_id"),
    comment="decisions on quarantined bars; the last one counts",
)

last_requests = Table(
    "coverage",
    metadata,
    Column("source", String(32), nullable=False),
    Column("symbol", String(20), nullable=False),
    Column("asked_at", DateTime, nullable=False, comment="UTC"),
    Column("through", Day, nullable=False, comment="the last session requested"),
    Column("outcome", String(16), nullable=False, comment="see pipeline.prices.store.request_log"),
    Column("detail", Text, nullable=False),
    PrimaryKeyConstraint("source", "symbol"),
    comment="how the last request for each symbol ended",
)

# Append-only: sessions missing when a run proceeded. A bar that came later is missing for that run and its replay.
missing_sessions = Table(
    "misses",
    metadata,
    Column("source", String(32), nullable=False),
    Column("symbol", String(20), nullable=False),
    Column("session", Day, nullable=False, comment="the last session requested"),
    Column("asked_at", DateTime, nullable=False, comment="UTC"),
    Column("outcome", String(16), nullable=False, comment="see pipeline.prices.store.request_log"),
    Column("detail", Text, nullable=False),
    PrimaryKeyConstraint("source", "symbol", "session", "asked_at"),
    comment="sessions that were missing when a run proceeded, by symbol",
)

# Append-only and bitemporal, as `bars`: `day` is when an event takes place, its batch says when that became known here.
# A batch of events has the source `events:` and the name of theirs.
events = Table(
    "events",
    metadata,
    Column("source", String(16), nullable=False),
    Column("symbol", String(20), nullable=False, comment="empty: of the market"),
    Column("kind", String(32), nullable=False),
    Column("day", Day, nullable=False),
    Column("batch_id", _IDENTITY, nullable=False, comment="a later batch for the same day is a revision"),
    Column("time", String(16), nullable=False, comment="before_open, after_close or unknown"),
    Column("confirmed", Boolean, nullable=False, comment="not estimated by the vendor"),
    Column("cancelled", Boolean, nullable=False),
    Column("known_at", DateTime, comment="UTC; when it was announced, where the source states it"),
    PrimaryKeyConstraint("source", "symbol", "kind", "day", "batch_id"),
    comment="scheduled events, with every change",
    sqlite_with_rowid=False,
)

# The last session of a row moves on with each request in time for the next one; nothing else is ever updated.
event_requests = Table(
    "event_requests",
    metadata,
    Column("source", String(16), nullable=False),
    Column("symbol", String(20), nullable=False, comment="empty: the market"),
    Column("first_session", Day, nullable=False),
    Column("last_session", Day, nullable=False),
    PrimaryKeyConstraint("source", "symbol", "first_session"),
    comment="successive sessions whose run requested the events of a symbol in time, answered or not",
)

event_histories = Table(
    "event_histories",
    metadata,
    Column("source", String(16), nullable=False),
    Column("symbol", String(20), nullable=False),
    Column("asked_at", DateTime, nullable=False, comment="UTC; when all past events were last requested"),
    Column("tries", Integer, nullable=False, comment="requests without an answer, in a row"),
    Column("through", Day, comment="the day up to which they are received without a gap"),
    PrimaryKeyConstraint("source", "symbol"),
    comment="up to which day the past events of a symbol have been received",
)

event_findings = Table(
    "event_findings",
    metadata,
    Column("id", _IDENTITY, primary_key=True, autoincrement=True),
    Column("source", String(16), nullable=False),
    Column("symbol", String(20), nullable=False, comment="empty: of the market, or not readable"),
    Column("kind", String(32), nullable=False),
    Column("day", Day, comment="unless it cannot be read"),
    Column("verdict", String(16), nullable=False, comment="warn, quarantine or reject"),
    Column("rule", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("known_at", DateTime, nullable=False, comment="UTC"),
    Column("settled_at", DateTime, comment="UTC; when an answer about the same did not have it any more"),
    Index("ix_event_findings_source", "source", "symbol"),
    comment="events that were odd or held back, with the reason",
)

forecasts = Table(
    "forecasts",
    metadata,
    Column("symbol", String(20), nullable=False),
    Column("as_of", Date, nullable=False),
    Column("step", Integer, nullable=False),
    Column("model_version", String(64), nullable=False),
    Column("model", String(32), nullable=False),
    Column("role", String(16), nullable=False, comment="published, or baseline"),
    Column("target_session", Date, nullable=False),
    Column("last_close", Float, nullable=False),
    Column("quantiles", Text, nullable=False, comment="level to price, as JSON"),
    Column("run_key", String(250), nullable=False, comment="the run whose edition it belongs to"),
    Column("source", String(32), nullable=False, server_default="", comment="of its prices; not known of the oldest"),
    Column("published_at", DateTime, comment="UTC; not known of the oldest"),
    Column("in_time", Boolean, nullable=False, server_default=false(), comment="before its target session closed"),
    Column("series", String(16), nullable=False, server_default="", comment="of a trial; empty: the standing one"),
    Column(
        "report_due",
        Boolean,
        comment="a scheduled report may move the session after as_of; not known without a calendar",
    ),
    PrimaryKeyConstraint("symbol", "as_of", "step", "model_version", "run_key"),
    Index("ix_forecasts_target_session", "target_session"),
    comment="every published forecast, and its baseline",
)

scores = Table(
    "scores",
    metadata,
    Column("symbol", String(20), nullable=False),
    Column("as_of", Date, nullable=False),
    Column("step", Integer, nullable=False),
    Column("model_version", String(64), nullable=False),
    Column("run_key", String(250), nullable=False, comment="as in forecasts"),
    Column("scored_as_of", Date, nullable=False, comment="the session of the run that scored it"),
    Column("close", Float, nullable=False, comment="the outcome, on the scale of last_close"),
    Column("crps_bp", Float, nullable=False),
    Column("inside_50", Integer, nullable=False),
    Column("inside_80", Integer, nullable=False),
    Column("inside_90", Integer, nullable=False),
    PrimaryKeyConstraint("symbol", "as_of", "step", "model_version", "run_key"),
    comment="published forecasts and their outcome",
)
