"""Cases and prices of the skill benchmark: finished cases are not run again, a failure does not stop the others."""

import json
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.skill.__main__ import _parser, main
from benchmarks.skill.__main__ import _request as settle
from benchmarks.skill.__main__ import _run as run_cases
from benchmarks.skill.cases import Case, Request, cases, code
from benchmarks.skill.prices import chosen, price_table
from benchmarks.skill.saved import Saved
from pipeline.tracking.source_files import PACKAGE
from tests.benchmarks.made_forecasts import (
    made_forecasts,
    made_prices,
)


def request(tmp_path: Path, **changed: Any) -> Request:
    given: dict[str, Any] = {
        "out": tmp_path, "files": tmp_path / "p.csv", "data": "1f", "symbols": ("A", "B"), "first": date(2020, 5, 1),
        "last": date(2020, 6, 1), "refit_every": 10, "horizon": 5, "networks": ("lstm", "rnn"), "seeds": 2,
        "peers": Path(sys.executable),
    }  # fmt: skip
    return Request(**{**given, **changed})


def test_each_case_has_a_name_and_what_it_depends_on(tmp_path: Path) -> None:
    made = list(cases(request(tmp_path), {}))
    assert [case.ours for case in made] == [True] * 4 + [False] * 8
    assert len({case.name for case in made}) == 12
    for changed in ({"data": "2e"}, {"first": date(2020, 5, 4)}, {"symbols": ("A",)}, {"training_steps": 3}):
        for case, other in zip(made, cases(request(tmp_path, **changed), {}), strict=True):
            assert case.name == other.name
            assert case.parameters != other.parameters
    with pytest.raises(ValueError, match="beyond --horizon 3"):
        request(tmp_path, horizon=3)
    with pytest.raises(ValueError, match="no such interpreter"):
        request(tmp_path, peers=tmp_path / "python")


def test_a_request_ends_with_its_prices_and_asks_for_symbols_that_they_have(tmp_path: Path) -> None:
    file, out = tmp_path / "prices.parquet", tmp_path / "out"
    out.mkdir()
    made_prices().rename(columns={"session": "date", "level": "adj_close"}).to_parquet(file)
    words = ["--files", str(file), "--from", "2020-05-01", "--to", "2021-01-01", "--symbols", "2", "--seeds", "1"]
    settled = settle(_parser().parse_args([*words, "--refit-every", "20"]), out)
    assert settled.last == date(2020, 6, 30)
    assert settled.symbols == ("A", "B")
    assert set(pd.read_parquet(settled.prices)["symbol"]) == {"A", "B"}
    with pytest.raises(SystemExit, match="the prices have no Z"):
        main([*words, "--symbols", "Z", "--out", str(out)])
    with pytest.raises(SystemExit, match="would be written over"):
        main([*words, "--out", str(tmp_path)])
    with pytest.raises(SystemExit):
        main(["--files", str(file)])  # which sessions?


def test_settings_of_the_caller_are_part_of_a_case_and_the_database_is_not_used(tmp_path: Path) -> None:
    theirs = {"PIPELINE_LEARNING_RATE": "0.002", "PIPELINE_DATABASE_URL": "postgresql://x", "PIPELINE_HOME": "/x"}
    theirs |= {"MLFLOW_TRACKING_URI": "http://x", "PIPELINE_SEED": "9"}
    case, *_ = cases(request(tmp_path), theirs)
    assert case.parameters["settings"] == {"PIPELINE_LEARNING_RATE": "0.002"}
    assert case.environment["PIPELINE_HOME"] == str(tmp_path / "home")
    assert case.environment["PIPELINE_SEED"] == "1"
    assert not {"PIPELINE_DATABASE_URL", "MLFLOW_TRACKING_URI"} & case.environment.keys()


def test_events_are_handed_to_the_product_and_are_part_of_its_cases(tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    plain, told = (
        next(cases(request(tmp_path, **more), {"PIPELINE_EVENTS": "/theirs.csv"}))
        for more in ({}, {"events": file, "events_data": "3d"})
    )
    assert plain.environment["PIPELINE_EVENTS"] == plain.parameters["settings"]["PIPELINE_EVENTS"] == "/theirs.csv"
    assert "events" not in plain.parameters
    assert told.environment["PIPELINE_EVENTS"] == str(file)
    assert (told.parameters["events"], told.parameters["settings"]) == ("3d", {})
    assert told.shared["events"] == "3d"
    peer = next(case for case in cases(request(tmp_path, events=file, events_data="3d"), {}) if not case.ours)
    assert "events" not in peer.parameters


def test_a_file_of_events_must_exist_and_is_known_by_its_content(tmp_path: Path) -> None:
    prices, events, out = tmp_path / "prices.parquet", tmp_path / "events.csv", tmp_path / "out"
    out.mkdir()
    made_prices().rename(columns={"session": "date", "level": "adj_close"}).to_parquet(prices)
    words = ["--files", str(prices), "--from", "2020-05-01", "--to", "2020-06-01", "--seeds", "1"]
    words += ["--refit-every", "20", "--out", str(out), "--events", str(events)]
    with pytest.raises(SystemExit, match=r"--events .*events.csv: there is no such file"):
        main(words)
    events.write_text("symbol,date\nA,2020-05-13\n")
    settled = settle(_parser().parse_args(words), out)
    assert settled.events == events
    events.write_text("symbol,date\nA,2020-05-14\n")
    assert settle(_parser().parse_args(words), out).events_data != settled.events_data


def test_forecasts_without_their_note_are_remade(tmp_path: Path) -> None:
    saved = Saved(tmp_path)
    saved.keep("one", made_forecasts(made_prices(), "lstm"), {"seed": 1, "symbols": ("A",)}, seed=1)
    assert saved.has("one", {"seed": 1, "symbols": ("A",)})
    assert not saved.has("one", {"seed": 2, "symbols": ("A",)})
    (tmp_path / "one.json").unlink()
    assert not saved.has("one", {"seed": 1, "symbols": ("A",)})


def test_finished_cases_are_not_run_again_and_a_failure_does_not_stop_the_others(tmp_path: Path) -> None:
    source = tmp_path / "made.parquet"
    made_forecasts(made_prices(), "darts", (1,)).to_parquet(source)
    script = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[3]); open(sys.argv[4], 'a').write('x'); print('{}')"
    runs = tmp_path / "runs"
    runs.touch()
    copying = (sys.executable, "-c", f"import sys; sys.argv.append({str(runs)!r}); {script}", str(source))
    case = Case(name="darts-step1", seed=1, command=copying, parameters={"step": 1})
    broken = Case(name="broken", seed=1, command=(sys.executable, "-c", "raise SystemExit('no memory')"), parameters={})
    saved = Saved(tmp_path / "quantiles")
    for _ in range(2):
        names, failed = run_cases([broken, case], saved)
        assert names == ["darts-step1"]
        assert "no memory" in failed[0]
    assert runs.read_text() == "x"
    run_cases([replace(case, parameters={"step": 5})], saved)
    assert runs.read_text() == "xx"


