import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.training.em import best_cache, fit

NEVER = -math.inf


def logs(*rows):
    with np.errstate(divide="ignore"):
        return np.log(np.array(rows, dtype=np.float64))


def drawn(weights, tokens, *, seed=0, vocab=6):
    """What members said about a text that was drawn from their mixture: (N, M), nats."""
    numbers = np.random.default_rng(seed)
    members = numbers.dirichlet(np.full(vocab, 0.5), size=(20, len(weights)))  # 20 contexts
    contexts = numbers.integers(20, size=tokens)
    mixed = np.einsum("m,cmv->cv", weights, members)
    text = np.array([numbers.choice(vocab, p=mixed[context]) for context in contexts])
    return np.log(members[contexts, :, text])


def nats(log_probs, weights):
    return -np.log((np.exp(log_probs) * weights).sum(1)).mean()


# ── all contexts alike ──────────────────────────────────────────────────────────────────────────


def test_one_round_by_hand():
    # The first member's shares are 2/3, 1/3 and 1: two tokens of three.
    found = fit(logs([0.4, 0.2], [0.3, 0.6], [0.6, 0.0]), rounds=1)
    assert found.weights == pytest.approx(np.array([[2 / 3, 1 / 3]]))
    # The mixture says 0.3, 0.45, 0.3 with equal weights and 1/3, 0.4, 0.4 with these.
    assert found.history == pytest.approx([-np.log([0.3, 0.45, 0.3]).mean(), -np.log([1 / 3, 0.4, 0.4]).mean()])
    assert found.nats == found.history[-1]


def test_the_history_has_one_entry_for_each_round_and_one_for_the_beginning():
    log_probs, classes = drawn([0.5, 0.5], 50), np.repeat([0, 1], 25)
    assert len(fit(log_probs, rounds=3, tolerance=0).history) == 4
    assert len(fit(log_probs, classes, 2, rounds=3, tolerance=0).history) == 7


def test_no_round_leaves_the_weights_uniform():
    found = fit(logs([0.4, 0.2], [0.3, 0.6]), rounds=0)
    assert found.weights.tolist() == [[0.5, 0.5]]
    assert len(found.history) == 1


def test_the_best_weights_of_two_sure_members_are_their_shares_of_the_text():
    found = fit(logs(*[[0.5, 0.0]] * 3, [0.0, 0.5]))
    assert found.weights == pytest.approx(np.array([[0.75, 0.25]]))
    assert len(found.history) <= 4  # and one round finds them


@pytest.mark.parametrize("weights", [[0.7, 0.3], [0.5, 0.3, 0.2], [0.1, 0.0, 0.9]])
def test_weights_of_a_mixture_are_found_again(weights):
    log_probs = drawn(weights, 8000)
    found = fit(log_probs, rounds=2000, tolerance=1e-10)
    assert found.weights[0] == pytest.approx(weights, abs=0.04)
    assert found.nats <= nats(log_probs, np.array(weights))
    assert found.nats == pytest.approx(nats(log_probs, found.weights[0]))


@given(
    chances=st.lists(st.tuples(*[st.floats(0.0, 1.0, exclude_min=True)] * 3), min_size=1, max_size=20),
    shift=st.sampled_from([0.0, -2000.0]),
)
def test_no_round_makes_the_text_less_likely(chances, shift):
    found = fit(logs(*chances) + shift)
    assert np.isfinite(found.history).all()
    assert (np.diff(found.history) <= 1e-9).all()
    assert found.weights.sum() == pytest.approx(1)
    assert found.nats == found.history[-1]


def test_rounds_end_when_nothing_is_gained():
    log_probs = drawn([0.5, 0.5], 200)
    assert len(fit(log_probs, tolerance=math.inf).history) == 2
    assert 2 < len(fit(log_probs, tolerance=1e-3).history) < len(fit(log_probs, tolerance=1e-9).history) <= 201


def test_one_member_has_all_the_weight():
    assert fit(logs([0.5], [0.1], [0.2])).weights.tolist() == [[1.0]]
    with_classes = fit(logs([0.5], [0.1], [0.2]), np.array([0, 2, 2]), 3)
    assert with_classes.weights.tolist() == [[1.0]] * 3


def test_a_member_of_little_use_keeps_some_weight():
    found = fit(logs(*[[0.5, 0.4]] * 10), rounds=20)
    assert 0 < found.weights[0, 1] < 0.1


