"""Figures of many poems, by hand where hands reach."""

import random

import numpy as np
import pytest

from charlm.appraising.distinguishing import auc, told_apart
from charlm.appraising.keeping import keeping
from charlm.appraising.quality import distinct, quality, quoted
from charlm.appraising.verses import halves, marked, shuffled
from charlm.poems.form import find_form
from charlm.poems.sounds import Reading, RhymeBook

BOOK = RhymeBook(
    "five",
    "five",
    [(Reading(True, "东", "平"), "平东风"), (Reading(True, "阳", "平"), "光"), (Reading(False, "送", "去"), "仄")],
)
KEPT = ("仄仄平平仄", "平平仄仄东", "平平平仄仄", "仄仄仄平风")
UNRHYMED = ("仄仄平平仄", "平平仄仄东", "平平平仄仄", "仄仄仄平光")


class Lines:
    """A training text of two lines."""

    def endings(self, beginning, codes, tail):
        return np.array([beginning + chr(code) + tail in ("春江花月夜", "月落乌啼") for code in codes])

    def copied(self, lines):
        return ["春江花月夜" in line for line in lines]


def poems(count, words, seed=0):
    chance = random.Random(seed)
    return [tuple("".join(chance.choices(words, k=5)) for _ in range(4)) for _ in range(count)]


def test_shuffled_lines_stand_where_they_stood_among_poems_of_as_many_lines():
    given = [(f"甲{n}", f"乙{n}") for n in range(20)] + [("丙", "丁", "戊")]
    found = shuffled(given, 1)
    assert found != given and len(found) == 21 and shuffled(given, 1) == found
    pairs = [poem for poem in found if len(poem) == 2]
    assert all(first[0] == "甲" and second[0] == "乙" for first, second in pairs)
    assert sorted(line for poem in found for line in poem) == sorted(line for poem in given for line in poem)


def test_halves_share_no_poem_and_are_of_one_size():
    one, other = halves([(str(n),) for n in range(7)], 3)
    assert len(one) == len(other) == 3 and not set(one) & set(other)


def test_marks_are_those_of_the_form():
    assert marked(KEPT, find_form("五绝")) == "仄仄平平仄，平平仄仄东。平平平仄仄，仄仄仄平风。"
    tune = find_form("忆江南")
    variant = next(one for one in tune.variants if len(one.lines) == 5)
    text = marked(tuple("字" * size for size in variant.lengths), tune)
    assert [part[-1] for part in text.replace("字", "").split()] == ["。"]
    ends = [c for c in text if c != "字"]
    assert ends == ["。" if line.rhyme or n == 4 else "，" for n, line in enumerate(variant.lines)]


def test_what_a_form_keeps_is_counted_part_by_part():
    found = keeping([KEPT, UNRHYMED, (), KEPT[:2]], find_form("五绝"), BOOK, "common")
    assert (found.poems, found.conforming) == (4, 1)
    assert [found.share(name) for name in ("valid", "structure", "tone", "rhyme")] == [0.25, 0.5, 0.5, 0.25]
    assert found.share("sticks") == 0.5 and found.rules["出韵"] >= 1
    free = keeping([KEPT], find_form("五绝"), BOOK, "free")
    assert free.share("tone") is None and free.share("answers") is None and free.share("valid") == 1.0


def test_quality_by_hand():
    given = [("春江花月夜", "江月夜夜夜"), ("月落乌啼", "霜满天")]
    found = quality(given, alike=1, known=Lines(), recall=lambda poem: float("霜" in "".join(poem)))
    assert found is not None and (found.poems, found.lines) == (2, 4)
    # 江, 月 and three times 夜 stand there again in the first poem, nothing in the second.
    assert found.repeating == 0.5 and found.repeated == 5 / 2
    assert found.distinct_1 == 5 / 10  # of the first poem alone
    assert found.distinct_2 == 6 / 8  # 春江 江花 花月 月夜 江月 月夜 夜夜 夜夜: 月夜 and 夜夜 come twice
    assert (found.quoted, found.copied, found.theme) == (0.5, 0.25, 0.5)
    assert quality([], alike=0) is None and quoted(Lines(), "") is False


def test_distinct_pairs_do_not_span_lines():
    assert distinct(["ab", "bc"], 2) == 1.0 and distinct(["a"], 2) == 0.0


def test_the_area_under_the_curve_by_hand():
    assert auc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1.0
    assert auc(np.array([1.0]), np.array([1.0])) == 0.5
    assert auc(np.array([0.0, 2.0]), np.array([1.0, 3.0])) == 0.25


def test_sets_of_one_kind_are_not_told_apart_and_sets_of_other_words_are():
    words, others = "春江花月夜风霜雪雨山", "秋水长天落霞孤鹜齐飞"
    alike = told_apart(poems(300, words), poems(300, words, 1), 1)
    assert alike is not None and alike.low < 0.5 < alike.high and alike.poems == 300
    apart = told_apart(poems(60, words), poems(80, others, 1), 1)
    assert apart is not None and apart.auc == 1.0 and apart.poems == 60
    assert told_apart(poems(300, words), poems(300, words, 1), 1) == alike


def test_characters_in_another_order_are_heard_by_their_pairs():
    fixed = ["春江花月夜", "霜满天山雪", "风雨故人来", "长河落日圆", "孤帆远影尽", "明月松间照"]
    chance = random.Random(5)
    lines = [tuple(chance.sample(fixed, 4)) for _ in range(200)]
    scrambled = [tuple("".join(chance.sample(line, 5)) for line in poem) for poem in lines]
    found = told_apart(scrambled[:100], lines[100:], 1)
    assert found is not None and found.low > 0.9


def test_few_poems_are_not_judged_by():
    assert told_apart(poems(19, "春江"), poems(100, "春江"), 1) is None
    assert told_apart([()] * 40, [()] * 40, 1) == pytest.approx(told_apart([()] * 40, [()] * 40, 1))
