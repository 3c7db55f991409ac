"""What correct poems may lack: do they repeat themselves, copy what they were trained on, say ever the same?"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from charlm.appraising.verses import Lines

Recall: TypeAlias = Callable[[Lines], float]  # how much of the theme that was asked for a poem has, from 0 to 1


class Known(Protocol):
    """The lines of a training text: `composing.novelty` has some."""

    def endings(self, beginning: str, codes: NDArray[np.uint32], tail: str) -> NDArray[np.bool_]:
        """Which of these characters make a line of the text with what stands about them."""

    def copied(self, lines: Sequence[str]) -> list[bool]:
        """Which lines have five characters in a row of the text."""


@dataclass(frozen=True)
class Quality:
    """Figures of a set of poems.

    repeating   share of poems in which a character comes back
    repeated    characters of a poem that stood in it before, on average
    distinct_1  different characters among all; `distinct_2` pairs of neighbours in a line; both fall with the
                number of poems, so they are of as many poems for every set that is compared
    quoted      share of lines that are lines of the training text; None where nobody knows them
    copied      share of lines with five characters in a row of it
    theme       mean recall of the theme; None where none was asked for
    """

    poems: int
    lines: int
    repeating: float
    repeated: float
    distinct_1: float
    distinct_2: float
    quoted: float | None
    copied: float | None
    theme: float | None


def quality(
    poems: Sequence[Lines], *, alike: int, known: Known | None = None, recall: Recall | None = None
) -> Quality | None:
    """The figures of some poems; None of none.

    alike  of so many poems, the first ones, distinct characters and pairs are counted
    """
    if not poems:
        return None
    again = [_again(poem) for poem in poems]
    lines = [line for poem in poems for line in poem]
    few = [line for poem in poems[:alike] for line in poem]
    return Quality(
        poems=len(poems),
        lines=len(lines),
        repeating=sum(map(bool, again)) / len(poems),
        repeated=sum(again) / len(poems),
        distinct_1=distinct(few, 1),
        distinct_2=distinct(few, 2),
        quoted=None if known is None or not lines else sum(quoted(known, line) for line in lines) / len(lines),
        copied=None if known is None or not lines else sum(known.copied(lines)) / len(lines),
        theme=None if recall is None else sum(map(recall, poems)) / len(poems),
    )


def _again(poem: Lines) -> int:
    return sum(times - 1 for times in Counter("".join(poem)).values())


def quoted(known: Known, line: str) -> bool:
    """Whether a line is one of the training text."""
    return bool(known.endings(line[:-1], np.array([ord(line[-1])], np.uint32), "")[0]) if line else False


def distinct(lines: Iterable[str], size: int) -> float:
    """Different runs of `size` characters within lines, as a share of all (Li et al. 2016)."""
    grams = Counter(line[at : at + size] for line in lines for at in range(len(line) - size + 1))
    return len(grams) / max(1, grams.total())
