"""The run of verse that comes with charlm: whole, small, of nobody's machine, and good for what it is there for."""

import fnmatch
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from charlm.cli.app import app
from charlm.poems.checking import check
from charlm.runs.checking import check as check_run
from charlm.runs.layout import OWN_RUN

ROOT = Path(__file__).resolve().parent.parent
CARD = (OWN_RUN / "README.md").read_text("utf-8")


def called(*words: object) -> str:
    ended = CliRunner().invoke(app, [str(word) for word in words])
    assert ended.exit_code == 0, ended.stderr
    return ended.stdout


def strings(value):
    """Every string of a JSON value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from (key, *strings(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def test_every_file_of_it_is_sound():
    assert [wrong for _, wrong in check_run(OWN_RUN) if wrong] == []


def test_it_is_as_small_as_was_promised():
    sizes = {file.name: file.stat().st_size for file in OWN_RUN.iterdir()}
    assert sizes["model.safetensors"] <= 16e6 and sizes["lines.safetensors"] <= 8e6


def test_its_files_tell_no_folder_of_the_machine_that_made_it():
    for name in ("run.json", "config.json"):
        told = json.loads((OWN_RUN / name).read_text("utf-8"))
        assert [text for text in strings(told) if re.search(r"(^|\s)[/~]|\w/\w", text)] == []


def test_a_wheel_takes_all_of_its_files():
    data = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]["charlm"]
    for file in OWN_RUN.iterdir():
        name = file.relative_to(OWN_RUN.parent.parent).as_posix()
        assert any(fnmatch.fnmatch(name, pattern) for pattern in data), name


def test_its_card_tells_data_licence_command_and_the_perplexity_of_its_run():
    facts = json.loads(called("run", "info", "--json"))
    perplexity = 2.718281828459045 ** facts["best"]["valid_nats"]
    assert f"{perplexity:.2f}" in CARD
    for word in ("public domain", "Apache-2.0", "charlm train ", "Known weaknesses"):
        assert word in CARD
    assert all(Path(text).name in CARD for text in facts["knobs"]["texts"])


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("七绝", ("--acrostic", "春江花月")),
        ("五律", ("--rhyme", "东", "--theme", "秋")),
        ("如梦令", ("--theme", "思乡")),
    ],
)
def test_the_first_commands_of_a_user_write_a_poem_that_keeps_its_form(form, options):
    text = "".join(called("sample", "--form", form, *options, "--candidates", 2).split())
    assert check(text, form).conforms


def test_opening_a_run_does_not_load_the_compiler_of_torch():
    """Making a network without memory did, which took four times as long as all else that opening does."""
    program = "import sys; import charlm; charlm.load(sys.argv[1]); print('torch._dynamo' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program, str(OWN_RUN)], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"
