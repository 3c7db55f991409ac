"""`charlm train --control` and `charlm sample` of a run that is told what it writes."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from charlm.cli.app import app
from charlm.composing.themes import recall
from charlm.composing.writing import COMMON, REPEATED, usual_characters
from charlm.config.poems import PoemConfig
from charlm.jobs.sample import telling
from charlm.poems.checking import check
from charlm.runs.run import load
from charlm.text.vocab import EOS

from .conftest import CORPORA

SMALL = ("--hidden", 32, "--embedding", 24, "--layers", 1, "--dropout", 0, "--batch-size", 4, "--window", 32, "--quiet")
SHORT = ("--hidden", 8, "--embedding", 8, "--layers", 1, "--quiet")
THEMES = "春夏秋冬山水花月"


def train(*arguments):
    ended = CliRunner().invoke(app, ["train", *map(str, arguments)])
    assert ended.exit_code == 0, ended.stderr
    return ended


@pytest.fixture(scope="module")
def told_run(tmp_path_factory):
    """A network that was told form, rhyme and theme of twelve poems of our own, until it knew them by heart."""
    folder = tmp_path_factory.mktemp("told")
    lines = (CORPORA / "quatrains.txt").read_text("utf-8").splitlines()
    some = [poem for size in (5, 7) for poem in [line for line in lines if line.find("，") == size][:6]]
    (folder / "poems.txt").write_text("\n".join(some * 12) + "\n", "utf-8")
    vocab = CliRunner().invoke(app, ["vocab", str(CORPORA / "quatrains.txt"), "-o", str(folder / "vocab"), "--quiet"])
    assert vocab.exit_code == 0, vocab.stderr
    text = (folder / "poems.txt", "--valid", folder / "poems.txt", "--vocab", folder / "vocab")
    train(*text, "--control", "form,rhyme,theme", *SMALL, "--learning-rate", 0.02, "--epochs", 4, "--validations", 1,
          "--run", folder / "run")  # fmt: skip
    return folder / "run"


@pytest.fixture(scope="module")
def echo_run(tmp_path_factory):
    """A network that was told the theme of lines which say nothing else."""
    folder = tmp_path_factory.mktemp("echo")
    (folder / "lines.txt").write_text("".join(f"{theme}，\n" for theme in THEMES) * 60, "utf-8")
    train(folder / "lines.txt", "--valid", folder / "lines.txt", "--control", "theme", *SMALL, "--learning-rate", 0.02,
          "--epochs", 6, "--validations", 1, "--run", folder / "run")  # fmt: skip
    return folder / "run"


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory):
    run = tmp_path_factory.mktemp("plain") / "run"
    train(CORPORA / "quatrains.txt", "--model", "ngram", "--order", 2, "--quiet", "--run", run)
    return run


def test_info_tells_what_a_run_can_be_told(charlm, told_run, shared_run):
    said = " ".join(charlm("run", "info", told_run).out.split())
    assert "can be told form " in said and "五绝" in said and "rhyme" in said and "theme of its own words" in said
    told = json.loads(charlm("run", "info", told_run, "--json").out)["can_be_told"]
    assert set(told["form"]) == {"五绝", "七绝"} and told["theme"] == [] and "tune" not in told
    assert "can be told" not in charlm("run", "info", shared_run).out


def test_a_run_keeps_the_names_that_it_was_told_and_how_well_it_foretells_when_told(told_run):
    names = load(told_run).codec.vocab.control_names
    assert names[:2] == ["<form:七绝>", "<form:五绝>"] and names[-2:] == ["<theme>", "</theme>"]
    facts = json.loads((told_run / "run.json").read_text("utf-8"))
    assert facts["control"]["counts"]["<form:五绝>"] == 72
    assert facts["told"]["tokens"] == facts["valid"]["tokens"] == facts["corpus"]["tokens"]
    # It knows sooner which of its poems is meant.
    assert facts["told"]["nats"] / facts["told"]["tokens"] < load(told_run).best["valid_nats"]


def test_the_form_is_told_and_decides_about_the_length_of_lines(told_run):
    run = load(told_run)
    for form, size in (("五绝", 5), ("七绝", 7)):
        drawn = run.sample(count=20, controls=[f"<form:{form}>"], temperature=0.5, seed=1)
        assert sum(poem.find("，") == size for poem in drawn) >= 16, drawn


def test_a_form_a_rhyme_and_a_theme_are_asked_for_together_with_what_is_fixed(charlm, told_run):
    options = ("--form", "五绝", "--rhyme", "先", "--theme", "山", "--candidates", 4, "--json", "--count", 3)
    for more in ((), ("--acrostic", "春山人月"), ("--first-line", "白日依山尽"), ("--theme-strength", 3)):
        ended = charlm("sample", told_run, *options, *more)
        assert ended.code == 0, ended.err
        for told in map(json.loads, ended.out.splitlines()):
            assert check(told["text"], "五绝").conforms
            assert told["recall"] == recall(told["text"], "山")
    assert not ended.err


def test_a_rhyme_of_another_book_is_not_told_as_if_it_were_of_the_forms_own(told_run):
    """Groups of two books may have one name, and a run knows those of the form's book alone."""
    run, told = load(told_run), {}
    for book in (None, "pingshui", "cilin"):
        notes = []
        _, ids = telling(run, PoemConfig(form="五绝", rhyme="先", rhyme_book=book), notes.append)
        told[book] = [run.codec.vocab.tokens[number] for number in ids]
        assert bool(notes) == (book == "cilin")
    assert "<rhyme:先>" in told[None] and told[None] == told["pingshui"]
    assert told["cilin"] == [name for name in told[None] if name != "<rhyme:先>"]


