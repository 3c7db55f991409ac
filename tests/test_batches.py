from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import corpus_of, sentences

from charlm.errors import TrainingError
from charlm.text.vocab import EOS
from charlm.training import batches
from charlm.training.batches import Buckets, Stripes, shuffled


def counting(tokens: int):
    """A text whose ids are their own places, from 1 on: 1, 2, 3, …"""
    return corpus_of([list(range(1, tokens + 1))])


def same(some, others) -> bool:
    def plain(batch):
        mask = None if batch.mask is None else batch.mask.tolist()
        return batch.inputs.tolist(), batch.targets.tolist(), mask, batch.fresh, batch.done

    return [plain(batch) for batch in some] == [plain(batch) for batch in others]


# ── stripes ─────────────────────────────────────────────────────────────────────────────────────


@given(tokens=st.integers(2, 200), rows=st.integers(1, 8), window=st.integers(1, 40), epoch=st.integers(0, 3))
def test_stripes_read_each_token_once_and_each_target_follows_its_input(tokens, rows, window, epoch):
    if tokens < 2 * rows:
        return
    found = list(Stripes(counting(tokens), rows, window, seed=5).batches(epoch))
    targets = torch.cat([batch.targets for batch in found], dim=1)
    assert found and found[-1].done == 1.0
    assert [batch.fresh for batch in found] == [True] + [False] * (len(found) - 1)
    assert all(torch.equal(batch.targets, batch.inputs + 1) for batch in found)
    assert (targets[:, 1:] - targets[:, :-1] == 1).all()  # row b of a window begins where it ended before
    assert len(targets.unique()) == targets.numel()
    assert targets.max() <= tokens


