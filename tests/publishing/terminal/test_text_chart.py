"""Text charts of closes and ranges."""

from datetime import date, timedelta

import pytest

from pipeline.forecast_schema import LEVELS, RANGES
from pipeline.publishing.matured_forecasts import MaturedForecast
from pipeline.publishing.terminal import text_chart


def levels(median: float, spread: float) -> dict[float, float]:
    return {level: median + spread * (place - 3) for place, level in enumerate(LEVELS)}


def test_a_sparkline_goes_from_the_lowest_to_the_highest_of_what_it_shows() -> None:
    assert text_chart.sparkline([99.0, 1, 2, 3, 4, 5, 6, 7, 8], 8) == "▁▂▃▄▅▆▇█"
    assert text_chart.sparkline([5.0, 5.0], 8) == "▄▄"
    assert text_chart.sparkline([], 8) == ""


@pytest.mark.parametrize("steps", [1, 5, 60])
@pytest.mark.parametrize("closes", [2, 60])
def test_a_chart_fills_its_size_and_tells_the_ranges_apart_by_sign(steps: int, closes: int) -> None:
    fan = [levels(100.0, 1 + step / 3) for step in range(steps)]
    drawn = text_chart.chart([100.0 + place % 7 for place in range(closes)], {}, fan, (70, 14))
    assert [len(row) for row in drawn.rows] == [70] * 14
    signs = [row[-1][0] for row in drawn.rows]
    marks = {mark for mark, _ in text_chart.BANDS.values()}
    assert set(signs) - {" "} == {text_chart.MEDIAN, *marks}
    inside = "".join(signs).strip()
    order = "░▒▓━▓▒░"  # from the outside in and out again
    assert [sign for place, sign in enumerate(inside) if inside[place - 1 : place] != sign] == list(order)


def test_the_line_goes_through_the_first_and_the_last_close() -> None:
    drawn = text_chart.chart([1.0, 9.0], {}, [levels(9.0, 0.1)], (40, 10))
    is_line = [[style == text_chart.LINE for _, style in row] for row in drawn.rows]
    assert is_line[-1][0]
    assert is_line[0][drawn.today]
    assert all(any(row[column] for row in is_line) for column in range(drawn.today + 1))
    assert not any(row[column] for row in is_line for column in range(drawn.today + 1, 40))
    assert drawn.price(0) == drawn.top
    assert drawn.price(9) == pytest.approx(drawn.bottom)


def test_closes_that_never_move_can_be_drawn() -> None:
    drawn = text_chart.chart([5.0, 5.0, 5.0], {}, [dict.fromkeys(LEVELS, 5.0)], (40, 10))
    assert any(sign == text_chart.MEDIAN for row in drawn.rows for sign, _ in row)


def record(closes: list[float], days: int) -> list[MaturedForecast]:
    last = date(2013, 3, 1)
    return [
        MaturedForecast(
            symbol="IBM",
            target_session=last - timedelta(days=back),
            as_of=last - timedelta(days=back + 1),
            last_close=10.0,
            model="lstm",
            model_version="3",
            in_time=True,
            quantiles=levels(10.0, 1.0),
            close=closes[-1 - back],
            crps_bp=100.0,
            baseline_crps_bp=110.0,
            inside=dict.fromkeys(RANGES, True),
        )
        for back in range(days)
    ]


def test_past_ranges_are_followed_back_as_long_as_the_sessions_are_known_to_follow_each_other() -> None:
    closes = [10.0, 11.0, 12.0, 13.0, 14.0]
    rows = record(closes, 3)
    assert sorted(text_chart.recent_ranges(closes, rows)) == [2, 3, 4]
    assert text_chart.recent_ranges(closes, rows)[4] == levels(10.0, 1.0)
    assert sorted(text_chart.recent_ranges(closes, [rows[0], rows[2]])) == [4]  # a session between them has no forecast
    assert text_chart.recent_ranges([*closes[:-1], 7.0], rows) == {}  # a price that was rewritten since
    assert text_chart.recent_ranges(closes, []) == {}
