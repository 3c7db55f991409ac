"""SMOOTHERS: how much of what was seen is kept, and how much is left for what was not.

Every smoother here gives a context h one distribution of the same form,

    P(w | h) = max(c(hw) - D(c(hw)), 0) / (T(h) + A(h))  +  γ(h) P(w | h')
    γ(h)     = (Σ_w D(c(hw)) + A(h)) / (T(h) + A(h))

with T(h) = Σ_w c(hw), h' the context without its first token, D a discount that depends on the count, and A(h)
something added. A smoother chooses D and A from counts of counts: n1 n-grams were seen once, n2 twice, and so on.
Chen & Goodman (1998) compare them all.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from charlm.choices import Choices


class CountsOfCounts(NamedTuple):
    """How many n-grams of one order were seen once, twice, three times, four times."""

    n1: int
    n2: int
    n3: int
    n4: int


@dataclass(frozen=True)
class Rule:
    """The discounts of an order, and what is added to its contexts.

    discounts  taken off counts of 1, 2, and 3 or more
    per_type   added to T(h) for each different token that followed h
    flat       added to T(h) for each token of the vocabulary
    """

    discounts: tuple[float, float, float] = (0.0, 0.0, 0.0)
    per_type: float = 0.0
    flat: float = 0.0


class Unfit(Exception):
    """These counts of counts do not allow the discounts; says which one is to blame."""


@dataclass(frozen=True)
class Smoother:
    """One way of smoothing.

    rule          (counts of counts, k) -> Rule; raises Unfit
    continuation  lower orders count the different tokens that stood before, not occurrences (Kneser & Ney 1995)
    uniform       what is left is spread evenly, not by the shorter context
    otherwise     what to use where `rule` does not fit
    """

    rule: Callable[[CountsOfCounts, float], Rule]
    continuation: bool = False
    uniform: bool = False
    otherwise: str | None = None


def _maximum_likelihood(_: CountsOfCounts, _k: float) -> Rule:
    """D = 0, A = 0: P(w | h) = c(hw) / T(h), the count ratio. What was not seen is impossible."""
    return Rule()


def _add_k(_: CountsOfCounts, k: float) -> Rule:
    """D = 0, A = k V, spread evenly: P(w | h) = (c(hw) + k) / (T(h) + k V) (Lidstone 1920; k = 1: Laplace)."""
    return Rule(flat=k)


def _witten_bell(_: CountsOfCounts, _k: float) -> Rule:
    """D = 0, A = the number of different tokens after h (Witten & Bell 1991, method C; Chen & Goodman eq. 17)."""
    return Rule(per_type=1.0)


def _one_discount(n: CountsOfCounts, _k: float) -> Rule:
    """D = n1 / (n1 + 2 n2) for every count (Ney, Essen & Kneser 1994)."""
    _require(n, 2)
    discount = n.n1 / (n.n1 + 2 * n.n2)
    return Rule((discount, discount, discount))


def _three_discounts(n: CountsOfCounts, _k: float) -> Rule:
    """Y = n1 / (n1 + 2 n2) and D_j = j - (j + 1) Y n_{j+1} / n_j for j = 1, 2, 3+ (Chen & Goodman 1998, eq. 26)."""
    _require(n, 4)
    y = n.n1 / (n.n1 + 2 * n.n2)
    discounts = (1 - 2 * y * n.n2 / n.n1, 2 - 3 * y * n.n3 / n.n2, 3 - 4 * y * n.n4 / n.n3)
    for j, discount in enumerate(discounts, 1):
        # A discount above j cannot come out, and one below 0 would add what it should take away.
        if discount <= 0:
            raise Unfit(f"n{j + 1} = {n[j]:,} is too large beside n{j} = {n[j - 1]:,}")
    return Rule(discounts)


def _require(n: CountsOfCounts, upto: int) -> None:
    for j, many in enumerate(n[:upto], 1):
        if not many:
            raise Unfit(f"n{j} = 0: no n-gram was seen {('once', 'twice', 'three times', 'four times')[j - 1]}")


SMOOTHERS: Choices[Smoother] = Choices(
    "smoothing",
    {
        "modified-kneser-ney": Smoother(_three_discounts, continuation=True, otherwise="kneser-ney"),
        "kneser-ney": Smoother(_one_discount, continuation=True, otherwise="witten-bell"),
        "absolute": Smoother(_one_discount, otherwise="witten-bell"),
        "witten-bell": Smoother(_witten_bell),
        "add-k": Smoother(_add_k, uniform=True),
        "ml": Smoother(_maximum_likelihood),
    },
)


@dataclass(frozen=True)
class Chosen:
    """The rule of one order, the smoother that made it, and why others before it did not fit."""

    order: int
    smoother: str
    rule: Rule
    refused: tuple[tuple[str, str], ...] = ()


def sentences(chosen: Sequence[Chosen]) -> Iterator[str]:
    """What a user should know of the orders whose smoother did not fit; orders with the same reasons together."""
    for (smoother, refused), group in groupby(chosen, key=lambda one: (one.smoother, one.refused)):
        if refused:
            orders = [one.order for one in group]
            which = f"order {orders[0]}" if len(orders) == 1 else f"orders {orders[0]} to {orders[-1]}"
            why = "; ".join(f"{name} does not fit: {reason}" for name, reason in refused)
            yield f"{which}: {why}. Used {smoother} instead."


def choose(name: str, order: int, counts: Sequence[int], k: float) -> Chosen:
    """The rule of one order: the smoother called `name`, or the first of its stand-ins that fits."""
    found = CountsOfCounts(*counts)
    refused: list[tuple[str, str]] = []
    while True:
        smoother = SMOOTHERS[name]
        try:
            return Chosen(order, name, smoother.rule(found, k), tuple(refused))
        except Unfit as reason:
            assert smoother.otherwise is not None
            refused.append((name, str(reason)))
            name = smoother.otherwise
