"""`charlm train --more`: other text of the kind."""

import json
from pathlib import Path

import pytest

SMALL = ("--hidden", "8", "--embedding", "8", "--layers", "1", "--batch-size", "2", "--window", "8", "--quiet")


def test_more_text_is_told_resumed_and_refused_where_it_changed(charlm):
    Path("t.txt").write_text("春眠不觉晓\n处处闻啼鸟\n夜来风雨声\n花落知多少\n" * 9, "utf-8")
    Path("m.txt").write_text("夜来花落声\n处处闻风雨\n" * 9, "utf-8")
    made = charlm("train", "t.txt", "--valid", "t.txt", "--more", "m.txt:0.5", *SMALL, "--steps", 6, "--run", "r")
    assert made.code == 0, made.err
    facts = json.loads(Path("r/run.json").read_text("utf-8"))["more"]
    assert [(one["weight"], one["documents"]) for one in facts] == [(0.5, 18)]
    assert charlm("run", "check", "r").code == 0
    assert "weight 0.5: " in charlm("run", "info", "r").out
    assert charlm("train", "--resume", "r", "--steps", 8, "--quiet").code == 0
    again = charlm("train", "--config", "r/config.json", "--steps", 2, "--run", "again", "--quiet")
    assert again.code == 0 and json.loads(Path("again/config.json").read_text("utf-8"))["more"]
    Path("m.txt").write_text("春\n", "utf-8")
    charlm("train", "--resume", "r", "--steps", 9).refused("--more names has changed")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--context", "carried"), "and not with carried text"),
        (("--model", "ngram"), "learn by gradient"),
        (("--model", "lstn", "--clip", "0"), "--clip must be above 0"),
        (("--more", "m.txt:0"), "a weight must be above 0"),
        (("--more", "nowhere.txt"), "no such file"),
    ],
)
def test_more_text_where_it_cannot_be_read_is_refused(charlm, options, said):
    Path("t.txt").write_text("春眠不觉晓\n" * 9, "utf-8")
    Path("m.txt").write_text("夜来花落声\n" * 9, "utf-8")
    charlm("train", "t.txt", "--valid", "t.txt", "--more", "m.txt", *options, "--run", "r").refused(
        said, code=1 if "nowhere.txt" in options else 2
    )
    assert not Path("r").exists()
