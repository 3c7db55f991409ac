"""What two processes under torchrun must keep, printed as JSON by the first: `test_ranks.py` starts it."""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from small import corpus_of, recurrent, sentences

from charlm.config.knobs import fields_of
from charlm.config.networks import RecurrentConfig
from charlm.config.training import TrainingConfig
from charlm.training.devices import Machine
from charlm.training.gradient import fit
from charlm.training.journal import MemoryJournal, Progress
from charlm.training.ranks import ALONE, joined
from charlm.training.texts import Texts

PARTS = {"optimizer": "muon", "average": "ema", "average_share": 0.3}
ALL = {**PARTS, "dropout": 0.2, "word_dropout": 0.2, "weight_drop": 0.3, "ar": 0.5, "tar": 0.5, "skips": True}
TRAIN, VALID = corpus_of(sentences(40)), corpus_of(sentences(8, seed=1))


@dataclass
class Stopping(MemoryJournal):
    """Asks to stop after some steps; on one rank only, if that is wanted."""

    stop_after: int | None = None
    asked: int = 0

    def stop_signal(self):
        self.asked += 1
        return 15 if self.asked == self.stop_after else None


def train(ranks, texts, journal=None, seed=7, stop_after=None, **knobs):
    """The journal and the losses of a training."""
    losses: list[float] = []
    journal = Stopping() if journal is None else journal
    journal.stop_after, journal.asked = stop_after, 0
    known = {"batch_size": 6, "window": 16, "learning_rate": 0.01, "seed": 3, "steps": 9, "validations": 3, **knobs}
    network = {name: known.pop(name) for name in fields_of(RecurrentConfig) if name in known}
    model = recurrent(12, seed=seed, dtype=torch.float32, **{"learned_start": True, **network})
    fit(
        model,
        texts,
        TrainingConfig(**known),
        machine=Machine(torch.device("cpu"), "float32", ranks=ranks),
        journal=journal,
        report=lambda event: losses.append(event.loss) if isinstance(event, Progress) else None,
    )
    return journal, losses


def same(some, other):
    """Whether two dictionaries of tensors are equal to the last bit."""
    return some.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in some.items())


def main():
    """Print what was found."""
    found = {}
    with joined("cpu") as ranks:
        for reading in ("stripes", "buckets"):
            texts = Texts(TRAIN, VALID, reading == "stripes")
            both, losses = train(ranks, texts)
            alone, expected = train(ALONE, texts)
            found[f"{reading}: largest relative difference of a loss"] = max(
                abs(loss / other - 1) for loss, other in zip(losses, expected, strict=True)
            )
            found[f"{reading}: of a validation"] = max(
                abs(mine.valid_nats / theirs.valid_nats - 1)
                for mine, theirs in zip(both.history, alone.history, strict=True)
            )
            whole, _ = train(ranks, texts, dropout=0.3)
            for stop, by_rank in ((2, 0), (5, 1)):
                first, _ = train(ranks, texts, dropout=0.3, stop_after=stop if ranks.rank == by_rank else None)
                found[f"{reading}: stopped at {stop}"] = first.checkpoint.facts["place"]["step"]
                second, _ = train(ranks, texts, first, seed=8 + ranks.rank, dropout=0.3)
                found[f"{reading}: resumed from {stop}, weights"] = same(second.weights, whole.weights)
                found[f"{reading}: resumed from {stop}, all"] = same(
                    second.checkpoint.tensors, whole.checkpoint.tensors
                )
            turned = {"partial_shuffle": True} if texts.carried else {}
            both, losses = train(ranks, texts, **PARTS, **turned)
            alone, expected = train(ALONE, texts, **PARTS, **turned)
            found[f"{reading}: with parts, a loss"] = max(
                abs(loss / other - 1) for loss, other in zip(losses, expected, strict=True)
            )
            found[f"{reading}: with parts, a validation"] = max(
                abs(mine.valid_nats / theirs.valid_nats - 1)
                for mine, theirs in zip(both.history, alone.history, strict=True)
            )
            whole_of_all, _ = train(ranks, texts, **ALL, **turned)
            first, _ = train(ranks, texts, stop_after=4, **ALL, **turned)
            second, _ = train(ranks, texts, first, seed=8 + ranks.rank, **ALL, **turned)
            found[f"{reading}: with parts, resumed"] = same(second.weights, whole_of_all.weights) and same(
                second.checkpoint.tensors, whole_of_all.checkpoint.tensors
            )
            found[f"{reading}: states of both"] = any(n.startswith("ranks/1/") for n in whole.checkpoint.tensors)
            broken = replace(whole.checkpoint, tensors={"x": torch.zeros(1)})
            found[f"{reading}: refused"] = _refusal(texts, replace(whole, checkpoint=broken))
            found[f"{reading}: refused alone"] = _refusal(texts, whole)
    found["threads left"] = [task.read_text("utf-8").strip() for task in Path("/proc/self/task").glob("*/comm")]
    if ranks.rank == 0:
        sys.stdout.write(json.dumps(found))


def _refusal(texts, journal):
    try:
        train(ALONE, texts, journal)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


if __name__ == "__main__":
    main()
