"""The n-gram model itself: its laws, its search, what pruning and rounding do to it, and its arrays on the disk."""

import math
from collections import Counter
from functools import cache
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from contracts.test_language_model import LAWS, probabilities_sum_to_one_after_every_prefix
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_smoothing import CUTOFFS, DOCUMENTS, V, distributions, seen, trained

from charlm import sampling
from charlm.config.sampling import SamplingConfig
from charlm.errors import RunError
from charlm.models.ngram import CLASS_BITS, Ngram
from charlm.ngrams import coding, columns, search
from charlm.ngrams.columns import scratch_folder
from charlm.ngrams.smoothing import SMOOTHERS
from charlm.ngrams.tables import GROUP, Starts, StoredLevel, Tables, Values, check, from_tensors, tensors_of
from charlm.text.vocab import EOS, UNK

TEXT = [[2, 3, 4, EOS], [2, 3, 3, EOS], [4, 2, 3, 4, 4, EOS], [3, EOS]]
INTERPOLATED = [name for name in SMOOTHERS if name not in ("add-k", "ml")]


def longer_text(words=300, vocab=12, seed=0):
    """Lines of words whose frequencies fall as in real text, each leaning on the word before."""
    numbers = np.random.default_rng(seed)
    shares = 1 / np.arange(1, vocab) ** 1.2
    after = [numbers.permutation(shares) / shares.sum() for _ in range(vocab)]
    lines, word = [[]], EOS
    for _ in range(words):
        word = int(numbers.choice(np.arange(1, vocab), p=after[word]))
        lines[-1].append(word)
        if len(lines[-1]) == 7:
            lines[-1].append(EOS)
            lines.append([])
            word = EOS
    return [line if line[-1] == EOS else [*line, EOS] for line in lines if line]


def grams(model: Ngram) -> list[dict[tuple[int, ...], float]]:
    """The n-grams of each order and their log-probabilities."""
    return [
        {
            tuple(gram): log_prob
            for ids, found, _ in model.tables.grams(n)
            for gram, log_prob in zip(ids.tolist(), found, strict=True)
        }
        for n in range(1, model.tables.order + 1)
    ]


def rounded(model: Ngram, bits: int) -> tuple[Ngram, float]:
    """The model with its numbers stored in a few bits, and the largest error that was told."""
    levels, errors = [], [0.0]
    with scratch_folder() as scratch:

        def in_bits(values: Values | None) -> Values | None:
            if values is None:
                return None
            coded, error = coding.rounded(values.at(slice(None)), bits, scratch)
            errors.append(error)
            return Values(coded.numbers[:], coded.book)

        for level in model.tables.levels:
            levels.append(StoredLevel(level.words, level.starts, in_bits(level.log_probs), in_bits(level.backoffs)))
    return Ngram(Tables(model.vocab_size, levels, model.tables.uniform)), max(errors)


def stepwise(model, ids, state):
    """The distribution after each token of ids (B, T), and the last state."""
    found = []
    for column in ids.T:
        log_probs, state = model.step(column, state)
        found.append(log_probs)
    return torch.stack(found, dim=1), state


# ── laws ────────────────────────────────────────────────────────────────────────────────────────

MODELS = {
    "order 1": lambda: trained(TEXT, 1, vocab=7)[0],
    "order 2": lambda: trained(TEXT, 2, vocab=7)[0],
    "order 5": lambda: trained(TEXT, 5, vocab=7)[0],
    "pruned": lambda: trained(longer_text(vocab=7), 4, vocab=7, prune=3e-3)[0],
    "pruned of everything": lambda: trained(TEXT, 3, vocab=7, prune=100.0)[0],
    "cut off": lambda: trained(longer_text(vocab=7), 3, vocab=7, cutoffs="0,0,2")[0],
    "add-k": lambda: trained(TEXT, 3, vocab=7, smoothing="add-k", add_k=0.3)[0],
    "ml": lambda: trained(TEXT, 3, vocab=7, smoothing="ml")[0],
    "carried": lambda: trained(TEXT, 3, vocab=7, carried=True)[0],
    "rounded": lambda: rounded(trained(longer_text(vocab=7), 3, vocab=7)[0], 3)[0],
}


