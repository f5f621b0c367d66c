"""From the first schema with data to the newest: every bar and every quarantined row is there, on both databases."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, text

from pipeline.database.engine import MIGRATIONS, open_database, reading
from pipeline.database.schema import metadata
from pipeline.evaluation.forecast_log import live_record
from pipeline.prices.store import quarantine
from tests.fire.children import at_once, killed_at_each
from tests.fire.model import DAYS, LATE, Bar, bar, content_of, everything, read
from tests.fire.points import At, database_points, die

pytestmark = pytest.mark.fire

NAMES = ("AAA", "BBB")
BATCH = "INSERT INTO batches (source, known_at, rows) VALUES (:source, :known_at, :rows)"
BAR = (
    "INSERT INTO bars (source, symbol, session, known_at, open, high, low, close, volume, dividend, split_ratio, "
    "currency, batch_id, verdict) VALUES (:source, :symbol, :session, :known_at, :open, :high, :low, :close, :volume, "
    ":dividend, :split_ratio, 'USD', :batch, :verdict)"
)
HELD = (
    "INSERT INTO quarantine (symbol, session, known_at, verdict, rule, detail, bar, source) "
    "VALUES (:symbol, :session, :known_at, 'quarantine', 'by_hand', 'why', '{}', 'fire')"
)


def known(batch: int) -> datetime:
    return datetime(2020, 6, 1) + timedelta(days=batch)


def first_schema(address: str) -> None:
    """Make the first schema, with two batches of bars, the second a correction, and two rows in quarantine."""
    engine = create_engine(address)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for batch, days in ((1, DAYS[:20]), (2, DAYS[5:6])):
            values = {"source": "fire", "known_at": known(batch), "rows": len(days) * len(NAMES)}
            connection.execute(
                text("INSERT INTO batches (source, known_at, rows) VALUES (:source, :known_at, :rows)"), values
            )
            rows = [row(name, day, batch) for name in NAMES for day in days]
            connection.execute(text(BAR), rows)
        held = [{"symbol": name, "session": str(DAYS[30]), "known_at": known(1)} for name in NAMES]
        connection.execute(text(HELD), held)
    engine.dispose()


FORECAST = (
    "INSERT INTO forecasts (symbol, as_of, step, model_version, model, role, target_session, last_close, quantiles, "
    "run_key{more}) VALUES (:symbol, :as_of, 1, :model_version, :model, :role, :target, 10.0, '{{}}', :run_key{values})"
)
SCORE = (
    "INSERT INTO scores (symbol, as_of, step, model_version, scored_as_of, close, crps_bp, inside_50, inside_80, "
    "inside_90) VALUES (:symbol, :as_of, 1, :model_version, :target, 11.0, 12.5, 0, 1, 1)"
)


def forecasts_and_scores(address: str, version: str) -> None:
    """Bring a database to a schema before editions, with forecasts of two runs and a score whose forecast is gone."""
    engine = create_engine(address)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    later = version == "0004"
    text_of = FORECAST.format(more=", source, in_time" if later else "", values=", 'fire', true" if later else "")
    rows = [
        {"symbol": "AAA", "as_of": str(DAYS[day]), "target": str(DAYS[day + 1]), "run_key": f"run{day}", **model}
        for day in (3, 4)
        for model in (
            {"model": "lstm", "model_version": "7", "role": "published"},
            {"model": "garch", "model_version": "abc", "role": "baseline"},
        )
    ]
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        connection.execute(text(text_of), rows)
        connection.execute(text(SCORE), [*rows[:2], {**rows[0], "symbol": "GONE"}])
    engine.dispose()


@pytest.mark.parametrize("version", ["0001", "0004"])
def test_forecasts_and_scores_get_their_runs_and_count_as_standing(
    opened: Callable[[], Engine], address: str, version: str
) -> None:
    forecasts_and_scores(address, version)
    engine = opened()
    with reading(engine) as connection:
        found = connection.execute(text("SELECT run_key, role, series FROM forecasts ORDER BY run_key, role")).all()
        scored = connection.execute(text("SELECT symbol, run_key, crps_bp FROM scores ORDER BY symbol, run_key")).all()
    expected = [(run, role, "") for run in ("run3", "run4") for role in ("baseline", "published")]
    assert [tuple(row) for row in found] == expected
    assert [tuple(row) for row in scored] == [("AAA", "run3", 12.5), ("AAA", "run3", 12.5), ("GONE", "", 12.5)]
    (row,) = live_record(engine, "fire", ("AAA",), DAYS[5]).to_dict("records")
    assert (row["model"], row["run_key"], row["crps_bp"], row["baseline_crps_bp"]) == ("lstm", "run3", 12.5, 12.5)
    assert bool(row["in_time"]) == (version == "0004")


def row(name: str, day: object, batch: int) -> dict[str, Any]:
    names = ("open", "high", "low", "close", "volume", "dividend", "split_ratio")
    return {
        "source": "fire",
        "symbol": name,
        "session": str(day),
        "known_at": known(batch),
        "batch": batch,
        "verdict": "warn" if batch == 2 else "accept",
        **dict(zip(names, price(batch), strict=True)),
    }


def price(batch: int) -> Bar:
    return bar(50 * batch)


def check(engine: Engine) -> None:
    """All that was there is there, and was known when it was known."""
    before = {(name, day): (price(1), "USD") for name in NAMES for day in DAYS[:20]}
    after = before | {(name, DAYS[5]): (price(2), "USD") for name in NAMES}
    assert content_of(read(engine, "fire", NAMES, DAYS[-1], LATE)) == after
    assert content_of(read(engine, "fire", NAMES, DAYS[-1], known(1).replace(tzinfo=UTC))) == before
    counts = {name: len(rows) for name, rows in everything(engine, "fire").items()}
    assert counts == {
        "bars": 42,
        "series": 2,
        "batches": 2,
        "quarantine": 2,
    }
    held = quarantine.held_back(engine, "fire", (), DAYS[-1])
    assert held[["symbol", "session", "status"]].to_numpy().tolist() == [[name, DAYS[30], "open"] for name in NAMES]
    with reading(engine) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_an_empty_database_gets_exactly_the_schema(opened: Callable[[], Engine]) -> None:
    with reading(opened()) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_database_of_the_first_schema_keeps_every_row(opened: Callable[[], Engine], address: str) -> None:
    first_schema(address)
    check(opened())
    check(opened())


def _open(wait: Callable[[], Any], address: str) -> None:
    wait()
    open_database(address).dispose()


def test_processes_that_open_an_old_database_at_once_migrate_it_once(
    opened: Callable[[], Engine], address: str
) -> None:
    first_schema(address)
    at_once(_open, [(address,)] * 4)
    check(opened())


def _migrate(number: int, address: str) -> None:
    with database_points(At(number, die)):
        open_database(address).dispose()


def test_a_migration_killed_at_any_statement_is_done_by_the_next_process(
    opened: Callable[[], Engine], address: str
) -> None:
    """What a killed process began is undone: the next, killed a statement later, finds the first schema as it was."""
    first_schema(address)
    for number, killed in killed_at_each(_migrate, lambda _number: (address,)):
        done = number
        engine = create_engine(address)
        with engine.connect() as connection:
            version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
            if version == "0001":
                assert connection.execute(text("SELECT COUNT(*) FROM bars WHERE source = 'fire'")).scalar() == 42
        engine.dispose()
        assert killed or version != "0001"
    assert done > 10
    check(opened())
