"""`charlm run`, and what the command line does as a whole."""

import gzip
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


def test_the_perplexity_of_a_diverged_run_is_infinite_wherever_it_is_told(charlm, run_dir):
    from charlm import tensorfiles
    from charlm.cli.console import measured_line
    from charlm.training.journal import Measured

    tensors, facts = tensorfiles.read(run_dir / "model.safetensors")
    tensorfiles.write(run_dir / "model.safetensors", tensors, {**facts, "valid_nats": 5000.0})
    assert "perplexity infinite" in charlm("run", "info", run_dir).out
    told = Measured(step=1, epoch=1, seconds=1, learning_rate=1, train_nats=1, valid_nats=5000, valid_bits_per_char=1)
    assert "perplexity infinite" in measured_line(told)


def test_the_perplexity_of_counts_that_hold_the_validation_text_impossible_is_infinite_not_left_out(charlm):
    Path("t.txt").write_text("abab\n" * 9, "utf-8")
    Path("v.txt").write_text("aabb\n", "utf-8")
    learned = ("--valid", "v.txt", "--model", "ngram", "--order", "2")
    made = charlm("train", "t.txt", *learned, "--smoothing", "ml", "--run", "impossible")
    assert "perplexity infinite · infinite bits/char" in made.err and "infinite on the validation text" in made.out
    assert "perplexity infinite, infinite bits/char" in charlm("run", "info", "impossible").out
    assert json.loads(charlm("run", "info", "impossible", "--json").out)["best"]["valid_nats"] is None
    assert charlm("run", "check", "impossible").code == 0
    charlm("train", "t.txt", *learned, "--smoothing", "witten-bell", "--run", "possible")
    ranked = charlm("eval", "impossible", "possible", "v.txt").out
    assert "2. impossible  infinite bits/char  +infinite" in ranked and "inf " not in ranked
    ranked = charlm("eval", "impossible", "impossible", "v.txt").out
    assert "nan" not in ranked and "2. impossible  infinite bits/char  +–" in ranked


def test_the_outcome_of_a_diverged_training_is_told_as_infinite(charlm, run_dir, capsys):
    from dataclasses import replace

    import charlm as library
    from charlm.cli.train import _show_outcome

    run = library.load(run_dir)
    _show_outcome(replace(run, best={**run.best, "valid_nats": 5000.0}), as_json=False)
    assert "infinite" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["corpus", "valid", "vocab_size", "precision", "command"])
@pytest.mark.parametrize("value", [..., 7.5, [1]])
def test_a_fact_of_run_json_that_is_missing_or_of_another_type_is_an_error_with_its_name(charlm, run_dir, name, value):
    facts = json.loads((run_dir / "run.json").read_text("utf-8"))
    del facts[name]
    (run_dir / "run.json").write_text(json.dumps(facts if value is ... else {**facts, name: value}), "utf-8")
    charlm("run", "info", run_dir).refused("run.json", name)
    assert charlm("run", "check", run_dir).code == 1


def test_a_line_of_the_history_that_is_nested_without_end_is_passed_over(charlm, run_dir):
    with (run_dir / "history.jsonl").open("a", encoding="utf-8") as handle:
        handle.write("[" * 100_000 + "\n")
    assert charlm("run", "plot", run_dir, "--json").code == 0
    assert charlm("run", "check", run_dir).code == 0


@pytest.mark.parametrize(
    "options", [("--layers", "1000000"), ("--epochs", "1e308"), ("--minutes", "1e308"), ("--steps", "9" * 400)]
)
def test_an_option_beyond_all_bounds_is_refused_before_anything_is_built(charlm, options):
    Path("t.txt").write_text("一二三\n" * 20, "utf-8")
    charlm("train", "t.txt", *options, "--dry-run").refused(options[0].strip("-"), "at most", code=2)


def test_more_samples_side_by_side_than_memory_holds_are_refused(charlm, run_dir):
    assert charlm("sample", run_dir, "--batch-size", "99999999999").code == 2


def program(arguments, where, **streams):
    command = [sys.executable, "-m", "charlm", *arguments]
    return subprocess.run(command, cwd=where, stderr=subprocess.PIPE, check=False, **streams)