@cache
def built(name) -> Ngram:
    return MODELS[name]()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_every_kind_of_n_gram_model_keeps_the_law(law, name):
    if name == "rounded" and law is probabilities_sum_to_one_after_every_prefix:
        pytest.skip("rounded probabilities add up to nearly one only")
    law(built(name))


@pytest.mark.parametrize("name", MODELS)
def test_what_is_left_out_is_left_out_of_the_models_of_these_tests(name):
    sizes = {"pruned": (20, 120), "cut off": (20, 120), "pruned of everything": (7, 7)}
    low, high = sizes.get(name, (7, math.inf))
    assert low <= sum(map(len, grams(built(name)))) <= high


@settings(max_examples=40)
@given(
    documents=DOCUMENTS,
    order=st.integers(1, 4),
    name=st.sampled_from(list(SMOOTHERS)),
    cutoffs=CUTOFFS,
    prune=st.sampled_from([0.0, 1e-3, 0.03, 1.0]),
    carried=st.booleans(),
)
def test_probabilities_sum_to_one_after_every_context_seen_or_not(documents, order, name, cutoffs, prune, carried):
    prune = 0.0 if name == "add-k" else prune
    model, _ = trained(documents, order, smoothing=name, cutoffs=cutoffs, prune=prune, carried=carried)
    for length in range(order):
        _, found = distributions(model, length)
        assert found.sum(1) == pytest.approx(np.ones(V**length), abs=1e-6)


@settings(max_examples=30)
@given(data=st.data(), name=st.sampled_from(list(MODELS)))
def test_inputs_and_targets_need_not_be_one_text(data, name):
    model, rows, length = built(name), data.draw(st.integers(1, 3)), data.draw(st.integers(1, 5))
    matrix = st.lists(st.lists(st.integers(0, 6), min_size=length, max_size=length), min_size=rows, max_size=rows)
    before, inputs, targets = (torch.tensor(data.draw(matrix)) for _ in range(3))
    _, state = model.score(before, before, model.initial_state(rows))
    found, after = model.score(inputs, targets, state)
    expected, end = stepwise(model, inputs, state)
    torch.testing.assert_close(found, expected.gather(-1, targets[..., None])[..., 0])
    assert torch.equal(after[0], end[0])


@pytest.mark.parametrize("name", MODELS)
def test_windows_of_one_token_score_as_the_whole(name):
    model = built(name)
    text = torch.tensor([[0, 2, 3, 4, 4, 0, 2, 3], [0, 6, 3, 1, 2, 3, 3, 0]])
    whole, end = model.score(text[:, :-1], text[:, 1:], model.initial_state(2))
    state, parts = model.initial_state(2), []
    for place in range(7):
        part, state = model.score(text[:, place : place + 1], text[:, place + 1 : place + 2], state)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)
    assert torch.equal(state[0], end[0])


@pytest.mark.parametrize("name", MODELS)
def test_reading_nothing_changes_nothing(name):
    model = built(name)
    _, state = stepwise(model, torch.tensor([[0, 2, 3], [2, 3, 4]]), model.initial_state(2))
    nothing = torch.empty((2, 0), dtype=torch.int64)
    log_probs, after = model.score(nothing, nothing, state)
    assert log_probs.shape == (2, 0)
    assert torch.equal(after[0], state[0])


