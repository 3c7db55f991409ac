"""How a count-based model learns: count, smooth, leave out, store. One pass, nothing random."""

import math
import time
from collections.abc import Callable

import numpy as np

from charlm.config import NgramConfig
from charlm.errors import ConfigError, Stopped
from charlm.models.ngram import Ngram
from charlm.ngrams import coding, pruning
from charlm.ngrams.columns import Scratch, mapped, scratch_folder
from charlm.ngrams.counting import count
from charlm.ngrams.counts import Counts
from charlm.ngrams.estimation import RawLevel, estimate
from charlm.ngrams.smoothing import SMOOTHERS, sentences
from charlm.ngrams.tables import Level, Tables, Values, tensors_of
from charlm.scoring import evaluate_corpus
from charlm.training.gradient import Outcome, Texts
from charlm.training.journal import Journal, Measured, Notice, Report
from charlm.training.schedules import Place

PATIENCE = 10.0  # seconds without a word


def fit(
    model: Ngram,
    texts: Texts,
    config: NgramConfig,
    *,
    journal: Journal,
    report: Report,
    counts: Counts | None = None,
) -> Outcome:
    """Fill an empty model from a text, or from counts that were made before.

    Raises ConfigError for a smoothing that cannot be learned, StorageError where the disk refuses.
    """
    if config.smoothing == "arpa":
        raise ConfigError("--smoothing arpa is for imported models", hint=f"choose from {', '.join(SMOOTHERS)}")
    began = time.monotonic()
    with scratch_folder() as scratch:
        watch = _Watch(journal, report)
        found = counts if counts is not None else counts_of(texts, config, model.vocab_size, scratch, watch)
        watch(0)
        model.tables = learn(found, config, scratch, report)
        measured = _measure(model, texts, time.monotonic() - began, report)
        journal.keep(tensors_of(model.tables), measured)
    journal.record(measured)
    report(measured)
    return Outcome(Place(step=1, epoch=1, seconds=measured.seconds), measured, None)


class _Watch:
    """Stops the work where a signal asks for it, and says how far it is where it takes long."""

    def __init__(self, journal: Journal, report: Report) -> None:
        self.journal, self.report, self.told = journal, report, time.monotonic()

    def __call__(self, order: int) -> None:
        signal = self.journal.stop_signal()
        if signal is not None:
            raise Stopped(signal)
        if order and time.monotonic() - self.told > PATIENCE:
            self.told = time.monotonic()
            self.report(Notice(f"counting order {order}"))


def counts_of(
    texts: Texts, config: NgramConfig, vocab_size: int, scratch: Scratch, report: Callable[[int], None]
) -> Counts:
    """The n-grams of the training text, of the orders that it has at all."""
    beginnings = np.zeros(1, dtype=np.int64) if texts.carried else texts.train.starts[:-1]
    return count(
        texts.train.ids,
        beginnings,
        vocab_size,
        config.order,
        memory=config.memory_bytes,
        scratch=scratch,
        report=report,
    )


def learn(counts: Counts, config: NgramConfig, scratch: Scratch, report: Report) -> Tables:
    """Smoothed, pruned and coded tables of some counts, mapped from the scratch folder."""
    counted, counts = counts.order, counts.upto(config.order)
    if counts.order < config.order:
        why = "no document is long enough" if counts.order < counted else "the counts do not go far enough"
        report(Notice(f"{why} for order {config.order}: the model has order {counts.order}"))
    made = estimate(counts, config.smoothing, k=config.add_k, cutoffs=config.cutoff_counts, scratch=scratch)
    for sentence in sentences(made.chosen):
        report(Notice(sentence))
    levels = made.levels
    before = sum(len(level.log_probs) for level in levels)
    if any(level.kept for level in levels):
        keep = [np.concatenate(level.kept) if level.kept else None for level in levels]
        levels = pruning.compact(levels, keep, scratch)
    if config.prune:
        levels = pruning.compact(*pruning.by_entropy(levels, config.prune), scratch)
    left = sum(len(level.log_probs) for level in levels)
    if left < before:
        report(Notice(f"left out {before - left:,} of {before:,} n-grams"))
    return _stored(levels, counts.vocab_size, config, scratch, report)


def _stored(levels: list[RawLevel], vocab_size: int, config: NgramConfig, scratch: Scratch, report: Report) -> Tables:
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
        stored.append(Level(mapped(level.words), coding.grouped(level.starts, scratch), _mapped(log_probs), coded))
    if config.quantize is not None:
        report(
            Notice(f"stored in {config.quantize} bits: no probability or back-off is off by more than {worst:.4f} nats")
        )
    return Tables(vocab_size, stored, SMOOTHERS[config.smoothing].uniform)


def _mapped(values: Values) -> Values:
    return Values(mapped(values.numbers), values.book)


def _measure(model: Ngram, texts: Texts, seconds: float, report: Report) -> Measured:
    if texts.valid is None:
        return Measured(step=1, epoch=1.0, seconds=seconds, learning_rate=0.0, train_nats=None)
    score = evaluate_corpus(model, texts.valid, carried=texts.carried)
    if not math.isfinite(score.nats):
        report(Notice("some tokens of the validation text are impossible under this model: its perplexity is infinite"))
        return Measured(step=1, epoch=1.0, seconds=seconds, learning_rate=0.0, train_nats=None)
    return Measured(
        step=1,
        epoch=1.0,
        seconds=seconds,
        learning_rate=0.0,
        train_nats=None,
        valid_nats=score.nats / score.tokens,
        valid_bits_per_char=score.bits_per_char,
        is_best=True,
    )
