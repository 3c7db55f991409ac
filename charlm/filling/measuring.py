"""How often a model finds the very token that was taken out of a text: accuracy on held-out blanks.

A blank is one token of a text, drawn at random, all with the same chance. What a model ranks first is right or wrong,
and so is what it has among its first five. A model is asked in one way: from both sides; for the next token, with only
what stands before it, or what stands behind it if it reads backwards; or by whole sentences, one for each candidate.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import numpy as np
import torch

from charlm.filling.blanks import LONGEST_TEXT, BlankedText
from charlm.filling.likelihood import device_of_cloze
from charlm.filling.searching import search
from charlm.filling.whole import WholeSentences
from charlm.models.base import LanguageModel, device_of
from charlm.models.cloze import ALONE, ClozeModel
from charlm.scoring import BATCH_TOKENS
from charlm.shapes import LogProbs
from charlm.text.codec import Codec
from charlm.text.vocab import EOS, UNK

FIVE = 5


@dataclass(frozen=True)
class HeldOut:
    """A document, and the place of its token that is to be found."""

    document: str
    place: int


@dataclass(frozen=True)
class Accuracy:
    """How many blanks of how many were found, at once and among the first five. Accuracies add."""

    blanks: int = 0
    first: int = 0
    among_five: int = 0

    def __add__(self, other: "Accuracy") -> "Accuracy":
        return Accuracy(self.blanks + other.blanks, self.first + other.first, self.among_five + other.among_five)

    @property
    def top1(self) -> float:
        """Share found at once."""
        return self.first / self.blanks if self.blanks else float("nan")

    @property
    def top5(self) -> float:
        """Share found among the first five."""
        return self.among_five / self.blanks if self.blanks else float("nan")


def held_out(documents: Iterable[str], codec: Codec, count: int, seed: int) -> list[HeldOut]:
    """Blanks drawn from a text that flows by once (reservoir sampling: Vitter 1985), in the order of the text.

    Left out are tokens that the codec does not know, white space, and documents of more than LONGEST_TEXT tokens.
    """
    random = np.random.default_rng(seed)
    kept: list[tuple[int, HeldOut]] = []
    seen = 0
    for document in documents:
        tokens = codec.tokenizer.split(document)
        if len(tokens) > LONGEST_TEXT:
            continue
        for place, token in enumerate(tokens):
            if codec.vocab.ids.get(token, UNK) == UNK or token.isspace():
                continue
            where = seen if seen < count else int(random.integers(0, seen + 1))
            if where < count:
                kept[where : where + 1] = [(seen, HeldOut(document, place))]
            seen += 1
    return [blank for _, blank in sorted(kept, key=lambda each: each[0])]


@dataclass(frozen=True)
class _Asked:
    """A blank as one model reads it: the ids of its text, and where the one is that is asked for."""

    ids: tuple[int, ...]
    place: int

    @property
    def length(self) -> int:
        return len(self.ids)

    @property
    def target(self) -> int:
        return self.ids[self.place]


def _asked(blanks: Sequence[HeldOut], codec: Codec) -> Iterator[_Asked]:
    turned = bool(getattr(codec, "reverse", False))
    for blank in blanks:
        ids = codec.line(blank.document).ids
        tokens = len(ids) - (1 if codec.closing else len(codec.prompt("\n")[0]))
        yield _Asked(tuple(ids), tokens - 1 - blank.place if turned else blank.place)


def accuracy_of_sides(model: ClozeModel, codec: Codec, blanks: Sequence[HeldOut]) -> Accuracy:
    """Of a cloze model, from both sides."""

    @torch.no_grad()
    def said(some: list[_Asked]) -> LogProbs:
        ids = torch.tensor([asked.ids for asked in some], device=device_of_cloze(model))
        left, right = model.sides(ids, torch.full((len(some),), ids.shape[1], device=ids.device))
        rows = torch.arange(len(some), device=ids.device)
        places = torch.tensor([asked.place for asked in some], device=ids.device)
        return model.between(left[rows, places], right[rows, places + 1], torch.full_like(places, ALONE))

    return _accuracy(_asked(blanks, codec), codec, attrgetter("length"), said)


def accuracy_of_next(model: LanguageModel, codec: Codec, blanks: Sequence[HeldOut]) -> Accuracy:
    """Of a language model, from the side that it has read when it comes to the blank."""

    @torch.no_grad()
    def said(some: list[_Asked]) -> LogProbs:
        state = model.initial_state(len(some))
        read = [(EOS, *asked.ids[: asked.place]) for asked in some]
        ids = torch.tensor(read, device=device_of(state))
        if ids.shape[1] > 1:
            _, state = model.score(ids[:, :-1], ids[:, 1:], state)
        return model.step(ids[:, -1], state)[0]

    return _accuracy(_asked(blanks, codec), codec, attrgetter("place"), said)


def accuracy_of_whole(model: LanguageModel, codec: Codec, blanks: Sequence[HeldOut], candidates: int) -> Accuracy:
    """Of a language model that scores the whole sentence with each of the `candidates` likeliest tokens in it."""
    total = Accuracy()
    for asked in _asked(blanks, codec):
        pieces = asked.ids[: asked.place], asked.ids[asked.place + 1 :]
        sentence = BlankedText("", ("", ""), (1,), pieces, False, ())
        found = search(
            WholeSentences(model, sentence), sentence, width=candidates, longest=1, silent=list(codec.vocab.control_ids)
        )
        best = [guess.fills[0][0] for guess in found[:FIVE]]
        total += Accuracy(1, best[:1] == [asked.target], asked.target in best)
    return total


def _accuracy(
    blanks: Iterable[_Asked],
    codec: Codec,
    alike: Callable[[_Asked], int],
    said: Callable[[list[_Asked]], LogProbs],
) -> Accuracy:
    """Ask for many blanks at once, those of one size side by side."""
    total = Accuracy()
    for size, group in groupby(sorted(blanks, key=alike), key=alike):
        members = list(group)
        rows = max(1, BATCH_TOKENS // (size + 1))
        for start in range(0, len(members), rows):
            some = members[start : start + rows]
            log_probs = said(some).cpu().clone()  # a model may give one row for all
            log_probs[:, [EOS, UNK, *codec.vocab.control_ids]] = -torch.inf
            targets = torch.tensor([asked.target for asked in some])
            own = log_probs.gather(1, targets[:, None])
            # What is unknown to this model it cannot find.
            better = (log_probs > own).sum(1) + (targets == UNK) * log_probs.shape[1]
            total += Accuracy(len(some), int((better == 0).sum()), int((better < FIVE).sum()))
    return total
