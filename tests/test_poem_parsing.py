"""Poems as people write them down: what is a title, where one ends, what parts its lines."""

import pytest

from charlm.poems.checking import fits
from charlm.poems.form import known_as
from charlm.poems.parsing import Poem, poem_of, poems_in, tune_of

FIRST = "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。"
SECOND = "移舟泊烟渚，日暮客愁新。野旷天低树，江清月近人。"
DREAM = "昨夜雨疏风骤。浓睡不消残酒。试问卷帘人，却道海棠依旧。知否。知否。应是绿肥红瘦。"
UPPER = "春花秋月何时了。往事知多少。小楼昨夜又东风。故国不堪回首月明中。"
LOWER = "雕栏玉砌应犹在。只是朱颜改。问君能有几多愁。恰似一江春水向东流。"


def parsed(text: str) -> list[Poem]:
    return poems_in(text.split("\n"), "poems.txt", fits, lambda title: known_as(title) is not None)


def told(text: str) -> list[tuple[str, str]]:
    return [(poem.title, poem.text) for poem in parsed(text)]


def bare(text: str) -> str:
    return "".join(c for c in text if c not in "，。、\n")


def test_a_pause_belongs_to_its_line_and_splits_nothing():
    assert poem_of("故国不堪回首、月明中。").lengths == (9,)


@pytest.mark.parametrize("mark", ["，", ",", " ", "　", "|", "\n", "；", "／"])
def test_marks_spaces_and_line_ends_part_lines(mark):
    assert poem_of(f"白日依山尽{mark}黄河入海流").lengths == (5, 5)


def test_quotes_title_marks_and_notes_in_brackets_are_no_verse():
    assert poem_of("“白日”依山《尽》（一作下），「黄河」入海流[注]。").lengths == (5, 5)


def test_a_lost_character_keeps_its_place():
    assert poem_of("白日□山尽，黄河入海流。").lengths == (5, 5)


def test_what_is_neither_han_nor_a_mark_is_told_with_its_line():
    assert poem_of("白日x山尽，\n黄河入海流7。").odd == (("x", 1), ("7", 2))


def test_one_poem_a_line():
    found = parsed(f"{FIRST}\n{SECOND}\n{FIRST}\n")
    assert [poem.text for poem in found] == [bare(FIRST), bare(SECOND), bare(FIRST)]
    assert [poem.place for poem in found] == [1, 2, 3]


def test_two_quatrains_in_two_lines_are_two_poems_and_a_title_makes_them_one():
    assert [poem.text for poem in parsed(f"{FIRST}\n{SECOND}\n")] == [bare(FIRST), bare(SECOND)]
    assert told(f"登高\n{FIRST}\n{SECOND}\n") == [("登高", bare(FIRST) + bare(SECOND))]


def test_one_poem_in_several_lines_with_blank_lines_between_poems():
    text = FIRST.replace("。欲", "。\n欲") + "\n\n" + SECOND.replace("，", "，\n").replace("。", "。\n")
    assert [poem.text for poem in parsed(text)] == [bare(FIRST), bare(SECOND)]


@pytest.mark.parametrize(
    ("head", "title"),
    [
        ("登鹳雀楼", "登鹳雀楼"),
        ("《登鹳雀楼》", "《登鹳雀楼》"),
        ("# 登鹳雀楼", "登鹳雀楼"),
        ("登鹳雀楼\n王之涣", "登鹳雀楼 王之涣"),
        ("登鹳雀楼\n", "登鹳雀楼"),
        ("【登鹳雀楼】", "【登鹳雀楼】"),
    ],
)
def test_a_title_above_a_poem_is_a_title(head, title):
    assert told(f"{head}\n{FIRST}") == [(title, bare(FIRST))]


def test_a_title_above_verse_without_marks_is_told_by_the_shape_of_what_follows():
    lines = "白日依山尽\n黄河入海流\n欲穷千里目\n更上一层楼"
    assert told(f"登鹳雀楼\n王之涣\n{lines}") == [("登鹳雀楼 王之涣", bare(FIRST))]
    assert told(lines) == [("", bare(FIRST))]


def test_the_title_of_a_tune_stands_above_one_poem_of_two_stanzas():
    for between in ("\n", "\n\n"):
        assert told(f"虞美人\n{UPPER}{between}{LOWER}") == [("虞美人", bare(UPPER) + bare(LOWER))]
    assert told(f"{UPPER}\n{LOWER}") == [("", bare(UPPER) + bare(LOWER))]


def test_two_stanzas_with_a_blank_line_between_are_one_poem():
    assert told(f"{UPPER}\n\n{LOWER}") == [("", bare(UPPER) + bare(LOWER))]


def test_several_poems_with_titles():
    text = f"登鹳雀楼\n{FIRST}\n\n宿建德江\n{SECOND}\n\n如梦令\n{DREAM}\n"
    assert [title for title, _ in told(text)] == ["登鹳雀楼", "宿建德江", "如梦令"]
    assert [poem.place for poem in parsed(text)] == [2, 5, 8]


@pytest.mark.parametrize(
    ("title", "tune"),
    [
        ("水调歌头·明月几时有", "水调歌头"),
        ("《如梦令》", "如梦令"),
        ("念奴娇 赤壁怀古", "念奴娇"),
        ("# 西江月（夜行）", "西江月"),
    ],
)
def test_a_title_begins_with_the_tune(title, tune):
    assert tune_of(title) == tune


def test_a_file_without_verse_has_no_poem():
    assert parsed("\n  \n") == [] and parsed("……\n") == []
