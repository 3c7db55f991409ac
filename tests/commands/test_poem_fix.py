"""`charlm poem fix`: what mends a fault, ranked by a run; the mended file, whole or not at all."""

import json
from pathlib import Path

import pytest

from charlm.poems.checking import check

KEPT = "雪化溪声涨，柴门昼未关。一鸠啼不住，青到屋前山。"
TONE = "雪化溪声涨，柴门昼未关。一鸠啼山住，青到屋前山。"  # 山 is level
BOTH = "雪化溪声涨，柴门昼未关。一鸠啼山住，青到屋前风。"
SHORT = "雪化溪声涨，柴门昼关。一鸠啼不住，青到屋前山。"


@pytest.fixture
def fix(charlm, counts_of_verse):
    def run(text, *options, name="poem.txt"):
        Path(name).write_text(text, "utf-8")
        return charlm("poem", "fix", name, "--run", counts_of_verse, *options)

    return run


def test_a_poem_without_a_fault_is_said_to_be_without(fix):
    ended = fix(KEPT + "\n")
    assert ended.code == 0 and ended.out == "五绝 · 仄起首句不入韵 · pingshui · common · without a fault\n"


def test_replacements_are_shown_before_and_after_the_likeliest_first(fix):
    ended = fix(TONE, "--form", "五绝", "--ways", 3)
    lines = ended.out.splitlines()
    assert ended.code == 0 and lines[1].startswith("fault   出律  line 3, character 4: 山 is 平")
    shown = [line.split() for line in lines if line.split()[0].isdigit()]
    assert [row[0] for row in shown] == ["1", "2", "3"] and {row[1] for row in shown} == {"一鸠啼山住"}
    assert [float(row[-2]) for row in shown] == sorted((float(row[-2]) for row in shown), reverse=True)
    assert shown[0][3] == "一鸠啼不住"  # the line of the training text is the likeliest
    assert lines[-1] == "mended  雪化溪声涨 柴门昼未关 一鸠啼不住 青到屋前山"


def test_every_way_that_is_shown_mends_its_fault(fix):
    told = json.loads(fix(BOTH, "--json", "--form", "五绝", "--ways", 8).out)
    assert {fault["rule"] for fault in told["faults"]} == {"出律", "出韵"} and told["left"] == []
    text = [line for line in BOTH.replace("。", "，").split("，") if line]
    for fault in told["faults"]:
        assert fault["ways"] and fault["why"] is None
        for way in fault["ways"]:
            lines = list(text)
            assert lines[way["line"] - 1] == way["before"]
            lines[way["line"] - 1] = way["after"]
            changed = [n for n, (a, b) in enumerate(zip(way["before"], way["after"], strict=True), 1) if a != b]
            assert changed == way["columns"]
            after = check("，".join(lines), "五绝")
            assert fault["rule"] not in {one.rule for one in after.faults}
    assert check("，".join(told["mended"]), "五绝").conforms


def test_the_mended_file_keeps_titles_marks_and_poems_without_faults(fix):
    ended = fix(f"# 春\n{KEPT}\n\n《雪》\n{BOTH}\n", "--apply", "-o", "mended.txt")
    assert ended.code == 0 and ended.out.splitlines()[-1] == "mended.txt"
    lines = Path("mended.txt").read_text("utf-8").split("\n")
    assert lines[:2] == ["# 春", KEPT] and lines[3] == "《雪》" and len(lines) == 6
    assert check(lines[4], "五绝").conforms and [c for c in lines[4] if c in "，。"] == list("，。，。")
    fix(BOTH, "--apply", "-o", "mended.txt").refused("mended.txt exists already")
    assert fix(BOTH, "--apply", "-o", "mended.txt", "--force").code == 0


def test_what_nothing_mends_is_told_and_nothing_is_written(charlm, fix):
    ended = fix(f"{BOTH}\n\n{SHORT}\n")
    assert ended.code == 1 and "one fault is not mended" in ended.err
    assert (
        "none    no character is wrong there, but their number" in ended.out and "left    字数 in line 2" in ended.out
    )
    ended = fix(f"{BOTH}\n\n{SHORT}\n", "--apply", "-o", "mended.txt")
    assert ended.code == 1 and "nothing was written" in ended.err and not Path("mended.txt").exists()


def test_misuse_is_refused(charlm, fix, shared_run):
    fix(KEPT, "--apply").refused("--apply and -o belong together", code=2)
    fix(KEPT, "-o", "x.txt").refused("--apply and -o belong together", code=2)
    charlm("poem", "fix", "gone.txt", "--run", shared_run).refused("gone.txt")
    text = json.dumps({"text": BOTH}, ensure_ascii=False)
    assert fix(text, "--json", name="p.jsonl").code == 0
    fix(text, "--apply", "-o", "x.txt", name="p.jsonl").refused("p.jsonl is JSON", code=2)
    assert not Path("x.txt").exists()


def test_a_poem_may_come_through_a_pipe(charlm, counts_of_verse):
    ended = charlm("poem", "fix", "-", "--run", counts_of_verse, "--json", stdin=TONE)
    assert json.loads(ended.out)["mended"][2] == "一鸠啼不住"


def test_a_run_that_knows_no_chinese_is_refused_rather_than_said_to_find_nothing(charlm, english_run):
    Path("poem.txt").write_text(TONE, "utf-8")
    charlm("poem", "fix", "poem.txt", "--run", english_run).refused("knows no Chinese characters", code=2)
