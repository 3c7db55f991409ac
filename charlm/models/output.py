"""The output layer: how likely each observed token was, without keeping B×T×V numbers in float32.

For a hidden vector h and the target y

    log P(y | h) = w_y · h + b_y - log Σ_v exp(w_v · h + b_v)

and, for a gradient g arriving at log P, the gradient of logit v is g ([v = y] - P(v)). Both need one pass
over the logits, so they are computed by hand: in blocks that stay in the processor's cache, in the dtype of
the matrix product, and overwriting the logits with their own gradient. Rows whose logits would be too many
are scored in segments, whose logits are computed again on the way back instead of being kept.

Where the vocabulary is large, a step of training may compare with a sample of the rarer tokens instead of with all of
them (`Shortlist`): the sum over the others is then estimated, without bias. Figures are never made so.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from charlm.models.products import many_by_matrix, packing

SEGMENT_NUMBERS = 1 << 27  # logits kept at once: 256 MiB in bf16
BLOCK_NUMBERS = {"cpu": 1 << 20, "cuda": 1 << 28}  # numbers per block of float32 arithmetic
# Units for half precision want rows of a multiple of so many numbers; with others a product ran at a ninth of the rate
# of the card (docs/log.md, 2026-11-26).
ALIGNED = {("cuda", torch.bfloat16): 8, ("cuda", torch.float16): 8}

SUCCESSOR_NUMBERS = 1 << 21  # logits kept at once where only some are asked for: they stay in the processor's cache
FEWEST_BLOCK_ROWS = 32


def _compute_dtype(hidden: Tensor) -> torch.dtype:
    device = hidden.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype


def wide(numbers: Tensor) -> Tensor:
    """float32 for half precision; float32 and float64 stay."""
    return numbers.float() if numbers.dtype in (torch.bfloat16, torch.float16) else numbers


def _rows_per(numbers: int, width: int) -> int:
    return max(1, numbers // width)


class TargetLogProbs(torch.autograd.Function):
    """log P(target) for N hidden vectors.

    hidden (N, E), weight (V, E), bias (V,), targets (N,), offsets (V,) or None  ->  (N,) nats, in float32 or wider

    offsets  added to the logits of all tokens but a row's own target
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, offsets: Tensor | None
    ) -> Tensor:
        dtype = _compute_dtype(hidden)
        with torch.autocast(hidden.device.type, enabled=False):
            h, (w, b) = hidden.to(dtype), _aligned(weight.to(dtype), bias.to(dtype))
            offsets = None if offsets is None else nn.functional.pad(offsets, (0, len(b) - len(offsets)))
            rows = _rows_per(SEGMENT_NUMBERS, len(weight))
            log_probs, normalizers, logits = [], [], None
            for start in range(0, len(h), rows):
                part = slice(start, start + rows)
                logits = _logits(h[part], w, b, targets[part], offsets)
                log_prob, normalizer = _score(logits, targets[part])
                log_probs.append(log_prob)
                normalizers.append(normalizer)
        ctx.save_for_backward(hidden, weight, bias, targets, torch.cat(normalizers), offsets)
        ctx.dtype = dtype
        ctx.logits = logits if len(h) <= rows and any(ctx.needs_input_grad) else None
        return torch.cat(log_probs)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        hidden, weight, bias, targets, normalizers, offsets = ctx.saved_tensors
        h, (w, b) = hidden.to(ctx.dtype), _aligned(weight.to(ctx.dtype), bias.to(ctx.dtype))
        rows = _rows_per(SEGMENT_NUMBERS, len(weight))
        grad_hidden = torch.empty_like(h)
        grad_weight = torch.zeros_like(weight)
        grad_bias = torch.zeros_like(bias)
        for start in range(0, len(h), rows):
            part = slice(start, start + rows)
            kept, ctx.logits = ctx.logits, None  # overwritten below, so good for one backward pass
            logits = kept if kept is not None else _logits(h[part], w, b, targets[part], offsets)
            grad_bias += _to_gradient(logits, normalizers[part], targets[part], grad[part])[: len(bias)]
            torch.mm(logits, w, out=grad_hidden[part])
            grad_weight += (logits.t() @ h[part])[: len(weight)]
        return grad_hidden.to(hidden.dtype), grad_weight, grad_bias, None, None


