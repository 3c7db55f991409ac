"""A family in one file: tokens are likely by whether they stand at an even or an odd place of the text.

State: `(place,)`, (B, 1) float64, how many tokens were read.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from charlm import tensorfiles
from charlm.config.knobs import knob
from charlm.families.base import WEIGHTS_FILE, Family, Job
from charlm.training.gradient import Outcome
from charlm.training.journal import Measured
from charlm.training.schedules import Place
from charlm.training.trial import Estimate


@dataclass(frozen=True)
class ParityConfig:
    """Two unigrams."""

    softness: float = knob(1.0, "Added to every count of the throw-away family.")


class Parity:
    def __init__(self, counts: torch.Tensor, config: ParityConfig) -> None:
        self.config, self.vocab_size = config, counts.shape[1]
        smoothed = counts.double() + config.softness
        self.log_probs = (smoothed / smoothed.sum(1, keepdim=True)).log()

    def initial_state(self, batch_size):
        return (torch.zeros(batch_size, 1, dtype=torch.float64),)

    def step(self, ids, state):
        (place,) = state
        return self.log_probs[(place[:, 0] % 2).long()], (place + 1,)

    def score(self, inputs, targets, state):
        (place,) = state
        rows = (place + torch.arange(inputs.shape[1])).long() % 2
        return self.log_probs[rows, targets], (place + inputs.shape[1],)


def fresh(config, vocab, seed):
    return Parity(torch.zeros(2, len(vocab)), config)


def fit(model: Parity, job: Job) -> Outcome:
    counts = torch.zeros(2, model.vocab_size)
    for number in range(len(job.texts.train)):
        for place, token in enumerate(job.texts.train.document(number).tolist()):
            counts[place % 2, token] += 1
    model.__init__(counts, model.config)
    measured = Measured.of_one_pass(job.texts.measure(model))
    job.journal.keep({"counts": counts}, measured)
    job.journal.record(measured)
    job.report(measured)
    return Outcome(Place(step=1, epoch=1), measured, None)


def load(config: ParityConfig, vocab_size: int, folder: Path) -> Parity:
    tensors, _ = tensorfiles.read(folder / WEIGHTS_FILE)
    return Parity(tensors["counts"], config)


def trial(model: Parity, job: Job) -> Estimate:
    return Estimate(0, job.texts.train.facts.tokens, 1e6, 0.1, 1 << 20, "cpu", "float32")


FAMILY = Family(load=load, fresh=fresh, fit=fit, trial=trial)
