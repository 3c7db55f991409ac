"""Products of vectors with a large matrix, as one step of many texts side by side has them.

Within `packed`, matrices are kept in half precision, laid out for FBGEMM (Khudia et al. 2021); vectors, sums and what
comes out stay in float32. A processor waits for a matrix longer than it multiplies it with a few vectors, so half of
the bytes take little more than half of the time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

import torch
from torch import Tensor

FEW_ROWS = 16  # below, either order takes as long

Packs: TypeAlias = dict[int, tuple[Tensor, Any]]  # by the matrix's identity, which the matrix itself keeps from ending

_PACKS: ContextVar[Packs | None] = ContextVar("packs", default=None)


def few_by_matrix(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`linear` without a window: x (B, N), weight (M, N), bias (M,)  ->  (B, M)

    On a processor the matrix stands in front from 16 rows on: 16 to 64 rows by 2,048 × 512 take 0.7 of the time so, by
    7,800 × 384 half of it (docs/log.md, 2026-11-26).
    """
    if (found := _by_pack(x, weight, bias)) is not None:
        return found
    if x.device.type == "cpu" and len(x) >= FEW_ROWS:
        return torch.addmm(bias[:, None], weight, x.t()).t()
    return torch.nn.functional.linear(x, weight, bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The same of vectors in any arrangement: x (…, N)  ->  (…, M)"""
    found = _by_pack(x.reshape(-1, x.shape[-1]), weight, bias)
    return torch.nn.functional.linear(x, weight, bias) if found is None else found.reshape(*x.shape[:-1], len(weight))


def many_by_matrix(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The same of more vectors, as hypotheses side by side have them."""
    found = _by_pack(x, weight, bias)
    return torch.addmm(bias, x, weight.t()) if found is None else found


def _by_pack(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor | None:
    """The product with the matrix in half precision; None where none is wanted."""
    packs = _PACKS.get()
    if packs is None or x.device.type != "cpu" or not x.dtype == weight.dtype == torch.float32:
        return None
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return None  # such products have no gradient
    if id(weight) not in packs:
        packs[id(weight)] = weight, _half(weight)
    product: Tensor = torch.ops.quantized.linear_dynamic_fp16(x, packs[id(weight)][1])
    return product.add_(bias)


def packing() -> bool:
    """Whether matrices are taken in half precision."""
    return _PACKS.get() is not None and not torch.is_grad_enabled()


@contextmanager
def packed(packs: Packs) -> Iterator[None]:
    """The context in which matrices are taken from `packs`, and put there when they are first asked for."""
    before = _PACKS.set(packs)
    try:
        yield
    finally:
        _PACKS.reset(before)


def may_pack() -> bool:
    """Whether this torch has such products for this processor."""
    try:
        with torch.no_grad():
            torch.ops.quantized.linear_dynamic_fp16(torch.ones(1, 16), _half(torch.ones(16, 16)))
    except (RuntimeError, AttributeError, NotImplementedError):
        return False
    return True


def _half(weight: Tensor) -> Any:
    return torch.ops.quantized.linear_prepack_fp16(weight.detach().contiguous(), None)
