"""Which characters do best in a few places of a text, of those that may stand there, by the likelihood of the whole.

A beam: at each place the likeliest after what was read stay, and in the end the whole text decides among them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from charlm.models.base import LanguageModel, device_of, pick
from charlm.shapes import State
from charlm.text.vocab import EOS

WIDTH = 64  # texts that stay


@dataclass(frozen=True)
class Replaced:
    """A text with other tokens in some places.

    ids       of the places, in their order
    log_prob  nats, of the whole text
    """

    ids: tuple[int, ...]
    log_prob: float


@torch.no_grad()
def replacements(
    model: LanguageModel, text: Sequence[int], places: Mapping[int, Sequence[int]], *, width: int = WIDTH
) -> list[Replaced]:
    """The likeliest texts first, as far as they stayed in the beam.

    text    ids, the closing `<EOS>` among them
    places  what may stand at some of its positions
    """
    state = model.initial_state(1)
    last, total = torch.full((1,), EOS, device=device_of(state)), torch.zeros(1, dtype=torch.float64)
    chosen: Tensor = torch.zeros(1, 0, dtype=torch.int64)
    at = 0
    for place in sorted(places):
        last, total, state = _read(model, text[at:place], last, total, state)
        log_probs, state = model.step(last, state)
        options = torch.tensor(list(places[place]), dtype=torch.int64)
        tried = total[:, None] + log_probs.cpu().double()[:, options]
        best = tried.flatten().argsort(descending=True, stable=True)[:width]
        rows = best // len(options)
        drawn = options[best % len(options)]
        total, chosen = tried.flatten()[best], torch.cat([chosen[rows], drawn[:, None]], 1)
        state, last = pick(state, rows.to(last.device)), drawn.to(last.device)
        at = place + 1
    _, total, _ = _read(model, text[at:], last, total, state)
    order = total.argsort(descending=True, stable=True).tolist()
    return [Replaced(tuple(chosen[row].tolist()), float(total[row])) for row in order]


def _read(
    model: LanguageModel, ids: Sequence[int], last: Tensor, total: Tensor, state: State
) -> tuple[Tensor, Tensor, State]:
    """Go on in all rows with the same ids: the last token, the log-probability so far, the state."""
    if not ids:
        return last, total, state
    targets = torch.tensor(list(ids), device=last.device).expand(len(last), -1)
    log_probs, state = model.score(torch.cat([last[:, None], targets[:, :-1]], 1), targets, state)
    return targets[:, -1], total + log_probs.cpu().double().sum(1), state
