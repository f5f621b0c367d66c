"""Whether training in bf16 is faster on this machine.

Only matrix products are computed in bf16 (autocast); weights, gates and sums stay in fp32. It is faster on processors
with instructions for it, and many times slower on others. The RNN and the MLP gain nothing on a CPU.
"""

import platform
import statistics
import time
from pathlib import Path

import torch

from pipeline.modeling.networks.network_shape import Shape
from pipeline.modeling.networks.quantile_networks import build
from pipeline.modeling.torch_runtime import settle
from pipeline.modeling.training.training_record import Precision

_PAYS_BELOW = 0.85  # times the fp32 time: far enough from 1 that the same machine decides the same way
_BATCH, _WARM_UP, _TIMED = 256, 2, 5


def has_bf16() -> bool:
    """Return whether this machine can train in bf16: its GPU supports it, or its processor has instructions for it."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def processor() -> str:
    """Return the processor's model and the instructions that matter for bf16."""
    known = Path("/proc/cpuinfo")
    of_first = known.read_text().partition("\n\n")[0] if known.is_file() else ""
    values = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in of_first.splitlines())}
    flags = [flag for flag in ("avx512f", "avx512_bf16", "amx_bf16") if flag in values.get("flags", "").split()]
    return " ".join([values.get("model name", platform.processor()), platform.machine(), *flags])


def fastest_precision(shape: Shape) -> tuple[Precision, float | None]:
    """Return the faster precision for a network of this shape, and the time of a step in bf16 over that in fp32.

    Measured on a CPU with bf16 instructions, which takes a second or two; known elsewhere, where the ratio is None.
    """
    if not has_bf16():
        return "fp32", None
    if torch.cuda.is_available():
        return "bf16", None
    if shape.network != "lstm":
        return "fp32", None
    ratio = step_s(shape, bf16=True) / step_s(shape, bf16=False)
    return ("bf16" if ratio < _PAYS_BELOW else "fp32"), ratio


def step_s(shape: Shape, *, bf16: bool) -> float:
    """Return the median CPU seconds of a step, forward and backward."""
    settle()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build(shape, torch.linspace(-1, 1, shape.levels).expand(shape.horizon, -1).contiguous())
        x_BLF = torch.randn(_BATCH, shape.context_length, shape.features)
        ahead_BA = torch.randn(_BATCH, shape.ahead)
    spent = []
    for _ in range(_WARM_UP + _TIMED):
        began = time.thread_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            quantiles_BHQ = network(x_BLF, ahead_BA)
        torch.autograd.grad(quantiles_BHQ.float().square().mean(), list(network.parameters()))
        spent.append(time.thread_time() - began)
    return statistics.median(spent[_WARM_UP:])
