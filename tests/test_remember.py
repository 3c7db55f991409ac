"""Scores that are kept by content: looked up exactly, added to by several writers, bounded, never trusted blindly."""

from pathlib import Path

import numpy as np
import pytest

from charlm.jobs import remember
from charlm.jobs.remember import Remembered, fingerprint


def learn(memory: Remembered, texts: list[str], value: float = -1.0) -> None:
    records, _ = memory.look_up(texts)
    records["log_prob"] = value
    memory.add(records)


def test_what_was_added_is_known_before_and_after_it_is_written(own_cache):
    memory = Remembered("a" * 64)
    learn(memory, ["做作业", "做做业"], -3.5)
    for reader in (memory, Remembered("a" * 64)):
        found, known = reader.look_up(["做做业", "坐坐业", "做作业"])
        if reader is memory:
            assert known.tolist() == [True, False, True] and found["log_prob"].tolist() == [-3.5, 0.0, -3.5]
        else:
            assert not known.any()  # nothing is written yet
    assert memory.save() and memory.waiting == 0
    assert Remembered("a" * 64).look_up(["做作业"])[1].all()
    assert not Remembered("b" * 64).look_up(["做作业"])[1].any()


def test_two_writers_lose_nothing_of_each_other(own_cache):
    one, other = Remembered("a" * 64), Remembered("a" * 64)
    learn(one, ["一"])
    learn(other, ["二"])
    one.save()
    other.save()
    assert Remembered("a" * 64).look_up(["一", "二"])[1].all()


def test_many_additions_become_few_tables_and_all_stay_known(own_cache):
    memory = Remembered("a" * 64)
    for number in range(40):
        learn(memory, [f"text {number}"])
    assert len(memory.new) <= remember.MOST_TABLES and memory.waiting == 40
    assert memory.look_up([f"text {number}" for number in range(40)])[1].all()


def test_no_more_is_kept_than_there_is_room_for(own_cache, monkeypatch):
    monkeypatch.setattr(remember, "MOST_KEPT", 3)
    memory = Remembered("a" * 64)
    learn(memory, ["一", "二"])
    learn(memory, ["三", "四"])  # too many
    learn(memory, ["五"])
    memory.save()
    assert Remembered("a" * 64).look_up(["一", "二", "三", "四", "五"])[1].tolist() == [True, True, False, False, True]


@pytest.mark.parametrize("damage", [b"", b"charlmS0", b"charlmS1" + bytes(16), b"charlmS1" + bytes(57)])
def test_a_damaged_file_is_as_good_as_none(own_cache, damage):
    memory = Remembered("a" * 64)
    learn(memory, ["一"])
    memory.save()
    memory.path.write_bytes(damage)
    assert len(Remembered("a" * 64).kept) == 0


def test_a_fingerprint_hangs_on_every_file_but_history_and_checkpoints(tmp_path):
    (tmp_path / "resume").mkdir()
    for name in ("run.json", "history.jsonl", "resume/checkpoint.safetensors"):
        (tmp_path / name).write_text("1", "utf-8")
    before = fingerprint(tmp_path)
    for name in ("history.jsonl", "resume/checkpoint.safetensors"):
        Path(tmp_path / name).write_text("2", "utf-8")
    assert fingerprint(tmp_path) == before
    (tmp_path / "run.json").write_text("2", "utf-8")
    assert fingerprint(tmp_path) != before
    assert np.array_equal(remember.keys_of(["a", "b"])[1], remember.keys_of(["b"])[0])
