"""What the fields of the trigger forms accept, and what a user reads about a value that they do not."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.errors import UserError
from pipeline.jobs.trigger_form import FIELDS, MAX_SYMBOLS, check_field, check_form
from pipeline.market.symbols import MAX_LENGTH

NOW = datetime(2026, 12, 24, 17, 0, tzinfo=UTC)  # noon in New York, an hour before the early close


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("symbols", "AAPL"),
        ("symbols", " aapl, BRK-B  ^GSPC\nEURUSD=X,7203.T "),
        ("symbols", ",".join(["A" * MAX_LENGTH] * MAX_SYMBOLS)),
        ("as_of", "2026-12-23"),
        ("as_of", "2013-02-28"),
        ("from", "2012-01-01"),  # a Sunday: the first session after it counts
        ("to", "2026-12-24"),
        ("horizon", 1),
        ("horizon", 60),
        ("horizon", 5.0),  # JSON has one kind of number
        ("training_steps", 100_000),
        ("retrain_every", 252),
        ("refit_every", 2000),
        ("source", "files"),
        ("network", "mlp"),
        ("whole_history", False),
        ("a_field_of_another_form", object()),
        *((name, None) for name in FIELDS),
    ],
)
def test_what_makes_sense_passes(name: str, value: Any) -> None:
    check_field(name, value, now=NOW)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("symbols", "", "the list is empty"),
        ("symbols", " , ", "the list is empty"),
        ("symbols", ["AAPL"], "symbols: ['AAPL'] is not text; write AAPL, IBM"),
        ("symbols", "../../etc/passwd", "'../../etc/passwd' is not a symbol"),
        ("symbols", "IBM " + "A" * 900_000, "AAA…' is not a symbol: it is longer than 20 characters"),
        ("symbols", "ＡＡＰＬ", "'ＡＡＰＬ' is not a symbol"),
        ("symbols", "A " * (MAX_SYMBOLS + 1), "20,001 are too many: one run takes up to 20,000"),
        ("as_of", "2026-12-19", "2026-12-19 is not a session of XNYS (weekend or holiday)"),
        ("as_of", "2026-11-26", "2026-11-26 is not a session of XNYS (weekend or holiday)"),
        ("as_of", "2026-12-24", "2026-12-24 is not complete yet; the last complete session is 2026-12-23"),
        ("as_of", "2026-12-28", "2026-12-28 is in the future; the last complete session is 2026-12-23"),
        ("as_of", "20130228", "'20130228' is not a date; write it as 2013-02-28"),
        ("as_of", "2013-02-30", "'2013-02-30' is not a date"),
        ("as_of", "2013-02-28\n", "is not a date"),
        ("as_of", 20130228, "20130228 is not a date"),
        ("from", "yesterday", "from: 'yesterday' is not a date"),
        ("to", "2026-12-25", "to: 2026-12-25 is in the future"),
        ("horizon", 0, "horizon: 0 is not allowed; use a whole number from 1 to 60"),
        ("horizon", 61, "from 1 to 60"),
        ("horizon", -1, "-1 is not allowed"),
        ("horizon", 2.5, "2.5 is not allowed"),
        ("horizon", "5", "'5' is not allowed"),
        ("horizon", True, "True is not allowed"),
        ("horizon", float("nan"), "nan is not allowed"),
        ("horizon", float("inf"), "inf is not allowed"),
        ("training_steps", 100_001, "use a whole number from 1 to 100,000"),
        ("retrain_every", 253, "use a whole number from 1 to 252"),
        ("refit_every", 2001, "use a whole number from 1 to 2,000"),
        ("source", "bloomberg", "source: 'bloomberg' is not allowed; use one of sample, yahoo, files"),
        ("source", ["files"], "['files'] is not allowed"),
        ("network", "transformer", "use one of lstm, rnn, mlp"),
        ("whole_history", "yes", "whole_history: 'yes' is not allowed; use true or false"),
        ("whole_history", 1, "use true or false"),
    ],
)
def test_what_makes_none_is_refused_in_one_sentence(name: str, value: Any, words: str) -> None:
    with pytest.raises(UserError, match=re.escape(words)) as refused:
        check_field(name, value, now=NOW)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"simbols": 1, "as_off": 2}, "no such parameter: 'as_off, simbols'; there are from, to"),
        ({"x" * 1000: 1}, "x…'"),
        ({"from": "2012-02-01", "to": "2012-01-31"}, "from 2012-02-01 is after to 2012-01-31; swap the two dates"),
    ],
)
def test_what_does_not_go_together_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        check_form(values, known=["from", "to"], now=NOW)
