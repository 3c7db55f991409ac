"""Weights: found exactly along lines, in the middle of plateaus, and held against lists that they do not know."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.errors import CharlmError, ConfigError
from charlm.nbest import Hypothesis, Utterance
from charlm.reranking.comparing import aligned, side_by_side, where_they_differ
from charlm.reranking.deciding import Decision, decide, distances, posteriors
from charlm.reranking.lines import Plateau, Staircase, best_plateau, steps_along
from charlm.reranking.listing import FROM_LIST, from_list, names_from_lists
from charlm.reranking.problem import Problem, edits, problem_of
from charlm.reranking.reporting import Reported, calibration
from charlm.reranking.searching import Search
from charlm.reranking.tempering import honest, nowhere, risky, risky_choices
from charlm.reranking.tuning import AIMS, Tuner
from charlm.reranking.validating import folds_of, interval
from charlm.reranking.weighing import Formula, score_named, weigh

NUMBERS = st.floats(-5, 5).map(lambda number: round(number, 1))


@st.composite
def problems(draw, scores: int = 3) -> Problem:
    """Small problems in which ties are frequent."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=6))
    total = sum(sizes)
    rows = draw(st.lists(st.lists(NUMBERS, min_size=scores, max_size=scores), min_size=total, max_size=total))
    errors = draw(st.lists(st.integers(0, 4), min_size=total, max_size=total))
    return problem("abc"[:scores], rows, errors, sizes)


def problem(names, rows, errors, sizes) -> Problem:
    lengths = np.array(sizes)
    return Problem(
        tuple(names),
        np.array(rows, dtype=float),
        np.array(errors),
        np.cumsum(lengths) - lengths,
        np.full(len(sizes), 5),
        np.arange(len(sizes)),
    )


# Along a line


@given(problems(), st.lists(NUMBERS, min_size=6, max_size=6))
def test_along_a_line_the_errors_are_those_of_every_point_of_a_fine_grid(lists, numbers):
    weights, direction = np.array(numbers[:3]), np.array(numbers[3:])
    steps = steps_along(lists, weights, direction)
    assert np.all(np.diff(steps.places) > 0) and len(steps.errors) == len(steps.places) + 1
    for place in np.linspace(-40, 40, 401) + 1e-4:
        if len(steps.places) and np.abs(steps.places - place).min() < 1e-7:
            continue
        counted = int(lists.errors_by(weights + place * direction).sum())
        assert steps.errors[np.searchsorted(steps.places, place, side="right")] == counted


@given(problems(), st.lists(NUMBERS, min_size=6, max_size=6))
def test_no_point_of_a_line_has_fewer_errors_than_its_plateau(lists, numbers):
    weights, direction = np.array(numbers[:3]), np.array(numbers[3:])
    plateau = best_plateau(steps_along(lists, weights, direction))
    grid = [int(lists.errors_by(weights + t * direction).sum()) for t in np.linspace(-60, 60, 601) + 1e-4]
    assert plateau.errors <= min(grid)
    if plateau.high - plateau.low > 1e-6:
        inside = [int(lists.errors_by(weights + t * direction).sum()) for t in (plateau.middle, plateau.beside)]
        assert min(inside) <= plateau.errors and plateau.errors in inside
        assert plateau.low <= plateau.middle < plateau.beside <= plateau.high


def test_a_middle_where_all_candidates_are_equal_was_taken_for_the_plateau_around_it():
    # At t = 0 all sums are equal and the first candidate is chosen, which is right; at every other t one of the others.
    lists = problem("a", [[0], [1], [-1]], [0, 1, 1], [3])
    plateau = best_plateau(steps_along(lists, np.zeros(1), np.ones(1)))
    assert (plateau.errors, plateau.middle, lists.errors_by(np.zeros(1)).sum()) == (1, 0.0, 0)
    assert lists.errors_by(np.array([plateau.beside])).sum() == 1