def test_a_theme_is_told_in_words_and_said(charlm, echo_run):
    run = load(echo_run)
    for theme in THEMES[:3]:
        drawn = run.sample(count=20, theme=theme, seed=1)
        assert sum(recall(line, theme) for line in drawn) >= 17, drawn
        assert sum(recall(line, theme) for line in run.sample(count=20, seed=1)) < 10
    facts = json.loads((echo_run / "run.json").read_text("utf-8"))
    assert facts["told"]["nats_with_theme"] < 0.5 * facts["told"]["nats"]
    assert "with a theme, which is of the poem's own words" in charlm("run", "info", echo_run).out


def test_the_strength_of_a_theme_is_from_nothing_to_more_than_was_learned(echo_run):
    run = load(echo_run)

    def chance_of_theme(**knobs):
        model, told = telling(run, PoemConfig(**knobs))
        state = model.initial_state(1)
        for token in (EOS, *told):
            log_probs, state = model.step(torch.tensor([token]), state)
        assert float(log_probs.detach().exp().sum()) == pytest.approx(1)
        return float(log_probs.detach()[0, run.codec.vocab.id(THEMES[0])])

    untold, told = chance_of_theme(), chance_of_theme(theme=THEMES[0])
    strengths = [chance_of_theme(theme=THEMES[0], theme_strength=s) for s in (0, 0.5, 1.5, 3)]
    assert strengths[0] == pytest.approx(untold) and chance_of_theme(
        theme=THEMES[0], theme_strength=1.0
    ) == pytest.approx(told)
    assert untold < strengths[1] < told < strengths[2] < strengths[3]


def test_without_a_form_a_told_run_writes_freely_and_takes_a_theme(charlm, told_run, echo_run):
    for run in (told_run, echo_run):
        free = charlm("sample", run, "--count", 4, "--seed", 2)
        themed = charlm("sample", run, "--count", 4, "--seed", 2, "--theme", "山")
        stronger = charlm("sample", run, "--count", 4, "--seed", 2, "--theme", "山", "--theme-strength", 2)
        assert free.code == themed.code == stronger.code == 0
        assert not {"<", ">", "□"} & set(free.out + themed.out + stronger.out)
        assert load(run).sample(count=4, seed=2, theme="山") == themed.out.splitlines()
    assert themed.out == "山，\n" * 4 != free.out
    assert charlm("sample", echo_run, "--prompt", "春", "--theme", "山").out.startswith("春")


