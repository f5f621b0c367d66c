"""The training process: threads that share a step, precision, and what it does not import."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipeline.config import Settings
from pipeline.errors import BadSetting
from pipeline.forecast_schema import INPUTS, LEVELS, PAST_INPUTS, ahead_columns
from pipeline.jobs import context
from pipeline.modeling.data.features import Features
from pipeline.modeling.data.panel import Panel
from pipeline.modeling.data.splits import Fold
from pipeline.modeling.data.windows import Origins
from pipeline.modeling.networks.network_shape import Shape
from pipeline.modeling.torch_runtime import Workers
from pipeline.modeling.training import precision
from pipeline.modeling.training.adamw import AdamW, clip
from pipeline.modeling.training.loop import Fitted, Recipe, fit

ROOT = Path(__file__).resolve().parents[2]
SYMBOLS, SESSIONS, CONTEXT, HORIZON = 4, 200, 15, 3
NEEDS_BF16 = pytest.mark.skipif(not precision.has_bf16(), reason="this processor has no bf16")


@pytest.fixture(scope="module")
def features() -> Features:
    """Returns whose size follows from what is known ahead, so that a few steps of training lower the loss."""
    rng = np.random.default_rng(3)
    x_STF = rng.normal(size=(SYMBOLS, SESSIONS, len(PAST_INPUTS))).astype(np.float32)
    ahead_STA = rng.normal(size=(SYMBOLS, SESSIONS, len(ahead_columns()))).astype(np.float32)
    ones_ST, return_ST = np.ones((SYMBOLS, SESSIONS)), rng.normal(size=(SYMBOLS, SESSIONS))
    return_ST[:, 1:] *= np.exp(ahead_STA[:, :-1].sum(axis=-1))
    panel = Panel(
        symbols=tuple("ABCD"),
        market_S=np.zeros(SYMBOLS, np.int64),
        days_MT=(np.datetime64("2014-01-02", "D") + np.arange(SESSIONS))[None],
        **{f"{name}_ST": ones_ST for name in ("open", "high", "low", "close", "volume")},
        return_ST=return_ST,
    )
    return Features(panel=panel, x_STF=x_STF, scale_ST=ones_ST, usable_ST=ones_ST > 0, ahead_STA=ahead_STA)


def block(first: int, beyond: int) -> Origins:
    at_T = np.arange(first, beyond)
    return Origins(s_N=np.repeat(np.arange(SYMBOLS), len(at_T)), t_N=np.tile(at_T, SYMBOLS))


FOLD = Fold(train=block(CONTEXT, 150), validation=block(155, 190), test=block(0, 0))


def trained(features: Features, network: str = "lstm", **options: Any) -> Fitted:
    inputs = options.pop("inputs", INPUTS)
    shape = Shape.reading(
        inputs,
        network=network,
        context_length=CONTEXT,
        hidden_size=8,
        horizon=HORIZON,
        levels=len(LEVELS),
    )
    recipe = Recipe(steps=12, batch_size=33, seed=1, levels=LEVELS, inputs=inputs, learning_rate=0.01, **options)
    return fit(features, FOLD, shape, recipe)


def weights(fitted: Fitted) -> NDArray[np.float32]:
    return np.concatenate([value.numpy().ravel() for value in fitted.network.state_dict().values()])


@pytest.mark.parametrize("network", ["lstm", "rnn", "mlp"])
def test_threads_share_a_step_and_change_only_rounding(features: Features, network: str) -> None:
    one, two, again = (trained(features, network, threads=count) for count in (1, 2, 2))
    assert weights(two).tobytes() == weights(again).tobytes()
    np.testing.assert_allclose(weights(two), weights(one), atol=2e-3)
    assert [value for _, value in two.train_pinball] == pytest.approx(
        [value for _, value in one.train_pinball], rel=1e-3
    )


def test_workers_keep_the_order_of_their_parts() -> None:
    for count in (1, 3):
        with Workers(count) as workers:
            assert workers.map(lambda part: part * part, list(range(20))) == [part * part for part in range(20)]


def test_an_error_in_a_worker_is_raised() -> None:
    with Workers(2) as workers, pytest.raises(ZeroDivisionError):
        workers.map(lambda part: 1 // part, [1, 0])


@NEEDS_BF16
def test_bf16_trains_to_about_the_same_weights(features: Features) -> None:
    fp32, bf16 = trained(features), trained(features, precision="bf16")
    assert weights(fp32).tobytes() != weights(bf16).tobytes()
    assert bf16.train_pinball[-1][1] == pytest.approx(fp32.train_pinball[-1][1], rel=0.02)
    assert all(value.dtype == torch.float32 for value in bf16.network.state_dict().values())


def test_only_the_chosen_inputs_count(features: Features) -> None:
    chosen = ("return", "market_turbulence", "half_day_next")
    changed, ahead_STA = features.x_STF.copy(), features.ahead_STA
    changed[..., [at for at, name in enumerate(PAST_INPUTS) if name not in chosen]] += 5
    other = replace(features, x_STF=changed, ahead_STA=ahead_STA + np.array([5, 0], np.float32))
    assert weights(trained(features, inputs=chosen)).tobytes() == weights(trained(other, inputs=chosen)).tobytes()
    moved = replace(features, ahead_STA=ahead_STA + np.array([0, 5], np.float32))
    assert weights(trained(features, inputs=chosen)).tobytes() != weights(trained(moved, inputs=chosen)).tobytes()
    with pytest.raises(ValueError, match="moon"):
        features.of(("moon",))


@pytest.mark.parametrize("steps", [1, 9, 40])
def test_the_optimizer_equals_adamw_of_torch_with_one_cycle(steps: int) -> None:
    torch.manual_seed(0)
    theirs = [torch.nn.Parameter(torch.randn(7, 3)) for _ in range(2)]
    ours = [torch.nn.Parameter(each.detach().clone()) for each in theirs]
    mine = AdamW(ours, peak=0.01, weight_decay=0.1, steps=steps)
    optimizer = torch.optim.AdamW(theirs, 0.01, weight_decay=0.1)
    # where a tenth of the steps is one step, torch divides by zero
    warm_up = 0.1 if steps != 9 else 0.1 + 1e-12
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=steps + 1, pct_start=warm_up)
    for _ in range(steps):
        gradients = [3 * torch.randn(7, 3) for _ in ours]
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = gradient.clone()
        torch.nn.utils.clip_grad_norm_(theirs, 1.0)
        clip(gradients, 1.0)
        rate = schedule.get_last_lr()[0]
        optimizer.step()
        schedule.step()
        assert mine.step(gradients) == pytest.approx(rate, rel=1e-6)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("used", "spared"),
    [
        ("fp32", ("torch._dynamo", "pandas")),
        pytest.param("bf16", ("torch._dynamo", "pandas", "numba"), marks=NEEDS_BF16),
    ],
)
def test_training_does_not_import_what_it_does_not_use(used: str, spared: tuple[str, ...]) -> None:
    """torch's compiler takes two seconds and 70 MiB in every training process, pandas 65 MiB, compiled cells 120."""
    words = f"""
import sys
from benchmarks.training import ours
sys.argv = ["ours", "--steps", "2", "--symbols", "3", "--sessions", "250", "--precision", "{used}"]
ours.main()
assert not set({spared}) & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Measured:
    """A stand-in for the measurement: its answer, and how often it was called."""

    def __init__(self, answer: tuple[str, float | None]) -> None:
        self.answer, self.asked = answer, 0

    def __call__(self, shape: Shape) -> tuple[str, float | None]:
        self.asked += 1
        return self.answer


def test_the_measured_precision_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run repeated on the same machine gives the same bits, however busy the machine is then."""
    settings = Settings.load(home=tmp_path)
    measured = Measured(("bf16", 0.5))
    monkeypatch.setattr(precision, "fastest_precision", measured)
    assert context.training_precision(settings) == "bf16"
    measured.answer = ("fp32", 1.2)
    assert context.training_precision(settings) == "bf16"
    assert measured.asked == 1
    assert list(json.loads((tmp_path / "precision.json").read_text()).values()) == [
        {"precision": "bf16", "step_bf16_over_fp32": 0.5}
    ]
    assert context.training_precision(Settings.load(home=tmp_path, hidden_size=32)) == "fp32"


