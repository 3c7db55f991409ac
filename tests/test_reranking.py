import json
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.errors import CharlmError, ConfigError
from charlm.nbest import Hypothesis, Utterance
from charlm.reranking.error_rates import Errors
from charlm.reranking.judging import Verdict, judge
from charlm.reranking.weighing import Formula, Ranked, Weighed, rank

NATS = st.floats(-100, 0)


def utterance(*texts: str, am: tuple[float | None, ...] = (), reference: str | None = None) -> Utterance:
    scores = [{} if score is None else {"am": score} for score in am] or [{}] * len(texts)
    return Utterance("u", tuple(Hypothesis(t, s) for t, s in zip(texts, scores, strict=True)), reference)


def order(ranked: Ranked) -> list[str]:
    return [item.hypothesis.text for item in ranked.weighed]


def test_the_total_is_the_weighted_sum_of_the_parts():
    found = rank(utterance("做作业", am=(-12.0,)), [-20.0], [3], Formula(am=1.0, lm=0.5, length=2.0))
    assert found.weighed == (
        Weighed(Hypothesis("做作业", {"am": -12.0}), 0, -16.0, {"am": -12.0, "lm": -20.0, "length": 3.0}),
    )  # -12 + 0.5 * -20 + 2 * 3


def test_the_likelier_text_comes_first():
    found = rank(utterance("做做业", "坐坐业", "做作业"), [-14.0, -15.5, -9.0], [3, 3, 3], Formula())
    assert order(found) == ["做作业", "做做业", "坐坐业"]
    assert found.best.text == "做作业"
    assert [item.position for item in found.weighed] == [2, 0, 1]


def test_equal_totals_keep_the_order_of_the_list():
    found = rank(utterance("a", "b", "c", "d"), [-2.0, -1.0, -2.0, -1.0], [1] * 4, Formula())
    assert order(found) == ["b", "d", "a", "c"]


def test_a_length_weight_pays_longer_candidates():
    candidates = utterance("on", "on time")
    assert order(rank(candidates, [-4.0, -6.0], [1, 2], Formula())) == ["on", "on time"]
    assert order(rank(candidates, [-4.0, -6.0], [1, 2], Formula(length=3.0))) == ["on time", "on"]


def test_an_acoustic_score_that_some_candidates_lack_is_left_out_for_all():
    found = rank(utterance("a", "b", am=(-1.0, None)), [-5.0, -4.0], [1, 1], Formula())
    assert order(found) == ["b", "a"]
    assert "am" not in found.used and found.partial == ("am",)
    assert found.weighed[0].parts == {"lm": -4.0, "length": 1.0}


def test_a_list_says_whether_its_acoustic_scores_were_used():
    with_all = rank(utterance("a", "b", am=(-1.0, -9.0)), [-5.0, -4.0], [1, 1], Formula())
    assert order(with_all) == ["a", "b"]
    assert "am" in with_all.used and not with_all.partial
    with_none = rank(utterance("a", "b"), [-5.0, -4.0], [1, 1], Formula())
    assert "am" not in with_none.used and not with_none.partial


def test_an_impossible_text_comes_last_and_a_weight_of_zero_leaves_it_out():
    candidates = utterance("a", "b", am=(-1.0, -2.0))
    assert order(rank(candidates, [-math.inf, -4.0], [1, 1], Formula())) == ["b", "a"]
    silent = rank(candidates, [-math.inf, -4.0], [1, 1], Formula(lm=0.0))
    assert [item.total for item in silent.weighed] == [-1.0, -2.0]


@given(st.lists(st.tuples(NATS, NATS, st.integers(0, 50)), min_size=1, max_size=6), NATS, NATS)
def test_a_ranking_is_the_same_candidates_with_falling_totals(rows, lm_weight, length_weight):
    candidates = utterance(*(f"t{i}" for i in range(len(rows))), am=tuple(row[0] for row in rows))
    found = rank(candidates, [r[1] for r in rows], [r[2] for r in rows], Formula(lm=lm_weight, length=length_weight))
    assert sorted(item.position for item in found.weighed) == list(range(len(rows)))
    keys = [(-item.total, item.position) for item in found.weighed]
    assert keys == sorted(keys)
    assert all(candidates.hypotheses[item.position] is item.hypothesis for item in found.weighed)


@pytest.mark.parametrize("weight", [math.nan, math.inf, -math.inf])
def test_a_weight_that_is_not_finite_is_refused(weight):
    with pytest.raises(ConfigError, match="the lm weight must be a finite number"):
        Formula(lm=weight)


@pytest.mark.parametrize(("log_probs", "lengths"), [([-1.0], [1, 1]), ([-1.0, -2.0], [1])])
def test_one_value_is_needed_for_each_candidate(log_probs, lengths):
    with pytest.raises(ValueError, match="'u' has 2 candidates"):
        rank(utterance("a", "b"), log_probs, lengths, Formula())


def test_a_log_probability_that_is_not_a_number_is_refused():
    with pytest.raises(ValueError, match="candidate 1 of utterance 'u' cannot be weighed"):
        rank(utterance("a", "b"), [-1.0, math.nan], [1, 1], Formula())


@pytest.mark.parametrize(("am", "weights"), [((1e308, 1.0), Formula(am=10)), ((-1.0, -2.0), Formula(lm=1e308))])
def test_a_sum_too_large_for_a_number_is_refused_in_words(am, weights):
    with pytest.raises(CharlmError, match="the weighted sum is no number"):
        rank(utterance("a", "b", am=am), [-20.0, -30.0], [1, 1], weights)


