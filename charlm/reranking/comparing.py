"""Two texts side by side: unit by unit, and by how surprised models are at each token."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from charlm.reranking.error_rates import Metric, units

NOTICED = 0.5  # nats by which a model must prefer one side to be said to prefer it

Reading = Sequence[tuple[str, float]]  # tokens of a text, and the nats that each costs


@dataclass(frozen=True)
class Pair:
    """A unit or token of one text and what stands for it in another; "" where nothing does.

    kind  "" where both are the same, else S, D (only in the first) or I (only in the second)
    """

    kind: str
    one: str
    other: str


def aligned(one: Sequence[str], other: Sequence[str]) -> list[Pair]:
    """A cheapest alignment of two texts in units.

    >>> [(pair.kind, pair.one, pair.other) for pair in aligned("做作业", "做业")]
    [('', '做', '做'), ('D', '作', ''), ('', '业', '业')]
    """
    return [pair for _, _, pair in _steps(one, other)]


_KINDS = {"equal": "", "replace": "S", "delete": "D", "insert": "I"}


def _steps(one: Sequence[str], other: Sequence[str]) -> Iterator[tuple[int | None, int | None, Pair]]:
    from rapidfuzz.distance import Levenshtein

    for step in Levenshtein.opcodes(list(one), list(other)):
        left, right = range(step.src_start, step.src_end), range(step.dest_start, step.dest_end)
        for place in range(max(len(left), len(right))):
            first = left[place] if place < len(left) else None
            second = right[place] if place < len(right) else None
            said = one[first] if first is not None else ""
            heard = other[second] if second is not None else ""
            yield first, second, Pair(_KINDS[step.tag], said, heard)


def aligned_texts(reference: str, text: str, metric: Metric) -> list[Pair]:
    """What was said and what was heard, unit by unit."""
    return aligned(units(reference, metric), units(text, metric))


@dataclass(frozen=True)
class Row:
    """A place where two texts are read side by side: tokens, and what each costs each model; None where it is not."""

    pair: Pair
    one: tuple[float | None, ...]
    other: tuple[float | None, ...]


def side_by_side(ones: Mapping[str, Reading], others: Mapping[str, Reading]) -> Iterator[tuple[list[str], list[Row]]]:
    """Rows for the models that have the same tokens, group after group: the names of the models, and their rows.

    ones, others  name of a model -> its reading of the one text, and of the other
    """
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for name in ones:
        tokens = tuple(token for token, _ in ones[name]), tuple(token for token, _ in others[name])
        groups.setdefault(tokens, []).append(name)
    for (left, right), names in groups.items():
        rows = []
        for first, second, pair in _steps(left, right):
            costs = tuple(None if first is None else ones[name][first][1] for name in names)
            against = tuple(None if second is None else others[name][second][1] for name in names)
            rows.append(Row(pair, costs, against))
        yield names, rows


def where_they_differ(ones: Mapping[str, Reading], others: Mapping[str, Reading]) -> str | None:
    """The first place where models prefer different texts, in words; of one model where it prefers one at all.

    What a stretch costs is added up from where the texts part to the token after it, where it is still felt.
    """
    for names, rows in side_by_side(ones, others):
        for place, stretch in _stretches(rows):
            left = "".join(row.pair.one for row in stretch) or "nothing"
            right = "".join(row.pair.other for row in stretch) or "nothing"
            gains = {
                name: sum(row.one[number] or 0.0 for row in stretch) - sum(row.other[number] or 0.0 for row in stretch)
                for number, name in enumerate(names)
            }
            signs = {gain > 0 for gain in gains.values() if abs(gain) > NOTICED}
            if len(signs) == (1 if len(names) == 1 else 2):
                told = "; ".join(
                    f"{name} prefers {right if gain > 0 else left} by {abs(gain):.1f} nats"
                    for name, gain in gains.items()
                )
                return f"token {place + 1}, {left} or {right}: {told}"
    return None


def _stretches(rows: Sequence[Row]) -> Iterator[tuple[int, list[Row]]]:
    """Parts in which two texts differ, with the token after each, where the difference is still felt."""
    place = 0
    while place < len(rows):
        if not rows[place].pair.kind:
            place += 1
            continue
        end = place
        while end < len(rows) and (rows[end].pair.kind or (end + 1 < len(rows) and rows[end + 1].pair.kind)):
            end += 1
        yield place, list(rows[place : end + 1])
        place = end + 1
