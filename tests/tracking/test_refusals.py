"""Responses of the scoring server to tables that cannot be forecast, or only in part.

With MLflow's own application, in this process; `test_serving` uses HTTP.
"""

import json
from collections.abc import Callable
from datetime import date
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from pipeline.errors import BadSymbol
from pipeline.market.sessions import Sessions
from pipeline.modeling import posted_prices
from pipeline.tracking import model_package
from tests.tracking.material import save_forecaster

DAYS = [str(day) for day in Sessions("XNYS").between(date(2012, 6, 1), date(2013, 2, 28))]
COLUMNS = ["symbol", "date", "open", "high", "low", "close", "volume"]


def history(*symbols: str, days: list[str] = DAYS) -> pd.DataFrame:
    """A good table; columns of objects, so that a test can put anything into a cell."""
    rows = [
        [symbol, day, 100.0 + at % 7, 102.0 + at % 7, 98.0 + at % 7, 101.0 + at % 7 - at % 2, 1000 + at % 7]
        for symbol in symbols
        for at, day in enumerate(days)
    ]
    return pd.DataFrame(rows, columns=COLUMNS).astype(object)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    import mlflow.pyfunc
    from mlflow.pyfunc import scoring_server

    folder = tmp_path_factory.mktemp("served")
    save_forecaster(folder / "model")
    about = SimpleNamespace(artifact_location=str(folder), source_run_id="a" * 32, model_id="m-1")
    example = history("AAPL").tail(40)
    model_package.save_package(
        folder / "package", model_dir=folder / "model", example=example, exchange="XNYS", model=about
    )
    before = scoring_server.invocations
    model = mlflow.pyfunc.load_model(str(folder / "package"))
    client = TestClient(scoring_server.init(model), raise_server_exceptions=False)
    yield client
    scoring_server.invocations = before


def split(table: pd.DataFrame) -> dict[str, Any]:
    return {"dataframe_split": {"columns": list(table.columns), "data": table.to_numpy(object).tolist()}}


def post(server: TestClient, table: pd.DataFrame | dict[str, Any]) -> tuple[int, Any]:
    body = json.dumps(split(table) if isinstance(table, pd.DataFrame) else table, default=str)
    return answered(server.post("/invocations", content=body, headers={"content-type": "application/json"}))


def answered(answer: Any) -> tuple[int, Any]:
    told = json.loads(answer.text, parse_constant=pytest.fail)  # NaN is no JSON
    if answer.status_code == 200:
        return 200, told["predictions"]
    sentence = told["message"]
    assert "\n" not in sentence
    assert len(sentence) <= 500
    assert told.keys() <= {"error_code", "message", "sqlstate", "error_class"}
    for inside in ("Traceback", "stack_trace", ".py", "/tmp", "Failed to predict"):
        assert inside not in answer.text
    return answer.status_code, sentence


def cell(column: str, value: Any, row: int = -1) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table = table.copy()
        table.iat[row % len(table), list(table.columns).index(column)] = value
        return table

    return change


