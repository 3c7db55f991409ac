"""The checker: what is a fault in which genre, what mends what, and under which reading a poem conforms.

The verses are written in a book of our own, in which 平 is level and 仄 oblique, so that a line shows its tones.
"""

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charlm.cli.grid import judged
from charlm.errors import ConfigError, FormError
from charlm.poems.aligning import FITTING, has_shape, shape_cost
from charlm.poems.checking import candidates, check
from charlm.poems.form import find_form, forms, parse_form
from charlm.poems.judgement import Judgement
from charlm.poems.parsing import poem_of
from charlm.poems.sounds import Reading, RhymeBook

ROOT = Path(__file__).resolve().parent.parent
BOOK = RhymeBook(
    "ours",
    "our own",
    [
        (Reading(True, "东", "平"), "平东风红空中"),
        (Reading(True, "阳", "平"), "阳光霜长"),
        (Reading(True, "冬", "平"), "冬宗"),
        (Reading(False, "送", "去"), "仄送梦中"),
        (Reading(False, "养", "上"), "想长"),
        (Reading(False, "屋", "入"), "木屋"),
    ],
)
# A for 仄仄平平仄 and so on, as the rules are written; the rhyme at the end of a and b is 东, 风, 红 …
FIVE = "仄仄平平仄，平平仄仄东。平平平仄仄，仄仄仄平风。"
SEVEN = "平平仄仄平平仄，仄仄平平仄仄东。仄仄平平平仄仄，平平仄仄仄平风。"
# 卜算子, whose lines are 中仄仄平平 中仄平平仄 中仄平平中仄平 中仄平平仄, twice
TUNE = "仄仄仄平平，仄仄平平木。仄仄平平仄仄平，仄仄平平屋。" * 2


def judge(text: str, form: object = "五绝", **how: object) -> Judgement:
    return check(text, form, BOOK, **how)  # type: ignore[arg-type]


def faults(judgement: Judgement) -> list[tuple[str, int, int]]:
    return [(fault.rule, fault.line, fault.column) for fault in judgement.faults]


def remarks(judgement: Judgement) -> list[tuple[str, int, int]]:
    return [(remark.rule, remark.line, remark.column) for remark in judgement.remarks]


def changed(text: str, line: int, new: str) -> str:
    """The text with another line in this place, from 1."""
    parts = re.split("(?<=[，。])", text)
    assert len(parts[line - 1]) == len(new) + 1
    parts[line - 1] = new + parts[line - 1][-1]
    return "".join(parts)


def test_what_keeps_every_rule_has_no_fault_and_no_remark():
    for text, form in ((FIVE, "五绝"), (SEVEN, "七绝"), (TUNE, "卜算子")):
        for strictness in ("strict", "common", "free"):
            found = judge(text, form, strictness=strictness)
            assert found.conforms and (form == "卜算子" or not found.remarks), (text, found.faults, found.remarks)
    assert [line.relation for line in judge(FIVE).lines] == ["", "对", "粘", "对"]
    assert [line.group for line in judge(FIVE).lines] == ["", "东", "", "东"]


def test_every_variant_of_regulated_verse_is_found_by_its_name():
    starts = {
        "仄": "仄仄平平仄，平平仄仄东。平平平仄仄，仄仄仄平风。",
        "平": "平平平仄仄，仄仄仄平东。仄仄平平仄，平平仄仄风。",
    }
    for start, text in starts.items():
        assert judge(text).variant.name == f"{start}起首句不入韵"
    rhymed = {"仄": changed(starts["仄"], 1, "仄仄仄平红"), "平": changed(starts["平"], 1, "平平仄仄红")}
    for start, text in rhymed.items():
        assert judge(text).conforms and judge(text).variant.name == f"{start}起首句入韵"


@pytest.mark.parametrize("line", ["平仄平平仄", "仄仄仄平仄"])
def test_odd_places_are_free_in_common_and_those_that_the_form_leaves_open_in_strict(line):
    assert judge(changed(FIVE, 1, line)).conforms
    assert judge(changed(FIVE, 1, line), strictness="strict").conforms == (line == "平仄平平仄")


