"""`charlm run`, and what the command line does as a whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_info_says_what_a_run_is(charlm, shared_run):
    ended = charlm("run", "info", shared_run)
    for word in ("recurrent", "parameters", "everyday.zh.txt", "perplexity", "command"):
        assert word in ended.out
    assert json.loads(charlm("run", "info", shared_run, "--json").out)["model"] == "recurrent"


def test_check_passes_a_sound_run(charlm, shared_run):
    ended = charlm("run", "check", shared_run)
    assert ended.code == 0 and "BAD" not in ended.out


def test_check_finds_a_damaged_checkpoint(charlm, run_dir):
    (run_dir / "resume" / "checkpoint.safetensors").write_bytes(b"")
    ended = charlm("run", "check", run_dir)
    assert ended.code == 1 and "BAD  resume" in ended.out.replace("\\", "/")


def test_plot_draws_a_picture(charlm, run_dir):
    pytest.importorskip("matplotlib")
    ended = charlm("run", "plot", run_dir)
    assert Path(ended.out.strip()).read_bytes().startswith(b"\x89PNG")


def test_a_picture_overwrites_a_file_only_by_force_but_the_one_in_the_run_is_renewed(charlm, run_dir):
    pytest.importorskip("matplotlib")
    Path("mine.png").write_bytes(b"mine")
    charlm("run", "plot", run_dir, "-o", "mine.png").refused("mine.png exists already", "--force")
    assert Path("mine.png").read_bytes() == b"mine"
    assert charlm("run", "plot", run_dir, "-o", "mine.png", "--force").out == "mine.png\n"
    for _ in range(2):
        assert charlm("run", "plot", run_dir).code == 0


def test_plot_draws_text_where_matplotlib_is_missing(charlm, run_dir, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    ended = charlm("run", "plot", run_dir)
    assert ended.code == 0 and "│" in ended.out and "charlm[plot]" in ended.err


def test_no_arguments_show_the_help(charlm):
    ended = charlm()
    assert "vocab" in ended.out + ended.err and ended.code in (0, 2)


def test_an_unknown_option_is_misuse(charlm):
    assert charlm("train", "--no-such-option").code == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_stdout_is_an_error_without_traceback(shared_run):
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "charlm", "run", "info", str(shared_run)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 1 and "cannot write the output" in ended.stderr and "Traceback" not in ended.stderr


def test_a_reader_that_leaves_early_is_no_error(shared_run):
    command = f"{sys.executable} -m charlm eval {shared_run} - --per-token"
    ended = subprocess.run(
        ["bash", "-c", f"set -o pipefail; yes 你好 | head -300 | {command} | head -1"],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert "Traceback" not in ended.stderr and ended.stdout.count("\n") == 1


def test_a_run_name_too_long_for_the_system_is_no_full_disk(charlm):
    charlm("run", "info", "春" * 300).refused("no run directory")


def test_an_os_error_that_is_a_bug_keeps_its_traceback(charlm, run_dir, monkeypatch):
    def bug(*_):
        raise FileNotFoundError(2, "No such file or directory", "a bug")

    monkeypatch.setattr("charlm.jobs.describe.describe", bug)
    with pytest.raises(FileNotFoundError, match="a bug"):
        charlm("run", "info", run_dir)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_help_on_a_full_disk_is_no_traceback():
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "charlm", "run", "info", "--help"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert "Traceback" not in ended.stderr and "cannot write the output" in ended.stderr and ended.returncode == 1
