"""Names that are given to any command: whatever the system says of them becomes a sentence."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from commands.conftest import CORPORA

PLACES = [  # NAME stands for the name that is tried
    "run info NAME",
    "run check NAME",
    "run export NAME -o out",
    "run export run -o NAME",
    "run plot run -o NAME",
    "run import NAME --run out",
    "run import - --run NAME",
    "run mix NAME run --tune t.txt --run out",
    "run mix run run --tune NAME --run out",
    "run mix run run --tune t.txt --run NAME",
    "train NAME",
    "train t.txt --model unigram --run NAME",
    "train t.txt --model unigram --valid NAME",
    "train t.txt --model unigram --vocab NAME",
    "train t.txt --model unigram --init-from NAME",
    "train t.txt --config NAME",
    "train t.txt --level word --user-dict NAME",
    "train --counts NAME",
    "train --resume NAME",
    "ngram count NAME -o out",
    "ngram count t.txt -o NAME",
    "ngram count t.txt -o out --vocab NAME",
    "vocab NAME",
    "vocab t.txt -o NAME",
    "vocab t.txt --against NAME",
    "eval NAME t.txt",
    "eval run NAME",
    "sample NAME",
    "sample run --prompt-file NAME",
    "score NAME t.txt",
    "score run NAME",
    "score run n.jsonl --report NAME",
    "inspect gradients NAME --text t.txt",
    "inspect memory run --text NAME",
    "inspect gates run --text t.txt --html NAME",
    "inspect neurons run --text t.txt --html NAME",
    "inspect radius --lags 4 --plot NAME",
]


@pytest.mark.parametrize("name", ["a" * 300, "a" * 300 + "/x"], ids=["file", "folder"])
@pytest.mark.parametrize("place", PLACES)
def test_a_name_too_long_for_the_system_ended_in_a_traceback(charlm, run_dir, place, name):
    Path("t.txt").write_text("春眠不觉晓\n" * 3, "utf-8")
    Path("n.jsonl").write_text('{"hyps": []}\n', "utf-8")
    ended = charlm(*(name if word == "NAME" else word for word in place.split()), stdin="")
    assert ended.code in (1, 2) and "error: " in ended.err and "hint: " in ended.err


LOCKED = ["run info shut/run", "vocab folder", "train --counts shut/counts"]


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv, with which root gives up its rights")
@pytest.mark.parametrize("command", LOCKED)
def test_a_folder_that_may_not_be_entered_ended_in_a_traceback_or_was_passed_over(tmp_path, command):
    for folder in (tmp_path / "shut", tmp_path / "folder" / "shut"):
        folder.mkdir(parents=True)
        shutil.copy(CORPORA / "village.en.txt", folder / "t.txt")
        folder.chmod(0)
    shutil.copy(CORPORA / "village.en.txt", tmp_path / "folder")
    rights = "-dac_override,-dac_read_search"
    before = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"] if os.geteuid() == 0 else []
    charlm = [*before, sys.executable, "-m", "charlm", *command.split()]
    environment = {**os.environ, "PYTHONPATH": str(CORPORA.parent)}
    try:
        ended = subprocess.run(charlm, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    finally:
        for folder in (tmp_path / "shut", tmp_path / "folder" / "shut"):
            folder.chmod(0o700)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr and "error: " in ended.stderr, ended.stderr


@pytest.mark.parametrize("place", [place for place in PLACES if "--counts" not in place and "--user-dict" not in place])
def test_an_empty_name_was_taken_for_the_current_folder(charlm, run_dir, place):
    Path("t.txt").write_text("春眠不觉晓\n" * 3, "utf-8")
    Path("n.jsonl").write_text('{"hyps": []}\n', "utf-8")
    ended = charlm(*("" if word == "NAME" else word for word in place.split()), stdin="")
    assert ended.code in (1, 2) and "an empty name was given" in ended.err


@pytest.mark.parametrize(
    "command",
    [
        "vocab t.txt -o NAME",
        "ngram count t.txt -o NAME",
        "train t.txt --model unigram --run NAME",
        "run mix run run --tune t.txt --run NAME",
        "run import model.arpa --run NAME",
    ],
)
def test_no_folder_is_named_like_a_stream_or_lost_behind_a_dead_link(command, charlm, tmp_path):
    (tmp_path / "dead").symlink_to("scratch/made")
    for name, word in (("-", "names no folder"), ("dead", "is a link to scratch/made")):
        charlm(*command.replace("NAME", name).split()).refused(word)
    assert [path.name for path in tmp_path.iterdir()] == ["dead"]


def test_a_report_is_not_named_like_stdout(charlm, shared_run):
    lists = CORPORA / "homework.nbest.jsonl"
    charlm("score", shared_run, lists, "--report", "-").refused("would mix the report", code=2)


def test_the_remedy_fits_what_was_in_the_way(charlm, shared_run, tmp_path):
    (tmp_path / "file").touch()
    text = CORPORA / "everyday.zh.txt"
    charlm("train", text, "--model", "unigram", "--run", "file/run").refused("is a file, not a folder", "another place")
    charlm("vocab", text, "-o", "a" * 300).refused("File name too long", "a shorter name")
    charlm("run", "import", shared_run, "--run", "run").refused("Is a directory", "name a file in this folder")
