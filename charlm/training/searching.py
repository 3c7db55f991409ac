"""The lowest place of a function of one number, where it first falls and then rises (golden section: Kiefer 1953)."""

import math
from collections.abc import Callable

GOLDEN = (math.sqrt(5) - 1) / 2


def lowest(function: Callable[[float], float], low: float, high: float, *, within: float) -> tuple[float, float]:
    """Where `function` is lowest between two positive numbers, up to a factor of 1 + `within`, and its value there.

    The search goes by ratios. What is infinite counts as too far up; of equal places the lower one. It asks for the
    function once at each place, about 5 log10(log(high / low) / within) + 2 times, and returns a place it asked for.

    >>> place, value = lowest(lambda x: (x - 2) ** 2, 0.1, 10, within=0.001)
    >>> round(place, 2), round(value, 4)
    (2.0, 0.0)
    """
    if not 0 < low < high < math.inf:
        raise ValueError(f"no room between {low} and {high}")
    found: dict[float, float] = {}

    def at(place: float) -> float:
        value = function(math.exp(place))
        found[place] = value if not math.isnan(value) else math.inf
        return found[place]

    first, last = math.log(low), math.log(high)
    left, right = last - GOLDEN * (last - first), first + GOLDEN * (last - first)
    of_left, of_right = at(left), at(right)
    while last - first > math.log1p(within):
        if of_left <= of_right:
            last, right, of_right = right, left, of_left
            left = last - GOLDEN * (last - first)
            of_left = at(left)
        else:
            first, left, of_left = left, right, of_right
            right = first + GOLDEN * (last - first)
            of_right = at(right)
    place = min(found, key=lambda each: (found[each], each))
    return math.exp(place), found[place]


def descent(
    function: Callable[[tuple[float, ...]], float],
    start: tuple[float, ...],
    factors: tuple[float, ...],
    *,
    gain: float = 0.0,
    rounds: int = 12,
) -> tuple[tuple[float, ...], float]:
    """A place whose neighbours are hardly lower, and the value there: compass search (Hooke & Jeeves 1961), by ratios.

    From each place the ones are tried at which one number is larger or smaller by its factor; the first that is lower
    is the next place, and the same direction is tried there first. What has the factor 1 stays.

    gain    by how much the next place must be lower: a function that levels out would be followed for all rounds
    rounds  places that are left at most
    """
    found: dict[tuple[int, ...], float] = {}

    def at(steps: tuple[int, ...]) -> float:
        if steps not in found:
            value = function(place_of(steps))
            found[steps] = value if not math.isnan(value) else math.inf
        return found[steps]

    def place_of(steps: tuple[int, ...]) -> tuple[float, ...]:
        return tuple(begin * factor**step for begin, factor, step in zip(start, factors, steps, strict=True))

    moves = [(index, way) for index, factor in enumerate(factors) if factor != 1 for way in (1, -1)]
    here = (0,) * len(start)
    best = at(here)
    for _ in range(rounds):
        for index, way in moves:
            there = tuple(step + way * (number == index) for number, step in enumerate(here))
            if at(there) < best - gain:
                here, best = there, at(there)
                moves = [(index, way), *(move for move in moves if move != (index, way))]
                break
        else:
            break
    return place_of(here), best
