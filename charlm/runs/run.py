"""A trained model with all that it needs, loaded from its directory: `charlm.load`."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch

from charlm import memory, sampling, scoring, tensorfiles
from charlm.composing.telling import theme_ids
from charlm.config.knobs import build
from charlm.config.models import MODELS
from charlm.config.sampling import SamplingConfig
from charlm.errors import ConfigError, RunError
from charlm.families import WEIGHTS_FILE, causal_family
from charlm.models.base import LanguageModel, rounding_of, to_device
from charlm.models.lowered import lowered
from charlm.runs.layout import RunConfig, check_vocab, read_config, read_facts
from charlm.runs.viewing import Viewing
from charlm.text.codec import Codec, Controlled, Document, Encoded
from charlm.text.reader import several
from charlm.training.devices import choose_device


@dataclass(frozen=True)
class TextScore:
    """How likely one text is.

    log_prob  nats, the closing line end included
    tokens    predicted tokens
    unknown   the tokens of it that the vocabulary does not have
    charged   log_prob with 16 bits taken off for each UTF-16 unit of those: what to compare texts by
    ids       the text as it was read, without control tokens
    """

    log_prob: float
    tokens: int
    unknown: list[str]
    charged: float
    ids: Sequence[int] = dataclasses.field(default=(), repr=False)

    @property
    def counted(self) -> float:
        """The log-probability, with unknown tokens only counted."""
        return self.log_prob


def _told(document: Encoded, log_probs: scoring.LogProbArray) -> TextScore:
    score = scoring.score_of(document, log_probs)
    ids = document.ids[document.controls :]
    return TextScore(-score.nats, score.tokens, document.unknown, -score.charged_nats, ids)


@dataclass
class Run(Viewing):
    """A trained model with all that it needs: `charlm.load(path)`.

    model   a LanguageModel over ids
    codec   text to ids and back
    config  every knob as it was used
    facts   run.json
    best    the figures of the weights
    """

    path: Path
    codec: Codec
    model: LanguageModel
    config: RunConfig
    facts: dict[str, Any]
    best: dict[str, Any]
    score_name: ClassVar[str] = "lm"  # of what `score` says, among the scores of a candidate

    @property
    def rounding(self) -> str | None:
        """Why its figures are not exact, since its probabilities add to one only nearly; None where they are."""
        return rounding_of(self.model)

    def score(self, texts: Iterable[str], *, controls: Sequence[str] = (), alike: bool = False) -> list[TextScore]:
        """How likely each text is, read as the training text was, by itself from the start.

        controls  names of control tokens that are read before each text, and count for nothing
        alike     read in such batches that a figure hangs on no other text, as far as the processor allows; slower
                  for few
        Raises ConfigError for a bare string, and for what is no text.
        """
        encoded = [self.codec.line(self.reader.line(text), controls) for text in several(texts)]
        fewest = scoring.FEWEST_ROWS if alike else 1
        found = scoring.log_probs_of_lines(self.model, (document.ids for document in encoded), fewest=fewest)
        return [_told(document, log_probs) for document, log_probs in zip(encoded, found, strict=True)]

    def score_lists(self, lists: Iterable[Iterable[str]], *, alike: bool = False) -> list[list[TextScore]]:
        """How likely each text of some lists is, such as the hypotheses of utterances.

        What the texts of a list have in common is read once, where that pays.

        alike  read so that a figure hangs on no other list, as far as the processor allows; slower for few
        """
        encoded = [[self.codec.line(self.reader.line(text)) for text in several(texts)] for texts in lists]
        ids = [[document.ids for document in documents] for documents in encoded]
        found = scoring.log_probs_of_lists(self.model, ids, fewest=scoring.FEWEST_ROWS if alike else 1)
        pairs = (zip(documents, log_probs, strict=True) for documents, log_probs in zip(encoded, found, strict=True))
        return [[_told(document, log_probs) for document, log_probs in own] for own in pairs]

    def log_probs(self, documents: Sequence[Encoded]) -> list[scoring.LogProbArray]:
        """Nats of every id of some documents, each read from the start."""
        return list(scoring.log_probs_of_lines(self.model, (document.ids for document in documents)))

    def evaluate(self, documents: Iterable[Document], *, report: scoring.OnTokens | None = None) -> scoring.Score:
        """The Score of a text, read as the training text was, in the context that the run was trained with.

        Raises ConfigError for a bare string.
        """
        read = (
            dataclasses.replace(document, text=self.reader.document(document.text))
            if isinstance(document, Controlled)
            else self.reader.document(document)
            for document in several(documents)
        )
        return scoring.evaluate(self.model, self.codec, read, carried=self.carried, report=report)

    def sample(
        self, prompt: str = "", count: int = 1, *, controls: Sequence[str] = (), theme: str = "", **knobs: Any
    ) -> list[str]:
        """Texts that begin with `prompt`, or of a backward model end with it; knobs are those of SamplingConfig.

        controls  names of control tokens that are read before the prompt, and not shown
        theme     words that are told as well, where the run was trained with themes
        Raises ConfigError for unknown and impossible knobs, and for a theme that cannot be told.
        """
        config = build(SamplingConfig, knobs, closed="sample")
        if type(count) is not int or count < 0:
            raise ConfigError(f"count must be a whole number from 0, not {count!r:.40}", hint="for example count=3")
        ids, _ = self.prompt(prompt)
        told = [*self.codec.prompt("", controls)[0], *theme_ids(self.codec.vocab, theme)]
        ends, silent = self.codec.closing, self.codec.vocab.controls
        drawn = sampling.samples(self.model, ids, count, config, told=told, ends=ends, controls=silent)
        return [self.text_of(prompt, sample.ids) for sample in drawn]

    def prompt(self, text: str, controls: Sequence[str] = ()) -> tuple[list[int], list[str]]:
        """The ids of a text that the model shall continue, control tokens first, and the tokens that are unknown."""
        return self.codec.prompt(self.reader.prompt(text), controls)

    def parts(self) -> list[tuple[str, "Run"]]:
        """The members of a mixture, each as if it stood alone; nothing for other models."""
        members = getattr(self.model, "members", ())
        weights = self.facts.get("tuned", {}).get("weights", {}) if isinstance(self.facts.get("tuned"), dict) else {}
        names = [*weights, *(f"member {number}" for number in range(len(weights) + 1, len(members) + 1))]
        return [(name, dataclasses.replace(self, model=model)) for name, model in zip(names, members, strict=False)]

    def text_of(self, prompt: str, ids: Sequence[int]) -> str:
        """The prompt as it was given, and the drawn ids after it, of a backward model before it."""
        known, _ = self.prompt(prompt)
        whole, given = self.codec.decode([*known, *ids]), self.codec.decode(known)
        return whole.removesuffix(given) + prompt if self.codec.reverse else prompt + whole.removeprefix(given)

    def to(self, device: torch.device) -> "Run":
        """The same run with its weights on `device`; count-based models stay on the CPU."""
        to_device(self.model, device)
        return self


class Opened(NamedTuple):
    """What a run directory says of a model, before its weights are read."""

    codec: Codec
    config: RunConfig
    facts: dict[str, Any]
    best: dict[str, Any]


def load(path: str | Path, device: str = "cpu", precision: str = "float32") -> Run:
    """Load a run of a language model: `charlm.load("checkpoints/tang")`.

    device     where its weights go: cpu, cuda, mps, or auto
    precision  of its products: float32, or faster and rounded (`models.lowered`): fp16, bf16, or auto, of these what
               there is. glibc's allocator keeps memory that was freed from then on (`memory.keep_freed`)
    Raises RunError or VocabError where a file is missing, damaged, edited, foreign or of a newer format; ConfigError
    where its model fills blanks, and is none of language, and where the device or the precision cannot be had.
    """
    path = Path(path)
    if is_cloze(path):
        raise ConfigError(
            f"{path} fills blanks: its model knows both sides of a word, and so foretells none",
            hint=f'charlm fill {path} "TEXT", with __ where a word is missing',
        )
    found = opened(path)
    model = causal_family(found.config.model).load(found.config.family, len(found.codec.vocab), path)
    where = choose_device(device)
    run = Run(path, found.codec, model, found.config, found.facts, found.best).to(where)
    return dataclasses.replace(run, model=lowered(run.model, precision, where))


def is_cloze(path: Path) -> bool:
    """Whether a run's model says what is missing, and not what comes next; raises RunError for what is no run."""
    read_facts(path)
    return MODELS[read_config(path).model].kind == "cloze"


def opened(path: Path) -> Opened:
    """Everything of a run but its model; raises RunError or VocabError."""
    memory.keep_freed()  # whoever reads with a model asks for blocks of the same sizes again and again
    facts = read_facts(path)
    config = read_config(path)
    if not (path / WEIGHTS_FILE).is_file():
        pickles = [p.name for p in path.iterdir() if p.suffix in tensorfiles.PICKLE_SUFFIXES]
        if pickles:
            tensorfiles.refuse_pickle(path / pickles[0])
        raise RunError(f"{path} has no {WEIGHTS_FILE}", hint=f"go on training it: charlm train --resume {path}")
    codec = Codec.load(path)
    return Opened(codec, config, facts, check_vocab(path, codec))
