"""Stored in fewer bits, for a network that is handed on: bfloat16, or bytes with one scale for each row.

A byte keeps a weight to within a 254th of the largest one of its row, which is what a row of a matrix, all the weights
of one unit or one token, has to share (per-channel symmetric quantisation, Krishnamoorthi 2018, arXiv:1806.08342, §2).
What is loaded is float32 again: it takes less room on the disk, not less time.
"""

import torch
from torch import Tensor

from charlm.config.networks import Stored
from charlm.errors import RunError

SCALE = ".scale"  # after the name of a matrix of bytes: a number (rows,) for each of its rows
LARGEST = 127  # of a byte with a sign; -128 is left out, so that both signs reach as far


def rounded(tensors: dict[str, Tensor], weights: Stored) -> dict[str, Tensor]:
    """Stored in fewer bits, under their names; vectors, such as biases, are few and stay float32."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if weights == "float32" or tensor.dim() < 2 or not tensor.is_floating_point():
            found[name] = tensor
        elif weights == "bf16":
            found[name] = tensor.bfloat16()
        else:
            rows = tensor.float().reshape(len(tensor), -1)
            scale = rows.abs().amax(1) / LARGEST
            steps = rows / scale.clamp(min=torch.finfo(torch.float32).tiny)[:, None]
            found[name] = steps.round().clamp(-LARGEST, LARGEST).to(torch.int8).reshape(tensor.shape)
            found[name + SCALE] = scale
    return found


def restored(tensors: dict[str, Tensor], where: object) -> dict[str, Tensor]:
    """The float32 weights of what `rounded` gave; float32 ones are given back as they are.

    where  what they were read from, for the error
    Raises RunError for whole numbers without a scale for each row, which would be taken for weights.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(SCALE) and name.removesuffix(SCALE) in tensors:
            continue
        scale = tensors.get(name + SCALE)
        if tensor.is_floating_point() and scale is None:
            found[name] = tensor.float()
            continue
        fits = scale is not None and scale.is_floating_point() and scale.shape == tensor.shape[:1]
        if tensor.dtype != torch.int8 or scale is None or not fits:
            raise RunError(
                f"{where}: {name} holds {str(tensor.dtype).removeprefix('torch.')} numbers without a scale "
                "for each row, and no weights",
                hint="restore it from a copy, or pack the run again",
            )
        found[name] = tensor.float() * scale.float().reshape(-1, *[1] * (tensor.dim() - 1))
    return found
