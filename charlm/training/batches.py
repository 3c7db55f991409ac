"""A corpus as steps of training: stripes of one long text, or buckets of many sentences.

Both read about `batch_size × window` tokens a step, and both are pure functions of (seed, epoch): a training
that was stopped skips to its place without reading what it skips. Of several processes each takes every
`ranks`-th row of the same steps, from `rank` on, so that all take equally many and the rows of all are the whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charlm.errors import TrainingError
from charlm.shapes import Ids, Mask
from charlm.text.corpus import Corpus
from charlm.text.prefixes import LOOKED_AT

Numbers = npt.NDArray[np.int64]
DOCUMENTS_PER_CHUNK = 1 << 14  # sorted by length together; large enough for even batches, small enough for memory


@dataclass(frozen=True)
class Batch:
    """One step of truncated back-propagation.

    inputs, targets  (B, T)  ids; `targets` is `inputs` one token later
    mask             (B, T)  True where a target counts: no padding, no prefix, no control token; None if all do
    tokens           how many targets count, known without asking the device on which they lie
    fresh            the state starts anew here, else it goes on from the batch before
    done             share of the epoch that is over after this step
    """

    inputs: Ids
    targets: Ids
    mask: Mask | None
    tokens: int
    fresh: bool
    done: float

    @classmethod
    def of(cls, inputs: Numbers, targets: Numbers, counting: npt.NDArray[np.bool_], **place: Any) -> "Batch":
        """A batch of arrays (B, T); `counting` says which targets count."""
        tokens = int(counting.sum())
        mask = None if tokens == counting.size else torch.from_numpy(counting)
        return cls(torch.from_numpy(inputs), torch.from_numpy(targets), mask, tokens, **place)

    def rows(self, which: slice) -> "Batch":
        """Some of its rows."""
        mask = None if self.mask is None else self.mask[which]
        targets = self.targets[which]
        tokens = targets.numel() if mask is None else int(mask.sum())
        return Batch(self.inputs[which], targets, mask, tokens, self.fresh, self.done)

    def on(self, device: torch.device) -> "Batch":
        """The same on a device; a GPU copies it while it computes."""

        def moved(tensor: Tensor) -> Tensor:
            return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)

        mask = None if self.mask is None else moved(self.mask)
        return replace(self, inputs=moved(self.inputs), targets=moved(self.targets), mask=mask)


def _generator(*numbers: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(numbers)))


class Stripes:
    """One long text under B evenly spaced reading heads, whose state is carried from window to window.

    Each epoch begins at another random place within the first window, so that the cuts of the gradient
    do not always fall between the same two tokens.

    turned  each head begins its stripe somewhere inside, at the beginning of a document, another one in each epoch, and
            comes last to what it has left out (partial shuffling, Press 2019)
    Raises TrainingError where the text is shorter than two tokens for each head, or a rank gets no head.
    """

    def __init__(
        self,
        corpus: Corpus,
        batch_size: int,
        window: int,
        seed: int,
        *,
        turned: bool = False,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.corpus, self.seed, self.share, self.turned = corpus, seed, slice(rank, None, ranks), turned
        if batch_size < ranks:
            raise TrainingError(
                f"{batch_size} stripes are too few for {ranks} processes", hint=f"try --batch-size {ranks} or more"
            )
        tokens = len(corpus.ids)
        if tokens < 2 * batch_size:
            raise TrainingError(
                f"the text has {tokens:,} tokens, too few for {batch_size} stripes side by side",
                hint=f"try --batch-size {max(1, tokens // 32)}, or give more text",
            )
        self.rows = batch_size
        self.window = min(window, tokens // batch_size)

    def batches(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """The steps of one epoch, the first `skip` left out."""
        tokens = len(self.corpus.ids)
        spare = tokens // self.rows - self.window
        offset = int(_generator(self.seed, epoch).integers(0, min(self.window, spare + 1)))
        stripe = (tokens - offset) // self.rows
        heads = offset + stripe * np.arange(self.rows)
        turns = self._turns(epoch, heads, stripe)[self.share, None] if self.turned else 0
        heads = heads[self.share, None]
        steps = stripe // self.window
        for step in range(skip, steps):
            along = turns + np.arange(step * self.window, (step + 1) * self.window)
            places = heads + (along % stripe if self.turned else along)
            targets = self.corpus.ids[places].astype(np.int64)
            counting = self.corpus.predicted(targets)
            yield Batch.of(self.corpus.before(places), targets, counting, fresh=step == 0, done=(step + 1) / steps)

    def _turns(self, epoch: int, heads: Numbers, stripe: int) -> Numbers:
        """How far inside its stripe (B,) each head begins: at the next document, where there is one."""
        turns = _generator(self.seed, epoch, 1).integers(0, stripe, self.rows)
        following = self.corpus.starts[np.searchsorted(self.corpus.starts, heads + turns)] - heads
        return np.where(following < stripe, following, turns)


class Buckets:
    """Single documents, those of like length side by side; long ones in several windows.

    A batch holds as many rows as make a step of about `batch_size × window` tokens, so short lines share
    a step. The order is a new random one in each epoch, and so is what is read before each document (`Prefixes`).
    """

    def __init__(
        self, corpus: Corpus, batch_size: int, window: int, seed: int, *, rank: int = 0, ranks: int = 1
    ) -> None:
        self.corpus, self.window, self.seed, self.share = corpus, window, seed, slice(rank, None, ranks)
        self.step_tokens = batch_size * window

    def batches(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """The steps of one epoch, the first `skip` left out."""
        tokens_done = step = 0
        for number, first in enumerate(range(0, len(self.corpus), DOCUMENTS_PER_CHUNK)):
            positions = np.arange(first, min(first + DOCUMENTS_PER_CHUNK, len(self.corpus)))
            chosen = shuffled(positions, len(self.corpus), self.seed * 1_000_003 + epoch)
            lengths = self.corpus.starts[chosen + 1] - self.corpus.starts[chosen]
            prefixes, sizes = self._prefixes(chosen, lengths, epoch)
            whole = lengths + sizes
            order = np.argsort(whole, kind="stable")
            groups = list(self._groups(whole[order]))
            for index in _generator(self.seed, epoch, number).permutation(len(groups)):
                members = order[groups[index]]
                longest = int(whole[members].max())
                windows = -(-longest // self._width(longest))
                if step + windows > skip:
                    rows = self._read(chosen[members], lengths[members], prefixes[members], sizes[members], longest)
                    for batch in self._cut(rows, tokens_done):
                        if step >= skip:
                            yield batch
                        step += 1
                else:
                    step += windows
                tokens_done += int(lengths[members].sum())

    def _width(self, longest: int) -> int:
        """Tokens of each window but perhaps the last: about `window`, in even parts."""
        return -(-longest // max(1, round(longest / self.window)))

    def _groups(self, lengths: Numbers) -> Iterator[slice]:
        """Cut ascending lengths into batches of about `step_tokens` tokens a window."""
        end = len(lengths)
        while end:
            start = max(0, end - max(1, self.step_tokens // self._width(int(lengths[end - 1]))))
            yield slice(start, end)
            end = start

    def _prefixes(self, documents: Numbers, lengths: Numbers, epoch: int) -> tuple[Numbers, Numbers]:
        """What is read before each document: ids (B, P), of which the first ones count, and how many (B,)."""
        nothing = np.zeros((len(documents), 0), np.int64), np.zeros(len(documents), np.int64)
        if self.corpus.prefixes is None:
            return nothing
        longest = min(int(lengths.max()), LOOKED_AT)
        rows, _ = self._read(documents, np.minimum(lengths, longest), *nothing, longest)
        return self.corpus.prefixes.of(documents, rows[:, 1:], self.seed, epoch)

    def _read(
        self, documents: Numbers, lengths: Numbers, prefixes: Numbers, sizes: Numbers, longest: int
    ) -> tuple[Numbers, npt.NDArray[np.bool_]]:
        """ids (B, 1 + longest), first the opening `<EOS>` and a prefix, and where (B, longest) the document stands."""
        along = np.arange(longest) - sizes[:, None]
        real = (along >= 0) & (along < lengths[:, None])
        places = self.corpus.starts[documents][:, None] + along
        ids = np.zeros((len(documents), longest + 1), dtype=np.int64)
        ids[:, 1:][real] = self.corpus.ids[places[real]]
        told = np.arange(prefixes.shape[1]) < sizes[:, None]
        rows, columns = told.nonzero()
        ids[rows, columns + 1] = prefixes[told]
        return ids, real

    def _cut(self, rows: tuple[Numbers, npt.NDArray[np.bool_]], tokens_done: int) -> Iterator[Batch]:
        ids, real = rows
        longest = real.shape[1]
        of_all = real.sum(0)
        ids, real = ids[self.share], real[self.share]
        if not len(ids):  # fewer rows than ranks: a row of padding keeps this one in step with the others
            ids, real = np.zeros((1, longest + 1), dtype=np.int64), np.zeros((1, longest), dtype=bool)
        width = self._width(longest)
        for start in range(0, longest, width):
            end = min(start + width, longest)
            targets = ids[:, start + 1 : end + 1]
            tokens_done += int(of_all[start:end].sum())
            yield Batch.of(
                ids[:, start:end],
                targets,
                real[:, start:end] & self.corpus.predicted(targets),
                fresh=start == 0,
                done=tokens_done / len(self.corpus.ids),
            )


def shuffled(positions: Numbers, size: int, seed: int) -> Numbers:
    """Where each position stands in a random order of `size` things, without storing that order.

    A four-round Feistel network over the next even power of two, walked until it falls inside (Black &
    Rogaway 2002): a permutation in constant memory, for corpora of any size.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    low = np.uint64((1 << half) - 1)
    keys = _generator(seed).integers(1, 1 << 62, size=4, dtype=np.uint64) | np.uint64(1)
    values = positions.astype(np.uint64)
    pending = np.ones(len(values), dtype=bool)
    while pending.any():
        left, right = values[pending] >> np.uint64(half), values[pending] & low
        for key in keys:
            mixed = (right + key) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
            mixed *= key
            left, right = right, left ^ ((mixed >> np.uint64(64 - half)) & low)
        values[pending] = left << np.uint64(half) | right
        pending = values >= np.uint64(size)
    return values.astype(np.int64)