def test_two_candidates_cross_where_their_sums_are_equal():
    # Sums at t: 3 + 0t (right) and 1 + 2t (wrong): equal at t = 1.
    found = steps_along(problem("ab", [[3, 0], [1, 2]], [0, 1], [2]), np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert found.places.tolist() == [1.0] and found.errors.tolist() == [0, 1]


def test_of_equal_sums_the_first_candidate_is_chosen():
    lists = problem("a", [[1], [1], [2], [2]], [0, 1, 3, 4], [2, 2])
    assert lists.errors_by(np.array([1.0])).tolist() == [0, 3]
    assert lists.errors_by(np.array([0.0])).tolist() == [0, 3]
    assert lists.errors_by(np.array([-1.0])).tolist() == [0, 3]


def test_the_widest_of_the_best_plateaus_is_entered_in_its_middle():
    steps = Staircase(np.array([0.0, 1.0, 2.0, 6.0, 7.0]), np.array([5, 2, 4, 2, 3, 9]))
    assert best_plateau(steps) == Plateau(2, 2.0, 6.0, 4.0)
    assert best_plateau(steps, low=5.0).middle == 5.5
    assert best_plateau(steps, high=1.5).middle == 0.5


def test_plateaus_side_by_side_that_are_level_are_one():
    steps = Staircase(np.array([0.0, 1.0, 2.0]), np.array([5, 2, 2, 3]))
    assert best_plateau(steps) == Plateau(2, 0.0, 2.0, 1.0)


def test_a_plateau_without_end_is_entered_and_not_left():
    found = best_plateau(Staircase(np.array([1.0, 3.0]), np.array([4, 3, 1])))
    assert (found.errors, found.low, found.high) == (1, 3.0, math.inf) and 3.0 < found.middle < math.inf
    assert best_plateau(Staircase(np.empty(0), np.array([2]))).middle == 0.0


def test_lists_of_any_length_stand_side_by_side():
    sizes = [1, 3, 700, 2, 5]
    random = np.random.default_rng(3)
    lists = problem("ab", random.normal(size=(sum(sizes), 2)), random.integers(0, 9, sum(sizes)), sizes)
    totals = lists.scores @ np.array([1.0, -2.0])
    begins = lists.starts.tolist()
    slow = [begin + int(np.argmax(totals[begin : begin + size])) for begin, size in zip(begins, sizes, strict=True)]
    assert lists.chosen(np.array([1.0, -2.0])).tolist() == slow
    assert lists.only(np.array([False, True, False, True, True])).sizes.tolist() == [3, 2, 5]


# Search


@given(problems(scores=2))
def test_of_two_scores_the_search_finds_what_a_fine_grid_of_all_directions_finds(lists):
    angles = np.linspace(0, 2 * np.pi, 721)
    best = min(int(lists.errors_by(np.array([np.cos(a), np.sin(a)])).sum()) for a in angles + 1e-5)
    assert Search(starts=4).best(lists).errors <= best


def planted(lists: int = 200, seed: int = 5) -> Problem:
    """Candidates whose errors are zero exactly where 2a + b - c is largest; d is noise."""
    random = np.random.default_rng(seed)
    rows, errors = [], []
    for _ in range(lists):
        block = random.normal(size=(6, 4))
        totals = block @ np.array([2.0, 1.0, -1.0, 0.0])
        rows.append(block)
        errors += [int(number != np.argmax(totals)) for number in range(6)]
    return problem("abcd", np.concatenate(rows), errors, [6] * lists)


def test_planted_weights_are_found_again():
    found = Search(starts=4).best(planted())
    assert found.errors == 0
    assert found.weights / found.weights[0] == pytest.approx([1.0, 0.5, -0.5, 0.0], abs=0.05)


def test_a_score_that_says_nothing_gets_the_weight_zero():
    found = Search(starts=2).best(planted(60))
    assert found.errors == 0 and found.weights[3] == 0.0


def test_a_weight_of_fixed_sign_never_falls_below_zero():
    lists = planted(60)
    assert Search().best(lists).weights[2] < 0
    held = Search(fixed_sign={"a", "b", "c"}).best(lists)
    assert min(held.weights[:3]) >= 0 and held.errors > 0


def test_the_size_of_a_score_does_not_matter():
    lists = planted(60)
    scaled = problem("abcd", lists.scores * [1.0, 1e4, 1.0, 1e-3], lists.errors, [6] * 60)
    assert Search(starts=2).best(scaled).errors == Search(starts=2).best(lists).errors == 0


# Margin


def noisy(lists: int, seed: int) -> Problem:
    """Lists in which three scores know a little, each as much as the others, and one knows nothing."""
    random = np.random.default_rng(seed)
    errors = random.integers(0, 4, 4 * lists)
    heard = -errors[:, None] * [0.5, 0.5, 0.5, 0] + random.normal(size=(4 * lists, 4))
    return problem("abcd", heard, errors, [4] * lists)


def test_the_mean_of_several_tunings_does_better_on_new_lists_than_the_fewest_errors_on_the_old_ones():
    new, minimum, mean, tuned = noisy(4000, 1000), 0, 0, Tuner()
    for seed in range(12):
        old = noisy(60, seed)
        keys = [str(number) for number in range(60)]
        formula = tuned.tune(old, keys).decision.formula
        mean += int(new.errors_by(np.array([formula[name] for name in "abcd"])).sum())
        minimum += int(new.errors_by(Search(seed=1).best(old).weights).sum())
    assert mean < 0.985 * minimum


def test_a_weight_that_the_mean_does_not_need_is_zero():
    lists = planted()
    best = Search().best(lists).weights
    apart = [best + np.eye(4)[3] * step for step in (-0.01, 0.012)]
    middle = Tuner()._middle(lists, apart)
    assert (
        np.count_nonzero(middle) == np.count_nonzero(best)
        and lists.errors_by(middle).sum() == lists.errors_by(best).sum()
    )


def test_the_margin_is_the_weight_of_standing_first():
    lists = Utterance("u", (Hypothesis("a", {"am": 1.0}), Hypothesis("b", {"am": 3.0})))
    for margin, best in ((0.0, "b"), (1.9, "b"), (2.0, "a"), (5.0, "a")):
        decision = Decision(Formula.exactly({"am": 1.0}), margin)
        brought = from_list(["a", "b"], "wer", decision.whole)
        assert decide(weigh(lists, brought, decision.whole, ()), decision, "wer").best.text == best


def test_a_margin_is_tuned_with_the_rest():
    # The second candidate is right where it leads by 2, wrong where it leads by 1.
    rows = [[0, 1], [2, 0]] * 30 + [[0, 1], [1, 0]] * 30
    lists = problem(["am", "first"], rows, [1, 0] * 30 + [0, 1] * 30, [2] * 60)
    found = Tuner(fixed_sign={"am", "first"}, reference=["am"]).tune(lists, [str(n) for n in range(60)])
    assert found.crossed == 0 and 1 < found.decision.margin < 2 and found.decision.formula["am"] == 1.0


# Trust


def test_where_nothing_is_gained_the_decision_abstains_and_force_overrides():
    random = np.random.default_rng(1)
    lists = problem(["am", "first"], random.normal(size=(200, 2)), random.integers(0, 3, 200), [2] * 100)
    keys = [str(number) for number in range(100)]
    found = Tuner(fixed_sign={"first"}, aims=("errors",)).tune(lists, keys)
    assert found.gain.low <= 0 and found.decision.abstains and "includes none" in found.abstains_because
    for aims in (("errors",), AIMS):
        forced = Tuner(fixed_sign={"first"}, aims=aims, force=True).tune(lists, keys)
        assert not forced.decision.abstains and forced.abstains_because and any(forced.decision.formula.values())


def test_where_no_score_tells_anything_likely_weights_are_none():
    random = np.random.default_rng(1)
    lists = problem(["am", "first"], random.normal(size=(200, 2)), random.integers(0, 3, 200), [2] * 100)
    found = Tuner(fixed_sign={"first"}).tune(lists, [str(number) for number in range(100)])
    assert found.decision.abstains and found.abstains_because == "no score helps to choose"
    assert found.crossed == found.first and not any(found.decision.formula.values())


def test_a_score_that_is_tried_is_taken_only_where_cross_validation_is_for_it():
    lists = planted(100)
    keys = [str(number) for number in range(100)]
    found = Tuner().tune(lists, keys, tried=["c", "d"])
    assert found.taken == ("c",) and "d" not in found.decision.formula
    assert found.tried["c"] < found.without_tried


def test_groups_stay_together_and_parts_are_even():
    keys = [f"speaker{number % 7}" for number in range(70)]
    parts = folds_of(keys, 5)
    assert len({(key, part) for key, part in zip(keys, parts, strict=True)}) == 7
    assert sorted(np.bincount(parts)) == [10, 10, 10, 20, 20]
    assert folds_of(keys, 5, seed=2).tolist() != parts.tolist() and folds_of(["a", "b"], 9).max() == 1


def test_lists_of_one_group_cannot_be_tuned_on():
    with pytest.raises(CharlmError, match="too few"):
        Tuner().tune(planted(10), ["same"] * 10)


def test_an_interval_holds_its_rate_and_shrinks_with_more_lists():
    random = np.random.default_rng(2)
    few, many = (interval(random.integers(0, 2, count), np.full(count, 5)) for count in (50, 5000))
    assert few.low < few.value < few.high and many.high - many.low < (few.high - few.low) / 5
    assert many.high - many.low == pytest.approx(2 * 1.96 * 0.5 / 5 / math.sqrt(5000), rel=0.1)


def test_utterances_of_a_group_are_drawn_together():
    errors, said = np.array([1, 0] * 50), np.full(100, 5)
    together = interval(errors, said, errors)
    alone = interval(errors, said)
    assert together.value == alone.value and together.high - together.low > alone.high - alone.low


# Decisions


def test_posteriors_are_a_softmax_and_a_higher_temperature_is_less_sure():
    assert posteriors([math.log(3), 0.0], 1.0) == pytest.approx([0.75, 0.25])
    assert posteriors([math.log(3), 0.0], 2.0)[0] == pytest.approx(math.sqrt(3) / (1 + math.sqrt(3)))
    assert posteriors([-math.inf, -math.inf], 1.0).tolist() == [0.5, 0.5]


def test_least_expected_error_prefers_the_candidate_that_is_near_to_all():
    texts = ["abc", "xyc", "xbc", "xbd"]
    scores = [math.log(p) for p in (0.4, 0.1, 0.25, 0.25)]
    lists = Utterance("u", tuple(Hypothesis(t, {"am": s}) for t, s in zip(texts, scores, strict=True)))
    formula = Formula.exactly({"am": 1.0})
    ranked = weigh(lists, [{}] * 4, formula, ())
    assert decide(ranked, Decision(formula), "cer").best.text == "abc"
    # Expected edits: abc .1·2+.25+.25·2 = .95; xbc .4+.1+.25 = .75; xbd .4·2+.1·2+.25 = 1.25
    found = decide(ranked, Decision(formula, way="mbr"), "cer")
    assert found.best.text == "xbc"
    assert sum(item.posterior or 0 for item in found.weighed) == pytest.approx(1.0)
    assert decide(ranked, Decision(formula, way="mbr", temperature=0.1), "cer").best.text == "abc"
    apart = decide(ranked, Decision(formula, way="mbr", risk_temperature=0.1), "cer")
    assert apart.best.text == "abc" and apart.weighed[0].posterior == pytest.approx(0.4)
    assert decide(ranked, Decision(formula, abstains=True), "cer").weighed[0].position == 0


def test_distances_are_edits_between_any_two_texts():
    assert distances(["做作业", "做做业", "做作业"], "cer").tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]


