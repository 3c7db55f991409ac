"""`--help` must not wait for torch, nor for jieba."""

import subprocess
import sys

import pytest

COMMANDS = ["", "vocab", "train", "eval", "sample", "score", "run", "run info", "run check", "run plot"]
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
