"""A family is one file and one line: every command takes the throw-away family of `tests/throwaway`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from contracts.test_language_model import LAWS
from throwaway.parity import Parity, ParityConfig

TESTS = Path(__file__).resolve().parent
CORPUS = TESTS.parent / "corpora" / "everyday.zh.txt"
# One process for all commands, since each new one would take seconds to begin.
PROGRAM = """
import json, sys
sys.path.insert(0, {tests!r})
from charlm.config.models import MODELS, Model
from throwaway.parity import ParityConfig
MODELS._table["parity"] = Model(ParityConfig, "a throw-away", "counting", "throwaway.parity")  # the one line
from typer.testing import CliRunner
from charlm.cli.app import app
for line in sys.stdin:
    words, given = json.loads(line)
    ended = CliRunner().invoke(app, words, input=given)
    print(json.dumps([ended.exit_code, ended.stdout, ended.stderr + str(ended.exception or "")]), flush=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("parity")


@pytest.fixture(scope="module")
def charlm(folder):
    program = [sys.executable, "-c", PROGRAM.format(tests=str(TESTS))]
    with subprocess.Popen(program, cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:

        def run(*words, stdin=None):
            process.stdin.write(json.dumps([list(map(str, words)), stdin]) + "\n")
            process.stdin.flush()
            code, out, err = json.loads(process.stdout.readline())
            assert code == 0, err
            return out

        run("train", CORPUS, "--model", "parity", "--run", folder / "run", "--quiet")
        yield run
        process.stdin.close()


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_the_throw_away_family_keeps_the_law(law):
    law(Parity(torch.arange(14.0).reshape(2, 7), ParityConfig()))


def test_a_new_family_is_trained_measured_sampled_and_scored(charlm, folder):
    assert json.loads(charlm("eval", folder / "run", CORPUS, "--json"))["perplexity"] > 1
    assert charlm("sample", folder / "run", "--prompt", "我", "--max-tokens", 5).startswith("我")
    assert "做作业" in charlm("score", folder / "run", "-", stdin="做作业\n")


def test_a_new_family_is_told_of_by_info_and_check(charlm, folder):
    assert "softness 1.0" in charlm("run", "info", folder / "run")
    assert "ok" in charlm("run", "check", folder / "run")
    assert "--softness" in charlm("train", "--help")


def test_a_new_family_is_tried_in_a_dry_run(charlm):
    assert json.loads(charlm("train", CORPUS, "--model", "parity", "--dry-run", "--json", "--quiet"))["tokens"] > 0


def test_a_new_family_is_a_member_of_mixtures(charlm, folder):
    charlm(
        "train", CORPUS, "--model", "ngram", "--order", 2, "--vocab", folder / "run", "--run", folder / "counts", "-q"
    )
    charlm(
        "run", "mix", folder / "run", folder / "counts", "--tune", CORPUS, "--part", "valid", "--run", folder / "mixed"
    )
    assert json.loads(charlm("eval", folder / "mixed", CORPUS, "--part", "test", "--json"))["perplexity"] > 1