def test_tuned_risk_is_what_a_decision_does():
    random = np.random.default_rng(4)
    texts = [["".join(random.choice(list("abc"), 4)) for _ in range(5)] for _ in range(20)]
    listed = [
        Utterance(number, tuple(Hypothesis(t, {"am": float(random.normal())}) for t in some), "abca")
        for number, some in enumerate(texts)
    ]
    lists = problem_of(listed, [[{}] * 5] * 20, ["am"], "cer")
    measured = {number: distances(some, "cer") for number, some in enumerate(texts)}
    for temperature in (0.3, 1.0, 4.0):
        found = risky_choices(
            lists, np.ones(1), np.array([temperature]), lambda place, rows: measured[place][rows[:, None], rows]
        )[0]
        formula = Formula.exactly({"am": 1.0})
        decision = Decision(formula, way="mbr", temperature=temperature)
        for number, utterance in enumerate(listed):
            best = decide(weigh(utterance, [{}] * 5, formula, ()), decision, "cer").best.text
            assert edits("abca", [best], "cer") == [found[number]]
    assert 0 < risky(lists, np.ones(1), lambda place, rows: measured[place][rows[:, None], rows]) < math.inf


def test_the_honest_temperature_is_that_of_the_draws():
    random = np.random.default_rng(6)
    rows, errors = [], []
    for _ in range(3000):
        totals = random.normal(size=4) * 6
        drawn = random.choice(4, p=posteriors(totals, 3.0))
        rows += [[total] for total in totals]
        errors += [int(number != drawn) for number in range(4)]
    assert honest(problem("a", rows, errors, [4] * 3000), np.ones(1)) == pytest.approx(3.0, rel=0.12)
    assert honest(problem("a", [[1], [2]], [1, 1], [2]), np.ones(1)) == 1.0
    assert nowhere(0, np.arange(2)).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"temperature": math.nan}, {"margin": -1.0}, {"way": "mean"}])