def test_a_run_that_was_told_nothing_ranks_by_the_theme_and_says_so(charlm, plain_run):
    options = ("--form", "五绝", "--candidates", 24, "--count", 4, "--json")
    plain = charlm("sample", plain_run, *options)
    ended = charlm("sample", plain_run, *options, "--theme", "山")
    assert ended.code == 0 and "the theme only ranks the candidates" in ended.err and not plain.err
    with_theme = [json.loads(line)["recall"] for line in ended.out.splitlines()]
    without = [recall(json.loads(line)["text"], "山") for line in plain.out.splitlines()]
    assert sum(with_theme) > sum(without)


def test_a_second_run_ranks_the_candidates(charlm, plain_run, told_run):
    options = ("--form", "五绝", "--candidates", 8, "--count", 2, "--json")
    alone = [json.loads(line) for line in charlm("sample", plain_run, *options).out.splitlines()]
    ended = charlm("sample", plain_run, *options, "--backward", told_run)
    both = [json.loads(line) for line in ended.out.splitlines()]
    assert ended.code == 0
    other, usual = load(told_run), usual_characters(load(plain_run).codec.vocab)
    for poem in both:
        (found,) = other.score([poem["text"]])
        characters = "".join(poem["lines"])
        repeated = len(characters) - len(set(characters))
        common = sum(usual[character] for character in characters)
        merit = ((poem["log_prob"] + found.charged) / 2 - COMMON * common) / len(characters) - REPEATED * repeated
        assert poem["merit"] == pytest.approx(merit, abs=1e-4)
    assert [poem["merit"] for poem in alone] != [poem["merit"] for poem in both]


@pytest.mark.parametrize(
    ("options", "words", "code"),
    [
        (("--form", "五绝", "--theme", "鑫"), ["does not know 鑫"], 2),
        (("--form", "五绝", "--theme", "moon"), ["'m' is no Chinese character"], 2),
        (("--form", "五绝", "--theme", ""), ["--theme is empty"], 2),
        (("--form", "五绝", "--theme", "春夏秋冬日月"), ["at most 4"], 2),
        (("--form", "五绝", "--theme-strength", 2), ["--theme-strength is for --theme"], 2),
        (("--form", "五绝", "--theme", "山", "--theme-strength", 11), ["must be from 0 to 10"], 2),
        (("--form", "五绝", "--theme", "山", "--theme-strength", "nan"), ["must be from 0 to 10"], 2),
        (("--form", "五绝", "--backward", "nowhere"), ["no run directory at nowhere"], 1),
        (("--backward", "nowhere"), ["--backward needs a --form"], 2),
    ],
)
def test_a_theme_that_cannot_be_had_is_refused(charlm, told_run, options, words, code):
    charlm("sample", told_run, *options).refused(*words, code=code)


def test_a_theme_without_a_form_needs_a_run_that_was_told_themes(charlm, plain_run):
    charlm("sample", plain_run, "--theme", "山").refused("can be told no theme", code=2)


# ── training ────────────────────────────────────────────────────────────────────────────────────


