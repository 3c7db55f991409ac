"""What is read before each document in training: a pure function of seed, epoch and document, and never a target."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small import corpus_of, recurrent

from charlm.config.training import TrainingConfig
from charlm.jobs.annotate import told_nats
from charlm.scoring import evaluate_corpus
from charlm.text.prefixes import WORDS, Prefixes, uniform
from charlm.text.vocab import EOS
from charlm.training.batches import Buckets
from charlm.training.devices import Machine
from charlm.training.gradient import fit
from charlm.training.journal import MemoryJournal
from charlm.training.texts import Texts

FORM, OTHER, RHYME, OPENS, CLOSES = 2, 3, 4, 5, 6  # control tokens; 7 is a mark, 8 and more are characters
MARK, SIZE = 7, 30
VERSE = np.arange(SIZE) > MARK
LINE = [8, 9, 10, 11, 12, MARK, 13, 14, 15, 16, 17, MARK, EOS]


def prefixes(tokens, *, theme=True, dropout=0.0, words=VERSE):
    return Prefixes(np.array(tokens, np.int32), (OPENS, CLOSES) if theme else None, words, VERSE, dropout)


def corpus(documents, told):
    return replace(corpus_of(documents), controls=5, prefixes=told)


def of(told, documents, seed=1, epoch=0):
    """The prefix of each document, as a list."""
    rows = np.zeros((len(documents), max(map(len, documents))), np.int64)
    for row, document in zip(rows, documents, strict=True):
        row[: len(document)] = document
    ids, sizes = told.of(np.arange(len(documents)), rows, seed, epoch)
    return [row[:size].tolist() for row, size in zip(ids, sizes, strict=True)]


def test_tokens_stand_in_their_order_and_what_a_document_lacks_leaves_no_gap():
    told = prefixes([[FORM, RHYME], [EOS, RHYME], [OTHER, EOS], [EOS, EOS]], theme=False)
    assert of(told, [LINE] * 4) == [[FORM, RHYME], [RHYME], [OTHER], []]


def test_a_theme_is_one_or_two_words_of_the_document_between_its_two_tokens():
    told = prefixes(np.zeros((400, 0)))
    found = of(told, [LINE] * 400)
    pairs = {(8, 9), (10, 11), (13, 14), (15, 16)}  # as verse is read: 床前 明月 光
    seen = set()
    for prefix in found:
        assert prefix[0] == OPENS and prefix[-1] == CLOSES and 1 <= len(prefix) - 2 <= 2 * WORDS
        inside = prefix[1:-1]
        assert set(inside) <= set(LINE) - {MARK, EOS} and len(set(inside)) == len(inside)
        if len(inside) == 4:
            assert {tuple(inside[:2]), tuple(inside[2:])} <= pairs
        seen |= set(inside)
    assert seen == set(LINE) - {MARK, EOS}
    assert {len(prefix) - 2 for prefix in found} == {1, 2, 3, 4}


def test_words_that_are_no_theme_are_never_told():
    only = np.zeros(SIZE, np.bool_)
    only[[9, 16]] = True
    assert {tuple(prefix) for prefix in of(prefixes(np.zeros((60, 0)), words=only), [LINE] * 60)} == {
        (OPENS, 9, CLOSES),
        (OPENS, 16, CLOSES),
        (OPENS, 9, 16, CLOSES),
        (OPENS, 16, 9, CLOSES),
    }
    assert of(prefixes(np.zeros((1, 0)), words=np.zeros(SIZE, np.bool_)), [LINE]) == [[]]


def test_shares_are_left_out_each_by_itself_and_all_together():
    many = 20_000
    found = of(prefixes([[FORM, RHYME]] * many, dropout=0.2), [LINE] * many)
    has = np.array([[FORM in prefix, RHYME in prefix, OPENS in prefix] for prefix in found])
    assert has.mean(0) == pytest.approx([0.8 * 0.8] * 3, abs=0.01)
    assert (~has.any(1)).mean() == pytest.approx(0.2 + 0.8 * 0.2**3, abs=0.01)
    assert (has[:, 0] & ~has[:, 1]).mean() == pytest.approx(0.8 * 0.8 * 0.2, abs=0.01)


def test_prefixes_are_others_in_each_epoch_and_the_same_beside_any_other_documents():
    documents, many = [LINE] * 50, prefixes([[FORM, RHYME]] * 50, dropout=0.3)
    first = of(many, documents)
    assert of(many, documents) == first != of(many, documents, epoch=1) != of(many, documents, seed=2)
    rows = np.array([LINE] * 3)
    ids, sizes = many.of(np.array([41, 7, 7]), rows, 1, 0)
    assert [row[:size].tolist() for row, size in zip(ids, sizes, strict=True)] == [first[41], first[7], first[7]]


def test_chances_are_spread_evenly_and_independent():
    numbers = np.arange(50_000)
    for one, other in ((uniform(numbers, 1, 0, 0), uniform(numbers, 1, 0, 1)),
                       (uniform(numbers, 1, 0, 0), uniform(numbers, 2, 0, 0))):  # fmt: skip
        assert np.histogram(one, 10, (0, 1))[0] == pytest.approx([5000] * 10, rel=0.06)
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.02
        assert one.min() >= 0 and one.max() < 1


# ── steps of training ───────────────────────────────────────────────────────────────────────────


def documents(count=40):
    numbers = np.random.default_rng(0)
    return [[*numbers.integers(MARK, SIZE, numbers.integers(1, 30)).tolist(), EOS] for _ in range(count)]


@pytest.mark.parametrize("window", [4, 64])
def test_every_token_of_the_text_is_a_target_once_and_no_prefix_ever_is(window):
    texts = documents()
    told = prefixes([[FORM, RHYME]] * len(texts), dropout=0.2)
    source = Buckets(corpus(texts, told), 4, window, 1)
    for epoch in (0, 1):
        batches = list(source.batches(epoch))
        counted, read = [], []
        for batch in batches:
            mask = torch.ones_like(batch.targets, dtype=torch.bool) if batch.mask is None else batch.mask
            counted += batch.targets[mask].tolist()
            read += batch.inputs.ravel().tolist()
        assert sorted(counted) == sorted(token for document in texts for token in document)
        assert {FORM, RHYME, OPENS, CLOSES} <= set(read) and not {FORM, RHYME, OPENS, CLOSES} & set(counted)
        assert batches[-1].done == pytest.approx(1.0)


def test_a_document_is_read_behind_its_prefix_and_padding_behind_it():
    told = prefixes([[FORM, EOS], [OTHER, RHYME]], theme=False)
    (batch,) = Buckets(corpus([[8, 9, EOS], [10, EOS]], told), 4, 8, 1).batches(0)
    rows = {
        tuple(i): (t, m)
        for i, t, m in zip(batch.inputs.tolist(), batch.targets.tolist(), batch.mask.tolist(), strict=True)
    }
    assert rows == {
        (EOS, FORM, 8, 9): ([FORM, 8, 9, EOS], [False, True, True, True]),
        (EOS, OTHER, RHYME, 10): ([OTHER, RHYME, 10, EOS], [False, False, True, True]),
    }


def test_steps_that_are_skipped_are_those_that_would_have_been_read():
    source = Buckets(corpus(documents(), prefixes([[FORM, RHYME]] * 40, dropout=0.3)), 2, 8, 5)
    whole = list(source.batches(3))
    for skip in (1, 4, len(whole) - 1):
        rest = list(source.batches(3, skip))
        assert len(rest) == len(whole) - skip
        assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(rest, whole[skip:], strict=True))


def test_processes_read_the_same_prefixes_as_one():
    told = corpus(documents(), prefixes([[FORM, RHYME]] * 40, dropout=0.3))
    whole = list(Buckets(told, 4, 8, 5).batches(0))
    shares = [list(Buckets(told, 4, 8, 5, rank=rank, ranks=2).batches(0)) for rank in (0, 1)]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert sum(part.tokens for part in parts) == batch.tokens


class Dropping(MemoryJournal):
    """A journal that stops the training after every step."""

    def stop_signal(self):
        return 15


def test_a_training_that_is_stopped_after_every_step_reads_the_same_prefixes_again():
    told = corpus(documents(), prefixes([[FORM, RHYME]] * 40, dropout=0.3))
    knobs = TrainingConfig(batch_size=8, window=16, steps=24, validations=1, seed=3)

    def trained(journal):
        model = recurrent(SIZE, dtype=torch.float32, hidden=8)
        machine = Machine(torch.device("cpu"), "float32")
        return fit(model, Texts(told, None, False), knobs, machine=machine, journal=journal, report=lambda _: None)

    whole, stopped = MemoryJournal(), Dropping()
    assert trained(whole).place.epoch > 0  # there is more than one epoch of prefixes
    for _ in range(25):
        outcome = trained(stopped)
    assert outcome.place.step == 24
    assert all(torch.equal(tensor, stopped.weights[name]) for name, tensor in whole.weights.items())


# ── figures ─────────────────────────────────────────────────────────────────────────────────────


def test_a_validation_text_is_measured_untold_and_told_figures_stand_beside_it():
    texts, model = documents(), recurrent(SIZE)
    plain = replace(corpus_of(texts), controls=5)
    told = corpus(texts, prefixes([[FORM, RHYME]] * 40, dropout=0.3))
    assert evaluate_corpus(model, told, carried=False) == evaluate_corpus(model, plain, carried=False)
    found = told_nats(model, told)
    by_hand = 0.0
    for document in texts:
        whole = torch.tensor([[EOS, FORM, RHYME, *document]])
        log_probs, _ = model.score(whole[:, :-1], whole[:, 1:], model.initial_state(1))
        by_hand -= float(log_probs[0, 2:].detach().sum())
    assert found["tokens"] == plain.facts.tokens
    assert found["nats"] == pytest.approx(by_hand)
    assert found["nats_with_theme"] != pytest.approx(by_hand)
    assert "nats_with_theme" not in told_nats(model, corpus(texts, prefixes([[FORM]] * 40, theme=False)))