def test_impossible_decisions_are_refused(wrong):
    with pytest.raises(ConfigError):
        Decision(**wrong)


# Scores from the list alone, and products


def test_what_a_list_alone_says():
    found = from_list(["一二", "一二。", "三"], "cer", ["length", "rank", "copies", "first"])
    assert [row["length"] for row in found] == [2.0, 2.0, 1.0]
    assert [row["rank"] for row in found] == pytest.approx([0.0, -math.log(2), -math.log(3)])
    assert [row["first"] for row in found] == [1.0, 0.0, 0.0]
    assert [row["copies"] for row in from_list(["A", "a", "b"], "wer", ["copies"])] == pytest.approx(
        [math.log(2), math.log(2), 0.0]
    )
    assert from_list(["a"], "wer", ["am", "fwd"]) == [{}]
    found = from_list(["我用 OK"], "mer", ["length", "characters", "words"])
    assert found == [{"length": 3.0, "characters": 4.0, "words": 2.0}]
    assert {name for source in FROM_LIST for name in source.names} < set(names_from_lists())


def test_a_product_is_known_where_its_factors_are():
    assert score_named("am*length", {"am": -0.5, "length": 4.0}) == -2.0
    assert score_named("am*length", {"length": 4.0}) is None
    assert score_named("lm*length", {"lm": -math.inf, "length": 0.0}) == 0.0
    lists = Utterance("u", (Hypothesis("a b", {"am": -1.0}), Hypothesis("a", {"am": -1.5})))
    found = weigh(lists, from_list(["a b", "a"], "wer", ["length"]), Formula.exactly({"am*length": 1.0}), ())
    assert [item.total for item in found.weighed] == [-1.5, -2.0]