def test_an_even_place_is_not_free():
    found = judge(changed(FIVE, 3, "平仄平仄仄"))
    assert faults(found) == [("出律", 3, 2)]
    assert [fault.part for fault in found.faults] == ["tone"]
    assert judge(changed(FIVE, 3, "平仄平仄仄"), strictness="free").conforms


def test_a_line_without_rhyme_ends_in_an_oblique_tone():
    assert faults(judge(changed(FIVE, 3, "平平仄仄平"))) == [("出律", 3, 5)]


def test_one_level_tone_between_oblique_ones_is_named():
    assert faults(judge(changed(FIVE, 2, "仄平仄仄东"))) == [("孤平", 2, 1)]
    assert faults(judge(changed(SEVEN, 2, "仄仄仄平仄仄东"), "七绝")) == [("孤平", 2, 3)]


def test_it_is_mended_by_the_third_tone_of_its_own_line():
    found = judge(changed(FIVE, 2, "仄平平仄东"))
    assert found.conforms and remarks(found) == [("拗救", 2, 3)]
    assert "本句自救" in found.remarks[0].said
    assert not judge(changed(FIVE, 2, "仄平平仄东"), strictness="strict").conforms


def test_three_level_tones_at_the_end_are_a_fault_and_three_oblique_ones_a_remark():
    assert faults(judge(changed(FIVE, 4, "仄仄平平风"))) == [("三平尾", 4, 3)]
    found = judge(changed(FIVE, 3, "平平仄仄仄"))
    assert found.conforms and remarks(found) == [("三仄尾", 3, 3)]


def test_level_level_oblique_level_oblique_mends_itself():
    found = judge(changed(FIVE, 3, "平平仄平仄"))
    assert found.conforms and remarks(found) == [("拗救", 3, 4)]
    assert faults(judge(changed(FIVE, 3, "仄平仄平仄"))) == [("出律", 3, 4)]  # its first must be level


def test_a_great_departure_must_be_mended_by_the_next_line():
    broken = changed(FIVE, 1, "仄仄平仄仄")
    assert faults(judge(broken)) == [("出律", 1, 4)]
    assert "拗而不救" in judge(broken).faults[0].said
    mended = judge(changed(broken, 2, "平平平仄东"))
    assert mended.conforms and remarks(mended) == [("拗救", 2, 3)]
    assert "对句相救" in mended.remarks[0].said


def test_a_small_departure_may_be_mended_and_need_not():
    small = changed(FIVE, 1, "仄仄仄平仄")
    assert judge(small).conforms and not judge(small).remarks
    assert remarks(judge(changed(small, 2, "平平平仄东"))) == [("拗救", 2, 3)]


def test_one_mend_may_serve_both_lines():
    found = judge(changed(changed(FIVE, 1, "仄仄平仄仄"), 2, "仄平平仄东"))
    assert found.conforms and len(found.remarks) == 2


def test_a_couplet_that_does_not_stick_to_the_one_before_is_one_fault():
    found = judge("仄仄平平仄，平平仄仄东。仄仄平平仄，平平仄仄风。")
    assert faults(found) == [("失粘", 3, 2)] and found.lines[2].relation == "失粘"


def test_a_line_that_does_not_answer_its_partner_is_one_fault():
    found = judge("平平平仄仄，平平仄仄东。平平平仄仄，仄仄仄平风。")
    assert faults(found) == [("失对", 2, 2)] and found.lines[1].relation == "失对"


def test_a_rhyme_of_another_group_is_told_with_both_groups():
    found = judge(changed(FIVE, 4, "仄仄仄平阳"))
    assert faults(found) in ([("出韵", 4, 5)], [("出韵", 2, 5)])
    assert "阳" in found.faults[0].said and found.of("rhyme") and not found.of("tone")


def test_a_rhyme_of_the_other_tone_is_a_fault_of_rhyme_and_of_nothing_else():
    found = judge(changed(FIVE, 4, "仄仄仄平木"))
    assert faults(found) == [("出韵", 4, 5)] and "oblique" in found.faults[0].said
    assert faults(judge(changed(FIVE, 4, "仄仄仄平木"), strictness="free")) == [("出韵", 4, 5)]


