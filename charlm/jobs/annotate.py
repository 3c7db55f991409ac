"""Poems to what is read before each of them in training: `charlm train --control`."""

import array
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.composing.annotating import Annotator
from charlm.composing.telling import NAMED, names_of
from charlm.composing.themes import CLOSES, OPENS, of_verse, tellable
from charlm.config.training import TrainingConfig
from charlm.models.base import LanguageModel
from charlm.poems.form import known_as
from charlm.poems.parsing import tune_of
from charlm.scoring import log_probs_of_lines
from charlm.text.codec import Codec
from charlm.text.corpus import Corpus
from charlm.text.decoding import Note
from charlm.text.prefixes import LOOKED_AT, Prefixes
from charlm.text.vocab import EOS

FEWEST = 10  # poems of a form, tune or rhyme, below which it is not told
TUNE_FIELDS = ("alias", "rhythmic", "title")  # where collections name the tune of a poem
MEASURED_AT_ONCE = 4096  # documents
MOST_SHOWN = 6  # names in a note


@dataclass(frozen=True)
class Annotated:
    """What is known of the poems of a text.

    kinds  of control tokens that have a name, some of NAMED
    names  the tokens that occur; the first one is empty, and stands for nothing
    codes  (documents, kinds)  which of them each poem has
    """

    kinds: tuple[str, ...]
    names: tuple[str, ...]
    codes: npt.NDArray[np.int32]

    @property
    def counts(self) -> Counter[str]:
        """How many poems have each token."""
        numbers = np.bincount(self.codes.ravel(), minlength=len(self.names)).tolist()
        return Counter({name: number for name, number in zip(self.names, numbers, strict=True) if name})

    @property
    def key(self) -> str:
        """A hash of everything that is told."""
        digest = hashlib.sha256("\0".join((*self.kinds, *self.names)).encode())
        digest.update(self.codes.tobytes())
        return digest.hexdigest()

    def told(self, corpus: Corpus, codec: Codec, training: TrainingConfig) -> Corpus:
        """The corpus of these poems with what is read before each of them; names that a codec lacks are nothing."""
        vocab, known = codec.vocab, set(codec.vocab.control_names)
        ids = np.array([vocab.control(name) if name in known else EOS for name in self.names], np.int32)
        theme = (vocab.control(OPENS), vocab.control(CLOSES)) if "theme" in training.controls else None
        words, verse = tellable(vocab.tokens), of_verse(vocab.tokens)
        return replace(corpus, prefixes=Prefixes(ids[self.codes], theme, words, verse, training.control_dropout))


def annotate(documents: Iterable[tuple[str, Any]], kinds: Sequence[str]) -> Annotated:
    """Look at poems, each with the JSON object that it stands in, None where there is none."""
    annotator, named = Annotator(), tuple(kind for kind in NAMED if kind in kinds)
    numbers, codes, count = {"": 0}, array.array("i"), 0
    for text, record in documents:
        found = annotator.annotate(text, tune_in(record))
        codes.extend(numbers.setdefault(name, len(numbers)) for name in names_of(found, named))
        count += 1
    table = np.frombuffer(codes, np.int32).reshape(count, len(named)) if codes else np.zeros((count, len(named)))
    return Annotated(named, tuple(numbers), table.astype(np.int32))


def tune_in(record: Any) -> str:
    """The name of the tune that a JSON object gives its poem; empty where it gives none.

    The field `rhythmic` names a tune, whether we know it or not; a title is one only where it begins with ours.
    """
    if not isinstance(record, Mapping):
        return ""
    given = {key: tune_of(record[key]) for key in TUNE_FIELDS if isinstance(record.get(key), str)}
    known = next((name for name in given.values() if name and known_as(name) is not None), "")
    return known or given.get("rhythmic", "")


def controlled(codec: Codec, annotated: Annotated, kinds: Sequence[str], note: Note) -> Codec:
    """A codec that has the control tokens of a text, as far as they are frequent enough; tells what is and is not."""
    counts, order = annotated.counts, {kind: number for number, kind in enumerate(NAMED)}
    often = [name for name, number in counts.items() if number >= FEWEST]
    often.sort(key=lambda name: (order[name[1:].split(":")[0]], -counts[name], name))
    wanted = [*often, *((OPENS, CLOSES) if "theme" in kinds else ())]
    rare = sorted(name for name, number in counts.items() if number < FEWEST)
    documents = max(1, len(annotated.codes))
    shares = [
        f"{kind} of {np.count_nonzero(column) / documents:.0%}"
        for kind, column in zip(annotated.kinds, annotated.codes.T, strict=True)
    ]
    if shares:
        unknown = int((annotated.codes == 0).all(1).sum())
        without = f"; nothing of this is known of {unknown:,}" if unknown else ""
        note(f"control tokens: {len(wanted):,}; of {documents:,} poems are told: {', '.join(shares)}{without}")
    if rare:
        shown = " ".join(rare[:MOST_SHOWN]) + (" …" if len(rare) > MOST_SHOWN else "")
        note(f"not told, since fewer than {FEWEST} poems have them: {len(rare):,} names, {shown}")
    known = set(codec.vocab.control_names)
    return codec.with_controls(name for name in wanted if name not in known)


def told_nats(model: LanguageModel, corpus: Corpus) -> dict[str, float]:
    """Nats of a text of which everything known is told, without its theme and, where themes are told, with it.

    A theme is made of characters of the poem itself, so the figure with it is no measure of prediction.
    """
    assert corpus.prefixes is not None
    whole = replace(corpus.prefixes, dropout=0.0)
    found = {"tokens": float(corpus.facts.tokens), "nats": _nats(model, corpus, replace(whole, theme=None))}
    if whole.theme is not None:
        found["nats_with_theme"] = _nats(model, corpus, whole)
    return found


def _nats(model: LanguageModel, corpus: Corpus, prefixes: Prefixes) -> float:
    nats = 0.0
    for first in range(0, len(corpus), MEASURED_AT_ONCE):
        some = range(first, min(first + MEASURED_AT_ONCE, len(corpus)))
        documents = [corpus.document(number) for number in some]
        heads = np.zeros((len(some), min(LOOKED_AT, max(map(len, documents)))), np.int64)
        for row, document in zip(heads, documents, strict=True):
            row[: len(document)] = document[: len(row)]
        before, sizes = prefixes.of(np.array(some), heads, 0, 0)
        read = [[*told[:size].tolist(), *document.tolist()]
                for told, size, document in zip(before, sizes, documents, strict=True)]  # fmt: skip
        for size, log_probs in zip(sizes, log_probs_of_lines(model, read), strict=True):
            nats -= float(log_probs[size:].sum())
    return nats
