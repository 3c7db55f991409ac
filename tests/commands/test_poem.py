"""`charlm poem`."""

import json
from pathlib import Path

import pytest
from rich.cells import cell_len

from charlm.cli.grid import judged
from charlm.jobs.poem import tally
from charlm.poems.checking import check
from charlm.poems.form import forms
from charlm.poems.sounds import Reading, RhymeBook

BOOK = "东\t平\t平东风红空\n阳\t平\t阳光\n送\t去\t仄送梦\n"
KEPT = "仄仄平平仄，平平仄仄东。平平平仄仄，仄仄仄平风。"
BROKEN = "仄仄平平仄，平平仄仄东。平仄平仄仄，仄仄仄平光。"
BOOK_OF_FIVE = RhymeBook(
    "five",
    "five",
    [(Reading(True, "东", "平"), "平东风"), (Reading(True, "阳", "平"), "光"), (Reading(False, "送", "去"), "仄")],
)
FORM = '# mine\nname = "三字"\ngenre = "词"\n\n[[variants]]\nlines = """\n平仄仄\n仄平平 a\n平仄平 a\n"""\n'


@pytest.fixture
def poem(charlm):
    """`charlm poem check` with a rhyme book of one's own."""
    Path("book.tsv").write_text(BOOK, "utf-8")

    def run(text, *options):
        Path("poem.txt").write_text(text, "utf-8")
        return charlm("poem", "check", "poem.txt", "--rhyme-book", "book.tsv", *options)

    return run


def test_a_poem_that_keeps_its_form_ends_with_0(poem):
    ended = poem(KEPT)
    assert ended.code == 0 and not ended.err
    first, *rest = ended.out.splitlines()
    assert first == "五绝 · 仄起首句不入韵 · book · common · conforms"
    assert rest[1].split() == ["1", "仄仄平平仄", "仄仄平平仄", "中仄平平仄"]
    assert rest[2].split() == ["2", "平平仄仄东", "平平仄仄平", "平平仄仄平", "韵", "东", "对"]


def test_faults_are_named_with_their_places_and_the_command_ends_with_1(poem):
    ended = poem(BROKEN, "--form", "五绝")
    assert ended.code == 1 and "the poem does not keep its form" in ended.err and "hint:" in ended.err
    lines = ended.out.splitlines()
    assert "fault   出律  line 3, character 2: 仄 is 仄, the pattern has 平" in lines
    assert any(line.startswith("fault   出韵  line") for line in lines)
    row = next(number for number, line in enumerate(lines) if "平仄平仄仄" in line)
    assert lines[row + 1] == "     ^^"  # below the second character, each two cells wide


def test_several_poems_of_a_file_are_judged_apart_and_counted(poem):
    ended = poem(f"{KEPT}\n{BROKEN}\n{KEPT}\n")
    assert ended.code == 1 and "1 of 3 poems do not keep their form" in ended.err
    assert len([line for line in ended.out.splitlines() if line.startswith("   line")]) == 3
    records = [json.loads(line) for line in poem(f"{KEPT}\n{BROKEN}\n{KEPT}\n", "--json").out.splitlines()]
    assert [record["conforms"] for record in records] == [True, False, True]
    assert [record["line"] for record in records] == [1, 2, 3]


def test_a_summary_counts_parts_and_rules(poem):
    ended = poem(f"{KEPT}\n{BROKEN}\n{KEPT}\n", "--summary", "--json", "--form", "五绝")
    told = json.loads(ended.out)
    assert (told["poems"], told["conforming"], told["parts"]["structure"]) == (3, 2, 3)
    assert told["rules"] == {"出律": 1, "出韵": 1} and told["forms"] == {"五绝": 3}
    shown = [line.split() for line in poem(f"{KEPT}\n{BROKEN}\n", "--summary").out.splitlines()]
    assert shown[:2] == [["poems", "2"], ["conform", "1", "50.00%"]]


def test_tones_are_not_said_to_be_kept_where_nobody_looked(poem):
    told = json.loads(poem(BROKEN, "--json", "--strictness", "free", "--form", "五绝").out)
    assert told["tone"] is None and told["rhyme"] is False
    shown = poem(BROKEN, "--summary", "--strictness", "free", "--form", "五绝").out
    assert "tone" not in shown and "rhyme kept" in shown


def test_tallies_add():
    one, other = (tally([check(text, "五绝", BOOK_OF_FIVE)]) for text in (KEPT, BROKEN))
    both = tally(check(text, "五绝", BOOK_OF_FIVE) for text in (KEPT, BROKEN))
    assert one + other == both and both.parts == {"structure": 2, "tone": 1, "rhyme": 1}


def test_strictness_is_as_asked_for(poem):
    text = KEPT.replace("仄仄平平仄", "仄仄仄平仄")
    assert [poem(text, "--strictness", name).code for name in ("strict", "common", "free")] == [1, 0, 0]
    poem(text, "--strictness", "severe").refused("strictness", "choose from strict, common, free", code=2)