@pytest.mark.parametrize("name", ["order 5", "rounded"])
def test_machine_code_finds_what_numpy_finds_to_the_last_bit(name):
    pytest.importorskip("numba")
    numbers, levels = np.random.default_rng(3), built(name).tables.levels
    for below, level in pairwise(levels):
        assert below.backoffs is not None
        contexts, tokens = numbers.integers(-1, len(below), 500), numbers.integers(0, 7, 500)
        before = -numbers.random(500, dtype=np.float32)
        for even in (None, np.float32(-1.5)):
            slow, fast = before.copy(), before.copy()
            found = search.extend(level, below.backoffs, contexts, tokens, slow, even=even)
            again = search.extend(level, below.backoffs, contexts, tokens, fast, even=even, compiled=True)
            assert np.array_equal(found, again) and np.array_equal(slow, fast)
            assert not np.array_equal(slow, before) and np.array_equal(slow[contexts < 0], before[contexts < 0])


def test_small_blocks_make_the_model_that_large_ones_make(monkeypatch):
    options = {"cutoffs": "0,0,1", "prune": 1e-4, "quantize": 8}
    whole = tensors_of(trained(longer_text(), 4, vocab=12, **options)[0].tables)
    for function in (columns.blocks, columns.family_blocks):
        monkeypatch.setattr(function, "__defaults__", (3,))
    pieces = tensors_of(trained(longer_text(), 4, vocab=12, **options)[0].tables)
    assert pieces.keys() == whole.keys()
    for name, array in whole.items():
        np.testing.assert_allclose(pieces[name], array, rtol=1e-6, err_msg=name)


# ── classes of contexts ─────────────────────────────────────────────────────────────────────────


@given(documents=DOCUMENTS, order=st.integers(1, 4))
@settings(max_examples=20)
def test_the_class_of_a_context_tells_how_much_of_it_went_on_and_in_how_many_ways(documents, order):
    model, _ = trained(documents, order)
    ways = Counter(gram[:-1] for times, _, _ in seen(documents, order, carried=False) for gram in times)
    for length in range(1, order + 1):
        contexts = torch.tensor(list(product(range(V), repeat=length)))
        found = model.classes(contexts, model.initial_state(len(contexts)))
        for tokens, row in zip(contexts.tolist(), found.tolist(), strict=True):
            for end, number in enumerate(row, 1):
                known = [n for n in range(1, min(end, order - 1) + 1) if ways[tuple(tokens[end - n : end])]]
                expected = 0
                if known:
                    bucket = min(int(math.log2(ways[tuple(tokens[end - max(known) : end])])), CLASS_BITS - 1)
                    expected = (max(known) - 1) * CLASS_BITS + 1 + bucket
                assert number == expected
                assert 0 <= number < model.class_count


def test_more_continuations_make_a_greater_class_up_to_the_last_one():
    text = [[2, word, EOS] for word in range(3, 73)]
    classes = []
    for lines in (0, 1, 2, 3, 4, 8, 16, 31, 32, 64, 70):
        model, _ = trained([*text[:lines], [1, EOS]], 2, vocab=80)
        classes.append(int(model.classes(torch.tensor([[2]]), model.initial_state(1))))
    assert classes == [0, 1, 2, 2, 3, 4, 5, 5, 6, 6, 6]
    assert model.class_count == 7


def test_classes_go_on_from_a_state():
    model = built("order 5")
    text = torch.tensor([[0, 2, 3, 4, 4], [3, 3, 2, 3, 3]])
    whole = model.classes(text, model.initial_state(2))
    _, state = stepwise(model, text[:, :2], model.initial_state(2))
    assert torch.equal(model.classes(text[:, 2:], state), whole[:, 2:])


def test_without_contexts_there_is_one_class():
    model = built("order 1")
    assert model.class_count == 1
    assert model.classes(torch.tensor([[0, 2, 3]]), model.initial_state(1)).tolist() == [[0, 0, 0]]


# ── sampling ────────────────────────────────────────────────────────────────────────────────────


def chi_square(drawn: Counter, expected: np.ndarray) -> float:
    total = sum(drawn.values())
    return sum((drawn[token] - total * p) ** 2 / (total * p) for token, p in enumerate(expected) if p > 0)