def and_row(**values: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda table: pd.concat([table, table.tail(1).assign(**values)], ignore_index=True)


# One symbol's table, and the reason. Next to a good symbol only this one is left out, with the same reason.
UNUSABLE: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "date in words": (cell("date", "soon"), "'soon' is not a date: write it as 2013-03-01"),
    "date of another order": (cell("date", "28/02/2013"), "'28/02/2013' is not a date"),
    "date without dashes": (cell("date", "20130228"), "'20130228' is not a date"),
    "date in milliseconds": (cell("date", 1362009600000), "1362009600000 is not a date"),
    "date in seconds": (cell("date", 1362009600), "1362009600 is not a date"),
    "30 February": (cell("date", "2013-02-30"), "'2013-02-30' is not a date"),
    "no date": (cell("date", None), "is not a date"),
    "empty date": (cell("date", ""), "'' is not a date"),
    "date nested": (cell("date", {"day": 1}), "is not a date"),
    "evening in another zone": (cell("date", "2013-02-27T23:00:00Z"), "is not a date"),
    "year mistyped": (cell("date", "2103-02-28"), "2103-02-28 is in the future"),
    "volume in words": (cell("volume", "many"), "'many' in volume is not a number"),
    "volume n/a": (cell("volume", "n/a", 3), "'n/a' in volume is not a number"),
    "volume with suffix": (cell("volume", "3.99M"), "'3.99M' in volume is not a number"),
    "volume with commas": (cell("volume", "1,000"), "'1,000' in volume is not a number"),
    "volume with underscore": (cell("volume", "1_000"), "'1_000' in volume is not a number"),
    "volume true": (cell("volume", True), "True in volume is not a number"),
    "volume nested": (cell("volume", [1, 2]), "[1, 2] in volume is not a number"),
    "volume negative": (cell("volume", -1), "-1 in volume is not a volume"),
    "price in words": (cell("close", "cheap"), "'cheap' in close is not a number"),
    "price NaN in words": (cell("close", "NaN"), "'NaN' in close is not a number"),
    "price inf in words": (cell("close", "inf"), "'inf' in close is not a number"),
    "price 1e308": (cell("close", 1e308), "1e+308 in close is not a price"),
    "price 1e308 early": (cell("open", 1e308, 5), "1e+308 in open is not a price"),
    "price infinite": (cell("high", float("inf")), "inf in high is not a price"),
    "price of 400 digits": (cell("high", 10**400), "inf in high is not a price"),
    "price zero": (cell("low", 0), "0 in low is not a price"),
    "price negative": (cell("low", -5.0), "-5 in low is not a price"),
    "price tiny": (cell("close", 1e-300), "1e-300 in close is not a price"),
    "price nested": (cell("close", {"value": 1}), "{'value': 1} in close is not a number"),
    "twice, differing": (and_row(close=99.0), "2013-02-28 appears twice, with different values"),
    "short": (lambda table: table.tail(5), "20 whole sessions after its warm-up"),
    "price missing": (cell("close", None), "20 whole sessions after its warm-up"),
    "no symbol": (lambda table: table.assign(symbol=None), "is not a symbol"),
    "symbol nested": (lambda table: table.assign(symbol=[{"a": 1}] * len(table)), "{'a': 1} is not a symbol"),
    "symbol endless": (lambda table: table.assign(symbol="A" * 10_000), "is not a symbol"),
    "path for a symbol": (lambda table: table.assign(symbol="../x"), "'../x' is not a symbol"),
    "markup for a symbol": (lambda table: table.assign(symbol="<script>"), "'<script>' is not a symbol"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_cannot_be_forecast_is_refused_in_one_sentence(server: TestClient, case: str) -> None:
    change, reason = UNUSABLE[case]
    status, sentence = post(server, change(history("IBM")))
    assert status == 400
    assert reason in sentence


@pytest.mark.parametrize("case", UNUSABLE)
def test_next_to_it_a_good_symbol_is_forecast(server: TestClient, case: str) -> None:
    change, reason = UNUSABLE[case]
    good = history("AAPL")
    status, rows = post(server, pd.concat([good, change(history("IBM"))], ignore_index=True))
    assert status == 200
    *forecast, left_out = rows
    assert forecast == post(server, good)[1]
    assert left_out["note"].startswith("left out: ")
    assert reason in left_out["note"] or "fewer than 20 whole sessions" in left_out["note"]
    assert left_out["q0.5"] is None


def test_the_row_is_counted_from_one_in_the_table_as_posted(server: TestClient) -> None:
    table = pd.concat([history("AAPL"), cell("volume", "n/a", 3)(history("IBM"))])
    note = post(server, table)[1][-1]["note"]
    assert note == f"left out: row {len(DAYS) + 4}: 'n/a' in volume is not a number"


WHOLE: dict[str, tuple[Any, str]] = {
    "no rows": (history("IBM").head(0), "has no rows"),
    "no columns": ({"dataframe_split": {"columns": [], "data": []}}, "symbol"),
    "no records": ({"dataframe_records": []}, "symbol"),
    "a column missing": (history("IBM").drop(columns="open"), "open"),
    "two columns missing": (history("IBM").drop(columns=["open", "date"]), "date"),
    "a column twice": (history("IBM").assign(x=1).rename(columns={"x": "open"}), "post a table"),
    "rows of different width": ({"dataframe_split": {"columns": COLUMNS, "data": [["IBM"] * 9]}}, "post a table"),
    "numbers only": ({"instances": [1, 2, 3]}, "symbol"),
    "no table": ({"dataframe_split": "x"}, "dictionary"),
    "nothing": ({}, "input fields"),
    "two tables": ({"inputs": [1], "instances": [1]}, "input fields"),
    "a chat": ({"messages": [{"role": "user", "content": "hello"}]}, "symbol"),
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_body_that_is_no_price_table_is_refused_in_one_sentence(server: TestClient, case: str) -> None:
    body, reason = WHOLE[case]
    status, sentence = post(server, body)
    assert status == 400
    assert reason in sentence


def test_a_row_more_than_are_taken_is_too_many(server: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posted_prices, "MOST_ROWS", 50)  # in fact so many that reading them takes seconds
    status, sentence = post(server, history("IBM").tail(51))
    assert (status, "51 rows, and at most 50 are accepted" in sentence) == (400, True)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"\xff\xfe"),
        ("application/json", b""),
        ("application/json", b"[1]"),
        ("application/json", b"null"),
        ("application/json", b'{"dataframe_records":[{"symbol":"IBM","close":' + b"9" * 5000 + b"}]}"),
        ("application/json", b'{"dataframe_records":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        ("text/csv", b"symbol,date\nIBM,2013-02-28\n"),
        ("text/csv", b'a,"b\n1'),
        ("application/vnd.apache.parquet", b"PAR1"),
        ("text/html", b"<html>"),
        ("", b"{}"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_in_one_sentence(server: TestClient, kind: str, body: bytes) -> None:
    status, _ = answered(server.post("/invocations", content=body, headers={"content-type": kind} if kind else {}))
    assert status == 400


def test_reports_are_posted_with_the_prices_and_bad_ones_are_refused(server: TestClient) -> None:
    table = history("IBM")
    to_come = pd.DataFrame([["IBM", "2013-03-04", "after_close"]], columns=["symbol", "date", "earnings"])
    status, rows = post(server, pd.concat([table, to_come]).astype(object).where(lambda all_: all_.notna(), None))
    assert status == 200
    # The model of this test has seen no reports.
    assert {row.pop("note") for row in rows} == {
        "its reports are not used: the model was trained without a calendar of reports"
    }
    assert rows == [{name: value for name, value in row.items() if name != "note"} for row in post(server, table)[1]]
    status, sentence = post(server, table.assign(earnings="soon"))
    assert (status, "row 1: 'soon' in earnings is not a report" in sentence) == (400, True)


HARMLESS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "unsorted": lambda table: table.sample(frac=1, random_state=1),
    "equal rows": lambda table: pd.concat([table, table.tail(3)]),
    "numbers as text": lambda table: table.assign(close=table["close"].map(str), volume=table["volume"].map(str)),
    "small letters": lambda table: table.assign(symbol="ibm "),
    "more columns": lambda table: table.assign(remark="x", adjusted=1.0),
    "dates with midnight": lambda table: table.assign(date=table["date"] + "T00:00:00.000Z"),
    "dates with an hour": lambda table: table.assign(date=table["date"] + " 16:00"),
    "no dividends, no splits": lambda table: table.assign(dividends=None, splits=0),
    "columns in another order": lambda table: table[COLUMNS[::-1]],
}


@pytest.mark.parametrize("case", HARMLESS)
def test_the_same_prices_written_in_another_way_give_the_same_forecast(server: TestClient, case: str) -> None:
    table = history("IBM")
    assert post(server, HARMLESS[case](table)) == post(server, table)


def test_days_off_the_calendar_are_left_out_and_named(server: TestClient) -> None:
    table = history("IBM")
    odd = table.tail(2).assign(date=["2013-02-16", "2013-02-18"], close=5.0)  # a Saturday, and Presidents' Day
    status, rows = post(server, pd.concat([table, odd]))
    assert status == 200
    assert {row.pop("note") for row in rows} == {"not sessions of XNYS, and left out: 2013-02-16, 2013-02-18"}
    expected = post(server, table)[1]
    assert rows == [{name: value for name, value in row.items() if name != "note"} for row in expected]


def test_each_market_has_its_own_last_session(server: TestClient) -> None:
    tokyo = [str(day) for day in Sessions("XTKS").between(date(2012, 6, 1), date(2013, 2, 27))]
    _, rows = post(server, pd.concat([history("IBM"), history("7203.T", days=tokyo)]))
    firsts = {row["symbol"]: (row["as_of"], row["target_session"]) for row in rows if row["step"] == 1}
    assert firsts == {"IBM": ("2013-02-28", "2013-03-01"), "7203.T": ("2013-02-27", "2013-02-28")}


def test_a_session_that_no_calendar_records_is_marked_as_estimated(server: TestClient) -> None:
    days = [str(day) for day in Sessions("XTAE").between(date(2012, 6, 1), date(2013, 2, 28))]
    table = pd.concat([history("AAPL"), history("TEVA.TA", days=days)])
    status, rows = post(server, table)
    assert status == 200
    notes = {symbol: {row["note"] for row in rows if row["symbol"] == symbol} for symbol in ("AAPL", "TEVA.TA")}
    assert notes == {
        "AAPL": {None},
        "TEVA.TA": {"estimated session: it is outside the days that the calendar XTAE records"},
    }


def test_a_symbol_that_ends_early_is_left_out_and_says_so(server: TestClient) -> None:
    _, rows = post(server, pd.concat([history("IBM"), history("FB", days=DAYS[:-3])]))
    assert rows[-1]["symbol"] == "FB"
    assert rows[-1]["note"] == f"left out: its last date is {DAYS[-4]}, that of others on XNYS is {DAYS[-1]}"


def test_an_unexpected_error_is_one_sentence_too(server: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.modeling import serving

    def fail(*_: Any, **__: Any) -> Any:
        raise KeyError("/opt/secret/path.py")

    monkeypatch.setattr(serving, "forecast_from_prices", fail)
    status, sentence = post(server, history("IBM"))
    assert status == 500
    assert sentence == "the forecast failed unexpectedly; the server's log has the reason"


def test_a_symbol_of_an_unknown_market_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.modeling import posted_prices

    def market_of(symbol: str, exchange: str) -> Any:
        if symbol == "BP.NOWHERE":
            raise BadSymbol("BP.NOWHERE: no calendar is known for .NOWHERE")
        return SimpleNamespace(calendar=exchange)

    monkeypatch.setattr(posted_prices, "market_of", market_of)
    read = posted_prices.read_posted(history("IBM", "BP.NOWHERE"), exchange="XNYS")
    assert set(read.bars["XNYS"]["symbol"]) == {"IBM"}
    assert read.left_out == {"BP.NOWHERE": "BP.NOWHERE: no calendar is known for .NOWHERE"}
