"""n-grams → ARPA lines."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.errors import ArpaError
from charlm.ngrams.arpa.layout import LARGEST, LN10, NEVER, REVERSED, ROUNDING, Floats

_UNWRITABLE = re.compile(r"[\x00\t-\r \ud800-\udfff]|^\Z")


def write(
    words: Sequence[str],
    counts: Sequence[int],
    blocks: Iterable[tuple[npt.NDArray[np.integer[Any]], npt.NDArray[Any], npt.NDArray[Any] | None]],
    *,
    reverse: bool = False,
) -> Iterator[str]:
    """The lines of a file, their ends included. Raises ArpaError for a word that no file can hold.

    counts  n-grams of each order; there is none above the last
    blocks  some n-grams at a time, orders ascending:
            (k, n) indices into the words, (k,) nats, (k,) nats of backoff or None for none
    reverse whether to say in the first line that the n-grams are of lines that are read backwards

    The highest order has no backoffs: they must be 0 there, and are left out.
    """
    for word in words:
        if _UNWRITABLE.search(word):
            raise ArpaError(
                f"an ARPA file cannot hold the word {word[:60]!r}",
                hint="its words are not empty and have no white space in them; escape them as vocab.tsv does",
            )
    if reverse:
        yield REVERSED + "\n"
    yield "\\data\\\n"
    for n, count in enumerate(counts, 1):
        yield f"ngram {n}={count}\n"
    opened, missing = 0, list(counts)
    for grams, log_probs, backoffs in blocks:
        n = grams.shape[1]
        if not opened <= n <= len(counts):
            raise ValueError(f"{n}-grams after {opened}-grams, in a model of order {len(counts)}")
        while opened < n:
            opened += 1
            yield from ("\n", f"\\{opened}-grams:\n")
        missing[n - 1] -= len(grams)
        if n == len(counts) and backoffs is not None:
            if backoffs.any():
                raise ValueError("the highest order has backoffs")
            backoffs = None
        texts = map(" ".join, zip(*([words[i] for i in column] for column in grams.T.tolist()), strict=True))
        numbers = _log10(log_probs, at_most=ROUNDING).clip(max=0.0).tolist()
        if backoffs is None:
            yield from map("%.7g\t%s\n".__mod__, zip(numbers, texts, strict=True))
        else:
            weights = _log10(backoffs, at_most=LARGEST).tolist()
            yield from map("%.7g\t%s\t%.7g\n".__mod__, zip(numbers, texts, weights, strict=True))
    while opened < len(counts):
        opened += 1
        yield from ("\n", f"\\{opened}-grams:\n")
    if any(missing):
        raise ValueError(f"n-grams of each order that were counted and never came: {missing}")
    yield from ("\n", "\\end\\\n")


def _log10(nats: npt.NDArray[Any], *, at_most: float) -> Floats:
    numbers = nats.astype(np.float64) / LN10 + 0.0  # no file needs a "-0"
    numbers = np.where(numbers < -LARGEST, NEVER, numbers)
    sound = numbers <= at_most  # not so for nan
    if not sound.all():
        raise ArpaError(
            f"an ARPA file cannot hold the log-probability {nats[~sound][0]}",
            hint="the model that gave it is damaged; `charlm run check` says what is wrong with it",
        )
    return numbers
