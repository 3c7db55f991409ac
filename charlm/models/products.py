"""Products of few vectors with a large matrix, as one step of many texts side by side has them."""

import torch
from torch import Tensor

FEW_ROWS = 16  # below, either order takes as long


def few_by_matrix(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`linear` without a window: x (B, N), weight (M, N), bias (M,)  ->  (B, M)

    On a processor the matrix stands in front from 16 rows on: 16 to 64 rows by 2,048 × 512 take 0.7 of the time so, by
    7,800 × 384 half of it (docs/log.md, 2026-11-26).
    """
    if x.device.type == "cpu" and len(x) >= FEW_ROWS:
        return torch.addmm(bias[:, None], weight, x.t()).t()
    return torch.nn.functional.linear(x, weight, bias)