def test_a_poem_may_come_through_a_pipe_and_in_several_lines_with_a_title(charlm):
    text = "登鹳雀楼\n王之涣\n白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。\n"
    ended = charlm("poem", "check", "-", "--json", stdin=text)
    record = json.loads(ended.out)
    assert (record["title"], record["form"], record["conforms"]) == ("登鹳雀楼 王之涣", "五绝", True)


def test_traditional_characters_and_an_old_encoding_are_read(charlm):
    text = "白日依山盡，黃河入海流。欲窮千里目，更上一層樓。"
    assert charlm("poem", "check", "-", stdin=text).code == 0
    Path("old.txt").write_bytes((text * 5).encode("big5"))
    ended = charlm("poem", "check", "old.txt", "--encoding", "big5", "--json")
    assert json.loads(ended.out)["lines"][0]["text"] == "白日依山盡"


def test_collections_and_json_lines_are_read_with_their_tunes_and_titles(charlm):
    lines = ["白日依山尽，黄河入海流。", "欲穷千里目，更上一层楼。"]
    Path("c.json").write_text(json.dumps([{"title": "登楼", "paragraphs": lines}], ensure_ascii=False), "utf-8")
    assert json.loads(charlm("poem", "check", "c.json", "--json").out)["title"] == "登楼"
    Path("l.jsonl").write_text(
        json.dumps({"poem": "".join(lines), "title": "登楼"}, ensure_ascii=False) + "\n", "utf-8"
    )
    assert charlm("poem", "check", "l.jsonl", "--field", "poem").code == 0
    charlm("poem", "check", "l.jsonl").refused("l.jsonl:1", "no text in 'text'", "--field", "poem, title")
    Path("d.jsonl").write_text('{"text": "白日"\n', "utf-8")
    charlm("poem", "check", "d.jsonl").refused("d.jsonl:1 is not JSON")


def test_what_holds_no_verse_is_refused(charlm):
    for text, told in (
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("hello, world\n", "'h' in line 1 is no Chinese character"),
    ):
        Path("x.txt").write_text(text, "utf-8")
        charlm("poem", "check", "x.txt").refused("x.txt", told)
    charlm("poem", "check", "none.txt").refused("none.txt")
    charlm("poem", "check", "").refused("empty name")


def test_unknown_names_and_broken_files_are_refused(charlm):
    Path("poem.txt").write_text(KEPT, "utf-8")
    charlm("poem", "check", "poem.txt", "--form", "七绝诗").refused("no form is called '七绝诗'", code=2)
    Path("mine.toml").write_text(FORM.replace("仄平平 a", "仄甲平 a"), "utf-8")
    charlm("poem", "check", "poem.txt", "--form", "mine.toml").refused(
        "mine.toml:8: lines: '仄甲平 a': '甲' is no slot"
    )
    charlm("poem", "check", "poem.txt", "--rhyme-book", "pingshu").refused("pingshui", code=2)
    Path("gbk.tsv").write_bytes(BOOK.encode("gb18030"))
    charlm("poem", "check", "poem.txt", "--rhyme-book", "gbk.tsv").refused("gbk.tsv", "UTF-8")


def test_a_form_of_ones_own_is_checked_and_shown(poem, charlm):
    Path("mine.toml").write_text(FORM, "utf-8")
    assert poem("平仄仄，仄平东。平仄风。", "--form", "mine.toml").code == 0
    assert poem("平仄仄，仄平东。平仄光。", "--form", "mine.toml").code == 1
    shown = charlm("poem", "forms", "mine.toml").out.splitlines()
    assert shown[0].startswith("三字: 词, rhymes by cilin") and shown[-3:] == ["  平仄仄", "  仄平平 a", "  平仄平 a"]


def test_the_list_of_forms_fits_80_columns_and_names_them_all(charlm):
    lines = charlm("poem", "forms").out.splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert [line.split()[0] for line in lines[1:] if line[0] != " "] == [form.name for form in forms()]
    assert "7,7.7,7." in next(line for line in lines if line.startswith("七绝"))


def test_a_form_is_shown_whole_by_name_or_alias(charlm):
    shown = charlm("poem", "forms", "七绝").out
    assert shown.count("首句不入韵") == 2 and "  中仄平平·仄仄平 a" in shown.splitlines()
    assert charlm("poem", "forms", "百字令").out == charlm("poem", "forms", "念奴娇").out
    assert max(map(cell_len, charlm("poem", "forms", "--patterns").out.splitlines())) <= 80
    records = [json.loads(line) for line in charlm("poem", "forms", "--json").out.splitlines()]
    assert records[0]["name"] == "五绝" and records[0]["variants"][0]["stanzas"][0][1] == "平平·仄仄平 a"


@pytest.mark.parametrize("form", forms(), ids=lambda form: form.name)
def test_the_grid_of_every_form_fits_80_columns(form):
    book = RhymeBook("x", "x", [(Reading(True, "第十一部", "平"), "平"), (Reading(False, "第十一部", "去"), "仄")])
    for variant in form.variants:
        for text in ("".join(line.slots + "，" for line in variant.lines).replace("中", "仄"), "平" * 50 + "，仄仄。"):
            shown = list(judged(check(text, form, book)))
            assert max(map(cell_len, shown)) <= 80, shown
