"""Smoothing: every probability beside one that was worked out with fractions, straight from the definitions.

The reference below knows no arrays and no tries: it asks a Counter of tuples, order by order, and interpolates
(Chen & Goodman 1998).
"""

import math
from collections import Counter, defaultdict
from fractions import Fraction
from functools import cache
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import corpus_of

from charlm.config.models import NgramConfig
from charlm.errors import TrainingError
from charlm.models.ngram import Ngram
from charlm.ngrams.columns import scratch_folder
from charlm.ngrams.counting import count
from charlm.ngrams.learning import learn
from charlm.ngrams.smoothing import SMOOTHERS, CountsOfCounts, Rule, choose, sentences
from charlm.text.vocab import EOS

V = 5  # <EOS>, <UNK>, a, b, c
DOCUMENTS = st.lists(
    st.lists(st.integers(1, V - 1), max_size=6).map(lambda words: [*words, EOS]), min_size=1, max_size=6
)
CUTOFFS = st.sampled_from(["0", "0,0,1", "0,1", "0,1,2", "0,3"])
AB = [[2, 3, EOS], [2, EOS]]  # "ab" and "a"

# ── the reference ───────────────────────────────────────────────────────────────────────────────


def said(chosen):
    """The sentence about one order; None where its smoother fits."""
    return next(sentences([chosen]), None)


def seen(documents, order, *, carried):
    """For each order: how often each n-gram was seen, what stood before it, and how often nothing did."""
    found = [(Counter(), defaultdict(set), Counter()) for _ in range(order)]
    for text in [[token for document in documents for token in document]] if carried else documents:
        read = [EOS, *text]
        for end in range(2, len(read) + 1):
            for n in range(1, min(order, end) + 1):
                times, before, first = found[n - 1]
                gram = tuple(read[end - n : end])
                times[gram] += 1
                if end == n:
                    first[gram] += 1
                else:
                    before[gram].add(read[end - n - 1])
    return [entry for entry in found if entry[0]]


def discounts_of(name, numbers):
    """What is taken off counts of 1, 2, and 3 or more; None: Witten-Bell's share instead."""
    n = Counter(numbers)
    if name == "modified-kneser-ney":
        if n[1] and n[2] and n[3] and n[4]:
            y = Fraction(n[1], n[1] + 2 * n[2])
            found = [j - (j + 1) * y * Fraction(n[j + 1], n[j]) for j in (1, 2, 3)]
            if min(found) > 0:
                return found
        name = "kneser-ney"
    if name in ("kneser-ney", "absolute"):
        return [Fraction(n[1], n[1] + 2 * n[2])] * 3 if n[1] and n[2] else None
    return [0, 0, 0] if name in ("add-k", "ml") else None


def reference(documents, order, name, *, vocab=V, k=1, cutoffs=(0,), carried=False):
    """A function (h, w) -> P(w | h), a Fraction."""
    found = seen(documents, order, carried=carried)
    order = len(found)
    kneser_ney = "kneser-ney" in name
    tables = [
        {gram: len(before[gram]) + first[gram] for gram in times} if kneser_ney and n < order else times
        for n, (times, before, first) in enumerate(found, 1)
    ]
    discounts = [discounts_of(name, table.values()) for table in tables]

    def stands(gram):
        """Whether a model has an entry for it: every single token has one."""
        n = len(gram)
        return n < 2 or found[n - 1][0][gram] > cutoffs[min(n, len(cutoffs)) - 1]

    @cache
    def probability(h, w):
        if len(h) >= order or not stands(h):
            return probability(h[1:], w)
        n = len(h) + 1
        row = {v: tables[n - 1].get((*h, v), 0) for v in range(vocab)}
        total = sum(row.values())
        even = Fraction(1, vocab)
        if not total:
            return even if name == "add-k" or not h else probability(h[1:], w)  # (0 + k) / (0 + k V)
        lower = even if name == "add-k" or not h else probability(h[1:], w)
        taken = {v: discounts[n - 1][min(c, 3) - 1] if c and discounts[n - 1] else 0 for v, c in row.items()}
        added = sum(1 for c in row.values() if c) if discounts[n - 1] is None else 0
        if name == "add-k":
            added = k * vocab
        share = {v: Fraction(c - taken[v]) / (total + added) for v, c in row.items()}
        left = Fraction(sum(taken.values()) + added) / (total + added)
        for v in row:
            if not stands((*h, v)):
                left += share[v]
                share[v] = 0
        return share[w] + left * lower

    return probability


