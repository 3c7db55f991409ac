"""`--help` must not wait for torch, nor for jieba."""

import re
import subprocess
import sys

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from charlm.cli.app import app


def commands(group, name: str = "") -> list[str]:
    """The names of a group and of all that is in it."""
    inner = getattr(group, "commands", {})
    return [name, *(deep for own, command in inner.items() for deep in commands(command, f"{name} {own}".strip()))]


COMMANDS = commands(get_command(app))
PROBE = """
import sys
from charlm.cli.app import app
try:
    app(sys.argv[1:], standalone_mode=True)
except SystemExit as end:
    assert end.code == 0, end.code
heavy = {"torch", "jieba", "matplotlib", "safetensors", "numpy", "rapidfuzz"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_answers_without_heavy_imports(command):
    ended = subprocess.run(
        [sys.executable, "-c", PROBE, *command.split(), "--help"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "Usage" in ended.stdout


def test_every_command_is_asked_for_help():
    assert {"", "train", "run mix", "ngram count"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_80_columns_cuts_no_sentence_and_names_kinds_evenly(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    told = CliRunner().invoke(app, [*command.split(), "--help"]).stdout
    assert all(len(line) <= 80 for line in told.splitlines())
    assert not [line for line in told.splitlines()[1:] if line.endswith("...")]
    assert not re.search(r"<(int|str|float|path|list)|\{|\]\.\.\.", told.split("Options:")[-1])
