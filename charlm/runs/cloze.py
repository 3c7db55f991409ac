"""A trained model of missing words, loaded from its directory: `charlm.load_cloze`. No Run: it has no next word."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import torch

from charlm import scoring
from charlm.families import cloze_family
from charlm.filling.likelihood import pseudo_log_probs, pseudo_score_of
from charlm.models.base import LanguageModel, to_device
from charlm.models.cloze import ClozeModel
from charlm.models.lowered import lowered
from charlm.runs.layout import RunConfig
from charlm.runs.run import Run, is_cloze, load, opened
from charlm.runs.viewing import Viewing
from charlm.text.codec import Codec, Encoded
from charlm.text.reader import several
from charlm.training.devices import choose_device


@dataclass(frozen=True)
class TextPseudoScore:
    """How well each token of one text is foretold by all the others.

    pll      nats: the sum over its tokens, its end not among them. No log-probability of the text
    tokens   how many
    unknown  those that the vocabulary does not have
    charged  pll with 16 bits taken off for each UTF-16 unit of those
    ids      the text as it was read
    """

    pll: float
    tokens: int
    unknown: list[str]
    charged: float
    ids: Sequence[int] = field(default=(), repr=False)

    @property
    def counted(self) -> float:
        """The same as `pll`: unknown tokens are only counted."""
        return self.pll


@dataclass
class ClozeRun(Viewing):
    """A trained model of missing words with all that it needs: `charlm.load_cloze(path)`; `charlm.fill` asks it.

    model   a ClozeModel over ids
    codec   text to ids and back
    config  every knob as it was used
    facts   run.json
    best    the figures of the weights
    """

    path: Path
    codec: Codec
    model: ClozeModel
    config: RunConfig
    facts: dict[str, Any]
    best: dict[str, Any]
    score_name: ClassVar[str] = "pll"  # of what `score` says, among the scores of a candidate
    rounding: ClassVar[str | None] = None  # of a network nothing is rounded

    def score(self, texts: Iterable[str], *, alike: bool = False) -> list[TextPseudoScore]:  # noqa: ARG002 (as a Run's)
        """The pseudo-log-likelihood of each text, by itself: a score named `pll` for reranking, and no probability.

        alike  as for a Run; a figure hangs on no other text within the rounding of its float32
        Raises ConfigError for a bare string, and for what is no text.
        """
        encoded = [self.codec.line(self.reader.line(text)) for text in several(texts)]
        found = pseudo_log_probs(self.model, [document.ids for document in encoded])
        scores = [pseudo_score_of(document, log_probs) for document, log_probs in zip(encoded, found, strict=True)]
        return [
            TextPseudoScore(-score.nats, score.tokens, document.unknown, -score.charged_nats, document.ids)
            for score, document in zip(scores, encoded, strict=True)
        ]

    def score_lists(self, lists: Iterable[Iterable[str]], *, alike: bool = False) -> list[list[TextPseudoScore]]:
        """`score` of the texts of several lists."""
        given = [list(several(texts)) for texts in lists]
        found = iter(self.score([text for texts in given for text in texts], alike=alike))
        return [[next(found) for _ in texts] for texts in given]

    def log_probs(self, documents: Sequence[Encoded]) -> list[scoring.LogProbArray]:
        """Nats of every id of some documents, given all others of it."""
        return list(pseudo_log_probs(self.model, [document.ids for document in documents]))

    def to(self, device: torch.device) -> "ClozeRun":
        """The same run with its weights on `device`."""
        to_device(cast(LanguageModel, self.model), device)
        return self


def load_cloze(path: str | Path, device: str = "cpu", precision: str = "float32") -> ClozeRun:
    """Load a run of a model of missing words: `charlm.load_cloze("checkpoints/cloze")`.

    device, precision  as for `load`
    Raises RunError or VocabError as `load` does; ConfigError where it is a language model.
    """
    path = Path(path)
    found = opened(path)
    model = cloze_family(found.config.model).load(found.config.family, len(found.codec.vocab), path)
    where = choose_device(device)
    run = ClozeRun(path, found.codec, model, found.config, found.facts, found.best).to(where)
    return replace(run, model=lowered(run.model, precision, where))


def load_any(path: str | Path, device: str = "cpu", precision: str = "float32") -> Run | ClozeRun:
    """Load a run of either kind, for whoever tells of it, fills blanks with it, or takes over its weights."""
    return load_cloze(path, device, precision) if is_cloze(Path(path)) else load(path, device, precision)