@pytest.mark.parametrize("wanted", ["fp32", "bf16"])
def test_a_precision_that_is_set_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    measured = Measured(("fp32", 2.0))
    monkeypatch.setattr(precision, "fastest_precision", measured)
    monkeypatch.setattr(precision, "has_bf16", lambda: True)
    assert context.training_precision(Settings.load(home=tmp_path, precision=wanted)) == wanted
    assert measured.asked == 0


def test_bf16_is_measured_where_it_is_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Shape(network="lstm", features=3, context_length=5, hidden_size=4, horizon=2, levels=3)
    spent = {False: 1.0, True: 0.5}
    assert precision.step_s(shape, bf16=precision.has_bf16()) > 0
    monkeypatch.setattr(precision, "has_bf16", lambda: True)
    monkeypatch.setattr(precision, "step_s", lambda _shape, *, bf16: spent[bf16])
    assert precision.fastest_precision(shape) == ("bf16", 0.5)
    spent[True] = 0.9  # faster, but not by so much that it would always be
    assert precision.fastest_precision(shape) == ("fp32", 0.9)
    rnn = Shape(network="rnn", features=3, context_length=5, hidden_size=4, horizon=2, levels=3)
    assert precision.fastest_precision(rnn) == ("fp32", None)
    monkeypatch.setattr(precision, "has_bf16", lambda: False)
    assert precision.fastest_precision(shape) == ("fp32", None)


def test_bf16_is_refused_where_it_is_not_supported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bf16", lambda: False)
    with pytest.raises(BadSetting, match="PIPELINE_PRECISION='bf16': this machine has no instructions"):
        context.training_precision(Settings.load(home=tmp_path, precision="bf16"))


def test_inputs_are_a_setting_in_any_order() -> None:
    assert Settings.load(inputs="market_return, return").inputs == ("return", "market_return")
    assert Settings.load(inputs="").inputs == Settings.load().inputs
    with pytest.raises(BadSetting, match=r"PIPELINE_INPUTS='moon'.*unknown input moon; choose from return"):
        Settings.load(inputs="moon")
