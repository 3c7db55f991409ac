"""How a run of any kind reads a text that is not its own: as its training text was read, and written."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.runs.layout import RunConfig
from charlm.text.codec import Codec
from charlm.text.habits import Habits, View
from charlm.text.numerals import spelled
from charlm.text.reader import Reader, one_line


class Viewing:
    """A part of every run: what is read of a text. It asks for the run's codec, config and facts."""

    codec: Codec
    config: RunConfig
    facts: dict[str, Any]

    @property
    def carried(self) -> bool:
        """Whether the text is one, whose state goes on from line to line, and not lines."""
        return self.config.text.carries

    @cached_property
    def reader(self) -> Reader:
        """How any text becomes what the model reads: as the training text did."""
        return Reader.of(self.config.text)

    @cached_property
    def view(self) -> View:
        """How other texts are turned into what the training text would have written.

        A run that does not say how its text was written is judged by its vocabulary.
        """
        known = self.facts.get("habits")
        vocab = self.codec.vocab
        return View(Habits(Counter(known)) if known else Habits.of_vocab(vocab.tokens, vocab.counts))

    @cached_property
    def _frequencies(self) -> npt.NDArray[np.float64]:
        """Nats of each token by its share of the training text, one added to every count."""
        counts = np.array(self.codec.vocab.counts, dtype=np.float64) + 1
        shares: npt.NDArray[np.float64] = np.log(counts / counts.sum())
        return shares

    def unigram(self, ids: Sequence[int]) -> float:
        """Log-probability of a text (nats) by how frequent its tokens are in the training text, and nothing else.

        A model's log-probability without so much of it is what the order of the tokens is worth, rare or common as
        they may be (SLOR: Pauls & Klein 2012; Kann et al. 2018). An unknown token is as frequent as all of them
        together, and nothing is charged for what it hides: what is taken away must not pay that back.
        """
        return float(self._frequencies[list(ids)].sum())

    @property
    def says_numbers(self) -> bool:
        """Whether its training text has no digits, so that numbers stand in it as they are said, if at all."""
        return not self.view.habits.counts["digits"]

    def habitual(self, text: str, *, numerals: bool = False) -> str:
        """What is read of a text that a machine wrote: case, widths, marks and spaces of the training text.

        numerals  numbers in digits are said in the words of Mandarin, where the training text has no digits
        """
        line = self.reader.line(one_line(text))
        if numerals and self.says_numbers:
            line = spelled(line)
        # Spaces first, since marks are turned where they stand beside Han characters; then those beside turned marks.
        return self.codec.habitual(self.view(self.codec.habitual(line)))
