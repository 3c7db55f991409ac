"""Documents that begin alike, read once as far as they do: the hypotheses of an utterance.

Documents are the paths of a trie whose nodes are what has been read so far. It is read level by level, the nodes of a
level side by side: one step of the model gives a node's state, and one look at the vocabulary the log-probabilities of
all its successors that occur.

    <EOS> ─ 今 ─ 天 ─ 天 ─ 气 ─ <EOS>       three documents of 14 tokens that have 10 different beginnings; 8 contexts
                    │    └─ 汽 ─ <EOS>      are read instead of 14, since what closes a document is predicted alone
                    └─ 添 ─ <EOS>

A model that reads backwards is given its documents backwards: there it is endings that are shared.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt
import torch

from charlm.models.base import LanguageModel, branch, device_of, pick
from charlm.scoring import reading
from charlm.scoring.score import LogProbArray
from charlm.text.vocab import EOS

MOST_ROWS = 4096  # documents of one trie
STATE_BYTES = 1 << 28  # states of its nodes that are held at once
FEWEST_DOCUMENTS = 64  # below which the levels of a trie are so narrow that side by side is faster
WORTH = 0.95  # share of beginnings that are different, up to which a trie is faster than documents side by side


def log_probs_of_lists(
    model: LanguageModel, lists: Sequence[list[list[int]]], *, fewest: int = 1
) -> list[list[LogProbArray]]:
    """Token log-probabilities of the documents of some lists; documents know nothing of each other.

    A list whose documents have much in common is read as a trie, if the model offers `branch`; any other as
    `log_probs_of_lines`.

    fewest  see `log_probs_of_lines`; above 1 the list alone decides how it is read, so that no figure hangs on another
            list. Otherwise a trie is for FEWEST_DOCUMENTS at least
    """
    offers = hasattr(model, "branch") and (fewest > 1 or sum(map(len, lists)) >= FEWEST_DOCUMENTS)
    shared = [offers and _pays(documents) for documents in lists]
    together, apart = (
        [document for documents, alike in zip(lists, shared, strict=True) if alike is wanted for document in documents]
        for wanted in (True, False)
    )
    read = log_probs_of_prefixes(model, together, fewest=fewest)
    found = iter(read), reading.log_probs_of_lines(model, apart, fewest=fewest)
    return [[next(found[not alike]) for _ in documents] for documents, alike in zip(lists, shared, strict=True)]


def _pays(documents: list[list[int]]) -> bool:
    if max(map(len, documents), default=0) > reading.WINDOW:
        return False
    return distinct(documents) <= WORTH * sum(map(len, documents))


def distinct(documents: list[list[int]]) -> int:
    """How many different beginnings some documents have, themselves included.

    >>> distinct([[5, 6, 0], [5, 7, 0], [5, 6, 0]])
    5
    """
    ids, lengths = _rows(sorted(documents))
    return int(lengths.sum() - np.minimum(_shared(ids), lengths).clip(min=0).sum())


@torch.no_grad()
def log_probs_of_prefixes(model: LanguageModel, documents: list[list[int]], *, fewest: int = 1) -> list[LogProbArray]:
    """Token log-probabilities of documents that know nothing of each other, what they share read once.

    Equal to those of each document alone but for the rounding of the model. Of a model's states so many are held as
    MOST_ROWS and STATE_BYTES allow, whatever number of documents there is.

    fewest  rows that are read at once, some of them twice if need be: see `log_probs_of_lines`, `height_of`
    """
    order = sorted(range(len(documents)), key=lambda number: documents[number])
    found: list[LogProbArray] = [np.empty(0)] * len(documents)
    row_bytes = sum(leaf.nbytes for leaf in model.initial_state(1))
    rows = max(1, fewest, min(MOST_ROWS, STATE_BYTES // max(1, row_bytes)))
    for start in range(0, len(order), rows):
        some = order[start : start + rows]
        ids, lengths = _rows([documents[number] for number in some])
        log_probs = _walk(model, ids, lengths, fewest)
        for row, number in enumerate(some):
            found[number] = log_probs[row, : lengths[row]]
    return found


def _rows(documents: Sequence[Sequence[int]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Documents as rows of ids (R, T), -1 behind their ends, and their lengths (R,)."""
    lengths = np.fromiter(map(len, documents), np.int64, len(documents))
    ids = np.full((len(documents), int(lengths.max(initial=0))), -1, dtype=np.int64)
    real = np.arange(ids.shape[1]) < lengths[:, None]
    ids[real] = np.fromiter(chain.from_iterable(documents), np.int64, int(lengths.sum()))
    return ids, lengths


def _shared(ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many places each row has in common with the one before it, -1 for the first: ids (R, T)  ->  (R,)"""
    if not ids.size:
        return np.full(len(ids), -1)
    other = ids[1:] != ids[:-1]
    common = np.where(other.any(axis=1), other.argmax(axis=1), ids.shape[1])
    return np.concatenate([[-1], common])


def _walk(
    model: LanguageModel, ids: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], fewest: int
) -> LogProbArray:
    """Sorted rows ids (R, T), lengths (R,)  ->  log_probs (R, T)"""
    shared = _shared(ids)
    found = np.zeros(ids.shape)
    state = model.initial_state(1)
    device = device_of(state)
    place = np.zeros(len(ids), dtype=np.int64)  # of each row's node among those of the level before
    for depth in range(ids.shape[1]):
        rows = np.flatnonzero(lengths > depth)
        # What each row has in common with the one before it that goes on as well.
        common = np.minimum.reduceat(shared[: rows[-1] + 1], np.concatenate([[0], rows[:-1] + 1]))
        heads, nodes = _numbered(common < depth)  # rows that begin alike are one node
        asked, edges = _numbered(common <= depth)  # and those that go on alike one successor
        read = ids[rows[heads], depth - 1] if depth else np.full(len(heads), EOS)
        before, parents, targets = place[rows[heads]], nodes[asked], ids[rows[asked], depth]
        height = reading.height_of(len(read), fewest, state)
        if missing := height - len(read):
            spare = np.arange(len(read), height)
            read, before = np.resize(read, height), np.resize(before, height)
            parents, targets = np.concatenate([parents, spare]), np.concatenate([targets, np.full(missing, EOS)])
        log_probs, state = branch(
            model,
            torch.from_numpy(read).to(device),
            pick(state, torch.from_numpy(before).to(device)),
            torch.from_numpy(parents).to(device),
            torch.from_numpy(targets).to(device),
        )
        found[rows, depth] = log_probs.cpu().double().numpy()[edges]
        place[rows] = nodes
    return found


def _numbered(begins: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows that begin something, the first one always does, and for each row the number of what it belongs to."""
    return np.flatnonzero(begins), np.cumsum(begins) - 1
