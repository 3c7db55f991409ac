"""Text that is already cut by white space, as the Penn Treebank and many transcripts are."""

import re
from collections.abc import Sequence
from typing import Any

# A line end is a token of its own, for the stream reading; other white space only separates.
TOKEN = re.compile(r"\n|[^\s]+")


class Spaced:
    """What stands between white space is a token; comes back with single spaces."""

    def split(self, text: str) -> list[str]:
        return TOKEN.findall(text) if "\n" in text else text.split()

    def join(self, tokens: Sequence[str]) -> str:
        return " ".join(tokens).replace(" \n ", "\n").replace(" \n", "\n").replace("\n ", "\n")

    def spec(self) -> dict[str, Any]:
        return {}
