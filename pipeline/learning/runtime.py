"""How torch is to run on a small machine beside other work: one thread, memory kept, the same bits every time."""

import torch

from pipeline.memory import keep_memory


def settle() -> None:
    """Settle torch for this process. Calling it again changes nothing.

    One thread: a second one beside a busy core spins and makes a step ten times slower. Deterministic: the same
    data and seed give the same bits.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    keep_memory()
