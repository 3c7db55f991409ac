"""The weights of a mixture, by expectation and maximisation (Dempster et al. 1977; Jelinek & Mercer 1980).

Pure functions of what each member said about a text that none of them has learned from. Each round asks what
share of every token each member deserves, and gives every member its mean share as its weight; the text never
becomes less likely by it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fitted:
    """The weights that were found, and how they were.

    weights     (C, M)  one row per class of contexts
    nats        per token, with these weights; nan for no tokens
    history     nats per token with uniform weights and after each round; the rounds for the classes add what
                the prior charges, which is nothing at their beginning. It never rises.
    impossible  tokens left out, because every member says -inf
    """

    weights: Floats
    nats: float
    history: list[float] = field(default_factory=list)
    impossible: int = 0


def fit(
    log_probs: Floats,
    classes: Integers | None = None,
    class_count: int = 1,
    *,
    rounds: int = 200,
    tolerance: float = 1e-7,
    prior: float = 10.0,
) -> Fitted:
    """The weights under which a text is likeliest, those of all contexts first, then those of each class.

    log_probs  (N, M)  nats, what each of M members said about each of N tokens
    classes    (N,)    the class of the context of each token; None for one set of weights
    rounds             at most so many, for all contexts and again for the classes
    tolerance          nats per token: a round that gains less is the last
    prior              tokens: each class begins as if it had seen so many, shared as in all contexts

    The prior (of Dirichlet's kind) keeps the weights of rare classes near the common ones; a class that was
    never seen has exactly these. Without tokens the weights are uniform.
    """
    _check(log_probs, classes, class_count, prior)
    possible = (log_probs > -math.inf).any(axis=1)
    log_probs, members = log_probs[possible], log_probs.shape[1]
    uniform = np.full((1, members), 1 / members)
    impossible = int((~possible).sum())
    if not len(log_probs):
        return Fitted(uniform.repeat(class_count, axis=0), math.nan, impossible=impossible)
    everywhere = np.zeros(len(log_probs), dtype=np.int64)
    weights, history = _climb(log_probs, everywhere, uniform, prior=0.0, rounds=rounds, tolerance=tolerance)
    weights = weights.repeat(class_count, axis=0)
    if classes is None:
        return Fitted(weights, history[-1], history, impossible)
    classes = classes[possible]
    weights, further = _climb(log_probs, classes, weights, prior=prior, rounds=rounds, tolerance=tolerance)
    return Fitted(weights, _nats(log_probs, weights[classes]), history + further[1:], impossible)


def _check(log_probs: Floats, classes: Integers | None, class_count: int, prior: float) -> None:
    """Raise ValueError for what a caller must not give."""
    if log_probs.ndim != 2 or not log_probs.shape[1]:
        raise ValueError(f"log-probabilities of the shape {log_probs.shape}, not (tokens, members)")
    if np.isnan(log_probs).any() or (log_probs == math.inf).any():
        raise ValueError("a log-probability is nan or infinite")
    if not 0 <= prior < math.inf:
        raise ValueError(f"a prior of {prior} tokens")
    if class_count < 1:
        raise ValueError(f"{class_count} classes")
    if classes is not None:
        if classes.shape != log_probs.shape[:1]:
            raise ValueError(f"classes of the shape {classes.shape} for {len(log_probs)} tokens")
        if len(classes) and not 0 <= classes.min() <= classes.max() < class_count:
            raise ValueError(f"classes from {classes.min()} to {classes.max()}, but there are {class_count}")


def _climb(
    log_probs: Floats, classes: Integers, start: Floats, *, prior: float, rounds: int, tolerance: float
) -> tuple[Floats, list[float]]:
    """EM from `start` (C, M), which is also where the prior pulls to  ->  weights (C, M), history

    The history is nats per token plus prior · Σ KL(start ‖ weights) / N: the posterior but for a constant,
    chosen so that `start` is charged nothing.
    """
    best = log_probs.max(axis=1)
    likelihoods = np.exp(log_probs - best[:, None])  # relative to the best member: no token underflows
    tokens = np.bincount(classes, minlength=len(start))[:, None] + prior
    weights, history = start, []
    for last in [*[False] * rounds, True]:
        shares = likelihoods * weights[classes]
        sums = shares.sum(axis=1)
        history.append(-float((np.log(sums) + best).mean()) + prior * _divergence(start, weights) / len(best))
        if last or (len(history) > 1 and history[-2] - history[-1] < tolerance):
            break
        shares /= sums[:, None]
        earned = np.stack([np.bincount(classes, share, minlength=len(start)) for share in shares.T], axis=1)
        weights = np.where(tokens > 0, (earned + prior * start) / np.maximum(tokens, 1e-300), start)
    return weights, history


def _divergence(start: Floats, weights: Floats) -> float:
    """Σ KL(start ‖ weights) over the rows, nats."""
    # Where `start` is 0, the weight stays 0 and costs nothing; other weights reach 0 only where no prior charges.
    where = (start > 0) & (weights > 0)
    return float((start[where] * (np.log(start[where]) - np.log(weights[where]))).sum())


def _nats(log_probs: Floats, weights: Floats) -> float:
    """Per token: log_probs (N, M), weights (N, M)."""
    best = log_probs.max(axis=1)
    return -float((np.log((np.exp(log_probs - best[:, None]) * weights).sum(axis=1)) + best).mean())


def best_cache(
    model_log_probs: Floats,
    cache_log_probs: Floats,
    *,
    thetas: Sequence[float],
    rounds: int = 200,
    tolerance: float = 1e-7,
) -> tuple[float, float, float]:
    """The theta of a neural cache, its weight, and the nats per token with them.

    model_log_probs  (N,)    nats, the model alone
    cache_log_probs  (K, N)  nats, the cache alone, one row for each of `thetas`

    The likelihood has one summit along the weight, so EM finds the best one for each theta without a grid.
    Of equally good thetas the first; without tokens the first, 0.5 and nan.
    """
    if cache_log_probs.shape != (len(thetas), len(model_log_probs)) or not thetas:
        raise ValueError(f"{cache_log_probs.shape} of the cache, {model_log_probs.shape} of the model, {thetas=}")
    found = [
        (theta, fit(np.stack([model_log_probs, row], axis=1), rounds=rounds, tolerance=tolerance))
        for theta, row in zip(thetas, cache_log_probs, strict=True)
    ]
    theta, fitted = min(found, key=lambda pair: pair[1].nats)
    return theta, float(fitted.weights[0, 1]), fitted.nats
