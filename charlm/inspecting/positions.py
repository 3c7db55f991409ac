"""Places of a text at which a model is asked, and its state before them.

A text is rows of ids as the model reads them: each document behind the `<EOS>` that begins it, or all of a carried text
in one row. A position T of a row is asked for what comes after its token T; it needs so many tokens before it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from charlm.errors import TextError
from charlm.models.base import LanguageModel, device_of, pick
from charlm.shapes import Ids, Mask, State
from charlm.text.vocab import EOS

WARM_UP = 512  # tokens that are read before the first one of an excerpt, where there are as many
ROWS, WINDOW = 32, 64  # of what is read in one piece where a whole text is looked at

Row = Sequence[int]


@dataclass(frozen=True)
class Excerpts:
    """N positions, each with the K tokens before its own.

    before   what is read first, a row for each: up to WARM_UP tokens, from the start of the row where that is nearer
    inputs   (N, K + 1)  the last one is the token at the position
    targets  (N,)        what follows it
    groups   (N,)        the document, or of a carried text the position itself: what is drawn again for a band
    places   for each the number of its row, and of the token at the position in it
    """

    before: list[Row]
    inputs: Ids
    targets: Ids
    groups: Tensor
    places: list[tuple[int, int]]

    def __len__(self) -> int:
        return len(self.inputs)


def rows_of(documents: Sequence[Row], carried: bool) -> list[Row]:
    """Documents as rows: `<EOS>` before each, or before all of them in one."""
    if carried:
        return [[EOS, *(token for document in documents for token in document)]]
    return [[EOS, *document] for document in documents]


def excerpts(
    rows: Sequence[Row], lags: int, count: int, *, seed: int, where: Sequence[Sequence[bool]] | None = None
) -> Excerpts:
    """`count` positions spread over the rows, or as many as there are, each with `lags` tokens before it.

    They are drawn one from each of `count` equal parts of all that are possible.
    where  for each row and position whether it may be taken; None: all
    Raises TextError where no row is long enough.
    """
    first = [
        (row, place)
        for row, ids in enumerate(rows)
        for place in range(lags, len(ids) - 1)
        if where is None or where[row][place]
    ]
    if not first:
        longest = max((len(row) for row in rows), default=1) - 1
        what = "such " if where is not None else ""
        raise TextError(
            f"the text has no {what}position with {lags} tokens before it: its longest line has {longest}",
            hint=f"ask for fewer --lags{f', {longest - 1} at most,' if longest > 1 else ''} or give a longer text",
        )
    count = min(count, len(first))
    drawn = (np.arange(count) + np.random.default_rng(seed).random(count)) * (len(first) / count)
    chosen = [first[min(int(number), len(first) - 1)] for number in drawn]
    windows = [rows[row][place - lags : place + 2] for row, place in chosen]
    ids = torch.tensor([list(window) for window in windows])
    groups = range(count) if len(rows) == 1 else (row for row, _ in chosen)
    before = [rows[row][max(0, place - lags - WARM_UP) : place - lags] for row, place in chosen]
    return Excerpts(before, ids[:, :-1], ids[:, -1], torch.tensor(list(groups)), chosen)


def advance(model: LanguageModel, inputs: Ids, state: State) -> State:
    """The state after `inputs` (B, T); a network need not say anything on the way."""
    read = getattr(model, "read", None)
    if read is not None:
        return cast(State, read(inputs, state)[1])
    return model.score(inputs, inputs, state)[1]


@torch.no_grad()
def state_before(model: LanguageModel, before: Sequence[Row]) -> State:
    """The state after each of some rows of different lengths, each read from the start (N, …)."""
    state = model.initial_state(len(before))
    device = device_of(state)
    lengths = torch.tensor([len(row) for row in before])
    ids = torch.zeros(len(before), int(lengths.max()), dtype=torch.int64)
    for number, row in enumerate(before):
        ids[number, : len(row)] = torch.tensor(list(row), dtype=torch.int64)
    found = [leaf.clone() for leaf in state]
    place, alive = 0, torch.arange(len(before))
    for end in sorted(set(lengths.tolist())):
        if end > place:
            state = advance(model, ids[alive, place:end].to(device), state)
        ended = lengths[alive] == end
        for leaf, kept in zip(state, found, strict=True):
            kept[alive[ended].to(kept.device)] = leaf[ended.to(leaf.device)]
        state = pick(state, (~ended).to(device))
        place, alive = end, alive[~ended]
    return tuple(found)


@torch.no_grad()
def readings(model: LanguageModel, rows: Sequence[Row]) -> Iterator[tuple[list[int], int, Ids, Mask, State]]:
    """Whole rows in pieces, some side by side.

    Each piece: the numbers of its rows (B), where it begins, inputs (B, T), which of them are real (B, T), and the
    state before it. The last token of a row is not read, since nothing follows it.
    """
    order = sorted((number for number in range(len(rows)) if len(rows[number]) > 1), key=lambda n: len(rows[n]))
    for start in range(0, len(order), ROWS):
        numbers = order[start : start + ROWS]
        longest = len(rows[numbers[-1]]) - 1
        ids = torch.full((len(numbers), longest), EOS)
        real = torch.zeros(len(numbers), longest, dtype=torch.bool)
        for place, number in enumerate(numbers):
            ids[place, : len(rows[number]) - 1] = torch.tensor(list(rows[number][:-1]))
            real[place, : len(rows[number]) - 1] = True
        state = model.initial_state(len(numbers))
        device = device_of(state)
        for begin in range(0, longest, WINDOW):
            piece = slice(begin, begin + WINDOW)
            inputs = ids[:, piece].to(device)
            yield numbers, begin, inputs, real[:, piece], state
            state = advance(model, inputs, state)
