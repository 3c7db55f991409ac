import contextlib
import dataclasses
import json
import os
import pickle
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small import codec_of
from tiny import LINES

import charlm
from charlm import tensorfiles
from charlm.config.models import UnigramConfig
from charlm.config.networks import CELLS, RecurrentConfig
from charlm.config.text import TextConfig
from charlm.config.training import TrainingConfig
from charlm.errors import CharlmError, ConfigError, RunError, StorageError, TrainingError, VocabError
from charlm.families import FAMILIES, WEIGHTS_FILE
from charlm.families.network import Undrawn
from charlm.jobs.beginning import start_from
from charlm.jobs.describe import describe
from charlm.jobs.train import Watcher, resume
from charlm.jobs.train import train as train_run
from charlm.jobs.trial import estimate
from charlm.models.recurrent import Recurrent
from charlm.runs.checking import check as check_run
from charlm.runs.journal import RunJournal
from charlm.runs.layout import CHECKPOINT_FILE, RunConfig, read_config, read_facts
from charlm.runs.layout import history as history_of
from charlm.runs.run import load as load_run
from charlm.training.journal import Measured

NETWORK = RecurrentConfig(layers=1, hidden=8, embedding=6)
TRAINING = TrainingConfig(steps=6, batch_size=4, window=8, device="cpu", precision="float32")