def test_a_score_that_some_candidates_lack_counts_nothing_in_that_list():
    listed = [
        Utterance(1, (Hypothesis("a", {"am": 1.0}), Hypothesis("b")), "b"),
        Utterance(2, (Hypothesis("a", {"am": 1.0}), Hypothesis("b", {"am": 2.0})), "b"),
        Utterance(3, (), "b"),
        Utterance(4, (Hypothesis("a"),)),
    ]
    lists = problem_of(listed, [[{}, {}]] * 2 + [[]] + [[{}]], ["am"], "wer")
    assert lists.scores.ravel().tolist() == [0.0, 0.0, 1.0, 2.0] and lists.places.tolist() == [0, 1]
    assert lists.errors.tolist() == [1, 0, 1, 0] and lists.oracle.sum() == 0


# Side by side


def test_two_readings_stand_side_by_side_and_the_place_where_models_differ_is_named():
    one = {"a": [("做", 1.0), ("作", 2.0), ("业", 1.0)], "b": [("做", 1.0), ("作", 5.0), ("业", 1.0)]}
    other = {"a": [("做", 1.0), ("做", 4.0), ("业", 1.0)], "b": [("做", 1.0), ("做", 3.0), ("业", 1.0)]}
    ((names, rows),) = side_by_side(one, other)
    assert names == ["a", "b"] and [row.pair.kind for row in rows] == ["", "S", ""]
    assert rows[1].one == (2.0, 5.0) and rows[1].other == (4.0, 3.0)
    told = where_they_differ(one, other)
    assert told is not None and "a prefers 作业 by 2.0 nats; b prefers 做业 by 2.0 nats" in told
    assert where_they_differ({"a": one["a"], "b": one["a"]}, {"a": other["a"], "b": other["a"]}) is None
    assert where_they_differ({"a": one["a"]}, {"a": other["a"]}) is not None