def test_a_stripe_begins_where_the_one_above_it_ends():
    (batch,) = Stripes(counting(12), 3, 4, seed=1).batches(0)
    assert batch.inputs.tolist() == [[EOS, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert batch.targets.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
    assert batch.mask is None and batch.tokens == 12


def test_epochs_begin_at_different_places():
    source = Stripes(counting(400), 2, 20, seed=1)
    firsts = {int(next(source.batches(epoch)).inputs[0, 0]) for epoch in range(20)}
    assert len(firsts) > 5 and max(firsts) < 20


@given(tokens=st.integers(2, 200), rows=st.integers(1, 8), window=st.integers(1, 40), epoch=st.integers(0, 3))
def test_turned_stripes_read_each_token_once_and_each_target_follows_its_input(tokens, rows, window, epoch):
    if tokens < 2 * rows:
        return
    found = list(Stripes(counting(tokens), rows, window, seed=5, turned=True).batches(epoch))
    targets = torch.cat([batch.targets for batch in found], dim=1)
    assert all(torch.equal(batch.targets, batch.inputs + 1) for batch in found)
    assert ((targets[:, 1:] - targets[:, :-1] != 1).sum(1) <= 1).all()  # each row jumps back once at most
    assert len(targets.unique()) == targets.numel() and targets.max() <= tokens


def test_turned_stripes_begin_at_documents_and_come_last_to_what_they_left_out():
    lines = [[10 * line + place for place in range(1, 6)] for line in range(8)]  # 1..5, 11..15, …
    source = Stripes(corpus_of(lines), 2, 20, seed=3, turned=True)
    firsts = set()
    for epoch in range(30):
        (batch,) = source.batches(epoch)
        for row, targets in enumerate(batch.targets.tolist()):
            stripe = [token for line in lines[4 * row : 4 * row + 4] for token in line]
            turn = stripe.index(targets[0])
            assert targets == stripe[turn:] + stripe[:turn]
            firsts.add((row, targets[0]))
    inner = {(row, first) for row, first in firsts if first % 10 == 1}
    assert {(0, 11), (0, 21), (0, 31), (1, 51), (1, 61), (1, 71)} <= inner
    # where no document follows in the stripe, a head begins within the last one
    assert all(first // 10 in (3, 7) for _, first in firsts - inner)


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_turned_stripes_are_shared_by_ranks_and_skip_what_was_read(ranks):
    def source(**rest):
        return Stripes(counting(400), 6, 8, seed=1, turned=True, **rest)

    whole = list(source().batches(2))
    assert same(source().batches(2, skip=3), whole[3:])
    shares = [list(source(rank=rank, ranks=ranks).batches(2)) for rank in range(ranks)]
    for step, batch in enumerate(whole):
        for rank in range(ranks):
            assert torch.equal(shares[rank][step].targets, batch.targets[rank::ranks])


@given(skip=st.integers(0, 12))
def test_stripes_skip_what_was_read_already(skip):
    source = Stripes(counting(100), 3, 4, seed=2)
    assert same(source.batches(1, skip=skip), list(source.batches(1))[skip:])


def test_a_text_too_small_for_its_stripes_is_refused():
    with pytest.raises(TrainingError, match="9 tokens, too few for 5 stripes") as caught:
        Stripes(counting(9), 5, 4, seed=1)
    assert "--batch-size" in caught.value.hint
    assert len(list(Stripes(counting(10), 5, 4, seed=1).batches(0))) == 1


# ── buckets ─────────────────────────────────────────────────────────────────────────────────────


def documents_of(found) -> list[list[int]]:
    """The documents that a model reads in some batches, put together from their windows."""
    done, rows = [], []
    for batch in found:
        if batch.fresh:
            done += rows
            rows = [[] for _ in batch.inputs]
            assert (batch.inputs[:, 0] == EOS).all()
        real = torch.ones_like(batch.targets, dtype=torch.bool) if batch.mask is None else batch.mask
        for row, inputs, targets, mask in zip(rows, batch.inputs, batch.targets, real, strict=True):
            assert inputs[0] == (row[-1] if row else EOS) or not mask.any()
            assert torch.equal(inputs[1:][mask[1:]], targets[:-1][mask[1:]])
            row += targets[mask].tolist()
    return done + rows


DOCUMENTS = st.lists(st.lists(st.integers(1, 9), max_size=30).map(lambda ids: [*ids, EOS]), min_size=1, max_size=30)


@given(documents=DOCUMENTS, batch_size=st.integers(1, 5), window=st.integers(1, 12), epoch=st.integers(0, 2))
def test_every_token_of_every_document_is_a_target_once(documents, batch_size, window, epoch):
    found = list(Buckets(corpus_of(documents), batch_size, window, seed=3).batches(epoch))
    assert Counter(map(tuple, documents_of(found))) == Counter(map(tuple, documents))
    assert all(batch.tokens > 0 for batch in found)


@given(documents=DOCUMENTS, window=st.integers(1, 12), skip=st.integers(0, 40))
def test_buckets_skip_what_was_read_already(documents, window, skip):
    source = Buckets(corpus_of(documents), 2, window, seed=3)
    assert same(source.batches(1, skip=skip), list(source.batches(1))[skip:])


@given(documents=DOCUMENTS, window=st.integers(1, 12))
def test_done_is_the_share_of_tokens_that_were_read(documents, window):
    read = 0
    for batch in Buckets(corpus_of(documents), 2, window, seed=3).batches(0):
        read += batch.tokens
        assert batch.done == read / sum(map(len, documents))
    assert batch.done == 1.0


def test_one_long_document_is_not_done_after_its_first_window():
    found = list(Buckets(corpus_of([[2] * 39 + [EOS]]), 1, 10, seed=1).batches(0))
    assert [(batch.tokens, batch.fresh, batch.done) for batch in found] == [
        (10, True, 0.25),
        (10, False, 0.5),
        (10, False, 0.75),
        (10, False, 1.0),
    ]


def test_a_long_document_has_no_empty_window_at_its_end():
    # 9 tokens in windows of about 2 are 3 + 3 + 3, not 3 + 3 + 3 + 0.
    found = list(Buckets(corpus_of([[2] * 8 + [EOS]]), 1, 2, seed=1).batches(0))
    assert [batch.tokens for batch in found] == [3, 3, 3]


def test_a_step_has_about_as_many_tokens_as_were_asked_for():
    corpus = corpus_of(sentences(2000, longest=50))
    sizes = [batch.inputs.numel() for batch in Buckets(corpus, 8, 32, seed=1).batches(0)]
    assert 0.9 * 8 * 32 < np.median(sizes) <= 1.1 * 8 * 32
    assert max(sizes) <= 1.5 * 8 * 32


def test_little_of_a_step_is_padding():
    corpus = corpus_of(sentences(2000, longest=50))
    found = list(Buckets(corpus, 8, 32, seed=1).batches(0))
    assert sum(batch.tokens for batch in found) > 0.95 * sum(batch.inputs.numel() for batch in found)


def test_the_order_is_another_one_in_each_epoch_and_for_each_seed():
    corpus = corpus_of([[number, EOS] for number in range(1, 60)])

    def order(seed, epoch):
        return [row[0] for row in documents_of(Buckets(corpus, 4, 4, seed=seed).batches(epoch))]

    assert order(1, 0) == order(1, 0)
    assert len({tuple(order(seed, epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4


def test_documents_are_shuffled_across_chunks(monkeypatch):
    monkeypatch.setattr(batches, "DOCUMENTS_PER_CHUNK", 10)
    documents = [[number, EOS] for number in range(1, 41)]
    source = Buckets(corpus_of(documents), 2, 2, seed=1)
    read = documents_of(source.batches(0))
    assert sorted(read) == documents
    assert max(row[0] for row in read[:10]) > 20
    for skip in range(22):
        assert same(source.batches(0, skip=skip), list(source.batches(0))[skip:])


# ── the order ───────────────────────────────────────────────────────────────────────────────────


@given(size=st.integers(1, 3000), seed=st.integers(0, 1 << 40))
def test_a_shuffle_is_a_permutation(size, seed):
    assert sorted(shuffled(np.arange(size), size, seed).tolist()) == list(range(size))


@given(size=st.integers(1, 500), cut=st.integers(0, 500))
def test_a_shuffle_in_parts_is_the_whole_shuffle(size, cut):
    positions = np.arange(size)
    parts = [shuffled(positions[:cut], size, 4), shuffled(positions[cut:], size, 4)]
    assert np.array_equal(np.concatenate(parts), shuffled(positions, size, 4))


def test_shuffles_differ_by_seed_and_leave_little_in_place():
    found = [shuffled(np.arange(1000), 1000, seed) for seed in range(20)]
    assert len({tuple(order.tolist()) for order in found}) == 20
    assert np.mean([(order == np.arange(1000)).sum() for order in found]) < 4  # a random one leaves 1
    assert max(abs(np.corrcoef(order, np.arange(1000))[0, 1]) for order in found) < 0.2


def test_places_of_a_shuffle_are_evenly_spread():
    seconds = np.array([shuffled(np.arange(4), 4, seed) for seed in range(4000)])
    for position in range(4):
        counts = np.bincount(seconds[:, position], minlength=4)
        assert ((counts - 1000) ** 2 / 1000).sum() < 16.3  # chi-square, 3 degrees of freedom, 0.1 %


# ── shares of several processes ─────────────────────────────────────────────────────────────────

LINES = corpus_of([[*[2 + number % 50] * (number * 7 % 23), EOS] for number in range(61)])


def real_rows(batch) -> list[tuple[list[int], list[int]]]:
    mask = torch.ones_like(batch.targets, dtype=torch.bool) if batch.mask is None else batch.mask
    return [
        (read[real].tolist(), target[real].tolist())
        for read, target, real in zip(batch.inputs, batch.targets, mask, strict=True)
        if real.any()
    ]


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("source", [Stripes, Buckets])
def test_the_shares_of_all_ranks_are_step_by_step_the_whole(source, ranks):
    whole = list(source(LINES, 4, 8, 3).batches(1))
    shares = [list(source(LINES, 4, 8, 3, rank=rank, ranks=ranks).batches(1)) for rank in range(ranks)]
    assert [len(share) for share in shares] == [len(whole)] * ranks
    for batch, *parts in zip(whole, *shares, strict=True):
        assert sorted(row for part in parts for row in real_rows(part)) == sorted(real_rows(batch))
        assert sum(part.tokens for part in parts) == batch.tokens
        assert {(part.fresh, part.done) for part in parts} == {(batch.fresh, batch.done)}
        assert all(len(part.inputs) for part in parts)


def test_more_processes_than_stripes_are_refused():
    with pytest.raises(TrainingError, match="2 stripes are too few for 3 processes"):
        Stripes(LINES, 2, 8, 3, rank=0, ranks=3)
