"""What the gates of a network do over a text: how open they are, how long memories last, how saturated units are.

A gate is a number between 0 and 1 for each unit and token. That which keeps the state (the forget gate f of an LSTM,
the update gate z of a GRU) has a time constant, τ = -1 / ln f: after τ tokens of such gates, 1/e is left of what was
held. That of a unit is -1 / mean ln f over all tokens, since what it keeps is the product of its gates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from charlm.errors import RunError
from charlm.inspecting.bands import Numbers
from charlm.inspecting.positions import Row, readings
from charlm.models.base import LanguageModel
from charlm.shapes import Ids, State

GATES = ("input", "forget", "output", "reset", "update")
KEEPING = ("forget", "update")  # of a cell's gates, that which keeps its state
SQUASHED = ("candidate", "memory", "hidden")  # what tanh gives, or is given to it
CLOSED, OPEN = 0.1, 0.9
BINS = 20  # of a histogram from 0 to 1
OCTAVES = 11  # of time constants: below 1 token, below 2, below 4, …, and the last is open


class Tracing(Protocol):
    """A language model that shows what goes on inside of it."""

    def trace(self, inputs: Ids, state: State) -> dict[str, Tensor]:
        """inputs (B, T)  ->  {name: (B, T, L, H)}"""


@dataclass(frozen=True)
class GateUse:
    """One gate of one layer over all tokens and units; shares of values, and how many values fell into each of BINS."""

    layer: int
    gate: str
    mean: float
    closed: float
    open: float
    histogram: list[int]

    def to_json(self) -> dict[str, Any]:
        """Stable keys."""
        return vars(self).copy()


@dataclass(frozen=True)
class Lasting:
    """The time constants of a layer in tokens.

    values  how many gates, of all units and tokens, last below 1 token, below 2, below 4, …; the last number is of all
            that last longer
    units   (H,) the time constant of each unit; infinite where its gate was always 1
    """

    layer: int
    gate: str
    values: list[int]
    units: Numbers

    @property
    def unit_octaves(self) -> list[int]:
        """How many units last below 1 token, below 2, …"""
        return _octaves(torch.from_numpy(self.units)).int().tolist()

    def to_json(self) -> dict[str, Any]:
        """Stable keys; tokens."""
        return {
            "layer": self.layer,
            "gate": self.gate,
            "median": float(np.median(self.units)),
            "values": self.values,
            "unit_octaves": self.unit_octaves,
            "units": self.units.tolist(),
        }


@dataclass(frozen=True)
class Saturation:
    """The share of a layer's values beyond ±0.9: of its candidates, of tanh of its memories, of its hidden vectors."""

    layer: int
    vector: str
    share: float

    def to_json(self) -> dict[str, Any]:
        """Stable keys."""
        return vars(self).copy()


@dataclass(frozen=True)
class Insides:
    """What was seen of a network; without gates for a simple recurrent one."""

    tokens: int
    gates: list[GateUse]
    lasting: list[Lasting]
    saturation: list[Saturation]


def _octaves(constants: Tensor) -> Tensor:
    """How many time constants lie below 1, below 2, below 4, …, and beyond all: (OCTAVES,)"""
    edges = 2.0 ** torch.arange(OCTAVES - 1, dtype=torch.float64)
    return torch.bincount(torch.bucketize(constants.flatten(), edges, right=True), minlength=OCTAVES).double()


class _Sums:
    """Running sums of one name, by layer."""

    def __init__(self, layers: int, units: int) -> None:
        self.total = torch.zeros(layers, dtype=torch.float64)
        self.beyond = torch.zeros(2, layers, dtype=torch.float64)
        self.bins = torch.zeros(layers, BINS, dtype=torch.float64)
        self.logs = torch.zeros(layers, units, dtype=torch.float64)
        self.octaves = torch.zeros(layers, OCTAVES, dtype=torch.float64)

    def add(self, values: Tensor) -> None:
        """Values (N, L, H)."""
        values = values.double()
        self.total += values.sum((0, 2))
        self.beyond += torch.stack([(values < CLOSED).sum((0, 2)), (values > OPEN).sum((0, 2))])
        logs = values.log()
        self.logs += logs.sum(0)
        for layer, of_layer in enumerate(values.unbind(1)):
            self.octaves[layer] += _octaves(1 / logs[:, layer].abs())
            self.bins[layer] += torch.histc(of_layer, bins=BINS, min=0.0, max=1.0)


def look(model: LanguageModel, rows: Sequence[Row], name: str) -> Insides:
    """What the gates and squashed vectors of a network are like over a text.

    Raises RunError where the model has no recurrent cells, and so no gates.
    """
    if not isinstance(getattr(model, "cells", None), nn.ModuleList):
        hint = "a network of `charlm train --model recurrent` has them, with --cell lstm or gru and their variants"
        raise RunError(f"{name} has no gates to look at", hint=hint)
    sums: dict[str, _Sums] = {}
    tokens = 0
    with torch.no_grad():
        for _, _, inputs, real, state in readings(model, rows):
            seen = cast(Tracing, model).trace(inputs, state)
            tokens += int(real.sum())
            for each, values in seen.items():
                flat = values[real.to(values.device)].cpu()
                flat = flat.tanh() if each == "memory" else flat
                kept = flat.abs() if each in SQUASHED else flat
                sums.setdefault(each, _Sums(*kept.shape[1:])).add(kept)
    return _told(sums, tokens)


def _told(sums: dict[str, _Sums], tokens: int) -> Insides:
    layers = range(len(next(iter(sums.values())).total))
    gates, lasting, saturation = [], [], []
    for layer in layers:
        for name, of_name in sums.items():
            values = tokens * of_name.logs.shape[1]
            closed, opened = (of_name.beyond[:, layer] / values).tolist()
            if name in GATES:
                mean, bins = float(of_name.total[layer] / values), of_name.bins[layer].int().tolist()
                gates.append(GateUse(layer + 1, name, mean, closed, opened, bins))
            elif name in SQUASHED:
                saturation.append(Saturation(layer + 1, name, opened))
            if name in KEEPING:
                units = (tokens / of_name.logs[layer].abs()).numpy()  # never -0
                lasting.append(Lasting(layer + 1, name, of_name.octaves[layer].int().tolist(), units))
    return Insides(tokens, gates, lasting, saturation)