def test_a_character_that_rhymes_with_itself_is_a_fault_of_regulated_verse_alone():
    assert faults(judge(changed(FIVE, 4, "仄仄仄平东"))) == [("重韵", 4, 5)]
    found = judge(TUNE.replace("屋", "木"), "卜算子")
    assert found.conforms and {rule for rule, _, _ in remarks(found)} == {"重韵"}


def test_the_first_line_may_borrow_a_neighbouring_rhyme():
    found = judge(changed(FIVE, 1, "仄仄仄平冬"))
    assert found.conforms and remarks(found) == [("首句借韵", 1, 5)]
    assert not judge(changed(FIVE, 1, "仄仄仄平冬"), strictness="strict").conforms
    assert faults(judge(changed(FIVE, 4, "仄仄仄平冬"))) in ([("出韵", 4, 5)], [("出韵", 2, 5)])


def test_a_character_of_two_tones_conforms_under_the_reading_that_fits_and_it_is_told():
    level, oblique = judge(changed(FIVE, 2, "平中仄仄东")), judge(changed(FIVE, 1, "仄中平平仄"))
    assert level.conforms and [(r.line, r.column, r.character, r.reading) for r in level.readings] == [
        (2, 2, "中", "平 东")
    ]
    assert oblique.conforms and oblique.readings[0].reading == "去 送"
    free = judge(changed(FIVE, 1, "中仄平平仄"))
    assert free.conforms and not free.readings and free.lines[0].tones == "通仄平平仄"


def test_a_rhyme_of_two_readings_is_told_by_that_which_rhymes():
    found = judge(changed(FIVE, 4, "仄仄仄平中"))
    assert found.conforms and found.readings[0].reading == "平 东"


def test_an_unknown_character_is_told_and_no_fault():
    found = judge(changed(FIVE, 1, "仄龘平平仄"))
    assert found.conforms and remarks(found) == [("不详", 1, 2)] and found.lines[0].tones == "仄？平平仄"
    assert ("不详", 4, 5) in remarks(judge(changed(FIVE, 4, "仄仄仄平龘")))


def test_the_rules_of_regulated_verse_never_fire_on_a_tune():
    # Each line alone, then all: 三平尾 and 孤平 where the tune leaves the places open, and lines that do not stick.
    pattern = "中中中平平 a\n中平中仄平 a\n中平中仄平 a\n中中中平平 a"
    tune = parse_form(f'name = "x"\ngenre = "词"\n[[variants]]\nlines = """\n{pattern}\n"""\n', "x.toml")
    text = "仄仄平平东，仄平仄仄风。仄平仄仄红，仄仄平平空。"
    assert judge(text, tune).conforms and not judge(text, tune).remarks
    verse = {fault.rule for fault in judge(text, "五绝").faults}
    assert {"孤平", "三平尾"} <= verse


def test_a_slot_of_a_tune_counts_by_itself_and_an_open_one_takes_either_tone():
    assert judge(TUNE.replace("仄仄仄平平", "平仄仄平平"), "卜算子").conforms
    assert faults(judge(TUNE.replace("仄仄平平木", "仄仄平仄木", 1), "卜算子")) == [("出律", 2, 4)]


def test_another_variant_is_tried_and_named():
    six = TUNE[:-6] + "仄仄平平平屋。"
    found = judge(six, "卜算子")
    assert found.conforms and found.variant.name == "结句六字" and judge(TUNE, "卜算子").variant.name == "正体"


def test_a_line_with_another_number_of_characters_is_told():
    found = judge(FIVE.replace("平平仄仄东", "平平仄仄仄东"))
    assert [(fault.rule, fault.part, fault.line) for fault in found.faults] == [("字数", "structure", 2)]
    assert "平平仄仄仄东 has 6 characters; 5 are wanted" in found.faults[0].said


def test_a_missing_line_and_one_too_many_are_told():
    lines = re.split("(?<=[，。])", FIVE)[:4]
    assert [fault.rule for fault in judge("".join(lines[:3])).of("structure")] == ["缺句"]
    assert [fault.rule for fault in judge(FIVE + "仄仄平平仄。").of("structure")] == ["多句"]


