"""Runs against a text: what `charlm eval` shows, and what may be compared with what."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, cast

from charlm import scoring
from charlm.config.evaluation import DynamicConfig
from charlm.config.text import TextConfig
from charlm.config.training import ReadPrecision
from charlm.errors import ConfigError
from charlm.models.base import LanguageModel
from charlm.runs.run import Run
from charlm.runs.run import load as load_run
from charlm.scoring import OnTokens, Score
from charlm.text import files as text
from charlm.text.decoding import Note
from charlm.text.files import PartName
from charlm.text.sources import Kept
from charlm.text.survey import Survey
from charlm.text.vocab import EOS, UNK


@dataclass(frozen=True)
class Dynamic:
    """The Score of a text whose weights were moved by what had been predicted of it: never one of the run as it is.

    config    the way, and the rate and decay that were used
    tuned_on  the text on which they were found, None where they were not
    """

    score: Score
    config: DynamicConfig
    tuned_on: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Stable keys."""
        score, config = self.score, self.config
        return {
            "way": config.dynamic,
            "rate": config.rate,
            "decay": config.decay,
            "segment": config.segment,
            "tuned_on": self.tuned_on,
            "perplexity": score.perplexity,
            "perplexity_known": score.perplexity_known,
            "perplexity_charged": score.perplexity_charged,
            "bits_per_char": score.bits_per_char,
            "nats_per_char": score.nats_per_char,
            **asdict(score),
        }


@dataclass(frozen=True)
class Result:
    """One run's Score on one text.

    context  whether the state went on from line to line
    members  the Scores of a mixture's members, each alone, by name
    dynamic  the figures of dynamic evaluation, if it was asked for; all others are static
    exact    whether the probabilities add to one; rounded ones do so only nearly
    precision  of the run's products
    """

    run: str
    score: Score
    context: Literal["line", "carried"]
    reading: str
    codec: str
    members: tuple[tuple[str, Score], ...] = ()
    dynamic: Dynamic | None = None
    exact: bool = True
    precision: ReadPrecision = "float32"

    @property
    def gain(self) -> float | None:
        """Bits per character that a mixture saves beside its best member."""
        bits = [score.bits_per_char for _, score in self.members]
        return min(bits) - self.score.bits_per_char if bits else None

    @property
    def context_sentence(self) -> str:
        """The context for people."""
        if self.reading == "stream":
            return "carried through one continuous text"
        return "carried from line to line" if self.context == "carried" else "fresh for every line"

    def to_json(self) -> dict[str, Any]:
        """Stable keys: the sums of a Score, which add, and their quotients; perplexities with line ends counted."""
        score = self.score
        return {
            "run": self.run,
            "perplexity": score.perplexity,
            "perplexity_known": score.perplexity_known,
            "perplexity_charged": score.perplexity_charged,
            "bits_per_char": score.bits_per_char,
            "nats_per_char": score.nats_per_char,
            "unknown_rate": score.unknown_rate,
            **asdict(score),
            "context": self.context,
            "reading": self.reading,
            "exact": self.exact,
            "precision": self.precision,
            **self._members_json(),
            **({"dynamic": self.dynamic.to_json()} if self.dynamic is not None else {}),
        }

    def _members_json(self) -> dict[str, Any]:
        if not self.members:
            return {}
        told = [
            {"member": name, "perplexity": score.perplexity, "bits_per_char": score.bits_per_char, **asdict(score)}
            for name, score in self.members
        ]
        return {"members": told, "gain_bits_per_char": self.gain}


@dataclass(frozen=True)
class Comparison:
    """Runs by bits per character, best first: (run, bits, bits behind the best). remark says what else holds."""

    ranking: list[tuple[str, float, float]]
    remark: str


