"""`charlm train` with the knobs of the recipe: told, resumed, refused where they do not belong."""

import json
from pathlib import Path

import pytest

SMALL = ("--hidden", "8", "--embedding", "8", "--batch-size", "2", "--window", "8", "--quiet")
ALL = "--optimizer muon --average tail --average-share 0.3 --beta2-tokens 1e5 --skips --forget-bias 2"
MORE = (
    "--word-dropout 0.1 --weight-drop 0.2 --input-dropout 0 --between-dropout 0.1 --output-dropout 0.2 --ar 1 --tar 0.5"
)


def test_a_run_keeps_its_recipe_and_goes_on_with_it(charlm):
    Path("t.txt").write_text("春眠不觉晓\n处处闻啼鸟\n夜来风雨声\n花落知多少\n" * 9, "utf-8")
    asked = ("--context", "carried", "--partial-shuffle", *ALL.split(), *MORE.split())
    made = charlm("train", "t.txt", "--valid", "t.txt", *SMALL, *asked, "--steps", 12, "--run", "r")
    assert made.code == 0, made.err
    config = json.loads(Path("r/config.json").read_text("utf-8"))
    assert config["training"]["average"] == "tail" and config["recurrent"]["weight_drop"] == 0.2
    assert charlm("run", "check", "r").code == 0
    assert charlm("eval", "r", "t.txt").code == 0
    more = charlm("train", "--resume", "r", "--steps", 14, "--quiet", "--json")
    assert more.code == 0, more.err
    other = charlm("train", "t.txt", *SMALL, "--no-skips", "--init-from", "r", "--steps", 1, "--run", "other")
    other.refused("another network", "train with --skips")


@pytest.mark.parametrize(
    ("options", "said", "code"),
    [
        (("--partial-shuffle",), "--partial-shuffle is for carried text", 2),
        (("--model", "ngram", "--word-dropout", "0.1"), "--word-dropout is for --model recurrent", 2),
        (("--model", "unigram", "--optimizer", "muon"), "models that learn by gradient", 2),
        (("--optimizer", "moun"), "did you mean muon", 2),
        (("--average-share", "0.2"), "--average-share is for --average", 2),
        (("--cell", "gru", "--forget-bias", "2"), "--forget-bias 2 is not for --cell gru", 2),
    ],
    ids=str,
)
def test_what_does_not_belong_is_refused(charlm, options, said, code):
    Path("t.txt").write_text("春眠不觉晓\n处处闻啼鸟\n" * 9, "utf-8")
    charlm("train", "t.txt", "--valid", "t.txt", *options, "--run", "r").refused(said, code=code)
    assert not Path("r").exists()