def test_the_products_file_is_split_and_its_baselines_are_saved_once(tmp_path: Path) -> None:
    prices = made_prices()
    whole = pd.concat([made_forecasts(prices, model, (1,)) for model in ("lstm", "garch", "random_walk")])
    fold = tmp_path / "run" / "folds" / "2020-05-01"
    fold.mkdir(parents=True)
    (fold / "fold.json").write_text(json.dumps({"training": {"seconds": 12.5}}))
    whole.to_parquet(tmp_path / "made.parquet")
    told = {"folder": str(tmp_path / "run"), "folds": [{"first": "2020-05-01", "trained": True, "reason": None}]}
    words = (
        f"import shutil, sys; shutil.copy({str(tmp_path / 'made.parquet')!r}, sys.argv[2]); print({json.dumps(told)!r})"
    )
    parameters = {"network": "lstm", "seed": 1, "data": "1f"}
    case = Case(name="lstm-seed1", seed=1, command=(sys.executable, "-c", words), parameters=parameters, ours=True)
    saved = Saved(tmp_path / "quantiles")
    assert not case.done(saved)
    case.run(saved)
    assert case.done(saved)
    assert {one.model: one.seconds for one in saved.forecasters(saved.names())} == {
        "random_walk": None, "garch": None, "lstm": 12.5,
    }  # fmt: skip
    written = (tmp_path / "quantiles" / "baselines.json").stat().st_mtime_ns
    replace(case, name="lstm-seed2", seed=2, parameters={**parameters, "seed": 2}).run(saved)
    assert (tmp_path / "quantiles" / "baselines.json").stat().st_mtime_ns == written
    (tmp_path / "quantiles" / "baselines.parquet").unlink()
    assert not case.done(saved)


def test_the_version_of_the_code_covers_all_that_trains_and_forecasts(monkeypatch: pytest.MonkeyPatch) -> None:
    read: set[str] = set()
    content = Path.read_bytes

    def recorded(path: Path) -> bytes:
        read.add(path.relative_to(PACKAGE).as_posix())
        return content(path)

    monkeypatch.setattr(Path, "read_bytes", recorded)
    code()
    assert {"modeling/networks/kernels.py", "prices/adjustments.py", "forecast_schema.py", "config.py"} <= read
    assert not [name for name in read if name.startswith(("publishing/", "cli/", "jobs/"))]


def test_prices_come_from_a_file_or_the_sample(tmp_path: Path) -> None:
    rows = [
        ("a", "2020-01-02", 10.0, 9.0), ("a", "2020-01-03", 11.0, 9.9), ("a", "2020-01-06", np.nan, 9.0),
        ("b", "2020-01-02", 5.0, 5.0), ("b", "2020-01-03", 6.0, 6.0), ("b", "2020-01-07", 7.0, 7.0),
    ]  # fmt: skip
    file = tmp_path / "prices.csv"
    pd.DataFrame(rows, columns=["Symbol", "Date", "Close", "Adj Close"]).to_csv(file, index=False)
    table = price_table(file, date(2020, 1, 6))
    assert table["symbol"].tolist() == ["A", "A", "B", "B"]
    assert table["level"].tolist() == [9.0, 9.9, 5.0, 6.0]
    assert chosen(table, ["1"])["symbol"].unique().tolist() == ["A"]
    assert chosen(table, ["b"])["symbol"].unique().tolist() == ["B"]
    with pytest.raises(ValueError, match="the prices have no Z"):
        chosen(table, ["Z"])
    sample = price_table(None, date(2012, 12, 31))
    assert sample["symbol"].nunique() == 5
    assert sample["session"].max() == pd.Timestamp("2012-12-31")


def test_without_an_adjusted_close_dividends_and_splits_make_the_level(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    frame = pd.DataFrame({"symbol": "A", "date": pd.bdate_range("2020-01-01", periods=4)})
    frame = frame.assign(open=10.0, high=10.0, low=10.0, close=[10.0, 10.0, 5.0, 5.0], volume=1.0)
    frame.assign(dividends=[0, 1.0, 0, 0], splits=[0, 0, 2.0, 0]).to_csv(file, index=False)
    level = price_table(file, date(2020, 2, 1))["level"].to_numpy()
    np.testing.assert_allclose(level[1:] / level[:-1], [1.1, 1.0, 1.0])