@pytest.mark.parametrize("name", ["modified-kneser-ney", "add-k"])
def test_tokens_are_drawn_as_often_as_the_model_says(name):
    model, _ = trained(longer_text(), 3, vocab=12, smoothing=name)
    contexts, found = distributions(model, 2)
    numbers = np.random.default_rng(0)
    for h in ((EOS, 2), (3, 4)):
        drawn = Counter()
        for sample in sampling.samples(model, h, 1500, SamplingConfig(max_tokens=1, seed=4), batch_size=500):
            drawn[sample.ids[0] if sample.ids else EOS] += 1
        assert drawn[UNK] == 0
        expected = found[contexts.index(h)].copy()
        expected[UNK] = 0
        expected /= expected.sum()
        # Ten degrees of freedom: 35 is passed once in ten thousand times by the right distribution.
        assert chi_square(drawn, expected) < 35
        assert chi_square(drawn, numbers.permutation(expected[2:]).tolist() + expected[:2].tolist()) > 100


# ── searching ───────────────────────────────────────────────────────────────────────────────────

FAMILIES_OF_WORDS = st.lists(st.sets(st.integers(0, 40), max_size=12).map(sorted), min_size=1, max_size=8)


@given(families=FAMILIES_OF_WORDS, data=st.data(), wide=st.booleans())
@settings(max_examples=100)
def test_a_word_is_found_where_it_stands_after_its_context_or_nowhere(families, data, wide):
    starts = np.cumsum([0, *map(len, families)]).astype(np.uint32)
    words = np.array([word for family in families for word in family], dtype=np.uint32 if wide else np.uint16)
    queries = data.draw(st.lists(st.tuples(st.integers(0, len(families) - 1), st.integers(0, 41)), max_size=60))
    contexts, tokens = (np.array([query[part] for query in queries], dtype=np.int64) for part in (0, 1))
    expected = [
        int(starts[context]) + families[context].index(word) if word in families[context] else -1
        for context, word in queries
    ]
    assert search.find(words, Starts.plain(starts), contexts, tokens).tolist() == expected


def test_n_grams_are_found_token_by_token():
    model = built("order 5")
    tries = [(level.words, level.starts) for level in model.tables.levels]
    for n in range(1, 6):
        standing = {gram: number for number, gram in enumerate(grams(model)[n - 1])}
        everything = list(product(range(5), repeat=n))
        found = search.numbers_of(tries, np.array(everything))
        assert found.tolist() == [standing.get(gram, -1) for gram in everything]


# ── leaving out what was seen too seldom ────────────────────────────────────────────────────────


@given(documents=DOCUMENTS, order=st.integers(1, 4), cutoffs=CUTOFFS, name=st.sampled_from(list(SMOOTHERS)))
@settings(max_examples=30)
def test_cutoffs_leave_the_n_grams_that_were_seen_more_often(documents, order, cutoffs, name):
    whole, _ = trained(documents, order, smoothing=name)
    model, said = trained(documents, order, smoothing=name, cutoffs=cutoffs)
    limits = list(map(int, cutoffs.split(",")))
    for n, (times, _, _) in enumerate(seen(documents, order, carried=False), 1):
        limit = limits[min(n, len(limits)) - 1]
        expected = {(word,) for word in range(V)} if n == 1 else {gram for gram in times if times[gram] > limit}
        assert set(grams(model)[n - 1]) == expected
    before, left = (sum(map(len, grams(kind))) for kind in (whole, model))
    assert [f"left out {before - left:,} of {before:,} n-grams"] * (left < before) == [
        message for message in said if "left out" in message
    ]


# ── leaving out what tells too little ───────────────────────────────────────────────────────────