def test_a_pause_and_another_break_inside_a_line_part_nothing():
    tune = parse_form(
        'name="x"\ngenre="词"\n[[variants]]\nlines="""\n仄平平、仄仄平平 a\n平仄\n仄仄平 a\n"""\n', "x.toml"
    )
    for text in (
        "仄平平、仄仄平东。平仄，仄仄风。",
        "仄平平，仄仄平东。平仄，仄仄风。",
        "仄平平仄仄平东。平仄，仄仄风。",
    ):
        assert judge(text, tune).conforms and not judge(text, tune).remarks, text
    moved = judge("仄平平仄仄平东。平仄仄，仄风。", tune)
    assert moved.conforms and [rule for rule, _, _ in remarks(moved)] == ["断句"]
    assert not judge("仄平平仄仄平东。平仄仄，仄风。", tune, strictness="strict").conforms
    lost = judge("仄平平仄仄平东平仄，仄仄风。", tune)
    assert [fault.rule for fault in lost.faults] == ["断句"]


def test_verse_without_any_mark_is_cut_by_the_form():
    found = judge(re.sub("[，。]", "", FIVE))
    assert found.conforms and [line.text for line in found.lines][3] == "仄仄仄平风"


def test_a_form_is_recognised_and_others_of_its_shape_are_told():
    found = check(FIVE, None, BOOK)
    assert (found.form.name, found.by, found.also) == ("五绝", "shape", ())
    old = check("平平平平木，平平平平木。平平平平仄，仄仄仄仄屋。", None, BOOK)
    assert old.form.name == "古绝" and old.conforms
    assert check(TUNE, None, BOOK).form.name == "卜算子"


def test_a_title_names_the_form_unless_the_poem_has_the_shape_of_another():
    tune = check(poem_of(TUNE, title="卜算子·咏梅"), None, BOOK)
    assert (tune.form.name, tune.by) == ("卜算子", "title")
    short = check(poem_of(TUNE[:-6], title="卜算子"), None, BOOK)
    assert (short.form.name, short.by, [fault.rule for fault in short.faults]) == ("卜算子", "title", ["缺句"])
    quatrain = check(poem_of(SEVEN, title="浪淘沙"), None, BOOK)
    assert (quatrain.form.name, quatrain.by) == ("七绝", "shape")


def test_a_poem_of_no_known_form_is_judged_by_the_nearest():
    found = check(FIVE.replace("平平仄仄东", "平平仄仄仄东"), None, BOOK)
    assert found.form.name in ("五绝", "古绝") and found.by == "shape" and len(found.of("structure")) == 1


def test_strange_characters_are_one_fault():
    found = judge(FIVE.replace("，", "x，", 1))
    assert [fault.rule for fault in found.faults] == ["异字"] and "x" in found.faults[0].said


def test_names_that_nobody_bears_are_refused():
    with pytest.raises(ConfigError, match="strictness"):
        check(FIVE, "五绝", BOOK, "severe")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="form"):
        check(FIVE, "五绝句", BOOK)
    with pytest.raises(ConfigError, match="rhyme book"):
        check(FIVE, "五绝", "pingshu")
    with pytest.raises(FormError, match="cannot read"):
        check(FIVE, "nowhere/x.toml", BOOK)


def test_a_judgement_is_json_with_faults_by_part():
    record = json.loads(json.dumps(judge(changed(FIVE, 3, "平仄平仄仄")).record()))
    assert (record["structure"], record["tone"], record["rhyme"], record["conforms"]) == (True, False, True, False)
    assert record["faults"][0] == {
        "rule": "出律",
        "part": "tone",
        "line": 3,
        "column": 2,
        "said": record["faults"][0]["said"],
    }
    assert record["lines"][2]["faulty"] == [2]


@pytest.mark.parametrize("form", forms(), ids=lambda form: form.name)
def test_a_poem_made_of_a_pattern_conforms_to_it_under_every_strictness(form):
    for variant in form.variants:
        text = ""
        for number, line in enumerate(variant.lines):
            slots = str(line.slots).replace("中", "平" if number % 2 else "仄")
            last = {"平": "东", "仄": "木"}[slots[-1]] if line.rhyme else slots[-1]
            if line.rhyme and form.name == "西江月":
                last = {"平": "东", "仄": "送"}[slots[-1]]
            text += slots[:-1] + last + ("。" if line.rhyme else "，")
        book = RhymeBook("one", "one", [(Reading(True, "甲", "平"), "平东"), (Reading(False, "甲", "去"), "仄木送")])
        for strictness in ("strict", "free"):
            found = check(text, form, book, strictness)  # type: ignore[arg-type]
            rules = {fault.rule for fault in found.faults} - {"重韵"}
            assert not rules, (variant.name, text, found.faults)


