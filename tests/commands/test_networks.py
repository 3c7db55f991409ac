"""Networks of every kind from the command line: trained, resumed, shown, drawn from, scored, mixed; and refused."""

import json
from pathlib import Path

import pytest

from commands.conftest import CORPORA, TINY

TEXT = CORPORA / "quatrains.txt"
KINDS = {
    "window": ("--model", "window", "--taps", 3),
    "jordan": ("--model", "jordan"),
    "narx": ("--model", "narx", "--taps", 2, "--output-taps", 2),
    "peephole": ("--cell", "lstm-peephole", "--peepholes", "fo", "--full-peepholes", "--learned-start"),
    "coupled": ("--cell", "lstm-coupled"),
    "reset first": ("--cell", "gru-reset-first"),
    "sigmoid": ("--cell", "rnn-sigmoid"),
    "linear": ("--cell", "rnn-linear"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_of_any_kind_is_trained_resumed_shown_drawn_from_and_scored(charlm, kind):
    assert charlm("train", TEXT, *KINDS[kind], *TINY, "--steps", 2, "--run", "run").code == 0
    assert charlm("train", "--resume", "run", "--steps", 3, "--quiet").code == 0
    told = json.loads(charlm("run", "info", "run", "--json").out)
    # Which step is best hangs on the precision that the processor has, where there are three.
    assert told["best"]["step"] in (2, 3) and json.loads(Path("run/run.json").read_text("utf-8"))["step"] == 3
    assert sum(told["parameters_of"].values()) == told["parameters"] > 0
    assert "embedding" in charlm("run", "info", "run").out
    assert charlm("run", "check", "run").code == 0
    assert charlm("sample", "run", "--prompt", "春", "--max-tokens", 5).out.startswith("春")
    assert "春江" in charlm("score", "run", "-", stdin="春江\n").out
    assert json.loads(charlm("eval", "run", TEXT, "--json").out)["perplexity"] > 1


def test_a_window_and_a_network_of_cells_are_mixed_with_their_neural_caches(charlm):
    charlm("train", TEXT, *KINDS["window"], *TINY, "--steps", 2, "--run", "one")
    charlm("train", TEXT, *KINDS["coupled"], *TINY, "--steps", 2, "--vocab", "one", "--run", "two")
    ended = charlm(
        "run", "mix", "one", "two", "--tune", TEXT, "--part", "valid", "--neural-cache", 50, "--run", "mixed"
    )
    assert ended.code == 0 and ended.err.count("neural cache with theta") == 2
    assert json.loads(charlm("eval", "mixed", TEXT, "--json").out)["perplexity"] > 1


def test_the_run_info_of_a_cell_without_peepholes_says_nothing_of_them(charlm, shared_run):
    lines = charlm("run", "info", shared_run).out.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("model"))
    end = next(place for place, line in enumerate(lines) if line.startswith("parameters"))
    assert "cell lstm" in " ".join(lines[start:end]) and "peephole" not in " ".join(lines[start:end])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--peepholes", "i"), ["--peepholes is for --cell lstm-peephole and lstm-coupled, not for lstm"]),
        (("--cell", "gru", "--full-peepholes"), ["--full-peepholes is for --cell lstm-peephole"]),
        (("--cell", "lstm-peephole", "--peepholes", "xyz"), ["letters of ifo", "'xyz'"]),
        (("--cell", "lstm-coupled", "--peepholes", "i"), ["letters of fo", "1 minus its forget gate"]),
        (("--cell", "lstm-peepholes"), ["did you mean lstm-peephole?"]),
        (("--model", "windows"), ["did you mean window?"]),
        (("--taps", 4), ["--taps is for --model narx, window, cloze-window, not for recurrent"]),
        (("--model", "window", "--output-taps", 4), ["--output-taps is for --model narx, not for window"]),
        (("--model", "window", "--cell", "gru"), ["--cell is for --model recurrent, cloze, not for window"]),
        (("--model", "jordan", "--learned-start"), ["--learned-start is for --model recurrent, cloze, not for jordan"]),
        (("--model", "narx", "--sampled", 0.2), ["--sampled is for --model recurrent, window"]),
        (("--model", "narx", "--preset", "base"), ["--preset base is for", "not for narx"]),
        (("--model", "window", "--taps", 0), ["--taps must be at least 1, not 0"]),
        (("--model", "window", "--taps", 2000), ["--taps must be at most 1000, not 2000"]),
    ],
    ids=str,
)
def test_what_a_network_cannot_have_is_refused_and_nothing_is_written(charlm, tmp_path, options, words):
    charlm("train", TEXT, *options, "--steps", 1, "--run", "run").refused(*words, code=2)
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_kind_of_network_are_refused(charlm):
    charlm("train", TEXT, *KINDS["window"], *TINY, "--steps", 1, "--run", "run")
    again = ("--init-from", "run", *TINY, "--steps", 1, "--run", "other")
    charlm("train", TEXT, "--model", "jordan", *again).refused("only jordan models have weights")
    charlm("train", TEXT, "--model", "window", "--taps", 4, *again).refused("another network", "--taps 3")
    assert charlm("train", TEXT, "--model", "window", "--taps", 3, *again).code == 0
