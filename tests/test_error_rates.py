from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.errors import ConfigError
from charlm.reranking.error_rates import METRICS, Errors, comparable, errors, metric_for, units

TEXTS = st.text("做作业坐 abAB,。'1", max_size=8)


def counts(reference, hypothesis, metric="cer"):
    found = errors(reference, hypothesis, metric)
    return found.substitutions, found.deletions, found.insertions


def distance(said: list[str], heard: list[str]) -> int:
    """The textbook recursion of Levenshtein, for a second opinion."""

    @cache
    def between(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        changed = between(i - 1, j - 1) + (said[i - 1] != heard[j - 1])
        return min(changed, between(i - 1, j) + 1, between(i, j - 1) + 1)

    return between(len(said), len(heard))


@given(TEXTS, TEXTS, st.sampled_from(list(METRICS)))
def test_errors_are_the_levenshtein_distance(reference, hypothesis, metric):
    said, heard = units(reference, metric), units(hypothesis, metric)
    found = errors(reference, hypothesis, metric)
    assert found.total == distance(said, heard)
    assert found.reference_units == len(said)
    assert len(said) - found.deletions + found.insertions == len(heard)
    assert found.wrong_sentences == (said != heard)


@given(TEXTS, st.sampled_from(list(METRICS)))
def test_a_text_has_no_errors_against_itself(text, metric):
    assert errors(text, text, metric).total == 0


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4))
def test_errors_add_in_any_grouping(pairs):
    found = [errors(reference, hypothesis, "cer") for reference, hypothesis in pairs]
    assert sum(found[:1], Errors()) + sum(found[1:], Errors()) == sum(found, Errors())
    assert sum(found, Errors()).sentences == len(pairs)


def test_substitutions_deletions_and_insertions_are_told_apart():
    assert counts("做作业", "做做业") == (1, 0, 0)
    assert counts("做作业", "做业") == (0, 1, 0)
    assert counts("做作业", "做作作业") == (0, 0, 1)
    assert counts("the cat sat", "a cat sat down", "wer") == (1, 0, 1)


def test_rates_divide_sums_and_are_no_mean_of_rates():
    long, short = errors("一二三四五六七八", "一二三四五六七八", "cer"), errors("九十", "九", "cer")
    assert (long + short).rate == 0.1
    assert (long + short).sentence_rate == 0.5


def test_an_empty_reference_has_errors_but_no_rate():
    found = errors("", "做作业", "cer")
    assert (found.insertions, found.reference_units, found.wrong_sentences) == (3, 0, 1)
    assert found.rate is None
    assert (found + errors("做作业", "做作业", "cer")).rate == 1.0
    assert errors("", "", "wer").total == 0
    assert Errors().sentence_rate is None


def test_a_rate_may_exceed_one():
    assert errors("a", "b c d", "wer").rate == 3.0


def test_cer_leaves_out_white_space_and_punctuation_and_keeps_symbols():
    assert units(" “做”，作 业！\t\n", "cer") == ["做", "作", "业"]
    assert units("零下5℃+1", "cer") == ["零", "下", "5", "°", "c", "+", "1"]


def test_wer_takes_words_as_they_stand():
    assert units("Well, it's  DONE.", "wer") == ["well,", "it's", "done."]
    assert units("做作业", "wer") == ["做作业"]


def test_mer_takes_han_by_character_and_other_scripts_by_word():
    assert units("在GitHub上写C++，don't panic！", "mer") == ["在", "github", "上", "写", "c++", "don't", "panic"]
    assert units("well-known 'quoted'", "mer") == ["well", "known", "quoted"]
    assert units("нет 𠀀〇", "mer") == ["нет", "𠀀", "〇"]


def test_width_case_and_invisible_characters_make_no_difference():
    assert errors("ＡＰＰ１２", "app12", "wer").total == 0
    assert errors("Straße", "STRASSE", "wer").total == 0
    assert errors("cafe\u0301", "\ufeffcaf\u00e9\u200b", "wer").total == 0
    assert errors("don’t", "don't", "mer").total == 0
    assert comparable("ABC") == "abc"


def test_simplified_and_traditional_are_different_characters():
    assert counts("作业", "作業") == (1, 0, 0)


def test_an_unknown_metric_is_refused_with_a_hint():
    with pytest.raises(ConfigError, match="no metric is called 'ser'") as caught:
        units("a", "ser")
    assert caught.value.hint == "did you mean wer?"


@pytest.mark.parametrize(
    ("texts", "metric"),
    [
        (["做作业。", "2024年，他在家"], "cer"),
        (["do your homework", "at 10"], "wer"),
        (["我用Python写作业"], "mer"),
        (["一" * 19 + "ok"], "mer"),  # one unit in twenty
        (["一" * 20 + "ok"], "cer"),  # fewer than one in twenty
        ([" ".join(["word"] * 20) + "一"], "wer"),
        (["сделай домашнее задание"], "wer"),
        (["2024", "……"], "wer"),
        ([], "wer"),
    ],
)
def test_the_metric_follows_the_script(texts, metric):
    assert metric_for(texts) == (metric, "references" if any(map(str.isalpha, "".join(texts))) else "candidates")
    assert metric_for([], texts) == (metric, "candidates")


def test_references_decide_the_metric_before_candidates():
    assert metric_for(["做作业"], ["", "do your homework"]) == ("cer", "references")
    assert metric_for(["", "。"], ["做作业"]) == ("cer", "candidates")


@pytest.mark.parametrize("text", ["これはペンです", "ฉันรักภาษาไทย", "東京タワー", "ຂ້ອຍຮັກ"])
def test_scripts_without_spaces_are_measured_in_characters(text):
    assert metric_for([text])[0] == "cer" and len(units(text, "mer")) > 4
    assert metric_for([text + " the quick brown fox"])[0] == "mer"
