"""What a family of models offers to whoever trains, loads, tries or mixes.

What only training needs is named here and not imported: whoever reads a run does not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from torch import Tensor

from charlm.config.networks import Stored
from charlm.config.training import TrainingConfig
from charlm.errors import RunError
from charlm.text.decoding import Note
from charlm.text.vocab import Vocab

if TYPE_CHECKING:
    from charlm.embedding.vectors import Matrix, WordVectors
    from charlm.ngrams.counts import Counts
    from charlm.training.devices import Machine
    from charlm.training.gradient import Outcome
    from charlm.training.journal import Journal, OnEvent
    from charlm.training.texts import Texts
    from charlm.training.trial import Estimate

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
MEMBERS_FOLDER = "members"

M = TypeVar("M")  # the kind of model: a LanguageModel or a ClozeModel


@dataclass(frozen=True)
class Job:
    """All that a family needs to learn: the texts, the settings, and whom to tell.

    family  the page of knobs of the family
    """

    texts: Texts
    vocab: Vocab
    family: Any
    training: TrainingConfig
    machine: Machine
    journal: Journal
    report: OnEvent
    counts: Counts | None = None  # n-grams counted before, instead of a text


@dataclass(frozen=True)
class Family(Generic[M]):
    """One family of models of the kind M; `MODELS` in `config/models.py` has its page and says which kind.

    load          (page, vocabulary size, run directory) -> a model, on the CPU, ready to be asked
    fresh         (page, vocabulary, seed) -> a model that has learned nothing yet
    fit           trains a fresh model in place; its journal receives the weights. None: it is made otherwise
    init_from     (model, its vocabulary, other model, the other's vocabulary, its path, note): take over weights;
                  None: there are none to begin from
    take_vectors  (model, its vocabulary, word vectors, their path): begin with them as input vectors, and give how many
                  tokens found theirs; None: it has no such vectors
    vectors_of    model -> the vectors (V, E) by which it reads its tokens; None: it has none
    trial         (fresh model, job) -> what a training would take; None: it takes seconds
    rounded       (weights, how many bits) -> them in fewer bits, which `load` takes too; None: they are no weights
    takes_counts  whether it can learn from counts of n-grams instead of a text
    """

    load: Callable[[Any, int, Path], M]
    fresh: Callable[[Any, Vocab, int], Any] | None = None
    fit: Callable[[Any, Job], Outcome] | None = None
    init_from: Callable[[Any, Vocab, Any, Vocab, Path, Note], None] | None = None
    trial: Callable[[Any, Job], Estimate] | None = None
    take_vectors: Callable[[Any, Vocab, WordVectors, Path], int] | None = None
    vectors_of: Callable[[Any], Matrix] | None = None
    rounded: Callable[[dict[str, Tensor], Stored], dict[str, Tensor]] | None = None
    takes_counts: bool = False


def checked(tensors: dict[str, Tensor], expected: dict[str, Tensor], path: Path) -> None:
    """Refuse weights whose names or shapes are not those that the config asks for."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wanted = {name: tuple(tensor.shape) for name, tensor in expected.items()}
    if shapes != wanted:
        names = sorted(name for name in shapes.keys() | wanted.keys() if shapes.get(name) != wanted.get(name))
        what = ", ".join(f"{n} is {shapes.get(n, 'missing')}, not {wanted.get(n, 'expected')}" for n in names[:3])
        raise RunError(
            f"{path} does not fit its config.json and vocab.tsv: {what}",
            hint="one of them was edited or comes from another run; restore them together",
        )