# ── what charlm makes of it ─────────────────────────────────────────────────────────────────────


def trained(documents, order=3, *, vocab=V, carried=False, **knobs):
    """A model, and what was said while it was made."""
    corpus, said = corpus_of(documents), []
    beginnings = np.zeros(1, dtype=np.int64) if carried else corpus.starts[:-1]
    with scratch_folder() as scratch:
        counts = count(corpus.ids, beginnings, vocab, order, memory=1 << 20, scratch=scratch)
        tables = learn(counts, NgramConfig(order=order, **knobs), scratch, said.append)
    return Ngram(tables), said


def distributions(model, length):
    """Every context of a length, and P(· | context) as the model gives it: (V^length, V) in float64."""
    contexts = list(product(range(model.vocab_size), repeat=length))
    if not length:
        return contexts, np.exp(model.tables.levels[0].log_probs.at(slice(None)).astype(np.float64))[None]
    ids, state = torch.tensor(contexts), model.initial_state(len(contexts))
    for column in ids.T:
        log_probs, state = model.step(column, state)
    return contexts, np.exp(log_probs.double().numpy())


def assert_alike(model, probability, lengths):
    for length in lengths:
        contexts, found = distributions(model, length)
        expected = [[float(probability(h, w)) for w in range(model.vocab_size)] for h in contexts]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


# ── laws ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", SMOOTHERS)
@settings(max_examples=25)
@given(documents=DOCUMENTS, order=st.integers(1, 4), carried=st.booleans(), cutoffs=CUTOFFS)
def test_every_probability_is_that_of_the_definition(name, documents, order, carried, cutoffs):
    numbers = tuple(map(int, cutoffs.split(",")))
    model, _ = trained(documents, order, smoothing=name, carried=carried, cutoffs=cutoffs)
    probability = reference(documents, order, name, carried=carried, cutoffs=numbers)
    assert_alike(model, probability, range(min(order, 3)))


@pytest.mark.parametrize("name", SMOOTHERS)
@pytest.mark.parametrize("carried", [False, True])
def test_every_probability_of_a_longer_text_is_that_of_the_definition(name, carried):
    # Frequencies that fall as those of words do, so that the discounts of every order fit.
    shares = 1 / np.arange(1, 16) ** 1.6
    words = np.random.default_rng(0).choice(np.arange(1, 16), 250, p=shares / shares.sum()).tolist()
    documents = [[*words[start : start + 8], EOS] for start in range(0, 250, 8)]
    model, said = trained(documents, 3, vocab=16, smoothing=name, carried=carried)
    assert said == []  # no stand-in was needed
    assert_alike(model, reference(documents, 3, name, vocab=16, carried=carried), range(3))


@given(documents=DOCUMENTS, k=st.sampled_from([0.01, 0.5, 1.0, 3.0]))
@settings(max_examples=15)
def test_add_k_adds_k_to_every_count_and_to_nothing_else(documents, k):
    model, _ = trained(documents, 3, smoothing="add-k", add_k=k)
    grams = [times for times, _, _ in seen(documents, 3, carried=False)]
    for length in range(len(grams)):
        contexts, found = distributions(model, length)
        for h, row in zip(contexts, found, strict=True):
            numbers = [grams[length][*h, w] for w in range(V)]
            if sum(numbers):
                expected = [(number + k) / (sum(numbers) + k * V) for number in numbers]
                assert row.tolist() == pytest.approx(expected, abs=1e-6)


@given(documents=DOCUMENTS)
@settings(max_examples=15)
def test_maximum_likelihood_gives_count_ratios_to_what_was_seen_and_nothing_to_the_rest(documents):
    model, _ = trained(documents, 3, smoothing="ml")
    grams = [times for times, _, _ in seen(documents, 3, carried=False)]
    for length in range(len(grams)):
        contexts, found = distributions(model, length)
        for h, row in zip(contexts, found, strict=True):
            numbers = np.array([grams[length][*h, w] for w in range(V)])
            if numbers.sum():
                assert row == pytest.approx(numbers / numbers.sum(), abs=1e-6)
                assert (row[numbers == 0] == 0.0).all()


# ── by hand: "ab" and "a", a vocabulary of four ─────────────────────────────────────────────────