def test_any_named_scores_are_weighed():
    candidates = Utterance("u", (Hypothesis("a", {"asr": -1.0, "x": 0.0}), Hypothesis("b", {"asr": -2.0})))
    formula = pickle.loads(pickle.dumps(Formula({"asr": -3.0, "x": 9.0}, lm=0.5)))
    found = rank(candidates, [-4.0, -4.0], [1, 1], formula)
    assert order(found) == ["b", "a"] and [item.total for item in found.weighed] == [4.0, 1.0]
    assert found.partial == ("x",) and formula.over(found.used) == "0.5·lm + -3·asr"


# Reports


def report(candidates: Utterance, log_probs: list[float], metric="cer") -> Verdict:
    return judge(candidates, rank(candidates, log_probs, [0] * len(log_probs), Formula()), metric)


# Errors of the candidates: 2, 1, 0 of 3 characters.
HOMEWORK = utterance("坐坐业", "做做业", "做作业", reference="做作业")


def test_a_report_sets_first_chosen_and_best_side_by_side():
    found = report(HOMEWORK, [-3.0, -1.0, -2.0])
    assert (found.first.total, found.reranked.total, found.oracle.total) == (2, 1, 0)
    assert found.gap_closed == 0.5
    assert found.summary() == {
        "metric": "cer",
        "first": 2 / 3,
        "reranked": 1 / 3,
        "oracle": 0.0,
        "gap_closed": 0.5,
        "pairwise_accuracy": None,
        "pairs": 0,
        "utterances": 1,
        "reference_units": 3,
        "mean_candidates": 3.0,
        "first_errors": 2,
        "reranked_errors": 1,
        "oracle_errors": 0,
        "first_substitutions": 2,
        "reranked_substitutions": 1,
        "oracle_substitutions": 0,
        **{f"{of}_{kind}": 0 for of in ("first", "reranked", "oracle") for kind in ("deletions", "insertions")},
        "candidates": 3,
        "pairs_won": 0.0,
        "without_reference": 0,
        "tokens": 0,
        "unknown_tokens": 0,
        "impossible": 0,
        "empty": 0,
    }


def test_reports_add_and_shares_are_of_the_sums():
    other = utterance("他在家", reference="他在家")
    total = report(HOMEWORK, [-3.0, -2.0, -1.0]) + report(other, [-1.0])
    assert total.first.rate == 2 / 6
    assert (total.gap_closed, total.mean_candidates, total.utterances) == (1.0, 2.0, 2)
    assert sum([total], Verdict("cer")) == total


def test_a_worse_order_closes_a_negative_share():
    found = report(utterance("做做业", "坐坐业", "做作业", reference="做作业"), [-2.0, -1.0, -3.0])
    assert found.gap_closed == -1.0


def test_without_a_gap_no_share_of_it_was_closed():
    assert report(utterance("做作业", "做做业", reference="做作业"), [-2.0, -1.0]).gap_closed is None


def test_of_equally_good_candidates_the_oracle_takes_the_first():
    found = report(utterance("做做做业", "做业", "做做业", reference="做作业"), [-1.0, -2.0, -3.0])
    assert found.oracle == Errors(deletions=1, reference_units=3, sentences=1, wrong_sentences=1)


@pytest.mark.parametrize(
    ("log_probs", "share"),
    [([-1.0, -2.0], 1.0), ([-2.0, -1.0], 0.0), ([-1.0, -1.0], 0.5), ([-math.inf, -math.inf], 0.5)],
)
def test_a_pair_is_won_by_the_higher_total_and_halved_by_a_tie(log_probs, share):
    right_first = report(utterance("做作业", "坐作业", reference="做作业"), log_probs)
    right_second = report(utterance("坐作业", "做作业", reference="做作业"), log_probs[::-1])
    assert right_first.pairwise_accuracy == right_second.pairwise_accuracy == share
    assert (right_first + right_second).pairs == 2


def test_only_two_candidates_of_which_one_is_right_make_a_pair():
    assert report(utterance("做做业", "坐坐业", reference="做作业"), [-1.0, -2.0]).pairs == 0
    assert report(utterance("做作业", "做作业。", reference="做作业"), [-1.0, -2.0]).pairs == 0
    assert report(utterance("做作业", reference="做作业"), [-1.0]).pairs == 0
    assert report(HOMEWORK, [-1.0, -2.0, -3.0]).pairs == 0
    assert report(utterance("ＯＫ！", "好", reference="ok"), [-1.0, -2.0]).pairs == 1


def test_an_empty_reference_is_judged():
    found = report(utterance("嗯", "", reference=""), [-2.0, -1.0])
    assert (found.first.total, found.reranked.total, found.pairwise_accuracy) == (1, 0, 1.0)
    assert found.gap_closed == 1.0
    assert found.summary()["first"] is None


def test_an_utterance_without_reference_is_counted_apart():
    found = report(HOMEWORK, [-1.0, -2.0, -3.0]) + report(utterance("做做业", "做作业"), [-1.0, -2.0])
    assert (found.utterances, found.without_reference, found.mean_candidates) == (1, 1, 3.0)


def test_a_report_of_nothing_can_be_shown():
    summary = Verdict("wer").summary()
    assert summary["first"] is summary["gap_closed"] is summary["mean_candidates"] is None
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_reports_of_different_metrics_do_not_add():
    with pytest.raises(ValueError, match="a verdict of cer cannot be added to one of wer"):
        Verdict("cer") + Verdict("wer")


def test_the_order_of_another_utterance_is_refused():
    with pytest.raises(ValueError, match="order of another one"):
        judge(HOMEWORK, rank(utterance("a", "b"), [-1.0, -2.0], [1, 1], Formula()), "cer")


def test_an_unknown_metric_is_refused():
    with pytest.raises(ConfigError, match="no metric is called 'ser'"):
        report(HOMEWORK, [-1.0, -2.0, -3.0], metric="ser")
