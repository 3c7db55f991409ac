"""The texts of a training: what is learned, what is read beside it, and what is measured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from charlm.config.training import TrainingConfig
from charlm.scoring import Pieces, evaluate_corpus
from charlm.text.corpus import Corpus
from charlm.training.ahead import Ahead
from charlm.training.batches import Buckets, Stripes
from charlm.training.devices import Machine
from charlm.training.feeding import Feed, Steps
from charlm.training.journal import Figures


@dataclass(frozen=True)
class Texts:
    """What is learned and what is measured.

    carried   the state goes on from document to document
    more      other text of the kind, each with its weight (`feeding.py`)
    evaluate  what measures the validation text: `evaluate_corpus`, or what takes the same of another kind of model
    """

    train: Corpus
    valid: Corpus | None
    carried: bool
    more: tuple[tuple[Corpus, float], ...] = ()
    evaluate: Callable[..., Figures] = evaluate_corpus

    def measure(self, model: Any, shares: int = 1, run: Pieces = map) -> Figures | None:
        """The figures of the validation text, None where there is none; `shares`, `run` as for `evaluate_corpus`."""
        if self.valid is None:
            return None
        return self.evaluate(model, self.valid, carried=self.carried, shares=shares, run=run)

    def feed(self, config: TrainingConfig, machine: Machine) -> Feed:
        """The steps of a training, of which this rank takes its share; for a GPU they are made ahead."""

        def steps(corpus: Corpus) -> Steps:
            rank, ranks = machine.ranks.rank, machine.ranks.ranks
            sizes = corpus, config.batch_size, config.window, config.seed
            made: Steps = (
                Stripes(*sizes, turned=config.partial_shuffle, rank=rank, ranks=ranks)
                if self.carried
                else Buckets(*sizes, rank=rank, ranks=ranks)
            )
            return made if machine.device.type == "cpu" else Ahead(made, machine.device)

        return Feed(steps(self.train), [(steps(corpus), weight) for corpus, weight in self.more])
