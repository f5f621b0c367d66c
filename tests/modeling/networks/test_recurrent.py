"""The compiled LSTM and RNN agree with torch: outputs, every gradient, and the fallback without kernels."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.modeling.networks import kernels, recurrent
from pipeline.modeling.networks.recurrent import Lstm, Rnn
from pipeline.modeling.training.precision import has_bf16

ROOT = Path(__file__).resolve().parents[3]
BATCH, CONTEXT, INPUTS, WIDTH = 7, 23, 3, 10


Cell = Lstm | Rnn
KINDS = pytest.mark.parametrize("kind", [Lstm, Rnn])


def layer(kind: type[Cell], layers: int) -> Cell:
    torch.manual_seed(0)
    return kind(INPUTS, WIDTH, num_layers=layers, batch_first=True)


def by_torch(cell: Cell, x_BLI: Tensor) -> Tensor:
    out_BLD, _ = cell(x_BLI)
    return out_BLD[:, -1]


@KINDS
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_output_and_gradients_equal_those_of_torch(kind: type[Cell], layers: int) -> None:
    cell = layer(kind, layers)
    x_BLI = 2 * torch.randn(BATCH, CONTEXT, INPUTS)
    signs_BD = torch.randn(BATCH, WIDTH)
    found, expected = [], []
    for way, kept in ((cell.last, found), (lambda x: by_torch(cell, x), expected)):
        asked_BLI = x_BLI.clone().requires_grad_(True)
        out_BD = way(asked_BLI)
        kept += [out_BD, *torch.autograd.grad(out_BD, [asked_BLI, *cell.parameters()], signs_BD)]
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@KINDS
def test_without_gradients_it_gives_the_same_bits_as_with_them(kind: type[Cell]) -> None:
    cell, x_BLI = layer(kind, 2), torch.randn(BATCH, CONTEXT, INPUTS)
    with torch.inference_mode():
        quick = cell.last(x_BLI)
    assert torch.equal(quick, cell.last(x_BLI).detach())


@pytest.mark.parametrize("size", [0.0, 1e-6, 0.3, 4.0, 30.0, 1e4])
def test_the_gates_are_right_from_the_smallest_to_the_largest(size: float) -> None:
    rng = np.random.default_rng(1)
    gates_BG = (rng.normal(0, 1, (5, 4 * WIDTH)) * size).astype(np.float32)
    before_BD = rng.normal(0, 2, (5, WIDTH)).astype(np.float32)
    i, f, g, o = np.split(gates_BG.astype(float), 4, axis=1)
    with np.errstate(over="ignore"):
        cell = before_BD / (1 + np.exp(-f)) + np.tanh(g / 2) / (1 + np.exp(-i))  # the cell gate comes doubled
        out = np.tanh(cell) / (1 + np.exp(-o))
    cell_BD, squashed_BD, out_BD = (np.empty_like(before_BD) for _ in range(3))
    kernels.lstm_forward(gates_BG, before_BD, cell_BD, squashed_BD, out_BD)
    np.testing.assert_allclose(cell_BD, cell, atol=1e-6)
    np.testing.assert_allclose(out_BD, out, atol=1e-6)


@KINDS
def test_a_nan_stays_a_nan(kind: type[Cell]) -> None:
    """A diverged training must be visible."""
    x_BLI = torch.randn(BATCH, CONTEXT, INPUTS)
    x_BLI[2, 5, 1] = float("nan")
    with torch.inference_mode():
        out_BD = layer(kind, 1).last(x_BLI)
    assert out_BD[2].isnan().all()
    assert out_BD[[0, 1, 3, 4, 5, 6]].isfinite().all()


@pytest.mark.parametrize(("kind", "plain"), [(Lstm, torch.nn.LSTM), (Rnn, torch.nn.RNN)])
def test_its_weights_have_the_names_of_torch(kind: type[Cell], plain: type[torch.nn.LSTM] | type[torch.nn.RNN]) -> None:
    theirs = plain(INPUTS, WIDTH, num_layers=2, batch_first=True).state_dict()
    assert list(theirs) == list(layer(kind, 2).state_dict())
    layer(kind, 2).load_state_dict(theirs)


@KINDS
@pytest.mark.parametrize("case", ["no numba", "autocast", "doubles"])
def test_the_layer_of_torch_runs_where_the_kernels_cannot(
    kind: type[Cell], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, x_BLI = layer(kind, 1), torch.randn(BATCH, CONTEXT, INPUTS)
    if case == "autocast" and not has_bf16():
        pytest.skip("this processor has no bf16")
    if case == "no numba":
        monkeypatch.setattr(recurrent, "compiled_kernels", lambda: None)
    if case == "doubles":
        cell, x_BLI = cell.double(), x_BLI.double()
    with torch.autocast("cpu", torch.bfloat16, enabled=case == "autocast"):
        assert torch.equal(cell.last(x_BLI), by_torch(cell, x_BLI))


@pytest.mark.slow
def test_it_compiles_without_a_writable_cache_folder(tmp_path: Path) -> None:
    """As in a container whose file system is read-only."""
    words = """
from numba.core import caching
caching.CacheImpl._locator_classes = []
import torch
from pipeline.modeling.networks.recurrent import Lstm, compiled_kernels
assert compiled_kernels() is not None
print(Lstm(2, 4, batch_first=True).last(torch.ones(3, 5, 2)).shape)
"""
    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "torch.Size([3, 4])"