def losses(model: Ngram) -> list[dict[tuple[int, ...], float]]:
    """By how much the perplexity rises without each n-gram of orders 2, 3, …, from the definition.

    The cross entropy of the model and of the one without it, over its context alone (Stolcke 1998, eq. 2).
    """
    chance = [dict(zip(*distributions(model, length), strict=True)) for length in range(model.tables.order)]
    found = []
    for n, listed in enumerate(grams(model)[1:], 2):
        found.append({})
        for *h, w in listed:
            context = tuple(h)
            p, lower = chance[n - 1][context], chance[n - 2][context[1:]]
            others = [v for v in range(model.vocab_size) if v != w and (*h, v) in listed]
            gamma = (1 - sum(p[v] for v in others)) / (1 - sum(lower[v] for v in others))
            without = np.where(np.isin(np.arange(model.vocab_size), others), p, gamma * lower)
            weight = math.prod(chance[k][context[:k]][token] for k, token in enumerate(context))
            found[-1][*h, w] = math.expm1(weight * float((p * np.log(p / without)).sum()))
    return found


@pytest.mark.parametrize("name", INTERPOLATED)
@pytest.mark.parametrize("threshold", [1e-5, 1e-3, 1e-2])
def test_an_n_gram_is_lost_where_the_perplexity_hardly_rises_and_no_longer_one_needs_it(name, threshold):
    text = longer_text(150)
    whole, pruned = (trained(text, 3, vocab=12, smoothing=name, prune=share)[0] for share in (0.0, threshold))
    kept = grams(pruned)
    for n, orders in enumerate(losses(whole), 2):
        needed = {gram[:-1] for gram in kept[n]} if n < 3 else set()
        known = Counter(gram[:-1] for gram in orders)
        for gram, loss in orders.items():
            if loss > threshold + 1e-6:  # but for rounding
                assert gram in kept[n - 1]
            elif loss < threshold - 1e-6 and known[gram[:-1]] <= 6:
                assert (gram in kept[n - 1]) == (gram in needed)


@given(documents=DOCUMENTS, order=st.integers(1, 4), name=st.sampled_from(INTERPOLATED))
@settings(max_examples=12)
def test_a_higher_threshold_never_keeps_more_and_what_is_kept_keeps_its_probability(documents, order, name):
    whole = grams(trained(documents, order, smoothing=name)[0])
    before = whole
    for threshold in (1e-6, 1e-3, 0.02, 0.1, 10.0):
        model, _ = trained(documents, order, smoothing=name, prune=threshold)
        assert check(model.tables) is None
        kept = grams(model)
        for mine, theirs, first in zip(kept, before, whole, strict=True):
            assert mine.keys() <= theirs.keys()
            assert all(first[gram] == log_prob for gram, log_prob in mine.items())
        for orders, shorter in zip(kept[1:], kept, strict=False):
            assert {gram[:-1] for gram in orders} <= shorter.keys()
        before = kept
    assert not any(before[1:]) and len(before[0]) == V


@pytest.mark.parametrize("name", INTERPOLATED)
def test_next_to_no_threshold_leaves_out_only_what_the_shorter_context_says_as_well(name):
    text = longer_text()
    whole, pruned = (trained(text, 3, vocab=12, smoothing=name, prune=threshold)[0] for threshold in (0.0, 1e-9))
    for n, orders in enumerate(losses(whole), 2):
        assert all(loss < 1e-6 for gram, loss in orders.items() if gram not in grams(pruned)[n - 1])
    for length in range(3):
        np.testing.assert_allclose(distributions(pruned, length)[1], distributions(whole, length)[1], atol=1e-5)


def assert_pruning_keeps_its_promise(text, vocab, name, threshold):
    """Each lost n-gram may raise the perplexity by a share `threshold`, as the whole model expects it."""
    whole, pruned = (trained(text, 3, vocab=vocab, smoothing=name, prune=share)[0] for share in (0.0, threshold))
    shares = [dict(zip(*distributions(whole, length), strict=True)) for length in range(3)]
    rise = 0.0
    for h, q in zip(*distributions(pruned, 2), strict=True):
        p = shares[2][h]
        rise += shares[0][()][h[0]] * shares[1][h[:1]][h[1]] * float((p * np.log(p / q)).sum())
    before, left = (sum(map(len, grams(kind))) for kind in (whole, pruned))
    assert left < before
    assert rise <= (before - left) * math.log1p(threshold)


