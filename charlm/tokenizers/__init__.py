"""CHOICE: text to tokens and back.

Laws, tested over the table: `join(split(x)) == x` for every normalized text (for `spaced`, up to white
space), no empty tokens, and a tokenizer can be pickled.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from charlm.choices import Choices
from charlm.tokenizers.characters import Characters
from charlm.tokenizers.mixed import Mixed
from charlm.tokenizers.spaced import Spaced
from charlm.tokenizers.words import Words


class Tokenizer(Protocol):
    """Cuts a text into tokens and puts tokens together again."""

    def split(self, text: str) -> list[str]:
        """Cut a normalized text into tokens, none of them empty."""

    def join(self, tokens: Sequence[str]) -> str:
        """The text of some tokens."""

    def spec(self) -> dict[str, Any]:
        """What JSON needs to know: `TOKENIZERS[name](**spec)` is an equal tokenizer."""


TOKENIZERS: Choices[Callable[..., Tokenizer]] = Choices(
    "level", {"char": Characters, "word": Words, "spaced": Spaced, "mixed": Mixed}
)
