"""The recall task: an LSTM carries a number over forty sessions, a plain RNN does not."""

import numpy as np
import pytest
import torch

from benchmarks.recall_task import FAR, SESSIONS, Budget, recall_error, windows
from pipeline.publishing.charts.memory_png import recall_result

SEEDS = (1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow))
# Less than what is shipped was measured with, to be quick: enough for the LSTM, and as much for all.
BUDGET, SHORT = Budget(steps=800), Budget(steps=60)


def test_the_target_is_marked_once_and_far_back() -> None:
    x_BLF, y_B = windows(500, torch.Generator().manual_seed(1))
    marks_BL, at_B = x_BLF[..., 1], x_BLF[..., 1].argmax(dim=1)
    assert x_BLF.shape == (500, SESSIONS, 2)
    assert torch.equal(marks_BL.sum(dim=1), torch.ones(500))
    assert torch.equal(x_BLF[torch.arange(500), at_B, 0], y_B)
    assert (SESSIONS - 1 - at_B).min() == FAR
    assert (SESSIONS - 1 - at_B).max() == SESSIONS - 1


def test_the_last_sessions_do_not_reveal_the_target() -> None:
    x_BLF, y_B = windows(20_000, torch.Generator().manual_seed(2))
    late_BK = x_BLF[:, -FAR:, 0]
    assert np.abs(np.corrcoef(torch.cat([late_BK, y_B[:, None]], dim=1).T.numpy())[-1, :-1]).max() < 0.04
    assert y_B.square().mean().item() == pytest.approx(1 / 3, rel=0.03)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_lstm_with_open_forget_gates_recalls(seed: int) -> None:
    assert recall_error("lstm", seed, BUDGET) < 0.1


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("contestant", ["rnn", "last_session"])
def test_an_rnn_and_a_single_session_network_do_no_better_than_the_mean(contestant: str, seed: int) -> None:
    assert recall_error(contestant, seed, BUDGET) > 0.9


def test_the_error_is_reproducible_and_leaves_the_random_state_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert recall_error("rnn", 1, SHORT) == recall_error("rnn", 1, SHORT) != recall_error("rnn", 2, SHORT)
    assert torch.equal(torch.get_rng_state(), before)


def test_another_contestant_is_refused() -> None:
    with pytest.raises(ValueError, match="no contestant 'gru'"):
        recall_error("gru", 1, SHORT)


def test_the_shipped_recall_errors_are_reproduced() -> None:
    """The cheapest contestant; another processor rounds differently and may learn slightly differently."""
    shipped = recall_result()
    budget, task = Budget(**shipped.budget), shipped.task
    assert budget == Budget()
    assert (task.sessions, task.nearest) == (SESSIONS, FAR)
    errors = dict(zip(shipped.seeds, shipped.relative_error["mlp"], strict=True))
    assert recall_error("mlp", 1, budget) == pytest.approx(errors[1], abs=0.05)
    found = {name: np.array(errors) for name, errors in shipped.relative_error.items()}
    assert found["lstm"].max() < 0.1
    assert found["mlp"].max() < 0.3  # it has the whole window before it and nothing to remember
    assert min(found["rnn"].min(), found["last_session"].min()) > 0.9
