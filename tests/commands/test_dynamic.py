"""`charlm eval --dynamic`: figures of networks that learn from the text, beside the static ones."""

import json
import math
import re
from pathlib import Path

import pytest
import small  # noqa: F401  one thread
from typer.testing import CliRunner

import charlm as door
from charlm.cli.app import app
from charlm.errors import ConfigError
from charlm.runs.layout import hashes
from commands.conftest import CORPORA

EVERYDAY = CORPORA / "everyday.zh.txt"


def run_once(*arguments: object) -> None:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.stderr


@pytest.fixture(scope="session")
def counts(shared_run, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("counts") / "bigrams"
    run_once("train", EVERYDAY, "--model", "ngram", "--order", 2, "--vocab", shared_run, "--run", path, "--quiet")
    return path


@pytest.fixture(autouse=True)
def texts(charlm):
    """A text that says the same again and again, and one to tune on; `charlm` has made the folder."""
    lines = EVERYDAY.read_text("utf-8").splitlines()
    Path("text.txt").write_text("\n".join(lines[:2] * 12) + "\n", "utf-8")
    Path("tune.txt").write_text("\n".join(lines[3:5] * 9) + "\n", "utf-8")


def told(ended) -> dict:
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def test_a_dynamic_figure_stands_apart_and_the_static_one_is_what_it_was(charlm, shared_run):
    before = hashes(shared_run)
    static = told(charlm("eval", shared_run, "text.txt", "--json"))
    found = told(charlm("eval", shared_run, "text.txt", "--dynamic", "sgd", "--rate", 0.5, "--decay", 0, "--json"))
    dynamic = found.pop("dynamic")
    assert found == static
    assert dynamic["bits_per_char"] < static["bits_per_char"] - 0.05
    assert (dynamic["tokens"], dynamic["characters"]) == (static["tokens"], static["characters"])
    assert (dynamic["way"], dynamic["rate"], dynamic["decay"], dynamic["segment"]) == ("sgd", 0.5, 0.0, 20)
    assert dynamic["tuned_on"] is None
    assert dynamic["perplexity"] == pytest.approx(math.exp(dynamic["nats"] / dynamic["tokens"]))
    assert hashes(shared_run) == before


def test_people_are_told_which_figure_is_which(charlm, shared_run, counts):
    ended = charlm("eval", shared_run, "text.txt", "--dynamic", "sgd", "--rate", 0.5)
    rows = dict(line.split("  ", 1) for line in ended.out.splitlines() if not line.startswith(" "))
    assert "perplexity" in rows and "perplexity" in rows["dynamic"]
    assert "sgd, a step each 20 tokens, rate 0.5, decay 0.01" in ended.out
    ended = charlm("eval", shared_run, shared_run, "text.txt", "--dynamic", "sgd", "--rate", 0.5)
    assert f"1. {shared_run}, dynamic  " in ended.out and f"3. {shared_run}  " in ended.out
    assert "learned from the text" in ended.out


def test_the_dynamic_figure_is_that_of_the_tokens_in_both_contexts(charlm, shared_run):
    for context in ("line", "carried"):
        knobs = ("--dynamic", "sgd", "--rate", 0.3, "--context", context)
        records = [
            json.loads(line) for line in charlm("eval", shared_run, "text.txt", *knobs, "--per-token").out.splitlines()
        ]
        assert all("log_prob" not in record for record in records)
        nats = told(charlm("eval", shared_run, "text.txt", *knobs, "--json"))["dynamic"]["nats"]
        assert -sum(record["dynamic_log_prob"] for record in records) == pytest.approx(nats, rel=1e-6)


def test_a_tiny_rate_gives_the_static_figure_in_both_contexts(charlm, shared_run):
    for context in ("line", "carried"):
        knobs = ("--dynamic", "sgd", "--rate", 1e-12, "--decay", 0, "--context", context)
        found = told(charlm("eval", shared_run, "text.txt", *knobs, "--json"))
        assert found["dynamic"]["nats"] == pytest.approx(found["nats"], rel=1e-5)


@pytest.mark.parametrize("way", ["sgd", "rms"])
def test_rate_and_decay_are_tuned_on_another_text(charlm, shared_run, way):
    ended = charlm("eval", shared_run, "text.txt", "--dynamic", way, "--tune", "tune.txt", "--json")
    found = told(ended)
    assert found["dynamic"]["tuned_on"] == "tune.txt" and "rate " in ended.err and "flatters" not in ended.err
    assert found["dynamic"]["bits_per_char"] < found["bits_per_char"] - 0.05
    again = told(
        charlm("eval", shared_run, "text.txt", "--dynamic", way, "--tune", "tune.txt", "--json", "--quiet",
               "--rate", found["dynamic"]["rate"], "--decay", found["dynamic"]["decay"])
    )  # fmt: skip
    assert again["dynamic"]["nats"] == pytest.approx(found["dynamic"]["nats"], rel=1e-6)
    assert again["dynamic"]["tuned_on"] is None  # nothing was looked for


def test_the_rate_of_scaled_steps_is_found_on_other_tokens_than_the_scale(charlm, shared_run):
    """Scales fit the text that they are of, and the rate that was best on it carried the weights away on another."""
    lines = EVERYDAY.read_text("utf-8").splitlines()[3:5] * 9
    later = [line[::-1] for line in lines]  # as many tokens, more surprising
    Path("both.txt").write_text("\n".join([*lines, *later]) + "\n", "utf-8")
    Path("later.txt").write_text("\n".join(later) + "\n", "utf-8")
    still = ("--dynamic", "rms", "--rate", 1e-12, "--decay", 0, "--tune", "both.txt")
    said = charlm("eval", shared_run, "text.txt", *still).err
    expected = told(charlm("eval", shared_run, "later.txt", "--json"))["perplexity"]
    assert float(re.search(r"perplexity ([\d,.]+)", said)[1].replace(",", "")) == pytest.approx(expected, rel=1e-3)


def test_a_text_that_is_tuned_on_itself_is_told(charlm, shared_run):
    knobs = ("--dynamic", "sgd", "--tune", "text.txt", "--rate", 0.1, "--decay", 0)
    assert "flatters" in charlm("eval", shared_run, "text.txt", *knobs).err
    parts = ("--tune-part", "valid", "--part", "test")
    assert "flatters" not in charlm("eval", shared_run, EVERYDAY, *knobs[:3], EVERYDAY, *knobs[4:], *parts).err


def test_a_mixture_adapts_its_networks_and_nothing_else(charlm, shared_run):
    run_once("train", CORPORA / "quatrains.txt", "--model", "ngram", "--order", 1, "--vocab", shared_run, "--run",
             "other", "--quiet")  # fmt: skip  # counts of another kind, which leave the network a weight
    run_once("run", "mix", shared_run, "other", "--tune", "tune.txt", "--temper", "--neural-cache", 9, "--cache", 9,
             "--run", "mix", "--quiet")  # fmt: skip
    found = told(charlm("eval", "mix", "text.txt", "--dynamic", "rms", "--tune", "tune.txt", "--json", "--quiet"))
    assert found["dynamic"]["nats"] < found["nats"]
    still = told(charlm("eval", "mix", "text.txt", "--dynamic", "sgd", "--rate", 1e-12, "--decay", 0, "--json"))
    assert still["dynamic"]["nats"] == pytest.approx(still["nats"], rel=1e-5)
    assert "temperature" in charlm("run", "info", "mix").out or "weight" in charlm("run", "info", "mix").out


def test_what_cannot_be_is_refused_with_a_reason(charlm, shared_run, counts):
    call = ("eval", shared_run, "text.txt")
    charlm("eval", counts, "text.txt", "--dynamic", "sgd").refused("only counts", code=2)
    charlm(*call, "--dynamic", "rms").refused("--tune", "--dynamic sgd", code=2)
    charlm(*call, "--dynamic", "adam").refused("sgd", "rms", code=2)
    charlm(*call, "--rate", 0.1, "--tune", "tune.txt").refused("--rate, --tune without --dynamic", code=2)
    charlm(*call, "--dynamic", "sgd", "--tune-part", "valid").refused("--tune", code=2)
    charlm(*call, "--dynamic", "sgd", "--shard", "1/2").refused("--shard", "do not add", code=2)
    charlm(*call, "--dynamic", "sgd", "--rate", -1, "--decay", 2, "--segment", 0).refused(
        "--rate must be", "--decay must be", "--segment must be", "charlm eval --help", code=2
    )
    charlm(*call, "--dynamic", "sgd", "--rate", 1e38).refused("ran away", "--rate", code=2)
    charlm(*call, "--dynamic", "sgd", "--tune", "nowhere.txt").refused("nowhere.txt")
    Path("short.txt").write_text("好\n", "utf-8")
    charlm(*call, "--dynamic", "sgd", "--tune", "short.txt").refused("short.txt", "too few")
    Path("short.txt").write_text(Path("tune.txt").read_text("utf-8")[:30], "utf-8")  # enough for one part alone
    charlm(*call, "--dynamic", "rms", "--tune", "short.txt").refused("short.txt", "too few")


def test_python_measures_so_too(shared_run):
    static = door.evaluate(shared_run, "text.txt")
    dynamic = door.evaluate(shared_run, "text.txt", dynamic="sgd", rate=0.5, decay=0.0)
    assert dynamic.nats < static.nats and dynamic.tokens == static.tokens
    tuned = door.evaluate(shared_run, "text.txt", dynamic="rms", tune="tune.txt", rate=1e-3, decay=0.0)
    assert tuned.nats < static.nats
    with pytest.raises(ConfigError, match="without"):
        door.evaluate(shared_run, "text.txt", rate=0.5)
    with pytest.raises(ConfigError, match="unknown knob 'speed'"):
        door.evaluate(shared_run, "text.txt", dynamic="sgd", speed=3)
