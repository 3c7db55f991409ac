"""The nearest words, and analogies. No torch."""

from collections.abc import Collection, Sequence

import numpy as np

from charlm.embedding.vectors import Matrix, WordVectors

Found = list[tuple[str, float]]


def nearest(vectors: WordVectors, words: Sequence[str], count: int = 10) -> Found:
    """The words nearest to one, or to the middle of several, by cosine; those themselves are left out.

    Raises VectorsError for a word that has no vector.
    """
    places = vectors.several(words)
    return _ranked(vectors, vectors.directions[places].sum(0), places, count)


def analogy(vectors: WordVectors, first: str, second: str, third: str, count: int = 10) -> Found:
    """What is to the third word as the second is to the first: 3CosAdd (Mikolov et al. 2013c; Levy & Goldberg 2014).

    The words nearest to second - first + third, each taken at length 1; the three are left out.
    Raises VectorsError for a word that has no vector.
    """
    places = vectors.several([first, second, third])
    a, b, c = vectors.directions[places]
    return _ranked(vectors, b - a + c, places, count)


def _ranked(vectors: WordVectors, goal: Matrix, without: Collection[int], count: int) -> Found:
    length = float(np.linalg.norm(goal))
    cosines = vectors.directions @ (goal / length if length > 0 else goal)
    cosines[list(without)] = -np.inf
    order = np.argsort(-cosines, kind="stable")[: min(count, len(vectors) - len(set(without)))]
    return [(vectors.words[place], float(cosines[place])) for place in order]
