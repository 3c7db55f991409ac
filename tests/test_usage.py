"""What a run keeps of the machine's work: energy by planted counters, the products of a step, the record itself."""

import json
import math
from pathlib import Path

import pytest
import torch
from commands.conftest import CORPORA, TINY
from small import recurrent
from typer.testing import CliRunner

from charlm import energy
from charlm.cli.app import app
from charlm.config.models import UnigramConfig
from charlm.config.training import TrainingConfig
from charlm.energy import Meter
from charlm.jobs import record
from charlm.jobs.record import Usage
from charlm.models.base import Product
from charlm.models.unigram import Unigram
from charlm.training.ceiling import step_seconds
from charlm.training.devices import Machine
from charlm.training.journal import Notice

CPU = torch.device("cpu")


def domain(folder: Path, name: str, what: str, energy: str, most: str = "1000000") -> Path:
    place = folder / name
    place.mkdir(parents=True)
    for file, text in (("name", what), ("energy_uj", energy), ("max_energy_range_uj", most)):
        (place / file).write_text(text + "\n", "ascii")
    return place / "energy_uj"


# ── energy ──────────────────────────────────────────────────────────────────────────────────────


def test_packages_add_up_and_what_is_inside_them_is_not_counted_twice(tmp_path):
    first = domain(tmp_path, "intel-rapl:0", "package-0", "400000")
    second = domain(tmp_path, "intel-rapl:1", "package-1", "0")
    inside = domain(tmp_path, "intel-rapl:0:0", "core", "0")
    system = domain(tmp_path, "intel-rapl:2", "psys", "0")
    meter = Meter(tmp_path)
    assert meter.joules() == 0
    for counter, text in ((first, "650000"), (second, "500000"), (inside, "900000"), (system, "999999")):
        counter.write_text(text, "ascii")
    assert meter.joules() == pytest.approx(0.75)


def test_a_counter_that_begins_anew_goes_on(tmp_path):
    counter = domain(tmp_path, "intel-rapl:0", "package-0", "900000")
    meter = Meter(tmp_path)
    for text in ("100000", "950000", "50000"):
        counter.write_text(text, "ascii")
        used = meter.joules()
    assert used == pytest.approx(0.2 + 0.85 + 0.1)


@pytest.mark.parametrize("damage", ["no folder", "no domains", "unreadable", "no number"])
def test_what_cannot_be_read_is_none(tmp_path, damage):
    folder = tmp_path / "powercap"
    if damage != "no folder":
        folder.mkdir()
    if damage in ("unreadable", "no number"):
        counter = domain(folder, "intel-rapl:0", "package-0", "many")
        if damage == "unreadable":
            counter.unlink()
            counter.mkdir()  # so that the administrator cannot read it either
    assert Meter(folder).joules() is None


def test_a_counter_that_is_lost_on_the_way_gives_no_figure(tmp_path):
    counter = domain(tmp_path, "intel-rapl:0", "package-0", "5")
    meter = Meter(tmp_path)
    counter.unlink()
    assert meter.joules() is None and meter.joules() is None


# ── the ceiling ─────────────────────────────────────────────────────────────────────────────────


def test_the_products_of_a_step_are_those_of_its_matrices():
    found = recurrent(40, hidden=5, embedding=4).products(3, 6)
    assert found == [
        Product(18, 4, 20),  # what the first layer reads, four gates
        Product(3, 5, 20, 6),  # its own state, one position after the other
        Product(18, 5, 20),
        Product(3, 5, 20, 6),
        Product(18, 5, 4),  # down to the width of the embedding
        Product(18, 4, 40),
    ]
    assert recurrent(40, cell="gru", tied=False, layers=1).products(2, 3) == [
        Product(6, 4, 15), Product(2, 5, 15, 3), Product(6, 5, 40)
    ]  # fmt: skip