def test_models_of_different_tokens_are_compared_each_by_itself():
    one = {"char": [("做", 1.0), ("业", 1.0)], "word": [("做业", 3.0)]}
    assert [names for names, _ in side_by_side(one, one)] == [["char"], ["word"]]


def test_an_alignment_turns_one_text_into_the_other():
    pairs = aligned("床前明月光", "床明月月光")
    assert [pair.one for pair in pairs if pair.one] == list("床前明月光")
    assert [pair.other for pair in pairs if pair.other] == list("床明月月光")
    assert sum(bool(pair.kind) for pair in pairs) == 2


# Figures


def test_figures_of_a_small_set_are_those_counted_by_hand():
    formula = Formula.exactly({"am": 1.0})
    tally = Reported("cer")
    for place, (texts, scores, said) in enumerate(
        [
            (["坐坐业", "做作业"], (0.0, 1.0), "做作业"),
            (["好", "号"], (0.0, 1.0), "好"),
            (["你", "我"], (1.0, 0.0), "他"),
        ]
    ):
        lists = Utterance(place, tuple(Hypothesis(t, {"am": s}) for t, s in zip(texts, scores, strict=True)), said)
        ranked = decide(weigh(lists, [{}] * 2, formula, ()), Decision(formula), "cer")
        tally.add(place, lists, ranked, None)
    tally.add(3, Utterance(3, (), "二字"), weigh(Utterance(3, ()), [], formula, ()), None)
    tally.add(4, Utterance(4, (Hypothesis("a"),)), weigh(Utterance(4, (Hypothesis("a"),)), [{}], formula, ()), None)
    found = tally.figures(has_scores=False)
    assert (found.first.total, found.reranked.total, found.oracle.total, found.first.reference_units) == (5, 4, 3, 7)
    assert found.captured == 0.5 and (found.changed, found.better, found.worse) == (2, 1, 1)
    assert found.depths == {2: 3, 5: 3, 10: 3} and (found.empty, found.without_reference) == (1, 1)
    gained, lost = tally.most(5)
    assert [change.place for change in gained] == [0] and [change.place for change in lost] == [1]
    assert ("作", "坐", 1, 0) in found.confusions or ("做", "坐", 1, 0) in found.confusions
    assert found.to_json()["first"]["rate"] == 5 / 7


def test_posteriors_that_are_right_as_often_as_they_say_are_calibrated():
    sure = [(0.75, True)] * 3 + [(0.75, False)]
    assert calibration(sure)[1] == 0.0
    bins, error = calibration([(1.0, False), (0.05, False)])
    assert error == pytest.approx((1.0 + 0.05) / 2) and [one.lists for one in bins] == [1, 1]
    assert calibration([]) == ((), None)
