"""Inference in chunks of bounded size."""

import torch
from torch import Tensor, nn

from pipeline.modeling.data.windows import Windows
from pipeline.modeling.torch_runtime import Workers

_CHUNK = 256


def in_chunks(
    network: nn.Module, windows: Windows, starts_N: Tensor, workers: Workers | None = None, *, bf16: bool = False
) -> Tensor:
    """Return the quantiles of the windows that begin at `starts_N`, shape (N, H, Q), on the CPU.

    Chunks fit the processor's cache. In fp32 unless `bf16`. The network returns to the mode (training or not) it had.
    """

    def quantiles(part: Tensor) -> Tensor:
        x_BLF, ahead_BA = windows.gather(part)
        with torch.inference_mode(), torch.autocast(x_BLF.device.type, torch.bfloat16, enabled=bf16):
            quantiles_BHQ: Tensor = network(x_BLF, ahead_BA)
            return quantiles_BHQ.float().cpu()

    training = network.training
    network.eval()
    parts = torch.split(starts_N, _CHUNK)
    quantiles_NHQ = torch.cat(workers.map(quantiles, parts) if workers else [quantiles(part) for part in parts])
    network.train(training)
    return quantiles_NHQ