@pytest.mark.parametrize("name", INTERPOLATED)
@pytest.mark.parametrize("threshold", [1e-4, 1e-3, 1e-2])
def test_pruning_costs_no_more_than_was_promised(name, threshold):
    assert_pruning_keeps_its_promise(longer_text(600), 12, name, threshold)


@pytest.mark.parametrize("name", INTERPOLATED)
@pytest.mark.parametrize("threshold", [1e-5, 1e-4])
def test_pruning_costs_no_more_than_was_promised_where_contexts_know_nearly_every_token(name, threshold):
    # Four letters, each of which follows every two of them: any one of them can be told from the others, not all.
    numbers = np.random.default_rng(5)
    shares = numbers.dirichlet(np.full(4, 0.7), size=(6, 6))
    text = []
    for _ in range(60):
        line = [EOS, EOS]
        for _ in range(30):
            line.append(int(numbers.choice(4, p=shares[line[-2], line[-1]])) + 2)
        text.append([*line[2:], EOS])
    assert_pruning_keeps_its_promise(text, 6, name, threshold)


def test_cutoffs_and_pruning_go_together():
    text = longer_text(400)
    model, said = trained(text, 4, vocab=12, cutoffs="0,0,1", prune=1e-4)
    cut, _ = trained(text, 4, vocab=12, cutoffs="0,0,1")
    assert check(model.tables) is None
    assert all(mine.keys() <= theirs.keys() for mine, theirs in zip(grams(model), grams(cut), strict=True))
    assert sum(map(len, grams(model))) < sum(map(len, grams(cut)))
    assert sum("left out" in message for message in said) == 1


# ── fewer bits ──────────────────────────────────────────────────────────────────────────────────

NUMBERS = st.lists(st.floats(-30, 0, width=32) | st.sampled_from([0.0, -1.5, -math.inf]), max_size=60)


@given(numbers=NUMBERS, often=st.integers(1, 8))
def test_codes_that_lose_nothing_lose_nothing(numbers, often):
    values = np.array(numbers * often, dtype=np.float32)
    with scratch_folder() as scratch:
        found = coding.exact(values, scratch)
        assert np.array_equal(found.at(slice(None)), values)
        assert (found.book is not None) <= (4 * len(set(numbers)) <= len(values))


def test_codes_are_used_where_they_take_less_room():
    with scratch_folder() as scratch:
        for different, dtype in ((256, np.uint8), (257, np.uint16), (1 << 16, np.uint16), ((1 << 16) + 1, None)):
            values = -np.arange(different, dtype=np.float32).repeat(4)
            found = coding.exact(values, scratch)
            assert (found.book is None) == (dtype is None)
            assert dtype is None or found.numbers.dtype == dtype
            assert np.array_equal(found.at(slice(None)), values)
        assert coding.exact(-np.arange(100, dtype=np.float32).repeat(3), scratch).book is None


@given(numbers=NUMBERS, bits=st.sampled_from([1, 2, 3, 8]))
@example(numbers=[-2.0, -1.0, *[-math.inf] * 9], bits=2)  # most of a vocabulary was never seen
@settings(max_examples=80)
def test_rounding_errs_by_no_more_than_it_says_and_impossible_stays_impossible(numbers, bits):
    values = np.array(numbers, dtype=np.float32)
    with scratch_folder() as scratch:
        coded, error = coding.rounded(values, bits, scratch)
        found = coded.at(slice(None))
    assert len(coded.book) <= 1 << bits
    assert np.array_equal(np.isneginf(found), np.isneginf(values))
    assert error <= 31
    possible = np.isfinite(values)
    assert np.abs(found[possible] - values[possible]).max(initial=0.0) <= error
    if len(set(numbers)) <= 1:
        assert error == pytest.approx(0, abs=1e-6)


