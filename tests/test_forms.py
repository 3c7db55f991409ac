"""Forms are data: what the files say, and what a mistake in one is told."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.errors import ConfigError, FormError
from charlm.poems import form as known

MINE = '''name = "三句"
genre = "词"
aliases = ["小令"]
parallel = [[1, 2]]

[[variants]]
name = "甲"
note = "short"
lines = """
中、平 a
中·平 a =
"""
'''

ASKED = [
    "如梦令",
    "浣溪沙",
    "菩萨蛮",
    "清平乐",
    "卜算子",
    "忆江南",
    "长相思",
    "相见欢",
    "虞美人",
    "蝶恋花",
    "浪淘沙",
    "采桑子",
    "西江月",
    "鹧鸪天",
    "临江仙",
    "破阵子",
    "渔家傲",
    "水调歌头",
    "念奴娇",
    "满江红",
]


def mistake(text: str) -> str:
    with pytest.raises(FormError) as caught:
        known.parse_form(text, "mine.toml")
    assert caught.value.hint
    return str(caught.value)


def test_a_line_is_its_slots_with_a_rhyme_a_caesura_a_pause_and_a_repetition():
    form = known.parse_form(MINE, "mine.toml")
    first, second = form.variants[0].lines
    assert (first.slots, first.rhyme, first.pauses, first.repeats) == ("中平", "a", (1,), False)
    assert (second.slots, second.caesura, second.repeats) == ("中平", 1, True)
    assert (form.name, form.genre, form.aliases, form.parallel) == ("三句", "词", ("小令",), ((1, 2),))
    assert form.rhyme_book == "cilin"  # as every 词; regulated verse has the other
    assert [str(line) for line in form.variants[0].lines] == ["中、平 a", "中·平 a ="]


def test_a_line_may_repeat_the_end_of_a_longer_one():
    form = known.parse_form(MINE.replace("中·平 a =", "平 a ="), "mine.toml")
    assert form.variants[0].lines[1].repeats and form.variants[0].lengths == (2, 1)


def test_an_empty_line_parts_stanzas():
    form = known.parse_form(MINE.replace("中·平 a =", "\n\n平平 b\n"), "mine.toml")
    assert [len(stanza) for stanza in form.variants[0].stanzas] == [1, 1]
    assert form.variants[0].scheme == "ab"


@pytest.mark.parametrize("form", known.forms(), ids=lambda form: form.name)
def test_a_form_of_ours_reads_back_from_what_it_shows_and_stands_in_a_file_of_its_name(form):
    for variant in form.variants:
        written = "\n\n".join("\n".join(map(str, stanza)) for stanza in variant.stanzas)
        text = f'name = "x"\ngenre = "{form.genre}"\n[[variants]]\nlines = """\n{written}\n"""\n'
        assert known.parse_form(text, "x.toml").variants[0].stanzas == variant.stanzas
    assert known.read_form(known.FOLDER / f"{form.name}.toml") == form


def test_names_and_aliases_mean_one_form():
    names = [name for form in known.forms() for name in (form.name, *form.aliases)]
    assert len(names) == len(set(names))
    assert known.find_form("大江东去").name == "念奴娇"


def test_regulated_verse_has_four_patterns_in_which_every_line_answers_or_sticks_to_the_one_before():
    for name, lines, size in (("五绝", 4, 5), ("七绝", 4, 7), ("五律", 8, 5), ("七律", 8, 7)):
        form = known.find_form(name)
        assert form.genre == "近体"
        assert {variant.name for variant in form.variants} == {
            f"{start}起首句{rhyme}韵" for start in "仄平" for rhyme in ("入", "不入")
        }
        for variant in form.variants:
            assert variant.lengths == (size,) * lines
            seconds = [line.slots[1] for line in variant.lines]
            assert variant.name[0] == seconds[0]
            assert all((a == b) == bool(number % 2) for number, (a, b) in enumerate(pairwise(seconds)))
            for number, line in enumerate(variant.lines):
                rhymes = number % 2 == 1 or (number == 0 and "不" not in variant.name)
                assert (line.slots[-1] == "平") == bool(line.rhyme) == rhymes
                fixed = line.slots[1::2]
                assert all(a != b and "中" not in a + b for a, b in pairwise(fixed))
    assert known.find_form("七律").parallel == ((3, 4), (5, 6))


def test_the_tunes_that_lovers_of_verse_ask_for_are_there_and_rhyme_by_the_book_of_tunes():
    assert set(ASKED) <= set(known.form_names())
    assert all(known.find_form(name).rhyme_book == "cilin" for name in ASKED)
    assert sum(len(known.find_form(name).variants) > 1 for name in ASKED) >= 10
    characters = {"如梦令": 33, "浣溪沙": 42, "菩萨蛮": 44, "虞美人": 56, "水调歌头": 95, "念奴娇": 100, "满江红": 93}
    assert {name: sum(known.find_form(name).variants[0].lengths) for name in characters} == characters
    assert known.find_form("菩萨蛮").variants[0].scheme == "aabbccdd"
    west = known.find_form("西江月").variants[0].lines
    assert [line.slots[-1] for line in west if line.rhyme] == list("平平仄平平仄")


def test_the_old_quatrain_asks_for_length_and_rhyme_alone():
    for variant in known.find_form("古绝").variants:
        assert set("".join(line.slots for line in variant.lines)) == {"中"} and variant.scheme == "-a-a"


def test_a_form_of_ones_own_is_given_as_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(MINE, "utf-8")
    assert known.find_form("mine.toml").name == "三句"
    assert known.find_form(str(tmp_path / "mine.toml")).name == "三句"


def test_an_unknown_form_is_told_with_the_likeliest_one():
    with pytest.raises(ConfigError, match="no form is called '七绝句'") as caught:
        known.find_form("七绝句")
    assert "七言绝句?" in caught.value.hint
    with pytest.raises(ConfigError) as caught:
        known.find_form("xyz")
    assert "charlm poem forms" in caught.value.hint


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("中、平 a", "中、甲 a", r"mine.toml:10: lines: '中、甲 a': '甲' is no slot"),
        ("中·平 a =", "平·平 A", r"mine.toml:11: lines: '平·平 A': 'A' is no slot"),
        ("中·平 a =", "平平平 a =", r"mine.toml:11: lines: `=` repeats the end of the line before"),
        ("中·平 a =", "平平 a =", r"mine.toml:11: lines: `=` repeats .* the same slots"),
        ('note = "short"', 'seldom = "yes"', r"mine.toml:8: seldom: is 'yes', not true or false"),
        ("中·平 a =", "平平· a", r"mine.toml:11: lines: .*marks only between slots"),
        ("中·平 a =", "平" * 17, r"mine.toml:11: lines: 17 slots, more than 16"),
        ('genre = "词"', 'genre = "诗"', r"mine.toml:2: genre: no genre is called '诗'"),
        ('genre = "词"\n', "", r"mine.toml:1: genre: is missing"),
        ('name = "三句"', "name = 3", r"mine.toml:1: name: is 3, not a text in quotes"),
        ('name = "三句"', 'nam = "三句"', r"mine.toml:1: nam: there is no such field"),
        (
            "parallel = [[1, 2]]",
            "parallel = [[1, 3]]",
            r"mine.toml:4: parallel: \[1, 3\] is no pair of lines between 1 and 2",
        ),
        ('aliases = ["小令"]', "aliases = [1]", r"mine.toml:3: aliases: 1 is no name"),
        ('note = "short"', "nota = 1", r"mine.toml:8: nota: there is no such field"),
        ("中、平 a\n中·平 a =\n", "\n", r"mine.toml:9: lines: has no line"),
        ("中、平 a\n中·平 a =\n", "中平\n", r"mine.toml:10: lines: no line rhymes"),
        ('genre = "词"', "genre = 词", r"mine.toml:2: is not TOML"),
        ('"""\n', "", r"mine.toml:\d+: is not TOML"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_field(before, after, told):
    assert before in MINE
    assert re.match(told, mistake(MINE.replace(before, after, 1))), mistake(MINE.replace(before, after, 1))


