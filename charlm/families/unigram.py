"""A unigram: how often each token occurs, whatever came before."""

from pathlib import Path

import torch

from charlm import tensorfiles
from charlm.config.models import UnigramConfig
from charlm.errors import RunError
from charlm.families.base import WEIGHTS_FILE, Family, Job, checked
from charlm.models.unigram import Unigram
from charlm.text.vocab import Vocab
from charlm.training.gradient import Outcome
from charlm.training.journal import Measured
from charlm.training.schedules import Place


def fresh(config: UnigramConfig, vocab: Vocab, _seed: int) -> Unigram:
    """A model that has counted nothing."""
    return Unigram.from_counts([0] * len(vocab), config)


def fit(model: Unigram, job: Job) -> Outcome:
    """Count the tokens of the training text."""
    counts = torch.zeros(model.vocab_size, dtype=torch.int64)
    ids = job.texts.train.ids
    for start in range(0, len(ids), 1 << 22):
        part = torch.from_numpy(ids[start : start + (1 << 22)].astype("int64"))
        counts += torch.bincount(part, minlength=model.vocab_size)
    counts[job.vocab.control_ids] = 0  # read, never predicted
    model.count(counts)
    measured = Measured.of_one_pass(job.texts.measure(model))
    job.journal.keep({"counts": counts}, measured)
    job.journal.record(measured)
    job.report(measured)
    return Outcome(Place(step=1, epoch=1), measured, None)


def load(config: UnigramConfig, vocab_size: int, folder: Path) -> Unigram:
    """The counts of a run directory."""
    tensors, _ = tensorfiles.read(folder / WEIGHTS_FILE)
    checked(tensors, {"counts": torch.empty(vocab_size)}, folder / WEIGHTS_FILE)
    if bool((tensors["counts"] < 0).any()):
        raise RunError(f"{folder / WEIGHTS_FILE} holds counts below zero", hint="restore it from a copy of the run")
    return Unigram.from_counts(tensors["counts"].tolist(), config)


FAMILY = Family(fresh=fresh, load=load, fit=fit)
