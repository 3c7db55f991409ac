"""Weights by which the best candidates are likeliest."""

import numpy as np
import pytest
import torch

from charlm.reranking import likelihood
from charlm.reranking.likelihood import RIDGE, likeliest
from charlm.reranking.listing import IMPOSSIBLE
from charlm.reranking.problem import Problem
from charlm.reranking.searching import Search, spread
from charlm.reranking.tuning import Plan, Tuner, preferred


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


def test_one_impossible_candidate_made_a_score_worthless():
    lists = noisy(100, 6)
    whole, rows = likeliest(lists), lists.scores.copy()
    worst = np.flatnonzero(lists.errors == 3)[:8]
    rows[worst, 1] = IMPOSSIBLE
    found = likeliest(problem("abc", rows, lists.errors, 4))
    assert whole.all() and found == pytest.approx(whole, rel=0.15)


def test_a_score_that_is_the_same_or_impossible_in_all_candidates_of_a_list_says_nothing():
    lists = noisy(100, 6)
    rows = np.column_stack([lists.scores, np.full(400, 7.0), lists.scores[:, 0]])
    rows[:200, 4] = IMPOSSIBLE
    found = likeliest(problem("abcde", rows, lists.errors, 4))
    assert np.isfinite(found).all() and found[3] == 0 and found[0] > 0


def test_every_score_that_is_kept_is_worth_a_parameter():
    """Also where several candidates are the best ones."""
    for seed in range(12):
        random = np.random.default_rng(seed)
        lists = problem("abcd", random.normal(size=(480, 4)), random.integers(0, 2, 480), 6)
        weights = likeliest(lists)
        for number in np.flatnonzero(weights):
            others = [name for place, name in enumerate("abcd") if weights[place] and place != number]
            assert height(lists, weights) - height(lists, all_of(lists, others)) >= 1 - 1e-3


def height(lists: Problem, weights) -> float:
    matters = lists.undecided()
    scores = (matters.scores * weights).sum(1).reshape(len(matters.starts), -1)
    best = matters.errors.reshape(scores.shape) == matters.oracle[:, None]
    aim = np.log((np.exp(scores) * best).sum(1)) - np.log(np.exp(scores).sum(1))
    return float(aim.sum() - RIDGE * len(scores) * (weights * spread(matters) @ (weights * spread(matters))))


def all_of(lists: Problem, names) -> np.ndarray:
    """The top with these scores alone, none of them left out."""
    free = likelihood.WORTH
    likelihood.WORTH = -1.0
    try:
        found = likeliest(lists.having(names)) if names else np.zeros(0)
    finally:
        likelihood.WORTH = free
    return np.array([found[names.index(name)] if name in names else 0.0 for name in lists.names])


def test_where_all_candidates_are_as_good_nothing_counts():
    rows = np.random.default_rng(7).normal(size=(20, 2))
    assert not likeliest(problem("ab", rows, [1] * 20, 2)).any()
    assert not likeliest(problem("ab", np.zeros((0, 2)), [], 2)).any()


def test_weights_stay_finite_where_a_score_tells_all():
    lists = noisy(50, 8)
    found = likeliest(problem("a", -lists.errors[:, None], lists.errors, 4))
    assert 0 < found[0] < 1e3


def test_the_aim_that_is_tuned_for_is_told_beside_the_other():
    keys = [str(number) for number in range(80)]
    lists = noisy(80, 1, (0.5, 0.5, 0.5, 0.0))
    alone = {aim: Tuner(aims=(aim,)).tune(lists, keys).crossed for aim in ("likelihood", "errors")}
    found = Tuner().tune(lists, keys)
    assert found.aims == alone and found.crossed == alone[found.aim]


def test_the_fewest_errors_are_the_aim_only_where_they_are_fewer_by_more_than_a_standard_error():
    def plan(aim, crossed) -> Plan:
        return Plan(aim, (), [], np.array(crossed), 0, {}, ())

    each = np.arange(40)
    likely = plan("likelihood", [1] * 40)
    for errors, aim in (([1] * 40, "likelihood"), ([0, 2] * 19 + [0, 1], "likelihood"), ([0] * 5 + [1] * 35, "errors")):
        assert preferred([likely, plan("errors", errors)], each).aim == aim
    # What belongs together is one observation, not many: seven better in one of four, three worse in another.
    mixed = plan("errors", [0] * 7 + [1] * 3 + [2] * 3 + [1] * 7 + [0] + [1] * 19)
    assert preferred([likely, mixed], each).aim == "errors"
    assert preferred([likely, mixed], each // 10).aim == "likelihood"


def test_the_fewest_errors_are_the_aim_where_the_likelihood_is_far_from_them():
    # One score tells the best candidate of most lists, and misleads so far in few others that likelihood gives it up.
    rows = np.array([[0.0], [0.1]] * 90 + [[3.0], [0.0]] * 10)
    lists = problem("a", rows, [1, 0] * 100, 2)
    found = Tuner().tune(lists, [str(number) for number in range(100)])
    assert found.aim == "errors" and found.crossed == 10 and found.aims["likelihood"] > 50