@given(
    st.text("平仄东木中龘，。、 \n x□（）", max_size=80),
    st.sampled_from(["五绝", "七律", "古绝", "如梦令", "水调歌头"]),
)
def test_whatever_text_is_judged_every_fault_has_a_place_in_it(text, form):
    found = judge(text, form)
    assert len(found.lines) >= 1
    for fault in (*found.faults, *found.remarks):
        assert 1 <= fault.line <= len(found.lines)
        assert 0 <= fault.column <= max(1, len(found.lines[fault.line - 1].text), fault.column * (fault.rule == "断句"))
    for line in found.lines:
        assert len(line.tones) == len(line.text)
    assert "".join(line.text for line in found.lines) == re.sub(r"（[^）]*）|[^平仄东木中龘□]", "", text)


def test_the_page_about_verse_shows_a_form_as_it_is_and_explains_every_rule():
    page = (ROOT / "docs" / "verse.md").read_text("utf-8")
    example = parse_form(re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1], "verse.md")
    assert example.variants[0].lines == find_form("如梦令").variants[0].lines
    told = set(re.findall(r"[\u4e00-\u9fff]+", " ".join(re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE))))
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "charlm" / "poems").glob("*.py"))
    named = {
        name for name in re.findall(r'"([\u4e00-\u9fff]{2,4})"', sources) if not set(name) <= set("平仄上去入阴阳")
    }
    named -= {"近体", "古体"}
    assert {"失粘", "孤平", "拗救", "首句借韵"} <= named <= told, named - told


def test_the_grid_of_the_page_is_what_the_command_shows():
    page = (ROOT / "docs" / "verse.md").read_text("utf-8")
    text = "渭城朝雨浥轻尘，客舍青青柳色新。劝君更尽一杯酒，西出阳关无故人。"
    shown = "\n".join(judged(check(text)))
    assert shown in page


def test_of_two_ways_that_both_fit_a_line_is_read_as_verse_reads_its_characters():
    """风 as oblique would make a line that must be mended, of one that keeps its pattern."""
    found = check("洁石溪风午梦回，人来诗事碧如殷。渔人又化风雷甚，愁作波声不胜山。", "七绝")
    assert found.lines[2].tones == "平平仄仄平平仄"
    assert [(one.character, one.seldom) for one in found.readings if one.line == 3] == [("风", False)]
    assert not [remark for remark in found.remarks if remark.line == 3]


@given(
    variant=st.sampled_from([variant for form in forms() for variant in form.variants]),
    cuts=st.lists(st.integers(0, 100), max_size=3),
    more=st.integers(-1, 1),
)
def test_lines_of_other_lengths_in_all_were_aligned_before_their_shape_was_refused(variant, cuts, more):
    """Lines joined, parted, one character longer or shorter: it is told alike with and without the alignment."""
    lengths = list(variant.lengths)
    for cut in cuts:
        place = cut % len(lengths)
        if cut % 2 and len(lengths) > 1:
            lengths[place : place + 2] = [sum(lengths[place : place + 2])]
        elif lengths[place] > 2:
            lengths[place : place + 1] = [2, lengths[place] - 2]
    lengths[cuts[0] % len(lengths) if cuts else 0] += more
    assert has_shape(variant, lengths) == (shape_cost(variant, lengths) < FITTING)


@settings(max_examples=15)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=7).map(tuple))
@example(lengths=(5, 5))
@example(lengths=(7, 7, 7, 7, 7))
def test_the_nearest_form_is_the_one_of_least_cost_of_all_where_most_are_given_up_early(lengths):
    costs = [min(shape_cost(variant, lengths) for variant in form.variants) for form in forms()]
    fitting = tuple(form for cost, form in zip(costs, forms(), strict=True) if cost < FITTING)
    assert candidates(lengths) == (fitting or (forms()[costs.index(min(costs))],))