def test_tokens_that_nobody_holds_possible_are_counted_and_left_out():
    rows = [[0.5, 0.1], [0.2, 0.4], [0.1, 0.3]]
    found, expected = fit(logs(*rows, [0, 0], [0, 0])), fit(logs(*rows))
    assert found.impossible == 2 and expected.impossible == 0
    assert found.weights.tolist() == expected.weights.tolist()
    assert found.nats == expected.nats
    by_class = fit(logs([0, 0], *rows), np.array([1, 0, 0, 1]), 2)
    assert by_class.weights.tolist() == fit(logs(*rows), np.array([0, 0, 1]), 2).weights.tolist()


def test_a_token_that_one_member_alone_holds_possible_counts():
    found = fit(np.array([[-5000.0, NEVER], [-1.0, -1.0]]))
    assert found.weights[0, 0] > 0.9
    assert math.isfinite(found.nats)


@pytest.mark.parametrize("log_probs", [np.empty((0, 3)), np.full((4, 3), NEVER)])
def test_without_tokens_the_weights_are_uniform(log_probs):
    found = fit(log_probs, np.zeros(len(log_probs), dtype=np.int64), 2)
    assert found.weights.tolist() == [[1 / 3] * 3] * 2
    assert math.isnan(found.nats)
    assert found.history == []
    assert found.impossible == len(log_probs)


# ── by class ────────────────────────────────────────────────────────────────────────────────────


def test_a_class_begins_at_the_common_weights_and_leaves_them_as_it_is_seen():
    sure = logs(*[[0.5, 0.0]] * 20, *[[0.0, 0.5]] * 20)
    found = fit(sure, np.array([0] * 20 + [1] * 20), 3, prior=10)
    # 20 tokens of its own and half of the prior's 10, of 30; the third was never seen.
    assert found.weights == pytest.approx(np.array([[25 / 30, 5 / 30], [5 / 30, 25 / 30], [0.5, 0.5]]))


def test_classes_never_seen_have_exactly_the_common_weights():
    log_probs, alone = drawn([0.6, 0.4], 300), fit(drawn([0.6, 0.4], 300))
    for prior in (0.0, 10.0):
        found = fit(log_probs, np.full(300, 1), 4, prior=prior)
        for number in (0, 2, 3):
            assert found.weights[number] == pytest.approx(alone.weights[0], abs=1e-12)


def test_a_stronger_prior_keeps_classes_closer_together():
    log_probs = np.concatenate([drawn([0.9, 0.1], 300), drawn([0.1, 0.9], 300, seed=1)])
    classes = np.repeat([0, 1], 300)
    spreads = [np.ptp(fit(log_probs, classes, 2, prior=prior).weights[:, 0]) for prior in (0.0, 100.0, 1e9)]
    assert spreads[0] > spreads[1] > spreads[2]
    assert spreads[2] < 1e-5


def test_weights_of_every_class_are_found_again():
    rows = [[0.8, 0.2], [0.3, 0.7]]
    log_probs = np.concatenate([drawn(row, 6000, seed=seed) for seed, row in enumerate(rows)])
    shuffled = np.random.default_rng(5).permutation(12000)
    found = fit(log_probs[shuffled], np.repeat([0, 1], 6000)[shuffled], 2, rounds=1000, tolerance=1e-9)
    assert found.weights == pytest.approx(np.array(rows), abs=0.05)
    assert found.nats < fit(log_probs).nats - 0.01
    assert found.nats == pytest.approx(
        (nats(log_probs[:6000], found.weights[0]) + nats(log_probs[6000:], found.weights[1])) / 2
    )


def test_without_classes_all_of_them_share_one_row():
    log_probs = drawn([0.6, 0.4], 200)
    assert fit(log_probs, class_count=3).weights.tolist() == fit(log_probs).weights.tolist() * 3


def posterior(log_probs, classes, weights, common, prior):
    """Nats per token, the prior's charge included, from its definition."""
    charge = prior * (common * np.log(common / weights)).sum()
    return nats(log_probs, weights[classes]) + charge / len(log_probs)


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), *[st.floats(0.001, 1.0)] * 2), min_size=1, max_size=20),
    prior=st.sampled_from([0.0, 0.5, 10.0]),
    rounds=st.integers(1, 30),
)
def test_no_round_for_the_classes_makes_the_posterior_smaller(rows, prior, rounds):
    log_probs, classes = logs(*[row[1:] for row in rows]), np.array([row[0] for row in rows])
    found = fit(log_probs, classes, 4, prior=prior, rounds=rounds)
    assert np.isfinite(found.history).all()
    assert (np.diff(found.history) <= 1e-9).all()
    assert found.weights.sum(1) == pytest.approx(np.ones(4))
    common = fit(log_probs, rounds=rounds)
    assert found.history[: len(common.history)] == common.history
    if prior:
        expected = posterior(log_probs, classes, found.weights, common.weights, prior)
        assert found.history[-1] == pytest.approx(expected)
    assert found.nats == pytest.approx(nats(log_probs, found.weights[classes]))


