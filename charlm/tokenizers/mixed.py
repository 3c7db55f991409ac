"""Han by character, everything else by word: the right unit for Chinese with English inside."""

import re
from collections.abc import Sequence
from typing import Any

# The CJK blocks of Unicode: extension A, unified, compatibility, then the supplementary planes 2 and 3; and 〇.
HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Words, then any single other character: white space and punctuation are kept, so that the text comes back.
NOT_HAN = rf"[^\W{HAN}]+(?:['’][^\W{HAN}]+)*|[^\w]|_"
TOKEN = re.compile(rf"[{HAN}]|{NOT_HAN}|.", re.DOTALL)


class Mixed:
    """Every Han character, every word of other scripts, every space and mark is a token."""

    def split(self, text: str) -> list[str]:
        return TOKEN.findall(text)

    def join(self, tokens: Sequence[str]) -> str:
        return "".join(tokens)

    def spec(self) -> dict[str, Any]:
        return {}
