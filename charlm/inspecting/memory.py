"""How far back a model looks: what the next distribution loses when one token some steps back was another.

    M(k) = mean over positions T of KL(P(· | x_1 … x_T) ‖ P(· | … x̃_{T-k+1} …))     bits

x̃ is drawn from the frequencies of the vocabulary, and is another token than the one that stood there; k = 1 is the last
token that was read. For counts of order N it is exactly zero beyond N - 1, for a window of N taps beyond N: a finite
response. Any language model can be asked. (Khandelwal et al. 2018 drop and permute words in the same spirit.)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from charlm.errors import VocabError
from charlm.inspecting.bands import Band, band, half_life
from charlm.inspecting.positions import Excerpts, advance, state_before
from charlm.models.base import LanguageModel, device_of
from charlm.shapes import Ids, LogProbs
from charlm.text.vocab import EOS, UNK, Vocab


@dataclass(frozen=True)
class Effect:
    """What replaced tokens change: `curve` for k = 1 … K."""

    curve: Band

    @property
    def reach(self) -> int:
        """The largest k at which anything changed at all; 0 where nothing did."""
        changed = np.flatnonzero(self.curve.mean > 0)
        return int(changed[-1]) + 1 if len(changed) else 0

    @property
    def half(self) -> int | None:
        """The smallest k within which half of the summed effect lies; None where there is none, or it is infinite."""
        total = self.curve.mean.sum()
        if not 0 < total < math.inf:
            return None
        return int(np.searchsorted(self.curve.mean.cumsum(), total / 2)) + 1

    def to_json(self) -> dict[str, Any]:
        """Stable keys; bits."""
        return {
            "reach": self.reach,
            "half": self.half,
            "half_life": half_life(self.curve.mean),
            **self.curve.to_json(),
        }


def replacements(originals: Ids, vocab: Vocab, *, seed: int) -> Ids:
    """For each id (N, K) another one, drawn by the counts of the vocabulary; never a special or control token.

    Raises VocabError where there is no other token to draw.
    """
    weights = torch.tensor(vocab.counts, dtype=torch.float64)
    if not weights[UNK + 1 :].any():  # a vocabulary that came without counts
        weights = torch.ones_like(weights)
    weights[[EOS, UNK, *vocab.control_ids]] = 0
    if int((weights > 0).sum()) < 2:
        raise VocabError("the vocabulary has no two tokens to put one in place of the other", hint="take another run")
    draw = torch.Generator().manual_seed(seed)
    found = originals.clone()
    while (same := found == originals).any():
        found[same] = torch.multinomial(weights, int(same.sum()), replacement=True, generator=draw)
    return found


@torch.no_grad()
def effects(model: LanguageModel, vocab: Vocab, asked: Excerpts, *, seed: int) -> Tensor:
    """KL in bits for each position and k, (N, K) in float64, k = 1 first."""
    lags = asked.inputs.shape[1] - 1
    states = [state_before(model, asked.before)]
    device = device_of(states[0])
    inputs = asked.inputs.to(device)
    others = replacements(asked.inputs[:, 1:], vocab, seed=seed).to(device)
    for ids in inputs[:, :-1].unbind(1):
        states.append(advance(model, ids[:, None], states[-1]))
    said = model.step(inputs[:, -1], states[-1])[0].double()
    found = []
    for place in range(lags, 0, -1):  # of the replaced token among the inputs
        changed = torch.cat([others[:, place - 1 : place], inputs[:, place + 1 :]], dim=1)
        state = states[place]
        for ids in changed[:, :-1].unbind(1):  # one by one, as the states above: equal contexts get equal bits
            state = advance(model, ids[:, None], state)
        found.append(divergence(said, model.step(changed[:, -1], state)[0].double()))
    return torch.stack(found, dim=1).cpu()


def divergence(said: LogProbs, otherwise: LogProbs) -> Tensor:
    """KL(P ‖ Q) in bits: log-probabilities (B, V), (B, V)  ->  (B,); infinite where Q excludes what P allows."""
    probs = said.exp()
    terms = torch.where(probs > 0, probs * (said - otherwise), torch.zeros_like(probs))
    return (terms.sum(1) / math.log(2)).clamp(min=0.0)


def effect(model: LanguageModel, vocab: Vocab, asked: Excerpts, *, seed: int) -> tuple[Effect, Tensor]:
    """The mean effect with a band from documents drawn again, and the single ones (N, K)."""
    bits = effects(model, vocab, asked, seed=seed)
    return Effect(band(bits.numpy(), asked.groups.numpy(), seed=seed)), bits


# ── the ends of lines ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class LineBack:
    """Of the line so many lines back: what replacing its last token changes, and what replacing another one does.

    ends, inside  mean bits
    positions     at which that line's last token lay within reach
    """

    back: int
    ends: float
    inside: float
    positions: int

    def to_json(self) -> dict[str, Any]:
        """Stable keys; bits."""
        return {"back": self.back, "ends": self.ends, "inside": self.inside, "positions": self.positions}


def ends_of_lines(row: Sequence[int], marks: frozenset[int]) -> list[bool]:
    """For each token of a row whether a mark follows it, and it is none itself."""
    following = [*row[1:], -1]
    return [after in marks and token not in marks for token, after in zip(row, following, strict=True)]


def before_ends(row: Sequence[int], closing: frozenset[int], marks: frozenset[int]) -> list[bool]:
    """For each position of a row whether what it is asked for is the last token before a closing mark."""
    ends = [end and after in closing for end, after in zip(ends_of_lines(row, marks), [*row[1:], -1], strict=True)]
    return [*ends[1:], False]


def by_lines(bits: Tensor, rows: Sequence[Sequence[int]], asked: Excerpts, marks: frozenset[int]) -> list[LineBack]:
    """Effects (N, K) line by line, counted back from the line that each position stands in, which is 0 lines back."""
    found: dict[int, tuple[list[float], list[float]]] = {}
    for (row, place), of_position in zip(asked.places, bits.tolist(), strict=True):
        ids, ends = rows[row], ends_of_lines(rows[row], marks)
        back = 0
        for lag, effect_ in enumerate(of_position, 1):
            token = place - lag + 1
            if ids[token] in marks:
                back += 1
            else:
                found.setdefault(back, ([], []))[0 if ends[token] else 1].append(effect_)
    return [
        LineBack(back, float(np.mean(ends)), float(np.mean(inside)), len(ends))
        for back, (ends, inside) in sorted(found.items())
        if ends and inside
    ]
