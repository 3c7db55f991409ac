"""Which line of a poem stands for which line of a form, however the poem is punctuated; what is missing or too much.

The cheapest way is found by dynamic programming over the lines of both (edit distance), in which a few lines may stand
for a few others of the same length together: editors part eleven characters as 6 and 5 or as 4 and 7.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from charlm.config.poems import Strictness
from charlm.poems.form import Line, Variant
from charlm.poems.judgement import Gathered
from charlm.poems.parsing import Poem

MISSING = 1.5  # the cost of a line that is missing or too much
OTHER_LENGTH, EACH_CHARACTER = 1.0, 0.1  # of a line of another length
OTHER_BREAK = 0.05  # of a break that stands elsewhere
LOST_RHYME = 1.0  # of a rhyme inside a line
FITTING = 1.0  # a shape that costs less is that of the form
MOST_TOGETHER = 3  # lines that stand for others together
LONGEST_SHOWN = 16  # characters of a line in a sentence about it
MOST_CLAUSES = 200  # of what may be a poem at all


@dataclass(frozen=True)
class Beside:
    """A line of the form, None for what it does not have, and the characters that stand for it."""

    line: Line | None
    text: str

    @property
    def comparable(self) -> bool:
        """Whether each character has a slot."""
        return self.line is not None and len(self.text) == len(self.line)


def align(poem: Poem, variant: Variant, strictness: Strictness) -> tuple[list[Beside], Gathered]:
    """The lines of a poem beside those of a variant, and what is wrong with its structure."""
    found = Gathered()
    lines, text = variant.lines, poem.text
    if not poem.marked and len(text) == sum(variant.lengths):
        return [Beside(line, part) for line, part in zip(lines, _cut(text, variant.lengths), strict=True)], found
    if poem.lengths == variant.lengths:
        return [Beside(line, clause.text) for line, clause in zip(lines, poem.clauses, strict=True)], found
    rows: list[Beside] = []
    for ours, theirs in _steps(lines, poem.lengths[:MOST_CLAUSES]):
        wanted = [lines[number] for number in ours]
        given = "".join(poem.clauses[number].text for number in theirs)
        number = len(rows) + 1
        if not wanted:
            rows.append(Beside(None, given))
            found.fault("多句", "structure", number, 0, f"{_shown(given)} is a line more than the form has")
        elif not theirs:
            rows.append(Beside(wanted[0], ""))
            found.fault("缺句", "structure", number, 0, f"a line of {len(wanted[0])} characters is missing")
        elif len(given) != sum(map(len, wanted)):
            rows.append(Beside(wanted[0], given))
            said = f"{_shown(given)} has {len(given)} characters; {len(wanted[0])} are wanted"
            found.fault("字数", "structure", number, 0, said)
        else:
            cuts = _cut(given, [len(line) for line in wanted])
            rows += [Beside(line, part) for line, part in zip(wanted, cuts, strict=True)]
            _tell_breaks(number, wanted, [poem.clauses[one].text for one in theirs], strictness, found)
    if len(poem.clauses) > MOST_CLAUSES:
        found.fault("多句", "structure", len(rows), 0, f"{len(poem.clauses)} lines; the form has {len(lines)}")
    return rows, found


def _shown(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def _cut(text: str, lengths: Sequence[int]) -> list[str]:
    cuts, start = [], 0
    for length in lengths:
        cuts.append(text[start : start + length])
        start += length
    return cuts


def _tell_breaks(first: int, wanted: list[Line], given: list[str], strictness: Strictness, found: Gathered) -> None:
    """Name the breaks that stand elsewhere than in the form."""
    theirs, ours = _ends([len(part) for part in given]), _ends([len(line) for line in wanted])
    pauses = {start + pause for start, line in zip([0, *ours], wanted, strict=False) for pause in line.pauses}
    for number, end in enumerate(ours[:-1]):
        if end not in theirs:
            line = first + number
            said = f"the line should end after {''.join(given)[end - 1]}, where no mark stands"
            if wanted[number].rhyme or strictness == "strict":
                found.fault("断句", "structure", line, len(wanted[number]), said)
            else:
                found.remark("断句", "structure", line, len(wanted[number]), said)
    extra = [end for end in theirs if end not in ours and end not in pauses]
    if extra and strictness == "strict":
        said = f"a mark stands after {''.join(given)[extra[0] - 1]}, inside a line of the form"
        found.fault("断句", "structure", first, extra[0], said)


def _ends(lengths: Sequence[int]) -> list[int]:
    return [sum(lengths[: number + 1]) for number in range(len(lengths))]


def has_shape(variant: Variant, lengths: Sequence[int]) -> bool:
    """Whether lines of these lengths fit a variant; never with more or fewer characters, which cost more in any way."""
    return sum(lengths[:MOST_CLAUSES]) == sum(variant.lengths) and shape_cost(variant, lengths, FITTING) < FITTING


def shape_cost(variant: Variant, lengths: Sequence[int], most: float = math.inf) -> float:
    """How far lines of these lengths are from a variant; below FITTING they fit it.

    most  a cost above which it does not matter how much it is; it may then be told as infinite
    """
    if len(lengths) == 1 and lengths[0] == sum(variant.lengths):
        return OTHER_BREAK
    if tuple(lengths) == variant.lengths:
        return 0.0
    return _costs(variant.lines, lengths[:MOST_CLAUSES], most)[0][-1][-1]


Moves = list[list[tuple[int, int]]]


def _costs(lines: Sequence[Line], lengths: Sequence[int], most: float = math.inf) -> tuple[list[list[float]], Moves]:
    """The cost of every beginning of both, and the last step to it: lines of the form, lines of the poem.

    Where every way has come to cost more than `most`, the rest is left infinite.
    """
    height, width = len(lines), len(lengths)
    cost = [[math.inf] * (width + 1) for _ in range(height + 1)]
    move: Moves = [[(0, 0)] * (width + 1) for _ in range(height + 1)]
    cost[0][0] = 0.0
    ours, theirs = [0, *_ends([len(line) for line in lines])], [0, *_ends(lengths)]
    for i in range(height + 1):
        # A step leads over MOST_TOGETHER rows at most, and no step makes a way cheaper.
        if i and min(map(min, cost[max(0, i - MOST_TOGETHER) : i])) > most:
            break
        for j in range(width + 1):
            least, how = cost[i][j], (0, 0)
            if i and cost[i - 1][j] + MISSING < least:
                least, how = cost[i - 1][j] + MISSING, (1, 0)
            if j and cost[i][j - 1] + MISSING < least:
                least, how = cost[i][j - 1] + MISSING, (0, 1)
            for up in range(1, min(MOST_TOGETHER, i) + 1):
                for back in range(1, min(MOST_TOGETHER, j) + 1):
                    before = cost[i - up][j - back]
                    if before >= least or before > most:
                        continue
                    off = abs((ours[i] - ours[i - up]) - (theirs[j] - theirs[j - back]))
                    if off and (up, back) != (1, 1):
                        continue
                    step = OTHER_LENGTH + EACH_CHARACTER * off if off else OTHER_BREAK * (up + back - 2)
                    for inner in range(i - up, i - 1):
                        at = ours[inner + 1] - ours[i - up] + theirs[j - back]
                        step += LOST_RHYME if lines[inner].rhyme and at not in theirs else 0.0
                    if before + step < least:
                        least, how = before + step, (up, back)
            cost[i][j], move[i][j] = least, how
    return cost, move


@functools.lru_cache(maxsize=1024)
def _steps(lines: tuple[Line, ...], lengths: tuple[int, ...]) -> list[tuple[range, range]]:
    """The cheapest way: which lines of the form and which of the poem stand for each other, step by step."""
    _, move = _costs(lines, lengths)
    i, j, steps = len(lines), len(lengths), []
    while i or j:
        up, back = move[i][j]
        steps.append((range(i - up, i), range(j - back, j)))
        i, j = i - up, j - back
    return steps[::-1]