def write_text(path: Path) -> Path:
    """Two hundred lines of up to ten characters."""
    draw = random.Random(1)
    lines = ["".join(draw.choices("".join(LINES), k=draw.randint(2, 10))) for _ in range(200)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def config_of(text: Path, *, family=NETWORK, training=TRAINING, **knobs) -> RunConfig:
    model = "recurrent" if isinstance(family, RecurrentConfig) else "unigram"
    return RunConfig((str(text),), (), model, TextConfig(**knobs), family, training)


def stop_after(steps: int) -> Watcher:
    asked = iter(range(1, steps + 1))
    return Watcher(signal=lambda: 15 if next(asked) == steps else None)


@pytest.fixture(scope="session")
def text(tmp_path_factory) -> Path:
    return write_text(tmp_path_factory.mktemp("text") / "text.txt")


@pytest.fixture(scope="session")
def trained(text, tmp_path_factory) -> Path:
    """A run that tests only read."""
    path = tmp_path_factory.mktemp("runs") / "trained"
    train_run(config_of(text), path)
    return path


@pytest.fixture
def run(trained, tmp_path) -> Path:
    """A copy of that run, to be damaged."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def weights(path: Path) -> dict[str, torch.Tensor]:
    return tensorfiles.read(path / WEIGHTS_FILE)[0]


def assert_same(some: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert some.keys() == other.keys()
    for name, tensor in some.items():
        assert torch.equal(tensor, other[name]), name


def contents(path: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


def steps_of(path: Path) -> list[int]:
    return [entry["step"] for entry in history_of(path)]


# ── saving and loading ──────────────────────────────────────────────────────────────────────────


def test_a_run_holds_the_files_of_its_format(trained):
    assert {str(file.relative_to(trained)) for file in contents(trained)} == {
        "run.json",
        "config.json",
        "tokenizer.json",
        "vocab.tsv",
        "model.safetensors",
        "resume/checkpoint.safetensors",
        "resume/.lock",
        "history.jsonl",
    }
    assert [problem for _, problem in check_run(trained)] == [None] * 6


def test_a_loaded_run_scores_as_the_model_that_was_kept(trained, text, tmp_path):
    some, other = charlm.load(str(trained)), load_run(trained)
    assert some.score(LINES) == other.score(LINES)
    assert_same(some.model.state_dict(), weights(trained))
    assert not some.model.training


def test_a_text_is_scored_by_itself_and_with_its_line_end(trained):
    run = load_run(trained)
    together = run.score([LINES[0], LINES[1], "春𠮷"])
    assert [run.score([line])[0].log_prob for line in (LINES[0], LINES[1])] == pytest.approx(
        [score.log_prob for score in together[:2]]
    )
    assert together[0].tokens == len(LINES[0]) + 1
    assert together[0].charged == together[0].log_prob
    assert together[2].unknown == ["𠮷"]
    assert together[2].charged == pytest.approx(together[2].log_prob - 32 * torch.log(torch.tensor(2.0)).item())


def test_samples_of_a_run_begin_with_the_prompt_and_repeat(trained):
    run = load_run(trained)
    drawn = run.sample("春", count=3, seed=4, max_tokens=9)
    assert drawn == run.sample("春", count=3, seed=4, max_tokens=9)
    assert all(text.startswith("春") for text in drawn)
    with pytest.raises(ConfigError, match="--temperature"):
        run.sample("春", temperature=-1)


def test_figures_of_the_weights_are_those_of_the_best_validation(trained):
    best = load_run(trained).best
    (entry,) = [entry for entry in history_of(trained) if entry["step"] == best["step"]]
    assert {key: value for key, value in best.items() if key != "codec"} == entry and entry["is_best"]


def test_a_run_without_its_checkpoint_and_history_is_still_a_model(run):
    shutil.rmtree(run / "resume")
    (run / "history.jsonl").unlink()
    assert load_run(run).score(LINES)
    assert all(problem is None for _, problem in check_run(run))


@pytest.mark.parametrize("cell", CELLS)
def test_a_network_whose_weights_are_replaced_at_once_draws_none(cell):
    config = RecurrentConfig(layers=2, hidden=8, embedding=6, cell=cell, learned_start=True)
    before = torch.get_rng_state()
    with Undrawn():
        blank = Recurrent(config, 30)
    assert torch.equal(torch.get_rng_state(), before)
    drawn = Recurrent(config, 30)
    assert not torch.equal(torch.get_rng_state(), before)
    blank.load_state_dict(drawn.state_dict())
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(blank.parameters(), drawn.parameters(), strict=True))


def test_a_count_based_run_is_kept_and_loaded_too(text, tmp_path):
    train_run(config_of(text, family=UnigramConfig(add_k=0.5)), tmp_path / "run")
    run = load_run(tmp_path / "run")
    assert run.model.step(torch.tensor([0]), run.model.initial_state(1))[0].exp().sum() == pytest.approx(1)
    assert run.evaluate(LINES).perplexity < len(run.codec.vocab)
    assert run.best["valid_nats"] > 0


def test_a_stream_is_kept_and_loaded_too(text, tmp_path):
    train_run(config_of(text, reading="stream"), tmp_path / "run")
    run = load_run(tmp_path / "run")
    assert run.carried and not run.codec.closing
    assert run.score(["春江"])[0].tokens == 3


# ── damage ──────────────────────────────────────────────────────────────────────────────────────

NEEDED = ["run.json", "config.json", "tokenizer.json", "vocab.tsv", "model.safetensors"]


def edit_json(name: str, change: Callable) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        content = json.loads((run / name).read_text("utf-8"))
        (run / name).write_text(json.dumps(change(content) or content), "utf-8")

    return damage


def edit_weights(change: Callable) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        tensors, facts = tensorfiles.read(run / "model.safetensors")
        change(tensors)
        tensorfiles.write(run / "model.safetensors", tensors, facts)

    return damage


def replace_text(name: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda run: (run / name).write_text((run / name).read_text("utf-8").replace(old, new, 1), "utf-8")


def overwrite(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda run: (run / name).write_bytes(content)


def swap_weights(run: Path) -> None:
    codec = codec_of("春江花月夜")
    model = FAMILIES["recurrent"].fresh(NETWORK, codec.vocab, 1)
    tensorfiles.write(run / "model.safetensors", model.state_dict(), {"codec": codec.fingerprint()})


def damaged(name: str) -> dict[str, Callable[[Path], object]]:
    """What may happen to any file."""
    return {
        f"{name} removed": lambda run: (run / name).unlink(),
        f"{name} emptied": overwrite(name, b""),
        f"{name} is noise": overwrite(name, bytes(range(256)) * 8),
        f"{name} is a list": overwrite(name, b"[1, 2]"),
        f"{name} is a string": overwrite(name, b'"model"'),
        f"{name} is a folder": lambda run: ((run / name).unlink(), (run / name).mkdir()),
        f"{name} is a very deep list": overwrite(name, b"[" * 100_000),
    }


DAMAGE: dict[str, Callable[[Path], object]] = {
    **damaged("run.json"),
    **damaged("config.json"),
    **damaged("tokenizer.json"),
    **damaged("vocab.tsv"),
    "a token renamed": replace_text("vocab.tsv", "春", "秋"),
    "two tokens swapped": lambda run: swap_lines(run / "vocab.tsv"),
    "a token twice": replace_text("vocab.tsv", "春", "江"),
    "a line of the vocabulary lost": lambda run: drop_line(run / "vocab.tsv"),
    "another tokenizer": replace_text("tokenizer.json", '"char"', '"spaced"'),
    "another reading": replace_text("tokenizer.json", '"lines"', '"stream"'),
    "options that no tokenizer has": replace_text("tokenizer.json", "{}", '{"x": 1}'),
    "another hidden size": edit_json("config.json", lambda c: c["recurrent"].update(hidden=9)),
    "an immense hidden size": edit_json("config.json", lambda c: c["recurrent"].update(hidden=1 << 40)),
    "a size beyond all numbers": edit_json("config.json", lambda c: c["recurrent"].update(hidden=1 << 80)),
    "a size that is a word": edit_json("config.json", lambda c: c["recurrent"].update(hidden="many")),
    "a size below zero": edit_json("config.json", lambda c: c["recurrent"].update(hidden=-1)),
    "very many layers": edit_json("config.json", lambda c: c["recurrent"].update(layers=2)),
    "another cell": edit_json("config.json", lambda c: c["recurrent"].update(cell="gru")),
    "a cell that nobody knows": edit_json("config.json", lambda c: c["recurrent"].update(cell="lsmt")),
    "another family": edit_json("config.json", lambda c: c.update(model="unigram", unigram={})),
    "a family that nobody knows": edit_json("config.json", lambda c: c.update(model="oracle")),
    "a family that is a list": edit_json("config.json", lambda c: c.update(model=[])),
    "texts that are a number": edit_json("config.json", lambda c: c.update(texts=3)),
    "a page that is a list": edit_json("config.json", lambda c: c.update(training=[])),
    "no page of the family": edit_json("config.json", lambda c: c.pop("recurrent") and None),
    "a later format": edit_json("run.json", lambda c: c.update(format=2)),
    "a format that is a word": edit_json("run.json", lambda c: c.update(format="new")),
}

DAMAGED_WEIGHTS: dict[str, Callable[[Path], object]] = {
    **damaged("model.safetensors"),
    "weights that are not finite": edit_weights(lambda t: t["bias"].fill_(torch.nan)),
    "weights of another run": swap_weights,
    "a matrix lost": edit_weights(lambda t: t.pop("embedding.weight")),
    "a matrix too many": edit_weights(lambda t: t.update(more=torch.ones(1))),
    "a matrix of another shape": edit_weights(lambda t: t.update(bias=t["bias"][:-1])),
    "a pickle": overwrite("model.safetensors", pickle.dumps({"bias": [0.0]})),
    "a file of torch.save": lambda run: torch.save({"bias": torch.ones(2)}, run / "model.safetensors"),
    "only a .pt": lambda run: (run / "model.safetensors").rename(run / "model.pt"),
}


def swap_lines(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines(keepends=True)
    lines[2], lines[3] = lines[3], lines[2]
    path.write_text("".join(lines), "utf-8")


def drop_line(path: Path) -> None:
    path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[:-1]), "utf-8")


@pytest.mark.parametrize("name", [*DAMAGE, *DAMAGED_WEIGHTS])
def test_a_damaged_run_is_refused_with_a_remedy(run, name):
    (DAMAGE | DAMAGED_WEIGHTS)[name](run)
    with pytest.raises((RunError, VocabError)) as caught:
        load_run(run)
    assert caught.value.hint
    assert any(problem is not None for _, problem in check_run(run))


@pytest.mark.parametrize("name", DAMAGE)  # the checkpoint does not need the weights beside it
def test_a_damaged_run_is_not_gone_on_with(run, name):
    DAMAGE[name](run)
    with pytest.raises(CharlmError) as caught:
        resume(run, {"steps": 8})
    assert caught.value.hint


@pytest.mark.parametrize("name", NEEDED)
def test_a_file_cut_short_anywhere_is_refused(run, name):
    content = (run / name).read_bytes()
    for end in (1, len(content) // 10, len(content) // 2, len(content) * 4 // 5, len(content) - 3):
        (run / name).write_bytes(content[:end])
        with pytest.raises((RunError, VocabError)) as caught:
            load_run(run)
        assert caught.value.hint


def test_counts_below_zero_are_refused(text, tmp_path):
    run = tmp_path / "run"
    train_run(config_of(text, family=UnigramConfig()), run)
    edit_weights(lambda tensors: tensors["counts"].fill_(-5))(run)
    with pytest.raises(RunError):
        load_run(run)


CHECKPOINT = str(CHECKPOINT_FILE)


def edit_checkpoint(change: Callable) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        tensors, facts = tensorfiles.read(run / CHECKPOINT)
        change(tensors, facts)
        tensorfiles.write(run / CHECKPOINT, tensors, facts)

    return damage


NO_WAY_ON: dict[str, Callable[[Path], object]] = {
    "removed": lambda run: (run / CHECKPOINT).unlink(),
    "emptied": overwrite(CHECKPOINT, b""),
    "noise": overwrite(CHECKPOINT, bytes(range(256)) * 8),
    "no facts": edit_checkpoint(lambda tensors, facts: facts.clear()),
    "a place without its parts": edit_checkpoint(lambda tensors, facts: facts.update(place={"step": 3, "x": 1})),
    "no counters": edit_checkpoint(lambda tensors, facts: facts.pop("stale")),
    "no weights": edit_checkpoint(lambda tensors, facts: tensors.clear()),
    "no generator": edit_checkpoint(lambda tensors, facts: tensors.pop("generator")),
    "a strange tensor": edit_checkpoint(lambda tensors, facts: tensors.update({"x/y": torch.ones(1)})),
    "weights of another shape": edit_checkpoint(lambda t, facts: t.update({"weights/bias": torch.ones(2)})),
    "weights that are not finite": edit_checkpoint(lambda t, facts: t["weights/bias"].fill_(torch.nan)),
    "another hidden size": edit_json("config.json", lambda c: c["recurrent"].update(hidden=9)),
    "another batch size": edit_json("config.json", lambda c: c["training"].update(batch_size=5)),
    "a token renamed": replace_text("vocab.tsv", "春", "秋"),
    "run.json without the text's key": edit_json("run.json", lambda c: c.pop("corpus") and None),
    "run.json without a precision": edit_json("run.json", lambda c: c.pop("precision") and None),
}


@pytest.mark.parametrize("name", NO_WAY_ON)
def test_a_damaged_checkpoint_is_refused_with_a_remedy(run, name):
    NO_WAY_ON[name](run)
    with pytest.raises(CharlmError) as caught:
        resume(run, {"steps": 8})
    assert caught.value.hint


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "run.pkl", "x.ckpt"])
def test_a_pickle_is_refused_as_a_run(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80\x04")
    with pytest.raises(RunError, match="charlm never opens one"):
        load_run(tmp_path / name)


def test_a_path_that_is_no_run_is_refused_and_neighbours_are_named(trained, tmp_path):
    with pytest.raises(RunError, match="no run directory") as caught:
        load_run(trained.parent / "traned")
    assert "trained" in caught.value.hint
    with pytest.raises(RunError, match="no run directory"):
        load_run(tmp_path / "far" / "away")
    with pytest.raises(RunError, match=r"run\.json is missing"):
        load_run(tmp_path)
    shutil.copy(trained / "vocab.tsv", tmp_path)
    with pytest.raises(RunError, match="holds a vocabulary, not a run"):
        load_run(tmp_path)


# ── who writes a run ────────────────────────────────────────────────────────────────────────────

LOCKING = """
import sys
from pathlib import Path
from charlm.runs import writing
with getattr(writing, sys.argv[1])(Path(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def held_by_another(how: str, path: Path):
    """Another process that holds the run."""
    with subprocess.Popen(
        [sys.executable, "-c", LOCKING, how, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        try:
            yield other
        finally:
            other.kill()


def test_a_run_that_another_process_trains_is_not_resumed(run, text):
    before = contents(run)
    with held_by_another("owned", run) as other:
        with pytest.raises(RunError, match=f"is being written by process {other.pid}") as caught:
            resume(run, {"steps": 8})
        assert "stop it" in caught.value.hint
    assert {file: data for file, data in contents(run).items() if file.name != ".lock"} == {
        file: data for file, data in before.items() if file.name != ".lock"
    }


def test_a_run_whose_process_was_killed_can_be_resumed(run):
    with held_by_another("owned", run) as other:
        other.kill()
    resume(run, {"steps": 8})
    assert steps_of(run)[-1] == 8


def test_a_name_that_another_training_has_begun_is_not_taken_twice(text, tmp_path):
    path = tmp_path / "new" / "run"
    with held_by_another("begun", path) as other:
        (tmp_path / "link").symlink_to(path)  # another name of the same place
        for name in (path, tmp_path / "link"):
            with pytest.raises(RunError, match=f"is being written by process {other.pid}"):
                train_run(config_of(text), name)
    train_run(config_of(text), path)  # the other was killed
    assert sorted(file.name for file in path.parent.iterdir()) == ["run"]


def test_a_training_owns_its_run_until_it_ends(text, tmp_path):
    path, seen = tmp_path / "run", []

    def rival(event):
        if isinstance(event, Measured) and (path / CHECKPOINT_FILE).is_file():
            for attempt in (lambda: resume(path, {"steps": 9}), lambda: train_run(config_of(text), path)):
                with pytest.raises(RunError) as caught:
                    attempt()
                seen.append(str(caught.value))

    train_run(config_of(text), path)
    resume(path, {"steps": 12}, watcher=Watcher(report=rival))
    assert seen and f"process {os.getpid()}" in seen[0] and "exists already" in seen[1]
    resume(path, {"steps": 14})


def test_what_a_killed_process_left_half_written_is_gone_after_a_resume(run):
    for name in (".model.safetensors.4711.tmp", ".run.json.4711.tmp", "resume/.checkpoint.safetensors.12.tmp"):
        (run / name).write_bytes(b"half")
    for name in (".run.a1b2_xyz.tmp", ".other.a1b2_xyz.tmp"):
        (run.parent / name).mkdir()
        (run.parent / name / "vocab.tsv").write_bytes(b"half")
    (run / ".mine.tmp").write_bytes(b"of somebody else")
    resume(run, {"steps": 8})
    assert [file.name for file in run.rglob("*.tmp")] == [".mine.tmp"]
    assert sorted(file.name for file in run.parent.iterdir()) == [".other.a1b2_xyz.tmp", "run"]


def test_a_training_that_fails_gives_the_name_free(text, tmp_path):
    path = tmp_path / "run"
    with pytest.raises(CharlmError):
        train_run(config_of(tmp_path / "none.txt"), path)
    assert list(tmp_path.iterdir()) == []


# ── the journal ─────────────────────────────────────────────────────────────────────────────────


def measured(step: int) -> Measured:
    return Measured(step=step, epoch=1.0, seconds=1.0, learning_rate=0.1, train_nats=1.0)


def journal_of(run: Path) -> RunJournal:
    loaded = load_run(run)
    return RunJournal(run, loaded.config, loaded.codec, loaded.facts, lambda: None)


def test_weights_that_cannot_be_written_leave_the_old_ones(run, monkeypatch):
    before, journal = contents(run), journal_of(run)
    broken = {name: tensor + 1 for name, tensor in weights(run).items()}

    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with pytest.raises(StorageError, match="No space left"):
            journal.keep(broken, measured(9))
        with pytest.raises(StorageError, match="No space left"):
            journal.save(journal.restore())
    assert contents(run) == before
    assert load_run(run).score(LINES)


def test_weights_and_their_figures_change_together(run):
    journal_of(run).keep(weights(run), measured(9))
    assert load_run(run).best["step"] == 9


def test_the_history_forgets_steps_that_will_be_taken_again(run):
    journal = journal_of(run)
    before = steps_of(run)
    assert before[-1] == 6
    journal.record(measured(7))
    journal.restore()
    assert steps_of(run) == before


def test_a_line_of_the_history_cut_short_by_a_crash_is_dropped(run):
    before = steps_of(run)
    with (run / "history.jsonl").open("a") as file:
        file.write('{"step": 7, "epo')
    journal = journal_of(run)
    assert steps_of(run) == before
    journal.restore()
    journal.record(measured(8))
    assert steps_of(run) == [*before, 8]


def test_a_history_of_a_version_that_did_not_count_clipped_steps_is_read(run):
    entries = [json.loads(line) for line in (run / "history.jsonl").read_text("utf-8").splitlines()]
    assert all(0 <= entry.pop("clipped") <= 1 for entry in entries)
    (run / "history.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries), "utf-8")
    assert history_of(run) == entries


def test_lines_of_the_history_that_say_no_step_are_passed_over(run):
    before = steps_of(run)
    with (run / "history.jsonl").open("a") as file:
        for entry in ([], 3, {"step": 3}, {**dataclasses.asdict(measured(9)), "step": "nine"}):
            file.write(json.dumps(entry) + "\n")
    assert steps_of(run) == before
    journal_of(run).restore()


def test_a_run_that_exists_is_refused_and_untouched(run, text):
    before = contents(run)
    with pytest.raises(RunError, match="exists already; nothing was changed"):
        train_run(config_of(text), run)
    with pytest.raises(RunError, match="exists already"):
        journal_of(run).create()
    assert contents(run) == before


def test_a_training_that_cannot_begin_leaves_no_folder(text, tmp_path):
    training = dataclasses.replace(TRAINING, batch_size=100_000)
    with pytest.raises(TrainingError, match="too few"):
        train_run(config_of(text, training=training, context="carried"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


# ── going on, and doing it again ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("context", ["line", "carried"])
def test_a_run_that_was_stopped_goes_on_to_the_same_weights(text, tmp_path, context):
    config = config_of(text, context=context)
    assert train_run(config, tmp_path / "whole").signal is None
    for stop in (1, 4, 6):
        path = tmp_path / f"stopped after {stop}"
        assert train_run(config, path, watcher=stop_after(stop)).signal == 15
        assert read_facts(path)["ended"] == "signal 15"
        assert load_run(path).score(LINES)
        assert resume(path, {}).signal is None
        assert_same(weights(path), weights(tmp_path / "whole"))
        some, other = (tensorfiles.read(run / CHECKPOINT)[0] for run in (path, tmp_path / "whole"))
        assert_same(some, other)
        assert steps_of(path) == steps_of(tmp_path / "whole")


def test_a_run_that_is_over_can_be_given_more(run):
    outcome = resume(run, {"steps": 10})
    assert outcome.place.step == 10 and read_facts(run)["step"] == 10
    assert read_config(run).training.steps == 10
    assert steps_of(run)[-1] == 10
    assert resume(run, {"epochs": 3.0}).place.epoch == 2
    assert (read_config(run).training.steps, read_config(run).training.epochs) == (None, 3.0)


@pytest.mark.parametrize("budget", [{}, {"steps": 7}], ids=str)
def test_weights_that_were_lost_come_back_by_going_on(run, budget):
    (run / "model.safetensors").unlink()
    resume(run, budget)
    assert load_run(run).score(LINES)


def test_a_text_that_was_moved_can_be_named_again(trained, text, tmp_path):
    moved, run = tmp_path / "moved.txt", tmp_path / "run"
    first = shutil.copy(text, tmp_path / "first.txt")
    train_run(config_of(first), run)
    first.rename(moved)
    with pytest.raises(CharlmError, match=r"first\.txt"):
        resume(run, {"steps": 8})
    assert resume(run, {"steps": 8}, (str(moved),)).place.step == 8


def test_a_text_that_has_changed_is_refused(text, tmp_path):
    path = shutil.copy(text, tmp_path / "text.txt")
    train_run(config_of(path), tmp_path / "run")
    before = contents(tmp_path / "run")
    path.write_text(path.read_text("utf-8") + "春江\n", "utf-8")
    with pytest.raises(TrainingError, match="the text has changed") as caught:
        resume(tmp_path / "run", {"steps": 9})
    assert "--init-from" in caught.value.hint
    assert contents(tmp_path / "run") == before


def test_a_count_based_run_cannot_go_on(text, tmp_path):
    train_run(config_of(text, family=UnigramConfig()), tmp_path / "run")
    with pytest.raises(RunError, match="cannot go on"):
        resume(tmp_path / "run", {})


def test_the_kept_configuration_repeats_the_run_to_the_bit(trained, tmp_path):
    config = RunConfig.from_json(json.loads((trained / "config.json").read_text("utf-8")))
    train_run(config, tmp_path / "again")
    assert_same(weights(tmp_path / "again"), weights(trained))
    assert (tmp_path / "again" / "config.json").read_bytes() == (trained / "config.json").read_bytes()


def test_a_vocabulary_of_its_own_is_taken(trained, text, tmp_path):
    train_run(config_of(text), tmp_path / "run", vocab_folder=trained)
    assert_same(weights(tmp_path / "run"), weights(trained))
    with pytest.raises(ConfigError, match="--reading"):
        train_run(config_of(text, reading="stream"), tmp_path / "other", vocab_folder=trained)


# ── beginning from other weights ────────────────────────────────────────────────────────────────


def begun_from(trained: Path, text: str, **knobs):
    """A fresh model over the characters of `text`, its codec, the same before, and what was said."""
    codec, said = codec_of(text), []
    config = dataclasses.replace(NETWORK, **knobs)
    model, fresh = (FAMILIES["recurrent"].fresh(config, codec.vocab, 5) for _ in range(2))
    start_from(model, "recurrent", codec, trained, said.append)
    return model, codec, fresh, said


def test_tokens_that_both_vocabularies_have_keep_their_rows(trained):
    other = load_run(trained)
    model, codec, fresh, said = begun_from(trained, "月山春水江")
    for token, row in codec.vocab.ids.items():
        known = token in other.codec.vocab.ids
        source, place = (other.model, other.codec.vocab.ids[token]) if known else (fresh, row)
        for name in ("embedding.weight", "bias"):
            assert torch.equal(model.state_dict()[name][row], source.state_dict()[name][place]), (token, name)
    assert "5 tokens kept, 2 new, " in said[0]


def test_everything_but_the_rows_is_taken_as_it_is(trained):
    other = load_run(trained).model.state_dict()
    model, *_ = begun_from(trained, "月山春水江")
    for name, tensor in model.state_dict().items():
        if name not in ("embedding.weight", "bias"):
            assert torch.equal(tensor, other[name])


def test_a_model_begun_from_a_run_of_the_same_text_scores_the_same(trained, text, tmp_path):
    training = dataclasses.replace(TRAINING, learning_rate=1e-12, steps=1)
    train_run(config_of(text, training=training), tmp_path / "run", init_from=trained)
    found, expected = (run.score(LINES)[0].log_prob for run in map(load_run, (tmp_path / "run", trained)))
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("knobs", "options"),
    [
        ({"hidden": 9}, "--hidden 8"),
        ({"cell": "gru", "layers": 2}, "--cell lstm --layers 1"),
        ({"tied": False}, "--tied"),
        ({"learned_start": True}, "--zero-start"),
        ({"cell": "lstm-peephole", "peepholes": "f"}, "--cell lstm"),
    ],
    ids=str,
)
def test_another_network_is_refused_and_the_options_are_named(trained, knobs, options):
    with pytest.raises(RunError, match="another network") as caught:
        begun_from(trained, "春江", **knobs)
    assert caught.value.hint == f"train with {options}"


def test_dropout_may_differ(trained):
    begun_from(trained, "春江", dropout=0.9)


def test_a_count_based_model_has_no_weights_to_begin_from(trained, text, tmp_path):
    with pytest.raises(RunError, match="has no weights to begin from"):
        train_run(config_of(text, family=UnigramConfig()), tmp_path / "run", init_from=trained)
    assert not (tmp_path / "run").exists()


# ── a trial ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("budget", [{"steps": 1000}, {"steps": None, "epochs": 3.0}, {"steps": None, "minutes": 2.0}])
def test_an_estimate_is_positive_and_leaves_nothing(text, tmp_path, monkeypatch, budget):
    monkeypatch.chdir(tmp_path)
    found = estimate(config_of(text, training=dataclasses.replace(TRAINING, **budget)))
    assert min(found.parameters, found.tokens, found.tokens_per_second, found.seconds, found.memory) > 0
    assert (found.device, found.precision) == ("cpu", "float32")
    assert list(tmp_path.iterdir()) == []
    if budget.get("minutes"):
        assert found.seconds == 120


def test_an_estimate_is_for_networks(text):
    with pytest.raises(ConfigError, match="for what learns by gradient"):
        estimate(config_of(text, family=UnigramConfig()))


def test_a_run_describes_itself(trained):
    found = describe(load_run(trained))
    assert found["context"] == "line" and found["level"] == "char"
    assert found["parameters"] == sum(tensor.numel() for tensor in weights(trained).values())
    assert json.loads(json.dumps(found)) == found
