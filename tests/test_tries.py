"""Hypotheses read as a trie say what each of them says alone."""

import numpy as np
import pytest
import torch
from contracts.test_language_model import MODELS
from small import Fixed, recurrent, same_bits_in_any_batch, sentences
from test_scoring import one_by_one

from charlm import scoring
from charlm.models.base import branch, pick
from charlm.scoring import distinct, log_probs_of_lists, log_probs_of_prefixes, prefixes, reading
from charlm.text.vocab import EOS

# Equal ones, one that is a part of another, one that ends at once, and two with nothing in common.
FAMILY = [[2, 3, 4, EOS], [2, 3, 5, EOS], [2, 3, 4, EOS], [2, 3], [], [EOS], [6, 1, 2, 3, 5, EOS], [2, 3, 4, 6, 6, EOS]]


def variants(count: int, *, lists: int = 6, longest: int = 15, vocab_size: int = 12, seed: int = 1):
    """Lists of documents that differ from the first one in one or two places."""
    numbers = np.random.default_rng(seed)
    for first in sentences(lists, vocab_size=vocab_size, longest=longest, seed=seed):
        yield [first]
        for _ in range(count - 1):
            other = list(first)
            for place in numbers.integers(0, len(other), min(2, len(other) - 1)):
                other[place] = int(numbers.integers(1, vocab_size)) if other[place] != EOS else EOS
            yield [other]


LISTS = [[document for (document,) in list(variants(6))[start : start + 6]] for start in range(0, 36, 6)]


def assert_same(found, expected, **tolerance):
    assert len(found) == len(expected)
    for some, others in zip(found, expected, strict=True):
        assert some.shape == others.shape
        np.testing.assert_allclose(some, others, **(tolerance or {"rtol": 1e-9, "atol": 1e-12}))


@pytest.mark.parametrize("fewest", [1, 16])
@pytest.mark.parametrize("name", MODELS)
def test_a_trie_says_of_every_model_what_each_document_alone_says(name, fewest):
    model = MODELS[name]()
    found = log_probs_of_prefixes(model, FAMILY, fewest=fewest)
    assert_same(found, list(one_by_one(model, FAMILY)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_a_branch_is_a_step_of_which_some_successors_are_asked(name):
    model = MODELS[name]()
    ids, parents, targets = torch.tensor([2, 5, 0]), torch.tensor([0, 0, 1, 2, 2]), torch.tensor([3, 0, 6, 6, 1])
    with torch.no_grad():
        _, state = model.score(torch.tensor([[0, 2], [0, 4], [0, 6]]), torch.zeros(3, 2).long(), model.initial_state(3))
        found, after = branch(model, ids, state, parents, targets)
        every, expected = model.step(ids, state)
        torch.testing.assert_close(found, every[parents, targets])
        for leaf, other in zip(after, expected, strict=True):
            torch.testing.assert_close(leaf, other)
        rows = torch.tensor([2, 0])
        again, _ = branch(model, ids[rows], pick(state, rows), torch.tensor([0, 1]), torch.tensor([1, 3]))
    torch.testing.assert_close(again, found[[4, 0]])


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn-tanh"])
def test_in_float32_they_agree_within_a_hundred_thousandth(cell):
    model = recurrent(12, cell=cell, dtype=torch.float32, hidden=64, embedding=48)
    documents = [document for documents in LISTS for document in documents]
    assert_same(log_probs_of_prefixes(model, documents), list(one_by_one(model, documents)), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("rows", "numbers"), [(1, 1), (3, 40), (4096, 1 << 21)])
def test_tries_of_any_size_and_blocks_of_any_size_say_the_same(rows, numbers, monkeypatch):
    monkeypatch.setattr(prefixes, "MOST_ROWS", rows)
    monkeypatch.setattr("charlm.models.output.SUCCESSOR_NUMBERS", numbers)
    monkeypatch.setattr("charlm.models.output.FEWEST_BLOCK_ROWS", 2)
    model = recurrent(12)
    documents = [document for documents in LISTS for document in documents] + FAMILY
    assert_same(log_probs_of_prefixes(model, documents), list(one_by_one(model, documents)))


def test_a_large_state_makes_small_tries(monkeypatch):
    widest = []

    class Large(Fixed):
        def initial_state(self, batch_size):
            return (torch.zeros(batch_size, 1000, dtype=torch.float64),)

        def step(self, ids, state):
            widest.append(len(ids))
            return super().step(ids, state)

        def score(self, inputs, targets, state):
            widest.append(len(inputs))
            return super().score(inputs, targets, state)

    monkeypatch.setattr(prefixes, "STATE_BYTES", 5 * 8000)
    log_probs_of_prefixes(Large(*[1 / 12] * 12), sentences(100))
    assert max(widest) <= 5


def test_shared_beginnings_are_read_once():
    read = []

    class Counting(Fixed):
        def branch(self, ids, state, parents, targets):
            read.append(len(ids))
            return self.log_probs[targets], (state[0] + 1,)

    documents = [[2, 3, 3, EOS], [2, 3, 1, EOS], [2, 1, EOS]]
    log_probs_of_prefixes(Counting(0.25, 0.25, 0.25, 0.25), documents)
    assert sum(read) == 6  # "", 2, 23, 21, 233, 231
    assert distinct(documents) == 8


@pytest.mark.parametrize("documents", [[], [[]], [[], [EOS]], [[2, EOS]], FAMILY, *LISTS])
def test_different_beginnings_are_counted(documents):
    beginnings = {tuple(document[:length]) for document in documents for length in range(1, len(document) + 1)}
    assert distinct(documents) == len(beginnings)


@pytest.mark.parametrize("worth", [0.0, 0.7, 2.0])
@pytest.mark.parametrize("name", ["family recurrent", "family ngram", "family mixture"])
def test_lists_come_back_as_lists_whichever_way_each_is_read(name, worth, monkeypatch):
    monkeypatch.setattr(prefixes, "WORTH", worth)
    model = MODELS[name]()
    lists = [[], FAMILY, [[3, EOS]], FAMILY[3:], []]
    found = log_probs_of_lists(model, lists)
    for documents, log_probs in zip(lists, found, strict=True):
        assert_same(log_probs, list(one_by_one(model, documents)), rtol=1e-5, atol=1e-6)


def test_what_counts_is_read_side_by_side_and_so_are_long_documents(monkeypatch):
    asked = []
    monkeypatch.setattr(
        prefixes, "log_probs_of_prefixes", lambda model, documents, fewest: asked.append(documents) or []
    )
    log_probs_of_lists(MODELS["family ngram"](), [FAMILY])
    monkeypatch.setattr(reading, "WINDOW", 5)
    log_probs_of_lists(recurrent(), [FAMILY])
    assert asked == [[], []]


@pytest.mark.parametrize("hidden", [64, 16, 25])  # of which one row fills torch's lanes, two do, 32 do
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_figures_of_a_list_do_not_hang_on_other_lists(cell, hidden):
    model = recurrent(12, cell=cell, dtype=torch.float32, hidden=hidden, embedding=48)
    whole = log_probs_of_lists(model, LISTS, fewest=scoring.FEWEST_ROWS)
    for number, documents in enumerate(LISTS):
        (alone,) = log_probs_of_lists(model, [documents], fewest=scoring.FEWEST_ROWS)
        assert_same(alone, whole[number], rtol=1e-4, atol=1e-6)
        same = all(np.array_equal(some, others) for some, others in zip(alone, whole[number], strict=True))
        assert same or not same_bits_in_any_batch()