def test_a_sampled_output_has_the_products_of_its_share(monkeypatch):
    monkeypatch.setattr("charlm.models.network.SMALLEST_SAMPLED", 40)
    *_, sampled, whole = recurrent(40, sampled=0.2).products(3, 6)
    assert sampled == Product(18, 4, 5 + 8, 0.8)
    assert whole[:3] == (18, 4, 40) and whole.times == pytest.approx(0.2)


def test_the_time_of_a_step_is_that_of_its_products_drawn_out_to_all_rows(monkeypatch):
    shapes = []

    def timed(work, device):
        monkeypatch.setattr(torch, "mm", lambda a, b: shapes.append((tuple(a.shape), tuple(b.shape), a.dtype)))
        work()
        return 1.0 if len(shapes) % 3 == 2 else 10.0

    monkeypatch.setattr("charlm.training.ceiling._best", timed)
    seconds = step_seconds([Product(100, 3, 7), Product(4, 5, 6, 25)], "bf16", CPU, most_rows=50)
    half = torch.bfloat16
    assert shapes == [
        ((50, 3), (3, 7), half), ((50, 7), (7, 3), half), ((3, 50), (50, 7), half),
        ((4, 5), (5, 6), half), ((4, 6), (6, 5), half), ((5, 50), (50, 6), half),
    ]  # fmt: skip
    assert seconds == 2 * 1 + 2 * 10 + 25 * 1 + 2 * 10


def test_products_take_time_in_both_precisions():
    for precision in ("float32", "bf16"):
        assert 0 < step_seconds([Product(8, 4, 4)], precision, CPU) < math.inf


# ── the record ──────────────────────────────────────────────────────────────────────────────────


def test_a_record_has_what_can_be_known(monkeypatch, tmp_path):
    counter = domain(tmp_path, "intel-rapl:0", "package-0", "0")
    monkeypatch.setattr(record, "Meter", lambda: energy.Meter(tmp_path))
    monkeypatch.setattr(record, "step_seconds", lambda *_, **__: 2.0)
    monkeypatch.setattr("charlm.memory.peak", lambda: 7 << 20)
    heard = []
    usage = Usage(heard.append)
    counter.write_text("500000", "ascii")
    usage(Notice("on the way"))
    counter.write_text("100000", "ascii")  # begun anew
    config = TrainingConfig(batch_size=10, window=20)
    assert usage.record(recurrent(), config, Machine(CPU, "float32"), 25.0) == {
        "peak_memory": 7 << 20,
        "joules": 1.1,
        "tokens_per_second": 25.0,
        "ceiling": 100.0,
        "share_of_ceiling": 0.25,
    }
    assert heard == [Notice("on the way")]


def test_what_counts_has_no_ceiling_and_what_cannot_be_read_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr(record, "Meter", lambda: energy.Meter(tmp_path))
    monkeypatch.setattr("charlm.memory.peak", lambda: 0)
    counts = Unigram.from_counts([1, 2], UnigramConfig())
    assert Usage(lambda _: None).record(counts, TrainingConfig(), Machine(CPU, "float32"), None) == {}


def test_a_run_keeps_its_record_and_info_shows_it(tmp_path):
    def call(*arguments: object) -> str:
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        assert result.exit_code == 0, result.stderr
        return result.stdout

    run = tmp_path / "run"
    call("train", CORPORA / "everyday.zh.txt", *TINY, "--steps", 3, "--precision", "float32", "--run", run)
    usage = json.loads((run / "run.json").read_text("utf-8"))["usage"]
    assert {"tokens_per_second", "ceiling", "share_of_ceiling", "peak_memory"} <= set(usage)
    assert 0 < usage["share_of_ceiling"] == pytest.approx(usage["tokens_per_second"] / usage["ceiling"], abs=0.001)
    assert usage["peak_memory"] > 1 << 20
    shown = call("run", "info", run)
    assert " tokens/s, " in shown and "% of what its matrix products alone would reach here" in shown
    assert json.loads(call("run", "info", run, "--json"))["usage"] == usage
    call("run", "check", run)
    call("train", "--resume", run, "--steps", 5, "--quiet")
    assert json.loads((run / "run.json").read_text("utf-8"))["usage"] != usage