def test_more_bits_err_less():
    values = -np.random.default_rng(0).exponential(3, 5000).astype(np.float32)
    with scratch_folder() as scratch:
        errors = [coding.rounded(values, bits, scratch)[1] for bits in (2, 4, 8, 16)]
    assert errors[0] > errors[1] > errors[2] > errors[3] == 0.0


@pytest.mark.parametrize("name", [*INTERPOLATED, "add-k"])
def test_a_rounded_model_is_off_by_no_more_than_its_numbers_are(name):
    whole, _ = trained(longer_text(), 3, vocab=12, smoothing=name)
    for bits in (2, 4):
        model, error = rounded(whole, bits)
        assert 0 < error < 8
        for length in range(3):
            exact, found = (np.log(distributions(kind, length)[1]) for kind in (whole, model))
            # A probability and a back-off for each order that is left.
            assert np.abs(found - exact).max() <= 3 * error + 1e-5


@pytest.mark.parametrize("name", SMOOTHERS)
def test_a_model_in_8_bits_says_how_far_it_is_off(name):
    # More tokens than codes, so that no value has a code of its own; one of them, <UNK>, was never seen.
    text = [[*range(start, start + 9), EOS] for start in range(2, 460, 3)]
    whole, _ = trained(text, 2, vocab=480, smoothing=name)
    model, said = trained(text, 2, vocab=480, smoothing=name, quantize=8)
    told = [message for message in said if message.startswith("stored in 8 bits")]
    assert len(told) == 1
    error = float(told[0].split("more than ")[1].split(" nats")[0])
    assert 0 <= error < 3
    for exact, found in zip(grams(whole), grams(model), strict=True):
        for gram, log_prob in exact.items():
            if math.isfinite(log_prob):
                assert abs(found[gram] - log_prob) <= error + 1e-4
            else:
                assert found[gram] == log_prob


@given(sizes=st.lists(st.sampled_from([0, 0, 1, 5, 3000]), max_size=200))
def test_beginnings_told_from_their_group_are_the_beginnings(sizes):
    starts = np.cumsum([0, *sizes]).astype(np.uint32)
    with scratch_folder() as scratch:
        found = coding.grouped(starts, scratch)
        assert np.array_equal(found.whole(), starts)
        assert found.offsets.dtype == (np.uint16 if found.offsets.max() < 1 << 16 else np.uint32)
        assert len(found.bases) == len(sizes) // GROUP + 1
        assert len(found) == len(starts)


# ── arrays on the disk ──────────────────────────────────────────────────────────────────────────


def arrays_of(*, order=3, bits=None) -> dict[str, np.ndarray]:
    model, _ = trained(longer_text(), order, vocab=12)
    if bits:
        model, _ = rounded(model, bits)
    return {name: np.array(array[:]) for name, array in tensors_of(model.tables).items()}


def opened(arrays, vocab=12) -> Tables:
    return from_tensors(arrays, vocab, uniform=False, source="model.safetensors")


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("bits", [None, 3])
def test_tables_come_back_from_their_arrays(order, bits):
    arrays = arrays_of(order=order, bits=bits)
    tables = opened(arrays)
    again = tensors_of(tables)
    assert tables.order == order and check(tables) is None
    assert again.keys() == arrays.keys()
    assert all(np.array_equal(again[name], array) for name, array in arrays.items())


@pytest.mark.parametrize("bits", [None, 3])
def test_a_missing_array_is_refused_whichever_it_is(bits):
    arrays = arrays_of(bits=bits)
    assert {"1.log_probs", "1.backoffs", "3.words", "3.log_probs"} <= arrays.keys()
    for name in arrays:
        with pytest.raises(RunError, match=r"model\.safetensors: ") as caught:
            opened({key: array for key, array in arrays.items() if key != name})
        assert "restore" in caught.value.hint


