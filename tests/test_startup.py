"""`--help` must not wait for torch, nor for jieba."""

import re
import subprocess
import sys

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from charlm.cli import commands as of_commands
from charlm.cli.app import app
from charlm.config.models import MODELS
from charlm.errors import ConfigError
from charlm.families import FAMILIES
from charlm.models.cells import CELLS


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


ALONE = """
import sys
from charlm.cli.app import app
try:
    app(["sample", "--help"], standalone_mode=True)
except SystemExit:
    pass
print(*sorted(name for name in sys.modules if name.startswith("charlm.cli.")))
"""
READING = """
import sys
import charlm.families.recurrent, charlm.runs.run
print(*sorted(sys.modules))
"""


def loaded(program: str) -> set[str]:
    """The modules that a program has loaded at its end, as its last line says."""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(ended.stdout.splitlines()[-1].split())


def test_a_command_does_not_wait_for_the_others():
    assert "charlm.cli.sample" in loaded(ALONE)
    assert not {f"charlm.cli.{other}" for other in ("train", "inspect", "embed", "convert", "appraise")} & loaded(ALONE)


def test_a_mistake_inside_a_command_is_not_taken_for_an_unknown_command(monkeypatch):
    def broken(module: str):
        raise KeyError(module)

    monkeypatch.setattr(of_commands, "import_module", broken)
    commands = of_commands.commands()
    with pytest.raises(KeyError, match=r"charlm\.cli\.train"):
        commands.get("train")
    assert commands.get("trian") is None and "train" in commands and "trian" not in commands


@pytest.mark.parametrize("table", [FAMILIES, CELLS, MODELS], ids=["families", "cells", "models"])
def test_a_table_says_what_it_lacks_without_an_error_and_without_loading(table, monkeypatch):
    monkeypatch.setattr("importlib.import_module", pytest.fail)
    assert "lsmt" not in table and table.get("lsmt") is None and table.get("lsmt", 3) == 3
    assert all(name in table for name in table)
    with pytest.raises(ConfigError, match=r"no (model|cell) is called 'lsmt'"):
        table["lsmt"]


def test_a_run_is_read_without_the_trainer():
    modules = loaded(READING)
    assert "charlm.models.recurrent" in modules
    assert not {"charlm.training.gradient", "charlm.training.trial", "rapidfuzz", "jieba"} & modules


def offered(*words: str) -> list[str]:
    """What a shell offers for the last word."""
    asked = {"_CHARLM_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    return CliRunner().invoke(app, [], prog_name="charlm", env=asked).output.split()


def test_a_shell_offers_forms_and_files_of_forms(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "七古.toml").touch()
    assert {"七绝", "七律", "七古.toml"} == set(offered("charlm", "sample", "--form", "七"))
    assert "如梦令" in offered("charlm", "poem", "check", "x.txt", "--form", "如")


def test_a_shell_offers_runs_where_a_run_is_wanted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        "checkpoints/tang",
        "checkpoints/counts",
        ".hidden/run",
        "checkpoints/tang/members/1-a",
        "other/poems",
    ):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run.json").touch()
    (tmp_path / "other" / "poems" / "run.json").unlink()
    (tmp_path / "poems.txt").touch()
    runs = ["checkpoints/counts", "checkpoints/tang"]
    for command in (
        "run info",
        "run check",
        "run plot",
        "run export",
        "sample",
        "run mix",
        "train --resume",
        "inspect memory",
    ):
        for typed in ("", "c", "checkpoints/"):
            assert offered("charlm", *command.split(), typed) == runs, command
    assert offered("charlm", "run", "mix", "checkpoints/tang", "checkpoints/c") == runs[:1]
    assert offered("charlm", "train", "--init-from", f"{tmp_path}/checkpoints/t") == [f"{tmp_path}/checkpoints/tang"]
    assert offered("charlm", "run", "info", ".h") == [".hidden/run"]
    assert offered("charlm", "run", "info", "nowhere/x") == []
    for command in ("eval", "score", "nbest tune"):  # runs, and the text or the lists after them
        assert offered("charlm", *command.split(), runs[0], "") == [*runs, "poems.txt"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_80_columns_cuts_no_sentence_and_names_kinds_evenly(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    told = CliRunner().invoke(app, [*command.split(), "--help"]).stdout
    assert all(len(line) <= 80 for line in told.splitlines())
    assert not [line for line in told.splitlines()[1:] if line.endswith("...")]
    assert not re.search(r"<(int|str|float|path|list)|\{|\]\.\.\.", told.split("Options:")[-1])
