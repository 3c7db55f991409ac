"""Blanks filled by a run of either kind: from both sides, or by whole sentences. `charlm fill`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from charlm.config.filling import FillConfig
from charlm.config.text import TextConfig
from charlm.errors import ConfigError
from charlm.filling import measuring
from charlm.filling.blanks import BlankedText, blanked, candidates_of
from charlm.filling.both import BothSides
from charlm.filling.measuring import Accuracy, HeldOut
from charlm.filling.searching import Guess, Judge, search
from charlm.filling.whole import WholeSentences
from charlm.runs.cloze import load_cloze
from charlm.runs.run import is_cloze, load
from charlm.text import files
from charlm.text.codec import Codec
from charlm.text.decoding import Note, nobody
from charlm.text.reader import Reader

JudgedBy = Literal["both sides", "whole sentences"]
WIDTH = 64  # guesses that a search from both sides keeps, or four for each that is shown
LONGEST = 4  # tokens of a blank of any length, where a language model is asked
MOST_WAYS = 10_000  # of filling several blanks with the candidates of --among


@dataclass(frozen=True)
class Filling:
    """What may stand in the blanks of a text.

    fills        what stands in each, in order
    text         the text with them
    log_prob     nats: of the fills given the rest from both sides; of the whole sentence from a language model
    probability  of the fills among all there are; of whole sentences among those that were tried; of named candidates
                 among those, in equal lengths: see `per_step`
    """

    fills: tuple[str, ...]
    text: str
    log_prob: float
    probability: float


@dataclass(frozen=True)
class Filled:
    """A text with blanks, and what may stand in them, likeliest first.

    way      both sides, or whole sentences
    unknown  tokens of the text that the model does not know
    """

    text: str
    way: JudgedBy
    candidates: tuple[Filling, ...]
    unknown: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Stable keys."""
        return asdict(self)


@dataclass(frozen=True)
class Filler:
    """A run as far as blanks need it.

    judge    makes who says what may stand in the blanks of a sentence
    width    guesses that a search keeps
    longest  tokens of a blank of any length, at most
    single   the run learned blanks of one token alone, so that one of any length is one token
    """

    codec: Codec
    reader: Reader
    judge: Callable[[BlankedText], Judge]
    way: JudgedBy
    config: FillConfig
    width: int
    longest: int
    single: bool = False

    @classmethod
    def at(cls, path: Path, config: FillConfig, device: str = "cpu") -> "Filler":
        """The run at `path`, of either kind."""
        if is_cloze(path):
            run = load_cloze(path, device)
            learned, width = int(run.config.family.longest_blank), max(WIDTH, 4 * config.top)
            if learned == 1 and (config.longest or 1) > 1:
                raise ConfigError(
                    f"--longest {config.longest}: {path} learned blanks of one token alone (--longest-blank 1)",
                    hint="leave it out, or take a run that learned longer ones",
                )
            longest = config.longest or learned
            return cls(
                run.codec,
                run.reader,
                lambda s: BothSides(run.model, s),
                "both sides",
                config,
                width,
                longest,
                learned == 1,
            )
        causal = load(path, device)
        every = len(causal.codec.vocab)
        width = max(config.top, min(config.candidates or every, every))
        longest = config.longest or LONGEST
        return cls(
            causal.codec,
            causal.reader,
            lambda s: WholeSentences(causal.model, s),
            "whole sentences",
            config,
            width,
            longest,
        )

    def fill(self, text: str) -> Filled:
        """What may stand in the blanks of one text.

        Raises ConfigError or TextError where it has none, is too long, or the candidates do not fit.
        """
        sentence = blanked(text, self.codec, self.reader)
        among = candidates_of(self.config.chosen, sentence, self.codec)
        if self.single:
            sentence = single_token(sentence, among)
        width = self.width
        if among:
            width = len(among) ** len(sentence.blanks)
            if width > MOST_WAYS:
                raise ConfigError(
                    f"{len(among)} candidates in {len(sentence.blanks)} blanks are {width:,} ways, too many to try",
                    hint=f"at most {MOST_WAYS:,}; name fewer candidates, or cut the text",
                )
        found = search(
            self.judge(sentence),
            sentence,
            width=width,
            longest=self.longest,
            silent=list(self.codec.vocab.control_ids),
            among=among,
        )
        if among and self.way == "both sides":
            found, shares = per_step(found)
        else:
            log_probs = torch.tensor([guess.log_prob for guess in found], dtype=torch.float64)
            tried = bool(among) or self.way == "whole sentences"
            shares = (torch.softmax(log_probs, 0) if tried else log_probs.exp()).tolist()
        told = []
        for guess, share in zip(found[: self.config.top], shares, strict=False):
            fills = sentence.spelled(guess.fills, self.codec)
            told.append(Filling(fills, sentence.filled(fills), guess.log_prob, share))
        return Filled(sentence.text, self.way, tuple(told), sentence.unknown)


