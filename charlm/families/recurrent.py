"""Recurrent networks: trained by gradient, kept as weights."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from charlm import tensorfiles
from charlm.config.models import RecurrentConfig
from charlm.errors import ConfigError, RunError
from charlm.families.base import WEIGHTS_FILE, Family, Job, checked
from charlm.models.base import LanguageModel
from charlm.models.recurrent import Recurrent
from charlm.text.decoding import Note
from charlm.text.vocab import Vocab
from charlm.training import gradient, trial
from charlm.training.gradient import Outcome
from charlm.training.trial import Estimate


def _built(config: RecurrentConfig, vocab_size: int) -> Recurrent:
    """A network of this shape; raises ConfigError where no memory can hold it."""
    try:
        return Recurrent(config, vocab_size)
    except (RuntimeError, TypeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and not any(word in str(error) for word in ("alloc", "verflow")):
            raise
        raise ConfigError(
            f"a network with --hidden {config.hidden} and --embedding {config.embedding} does not fit into memory",
            hint="try smaller ones; `charlm train --dry-run` tells what a network takes",
        ) from error


def fresh(config: RecurrentConfig, vocab: Vocab, seed: int) -> Recurrent:
    """A network whose weights depend on the seed alone; it begins with the frequencies of the tokens."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _built(config, len(vocab))
    counts = torch.tensor(vocab.counts, dtype=torch.float64) + 1
    model.set_prior((counts / counts.sum()).log())
    return model


def fit(model: Recurrent, job: Job) -> Outcome:
    """Train by gradient."""
    return gradient.fit(
        model,
        job.texts,
        job.training,
        machine=job.machine,
        journal=job.journal,
        report=job.report,
    )


def load(config: RecurrentConfig, vocab_size: int, folder: Path) -> Recurrent:
    """A network with the weights of a run directory; RunError where they do not fit its config."""
    tensors, _ = tensorfiles.read(folder / WEIGHTS_FILE)
    try:
        with torch.device("meta"):
            expected = _built(config, vocab_size).state_dict()
    except ConfigError as error:
        raise RunError(f"{folder}: {error}", hint="config.json was edited; restore it") from error
    checked(tensors, expected, folder / WEIGHTS_FILE)
    with torch.random.fork_rng(devices=[]):
        model = Recurrent(config, vocab_size)
    model.load_state_dict(tensors)
    return model.eval()


def _option(name: str, value: Any) -> str:
    switches = {
        "tied": ("--untied", "--tied"),
        "learned_start": ("--zero-start", "--learned-start"),
        "skips": ("--no-skips", "--skips"),
    }
    return switches[name][value] if name in switches else f"--{name} {value}"


def init_from(model: Recurrent, vocab: Vocab, other: LanguageModel, theirs: Vocab, path: Path, note: Note) -> None:
    """Take over the weights of another network, the rows of the vocabulary token by token.

    Tokens that the other one did not know keep their fresh start. Raises RunError where the networks differ.
    """
    if not isinstance(other, Recurrent):
        raise RunError(f"--init-from {path}: only recurrent models have weights to begin from", hint="leave it out")
    shape = ("cell", "layers", "hidden", "embedding", "tied", "learned_start", "skips")
    mine, wanted = asdict(model.config), asdict(other.config)
    differing = [_option(name, wanted[name]) for name in shape if mine[name] != wanted[name]]
    if differing:
        raise RunError(f"{path} is another network", hint=f"train with {' '.join(differing)}")
    # A control token is another thing than a token of the text that is spelled alike.
    shared = [
        (vocab.ids[t], row)
        for t, row in theirs.ids.items()
        if t in vocab.ids and (vocab.ids[t] in vocab.control_ids) == (row in theirs.control_ids)
    ]
    here, there = (torch.tensor(rows) for rows in zip(*shared, strict=True))
    weights = other.state_dict()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.shape[0] == model.vocab_size and name in ("embedding.weight", "output.weight", "bias"):
                tensor[here] = weights[name][there]
            else:
                tensor.copy_(weights[name])
    new, dropped = len(vocab) - len(shared), len(theirs) - len(shared)
    note(f"began from {path}: {len(shared):,} tokens kept, {new:,} new, {dropped:,} left behind")


def try_out(model: Recurrent, job: Job) -> Estimate:
    """What training this network would take."""
    return trial.estimate(model, job.texts, job.training, job.machine)


FAMILY = Family(fresh=fresh, load=load, fit=fit, init_from=init_from, trial=try_out)
