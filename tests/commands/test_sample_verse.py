"""`charlm sample --form`: poems that keep a form, and what cannot be had."""

import json

import pytest
from typer.testing import CliRunner

from charlm.cli.app import app
from charlm.poems.checking import check
from charlm.poems.sounds import rhyme_book

from .conftest import CORPORA


@pytest.fixture(scope="module")
def verse_run(tmp_path_factory):
    """Counts of our own quatrains."""
    run = tmp_path_factory.mktemp("verse") / "run"
    options = ["--model", "ngram", "--order", "3", "--quiet", "--run", run]
    ended = CliRunner().invoke(app, list(map(str, ["train", CORPORA / "quatrains.txt", *options])))
    assert ended.exit_code == 0, ended.stderr
    return run


def poems(out: str) -> list[str]:
    return ["".join(part.split()) for part in out.split("\n\n")]


@pytest.mark.parametrize("form", ["五绝", "七绝", "如梦令"])
def test_poems_of_a_form_are_written_and_judged_sound(charlm, verse_run, form):
    ended = charlm("sample", verse_run, "--form", form, "--count", 3, "--candidates", 4)
    found = poems(ended.out)
    assert ended.code == 0 and len(found) == len(set(found)) == 3
    assert all(check(poem, form).conforms for poem in found)


def test_the_seed_decides_about_poems(charlm, verse_run):
    options = ("--form", "五绝", "--count", 2, "--candidates", 3)
    first = charlm("sample", verse_run, *options).out
    assert charlm("sample", verse_run, *options).out == first
    assert charlm("sample", verse_run, *options, "--seed", 2).out != first


def test_an_acrostic_and_a_rhyme_are_kept(charlm, verse_run):
    out = charlm("sample", verse_run, "--form", "五绝", "--acrostic", "春山人月", "--rhyme", "东").out
    lines = [line for line in poems(out)[0].replace("。", "，").split("，") if line]
    assert "".join(line[0] for line in lines) == "春山人月"
    assert {reading.group for line in lines[1::2] for reading in _readings(line[-1])} >= {"东"}


def _readings(character: str):
    return rhyme_book("pingshui").readings(character)


def test_json_tells_what_the_form_cost(charlm, verse_run):
    told = json.loads(charlm("sample", verse_run, "--form", "七绝", "--json").out)
    assert set(told) == {"text", "form", "lines", "number", "seed", "log_prob", "forced", "merit"}
    assert [len(line) for line in told["lines"]] == [7] * 4 and told["forced"] > 0 > told["log_prob"]


def test_no_line_of_the_training_poems_comes_back_unless_that_is_allowed(charlm, verse_run):
    known = {clause for line in (CORPORA / "quatrains.txt").read_text("utf-8").splitlines() for clause in _lines(line)}
    options = (
        "--form",
        "五绝",
        "--count",
        8,
        "--strictness",
        "free",
        "--json",
        "--candidates",
        2,
        "--temperature",
        0.1,
    )
    mine = [
        line for told in charlm("sample", verse_run, *options).out.splitlines() for line in json.loads(told)["lines"]
    ]
    assert not known & set(mine)
    quoting = charlm("sample", verse_run, *options, "--allow-quotes").out.splitlines()
    assert known & {line for told in quoting for line in json.loads(told)["lines"]}


def _lines(poem: str) -> list[str]:
    for mark in "，。？！；":
        poem = poem.replace(mark, " ")
    return poem.split()


@pytest.mark.parametrize(
    ("options", "words", "code"),
    [
        (("--form", "七觉"), ["no form is called", "七觉"], 2),
        (("--form", "七绝", "--acrostic", "春江花"), ["has 3 characters; 七绝 has 4 lines"], 2),
        (("--form", "七绝", "--acrostic", "Abcd"), ["'A' is no Chinese character"], 2),
        (("--form", "七绝", "--acrostic", "春江花月", "--column", 9), ["--column 9"], 2),
        (("--form", "七绝", "--rhyme", "乱"), ["no rhyme group '乱'"], 2),
        (("--form", "七绝", "--rhyme", "屋"), ["cannot rhyme in 屋"], 2),
        (("--form", "七绝", "--prompt", "春"), ["--prompt and --form are rivals"], 2),
        (("--acrostic", "春江花月"), ["--acrostic needs a --form"], 2),
        (("--form", "五绝", "--candidates", 0), ["--candidates must be from 1"], 2),
        (("--form", "五绝", "--first-line", "春" * 30), ["--first-line has 30 characters"], 2),
        (("--form", "五绝", "--rhyme-book", "none.tsv"), ["none.tsv"], 1),
    ],
)
def test_what_cannot_be_had_is_refused_before_anything_is_written(charlm, verse_run, options, words, code):
    charlm("sample", verse_run, *options).refused(*words, code=code)


@pytest.mark.parametrize(
    ("reading", "why"),
    [
        (["--level", "spaced"], "was trained with --level spaced"),
        (["--reading", "stream"], "reads its text as one stream"),
        ([], "the model does not know ，"),
    ],
)
def test_a_run_that_cannot_write_verse_says_why(charlm, reading, why):
    charlm("train", CORPORA / "village.en.txt", "--model", "unigram", *reading, "--quiet", "--run", "run")
    charlm("sample", "run", "--form", "五绝").refused(why, code=2)


def test_a_couplet_stands_on_each_line(charlm, verse_run):
    out = charlm("sample", verse_run, "--form", "七绝").out
    assert len(out.splitlines()) == 2 and all(line.endswith("。") for line in out.splitlines())


def test_tones_are_shown_beside_the_lines_and_columns_run_from_right_to_left(charlm, verse_run):
    plain = poems(charlm("sample", verse_run, "--form", "五绝").out)[0]
    toned = charlm("sample", verse_run, "--form", "五绝", "--show-tones").out
    lines = _lines(plain)
    assert all(line in toned for line in lines) and "conforms" in toned.splitlines()[0]
    rows = charlm("sample", verse_run, "--form", "五绝", "--vertical").out.splitlines()
    assert [row.split("　")[-1] for row in rows] == list(lines[0])
    charlm("sample", verse_run, "--vertical").refused("--show-tones and --vertical show verse", code=2)
