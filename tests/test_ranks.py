"""Several processes under torchrun: the same training, resumed to the last bit, ended together."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import pytest

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
SCRIPT = Path(__file__).parent / "throwaway" / "two_ranks.py"
SMALL = ("--hidden", "16", "--embedding", "12", "--layers", "1", "--precision", "float32", "--device", "cpu")


@pytest.fixture(scope="module")
def found(tmp_path_factory, worker_id):
    """What the script found; the processes that run tests start it once for all of them."""
    place = tmp_path_factory.getbasetemp()
    shared = (place if worker_id == "master" else place.parent) / "two_ranks.json"
    with filelock.FileLock(f"{shared}.lock"):
        if not shared.exists():
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            command = [*TORCHRUN, str(SCRIPT)]
            ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            assert ended.returncode == 0, ended.stderr[-3000:]
            shared.write_text(ended.stdout, "utf-8")
    return json.loads(shared.read_text("utf-8"))


@pytest.mark.parametrize("reading", ["stripes", "buckets"])
def test_two_processes_learn_what_one_learns(found, reading):
    assert found[f"{reading}: largest relative difference of a loss"] < 1e-6
    assert found[f"{reading}: of a validation"] < 1e-6


@pytest.mark.parametrize("reading", ["stripes", "buckets"])
@pytest.mark.parametrize("stop", [2, 5])
def test_two_processes_stopped_by_either_go_on_as_if_they_had_not(found, reading, stop):
    assert found[f"{reading}: stopped at {stop}"] == stop
    assert found[f"{reading}: resumed from {stop}, weights"] and found[f"{reading}: resumed from {stop}, all"]
    assert found[f"{reading}: states of both"]


@pytest.mark.parametrize("reading", ["stripes", "buckets"])
def test_two_processes_with_muon_averages_and_all_that_is_dropped(found, reading):
    assert found[f"{reading}: with parts, a loss"] < 1e-5  # Muon makes more of a difference in the last bit
    assert found[f"{reading}: with parts, a validation"] < 1e-5
    assert found[f"{reading}: with parts, resumed"]


@pytest.mark.parametrize("reading", ["stripes", "buckets"])
def test_a_checkpoint_of_two_processes_is_no_checkpoint_of_one(found, reading):
    assert "made by 2 processes, and here are 1" in found[f"{reading}: refused alone"]
    assert found[f"{reading}: refused"].startswith("TrainingError")


def test_no_thread_of_the_group_is_left_to_abort_a_process_whose_work_is_done(found):
    assert not [name for name in found["threads left"] if "gloo" in name]


def started(*arguments, where):
    command = [*TORCHRUN, "-m", "--", "charlm", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=where, env=environment, start_new_session=True, **streams)


@pytest.mark.slow
def test_ctrl_c_ends_both_processes_and_what_they_saved_goes_on(tmp_path):
    (tmp_path / "t.txt").write_text("春眠不觉晓，处处闻啼鸟。\n" * 400, "utf-8")
    train = ("train", "t.txt", *SMALL, "--epochs", 100000, "--run", "run", "--quiet")
    process = started(*train, where=tmp_path)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "history.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, told = process.communicate(timeout=120)
    assert "charlm train --resume run" in told
    assert json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["ended"] == "signal 2"
    step = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["step"]
    again = started("train", "--resume", "run", "--steps", step + 3, "--quiet", where=tmp_path)
    out, told = again.communicate(timeout=120)
    assert again.returncode == 0, told[-3000:]
    assert out.count("time ") == 1  # the first tells for both
    assert json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["step"] == step + 3


@pytest.mark.slow
def test_what_counts_is_made_by_one_process(tmp_path):
    (tmp_path / "t.txt").write_text("春眠不觉晓，处处闻啼鸟。\n" * 40, "utf-8")
    process = started("train", "t.txt", "--model", "ngram", "--run", "run", where=tmp_path)
    _, told = process.communicate(timeout=120)
    assert process.returncode != 0 and "a model that counts is made by one process" in told
    assert not (tmp_path / "run").exists()
