"""Themes: what a poem shall be about, as characters, and how much of it a poem says."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from charlm.composing.inventory import is_han
from charlm.errors import ConfigError

OPENS, CLOSES = "<theme>", "</theme>"  # the control tokens around a theme
LONGEST = 4  # characters: what training reads at most
GAPS = re.compile(r"[\s,，、;；]+")  # between words of a theme
# Words that hold others together (虚词), and are what no poem is about.
EMPTY = frozenset(
    "之乎者也矣焉哉而于以与则且亦又已未不无莫勿弗非可应须当能得欲将所其此彼是斯何谁那安岂孰奚曷相自从由为被把将使令教向在"
    "若如似犹尚更还却只但惟唯独皆都俱尽总每各即便方始乃既曾正因虽然纵况休罢吗呢吧了着过么"
)


def characters_of(theme: str) -> str:
    """The characters of a theme, such as 思乡, or 秋 月; raises ConfigError for what can be none."""
    found = GAPS.sub("", theme)
    if odd := next((character for character in found if not is_han(character)), None):
        raise ConfigError(f"--theme {theme}: {odd!r} is no Chinese character", hint="give a word or two: 秋, 思乡")
    if not found:
        raise ConfigError("--theme is empty", hint="give a word or two: 秋, 思乡")
    if len(found) > LONGEST:
        raise ConfigError(
            f"--theme {theme} has {len(found)} characters; at most {LONGEST} are told", hint="a word or two will do"
        )
    return found


def recall(poem: str, theme: str) -> float:
    """How much of a theme a poem says: the share of its different characters."""
    wanted = set(GAPS.sub("", theme))
    return len(wanted & set(poem)) / len(wanted) if wanted else 1.0


def tellable(tokens: Sequence[str]) -> NDArray[np.bool_]:
    """(V,): the tokens that training may take from a poem as its theme: characters, but for empty words."""
    return np.array([is_han(token) and token not in EMPTY for token in tokens], np.bool_)


def of_verse(tokens: Sequence[str]) -> NDArray[np.bool_]:
    """(V,): the tokens that are characters."""
    return np.array([is_han(token) for token in tokens], np.bool_)
