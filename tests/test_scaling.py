"""The recipes of docs/scaling.md, run as they stand where the system has their tools."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from charlm.cli.app import app

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "scaling.md").read_text("utf-8")


def recipes(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def called(*words: object) -> str:
    ended = CliRunner().invoke(app, [str(word) for word in words])
    assert ended.exit_code == 0, ended.stderr
    return ended.stdout


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The files that the recipes name, and a command `charlm` that is this checkout's."""
    monkeypatch.chdir(tmp_path)
    lines = (ROOT / "corpora" / "everyday.zh.txt").read_text("utf-8").splitlines()
    Path("text.txt").write_text("\n".join(lines[:200]) + "\n", "utf-8")
    Path("valid.txt").write_text("\n".join(lines[200:250]) + "\n", "utf-8")
    shutil.copy(ROOT / "corpora" / "homework.nbest.jsonl", "lists.jsonl")
    called("train", "text.txt", "--valid", "valid.txt", "--model", "ngram", "--run", "run", "--quiet")
    Path("bin").mkdir()
    Path("bin/charlm").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m charlm "$@"\n', "utf-8")
    Path("bin/charlm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


@pytest.mark.slow
@pytest.mark.skipif(not all(map(shutil.which, ["sh", "jq", "xargs", "paste", "sed"])), reason="a tool is missing")
def test_the_shell_recipes_give_what_one_process_gives(folder):
    said = [
        subprocess.run(["sh", "-ec", recipe], capture_output=True, text=True, check=True).stdout
        for recipe in recipes("sh")
    ]
    whole = json.loads(called("eval", "run", "text.txt", "--json"))
    assert {name: whole[name] for name in ("nats", "tokens")}.items() <= json.loads(said[0]).items()
    assert json.loads(said[0])["perplexity"] == pytest.approx(whole["perplexity"], rel=1e-12)
    assert Path("reranked.jsonl").read_text("utf-8") == called("score", "run", "lists.jsonl", "--report", "report.json")
    assert float(said[1]) == json.loads(Path("report.json").read_text("utf-8"))["reranked"]
    called("vocab", "text.txt", "-o", "whole", "--min-count", 2)
    assert Path("vocab/vocab.tsv").read_bytes() == Path("whole/vocab.tsv").read_bytes()
    assert Path("ngrams/run.json").exists()


@pytest.mark.slow
def test_the_process_pool_gives_what_one_process_gives(folder):
    (program,) = recipes("python")
    Path("pool.py").write_text(program, "utf-8")
    said = subprocess.run([sys.executable, "pool.py"], capture_output=True, text=True, check=True).stdout
    whole = json.loads(called("eval", "run", "text.txt", "--json"))
    assert float(said) == whole["perplexity"] == math.exp(whole["nats"] / whole["tokens"])


def test_the_formulas_of_the_page_are_those_of_the_figures(folder):
    Path("odd.txt").write_text("我Ж你𠮷\n", "utf-8")
    told = json.loads(called("eval", "run", "odd.txt", "--json"))
    assert told["units"] == 3
    bits = (told["nats"] / math.log(2) + 16 * told["units"]) / told["characters"]
    assert told["bits_per_char"] == pytest.approx(bits, rel=1e-12)
