"""Numbers and symbols in price files: one convention for a column, and each cell that is none quoted."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import BadFile, BadSymbol
from pipeline.prices.sources.files.cells import number_of
from tests.prices.quality.made import check
from tests.prices.sources.files.made_files import FEW, HEADER, TODAY, bars_of, opened, rows, said

US: Callable[[float], str] = "{:,.2f}".format
LAST_CLOSE, LAST_VOLUME = 1212.5, 1_245_567


def german(value: float) -> str:
    return US(value).translate(str.maketrans(",.", ".,"))


def table(price: Callable[[float], str], volume: Callable[[int], str], delimiter: str = ",", quote: str = '"') -> str:
    lines = [HEADER.replace(",", delimiter)]
    for k, day in enumerate(FEW):
        cells = [*(price(value + k) for value in (1200.5, 1202.25, 1199.75, 1201.5)), volume(1_234_567 + 1000 * k)]
        lines.append(delimiter.join(["IBM", str(day), *(f"{quote}{cell}{quote}" for cell in cells)]))
    return "\n".join([*lines, ""])


@pytest.mark.parametrize(
    ("price", "volume"),
    [
        ("{:.2f}".format, str),
        ("{:e}".format, str),
        ("+{:.2f}".format, str),
        (US, "{:,}".format),
        (german, lambda value: f"{value:,}".replace(",", ".")),
        (lambda value: US(value).replace(",", " ").replace(".", ","), lambda value: f"{value:,}".replace(",", " ")),
        (lambda value: US(value).replace(",", "\u00a0"), lambda value: f"{value:,}".replace(",", "\u00a0")),
        (lambda value: US(value).replace(",", "\u202f"), lambda value: f"{value:,}".replace(",", "\u2009")),
        (lambda value: US(value).replace(",", "'"), lambda value: f"{value:,}".replace(",", "’")),
        ("${:,.2f}".format, "{:,}".format),
        ("US$ {:,.2f}".format, "{:,}".format),
        ("USD {:.2f}".format, str),
        ("{:.2f} EUR".format, str),
        ("{:.2f} €".format, str),
        (lambda value: f"{german(value)} €", str),
        ("£{:.2f}".format, lambda value: f"{value / 1e3:.3f}K"),
        ("{:.2f}".format, lambda value: f"{value / 1e6:.6f}M"),
        ("{:.2f}".format, lambda value: f"{value / 1e9:.9f} bn"),
        (german, lambda value: f"{value / 1e6:.6f}M".replace(".", ",")),
    ],
)
def test_numbers_as_people_write_them(
    tmp_path: Path, price: Callable[[float], str], volume: Callable[[int], str]
) -> None:
    bar = bars_of(opened(tmp_path / "p.csv", table(price, volume))).iloc[-1]
    assert bar[["open", "high", "low", "close"]].tolist() == [1211.5, 1213.25, 1210.75, LAST_CLOSE]
    assert bar["volume"] == LAST_VOLUME


@pytest.mark.parametrize(
    ("text", "sign", "value"),
    [
        ("3.99M", ".", 3_990_000),
        ("3,99 Mn", ",", 3_990_000),
        ("1.2B", ".", 1_200_000_000),
        ("(12.5)", ".", -12.5),
        ("−12.5", ".", -12.5),
        ("-$12.50", ".", -12.5),
        ("12,34,567.5", ".", 1_234_567.5),
        ("1.234", ".", 1.234),
        ("1.234", ",", 1234),
        ("1,234", ",", 1.234),
        ("1,234", ".", 1234),
        ("1.234", "", None),
        ("1.234,5", ".", None),
        ("1,23,4", ".", None),
        ("1.2.3", ".", None),
        ("12%", ".", None),
        ("3.99MIO", ".", None),
        ("12p", ".", None),
        ("n/a", ".", None),
        ("-", ".", None),
        ("1e5", ".", 100_000),
        ("0x10", ".", None),
        ("$", ".", None),
        ("()", ".", None),
        ("--5", ".", None),
    ],
)
def test_a_cell_is_a_number_or_none(text: str, sign: str, value: float | None) -> None:
    assert number_of(text, sign) == value


@pytest.mark.parametrize("text", ["n/a", "#N/A", "-", "--", "abc", "1.2.3", "12%", "1,2,3,4", "0x10", "?"])
@pytest.mark.parametrize("column", ["open", "close", "volume"])
def test_what_is_not_a_number_is_quoted_and_its_bar_rejected(tmp_path: Path, text: str, column: str) -> None:
    lines = rows(FEW).splitlines()
    cells = lines[5].split(",")
    cells[HEADER.split(",").index(column)] = f'"{text}"'
    lines[5] = ",".join(cells)
    bars = bars_of(opened(tmp_path / "p.csv", "\n".join(lines)))
    assert len(bars) == len(FEW)  # not a missing bar
    checked = check(bars)
    assert checked.verdicts[["verdict", "rule"]].values.tolist() == [["reject", "unreadable"]]
    (held,) = checked.held_back.to_dict("records")
    assert held["session"].date() == FEW[4]
    assert held["detail"] == f"line 6: {column} {text!r} is not a number"
    assert len(checked.kept) == len(FEW) - 1


@pytest.mark.parametrize("text", ["", " ", "nan", "NaN", "null"])
def test_a_blank_is_a_missing_value(tmp_path: Path, text: str) -> None:
    lines = rows(FEW).splitlines()
    lines[5] = lines[5].replace("101.00", text).replace("103.00", text).replace("100.00", text)
    bars = bars_of(opened(tmp_path / "p.csv", "\n".join(lines)))
    assert np.isnan(bars["open"].iloc[4])
    assert "unreadable" not in bars


def test_a_column_without_a_number_is_refused(tmp_path: Path) -> None:
    text = rows(FEW).replace("open,high,low,close", "high,low,close,name").replace("name", "open")
    text = "\n".join([text.splitlines()[0], *(f"IBM,{day},1,1,1,x,1" for day in FEW)])
    with pytest.raises(BadFile, match=r"column open: 'x' is not a number \(line 2\)"):
        opened(tmp_path / "p.csv", text).symbols()


@pytest.mark.parametrize(
    ("cell", "setting", "value"),
    [("120.050", "point", 120.05), ("120.050", "comma", 120050), ("9,125", "comma", 9.125), ("9,125", "point", 9125)],
)
def test_a_sign_that_fits_two_numbers_is_refused_unless_the_setting_tells(
    tmp_path: Path, cell: str, setting: str, value: float
) -> None:
    lines = [HEADER.replace(",", ";"), *(f"IBM;{day};{cell};{cell};{cell};{cell};" for day in FEW)]
    text = "\n".join(lines)
    with pytest.raises(BadFile, match=r"no cell tells .*PIPELINE_FILES_DECIMAL"):
        opened(tmp_path / "p.csv", text).symbols()
    assert bars_of(opened(tmp_path / "p.csv", text, decimal=setting))["close"].iloc[0] == value


@pytest.mark.parametrize(
    ("price", "volume", "expected"),
    [
        ("120.050", "1234567", (120.05, 1_234_567)),  # thousands are not separated
        ("120,5", "1.234", (120.5, 1234)),  # the file has decimal commas
        ("120.5", "1,234", (120.5, 1234)),
        ("9.125", "1.234.567", (9125, 1_234_567)),
    ],
)
def test_other_cells_tell_what_one_leaves_open(
    tmp_path: Path, price: str, volume: str, expected: tuple[float, float]
) -> None:
    lines = [HEADER.replace(",", ";"), *(f"IBM;{day};{price};{price};{price};{price};{volume}" for day in FEW)]
    bar = bars_of(opened(tmp_path / "p.csv", "\n".join(lines))).iloc[0]
    assert (bar["close"], bar["volume"]) == expected


@pytest.mark.parametrize("together", [True, False])
def test_symbols_are_kept_as_they_are_written(tmp_path: Path, together: bool) -> None:
    names = ["000001", "00001", "1", "1E5", "INF", "NA", "NAN", "NONE", "NULL", "TRUE"]
    for group in [names] if together else [[name] for name in names]:
        lines = [f"{name},2013-03-01,1,1,1,1,1" for name in group]
        assert opened(tmp_path / "p.csv", "\n".join([HEADER, *lines])).symbols() == tuple(group)


def test_a_bad_symbol_is_named_and_leaves_the_others_alone(tmp_path: Path) -> None:
    odd = [" msft ", "", "../x", "é", "A" * 30]
    text = rows(FEW) + "\n".join(f"{name},2013-03-01,1,1,1,1,1" for name in odd)
    source = opened(tmp_path / "p.csv", text)
    assert source.symbols() == ("IBM", "MSFT")
    details = said(bars_of(source), "rejected")
    assert len(details) == 4
    assert "line 15: the symbol is blank: ',2013-03-01,1,1,1,1,1'" in details
    assert any("'../x' is not a symbol" in detail for detail in details)


def test_what_is_asked_for_is_all_that_is_looked_at(tmp_path: Path) -> None:
    bad = "".join(f"BAD,{day},n/a,1,1,1,1\n" for day in FEW) + "BAD,2031-01-01,1,1,1,1,1\nBAD,2019-01-03,1,1,1,1,1\n"
    source = opened(tmp_path / "p.csv", rows(FEW) + bad, symbols=("IBM",))
    assert source.last_session() == FEW[-1]
    bars = source.bars(("IBM",), TODAY)
    assert bars.attrs["rejected"] == []
    assert check(bars).verdicts.empty


def test_a_symbol_of_which_nothing_can_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    source = opened(tmp_path / "p.csv", rows(FEW) + "MSFT,soon,1,1,1,1,1\n")
    assert source.symbols() == ("IBM",)
    with pytest.raises(BadSymbol, match="has no row of MSFT that can be read: line 14: 'soon' is not a date"):
        source.require(("MSFT",))


@pytest.mark.parametrize(
    "footer",
    ["Total,,,,,,12345678", "Source: somebody", '"Downloaded from example.com, 2013"', "Average,,,,,,", ",,,,,,99"],
)
def test_totals_and_footers_are_no_rows_and_are_named(tmp_path: Path, footer: str) -> None:
    bars = bars_of(opened(tmp_path / "p.csv", rows(FEW) + "\n" + footer + "\n"))
    assert len(bars) == len(FEW)
    assert bars.attrs["rejected"] == []
    assert [row.rule for row in bars.attrs["notes"]] == ["no_row"]
    assert footer.strip('"').split(",")[0][:10] in said(bars, "notes")[0]


def test_a_row_that_was_cut_off_is_no_footer(tmp_path: Path) -> None:
    bars = bars_of(opened(tmp_path / "p.csv", rows(FEW) + "IBM,2013-03-01,200.65,202"))
    assert said(bars, "rejected") == [
        "line 14 has another number of cells than the header: 'IBM,2013-03-01,200.65,202'"
    ]
