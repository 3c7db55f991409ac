"""How the best of some candidate poems is found: likely, of few repeated characters, and not what is said anywhere."""

import math

import pytest

from charlm.composing.writing import REPEATED, Ranking, Verse, usual_characters
from charlm.text.vocab import Vocab


def poem(lines: str, log_prob: float) -> Verse:
    return Verse(lines, tuple(lines.split()), log_prob, 0.0, 0.0, 0)


def best(ranking: Ranking, *poems: Verse) -> str:
    return max(ranking.ranked(poems), key=lambda one: one.merit).text


USUAL = {"风": math.log(0.1), "月": math.log(0.1), "鹭": math.log(0.001), "蓑": math.log(0.001)}


def test_the_likeliest_poem_is_the_best_where_nothing_is_known_of_its_characters():
    assert best(Ranking(), poem("风月", -8.0), poem("鹭蓑", -9.0)) == "风月"


def test_a_poem_of_common_characters_must_be_likelier_than_they_are_anyway():
    assert best(Ranking(usual=USUAL), poem("风月", -8.0), poem("鹭蓑", -9.0)) == "鹭蓑"
    assert best(Ranking(usual=USUAL), poem("风月", -8.0), poem("鹭蓑", -20.0)) == "风月"


def test_a_character_that_comes_back_costs_nats():
    assert best(Ranking(), poem("风风", -8.0), poem("风月", -8.0 - 2 * REPEATED + 0.1)) == "风月"
    assert best(Ranking(), poem("风风", -8.0), poem("风月", -8.0 - 2 * REPEATED - 0.1)) == "风风"


def test_shares_of_characters_come_from_the_counts_of_the_vocabulary():
    vocab = Vocab(["<EOS>", "<UNK>", "风", "鹭"], [10, 0, 29, 1])
    usual = usual_characters(vocab)
    assert usual["风"] == pytest.approx(math.log(29 / 40))
    assert usual["<UNK>"] < usual["鹭"] < usual["风"]
    assert usual_characters(Vocab(["<EOS>", "<UNK>", "风"], [0, 0, 0])) == {}
