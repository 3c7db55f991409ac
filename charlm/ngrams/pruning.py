"""Smaller models: n-grams left out because they were seen too seldom, or because they tell too little.

`compact` takes entries out of a trie; cut-offs mark them while counts are smoothed, and `by_entropy` marks those
without which the model changes least (Stolcke 1998).
"""

from collections.abc import Sequence

import numpy as np

from charlm.ngrams.columns import Array, Numbers, Scratch, sums
from charlm.ngrams.estimation import RawLevel
from charlm.ngrams.sifting import Order, sift


def compact(levels: Sequence[RawLevel], keep: Sequence[Array | None], scratch: Scratch) -> list[RawLevel]:
    """The levels without the entries that are marked False, and without what begins with those.

    keep  for each order (entries,) bool, or None for all; order 1 keeps all
    """
    orders, masks = [], []
    for level, mask in zip(levels[1:], keep[1:], strict=True):
        carried = [level.log_probs] if level.backoffs is None else [level.log_probs, level.backoffs]
        orders.append(Order(level.words, level.starts, level.suffixes, carried))
        masks.append(np.ones(len(level.log_probs), dtype=bool) if mask is None else mask)
    made = [levels[0]]
    for left in sift(orders, masks, scratch):
        log_probs, *backoffs = left.carried
        made.append(RawLevel(left.words, left.starts, left.suffixes, log_probs, backoffs[0] if backoffs else None))
    return made


def by_entropy(levels: Sequence[RawLevel], threshold: float) -> tuple[list[RawLevel], list[Array | None]]:
    """Mark n-grams whose loss raises the model's perplexity by less than a share `threshold` (Stolcke 1998, eq. 5).

        D(hw) = -P(h) { P(w|h) [log P(w|h') + log γ'(h) - log P(w|h)] + [log γ'(h) - log γ(h)] (1 - Σ_seen P(v|h)) }

    with γ' as it is without hw. From the highest order down; n-grams that a longer one begins or ends with stay
    (KenLM asks for the latter), and so does all that a context would lose where the losses that are small one by one
    are not small together. Returns the levels, with backoffs that go with what is left, and the marks for `compact`.
    Works in memory.
    """
    full = [_loaded(level) for level in levels]
    keep: list[Array | None] = [None] * len(full)
    marginal = _marginals(full)
    for n in range(len(full), 1, -1):
        level, context = full[n - 1], full[n - 2]
        starts, suffixes = level.starts, level.suffixes
        assert context.backoffs is not None
        begins = starts[:].astype(np.int64)
        sizes = np.diff(begins)
        parent = np.repeat(np.arange(len(sizes)), sizes)
        log_p = level.log_probs[:].astype(np.float64)
        log_lower = context.log_probs[:].astype(np.float64)[suffixes[:]]
        p, lower = np.exp(log_p), np.exp(log_lower)
        left, left_lower = (1 - sums(part, begins) for part in (p, lower))
        log_gamma = context.backoffs[:].astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            without = np.log(_share(left)[parent] + p) - np.log(_share(left_lower)[parent] + lower)
            loss = -np.exp(marginal[n - 2])[parent] * (
                p * (log_lower + without - log_p) + (without - log_gamma[parent]) * _share(left)[parent]
            )
            mask = ~(np.expm1(loss) < threshold)
        if n < len(full):
            longer, ahead = keep[n], full[n]
            assert longer is not None
            mask |= sums(longer.view(np.int8), ahead.starts[:].astype(np.int64)) > 0
            mask[ahead.suffixes[:][longer]] = True
        together = _joint(p, lower, mask, begins, left, left_lower, log_gamma, marginal[n - 2])
        allowed = np.log1p(threshold) * sums((~mask).view(np.int8), begins)
        keep[n - 1] = mask | np.repeat(together > allowed, sizes)
    _renew_backoffs(full, keep)
    return full, keep


def _joint(
    p: Array,
    lower: Array,
    mask: Array,
    begins: Array,
    left: Array,
    left_lower: Array,
    log_gamma: Array,
    marginal: Array,
) -> Array:
    """What it costs each context to lose all that is not kept: (contexts,), nats; each alone may cost nothing."""
    lost, lost_lower = (sums(np.where(mask, 0.0, part), begins) for part in (p, lower))
    with np.errstate(divide="ignore", invalid="ignore"):
        renewed = np.log(_share(left + lost)) - np.log(_share(left_lower + lost_lower))
        apart = np.where(mask, 0.0, p * (np.log(p) - np.log(lower)))
        found = np.exp(marginal) * (sums(apart, begins) - renewed * lost + (log_gamma - renewed) * _share(left))
    costs: Array = np.where(np.isfinite(found), found, 0.0)
    return costs


def _renew_backoffs(levels: Sequence[RawLevel], keep: Sequence[Array | None]) -> None:
    """Give every context the γ with which what is left of it sums to one, from the shortest contexts up.

    A context loses continuations of its own, and the shorter one that it leaves the rest to may have lost some too.
    """
    lower = levels[0].log_probs[:].astype(np.float64)  # log P of every n-gram as the smaller model gives it
    for level, context, mask in zip(levels[1:], levels, keep[1:], strict=False):
        assert mask is not None
        begins = level.starts[:].astype(np.int64)
        log_p, log_lower = level.log_probs[:].astype(np.float64), lower[level.suffixes[:]]
        left = _share(1 - sums(np.where(mask, np.exp(log_p), 0.0), begins))
        left_lower = _share(1 - sums(np.where(mask, np.exp(log_lower), 0.0), begins))
        followed = sums(mask.view(np.int8), begins) > 0
        context.backoffs = np.where(followed, np.log(left) - np.log(left_lower), 0.0).astype(np.float32)
        lower = np.where(mask, log_p, np.repeat(context.backoffs, np.diff(begins)) + log_lower)


def _share(left: Array) -> Array:
    """What is left of 1, never below a rounding error above 0."""
    return np.maximum(left, 1e-12)


def _loaded(level: RawLevel) -> RawLevel:
    backoffs = level.backoffs[:] if level.backoffs is not None else None
    return RawLevel(level.words[:], level.starts[:], level.suffixes[:], level.log_probs[:], backoffs, level.kept)


def _sizes(starts: Numbers) -> Array:
    """How many continuations each context has."""
    sizes: Array = np.diff(starts[:].astype(np.int64))
    return sizes


def _marginals(levels: Sequence[RawLevel]) -> list[Array]:
    """log P(h) of every n-gram as a context, by the chain rule (Stolcke 1998, §3.2)."""
    found = [levels[0].log_probs[:].astype(np.float64)]
    for level in levels[1:-1]:
        parent = np.repeat(np.arange(len(level.starts) - 1), _sizes(level.starts))
        found.append(found[-1][parent] + level.log_probs[:])
    return found
