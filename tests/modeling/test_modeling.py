"""Features, windows and networks: no look-ahead, no crossing quantiles, the same bits for the same seed."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.errors import CorruptFile, MissingStep
from pipeline.forecast_schema import INPUTS, LEVELS, PAST_INPUTS, ahead_columns
from pipeline.modeling.data import splits
from pipeline.modeling.data.features import Features, ewma_volatility, future_returns, make_features
from pipeline.modeling.data.panel_from_bars import panel_from_bars
from pipeline.modeling.data.windows import Origins, Windows, usable_origins, with_targets
from pipeline.modeling.forecaster import Forecaster
from pipeline.modeling.model_card import ModelCard
from pipeline.modeling.networks.network_shape import Shape
from pipeline.modeling.networks.quantile_networks import build
from pipeline.modeling.serving import forecast_from_prices
from pipeline.modeling.training.loop import Fitted, Recipe, fit, pinball
from pipeline.prices.sources.sample import SampleSource

HORIZON, CONTEXT = 3, 20


def sample(last: date = date(2013, 3, 1), symbols: tuple[str, ...] = ("AAPL", "FB", "IBM")) -> pd.DataFrame:
    bars = SampleSource().bars(symbols, last)
    return bars[bars["session"] >= "2009-01-01"].reset_index(drop=True)


@pytest.fixture(scope="module")
def features() -> Features:
    return make_features(panel_from_bars(sample()))


@pytest.fixture(scope="module")
def future_STH(features: Features) -> np.ndarray:
    return future_returns(features.panel.return_ST, HORIZON)


def shape(network: str) -> Shape:
    return Shape.reading(
        INPUTS,
        network=network,
        context_length=CONTEXT,
        hidden_size=8,
        horizon=HORIZON,
        levels=len(LEVELS),
    )


def card(network: str) -> ModelCard:
    return ModelCard(
        network=network, levels=LEVELS, horizon=HORIZON, context_length=CONTEXT, hidden_size=8, as_of="2013-03-01",
        symbols=("AAPL",), train_first="", train_last="2012-01-03", seed=1, training_steps=30, data_digest="x",
        head="additive",
    )  # fmt: skip


def trained(features: Features, future_STH: np.ndarray, network: str, seed: int = 1) -> Fitted:
    origins = with_targets(usable_origins(features, CONTEXT), future_STH)
    fold = splits.split(origins, features.panel, horizon=HORIZON, holdout=100, validation=60)
    return fit(features, fold, shape(network), Recipe(steps=30, batch_size=32, seed=seed, levels=LEVELS))


def test_features_of_a_session_do_not_depend_on_later_prices() -> None:
    bars, cut = sample(), pd.Timestamp("2012-06-01")
    poisoned = bars.copy()
    after = bars["session"] > cut
    poisoned.loc[after, ["open", "high", "low", "close", "volume", "dividend"]] *= 1e6
    one, other = make_features(panel_from_bars(bars)), make_features(panel_from_bars(poisoned))
    t = int(np.flatnonzero(one.panel.days_MT[0] == np.datetime64(cut, "D"))[0]) + 1
    assert one.x_STF[:, :t].tobytes() == other.x_STF[:, :t].tobytes()
    assert one.scale_ST[:, :t].tobytes() == other.scale_ST[:, :t].tobytes()
    assert one.x_STF[:, t:].tobytes() != other.x_STF[:, t:].tobytes()


def test_volatility_follows_its_formula(features: Features) -> None:
    returns = features.panel.return_ST[0][1:]
    variance = np.mean(returns[:20] ** 2)
    expected = [np.sqrt(variance)]
    for value in returns[20:]:
        variance = 0.94 * variance + 0.06 * value**2
        expected.append(np.sqrt(variance))
    np.testing.assert_allclose(ewma_volatility(features.panel.return_ST, 0.94)[0, 20:], expected)


def test_future_returns_are_sums_of_returns(features: Features, future_STH: np.ndarray) -> None:
    returns = features.panel.return_ST
    for t, step in [(50, 1), (50, 3), (200, 2)]:
        assert future_STH[0, t, step - 1] == pytest.approx(returns[0, t + 1 : t + 1 + step].sum())
    assert np.isnan(future_STH[:, -1]).all()
    assert np.isfinite(future_STH[0, -2, 0])
    assert np.isnan(future_STH[0, -2, 1])


def test_a_window_is_the_rows_before_its_origin(features: Features) -> None:
    origins = usable_origins(features, CONTEXT)
    windows = Windows(features, CONTEXT)
    rows = np.array([0, len(origins) // 2, len(origins) - 1])
    picked = Origins(s_N=origins.s_N[rows], t_N=origins.t_N[rows])
    gathered = windows.gather(windows.starts(picked))[0].numpy()
    for row, (s, t) in enumerate(zip(picked.s_N, picked.t_N, strict=True)):
        np.testing.assert_array_equal(gathered[row], features.x_STF[s, t - CONTEXT + 1 : t + 1])
        assert features.usable_ST[s, t - CONTEXT + 1 : t + 1].all()


def test_a_window_never_reaches_into_another_symbol_or_a_gap(features: Features) -> None:
    origins = usable_origins(features, CONTEXT)
    naive = [
        (s, t)
        for s in range(len(features.usable_ST))
        for t in range(CONTEXT - 1, features.usable_ST.shape[1])
        if features.usable_ST[s, t - CONTEXT + 1 : t + 1].all()
    ]
    assert list(zip(origins.s_N, origins.t_N, strict=True)) == naive


def test_no_target_of_one_block_lies_in_the_next(features: Features, future_STH: np.ndarray) -> None:
    origins = with_targets(usable_origins(features, CONTEXT), future_STH)
    fold = splits.split(origins, features.panel, horizon=HORIZON, holdout=100, validation=60)
    assert fold.train.t_N.max() + HORIZON < fold.validation.t_N.min()
    assert fold.validation.t_N.max() + HORIZON < fold.test.t_N.min()
    assert splits.too_little(fold) is None
    assert "too little history" in (
        splits.too_little(splits.split(origins, features.panel, horizon=3, holdout=900, validation=60)) or ""
    )


def test_constant_prices_give_no_window() -> None:
    still = sample(symbols=("IBM",)).assign(open=5.0, high=5.0, low=5.0, close=5.0, dividend=0.0)
    assert not len(usable_origins(make_features(panel_from_bars(still)), CONTEXT))


@pytest.mark.parametrize("network", ["lstm", "rnn", "mlp"])
def test_quantiles_never_cross(network: str) -> None:
    torch.manual_seed(0)
    start = torch.tensor([[-2.0, -1.5, -0.6, 0.0, 0.6, 1.5, 2.0]] * HORIZON)
    module = build(shape(network), start)
    for parameter in module.parameters():
        parameter.data = torch.randn_like(parameter) * 3
    with torch.inference_mode():
        quantiles = module(torch.randn(500, CONTEXT, len(PAST_INPUTS)) * 5, torch.randn(500, len(ahead_columns())) * 5)
    assert (quantiles.diff(dim=-1) >= 0).all()
    assert torch.isfinite(quantiles).all()


@pytest.mark.parametrize("network", ["lstm", "rnn", "mlp"])
def test_each_input_that_is_known_ahead_changes_the_forecast(network: str) -> None:
    torch.manual_seed(0)
    module = build(shape(network), torch.linspace(-2, 2, len(LEVELS)).repeat(HORIZON, 1))
    torch.nn.init.normal_(module.head.linear.weight)
    x_BLF, ahead_BA = torch.randn(9, CONTEXT, len(PAST_INPUTS)), torch.randn(9, len(ahead_columns()))
    with torch.inference_mode():
        forecast = module(x_BLF, ahead_BA)
        for at in range(ahead_BA.shape[1]):
            other_BA = ahead_BA.clone()
            other_BA[0, at] += 1
            changed_B = (module(x_BLF, other_BA) != forecast).flatten(1).any(dim=1)
            assert changed_B.tolist() == [True] + [False] * 8


@pytest.mark.parametrize("network", ["lstm", "rnn", "mlp"])
def test_a_network_that_reads_nothing_ahead_has_a_head_over_its_state_alone(network: str) -> None:
    """As every network before there were such inputs: the same weights, and the same bits."""
    torch.manual_seed(0)
    past_only = Shape.reading(
        PAST_INPUTS, network=network, context_length=CONTEXT, hidden_size=8, horizon=HORIZON, levels=len(LEVELS)
    )
    module = build(past_only, torch.linspace(-2, 2, len(LEVELS)).repeat(HORIZON, 1))
    torch.nn.init.normal_(module.head.linear.weight)
    x_BLF = torch.randn(9, CONTEXT, len(PAST_INPUTS))
    with torch.inference_mode():
        state_BD = module.layers(x_BLF) if network == "mlp" else module.cell.last(x_BLF)
        assert past_only.ahead == 0
        assert module.head.linear.in_features == state_BD.shape[1]
        for forecast in (module(x_BLF), module(x_BLF, torch.zeros(9, 0))):
            assert torch.equal(forecast, module.head(state_BD))


@pytest.mark.parametrize("network", ["lstm", "rnn", "mlp"])
def test_the_three_networks_are_of_similar_size(network: str) -> None:
    sizes = Shape.reading(INPUTS, network=network, context_length=60, hidden_size=64, horizon=5, levels=7)
    count = sum(parameter.numel() for parameter in build(sizes, torch.zeros(5, 7).cumsum(-1)).parameters())
    assert 17_000 < count < 23_000


def test_pinball_is_the_textbook_loss() -> None:
    quantiles, actual = torch.tensor([[[-1.0, 0.0, 2.0]]]), torch.tensor([[1.0]])
    levels = torch.tensor([0.1, 0.5, 0.9])
    slow = [(0.1 if 1.0 >= -1.0 else -0.9) * 2.0, 0.5 * 1.0, (0.9 - 1) * (1.0 - 2.0)]
    assert pinball(quantiles, actual, levels).item() == pytest.approx(np.mean(slow))


@pytest.mark.parametrize("network", ["lstm", "rnn", "mlp"])
def test_the_same_seed_gives_the_same_bits(features: Features, future_STH: np.ndarray, network: str) -> None:
    one, other = trained(features, future_STH, network), trained(features, future_STH, network)
    different = trained(features, future_STH, network, seed=2)
    weights = [b"".join(v.numpy().tobytes() for v in f.network.state_dict().values()) for f in (one, other, different)]
    assert weights[0] == weights[1] != weights[2]
    assert one.train_pinball == other.train_pinball


def test_training_lowers_the_loss_and_keeps_the_best_step(features: Features, future_STH: np.ndarray) -> None:
    fitted = trained(features, future_STH, "lstm")
    best = min(value for _, value in fitted.validation_pinball)
    assert dict(fitted.validation_pinball)[fitted.best_step] == best


def test_a_model_is_read_back_bit_for_bit_and_a_damaged_one_is_refused(
    features: Features, future_STH: np.ndarray, tmp_path: Path
) -> None:
    forecaster = Forecaster(card("lstm"), trained(features, future_STH, "lstm").network)
    saved = forecaster.save(tmp_path)
    origins = usable_origins(features, CONTEXT)
    origins = origins.where((origins.t_N >= 900) & (origins.t_N <= 905))
    again = Forecaster.load(tmp_path)
    assert again.card == saved
    assert again.quantiles(features, origins).tobytes() == forecaster.quantiles(features, origins).tobytes()
    content = bytearray((tmp_path / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "weights.safetensors").write_bytes(content)
    with pytest.raises(CorruptFile):
        Forecaster.load(tmp_path)
    with pytest.raises(MissingStep):
        Forecaster.load(tmp_path / "nothing")


def test_a_client_supplied_table_gives_the_same_forecast(features: Features, future_STH: np.ndarray) -> None:
    forecaster = Forecaster(card("lstm"), trained(features, future_STH, "lstm").network)
    table = sample().rename(columns={"session": "date", "dividend": "dividends", "split_ratio": "splits"})
    frame = forecast_from_prices(forecaster, table)
    origins = usable_origins(features, CONTEXT).at(features.panel.last)
    expected = forecaster.quantiles(features, origins)
    ibm = frame[frame["symbol"] == "IBM"]
    np.testing.assert_allclose(np.log(ibm["q0.5"] / ibm["last_close"]), expected[-1, :, LEVELS.index(0.5)], atol=1e-12)
    assert ibm["target_session"].dt.strftime("%m-%d").tolist() == ["03-04", "03-05", "03-06"]


@pytest.mark.parametrize("network", ["lstm", "rnn", "mlp"])
def test_an_additive_head_shifts_every_gap_of_a_step_alike_and_no_median_by_it(network: str) -> None:
    sizes = Shape.reading(
        INPUTS, network=network, context_length=CONTEXT, hidden_size=8, horizon=HORIZON, levels=len(LEVELS)
    )
    start_HQ = torch.linspace(-1, 1, len(LEVELS)).expand(HORIZON, -1).contiguous()
    module = build(sizes, start_HQ).eval()
    state_BD = torch.randn(4, module.head.linear.in_features)
    assert torch.allclose(module.head(state_BD), start_HQ.expand(4, -1, -1))
    with torch.no_grad():
        module.head.linear.bias[1] = 0.2  # of the second step
    wider_BHQ = module.head(state_BD)
    ratio_BHQ = wider_BHQ.diff(dim=-1) / start_HQ.diff(dim=-1)
    assert torch.allclose(ratio_BHQ[:, 1], ratio_BHQ[:, 1].mean(), rtol=1e-5)
    assert ratio_BHQ[0, 1, 0] > 1.2
    assert torch.equal(wider_BHQ[:, 0], start_HQ[0].expand(4, -1))
    assert torch.allclose(wider_BHQ[..., len(LEVELS) // 2], start_HQ[:, len(LEVELS) // 2].expand(4, -1), atol=1e-6)
