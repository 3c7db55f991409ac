"""Counts to probabilities: every order interpolated with the one below, block by block.

Written from the lowest order up, since P(w | h) needs P(w | h'). A context's own figures (T, how many tokens
followed it once, twice, more often) are sums over its continuations, which stand side by side.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from charlm.errors import TrainingError
from charlm.ngrams.columns import Array, Column, Numbers, Scratch, blocks, family_blocks, sums
from charlm.ngrams.counts import CountLevel, Counts
from charlm.ngrams.smoothing import SMOOTHERS, Chosen, Rule, choose


@dataclass
class RawLevel:
    """The probabilities of one order before they are stored: see `tables.StoredLevel`; suffixes as in the counts."""

    words: Numbers
    starts: Numbers
    suffixes: Numbers
    log_probs: Numbers
    backoffs: Numbers | None = None
    kept: list[Array] = field(default_factory=list)


@dataclass(frozen=True)
class Estimated:
    """The levels, and how each order was smoothed."""

    levels: list[RawLevel]
    chosen: list[Chosen]


def estimate(counts: Counts, smoothing: str, *, k: float, cutoffs: Sequence[int] = (), scratch: Scratch) -> Estimated:
    """Smooth counts.

    k        what add-k adds
    cutoffs  of orders 1, 2, …: n-grams seen so often or less are left out, and their share is left to the shorter
             context; the last one holds for all higher orders
    """
    smoother = SMOOTHERS[smoothing]
    levels: list[RawLevel] = []
    chosen: list[Chosen] = []
    even = np.float32(1.0 / counts.vocab_size)
    shorter = np.full(1, even)  # P of the empty n-gram: below order 1 all tokens are alike
    for number, level in enumerate(counts.levels, 1):
        longer = counts.levels[number] if number < counts.order else None
        effective = _continuations(level, longer) if smoother.continuation and longer is not None else level.counts
        pick = choose(smoothing, number, _counts_of_counts(effective), k)
        chosen.append(pick)
        cutoff = cutoffs[min(number, len(cutoffs)) - 1] if cutoffs and number > 1 else 0
        raw, backoffs, probs = _level(level, effective, shorter, pick.rule, counts.vocab_size, cutoff, scratch)
        if levels:
            levels[-1].backoffs = backoffs
        levels.append(raw)
        if longer is not None:
            shorter = np.full(len(probs), even) if smoother.uniform else probs[:]
        probs.drop()
    return Estimated(levels, chosen)


def _continuations(level: CountLevel, longer: CountLevel) -> Array:
    """How many different tokens stood before each n-gram; occurrences with nothing before them count each.

    The latter are n-grams at the very beginning, whose first token is the opening `<EOS>` (Chen & Goodman 1998,
    §4.1.6; the same rule gives KenLM's counts of n-grams that begin with <s>).
    """
    # As a rule four bytes are enough, which on large texts is what decides how much memory smoothing takes.
    largest = max((int(level.counts[first:last].max()) for first, last in blocks(len(level.counts))), default=0)
    found = np.empty(len(level.counts), dtype=np.int32 if largest < 1 << 31 else np.int64)
    for first, last in blocks(len(level.counts)):
        found[first:last] = level.counts[first:last]
    for first, last in blocks(len(longer.counts)):
        np.add.at(found, longer.suffixes[first:last], (1 - longer.counts[first:last]).astype(found.dtype))
    return found


def _counts_of_counts(counts: Numbers) -> list[int]:
    total = np.zeros(5, dtype=np.int64)
    for first, last in blocks(len(counts)):
        total += np.bincount(np.minimum(counts[first:last], 5), minlength=6)[:5]
    return [int(many) for many in total[1:]]


def _level(
    level: CountLevel, counts: Numbers, shorter: Array, rule: Rule, vocab_size: int, cutoff: int, scratch: Scratch
) -> tuple[RawLevel, Column, Column]:
    """One order: its level, the log γ of its contexts, and its probabilities.

    shorter  P of each n-gram one order below
    """
    log_probs, probs, backoffs = (scratch.column(np.float32) for _ in range(3))
    kept = []
    discounts = np.array([0.0, *rule.discounts])
    for _, _, begins in family_blocks(level.starts):
        part = slice(int(begins[0]), int(begins[-1]))
        found = counts[part].astype(np.int64)
        begins = begins - begins[0]
        taken = discounts[np.minimum(found, 3)]
        totals, types = sums(found, begins), sums((found > 0).view(np.int8), begins)
        added = rule.per_type * types + rule.flat * vocab_size
        with np.errstate(over="ignore"):
            whole = totals + added
        # A context that was read and never continued (the end of a text) leaves everything to the shorter one.
        whole = np.where(whole > 0, whole, 1.0)
        sizes = np.diff(begins)
        share = np.maximum(found - taken, 0.0) / np.repeat(whole, sizes)
        with np.errstate(over="ignore", invalid="ignore"):  # looked at below
            gamma = np.where(totals > 0, (sums(np.minimum(taken, found), begins) + added) / whole, 1.0)
        if cutoff:
            keep = level.counts[part] > cutoff
            gamma += sums(np.where(keep, 0.0, share), begins)
            share[~keep] = 0.0
            kept.append(keep)
        p = share + np.repeat(gamma, sizes) * shorter[level.suffixes[part]]
        if not (np.isfinite(p.sum()) and np.isfinite(gamma.sum())):
            raise TrainingError(
                "the smoothed probabilities are not finite; nothing was saved",
                hint="what is added to each count is too large: choose a smaller --add-k",
            )
        with np.errstate(divide="ignore"):
            log_probs.append(np.log(p))
            backoffs.append(np.log(gamma))
        probs.append(p)
    return RawLevel(level.words, level.starts, level.suffixes, log_probs, kept=kept), backoffs, probs
