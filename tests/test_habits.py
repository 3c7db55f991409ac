"""How a text is written, and other texts written alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.text import habits
from charlm.text.habits import Habits, View
from charlm.text.numerals import cardinal, spelled

SPEECH = ["今天天气很好我们去爬山吧", "明天会不会下雨"] * 20
NEWS = ["今天，天气很好。", "他说：“明天会下雨！”", "真的吗？"] * 20
ENGLISH = ["The moon is in the river, and we ask it.", "Don't ask!", "We read 3.5 pages."] * 20
SMALL = ["the moon is in the river and we ask it", "don't ask", "we read pages"] * 20


def view_of(lines) -> View:
    found = Habits()
    assert list(found.watch(lines)) == lines
    return View(found)


@pytest.mark.parametrize(
    ("lines", "given", "expected"),
    [
        (SPEECH, "今天，天气很好。", "今天天气很好"),
        (SPEECH, "ＡＢＣ１２今天,好.", "ABC12今天好"),
        (NEWS, "今天,天气很好", "今天，天气很好。"),
        (NEWS, "真的吗?", "真的吗？"),
        (NEWS, "“好。”", "“好。”"),
        (ENGLISH, "The moon; the river.", "The moon the river."),
        (ENGLISH, "3.5 pages", "3.5 pages."),
        (SMALL, "The MOON, in the river.", "the moon in the river"),
        (SMALL, "river,moon", "river moon"),
        (SMALL, "3.5 pages", "3.5 pages"),
        (SMALL, "Don't", "don't"),
        ([line.upper() for line in SMALL], "the moon", "THE MOON"),
        (["好１２３４５６７８９０ＡＢＣ"] * 20, "第12名a", "第１２名ａ"),
        (["短"], "Ａ，b.", "Ａ，b."),
        ([], "Ａ，b.", "Ａ，b."),
    ],
)
def test_a_text_is_seen_as_the_training_text_would_have_it(lines, given, expected):
    assert view_of(lines)(given) == expected


TEXTS = st.text("今天好a bBzＡ１3.,，。!？“”' …", max_size=12)


@pytest.mark.parametrize(
    "lines", [SPEECH, NEWS, ENGLISH, SMALL, []], ids=["speech", "news", "english", "small", "none"]
)
@given(TEXTS)
def test_to_see_a_text_again_changes_nothing(lines, text):
    view = view_of(lines)
    assert view(view(text)) == view(text)


@pytest.mark.parametrize("lines", [SPEECH, NEWS, ENGLISH, SMALL])
def test_what_is_written_so_already_stays(lines):
    view = view_of(lines)
    assert [view(line) for line in lines] == lines
    assert view.told(lines) == []


def test_only_changes_that_make_a_difference_are_told():
    view = view_of(SMALL)
    assert view.told(["the moon"]) == []
    assert view.told(["The moon", "river."]) == ["lower case", "without punctuation"]


def test_a_vocabulary_tells_as_much_as_it_knows():
    characters = "".join(NEWS)
    from_vocab = View(Habits.of_vocab(sorted(set(characters)), [characters.count(c) for c in sorted(set(characters))]))
    assert from_vocab("今天,好!") == "今天，好！" and from_vocab("今天") == "今天"
    assert View(Habits.of_vocab(["a", "b"], [0, 0]))("A，b.") == "A，b."


def test_of_a_long_text_a_part_is_looked_at(monkeypatch):
    monkeypatch.setattr(habits, "SAMPLE", 100)
    found = Habits()
    lines = SPEECH * 100
    assert list(found.watch(lines)) == lines
    assert 100 < found.counts["characters"] < 2000 and found.seen == len(lines)


def test_counts_come_back_from_a_file():
    found = view_of(NEWS).habits
    assert View(Habits(habits.Counter(found.to_json()))).changes.keys() == View(found).changes.keys()


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "零"), (7, "七"), (10, "十"), (12, "十二"), (20, "二十"), (101, "一百零一"), (110, "一百一十"),
        (1000, "一千"), (1005, "一千零五"), (10_000, "一万"), (12_345, "一万二千三百四十五"), (100_001, "十万零一"),
        (100_000_000, "一亿"), (100_010_000, "一亿零一万"), (1_2000_0000, "一亿二千万"),
    ],
)  # fmt: skip
def test_numbers_in_words(number, words):
    assert cardinal(number) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2023年5月", "二零二三年五月"),
        ("下降3.25%", "下降百分之三点二五"),
        ("拨打13800138000", "拨打一三八零零一三八零零零"),
        ("第007号", "第零零七号"),
        ("没有", "没有"),
    ],
)
def test_numbers_in_a_text_are_said(text, words):
    assert spelled(text) == words
