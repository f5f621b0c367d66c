"""How folds are cut, and how forecasts of many sessions become one table of windows."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation import walk_forward as pure
from pipeline.modeling.data.features import Features, future_returns, make_features
from pipeline.modeling.data.panel_from_bars import panel_from_bars
from pipeline.modeling.data.windows import usable_origins, with_targets
from pipeline.modeling.forecast_frame import forecast_frame
from pipeline.prices.sources.sample import SampleSource

LEVELS = (0.05, 0.5, 0.95)


@pytest.mark.parametrize(
    ("count", "every", "sizes"), [(13, 5, [5, 5, 3]), (10, 5, [5, 5]), (3, 63, [3]), (3, 1, [1] * 3)]
)
def test_every_session_lies_in_one_fold(count: int, every: int, sizes: list[int]) -> None:
    days = [date(2013, 1, 1 + at) for at in range(count)]
    walked = pure.walk(days, every)
    covered = [day for fold in walked for day in days if fold.first <= str(day) <= fold.last]
    assert covered == days
    assert [sum(fold.first <= str(day) <= fold.last for day in days) for fold in walked] == sizes
    assert [fold.number for fold in walked] == list(range(1, len(sizes) + 1))


@pytest.fixture(scope="module")
def features() -> Features:
    bars = SampleSource().bars(("FB", "IBM"), date(2013, 3, 1))
    return make_features(panel_from_bars(bars[bars["session"] >= "2011-01-01"].reset_index(drop=True)))


@pytest.mark.parametrize(("horizon", "validation"), [(1, 20), (5, 40), (5, 5000)])
def test_a_model_learns_from_targets_before_its_fold_alone(features: Features, horizon: int, validation: int) -> None:
    panel = features.panel
    origins = with_targets(usable_origins(features, 20), future_returns(panel.return_ST, horizon))
    fold = pure.fold_before(origins, panel, first=date(2012, 12, 3), horizon=horizon, validation=validation)
    first = int(np.flatnonzero(panel.days_MT[0] == np.datetime64("2012-12-03"))[0])
    assert fold.validation.t_N.max() + horizon == first - 1  # the newest that may be seen, and nothing newer
    assert len(np.unique(fold.validation.t_N)) <= validation
    assert len(fold.test) == 0
    if validation < 5000:
        assert len(np.unique(fold.validation.t_N)) == validation
        assert fold.train.t_N.max() + horizon == fold.validation.t_N.min() - 1
    else:
        assert len(fold.train) == 0


def test_before_the_history_there_is_nothing_to_learn_from(features: Features) -> None:
    origins = with_targets(usable_origins(features, 20), future_returns(features.panel.return_ST, 5))
    fold = pure.fold_before(origins, features.panel, first=date(2011, 1, 5), horizon=5, validation=40)
    assert len(fold.train) == len(fold.validation) == 0


def rows(model: str, days: list[str], symbols: list[str], middle: float) -> pd.DataFrame:
    """Two steps of each symbol and day; the middle quantile of the return is `middle`."""
    targets = [[date(2013, 1, 30), date(2013, 1, 31)]] * len(symbols)
    spread = middle + np.array([-0.1, 0.0, 0.1])
    parts = [
        forecast_frame(
            symbols, np.full(len(symbols), 50.0), np.tile(spread, (len(symbols), 2, 1)), as_of=date.fromisoformat(day),
            targets=targets, levels=LEVELS, model=model, model_version="1",
        )
        for day in days
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def test_windows_that_a_model_lacks_or_whose_targets_have_not_come_are_not_judged() -> None:
    frame = pd.concat(
        [
            rows("lstm", ["2013-01-03", "2013-01-04"], ["A"], 0.0),
            rows("random_walk", ["2013-01-02", "2013-01-03", "2013-01-04"], ["A", "B"], 0.05),
        ]
    )

    def outcome_of(symbols_N: np.ndarray, days_N: np.ndarray) -> np.ndarray:
        assert set(symbols_N) == {"A"}
        return np.where((days_N == np.datetime64("2013-01-04"))[:, None], [[0.01, np.nan]], [[0.01, 0.02]])

    heldout = pure.heldout_of(frame, outcome_of, horizon=2, levels=LEVELS)

    assert heldout.symbols_N.tolist() == ["A"]
    assert heldout.origins_N.astype(str).tolist() == ["2013-01-03"]
    np.testing.assert_allclose(heldout.quantiles["lstm"][0, 1], [-0.1, 0.0, 0.1], atol=1e-12)
    np.testing.assert_allclose(heldout.quantiles["random_walk"][0, 1], [-0.05, 0.05, 0.15], atol=1e-12)
    sessions = pure.by_session(heldout, LEVELS)
    assert pure.gained(sessions, "lstm", "random_walk").iloc[-1] == pytest.approx(
        sessions["random_walk"].sum() - sessions["lstm"].sum()
    )


def test_no_forecasts_are_no_windows() -> None:
    empty = rows("lstm", ["2013-01-03"], ["A"], 0.0).iloc[:0]
    heldout = pure.heldout_of(empty, lambda symbols_N, _: np.empty((len(symbols_N), 2)), horizon=2, levels=LEVELS)
    assert heldout.scores(LEVELS).models == {}
    assert pure.by_session(heldout, LEVELS).empty
