"""`charlm train --reverse`: runs that read each line from its end."""

import itertools
import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import charlm as library
from charlm.jobs.settle import settle
from charlm.jobs.train import resume, train
from charlm.jobs.watching import Watcher
from commands.conftest import CORPORA, TINY

TEXT = CORPORA / "everyday.zh.txt"


@pytest.fixture
def turned(tmp_path) -> tuple[Path, Path]:
    """A text, and the same with the characters of every line in the other order."""
    lines = TEXT.read_text("utf-8").split("\n")[:200]
    (tmp_path / "text.txt").write_text("\n".join(lines), "utf-8")
    (tmp_path / "turned.txt").write_text("\n".join(line[::-1] for line in lines), "utf-8")
    return tmp_path / "text.txt", tmp_path / "turned.txt"


@pytest.mark.parametrize("model", ["ngram", "recurrent", "unigram"])
def test_a_backward_run_is_a_forward_run_of_the_turned_text(charlm, turned, model):
    text, other = turned
    knobs = ("--steps", 3, *TINY) if model == "recurrent" else ("--quiet",)
    charlm("train", text, "--valid", text, "--reverse", "--model", model, *knobs, "--run", "backward")
    charlm("train", other, "--valid", other, "--model", model, *knobs, "--run", "forward")
    told = [
        json.loads(charlm("eval", run, file, "--json").out)["nats"]
        for run, file in (("backward", text), ("forward", other))
    ]
    assert told[0] == pytest.approx(told[1], rel=1e-9)
    scores = (
        library.load("backward").score(["今天天气很好。"])[0].log_prob,
        library.load("forward").score(["。好很气天天今"]),
    )
    assert scores[0] == pytest.approx(scores[1][0].log_prob, rel=1e-9)
    assert json.loads(Path("backward/config.json").read_text("utf-8"))["text"]["reverse"] is True


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(turned, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, _ = turned
    config = settle([str(text)], knobs={"reverse": True, "steps": 6, "hidden": 16, "embedding": 8, "batch_size": 4})
    train(config, Path("whole"))
    asked = itertools.count(1)
    train(config, Path("halves"), watcher=Watcher(signal=lambda: 15 if next(asked) == 3 else None))
    assert library.load("halves").best["step"] < 6
    resume(Path("halves"), {})
    one, other = (load_file(Path(run) / "model.safetensors") for run in ("whole", "halves"))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_samples_are_turned_back_and_end_with_the_prompt(charlm, turned):
    text, other = turned
    charlm("train", text, "--valid", text, "--reverse", "--model", "ngram", "--run", "backward", "--quiet")
    charlm("train", other, "--valid", other, "--model", "ngram", "--run", "forward", "--quiet")
    found, expected = (
        charlm("sample", run, "--prompt", prompt, "-n", 20, "--seed", 3).out.splitlines()
        for run, prompt in (("backward", "了。"), ("forward", "。了"))
    )
    assert found == [line[::-1] for line in expected]
    assert len(found) == 20 and all(line.endswith("了。") for line in found)


def test_directions_are_not_mixed_and_what_cannot_be_turned_is_refused(charlm, turned):
    text, _ = turned
    for run, reverse in (("forward", ()), ("backward", ("--reverse",)), ("again", ("--reverse",))):
        charlm("train", text, "--model", "ngram", *reverse, "--run", run, "--quiet")
    charlm("run", "mix", "forward", "backward", "--tune", text, "--run", "mixed").refused(
        "backward reads lines backwards and forward does not", code=2
    )
    assert charlm("run", "mix", "backward", "again", "--tune", text, "--run", "mixed").code == 0
    assert math.isfinite(library.load("mixed").score(["你好。"])[0].log_prob)
    charlm("eval", "backward", text, "--context", "carried").refused("reads each line backwards", code=2)
    charlm("sample", "backward", "--form", "五绝").refused("reads its lines backwards", code=2)
    charlm("train", text, "--reverse", "--reading", "stream", "--run", "no").refused("--reading stream", code=2)


def test_a_vocabulary_and_counts_serve_both_directions_but_counts_only_their_own(charlm, turned):
    text, _ = turned
    charlm("vocab", text, "-o", "vocab")
    charlm("ngram", "count", text, "--vocab", "vocab", "--reverse", "-o", "backward-counts", "--quiet")
    charlm("ngram", "count", text, "--vocab", "vocab", "-o", "counts", "--quiet")
    charlm("train", "--counts", "backward-counts", "--run", "counted", "--quiet")
    charlm(
        "train", text, "--valid", text, "--vocab", "vocab", "--reverse", "--model", "ngram", "--run", "read", "--quiet"
    )
    counted, read = (json.loads(charlm("eval", run, text, "--json").out)["nats"] for run in ("counted", "read"))
    assert counted == pytest.approx(read, rel=1e-6)
    charlm("train", "--counts", "counts", "--reverse", "--run", "no").refused("counted forwards", code=2)
    charlm("train", "--counts", "counts", "--counts", "backward-counts", "--run", "no").refused("backwards", code=2)


def test_an_arpa_file_says_that_it_is_of_turned_lines_and_comes_back_so(charlm, turned):
    text, _ = turned
    charlm("train", text, "--reverse", "--model", "ngram", "--order", 3, "--run", "run", "--quiet")
    said = charlm("run", "export", "run", "-o", "b.arpa").err
    assert "backwards" in said and Path("b.arpa").read_text("utf-8").startswith("# every line is read backwards")
    charlm("run", "import", "b.arpa", "--run", "back")
    one, other = (json.loads(charlm("eval", run, text, "--json").out)["nats"] for run in ("run", "back"))
    assert one == pytest.approx(other, rel=1e-5)
    assert library.load("back").codec.reverse


def test_what_a_run_is_did_not_say_that_it_reads_backwards(charlm, turned):
    for name, options, said in (("backward", ("--reverse",), "lines backwards,"), ("forward", (), "reading lines,")):
        charlm("train", turned[0], *options, "--model", "unigram", "--quiet", "--run", name)
        assert said in charlm("run", "info", name).out
        assert json.loads(charlm("run", "info", name, "--json").out)["reverse"] is (name == "backward")


def test_weights_of_the_other_direction_are_taken_over_with_a_word_of_warning(charlm):
    knobs = ("train", TEXT, *TINY[:-1], "--steps", 1)
    charlm(*knobs, "--run", "forward", "-q")
    for name, more in (("backward", ("--reverse",)), ("again", ())):
        ended = charlm(*knobs, *more, "--init-from", "forward", "--run", name)
        assert ended.code == 0 and ("forwards and this run backwards" in ended.err) == (name == "backward")
