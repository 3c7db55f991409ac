"""One token per code point: letters for English, 字 for Chinese."""

from collections.abc import Sequence
from typing import Any


class Characters:
    """Every character is a token, white space too."""

    def split(self, text: str) -> list[str]:
        return list(text)

    def join(self, tokens: Sequence[str]) -> str:
        return "".join(tokens)

    def spec(self) -> dict[str, Any]:
        return {}
