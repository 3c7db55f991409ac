"""Means with a confidence band, and the half-life of what decays."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

RESAMPLES = 1000
SHARE = 0.95  # of the resampled means lie in the band

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Band:
    """A mean and where it would lie if other documents had been drawn; arrays of one shape."""

    mean: Numbers
    low: Numbers
    high: Numbers

    def to_json(self) -> dict[str, Any]:
        """Lists of numbers."""
        return {"mean": self.mean.tolist(), "low": self.low.tolist(), "high": self.high.tolist()}


def band(values: Numbers, groups: npt.NDArray[np.int64], *, seed: int) -> Band:
    """The mean over positions, and a band from whole groups drawn again (the bootstrap; Efron 1979).

    values (N, …), groups (N,)  ->  Band of shape (…). Positions of one document are not independent, so documents are
    drawn, with replacement, RESAMPLES times; the band has SHARE of the means.
    """
    names, place = np.unique(groups, return_inverse=True)
    flat = values.reshape(len(values), -1)
    sums = np.zeros((len(names), flat.shape[1]))
    np.add.at(sums, place, flat)
    sizes = np.bincount(place).astype(float)
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)
    endless = ~np.isfinite(sums)
    means = drawn @ np.where(endless, 0.0, sums) / (drawn @ sizes)[:, None]
    means[drawn @ endless > 0] = math.inf
    low, high = np.quantile(means, [(1 - SHARE) / 2, (1 + SHARE) / 2], axis=0, method="nearest")
    shape = values.shape[1:]
    return Band(flat.mean(0).reshape(shape), low.reshape(shape), high.reshape(shape))


def slope(curve: Numbers) -> float | None:
    """The slope of ln curve(k) over k = 0, 1, …, by least squares over its positive, finite values.

    None where fewer than two are left.

    >>> round(slope(np.array([1.0, 0.5, 0.25])), 4)
    -0.6931
    """
    lags = np.flatnonzero((curve > 0) & np.isfinite(curve))
    if len(lags) < 2:
        return None
    centred = lags - lags.mean()
    return float((centred * np.log(curve[lags])).sum() / (centred**2).sum())


def half_life(curve: Numbers) -> float | None:
    """After how many steps half is left, by the fitted slope; infinite where nothing is lost, None where no line fits.

    >>> round(half_life(np.array([1.0, 0.5, 0.25])), 4), half_life(np.array([1.0, 2.0]))
    (1.0, inf)
    """
    fitted = slope(curve)
    if fitted is None:
        return None
    return -math.log(2) / fitted if fitted < 0 else math.inf