# Unigrams: a 2, b 1, <EOS> 2, five in all. After a: b once, <EOS> once. Bigrams: three seen once, one twice.
BY_HAND = {
    "ml": {"b": 1 / 5, "b after a": 1 / 2, "<UNK> after a": 0.0},
    "add-k": {"b": 2 / 9, "b after a": 2 / 6, "<UNK> after a": 1 / 6},
    # Three types: (1 + 3/4) / (5 + 3). After a there are two: (1 + 2 · 7/32) / (2 + 2).
    "witten-bell": {"b": 7 / 32, "b after a": 23 / 64, "<UNK> after a": 3 / 64},
    # Unigrams: n1 = 1, n2 = 2, D = 1/5, (1 - 1/5) / 5 + 3/25 · 1/4. Bigrams: n1 = 3, n2 = 1, D = 3/5.
    "absolute": {"b": 0.19, "b after a": 0.2 + 0.6 * 0.19, "<UNK> after a": 0.6 * 0.03},
    # Before a stood the opening <EOS>, before b a, before <EOS> a and b: 1, 1, 2, so D = 2/4, and P(b) is
    # (1 - 1/2) / 4 + 3/8 · 1/4.
    "kneser-ney": {"b": 7 / 32, "b after a": 0.2 + 0.6 * 7 / 32, "<UNK> after a": 0.6 * 3 / 32},
}


@pytest.mark.parametrize("name", BY_HAND)
def test_two_lines_by_hand(name):
    model, _ = trained(AB, 2, vocab=4, smoothing=name)
    unigrams, bigrams = distributions(model, 0)[1][0], distributions(model, 1)[1]
    found = {"b": unigrams[3], "b after a": bigrams[2, 3], "<UNK> after a": bigrams[2, 1]}
    assert found == pytest.approx(BY_HAND[name], abs=1e-6)


@pytest.mark.parametrize("order", [1, 3])
def test_a_model_of_numbers_that_are_not_finite_is_refused_before_anything_is_saved(order):
    with pytest.raises(TrainingError, match="not finite") as caught:
        trained([[2, 3, EOS]], order, smoothing="add-k", add_k=1e308)
    assert "--add-k" in caught.value.hint
    trained([[2, 3, EOS]], order, smoothing="add-k", add_k=1e300)  # as good as even
    trained([[2, 3, EOS]], order, smoothing="ml")  # impossible is a number that may be saved


def test_the_lines_by_hand_hold_every_smoother_that_does_not_need_more_text():
    assert set(BY_HAND) == set(SMOOTHERS) - {"modified-kneser-ney"}


def test_the_discounts_of_modified_kneser_ney_by_hand():
    # Y = 10 / (10 + 2 · 5) = 1/2; 1 - 2 · 1/2 · 5/10, 2 - 3 · 1/2 · 3/5, 3 - 4 · 1/2 · 2/3
    chosen = choose("modified-kneser-ney", 2, [10, 5, 3, 2], 1.0)
    assert chosen.rule.discounts == pytest.approx((1 / 2, 11 / 10, 5 / 3))
    assert (chosen.rule.per_type, chosen.rule.flat) == (0.0, 0.0)
    assert (chosen.order, chosen.smoother, said(chosen)) == (2, "modified-kneser-ney", None)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("kneser-ney", Rule((10 / 20,) * 3)),
        ("absolute", Rule((10 / 20,) * 3)),
        ("witten-bell", Rule(per_type=1.0)),
        ("add-k", Rule(flat=0.25)),
        ("ml", Rule()),
    ],
)
def test_the_rules_of_the_others_by_hand(name, rule):
    assert choose(name, 1, [10, 5, 0, 0], 0.25).rule == rule
    assert choose(name, 1, [10, 5, 0, 0], 0.25).smoother == name


# ── when counts of counts do not allow a discount ───────────────────────────────────────────────


