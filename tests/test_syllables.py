"""Scores of how candidates sound."""

import sys
from math import log

import pytest

from charlm.errors import MissingExtra
from charlm.reranking import syllables
from charlm.reranking.syllables import AGREEMENT, DISTANCE, sound_scores


def test_without_the_library_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pypinyin", None)
    syllables._syllables.cache_clear()
    with pytest.raises(MissingExtra, match="--sound needs pypinyin"):
        sound_scores(["做"])


@pytest.fixture
def pypinyin():
    syllables._syllables.cache_clear()
    return pytest.importorskip("pypinyin")


def test_candidates_that_sound_as_the_first_one_are_nearest(pypinyin):
    found = sound_scores(["他做作业", "他坐作业", "他写作业", "他说作业吧"])
    assert found[DISTANCE][:2] == [0, 0]
    assert found[DISTANCE][2] < 0 and found[DISTANCE][3] < -4
    # zuo and xie: three letters, the tone is the same in neither; " ba5" is four more than shuo beside zuo
    assert found[DISTANCE][2] == -4


def test_agreement_is_the_logarithm_of_the_share_that_says_the_same_at_each_place(pypinyin):
    found = sound_scores(["他做作业", "她坐作业", "他写作业", "他做作业吧"])[AGREEMENT]
    assert found[0] == found[1] == pytest.approx(log(3 / 4) + log(3 / 4))
    assert found[2] == pytest.approx(log(1 / 4) + log(3 / 4))
    assert found[3] == pytest.approx(log(3 / 4) + log(1 / 4))


@pytest.mark.parametrize("texts", [[], [""], ["", "做"], ["hello World", "hello world 做"], ["，。", "做"]])
def test_every_text_has_a_value_whatever_is_in_it(pypinyin, texts):
    found = sound_scores(texts)
    assert found.keys() == {DISTANCE, AGREEMENT}
    assert all(len(values) == len(texts) and all(value <= 0 for value in values) for values in found.values())


def test_words_of_other_scripts_are_heard_in_small_letters(pypinyin):
    assert sound_scores(["OK 好", "ok 好"])[DISTANCE] == [0, 0]