@pytest.mark.parametrize("bits", [None, 3])
def test_arrays_of_another_shape_or_type_are_refused_by_name(bits):
    arrays = arrays_of(bits=bits)
    for name, array in arrays.items():
        for wrong in (array[:-1], np.append(array, array[:1]), array[None], array.astype(np.int64), array > 0):
            if name.endswith(".book") and wrong.ndim == 1 and wrong.dtype == np.float32:
                continue  # a book is as long as it is
            with pytest.raises(RunError, match="does not fit"):
                opened(arrays | {name: wrong})
        if array.dtype == np.float32:
            with pytest.raises(RunError, match=f"{name} is float64"):
                opened(arrays | {name: array.astype(np.float64)})


def test_arrays_of_another_vocabulary_are_refused():
    for vocab in (11, 13):
        with pytest.raises(RunError, match="does not fit"):
            opened(arrays_of(), vocab)


def test_no_arrays_at_all_are_refused():
    with pytest.raises(RunError, match=r"1\.log_probs is missing"):
        opened({})


def with_entry(array, place, value):
    changed = array.copy()
    changed[place] = value
    return changed


DAMAGE = {
    "a probability that is no number": ("2.log_probs", 3, np.nan, "2.log_probs holds numbers that are not finite"),
    "an infinite probability": ("1.log_probs", 0, np.inf, "1.log_probs holds numbers that are not finite"),
    "a probability above one": ("3.log_probs", -1, 0.01, "3.log_probs holds probabilities above 1"),
    "a back-off that is no number": ("1.backoffs", -1, np.nan, "1.backoffs holds numbers that are not finite"),
    "an infinite back-off": ("2.backoffs.book", 0, np.inf, "2.backoffs holds numbers that are not finite"),
    "a beginning that is none": ("2.starts", 0, 1, "2.starts does not cut 2.words into contexts"),
    "an end that is none": ("3.starts", -1, 0, "3.starts does not cut 3.words into contexts"),
    "beginnings that fall": ("3.starts", 2, 60_000, "3.starts does not cut 3.words into contexts"),
    "a group that begins elsewhere": ("3.bases", 1, 0, "3.starts does not cut 3.words into contexts"),
    "a token that is none": ("2.words", 5, 12, "2.words has tokens that are not in the vocabulary"),
    "a token twice": ("2.words", 1, None, "2.words is not sorted within its contexts"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_every_kind_of_damage_is_found(kind):
    name, place, value, said = DAMAGE[kind]
    arrays = arrays_of()
    assert check(opened(arrays)) is None
    value = arrays[name][place - 1] if value is None else value
    damaged = opened(arrays | {name: with_entry(arrays[name], place, value)})
    assert check(damaged) == said
    assert Ngram(damaged).check() == said


def test_a_code_that_is_not_in_its_book_is_found():
    arrays = arrays_of(bits=3)
    for name in ("1.log_probs", "2.backoffs", "3.log_probs"):
        damaged = opened(arrays | {name: with_entry(arrays[name], 1, len(arrays[f"{name}.book"]))})
        assert check(damaged) == f"{name} has codes that are not in its book"


def test_impossible_is_no_damage():
    model, _ = trained(TEXT, 3, vocab=7, smoothing="ml")
    assert np.isneginf(model.tables.levels[0].log_probs.at(slice(None))).any()
    assert check(model.tables) is None


def test_bytes_changed_at_random_are_found_or_harmless():
    numbers, text = np.random.default_rng(0), torch.from_numpy(np.random.default_rng(1).integers(0, 12, (3, 20)))
    arrays, found = arrays_of(bits=3) | {}, 0
    for _ in range(300):
        name = list(arrays)[numbers.integers(len(arrays))]
        data = np.frombuffer(arrays[name].tobytes(), dtype=np.uint8).copy()
        data[numbers.integers(len(data))] ^= np.uint8(1 << numbers.integers(8))
        tables = opened(arrays | {name: data.view(arrays[name].dtype)})
        if check(tables) is not None:
            found += 1
            continue
        model = Ngram(tables)
        log_probs, _ = model.score(text[:, :-1], text[:, 1:], model.initial_state(3))
        assert not log_probs.isnan().any()
        stepwise(model, text, model.initial_state(3))
    assert found > 50