@pytest.mark.parametrize(
    ("numbers", "used", "words"),
    [
        ([10, 5, 3, 0], "kneser-ney", ["n4 = 0", "four times"]),
        ([10, 5, 0, 2], "kneser-ney", ["n3 = 0", "three times"]),
        ([10, 0, 3, 2], "witten-bell", ["n2 = 0", "twice"]),
        ([0, 5, 3, 2], "witten-bell", ["n1 = 0", "once"]),
        ([0, 0, 0, 0], "witten-bell", ["n1 = 0"]),
        ([100, 3, 4, 1], "kneser-ney", ["n3 = 4 is too large beside n2 = 3"]),
        ([1000, 50, 10, 80], "kneser-ney", ["n4 = 80 is too large beside n3 = 10"]),
    ],
)
def test_a_discount_that_does_not_fit_is_replaced_and_all_is_said(numbers, used, words):
    chosen = choose("modified-kneser-ney", 3, numbers, 1.0)
    assert chosen.smoother == used
    assert chosen.rule == choose(used, 3, numbers, 1.0).rule
    assert said(chosen).startswith("order 3: modified-kneser-ney does not fit: ")
    assert said(chosen).endswith(f"Used {used} instead.")
    for word in words:
        assert word in said(chosen)
    assert ("; kneser-ney does not fit: " in said(chosen)) == (used == "witten-bell")


def test_orders_that_fare_alike_are_told_of_together():
    once, well = [10, 0, 3, 2], [100, 20, 8, 4]
    chosen = [
        choose("modified-kneser-ney", n, numbers, 1.0) for n, numbers in ((1, once), (2, once), (3, well), (4, once))
    ]
    first, second = sentences(chosen)
    assert first.startswith("orders 1 to 2: modified-kneser-ney does not fit: n2 = 0")
    assert second.startswith("order 4: ")


def test_large_numbers_are_said_readably():
    assert "n3 = 40,000 is too large beside n2 = 3" in said(choose("modified-kneser-ney", 2, [9, 3, 40_000, 1], 1))


@given(numbers=st.tuples(*[st.integers(0, 20)] * 4), name=st.sampled_from(list(SMOOTHERS)))
def test_whatever_the_counts_of_counts_some_rule_is_found_that_takes_off_less_than_there_is(numbers, name):
    rule = choose(name, 1, numbers, 1.0).rule
    for seen_times, discount in enumerate(rule.discounts, 1):
        assert 0 <= discount <= seen_times
    free = (0.0, 0.0, 0.0)
    assert name == "ml" or rule.discounts != free or rule.per_type or rule.flat
    assert CountsOfCounts(*numbers).n1 or name == "ml" or rule.discounts == free


TEXTS = {
    "all counts equal": [[2, 3, 4, EOS]] * 3,
    "each word once": [[2, EOS], [3, EOS], [4, EOS]],
    "one word": [[2, EOS]],
    "one line end": [[EOS]],
    "one unknown word": [[1, EOS]],
    "one word again and again": [[2] * 40 + [EOS]],
    "abcabc": [[2, 3, 4] * 20 + [EOS]],
    "abcabc, line by line": [[2, 3, 4, EOS]] * 40,
    "a text that nothing closes": [[2, 3, 2, 4, 2, 3]],
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", SMOOTHERS)
def test_odd_texts_make_a_model_all_the_same(name, text):
    for carried in (False, True):
        model, said = trained(TEXTS[text], 4, smoothing=name, carried=carried)
        assert_alike(model, reference(TEXTS[text], 4, name, carried=carried), range(3))
        for length in range(4):
            assert distributions(model, length)[1].sum(1) == pytest.approx(np.ones(V**length), abs=1e-6)
        replaced = [message for message in said if "does not fit" in message]
        assert all("Used" in message and message.startswith("order") for message in replaced)
        assert bool(replaced) == ("kneser-ney" in name or name == "absolute")


def test_each_order_says_for_itself_what_it_uses():
    # Unigrams by what stands before them: two once, one twice. Bigrams: three once, one twice. No trigram twice.
    _, said = trained(AB, 3, vocab=4, smoothing="kneser-ney")
    assert len(said) == 1
    assert said[0].startswith("order 3: kneser-ney does not fit: n2 = 0: no n-gram was seen twice. Used witten-bell")


def test_an_order_that_no_line_reaches_is_left_out_and_said():
    model, said = trained(AB, 7, vocab=4, smoothing="ml")
    assert model.tables.order == 4  # <EOS> a b <EOS>
    assert said == ["no document is long enough for order 7: the model has order 4"]


def test_impossible_is_minus_infinity_and_nothing_worse():
    model, _ = trained(AB, 2, vocab=4, smoothing="ml")
    log_probs, _ = model.step(torch.tensor([2]), model.initial_state(1))
    assert log_probs[0].tolist() == pytest.approx([math.log(0.5), -math.inf, -math.inf, math.log(0.5)])
