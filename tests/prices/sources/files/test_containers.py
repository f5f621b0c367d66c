"""What a price file may be packed in, which types its columns may have, and what is refused before it is read."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from pipeline.errors import BadFile
from pipeline.prices.sources.files import FileOptions, FilesSource, limits
from tests.prices.sources.files.made_files import FEW, HEADER, TODAY, bars_of, days_of, opened, rows, without_symbol

TEXT = rows(FEW)


def zipped(members: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return made.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_text_of_any_delimiter_and_encoding_is_read(
    tmp_path: Path, delimiter: str, encoding: str, newline: str
) -> None:
    text = without_symbol(f"{HEADER},firm", "IBM,{d},1,2,.5,1.5,100,Café").replace(",", delimiter)
    assert days_of(opened(tmp_path / "p.csv", text.replace("\n", newline).encode(encoding))) == FEW


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("p.csv.gz", gzip.compress),
        ("p.csv.xz", lzma.compress),
        ("p.csv.bz2", bz2.compress),
        ("p.csv.zst", lambda data: pa.compress(data, "zstd", asbytes=True)),
        ("p.zip", lambda data: zipped({"a/p.csv": data.decode(), "__MACOSX/a/._p.csv": "x"})),
        ("p.csv", gzip.compress),
    ],
)
def test_packed_text_is_read_whatever_its_name_says(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    assert days_of(opened(tmp_path / name, pack(TEXT.encode()))) == FEW


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no rows: it is empty"),
        (b"\n \n", "has no rows: it is blank"),
        (HEADER.encode(), "has no rows"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b'[{"close": 1}]', "is JSON"),
        (bytes(range(256)) * 8, "it is not text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an Excel workbook; export the sheet as CSV"),
        (zipped({"xl/workbook.xml": "<workbook/>"}), "is an Excel workbook; export the sheet as CSV"),
        (zipped({"a.csv": "1", "b.csv": "2"}), "holds 2 files, not one"),
        (gzip.compress(TEXT.encode(), mtime=0)[:60], "cannot be decompressed"),
        (b"PAR1" + b"x" * 50, "cannot be read as Parquet"),
        (b"ARROW1" + b"x" * 50, "cannot be read as Arrow"),
        ("\n".join(TEXT.splitlines()[1:]).encode(), "no line names columns"),
    ],
)
def test_what_is_no_price_table_is_refused_in_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(BadFile, match=words) as caught:
        opened(tmp_path / "p.csv", content).symbols()
    assert "p.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def frame(symbol: str = "IBM") -> pd.DataFrame:
    table = pd.read_csv(io.StringIO(TEXT), dtype={"symbol": str})
    return table.assign(date=pd.to_datetime(table["date"]), symbol=symbol)


def cast(column: str, to: Callable[[pa.ChunkedArray], pa.ChunkedArray]) -> pa.Table:
    table = pa.Table.from_pandas(frame(), preserve_index=False)
    return table.set_column(table.column_names.index(column), column, to(table.column(column)))


@pytest.mark.parametrize(
    "made",
    [
        frame,
        lambda: frame().set_index("date"),
        lambda: frame().set_index("date").rename_axis(None),
        lambda: frame().set_index("symbol"),
        lambda: frame().set_index(["symbol", "date"]),
        lambda: frame().assign(date=frame()["date"].dt.strftime("%Y%m%d").astype(int)),
        lambda: frame().assign(date=frame()["date"].dt.strftime("%Y%m%d").astype(float)),
        lambda: frame().assign(date=frame()["date"].dt.strftime("%d/%m/%Y")),
        lambda: frame().assign(date=frame()["date"].dt.date),
        lambda: frame().assign(date=frame()["date"].dt.tz_localize("America/New_York")),
        lambda: frame().assign(symbol=pd.Categorical(frame()["symbol"])),
        lambda: cast("date", lambda column: column.cast(pa.date32())),
        lambda: cast("date", lambda column: column.cast(pa.date64())),
        lambda: cast("date", lambda column: column.cast(pa.timestamp("s"))),
        lambda: cast("date", lambda column: column.cast(pa.timestamp("ns"))),
        lambda: cast("date", lambda column: column.cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))),
        lambda: cast("symbol", lambda column: column.cast(pa.large_string())),
        lambda: cast("symbol", lambda column: column.cast(pa.string()).dictionary_encode()),
        lambda: cast("close", lambda column: column.cast(pa.decimal128(12, 4))),
        lambda: cast("close", lambda column: column.cast(pa.float32())),
        lambda: cast("close", lambda column: column.cast(pa.string())),
        lambda: cast("volume", lambda column: column.cast(pa.int32())),
    ],
)
@pytest.mark.parametrize("name", ["p.parquet", "P.PARQUET", "p.feather"])
def test_columns_of_any_sensible_type_are_read(
    tmp_path: Path, made: Callable[[], pd.DataFrame | pa.Table], name: str
) -> None:
    table = made()
    table = pa.Table.from_pandas(table) if isinstance(table, pd.DataFrame) else table
    write = feather.write_feather if name.endswith("feather") else pq.write_table
    write(table, str(tmp_path / name))
    bars = bars_of(FilesSource(tmp_path / name, FileOptions(today=TODAY)))
    assert [stamp.date() for stamp in bars["session"]] == FEW
    assert bars["symbol"].unique().tolist() == ["IBM"]
    assert bars["close"].iloc[-1] == 103.75


def test_a_cut_off_row_in_another_encoding_is_named(tmp_path: Path) -> None:
    bars = bars_of(opened(tmp_path / "p.csv", (TEXT + "IBM,2013-03-01,Café,1\n").encode("cp1252")))
    assert len(bars) == len(FEW)
    assert "Café" in bars.attrs["rejected"][0].detail


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ('IBM,"{day},100,102,99,101,5', 4),  # the quotation mark swallows every line after it
        ('IBM,{day},100,102,99,101,"5', 4),
        ('"IBM,{day},100,102,99,101,5', 4),
    ],
)
def test_an_open_quotation_mark_does_not_lose_the_lines_after_it(tmp_path: Path, broken: str, line: int) -> None:
    """Read on, the file would end early, and its forecasts would be of an earlier session."""
    lines = TEXT.splitlines()
    lines[line - 1] = broken.format(day=FEW[line - 2])
    with pytest.raises(BadFile, match=f"line {line} has a quotation mark that is not closed"):
        opened(tmp_path / "p.csv", "\n".join(lines) + "\n").symbols()


def test_an_open_quotation_mark_that_another_closes_is_found_too(tmp_path: Path) -> None:
    lines = TEXT.splitlines()
    lines[3], lines[5] = ',"'.join(lines[3].rsplit(",", 1)), lines[5] + '"'
    with pytest.raises(BadFile, match="line 4 has a quotation mark that is not closed"):
        opened(tmp_path / "p.csv", "\n".join(lines) + "\n").symbols()


def test_of_columns_that_are_not_used_only_the_names_are_read(tmp_path: Path) -> None:
    frame().assign(notes="x" * 1000, adj_factor=1.0).to_parquet(tmp_path / "p.parquet")
    bars = bars_of(FilesSource(tmp_path / "p.parquet"))
    assert [note.detail for note in bars.attrs["notes"]] == ["the column 'adj_factor' is not used"]


@pytest.mark.parametrize("zone", [None, "America/New_York", "UTC"])
def test_typed_dates_that_cannot_be_are_faults_of_their_rows(tmp_path: Path, zone: str | None) -> None:
    days = [pd.Timestamp(day) for day in FEW]
    days[2:5] = [pd.NaT, pd.Timestamp("1850-01-01"), pd.Timestamp("2031-01-01")]
    frame().assign(date=pd.Series(days).dt.tz_localize(zone)).to_parquet(tmp_path / "p.parquet")
    bars = bars_of(FilesSource(tmp_path / "p.parquet", FileOptions(today=TODAY)))
    assert [stamp.date() for stamp in bars["session"]] == [*FEW[:2], *FEW[5:]]
    details = [row.detail for row in bars.attrs["rejected"]]
    words = [
        "row 3: the date is blank",
        "row 4: the date '1850-01-01' is before 1900",
        "row 5: the date '2031-01-01' is",
    ]
    assert all(detail.startswith(start) for detail, start in zip(details, words, strict=True))


def test_durations_are_no_dates(tmp_path: Path) -> None:
    frame().assign(date=pd.Timedelta(days=1)).to_parquet(tmp_path / "p.parquet")
    with pytest.raises(BadFile, match="column date holds duration"):
        FilesSource(tmp_path / "p.parquet").symbols()


def test_moments_of_another_unit_are_refused(tmp_path: Path) -> None:
    numbers = frame()["date"].dt.strftime("%Y%m%d").astype(int)
    frame().assign(date=pd.to_datetime(numbers)).to_parquet(tmp_path / "p.parquet")
    with pytest.raises(BadFile, match="1970-01-01 only"):
        FilesSource(tmp_path / "p.parquet").symbols()


def test_two_levels_of_columns_are_read_from_parquet(tmp_path: Path) -> None:
    one = frame().set_index("date").drop(columns="symbol")
    wide = pd.concat({"IBM": one, "MSFT": one}, axis=1).swaplevel(axis=1)
    wide.to_parquet(tmp_path / "p.parquet")
    assert FilesSource(tmp_path / "p.parquet").symbols() == ("IBM", "MSFT")


def test_a_partitioned_folder_gives_the_symbols_of_its_path_as_text(tmp_path: Path) -> None:
    names = ("000001", "IBM", "NA", "TRUE")
    table = pd.concat([frame(name) for name in names])
    table.assign(year=table["date"].dt.year).to_parquet(tmp_path / "prices", partition_cols=["symbol", "year"])
    source = FilesSource(tmp_path / "prices", FileOptions(today=TODAY))
    assert source.symbols() == names
    assert len(bars_of(source)) == len(names) * len(FEW)


def test_a_folder_of_files_is_one_table_and_is_read_again_when_one_changes(tmp_path: Path) -> None:
    folder = tmp_path / "prices"
    folder.mkdir()
    for name in ("IBM", "MSFT"):
        (folder / f"{name}.csv").write_text(without_symbol("Date,Open,High,Low,Close,Volume", "{d},1,2,.5,1.5,100"))
    (folder / "README.md").write_text("no prices")
    source = FilesSource(folder, FileOptions(today=TODAY))
    assert source.symbols() == ("IBM", "MSFT")
    (folder / "NA.csv.gz").write_bytes(gzip.compress((folder / "IBM.csv").read_bytes()))
    assert source.symbols() == ("IBM", "MSFT", "NA")


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("no prices")
    with pytest.raises(BadFile, match="is a folder without CSV or Parquet files"):
        FilesSource(tmp_path).symbols()


@pytest.mark.parametrize("name", ["p.csv", "p.csv.gz", "p.zip", "p.csv.zst", "p.parquet", "p.feather", "folder"])
def test_what_does_not_fit_into_memory_is_refused_before_it_is_read(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    text = without_symbol(HEADER, "IBM,{d},1,2,.5,1.5,100", [date(2013, 3, 1)] * 4000)
    table = pd.concat([frame()] * 400)
    if name == "folder":
        path.mkdir()
        for part in range(4):
            pd.concat([frame()] * 100).to_parquet(path / f"{part}.parquet")
    elif name.endswith("parquet"):
        table.to_parquet(path)
    elif name.endswith("feather"):
        feather.write_feather(table, str(path))
    else:
        packed = {"gz": gzip.compress, "ip": lambda data: zipped({"p.csv": data.decode()})}.get(name[-2:])
        data = pa.compress(text.encode(), "zstd", asbytes=True) if name.endswith("zst") else text.encode()
        path.write_bytes(packed(data) if packed else data)
    FilesSource(path).symbols()
    monkeypatch.setattr(limits, "available_bytes", lambda: 2 * limits.BYTES_PER_ROW * 1000)
    path.touch()
    if path.is_dir():
        (path / "0.parquet").touch()
    with pytest.raises(BadFile, match="free") as caught:
        FilesSource(path).symbols()
    assert "split it" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_number_of_rows_counts_not_the_size_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal rows take next to no space in Parquet, and as much memory as any."""
    table = pa.table({name: pa.repeat(pa.scalar(1.0), 3_000_000) for name in ("open", "high", "low", "close")})
    pq.write_table(table, tmp_path / "p.parquet")
    assert (tmp_path / "p.parquet").stat().st_size < 1_000_000
    monkeypatch.setattr(limits, "available_bytes", lambda: 512 << 20)
    with pytest.raises(BadFile, match=r"has 3,000,000 rows, and the memory that is free is enough for 1,006,632 "):
        FilesSource(tmp_path / "p.parquet").symbols()


def test_more_bars_than_fit_are_refused_when_they_are_asked_for_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = opened(tmp_path / "p.csv", TEXT)
    source.symbols()
    monkeypatch.setattr(limits, "available_bytes", lambda: 10 * limits.BYTES_PER_BAR)
    with pytest.raises(BadFile, match=r"12 rows were asked for at once, .* enough for 6 .*--symbols"):
        bars_of(source)
