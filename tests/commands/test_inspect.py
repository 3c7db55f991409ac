"""`charlm inspect`: figures, pictures and pages, and what they refuse."""

import json
import sys
from pathlib import Path

import pytest

from commands.conftest import CORPORA, TINY

EVERYDAY = CORPORA / "everyday.zh.txt"
FEW = ("--positions", "20", "--quiet")
SMALL = ("--lags", "6", *FEW)


@pytest.fixture(scope="session")
def counted(tmp_path_factory) -> Path:
    """A trigram of the same text, with a vocabulary of its own."""
    from typer.testing import CliRunner

    from charlm.cli.app import app

    folder = tmp_path_factory.mktemp("counted") / "run"
    asked = ["train", EVERYDAY, "--model", "ngram", "--order", "3", "--min-count", "2", "--run", folder, "--quiet"]
    assert CliRunner().invoke(app, [str(word) for word in asked]).exit_code == 0
    return folder


@pytest.fixture(scope="session")
def simple(tmp_path_factory) -> Path:
    """A simple recurrent network on quatrains."""
    from typer.testing import CliRunner

    from charlm.cli.app import app

    folder = tmp_path_factory.mktemp("simple") / "run"
    asked = ["train", CORPORA / "quatrains.txt", *TINY, "--cell", "rnn-tanh", "--steps", "3", "--run", folder]
    assert CliRunner().invoke(app, [str(word) for word in asked]).exit_code == 0
    return folder


def test_gradients_are_told_fresh_and_trained_with_the_share_of_clipped_steps(charlm, shared_run, simple):
    ended = charlm("inspect", "gradients", shared_run, simple, "--text", EVERYDAY, *SMALL, "--json")
    told = [json.loads(line) for line in ended.out.splitlines()]
    assert [one["stage"] for one in told] == ["fresh", "trained"] * 2
    assert [one["cell"] for one in told] == ["lstm"] * 2 + ["rnn-tanh"] * 2
    assert [curve["vector"] for curve in told[1]["curves"]] == ["hidden", "memory"]
    assert told[0]["positions"] == 20 and told[0]["clipped"] is None and 0 <= told[1]["clipped"] <= 1
    assert told[0]["curves"] != told[1]["curves"]
    for one in told:
        for curve in one["curves"]:
            assert len(curve["mean"]) == 7 and curve["mean"][0] == 1
            assert all(a <= b <= c for a, b, c in zip(curve["low"], curve["mean"], curve["high"], strict=True))
        assert one["singular_factor"]["low"] <= one["singular_factor"]["mean"] <= one["singular_factor"]["high"]
    shown = charlm("inspect", "gradients", shared_run, "--text", EVERYDAY, *SMALL, "--trained-only").out
    assert "half-life" in shown and "1 memory" in shown and "fresh" not in shown and "clipped steps" in shown
    assert max(map(len, shown.splitlines()[1:])) <= 80


def test_gradients_are_drawn_whole_or_not_at_all(charlm, shared_run, tmp_path):
    pytest.importorskip("matplotlib")
    asked = ("inspect", "gradients", shared_run, "--text", EVERYDAY, *SMALL, "--plot", "g.png")
    assert charlm(*asked).code == 0 and Path("g.png").read_bytes().startswith(b"\x89PNG")
    charlm(*asked).refused("exists already", "--force")
    assert charlm(*asked, "--force").code == 0
    charlm(*asked[:-1], "nowhere.png", "--lags", "500").refused("no position with 500 tokens before it")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["g.png"]


