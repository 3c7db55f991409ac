"""What a model is given of the candidates of lists, whose texts stay as they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from charlm.nbest import Utterance
from charlm.reranking.syllables import sound_scores
from charlm.text.decoding import Note, nobody
from charlm.text.mismatch import refuse_mismatch

if TYPE_CHECKING:
    from charlm.runs.viewing import Viewing


@dataclass(frozen=True)
class Treatment:
    """What a model, and who listens, is given of candidates, whose texts stay as they are.

    as_written     candidates are read as they stand, and not as the training text would have them
    numerals       numbers in digits are said in words, where the training text has no digits
    allow_unknown  lists are scored even if they are not written in the units of the model
    sound          candidates get the named scores of `reranking.syllables`
    note           is told once how lists are read
    """

    as_written: bool = False
    numerals: bool = False
    allow_unknown: bool = False
    sound: bool = False
    note: Note = nobody

    def of(self, run: "Viewing", texts: Sequence[Sequence[str]], *, is_first: bool) -> Sequence[Sequence[str]]:
        """What is scored of the texts of some lists.

        Raises ConfigError where the first ones are of other units than the model's.
        """
        lists = texts
        if not self.as_written:
            lists = [[run.habitual(text, numerals=self.numerals) for text in some] for some in texts]
        if is_first:
            if not self.allow_unknown:
                refuse_mismatch(run.codec, chain.from_iterable(lists), "--allow-unknown")
            told = [] if self.as_written else run.view.told(chain.from_iterable(texts))
            if self.numerals and run.says_numbers:
                told.insert(0, "numbers in words")
            if told:
                self.note(f"lists are read as the training text was: {', '.join(told)}; --as-written leaves that out")
        return lists

    @property
    def mark(self) -> str:
        """Tells scores apart that were found with other treatments."""
        return "".join(str(int(each)) for each in (self.as_written, self.numerals, self.allow_unknown))

    def heard(self, utterance: Utterance) -> Utterance:
        """The list, with scores of how its candidates sound if they are wanted."""
        if not self.sound:
            return utterance
        found = sound_scores([candidate.text for candidate in utterance.hypotheses])
        columns = [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]
        pairs = zip(utterance.hypotheses, columns, strict=True)
        return replace(utterance, hypotheses=tuple(replace(one, scores={**one.scores, **more}) for one, more in pairs))


AS_TRAINED = Treatment()