def test_nothing_nearby_has_a_greater_posterior():
    log_probs, classes = drawn([0.6, 0.4], 60), np.repeat([0, 1], 30)
    found = fit(log_probs, classes, 2, prior=10, rounds=5000, tolerance=0)
    common = fit(log_probs, rounds=5000, tolerance=0).weights
    best = posterior(log_probs, classes, found.weights, common, 10)
    for row in range(2):
        for change in (-0.01, 0.01):
            other = found.weights.copy()
            other[row] += [change, -change]
            assert posterior(log_probs, classes, other, common, 10) > best


# ── what a caller must not give ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("log_probs", "classes", "class_count", "prior", "words"),
    [
        (np.zeros(3), None, 1, 10, "shape"),
        (np.zeros((3, 0)), None, 1, 10, "shape"),
        (np.full((3, 2), np.nan), None, 1, 10, "nan"),
        (np.full((3, 2), np.inf), None, 1, 10, "infinite"),
        (np.zeros((3, 2)), np.array([0, 1]), 2, 10, "for 3 tokens"),
        (np.zeros((3, 2)), np.array([0, 1, 2]), 2, 10, "from 0 to 2"),
        (np.zeros((3, 2)), np.array([0, 1, -1]), 2, 10, "from -1"),
        (np.zeros((3, 2)), None, 0, 10, "0 classes"),
        (np.zeros((3, 2)), None, 1, -1, "prior"),
    ],
)
def test_what_cannot_be_fitted_is_refused(log_probs, classes, class_count, prior, words):
    with pytest.raises(ValueError, match=words):
        fit(log_probs, classes, class_count, prior=prior)


# ── the knobs of a cache ────────────────────────────────────────────────────────────────────────


def test_the_best_theta_has_its_best_weight():
    numbers = np.random.default_rng(2)
    model = np.log(numbers.uniform(0.05, 0.3, 400))
    caches = np.log(numbers.uniform(0.01, 0.9, (3, 400)))
    caches[1] += 0.5
    caches[:, :20] = NEVER  # words that the cache has not seen
    theta, weight, found = best_cache(model, caches, thetas=[0.1, 0.3, 1.0], tolerance=1e-12, rounds=5000)
    grid = {
        (number, share): -np.log((1 - share) * np.exp(model) + share * np.exp(row)).mean()
        for number, row in enumerate(caches)
        for share in np.linspace(0, 0.99, 100)
    }
    (number, share), expected = min(grid.items(), key=lambda item: item[1])
    assert number == 1 and theta == 0.3
    assert weight == pytest.approx(share, abs=0.011)
    assert expected - 1e-3 < found <= expected


def test_of_equally_good_thetas_the_first_is_taken():
    model, row = np.log([0.5, 0.2]), np.log([0.1, 0.9])
    theta, weight, found = best_cache(model, np.stack([row, row]), thetas=[7.0, 8.0])
    assert theta == 7.0
    expected = fit(np.stack([model, row], axis=1))
    assert (weight, found) == (expected.weights[0, 1], expected.nats)


def test_a_useless_cache_has_next_to_no_weight():
    theta, weight, found = best_cache(np.log(np.full(50, 0.5)), np.full((1, 50), NEVER), thetas=[0.3])
    assert (theta, weight) == (0.3, 0.0)
    assert found == pytest.approx(math.log(2))


def test_without_tokens_no_cache_is_better_than_another():
    theta, weight, found = best_cache(np.empty(0), np.empty((2, 0)), thetas=[0.1, 0.3])
    assert (theta, weight) == (0.1, 0.5)
    assert math.isnan(found)


@pytest.mark.parametrize(("rows", "thetas"), [(2, [0.1]), (0, [])])
def test_there_is_one_row_for_each_theta(rows, thetas):
    with pytest.raises(ValueError, match="thetas"):
        best_cache(np.zeros(5), np.zeros((rows, 5)), thetas=thetas)
