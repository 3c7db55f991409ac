"""Linear probes: what can be read off a network's units by a weighted sum (Alain & Bengio 2017).

A probe learns from one half of a text and is held against the other. Beside it stands one that learned the same values
in shuffled order: what that one reaches is chance (a control, as in Hewitt & Liang 2019).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.inspecting.features import Feature, Values

SHUFFLES = 5
RIDGE = 1e-3  # of the units' mean square

Array = npt.NDArray[np.floating[Any]]
Half = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Probe:
    """How well a feature can be read off all units of a layer, on the half that was held out.

    score     R², or for what is 0 or 1 the accuracy
    shuffled  the same of probes that learned from shuffled values, the mean of SHUFFLES
    baseline  the score of the commoner class, or of the mean: 0
    """

    feature: str
    layer: str
    kind: str
    score: float
    shuffled: float
    baseline: float

    def to_json(self) -> dict[str, Any]:
        """Stable keys."""
        return vars(self).copy()


@dataclass(frozen=True)
class UnitProbe:
    """How well a feature can be read off one unit.

    correlation  on the half that was learned from, by which units are sorted
    score        of the unit alone, on the half that was held out; as for Probe
    """

    feature: str
    unit: int
    correlation: float
    score: float

    def to_json(self) -> dict[str, Any]:
        """Stable keys."""
        return vars(self).copy()


def probe(units: Array, feature: Feature, learns: Half, layer: str, *, seed: int) -> Probe:
    """A ridge regression on all units (N, U); `learns` (N,) are the tokens that it learns from."""
    known = np.isfinite(feature.values)
    ours, held = known & learns, known & ~learns
    x, y = units.astype(np.float64), feature.values
    mean, deviation = x[ours].mean(0), x[ours].std(0) + 1e-8
    x = (x - mean) / deviation
    target = y[ours]
    draw = np.random.default_rng(seed)
    shuffled = [draw.permutation(target) for _ in range(SHUFFLES)]
    gram = x[ours].T @ x[ours] + RIDGE * ours.sum() * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, x[ours].T @ (np.stack([target, *shuffled], axis=1) - target.mean()))
    said = x[held] @ weights + target.mean()
    score, *chance = (_score(column, y[held], target.mean(), feature.binary) for column in said.T)
    share = y[held].mean() if feature.binary else 0.0
    baseline = max(share, 1 - share) if feature.binary else 0.0
    return Probe(
        feature.name, layer, "accuracy" if feature.binary else "r2", score, float(np.mean(chance)), float(baseline)
    )


def unit_probes(units: Array, feature: Feature, learns: Half, most: int) -> list[UnitProbe]:
    """The units (N, U) that go best with a feature, the closest first."""
    known = np.isfinite(feature.values)
    ours, held = known & learns, known & ~learns
    x, y = units[ours].astype(np.float64), feature.values[ours]
    mean, centred = x.mean(0), y - y.mean()
    spread = ((x - mean) ** 2).sum(0)
    together = (x - mean).T @ centred
    correlation = together / np.sqrt(spread * (centred**2).sum() + 1e-12)
    best = np.argsort(-np.abs(correlation))[:most]
    found = []
    for unit in best.tolist():
        said = y.mean() + (units[held, unit].astype(np.float64) - mean[unit]) * together[unit] / (spread[unit] + 1e-12)
        score = _score(said, feature.values[held], y.mean(), feature.binary)
        found.append(UnitProbe(feature.name, unit, float(correlation[unit]), score))
    return found


def _score(said: Values, y: Values, mean: float, binary: bool) -> float:
    if binary:
        return float(((said > 0.5) == (y > 0.5)).mean())
    return float(1 - ((y - said) ** 2).sum() / max(((y - mean) ** 2).sum(), 1e-12))
