"""Gradient memory: correct gradients, and a measurement without side effects."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline import jobs
from pipeline.config import Overrides, Settings
from pipeline.modeling.data import splits
from pipeline.modeling.data.features import Features, future_returns, make_features
from pipeline.modeling.data.panel_from_bars import panel_from_bars
from pipeline.modeling.data.splits import Fold
from pipeline.modeling.data.windows import usable_origins, with_targets
from pipeline.modeling.diagnostics.gradient_memory import (
    NETWORKS,
    far_to_near,
    fresh,
    gradient_by_lag,
    gradient_memory_of,
    half_life,
)
from pipeline.modeling.networks.network_shape import Shape
from pipeline.modeling.training.train_model import Retrained, retrain
from pipeline.prices.sources.sample import SampleSource

HORIZON, CONTEXT, FEATURES = 2, 30, 10
SHAPE = Shape(network="lstm", features=FEATURES, context_length=CONTEXT, hidden_size=8, horizon=HORIZON, levels=7)
START_HQ = torch.linspace(-1.6, 1.6, 7).repeat(HORIZON, 1)


class Linear(nn.Module):
    """A forecast whose gradient is known: each output a weighted sum of the window."""

    def __init__(self, weights_OLF: Tensor) -> None:
        super().__init__()
        self.weights_OLF = weights_OLF

    def forward(self, x_NLF: Tensor, _: Tensor | None = None) -> Tensor:
        return torch.einsum("nlf,olf->no", x_NLF, self.weights_OLF).unsqueeze(1)


@pytest.fixture(scope="module")
def features() -> Features:
    bars = SampleSource().bars(("AAPL", "IBM"), date(2013, 3, 1))
    return make_features(panel_from_bars(bars[bars["session"] >= "2008-06-01"].reset_index(drop=True)))


@pytest.fixture(scope="module")
def fold(features: Features) -> Fold:
    origins = with_targets(usable_origins(features, CONTEXT), future_returns(features.panel.return_ST, HORIZON))
    return splits.split(origins, features.panel, horizon=HORIZON, holdout=150, validation=100)


def trained(features: Features, fold: Fold, network: str, steps: int = 60) -> Retrained:
    settings = Settings(
        network=network, horizon=HORIZON, context_length=CONTEXT, hidden_size=8, training_steps=steps, batch_size=64
    )
    return retrain(features, fold, settings, as_of=date(2013, 3, 1), data_digest="x")


@pytest.fixture(scope="module", params=["rnn", "lstm"])
def each(request: pytest.FixtureRequest, features: Features, fold: Fold) -> Retrained:
    """A network after few steps; the validation block may keep the first, so the head gets weights in any case."""
    result = trained(features, fold, request.param)
    torch.manual_seed(2)
    nn.init.normal_(result.forecaster.network.head.linear.weight)
    return result


def noise(count: int = 40) -> Tensor:
    return torch.randn(count, CONTEXT, FEATURES, generator=torch.Generator().manual_seed(3))


def test_the_gradient_of_one_linear_output_is_its_weight() -> None:
    weights_OLF = torch.zeros(1, CONTEXT, FEATURES)
    weights_OLF[0, -1, 0], weights_OLF[0, 4, 1], weights_OLF[0, 4, 2] = 2.0, 3.0, 4.0
    gradient_L = gradient_by_lag(Linear(weights_OLF), noise())
    assert gradient_L[0] == pytest.approx(2.0)  # the last session first
    assert gradient_L[CONTEXT - 1 - 4] == pytest.approx(5.0)
    assert np.count_nonzero(gradient_L) == 2


@pytest.mark.parametrize("network", NETWORKS)
def test_random_signs_give_the_gradient_of_all_outputs_one_by_one(network: str) -> None:
    model, x_NLF = fresh(replace(SHAPE, network=network), START_HQ, 5), noise()
    slow_LF = torch.zeros(CONTEXT, FEATURES, dtype=torch.double)
    x_NLF.requires_grad_(True)
    for h in range(HORIZON):
        for q in range(7):
            (gradient_NLF,) = torch.autograd.grad(model(x_NLF)[:, h, q].sum(), x_NLF)
            slow_LF += gradient_NLF.double().square().mean(dim=0) / (HORIZON * 7)
    expected_L = slow_LF.sum(dim=-1).sqrt().flip(0).numpy()
    # 40 windows of signs leave some noise; the windows of a run are 256.
    np.testing.assert_allclose(gradient_by_lag(model, x_NLF), expected_L, rtol=0.5)
    assert gradient_by_lag(model, x_NLF).sum() == pytest.approx(expected_L.sum(), rel=0.25)


def test_an_untrained_rnn_has_forgotten_what_a_feed_forward_net_sees_as_well_as_the_last_session() -> None:
    far = {
        name: far_to_near([*gradient_by_lag(fresh(replace(SHAPE, network=name), START_HQ, 5), noise())])
        for name in NETWORKS
    }
    assert far["rnn"] < 1e-3
    assert far["mlp"] == pytest.approx(1.0, abs=0.3)


def test_half_life_and_far_to_near() -> None:
    assert half_life([1.0] * 60) == 30
    assert half_life([4.0, 2.0, 1.0, 0.5]) == 1
    assert half_life([1.0, 1.0, 3.0, 0.0]) == 3
    assert half_life([0.0, 0.0]) is None
    assert far_to_near([8.0, 8.0, 1.0, 1.0, 1.0, 1.0, 3.0, 1.0]) == pytest.approx(0.25)
    assert far_to_near([0.0, 1.0]) is None


def test_an_untrained_head_has_no_gradient(features: Features, fold: Fold) -> None:
    untrained = trained(features, fold, "lstm", steps=1)
    for parameter in untrained.forecaster.network.head.parameters():
        nn.init.zeros_(parameter)
    found = gradient_memory_of(untrained.forecaster, features, fold.test)
    assert found is not None
    assert set(found.curves["lstm"].end or ()) == {0.0}
    numbers = found.numbers
    assert (numbers.half_life_sessions, numbers.far_to_near) == (None, None)
    assert (numbers.half_life_sessions_at_start or 0) >= 1


def test_a_run_records_the_trained_network_and_the_start_of_all(
    each: Retrained, features: Features, fold: Fold
) -> None:
    found, network = gradient_memory_of(each.forecaster, features, fold.test), each.forecaster.card.network
    assert found is not None
    assert {name: set(curves.by_moment) for name, curves in found.curves.items()} == {
        name: {"start", "end"} if name == network else {"start"} for name in NETWORKS
    }
    assert all(len(curve) == CONTEXT for curves in found.curves.values() for curve in curves.by_moment.values())
    assert found.windows == 256
    assert 1 <= (found.numbers.half_life_sessions or 0) <= CONTEXT
    assert found.numbers.half_life_sessions == half_life(found.curves[network].end or ())
    assert found.numbers.far_to_near_at_start == far_to_near(found.curves[network].start or ())


def test_measuring_is_reproducible_and_leaves_the_random_state_alone(
    each: Retrained, features: Features, fold: Fold
) -> None:
    weights = [value.clone() for value in each.forecaster.network.state_dict().values()]
    torch.manual_seed(11)
    before = torch.get_rng_state()
    first, second = (gradient_memory_of(each.forecaster, features, fold.test) for _ in range(2))
    assert first == second
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(*pair) for pair in zip(weights, each.forecaster.network.state_dict().values(), strict=True))


def test_the_start_is_the_initial_network_of_the_training(features: Features, fold: Fold) -> None:
    """One step moves each weight by at most the learning rate: a larger distance means another network."""
    for network in NETWORKS:
        after = trained(features, fold, network, steps=1).forecaster
        start = fresh(after.card.shape, START_HQ, after.card.seed).state_dict()
        for name, value in after.network.state_dict().items():
            if not name.startswith("head."):
                torch.testing.assert_close(value, start[name], atol=1e-3, rtol=0)


def test_without_windows_there_is_no_measurement(each: Retrained, features: Features, fold: Fold) -> None:
    assert gradient_memory_of(each.forecaster, features, fold.test.at(-1)) is None


def test_a_training_run_in_mlflow_has_the_figure_and_the_numbers(home: Path) -> None:
    from mlflow import MlflowClient

    small = {"training_steps": 5, "hidden_size": 8, "context_length": 20, "batch_size": 32, "symbols": "AAPL,IBM"}
    now = datetime(2026, 11, 20, 23, tzinfo=UTC)
    planned = jobs.plan(key=None, as_of=date(2013, 2, 26), now=now, overrides=Overrides(small), provenance={})
    jobs.ingest(planned.run, planned.batches[0], known_at=now)
    jobs.snapshot(planned.run, known_at=now)
    jobs.score(planned.run)
    jobs.train_all(planned.run)
    run_id = jobs.upload(planned.run).mlflow_run_id
    client = MlflowClient(f"sqlite:///{home / 'mlflow' / 'mlflow.db'}")
    assert "figures/memory.png" in {entry.path for entry in client.list_artifacts(run_id, "figures")}
    metrics = client.get_run(run_id).data.metrics
    assert 1 <= metrics["memory/half_life_sessions_at_start"] <= 20
    assert 0 <= metrics["memory/far_to_near_at_start"] < 1