def test_what_is_told_is_said_and_resumed_and_refused_where_it_changed(charlm):
    rows = [
        {
            "rhythmic": "如梦令",
            "text": "常记溪亭日暮，沉醉不知归路。兴尽晚回舟，误入藕花深处。争渡，争渡，惊起一滩鸥鹭。",
        }
    ] * 12
    rows += [{"rhythmic": "莺啼序", "text": "东风吹绿。几处残红"}] * 9
    Path("ci.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    asked = ("train", "ci.jsonl", "--valid", "ci.jsonl", "--control", "tune,form", *SHORT[:-1], "--batch-size", 2)
    made = charlm(*asked, "--window", 8, "--steps", 3, "--run", "r")
    assert made.code == 0, made.err
    said = " ".join(made.err.split())
    assert "of 21 poems are told: form of 57%, tune of 100%" in said and "of 0" not in said
    assert "fewer than 10 poems have them: 1 names, <tune:莺啼序>" in said
    assert "told" in made.out
    assert load(Path("r")).codec.vocab.control_names == ["<form:如梦令>", "<tune:如梦令>"]
    assert charlm("train", "--resume", "r", "--steps", 5, "--quiet").code == 0
    assert charlm("run", "check", "r").code == 0
    assert "perplexity when told" in " ".join(charlm("run", "info", "r").out.split())
    again = charlm("train", "--config", "r/config.json", "--steps", 2, "--run", "again", "--quiet")
    assert again.code == 0 and json.loads(Path("again/config.json").read_text("utf-8"))["training"]["control"]
    assert charlm("train", "ci.jsonl", "--valid", "ci.jsonl", "--vocab", "r", "--control", "all", *SHORT, "--steps", 1,
                  "--run", "more").code == 0  # fmt: skip
    assert load(Path("more")).codec.vocab.control_names == [
        "<form:如梦令>", "<tune:如梦令>", "<rhyme:第四部>", "<theme>", "</theme>"]  # fmt: skip
    facts = json.loads(Path("r/run.json").read_text("utf-8"))
    Path("r/run.json").write_text(json.dumps({**facts, "control": {"key": "other", "counts": {}}}), "utf-8")
    charlm("train", "--resume", "r", "--steps", 9).refused("what is told of the poems has changed")


def test_other_text_is_told_as_well(charlm):
    poem = "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。\n"
    Path("t.txt").write_text(poem * 12, "utf-8")
    Path("m.txt").write_text(poem * 4 + "床前\n", "utf-8")
    ended = charlm("train", "t.txt", "--valid", "t.txt", "--more", "m.txt", "--control", "all", *SHORT, "--steps", 4,
                   "--run", "r")  # fmt: skip
    assert ended.code == 0, ended.err
    assert charlm("train", "--resume", "r", "--steps", 6, "--quiet").code == 0


def test_a_text_without_any_verse_can_be_told_nothing_of(charlm):
    ended = charlm("train", CORPORA / "village.en.txt", "--control", "form,rhyme", *SHORT[:-1], "--steps", 1,
                   "--run", "r")  # fmt: skip
    assert ended.code == 0 and "form of 0%, rhyme of 0%" in ended.err
    assert load(Path("r")).codec.vocab.control_names == []
    assert charlm("sample", "r").code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--control", "rime"), ["--control rime: did you mean rhyme?"]),
        (("--control", "form,form"), ["names something twice"]),
        (("--control", ""), ["choose from form, tune, rhyme, theme, all"]),
        (("--control-dropout", 0.5), ["--control-dropout is for --control"]),
        (("--control", "all", "--control-dropout", 1), ["at least 0 and below 1"]),
        (("--control", "all", "--context", "carried"), ["--control goes with lines that are read afresh"]),
        (("--control", "all", "--level", "spaced"), ["not --level spaced"]),
        (("--control", "all", "--model", "ngram"), ["--control is for models that learn by gradient"]),
    ],
)
def test_what_cannot_be_told_is_refused_before_anything_is_read(charlm, options, words):
    Path("t.txt").write_text("白日依山尽，黄河入海流。\n" * 9, "utf-8")
    charlm("train", "t.txt", *options, "--run", "r").refused(*words, code=2)
    assert not Path("r").exists()


def test_a_second_run_that_knows_no_chinese_is_refused(charlm, plain_run, english_run):
    charlm("sample", plain_run, "--form", "五绝", "--backward", english_run).refused(
        "knows no Chinese characters, so it cannot rank poems", code=2
    )
