"""Which unit of a network knows what: activations over a text, and what they go with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charlm.errors import RunError, TextError
from charlm.inspecting.features import features
from charlm.inspecting.positions import Row, readings
from charlm.inspecting.probes import Probe, UnitProbe, probe, unit_probes
from charlm.models.base import LanguageModel
from charlm.poems.sounds import RhymeBook
from charlm.shapes import Ids, State

VECTORS = ("hidden", "memory")  # of what a network shows, what units are
FEWEST = 200  # tokens that are needed to learn and to hold out

Activations = npt.NDArray[np.float32]


class Showing(Protocol):
    """A language model that shows its hidden vectors."""

    def trace(self, inputs: Ids, state: State) -> dict[str, Tensor]:
        """inputs (B, T)  ->  {"hidden": (B, T, L, H), …}"""


@dataclass(frozen=True)
class Knowledge:
    """What was found of a network's units over a text.

    units     the name of each: its layer, its vector and its number, such as `1 hidden 17`
    tokens    documents of tokens, as far as they were looked at
    seen      (N, U)  the activations at them, end to end; the memory as tanh gives it out
    probes    each feature by each layer
    best      for each feature the units that go best with it
    """

    units: list[str]
    tokens: list[list[str]]
    seen: Activations
    probes: list[Probe]
    best: list[UnitProbe]

    def to_json(self) -> dict[str, Any]:
        """Stable keys; without the activations."""
        return {
            "tokens": len(self.seen),
            "units": len(self.units),
            "probes": [each.to_json() for each in self.probes],
            "best": [{**each.to_json(), "unit": self.units[each.unit]} for each in self.best],
        }


def activations(model: LanguageModel, rows: Sequence[Row], name: str) -> dict[str, list[Activations]]:
    """{vector and layer: for each row (T, H)} at every token but the first, `<EOS>`, and the last, which is not read.

    Raises RunError where the model shows no hidden vectors.
    """
    if not hasattr(model, "trace"):
        hint = "it takes a network: `charlm train --model recurrent`, window, jordan or narx"
        raise RunError(f"{name} has no units to look at", hint=hint)
    pieces: dict[str, list[list[Tensor]]] = {}
    with torch.no_grad():
        for numbers, _, inputs, real, state in readings(model, rows):
            for vector, values in cast(Showing, model).trace(inputs, state).items():
                if vector not in VECTORS:
                    continue
                values = (values.tanh() if vector == "memory" else values).float().cpu()
                for layer in range(values.shape[2]):
                    found = pieces.setdefault(f"{layer + 1} {vector}", [[] for _ in rows])
                    for place, number in enumerate(numbers):
                        found[number].append(values[place, real[place], layer])
    empty = torch.empty(0, 0)
    return {
        name: [(torch.cat(each)[1:] if each else empty).numpy() for each in found] for name, found in pieces.items()
    }


def look(
    model: LanguageModel,
    rows: Sequence[Row],
    tokens: Sequence[Sequence[str]],
    name: str,
    *,
    book: RhymeBook | None,
    most: int,
    seed: int,
) -> Knowledge:
    """Read a text, and see what goes with each unit.

    rows    documents of ids as the model reads them, `<EOS>` first
    tokens  the same in words, without it
    most    units that are told for each feature
    Every second document is learned from and the others are held out; of a single one, its halves.
    Raises TextError where the text is too short to hold anything out.
    """
    found = activations(model, rows, name)
    read = [list(own[: max(0, len(row) - 2)]) for own, row in zip(tokens, rows, strict=True)]
    count = sum(map(len, read))
    if count < FEWEST:
        raise TextError(f"the text has {count} tokens to look at, and {FEWEST} are needed", hint="give a longer text")
    whole = {layer: np.concatenate([piece for piece in pieces if piece.size]) for layer, pieces in found.items()}
    learns = _halves([len(document) for document in read])
    asked = features(read, book)
    units = [f"{layer} {unit}" for layer, values in whole.items() for unit in range(values.shape[1])]
    seen = np.concatenate(list(whole.values()), axis=1)
    probes = [probe(values, each, learns, layer, seed=seed) for each in asked for layer, values in whole.items()]
    best = [one for each in asked for one in unit_probes(seen, each, learns, most)]
    return Knowledge(units, read, seen, probes, best)


def _halves(lengths: Sequence[int]) -> npt.NDArray[np.bool_]:
    """For each token whether it is learned from."""
    if len([length for length in lengths if length]) < 2:
        total = sum(lengths)
        return np.arange(total) < total // 2
    return np.repeat(np.arange(len(lengths)) % 2 == 0, lengths)