def single_token(sentence: BlankedText, among: Sequence[Sequence[int]]) -> BlankedText:
    """The text as a run reads it that learned one missing token at a time; raises ConfigError for more."""
    learned = "the run learned one missing token at a time (--longest-blank 1)"
    other = "or take a run that learned longer blanks"
    if (missing := sum(length or 1 for length in sentence.blanks)) > 1:
        raise ConfigError(
            f"{missing} tokens are missing in {sentence.text!r}, and {learned}",
            hint=f"leave one blank in a text, {other}",
        )
    if longer := [ids for ids in among if len(ids) > 1]:
        raise ConfigError(
            f"a candidate has {len(longer[0])} tokens, and {learned}", hint=f"name candidates of one token, {other}"
        )
    return sentence.of_single_tokens()


def per_step(guesses: Sequence[Guess]) -> tuple[list[Guess], list[float]]:
    """Guesses in the order of their mean log-probability per step, and their shares.

    A step is a token, or the end of a blank. A product of fewer probabilities is larger, and would choose the shortest;
    so candidates are compared as if all had the mean number of steps. Where all have the same, that changes nothing.
    """
    steps = torch.tensor([sum(len(fill) + 1 for fill in guess.fills) for guess in guesses], dtype=torch.float64)
    log_probs = torch.tensor([guess.log_prob for guess in guesses], dtype=torch.float64)
    merits = log_probs / steps * steps.mean() if guesses else log_probs
    order = merits.argsort(descending=True, stable=True)
    return [guesses[place] for place in order.tolist()], torch.softmax(merits, 0)[order].tolist()


@dataclass(frozen=True)
class Tested:
    """How often a run found the token that was taken out.

    way  both sides, before, behind, or whole sentences
    """

    run: str
    way: str
    accuracy: Accuracy

    def to_json(self) -> dict[str, Any]:
        """Stable keys: the counts, which add, and their shares."""
        shares = {"top1": self.accuracy.top1, "top5": self.accuracy.top5}
        return {"run": self.run, "way": self.way, **shares, **asdict(self.accuracy)}


@dataclass(frozen=True)
class _Subject:
    """A run that is tested: how it cuts its text, and the ways in which it is asked."""

    path: Path
    codec: Codec
    text: TextConfig
    ways: tuple[tuple[str, Callable[[Codec, Sequence[HeldOut]], Accuracy]], ...]

    @classmethod
    def at(cls, path: Path, whole: int | None, device: str) -> "_Subject":
        if is_cloze(path):
            cloze = load_cloze(path, device)
            both = partial(measuring.accuracy_of_sides, cloze.model)
            return cls(path, cloze.codec, cloze.config.text, (("both sides", both),))
        run = load(path, device)
        side = "behind" if getattr(run.codec, "reverse", False) else "before"
        ways = [(side, partial(measuring.accuracy_of_next, run.model))]
        if whole is not None:
            tried = whole or len(run.codec.vocab)
            ways.append(("whole sentences", partial(measuring.accuracy_of_whole, run.model, candidates=tried)))
        return cls(path, run.codec, run.config.text, tuple(ways))


def accuracies(
    paths: Sequence[Path],
    sources: Sequence[str],
    config: TextConfig,
    *,
    count: int,
    seed: int,
    whole: int | None = None,
    device: str = "cpu",
    note: Note = nobody,
) -> Iterator[Tested]:
    """The accuracy of some runs on the same held-out blanks of one token.

    config  the encoding and the field of the text
    whole   score so many whole sentences for each blank as well, with those runs that are language models; 0: all
    Told are vocabularies that differ, where a larger one has more to choose from.
    Raises ConfigError where a run cuts a text into other tokens than the first.
    """
    blanks: list[HeldOut] = []
    first: _Subject | None = None
    for path in paths:
        subject = _Subject.at(path, whole, device)
        codec = subject.codec
        if first is None:
            first, mine = subject, subject.text
            read = replace(config, reading=mine.reading, level=mine.level, simplify=mine.simplify)
            shown = ", ".join(sources)
            documents = files.some(files.documents(sources, read, note=note), shown)
            blanks = measuring.held_out((document.removesuffix("\n") for document in documents), codec, count, seed)
            if len(blanks) < count:
                note(f"{shown} has {len(blanks):,} tokens that can be taken out, not {count:,}")
        if (codec.level, codec.reading, codec.tokenizer.spec()) != (
            first.codec.level,
            first.codec.reading,
            first.codec.tokenizer.spec(),
        ):
            raise ConfigError(
                f"{path} cuts a text into other tokens than {first.path}, so their blanks are not the same",
                hint="compare runs of one --level and --reading",
            )
        if codec.vocab != first.codec.vocab:
            sizes = f"{len(codec.vocab):,} and {len(first.codec.vocab):,} tokens"
            note(
                f"{path} and {first.path} have different vocabularies ({sizes}): each chooses among its own, "
                f"blanks are tokens that {first.path} knows, and one that {path} does not know it cannot find"
            )
        for way, ask in subject.ways:
            yield Tested(str(path), way, ask(codec, blanks))
