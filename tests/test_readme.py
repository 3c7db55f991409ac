"""The README's commands and Python, run as they stand. Its `make` lines are the gate's work."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from charlm.cli.app import app

ROOT = Path(__file__).resolve().parent.parent


def blocks(readme: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / readme).read_text("utf-8"), re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_commands_and_the_python_of_the_readme_run(readme, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpora").symlink_to(ROOT / "corpora")
    lines = [line for block in blocks(readme, "sh") for line in block.splitlines() if line.startswith("charlm ")]
    assert len(lines) >= 8
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        ended = CliRunner().invoke(app, words)
        assert ended.exit_code == 0, f"{line}\n{ended.stderr}"
    for block in blocks(readme, "python"):
        exec(compile(block, readme, "exec"), {})


def test_both_readmes_show_the_same_commands():
    commands = [
        [line.split("#")[0].strip() for block in blocks(readme, "sh") for line in block.splitlines() if line.strip()]
        for readme in ("README.md", "README.zh-CN.md")
    ]
    assert [line for line in commands[0] if line] == [line for line in commands[1] if line]
