"""How the last forecasts did, drawn."""

import re
from collections.abc import Callable
from xml.etree import ElementTree

import pandas as pd

from pipeline.publishing.edition import Edition
from pipeline.publishing.report.recent_forecasts import recent_by_symbol


def test_the_last_twenty_are_counted_and_drawn(
    make_edition: Callable[..., Edition], make_recent: Callable[..., pd.DataFrame]
) -> None:
    past = recent_by_symbol(make_edition(recent=make_recent()))["AAPL"]
    assert past.sentence == (
        "16 of the last 20 closes were inside the 80 % range published the evening before, 16 inside the 90 % range."
    )
    paths = {path.get("class"): path.get("d") or "" for path in ElementTree.fromstring(past.svg).iter("path")}
    assert paths["bar90"].count("M") == paths["bar80"].count("M") == 20
    assert (paths["dot"].count("M"), paths["miss"].count("M")) == (16, 4)


def test_what_lies_higher_is_drawn_higher(
    make_edition: Callable[..., Edition], make_recent: Callable[..., pd.DataFrame]
) -> None:
    svg = recent_by_symbol(make_edition(recent=make_recent()))["AAPL"].svg
    paths = {path.get("class"): path.get("d") or "" for path in ElementTree.fromstring(svg).iter("path")}
    low, high = (float(number) for number in re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", paths["bar90"])[0])
    missed = float(re.findall(r"M[\d.]+ ([\d.]+)h0", paths["miss"])[0])
    assert missed < high < low, "pixels run downward; the missed close lay above the range"


def test_few_forecasts_are_no_reason_to_fail_and_none_is_nothing(
    make_edition: Callable[..., Edition], make_recent: Callable[..., pd.DataFrame]
) -> None:
    assert " of the last 2 closes " in recent_by_symbol(make_edition(recent=make_recent(days=2)))["AAPL"].sentence
    assert recent_by_symbol(make_edition()) == recent_by_symbol(make_edition(recent=make_recent().iloc[:0])) == {}


def test_a_hostile_name_is_escaped(
    make_edition: Callable[..., Edition], make_recent: Callable[..., pd.DataFrame]
) -> None:
    svg = recent_by_symbol(make_edition(recent=make_recent('"><script>')))['"><script>'].svg
    assert "<script" not in svg
    ElementTree.fromstring(svg)