@dataclass(frozen=True)
class Evaluation:
    """One text, read for each run the way that run reads: `lines` or `stream`, by its own tokens.

    Stdin and pipes are read once and kept as long as this object.

    source   file, folder or - for stdin
    part     train, valid or test of a corpus that was split by hash; None is the whole
    context  line or carried, where it shall differ from the training
    shard    (K, N): every N-th document of it, from the K-th; the Scores of all shards add to that of the whole
    """

    source: str
    texts: TextConfig
    part: str | None
    context: str | None
    note: Note
    shard: text.Shard = text.WHOLE
    _kept: Kept = field(default_factory=Kept, init=False)
    _told: set[str] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        if self.part not in (None, "train", "valid", "test"):
            raise ConfigError(f"no part is called {self.part!r}", hint="choose from train, valid, test")
        if self.context not in (None, "line", "carried"):
            raise ConfigError(f"no context is called {self.context!r}", hint="choose from line, carried")

    def documents(self, run: Run) -> Iterator[str]:
        """The text as this run reads it, or the shard of it.

        Raises TextError where the text is empty; a shard may be, and adds nothing. ConfigError where it is carried.
        """
        text.refuse_shards_of_carried(self.carried(run), self.shard)
        mine = run.config.text
        config = replace(
            self.texts,
            reading=mine.reading,
            level=mine.level,
            simplify=mine.simplify,
            blank_lines=mine.blank_lines,
        )
        part = cast(PartName | None, self.part)
        found = (
            text.documents([self.source], config, note=self._tell, kept=self._kept)
            if part is None
            else text.part([self.source], config, part, note=self._tell, kept=self._kept)
        )
        survey = Survey()
        yield from text.sharded(survey.watch_marks(text.some(found, self.source, part=part)), self.shard)
        for finding in survey.findings():
            self._tell(f"in the text: {finding}; they are easily foretold, and the figures flatter")

    def _tell(self, sentence: str) -> None:
        """Note a sentence once, however many runs read the text."""
        if sentence not in self._told:
            self._told.add(sentence)
            self.note(sentence)

    def carried(self, run: Run) -> bool:
        """Whether the state goes on from line to line; a stream has no lines, so there it always does."""
        if self.context is None or run.config.text.reading == "stream":
            return run.carried
        if self.context == "carried" and run.codec.reverse:
            raise ConfigError(
                f"{run.path} reads each line backwards, so no line goes on where another ended",
                hint="leave --context carried out",
            )
        return self.context == "carried"

    def measure(
        self, path: Path, device: str, precision: ReadPrecision = "float32", *, report: OnTokens | None = None
    ) -> Result:
        """The Score of the text under the run at `path`, whose products are of this precision."""
        run = load_run(path, device, precision)
        carried = self.carried(run)
        score = scoring.evaluate(run.model, run.codec, self.documents(run), carried=carried, report=report)
        members = tuple(
            (name, scoring.evaluate(part.model, part.codec, self.documents(part), carried=carried, report=report))
            for name, part in run.parts()
        )
        context: Literal["carried", "line"] = "carried" if carried else "line"
        if run.rounding is not None:
            self._tell(f"{path}: figures are not exact: {run.rounding}, so probabilities add to one only nearly")
        exact = run.rounding is None
        return Result(
            str(path), score, context, run.codec.reading, run.codec.fingerprint(), members,
            exact=exact, precision=precision,
        )  # fmt: skip

    def tokens(self, path: Path, device: str, precision: ReadPrecision = "float32") -> Iterator[dict[str, Any]]:
        """A record for each token: document, place, token, log_prob (nats)."""
        run = load_run(path, device, precision)
        yield from self.records(run, run.model, "log_prob")

    def records(self, run: Run, model: LanguageModel, name: str, *, in_order: bool = False) -> Iterator[dict[str, Any]]:
        """A record for each token of the text as `run` reads it, with what `model` says of it under `name`."""
        carried = self.carried(run)
        found = scoring.details(model, run.codec, self.documents(run), carried=carried, in_order=in_order)
        first, of = self.shard
        for number, (encoded, _, log_probs) in zip(count(first - 1, of), found, strict=False):
            unknown = iter(encoded.unknown)
            for place, (token, log_prob) in enumerate(zip(encoded.targets, log_probs.tolist(), strict=True)):
                shown = "<EOS>" if token == EOS else next(unknown) if token == UNK else run.codec.vocab.tokens[token]
                yield {"document": number, "place": place, "token": shown, "known": token != UNK, name: log_prob}


def compare(results: list[Result]) -> Comparison:
    """Rank runs by bits per character; by perplexity they are ranked only where the tokens are the same."""
    figures = [(result.run, result.score.bits_per_char) for result in results]
    figures += [(f"{r.run}, dynamic", r.dynamic.score.bits_per_char) for r in results if r.dynamic is not None]
    figures.sort(key=itemgetter(1))
    ranking = [(run, bits, bits - figures[0][1]) for run, bits in figures]
    if len({result.codec for result in results}) > 1:
        remark = (
            "Not ranked by perplexity: the vocabularies differ, and a perplexity per token says little about another "
            "kind of token. Bits per character compare; unknown tokens are charged 16 bits per UTF-16 unit."
        )
    elif len({result.context for result in results}) > 1:
        remark = "The contexts differ: carried text tells a model more than single lines do."
    else:
        remark = "The vocabularies are the same, so perplexities compare as well."
    if any(result.dynamic is not None for result in results):
        remark += " A dynamic figure is of a model that learned from the text, and compares with dynamic ones."
    return Comparison(ranking, remark)