def test_two_variants_of_one_name_are_a_mistake():
    twice = MINE + MINE[MINE.index("[[variants]]") :]
    assert "two variants are called '甲'" in mistake(twice)


def test_variants_that_are_no_tables_are_a_mistake():
    assert "under a line [[variants]]" in mistake('name = "x"\ngenre = "词"\nvariants = ["平平 a"]\n')


def test_a_file_that_is_missing_or_in_another_encoding_is_told(tmp_path):
    with pytest.raises(FormError, match="cannot read"):
        known.find_form(str(tmp_path / "none.toml"))
    (tmp_path / "gbk.toml").write_bytes(MINE.encode("gb18030"))
    with pytest.raises(FormError, match="is not UTF-8 text"):
        known.find_form(str(tmp_path / "gbk.toml"))


@given(st.integers(0, len(MINE)), st.integers(0, 12), st.text("平仄中、·a=[]\"'\n # 甲7", max_size=6))
def test_whatever_is_done_to_a_file_it_is_a_form_or_a_mistake_with_its_place(at, length, put):
    try:
        form = known.parse_form(MINE[:at] + put + MINE[at + length :], "mine.toml")
    except FormError as error:
        assert re.match(r"mine\.toml:\d+: ", str(error)) and error.hint
    else:
        assert form.variants and all(variant.lines for variant in form.variants)
