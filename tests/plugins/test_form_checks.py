"""A request for a run that cannot be met is answered with one sentence, and every other request is left alone."""

import asyncio
import json
from typing import Any

import form_checks
import pytest
from form_checks import MAX_BODY, TriggerChecks

from pipeline.jobs.trigger_form import MAX_SYMBOLS
from pipeline.market.symbols import MAX_LENGTH

DAILY, BACKTEST, BACKFILLS = "/api/v2/dags/daily_forecast/dagRuns", "/api/v2/dags/backtest/dagRuns", "/api/v2/backfills"
FORM = {
    "daily_forecast": ["symbols", "as_of", "horizon", "source", "network", "training_steps", "somebody_elses"],
    "backtest": ["from", "to", "symbols", "refit_every"],
}
SIGNED_IN = [(b"authorization", b"Bearer x")]


@pytest.fixture(autouse=True)
def _form(monkeypatch: pytest.MonkeyPatch, home: Any) -> None:
    monkeypatch.setattr(form_checks, "fields_of", FORM.__getitem__)


def ask(path: str, body: Any, *, method: str = "POST", headers: Any = SIGNED_IN, kind: str = "http") -> tuple[int, Any]:
    """Return the status and the detail of the answer; 200 and the body that arrived where the request got through."""
    sent: list[Any] = []
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    parts = iter([(content[:5], True), (content[5:], False)])

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        arrived, more = b"", True
        while more:
            message = await receive()
            arrived, more = arrived + message["body"], message["more_body"]
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": json.dumps({"detail": arrived.decode()}).encode()})

    async def receive() -> Any:
        part, more = next(parts)
        return {"type": "http.request", "body": part, "more_body": more}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": kind, "path": path, "method": method, "headers": headers}
    asyncio.run(TriggerChecks(inner)(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])["detail"]


@pytest.mark.parametrize(
    ("path", "conf", "words"),
    [
        (DAILY, {"simbols": "IBM"}, "no such parameter: 'simbols'; there are symbols, as_of"),
        (DAILY, {"as_of": "2013-03-02"}, "2013-03-02 is not a session of XNYS (weekend or holiday)"),
        (DAILY, {"as_of": "2012-12-25"}, "2012-12-25 is not a session of XNYS (weekend or holiday)"),
        (DAILY, {"as_of": "2999-01-04"}, "is in the future; the last complete session is"),
        (DAILY, {"as_of": "tomorrow"}, "as_of: 'tomorrow' is not a date; write it as 2013-02-28"),
        (DAILY, {"horizon": 0}, "horizon: 0 is not allowed; use a whole number from 1 to 60"),
        (DAILY, {"horizon": 100}, "horizon: 100 is not allowed; use a whole number from 1 to 60"),
        (DAILY, {"symbols": "AAPL;IBM"}, "symbols: 'AAPL;IBM' is not a symbol"),
        (DAILY, {"symbols": "A," * (MAX_SYMBOLS + 1)}, "symbols: 20,001 are too many: one run takes up to 20,000"),
        (DAILY + "/", {"horizon": 0}, "horizon: 0 is not allowed"),
        ("/team" + DAILY, {"horizon": 0}, "horizon: 0 is not allowed"),
        (BACKTEST, {"from": "2012-02-01", "to": "2012-01-01"}, "from 2012-02-01 is after to 2012-01-01"),
        (BACKTEST, {"from": "2012-02-01", "to": "2999-01-01"}, "to: 2999-01-01 is in the future"),
        (BACKTEST, {"from": "2012-02-01", "to": "2012-03-01", "horizon": 3}, "no such parameter: 'horizon'"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_in_one_sentence(path: str, conf: Any, words: str) -> None:
    status, detail = ask(path, {"logical_date": None, "conf": conf})

    assert status == 400
    assert words in detail
    assert "\n" not in detail
    assert "(?=" not in detail


def test_a_backfill_is_checked_too() -> None:
    status, detail = ask(BACKFILLS, {"dag_id": "daily_forecast", "dag_run_conf": {"horizon": 0}})

    assert (status, "horizon: 0" in detail) == (400, True)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (DAILY, {"logical_date": None, "conf": {}}),
        (DAILY, {"logical_date": None}),
        (DAILY, {"conf": {"symbols": None, "as_of": None, "horizon": None}}),
        (DAILY, {"conf": {"symbols": "AAPL, IBM", "as_of": "2013-02-28", "somebody_elses": [1]}}),
        (DAILY, {"conf": "not a mapping"}),
        (DAILY, [1, 2]),
        (DAILY, b"not JSON"),
        (DAILY, b"\xff\xfe"),
        (DAILY, b""),
        (BACKFILLS, {"dag_id": "somebody_elses", "dag_run_conf": {"horizon": 0}}),
        ("/api/v2/dags/somebody_elses/dagRuns", {"conf": {"horizon": 0}}),
        ("/api/v2/dags/daily_forecast/dagRuns/list", {"conf": {"horizon": 0}}),
        ("/api/v2/pools", {"conf": {"horizon": 0}}),
    ],
)
def test_everything_else_reaches_airflow_as_it_was_sent(path: str, body: Any) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    if b"\xff" in content:
        with pytest.raises(UnicodeDecodeError):  # in the application that this test puts there, not before it
            ask(path, body)
    else:
        assert ask(path, body) == (200, content.decode())


@pytest.mark.parametrize("change", [{"method": "GET"}, {"method": "PATCH"}, {"headers": []}, {"kind": "other"}])
def test_only_a_signed_in_request_for_a_run_is_looked_at(change: Any) -> None:
    assert ask(DAILY, {"conf": {"horizon": 0}}, **change)[0] == 200


def test_a_body_beyond_the_limit_is_refused_and_the_most_symbols_fit_in() -> None:
    status, detail = ask(DAILY, {"conf": {"symbols": "A" * MAX_BODY}})

    assert (status, detail) == (413, "the request is longer than 1,000,000 bytes; name fewer symbols")
    assert MAX_SYMBOLS * (MAX_LENGTH + len(", ")) < MAX_BODY


def test_a_check_that_breaks_stands_in_nobodys_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_dag_id: str) -> list[str]:
        raise OSError("the database is unreachable")

    monkeypatch.setattr(form_checks, "fields_of", broken)

    assert ask(DAILY, {"conf": {"horizon": 0}})[0] == 200
