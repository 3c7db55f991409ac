"""Weights by which the best candidates are likeliest."""

import numpy as np
import pytest
import torch

from charlm.reranking.likelihood import RIDGE, likeliest
from charlm.reranking.listing import IMPOSSIBLE
from charlm.reranking.problem import Problem
from charlm.reranking.searching import Search, spread
from charlm.reranking.tuning import Tuner


def problem(names, rows, errors, height: int) -> Problem:
    lists = len(errors) // height
    starts = np.arange(lists) * height
    return Problem(
        tuple(names), np.array(rows, dtype=float), np.array(errors), starts, np.full(lists, 5), np.arange(lists)
    )


def noisy(lists: int, seed: int, knowing=(0.5, 0.5, 0.5)) -> Problem:
    """Lists in which some scores know a little of the errors."""
    random = np.random.default_rng(seed)
    errors = random.integers(0, 4, 4 * lists)
    heard = -errors[:, None] * np.array(knowing) + random.normal(size=(4 * lists, len(knowing)))
    return problem("abcdefgh"[: len(knowing)], heard, errors, 4)


def slope(lists: Problem, weights) -> torch.Tensor:
    """Of the aim at some weights of standardised scores, by automatic differentiation."""
    matters = lists.undecided()
    at = torch.tensor(weights * spread(matters), requires_grad=True)
    scores = torch.tensor(matters.scores / spread(matters)).view(len(matters.starts), -1, len(weights))
    best = torch.tensor(matters.errors == np.repeat(matters.oracle, matters.sizes)).view(scores.shape[:2])
    shares = torch.log_softmax(scores @ at, 1)
    aim = shares.masked_fill(~best, -torch.inf).logsumexp(1).sum() - RIDGE * len(scores) * (at @ at)
    return torch.autograd.grad(aim, at)[0] / len(scores)


@pytest.mark.parametrize("knowing", [(0.5, 0.2), (3.0, 0.1, 0.4), (0.02, -0.9)])
def test_at_the_top_the_aim_rises_in_no_direction(knowing):
    lists = noisy(300, 1, knowing)
    weights = likeliest(lists)
    assert weights.any() and slope(lists, np.zeros(len(knowing))).abs().max() > 1e-2
    assert slope(lists, weights)[torch.tensor(weights != 0)].abs().max() < 1e-4


def test_weights_that_were_drawn_from_are_found_again():
    random, true = np.random.default_rng(3), np.array([1.5, -0.7, 0.0])
    rows = random.normal(size=(4000, 5, 3))
    totals = rows @ true + random.gumbel(size=(4000, 5))
    errors = (np.arange(5) != totals.argmax(1)[:, None]).astype(int)
    assert likeliest(problem("abc", rows.reshape(-1, 3), errors.ravel(), 5)) == pytest.approx(true, abs=0.08)


def test_it_does_better_on_new_lists_than_the_fewest_errors_on_the_old_ones():
    knowing = (0.4, 0.4, 0.4, 0.4, 0.0, 0.0)
    new, minimum, likely = noisy(4000, 1000, knowing), 0, 0
    for seed in range(12):
        old = noisy(60, seed, knowing)
        likely += int(new.errors_by(likeliest(old)).sum())
        minimum += int(new.errors_by(Search(seed=1).best(old).weights).sum())
    assert likely < 0.97 * minimum


def test_a_score_that_says_nothing_is_left_out_and_one_of_fixed_sign_is_never_below_zero():
    lists = noisy(500, 4, (0.5, -0.5, 0.0))
    free, held = likeliest(lists), likeliest(lists, {"b"})
    assert free[0] > 0 > free[1] and free[2] == 0
    assert held[0] > 0 and held[1] == held[2] == 0


def test_the_size_of_a_score_does_not_matter():
    lists = noisy(100, 5)
    scaled = problem("abc", lists.scores * [1.0, 50.0, 1e-3], lists.errors, 4)
    assert likeliest(scaled) * [1.0, 50.0, 1e-3] == pytest.approx(likeliest(lists))


def test_what_is_impossible_or_the_same_everywhere_does_no_harm():
    lists = noisy(100, 6)
    rows = np.column_stack([lists.scores, np.full(400, 7.0)])
    rows[::40, 1] = IMPOSSIBLE
    found = likeliest(problem("abcd", rows, lists.errors, 4))
    assert np.isfinite(found).all() and found[3] == 0 and found[0] > 0


def test_where_all_candidates_are_as_good_nothing_counts():
    rows = np.random.default_rng(7).normal(size=(20, 2))
    assert not likeliest(problem("ab", rows, [1] * 20, 2)).any()
    assert not likeliest(problem("ab", np.zeros((0, 2)), [], 2)).any()


def test_weights_stay_finite_where_a_score_tells_all():
    lists = noisy(50, 8)
    found = likeliest(problem("a", -lists.errors[:, None], lists.errors, 4))
    assert 0 < found[0] < 1e3


def test_the_fewest_errors_are_the_aim_only_where_cross_validation_is_clearly_for_them():
    keys = [str(number) for number in range(80)]
    aims = set()
    for seed in range(8):
        lists = noisy(80, seed, (0.5, 0.5, 0.5, 0.0))
        alone = {aim: Tuner(aims=(aim,)).tune(lists, keys).crossed for aim in ("errors", "likelihood")}
        found = Tuner().tune(lists, keys)
        assert found.aims == alone and found.crossed == alone[found.aim]
        assert found.aim == "likelihood" or alone["errors"] < alone["likelihood"]
        aims.add(found.aim)
    assert "likelihood" in aims


def test_the_fewest_errors_are_the_aim_where_the_likelihood_is_far_from_them():
    # One score tells the best candidate of most lists, and misleads so far in few others that likelihood gives it up.
    rows = np.array([[0.0], [0.1]] * 90 + [[3.0], [0.0]] * 10)
    lists = problem("a", rows, [1, 0] * 100, 2)
    found = Tuner().tune(lists, [str(number) for number in range(100)])
    assert found.aim == "errors" and found.crossed == 10 and found.aims["likelihood"] > 50
