"""Inference in batches that bound memory."""

import torch
from torch import Tensor, nn

from pipeline.modeling.data.windows import Windows
from pipeline.modeling.torch_runtime import Workers

_CHUNK = 256


def in_chunks(
    network: nn.Module, windows: Windows, starts_N: Tensor, workers: Workers | None = None, *, bf16: bool = False
) -> Tensor:
    """Return what a network says of the windows that begin there, (N, H, Q), on the CPU and in training mode as it was.

    A chunk at a time: larger batches fall out of the cache. In fp32 unless `bf16`.
    """

    def of(part: Tensor) -> Tensor:
        x_BLF = windows.gather(part)
        with torch.inference_mode(), torch.autocast(x_BLF.device.type, torch.bfloat16, enabled=bf16):
            quantiles_BHQ: Tensor = network(x_BLF)
            return quantiles_BHQ.float().cpu()

    trained = network.training
    network.eval()
    parts = torch.split(starts_N, _CHUNK)
    quantiles_NHQ = torch.cat(workers.each(of, parts) if workers else [of(part) for part in parts])
    network.train(trained)
    return quantiles_NHQ
