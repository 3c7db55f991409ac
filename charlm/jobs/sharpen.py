"""What a network of a mixture says, made better on a text: its temperature, and a cache of its vectors."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charlm import scoring
from charlm.models.base import LanguageModel
from charlm.models.caches import NeuralCache, Traced
from charlm.models.network import Network
from charlm.shapes import Ids, LogProbs, State
from charlm.training import em
from charlm.training.searching import lowest

THETAS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)  # sharpness of a neural cache, Grave et al. 2017, §5
TUNED_TOKENS = 50_000  # of the text, the first, on which a neural cache and a temperature are tuned
TEMPERATURES, TEMPERATURE_WITHIN = (0.4, 2.5), 0.003  # between which the best is looked for, and how closely


def read_by(model: LanguageModel, ids: Iterable[list[int]], carried: bool) -> npt.NDArray[np.float64]:
    """One number for each token of some documents, end to end."""
    read = scoring.log_probs_of_stream if carried else scoring.log_probs_of_lines
    return np.concatenate(list(read(model, ids)))


class Degree(NamedTuple):
    """The temperature that is best on the first tokens of a text, and their nats per token without it and with it."""

    temperature: float
    before: float
    after: float
    tokens: int


class _Vectors:
    """A network that keeps what it is about to say, and says where that is kept instead of a log-probability.

    said     (tokens, E or H)  vectors of all positions that were read, those of padding among them
    targets  (tokens,)         what followed
    """

    def __init__(self, model: Network) -> None:
        self.model = model
        self.vocab_size = model.vocab_size
        self.initial_state, self.step = model.initial_state, model.step
        self.said: list[Tensor] = []
        self.targets: list[Tensor] = []
        self.kept = 0

    def score(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        x, after = self.model.read(inputs, state)
        self.said.append(x.flatten(0, 1))
        self.targets.append(targets.flatten())
        places = torch.arange(self.kept, self.kept + targets.numel(), dtype=torch.float64).view(targets.shape)
        self.kept += targets.numel()
        return places, after


def _vectors(model: Network, ids: list[list[int]], carried: bool) -> tuple[Tensor, Ids]:
    """What a network is about to say of each token of some documents, (1, T, E or H), and the tokens (1, T)."""
    vectors = _Vectors(model)
    places = torch.from_numpy(read_by(vectors, ids, carried).astype(np.int64))
    return torch.cat(vectors.said)[None, places], torch.cat(vectors.targets)[None, places]


def tune_temperature(model: Network, ids: list[list[int]], carried: bool) -> Degree:
    """The temperature of a model that is best on a text.

    The surprise is convex in its inverse, so the search finds the one best value, of those that were tried. The network
    reads the text once; only what it says of it hangs on the temperature.
    """
    some: list[list[int]] = []
    for document in ids:
        if (room := TUNED_TOKENS - sum(map(len, some))) <= 0:
            break
        some.append(document[:room])
    said, targets = _vectors(model, some, carried)

    @torch.no_grad()
    def nats(temperature: float) -> float:
        return -float(model.spoken(said, targets, temperature).double().mean())

    before = nats(1.0)
    temperature, after = lowest(nats, *TEMPERATURES, within=TEMPERATURE_WITHIN)
    tokens = targets.numel()
    return Degree(temperature, before, after, tokens) if after < before else Degree(1.0, before, before, tokens)


def tune_neural_cache(model: Traced, window: int, ids: list[list[int]], carried: bool) -> tuple[float, float]:
    """The theta and the weight of a neural cache that are best on a text."""
    cache = NeuralCache(model, theta=1.0, weight=0.5, window=window)
    alone, remembered, tokens = [], [], 0
    state = cache.initial_state(1)
    for row in _rows(ids, carried):
        if row is None:
            state = cache.initial_state(1)
            continue
        inputs = torch.tensor([row])
        said, found, state = cache.parts(inputs[:, :-1], inputs[:, 1:], state, THETAS)
        alone.append(said[0].numpy())
        remembered.append(found[:, 0].numpy())
        tokens += len(row) - 1
        if tokens >= TUNED_TOKENS:
            break
    theta, weight, _ = em.best_cache(np.concatenate(alone), np.concatenate(remembered, axis=1), thetas=THETAS)
    return theta, weight


def _rows(ids: list[list[int]], carried: bool) -> Iterator[list[int] | None]:
    """Windows with the token before them in front; None where the context begins anew."""
    last = 0
    for document in [list(chain.from_iterable(ids))] if carried else ids:
        if not carried:
            yield None
            last = 0
        for start in range(0, len(document), scoring.WINDOW):
            window = document[start : start + scoring.WINDOW]
            yield [last, *window]
            last = window[-1]
