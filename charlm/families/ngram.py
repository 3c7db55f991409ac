"""N-grams: counted, smoothed, and stored as tables that are mapped where they lie."""

import math
import time
from pathlib import Path

import numpy as np

from charlm import tensorfiles
from charlm.config.models import NgramConfig
from charlm.errors import ConfigError, Stopped
from charlm.families.base import WEIGHTS_FILE, Family, Job
from charlm.models.ngram import Ngram
from charlm.ngrams.columns import Scratch, scratch_folder
from charlm.ngrams.counting import OnOrder, count
from charlm.ngrams.counts import Counts
from charlm.ngrams.learning import learn
from charlm.ngrams.smoothing import SMOOTHERS
from charlm.ngrams.tables import even, from_tensors, tensors_of
from charlm.text.vocab import Vocab
from charlm.training.gradient import Outcome
from charlm.training.journal import Journal, Measured, Notice, OnEvent
from charlm.training.schedules import Place
from charlm.training.texts import Texts

PATIENCE = 10.0  # seconds without a word


def fresh(_config: NgramConfig, vocab: Vocab, _seed: int) -> Ngram:
    """A model that has counted nothing: every token is as likely as any other."""
    return Ngram(even(len(vocab)))


def fit(model: Ngram, job: Job) -> Outcome:
    """Fill an empty model from a text, or from counts that were made before.

    Raises ConfigError for a smoothing that cannot be learned, StorageError where the disk refuses.
    """
    config: NgramConfig = job.family
    if config.smoothing == "arpa":
        raise ConfigError("--smoothing arpa is for imported models", hint=f"choose from {', '.join(SMOOTHERS)}")
    if len(job.texts.train.ids) > job.texts.train.facts.tokens:
        raise ConfigError(
            "an n-gram counts every token that it reads, so it cannot learn from documents with control tokens",
            hint="give it the documents alone, or train a recurrent model",
        )
    began = time.monotonic()
    with scratch_folder() as scratch:
        watch = _Watch(job.journal, job.report)
        counts = job.counts
        found = counts if counts is not None else counts_of(job.texts, config, model.vocab_size, scratch, watch)
        watch(0)
        model.tables = learn(found, config, scratch, lambda sentence: job.report(Notice(sentence)))
        score = job.texts.measure(model)
        if score is not None and not math.isfinite(score.nats):
            job.report(
                Notice("some tokens of the validation text are impossible under this model: its perplexity is infinite")
            )
        measured = Measured.of_one_pass(score, seconds=time.monotonic() - began)
        job.journal.keep(tensors_of(model.tables), measured)
    job.journal.record(measured)
    job.report(measured)
    return Outcome(Place(step=1, epoch=1, seconds=measured.seconds), measured, None)


class _Watch:
    """Stops the work where a signal asks for it, and says how far it is where it takes long."""

    def __init__(self, journal: Journal, report: OnEvent) -> None:
        self.journal, self.report, self.told = journal, report, time.monotonic()

    def __call__(self, order: int) -> None:
        signal = self.journal.stop_signal()
        if signal is not None:
            raise Stopped(signal)
        if order and time.monotonic() - self.told > PATIENCE:
            self.told = time.monotonic()
            self.report(Notice(f"counting order {order}"))


def counts_of(texts: Texts, config: NgramConfig, vocab_size: int, scratch: Scratch, report: OnOrder) -> Counts:
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


def load(config: NgramConfig, vocab_size: int, folder: Path) -> Ngram:
    """Tables mapped from a run directory; none of their numbers is read yet."""
    arrays, _ = tensorfiles.map_rows(folder / WEIGHTS_FILE)
    uniform = config.smoothing in SMOOTHERS and SMOOTHERS[config.smoothing].uniform
    tables = from_tensors(arrays, vocab_size, uniform=uniform, source=str(folder / WEIGHTS_FILE))
    bits = config.quantize
    return Ngram(tables, rounding=f"n-gram probabilities are stored in {bits} bits" if bits is not None else None)


FAMILY = Family(fresh=fresh, load=load, fit=fit, takes_counts=True)