def test_without_matplotlib_figures_are_told_and_a_picture_is_refused_at_once(charlm, shared_run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    asked = ("inspect", "memory", shared_run, "--text", EVERYDAY, *SMALL)
    assert charlm(*asked).code == 0
    charlm(*asked, "--plot", "m.png").refused("needs matplotlib", "pip install 'charlm[plot]'")
    assert not Path("m.png").exists()


def test_memory_ends_where_counts_end_and_runs_of_other_vocabularies_stand_beside(charlm, shared_run, counted):
    asked = ("inspect", "memory", counted, shared_run, "--text", EVERYDAY, "--part", "test", "--lags", "5")
    ended = charlm(*asked, "--positions", "20", "--json")
    counts, network = (json.loads(line) for line in ended.out.splitlines())
    assert counts["reach"] == 2 and counts["mean"][2:] == [0, 0, 0] and counts["mean"][1] > 0
    assert network["reach"] == 5 and min(network["mean"]) > 0 and "vocabularies differ" in ended.err
    shown = charlm(*asked, "--quiet").out
    assert "nothing beyond" in shown and "(> 5)" in shown and max(map(len, shown.splitlines())) <= 80


def test_memory_tells_the_ends_of_lines_apart(charlm, simple):
    quatrains = CORPORA / "quatrains.txt"
    asked = ("inspect", "memory", simple, "--text", quatrains, "--lags", "14", *FEW, "--line-ends", "。")
    lines = json.loads(charlm(*asked, "--json").out)["lines"]
    assert [line["back"] for line in lines][:1] == [1] and all(line["ends"] > 0 < line["inside"] for line in lines)
    assert "its last token" in charlm(*asked).out
    charlm(*asked[:-1], "XY").refused("knows none of these marks", code=2)


def test_gates_are_told_and_written_as_a_page(charlm, shared_run, simple):
    asked = ("inspect", "gates", shared_run, "--text", EVERYDAY, "--tokens", "500", "--html", "g.html")
    ended = charlm(*asked)
    assert "1 forget" in ended.out and "time constants" in ended.out and "first 500 tokens" in ended.err
    assert max(map(len, ended.out.splitlines())) <= 80
    assert Path("g.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    charlm(*asked, "--quiet").refused("exists already")
    told = json.loads(charlm(*asked[:-2], "--json").out)
    assert {one["gate"] for one in told["gates"]} == {"input", "forget", "output"} and told["tokens"] >= 500
    plain = charlm("inspect", "gates", simple, "--text", EVERYDAY, "--tokens", "500")
    assert plain.code == 0 and "has no gates" in plain.err and "1 hidden" in plain.out


def test_units_are_told_and_written_as_a_page(charlm, simple):
    asked = ("inspect", "neurons", simple, "--text", CORPORA / "quatrains.txt", "--tokens", "2000", "--html", "n.html")
    ended = charlm(*asked, "--units", "4")
    assert "level tone" in ended.out and "in clause" in ended.out and max(map(len, ended.out.splitlines())) <= 80
    assert "<select id=" in Path("n.html").read_text("utf-8")
    told = json.loads(charlm(*asked, "--units", "4", "--force", "--json", "--quiet").out)
    assert len(told["best"]) == 4 * len({one["feature"] for one in told["best"]}) and told["units"] == 16


def test_a_stream_is_looked_into_as_one_text(charlm):
    village = CORPORA / "village.en.txt"
    charlm("train", village, *TINY, "--reading", "stream", "--steps", "2", "--run", "s")
    told = json.loads(charlm("inspect", "gradients", "s", "--text", village, *SMALL, "--trained-only", "--json").out)
    assert told["positions"] == 20
    asked = ("inspect", "neurons", "s", "--text", village, "--tokens", "4000", "--html", "n.html", "--json", "--quiet")
    assert {"position", "left"} <= {one["feature"] for one in json.loads(charlm(*asked).out)["probes"]}


def test_what_cannot_be_looked_into_is_refused_and_nothing_is_written(charlm, shared_run, counted, tmp_path):
    charlm("inspect", "gradients", counted, "--text", EVERYDAY, "-q").refused("no recurrent layers", "inspect memory")
    charlm("inspect", "gates", counted, "--text", EVERYDAY, "--html", "x.html", "-q").refused("no gates")
    charlm("inspect", "neurons", counted, "--text", EVERYDAY, "--html", "x.html", "-q").refused("no units")
    Path("short.txt").write_text("春眠不觉晓\n", "utf-8")
    Path("empty.txt").write_text("\n\n", "utf-8")
    Path("odd.txt").write_bytes(b"\xff\xfe\x00\xd8" * 9 + b"\x81")
    for command in ("gradients", "memory"):
        charlm("inspect", command, shared_run, "--text", "short.txt", "-q").refused("longest line has 6", "--lags")
        charlm("inspect", command, "nowhere", "--text", EVERYDAY, "-q").refused("no run directory at nowhere")
        charlm("inspect", command, shared_run, "--text", EVERYDAY, "--lags", "0", "-q").refused("--lags", code=2)
    charlm("inspect", "neurons", shared_run, "--text", "short.txt", "--html", "x.html", "-q").refused("longer text")
    for name, word in (("empty.txt", "holds no text"), ("none.txt", "no such file"), ("odd.txt", "odd.txt")):
        charlm("inspect", "memory", shared_run, "--text", name, *SMALL).refused(word)
        charlm("inspect", "gates", shared_run, "--text", name, "--html", "x.html", "-q").refused(word)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.txt", "odd.txt", "short.txt"]


def test_a_mixture_says_where_its_networks_are(charlm, shared_run):
    charlm("run", "mix", shared_run, shared_run, "--tune", EVERYDAY, "--part", "valid", "--run", "m", "-q")
    charlm("inspect", "gradients", "m", "--text", EVERYDAY, *SMALL).refused("no recurrent layers", "m/members")
    assert charlm("inspect", "memory", "m", "--text", EVERYDAY, "--lags", "3", *FEW).code == 0


def test_cells_learn_a_planted_task(charlm):
    asked = ("inspect", "lag", "--cells", "gru, rnn-tanh", "--longest", "4", "--steps", "3", "--hidden", "8", "-q")
    told = [json.loads(line) for line in charlm(*asked, "--json").out.splitlines()]
    assert [one["cell"] for one in told] == ["gru", "rnn-tanh"] and told[0]["lags"] == [1, 2, 4]
    assert "learned to" in charlm(*asked, "--task", "brackets").out
    charlm(*asked, "--task", "bracket").refused("did you mean brackets", code=2)
    charlm("inspect", "lag", "--cells", "gru,lsmt").refused("did you mean lstm", code=2)
    charlm("inspect", "lag", "--cells", ",").refused("names no cell", code=2)
    charlm("inspect", "lag", "--longest", "1").refused("--longest must be from 2", code=2)


def test_spectral_radii_are_swept(charlm):
    pytest.importorskip("matplotlib")
    ended = charlm("inspect", "radius", "--lags", "10", "--plot", "r.png", "--json")
    told = [json.loads(line) for line in ended.out.splitlines()]
    assert len(told) == 18 and told[0]["radius"] == 0.5 and Path("r.png").exists()
    shown = charlm("inspect", "radius", "--lags", "10", "-q").out
    assert "far half" in shown and max(map(len, shown.splitlines())) <= 80
    charlm("inspect", "radius", "--clip", "0").refused("--clip must be above 0", code=2)
    charlm("inspect", "radius", "--lags", "1").refused("--lags must be at least 2", code=2)