def _aligned(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The output layer (V, E), (V,) with a few tokens more that nobody says, where a GPU is faster so."""
    more = -len(weight) % ALIGNED.get((weight.device.type, weight.dtype), 1)
    if not more:
        return weight, bias
    return nn.functional.pad(weight, (0, 0, 0, more)), nn.functional.pad(bias, (0, more), value=-math.inf)


def _logits(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, offsets: Tensor | None) -> Tensor:
    logits = torch.addmm(bias, hidden, weight.t())
    if offsets is not None:
        own = logits.gather(1, targets[:, None])
        logits.add_(offsets.to(logits.dtype)).scatter_(1, targets[:, None], own)
    return logits


def _score(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """log P(target) and log Σ exp for each row: (N, V), (N,) -> (N,), (N,)."""
    normalizers = torch.cat(
        [torch.logsumexp(wide(block), dim=-1) for block in torch.split(logits, _block_rows(logits))]
    )
    return wide(logits.gather(1, targets[:, None])[:, 0]) - normalizers, normalizers


def _to_gradient(logits: Tensor, normalizers: Tensor, targets: Tensor, grad: Tensor) -> Tensor:
    """Turn logits (N, V) into the gradient of the logits, in place; return its sum over the rows (V,)."""
    rows = _block_rows(logits)
    total = torch.zeros(logits.shape[1], dtype=grad.dtype, device=grad.device)
    for start in range(0, len(logits), rows):
        part = slice(start, start + rows)
        block = wide(logits[part]).sub_(normalizers[part, None]).exp_().mul_(-grad[part, None])
        block.scatter_add_(1, targets[part, None], grad[part, None])
        total += block.sum(0)
        logits[part] = block
    return total


def _block_rows(logits: Tensor) -> int:
    return _rows_per(BLOCK_NUMBERS.get(logits.device.type, 1 << 24), logits.shape[1])


def target_log_probs(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """How likely each target was, differentiable with respect to hidden, weight and bias.

    hidden (..., E), weight (V, E), bias (V,), targets (...)  ->  log_probs (...), nats
    """
    rows, wanted = hidden.reshape(-1, hidden.shape[-1]), targets.reshape(-1)
    if packing():
        return successor_log_probs(rows, weight, bias, torch.arange(len(rows)), wanted).reshape(targets.shape)
    flat: Tensor = TargetLogProbs.apply(rows, weight, bias, wanted, None)  # type: ignore[no-untyped-call]
    return flat.reshape(targets.shape)


def successor_log_probs(hidden: Tensor, weight: Tensor, bias: Tensor, parents: Tensor, targets: Tensor) -> Tensor:
    """How likely each of some successors is; a vector is compared with the vocabulary once, however many it has.

    hidden (N, E), weight (V, E), bias (V,), parents (C,) rows of `hidden`, ascending, targets (C,)  ->  (C,), nats

    No gradient comes back. Blocks are of nearly equal size, so that none has few rows: see `scoring`.
    """
    dtype = _compute_dtype(hidden)
    h, w, b = hidden.to(dtype), weight.to(dtype), bias.to(dtype)
    rows = max(FEWEST_BLOCK_ROWS, _rows_per(SUCCESSOR_NUMBERS, len(weight)))
    pieces = -(-len(h) // rows)
    ends = torch.arange(1, pieces + 1) * len(h) // max(1, pieces)
    found, start, first = [], 0, 0
    for end, last in zip(ends.tolist(), torch.searchsorted(parents, ends.to(parents)).tolist(), strict=True):
        logits = many_by_matrix(h[start:end], w, b)
        own = parents[first:last] - start
        # One kernel, which takes three quarters of the time of a logsumexp.
        found.append(torch.log_softmax(wide(logits), dim=-1)[own, targets[first:last]])
        start, first = end, last
    return torch.cat(found)


@dataclass(frozen=True)
class Shortlist:
    """Some of a vocabulary: its frequent tokens, a random share of the others, and what a batch must predict.

        log P(y) ≈ s_y - log(exp s_y + Σ_frequent exp s_v + 1/q Σ_drawn exp s_v)      v ≠ y

    where q is the share that is drawn: the estimate of the sum is without bias (importance sampling: Bengio & Senécal
    2008; Jean et al. 2015, here with the frequent tokens always in, which leaves little to chance).

    ids      (K,)  of the tokens
    offsets  (K,)  logarithm of how many tokens each stands for; of targets that were not drawn, -infinity: they stand
             for no other row
    targets  what was asked for, as places among `ids`
    """

    ids: Tensor
    offsets: Tensor
    targets: Tensor

    @classmethod
    def draw(
        cls, targets: Tensor, vocab_size: int, frequent: int, drawn: int, generator: torch.Generator | None
    ) -> "Shortlist":
        """A sample for some targets (...), from a vocabulary whose first `frequent` tokens are always in it."""
        device, rest = targets.device, vocab_size - frequent
        chosen = torch.randperm(rest, generator=generator, device=device)[:drawn] + frequent
        ids = torch.cat([torch.arange(frequent, device=device), chosen])
        place = torch.full((vocab_size,), -1, device=device)
        place[ids] = torch.arange(len(ids), device=device)
        asked = torch.unique(targets)
        others = asked[place[asked] < 0]
        place[others] = torch.arange(len(ids), len(ids) + len(others), device=device)
        offsets = torch.zeros(len(ids) + len(others), device=device)
        offsets[frequent : len(ids)] = math.log(rest / drawn)
        offsets[len(ids) :] = -math.inf
        return cls(torch.cat([ids, others]), offsets, place[targets])


def sampled_log_probs(hidden: Tensor, weight: Tensor, bias: Tensor, shortlist: Shortlist) -> Tensor:
    """`target_log_probs` of a shortlist's targets, estimated: hidden (..., E), weight (V, E), bias (V,)  ->  (...)"""
    flat, targets = hidden.reshape(-1, hidden.shape[-1]), shortlist.targets.reshape(-1)
    some = weight.index_select(0, shortlist.ids), bias.index_select(0, shortlist.ids)
    found: Tensor = TargetLogProbs.apply(flat, *some, targets, shortlist.offsets)  # type: ignore[no-untyped-call]
    return found.reshape(shortlist.targets.shape)
