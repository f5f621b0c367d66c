"""Symbols: which text is one, and how lists of them are read."""

import pytest

from pipeline.errors import BadSymbol
from pipeline.market.symbols import parse_symbol, parse_symbols


@pytest.mark.parametrize("text", ["AAPL", "brk-b", "BP.L", "7203.T", "EURUSD=X", "^GSPC", " msft "])
def test_takes_the_symbols_that_vendors_use(text: str) -> None:
    assert parse_symbol(text) == text.strip().upper()


@pytest.mark.parametrize(
    "text", ["../../x", "A#f", "A?x=1", "ＡＡＰＬ", "=1+1", "-A", "@A", "A B", "A..B", "", "x" * 21, "A\n", "<b>", "ß"]
)
def test_refuses_what_could_be_a_path_a_url_or_a_formula(text: str) -> None:
    if text == "A\n":  # white space around a symbol is no part of it
        assert parse_symbol(text) == "A"
        return
    with pytest.raises(BadSymbol):
        parse_symbol(text)


def test_the_order_of_a_list_of_symbols_changes_nothing() -> None:
    assert parse_symbols("MSFT, aapl IBM,AAPL") == ("AAPL", "IBM", "MSFT") == parse_symbols(["IBM", "AAPL", "MSFT"])
