"""Symbols as other vendors spell them: the message suggests Yahoo's spelling, and nothing else is suggested."""

import pytest

from pipeline.errors import BadSymbol
from pipeline.market.spellings import suggestion, yahoo_spelling
from pipeline.market.symbols import parse_symbol


@pytest.mark.parametrize(
    ("text", "yahoo"),
    [
        # share classes
        ("BRK.B", "BRK-B"), ("BRK/B", "BRK-B"), ("BRK B", "BRK-B"), ("BRK_B", "BRK-B"), ("brk.b", "BRK-B"),
        ("BF.B", "BF-B"), ("HEI.A", "HEI-A"), ("RCI.B.TO", "RCI-B.TO"), ("TSX:RCI.B", "RCI-B.TO"),
        ("REI.UN.TO", "REI-UN.TO"), ("BT.A.L", "BT-A.L"),
        # preferred shares and warrants
        ("BAC.PRL", "BAC-PL"), ("BAC.PR.L", "BAC-PL"), ("BAC/PL", "BAC-PL"), ("BAC^L", "BAC-PL"), ("HTZ.WS", "HTZ-WT"),
        # an exchange in front
        ("NASDAQ:AAPL", "AAPL"), ("nasdaq: aapl", "AAPL"), ("NYSE:BRK.B", "BRK-B"), ("XNAS:MSFT", "MSFT"),
        ("LON:BP", "BP.L"), ("LSE:VOD", "VOD.L"), ("TSE:7203", "7203.T"), ("TSE:RY", "RY.TO"), ("ASX:BHP", "BHP.AX"),
        ("HKEX:700", "0700.HK"), ("XETR:SAP", "SAP.DE"),
        # Bloomberg
        ("AAPL US", "AAPL"), ("AAPL US Equity", "AAPL"), ("BRK/B US", "BRK-B"), ("VOD LN", "VOD.L"),
        ("7203 JP", "7203.T"), ("700 HK", "0700.HK"), ("ERICB SS", "ERIC-B.ST"), ("MC FP", "MC.PA"),
        ("SPX Index", "^GSPC"),
        # other suffixes: Stooq, Refinitiv, tushare
        ("AAPL.US", "AAPL"), ("AAPL.O", "AAPL"), ("AAPL.OQ", "AAPL"), ("BP.UK", "BP.L"), ("7203.JP", "7203.T"),
        ("700.HK", "0700.HK"), ("600519.SH", "600519.SS"),
        # indices, pairs, futures, cashtags
        ("SPX", "^GSPC"), (".DJI", "^DJI"), ("EUR/USD", "EURUSD=X"), ("EURUSD", "EURUSD=X"), ("BTCUSD", "BTC-USD"),
        ("ES1!", "ES=F"), ("$AAPL", "AAPL"),
    ],
)  # fmt: skip
def test_another_vendors_spelling_is_recognized(text: str, yahoo: str) -> None:
    assert yahoo_spelling(text) == yahoo
    assert suggestion(text) == f"; Yahoo's spelling is {yahoo}"
    parse_symbol(yahoo)  # what is suggested can be asked for


@pytest.mark.parametrize(
    "text",
    ["AAPL", "FOO", "BP.L", "VOD.L", "7203.T", "SHOP.TO", "TEF.MC", "VOW3.DE", "0700.HK", "^GSPC", "BTC-USD", "BRK-B",
     "EURUSD=X", "ES=F", "COMI.CA", "2222.SR", "PTT.BK", "YPFD.BA", "SMSN.IL", "OPAP.AT", "XYZ.CN", "WEED.NE", "", "..",
     "NASDAQ:", "A:B:C", "../../v1/x", "A" * 500, "<b>:x", "NASDAQ:<script>"],
)  # fmt: skip
def test_nothing_is_suggested_for_what_is_right_or_unknown(text: str) -> None:
    assert suggestion(text) == ""


@pytest.mark.parametrize("text", ["NASDAQ:AAPL", "BRK/B"])
def test_what_cannot_be_a_symbol_is_refused_with_the_suggestion(text: str) -> None:
    with pytest.raises(BadSymbol, match=rf"{text}.*Yahoo's spelling is"):
        parse_symbol(text)


def test_bloombergs_code_alone_is_explained() -> None:
    assert suggestion("LN").endswith("what is `VOD LN` there is VOD.L at Yahoo")
