"""Counts → tables: smooth, leave out, store. Pure, one pass, nothing random."""

import numpy as np

from charlm.config.models import NgramConfig
from charlm.ngrams import coding, pruning
from charlm.ngrams.columns import Scratch, mapped
from charlm.ngrams.counts import Counts
from charlm.ngrams.estimation import RawLevel, estimate
from charlm.ngrams.smoothing import SMOOTHERS, sentences
from charlm.ngrams.tables import StoredLevel, Tables, Values
from charlm.text.decoding import Note


def learn(counts: Counts, config: NgramConfig, scratch: Scratch, note: Note) -> Tables:
    """Smoothed, pruned and coded tables of some counts, mapped from the scratch folder."""
    counted, counts = counts.order, counts.upto(config.order)
    if counts.order < config.order:
        why = "no document is long enough" if counts.order < counted else "the counts do not go far enough"
        note(f"{why} for order {config.order}: the model has order {counts.order}")
    made = estimate(counts, config.smoothing, k=config.add_k, cutoffs=config.cutoff_counts, scratch=scratch)
    for sentence in sentences(made.chosen):
        note(sentence)
    levels = made.levels
    before = sum(len(level.log_probs) for level in levels)
    if any(level.kept for level in levels):
        keep = [np.concatenate(level.kept) if level.kept else None for level in levels]
        levels = pruning.compact(levels, keep, scratch)
    if config.prune:
        levels = pruning.compact(*pruning.by_entropy(levels, config.prune), scratch)
    left = sum(len(level.log_probs) for level in levels)
    if left < before:
        note(f"left out {before - left:,} of {before:,} n-grams")
    return _stored(levels, counts.vocab_size, config, scratch, note)


def _stored(levels: list[RawLevel], vocab_size: int, config: NgramConfig, scratch: Scratch, note: Note) -> Tables:
    stored, worst = [], 0.0
    for level in levels:
        if config.quantize is None:
            log_probs = Values(level.log_probs)
        else:
            log_probs, error = coding.rounded(level.log_probs, config.quantize, scratch)
            worst = max(worst, error)
        backoffs = coding.exact(level.backoffs, scratch) if level.backoffs is not None else None
        if config.quantize is not None and level.backoffs is not None and backoffs is not None:
            small = backoffs.book is not None and len(backoffs.book) <= 1 << config.quantize
            if not small:
                backoffs, error = coding.rounded(level.backoffs, config.quantize, scratch)
                worst = max(worst, error)
        coded = None if backoffs is None else _mapped(backoffs)
        stored.append(
            StoredLevel(mapped(level.words), coding.grouped(level.starts, scratch), _mapped(log_probs), coded)
        )
    if config.quantize is not None:
        note(f"stored in {config.quantize} bits: no probability or back-off is off by more than {worst:.4f} nats")
    return Tables(vocab_size, stored, SMOOTHERS[config.smoothing].uniform)


def _mapped(values: Values) -> Values:
    return Values(mapped(values.numbers), values.book)