@pytest.mark.skipif(os.name != "posix", reason="the streams of POSIX")
def test_a_closed_stdout_is_an_error_and_no_traceback(tmp_path):
    ended = program(["--version"], tmp_path, preexec_fn=lambda: os.close(1))
    assert ended.returncode == 1
    assert b"stdout is closed" in ended.stderr
    assert b"Traceback" not in ended.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux") or os.geteuid() != 0, reason="makes a node of its own")
@pytest.mark.parametrize("option", ["--version", "--help"])
def test_a_full_disk_behind_version_and_help_is_an_error_and_no_traceback(tmp_path, option):
    try:
        os.mknod(tmp_path / "full", 0o20666, os.makedev(1, 7))
        handle = (tmp_path / "full").open("w")
    except OSError:
        pytest.skip("no nodes can be made here")
    with handle:
        ended = program([option], tmp_path, stdout=handle)
    assert ended.returncode == 1
    assert b"No space left" in ended.stderr
    assert b"Traceback" not in ended.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names of any bytes")
def test_a_run_name_that_is_not_utf8_is_refused_before_anything_is_learned(tmp_path):
    (tmp_path / "t.txt").write_text("一二三\n" * 20, "utf-8")
    ended = program(["train", "t.txt", "--model", "unigram", "--run", b"r\xff"], tmp_path)
    assert ended.returncode == 1
    assert b"not UTF-8" in ended.stderr
    assert b"Traceback" not in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["t.txt"]


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


VOCAB = [sys.executable, "-m", "charlm", "vocab", "-", "-o", "vocab", "--level", "word"]


def test_talk_that_nobody_can_hear_stops_no_work(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)  # as where `2> >(head -1)` has read enough
    with open(writing, "wb") as stderr, open(os.devnull, "rb") as deaf:  # noqa: PTH123
        for unheard in (stderr, deaf):
            folder = tmp_path / str(unheard.fileno())
            folder.mkdir()
            text = "<s> 做作业 </s>\n".encode()  # worth a remark
            done = subprocess.run(VOCAB, cwd=folder, input=text, stdout=subprocess.PIPE, stderr=unheard, check=False)
            assert done.returncode == 0 and (folder / "vocab" / "vocab.tsv").is_file()
            refused = subprocess.run(VOCAB, cwd=folder, input=text, stdout=subprocess.PIPE, stderr=unheard, check=False)
            assert refused.returncode == 1 and refused.stdout == b""


@pytest.mark.skipif(os.name == "nt", reason="descriptors of one direction are POSIX's")
def test_stdin_that_cannot_be_read_is_not_blamed_on_the_output(tmp_path):
    with open(os.devnull, "wb") as unreadable:  # noqa: PTH123
        done = subprocess.run(VOCAB, cwd=tmp_path, stdin=unreadable, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith("error: cannot read standard input: ")


def test_packed_text_is_unpacked_from_stdin_as_from_a_file(charlm):
    packed = gzip.compress("做作业\n".encode())
    assert json.loads(charlm("vocab", "-", "--json", stdin=packed).out)["tokens"] == 3


def test_a_mixture_was_told_to_train_until_its_first_validation(charlm, shared_run, run_dir):
    Path("t.txt").write_text("春眠不觉晓\n" * 3, "utf-8")
    charlm("run", "mix", run_dir, "--tune", "t.txt", "--run", "mixed")
    charlm("run", "plot", "mixed", "--text").refused("no history to draw", "mixed or imported")


def test_figures_of_a_diverged_run_were_drawn_with_forty_digits():
    from charlm.runs.curves import text_plot

    drawn = text_plot([{"step": 1, "valid_nats": 5.0}, {"step": 2, "valid_nats": 5.69e36}])
    assert drawn.startswith("5.7e+36 │")


def test_check_of_what_is_no_folder_told_to_restore_a_file(charlm):
    charlm("run", "check", "nowhere").refused("no run directory at nowhere")


def test_the_hint_of_a_taken_name_was_to_resume_what_cannot_go_on(charlm, run_dir):
    Path("t.txt").write_text("春眠不觉晓\n" * 30, "utf-8")
    Path("taken").write_text("mine", "utf-8")
    for taken in ("taken", "-"):
        ended = charlm("train", "t.txt", "--model", "unigram", "--run", taken)
        assert ended.code == 1 and "--resume" not in ended.err
    assert not Path("-").exists()
