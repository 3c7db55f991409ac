import math
import os
import platform
import subprocess
import sys

import pytest
import torch
from small import recurrent

from charlm import memory
from charlm.config.training import TrainingConfig
from charlm.errors import ConfigError
from charlm.jobs import train as jobs
from charlm.jobs.train import machine_for
from charlm.training import devices
from charlm.training.devices import autocast, choose_device, choose_precision, choose_workers, loss_scale

CPU = torch.device("cpu")


def test_a_named_device_is_taken():
    assert choose_device("cpu") == CPU


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == CPU


@pytest.mark.parametrize("name", ["", "gpu", "cuda:99", "xla", "hpu", "meta", "cpu:x", "privateuseone"])
def test_a_device_that_cannot_hold_numbers_is_refused(name):
    with pytest.raises(ConfigError, match="cannot be used") as caught:
        choose_device(name)
    assert "cpu" in caught.value.hint


@pytest.fixture
def able(monkeypatch):
    """A machine with all kernels, whatever this one has."""
    monkeypatch.setattr(devices, "bf16_fault", lambda device, network=None: None)


def test_a_precision_that_was_asked_for_is_taken(able):
    assert choose_precision("bf16", CPU) == "bf16"
    assert choose_precision("float32", torch.device("cuda")) == "float32"


@pytest.fixture
def untimed():
    """A processor that has not been timed yet, nor after the test."""
    devices._multiplies_faster.cache_clear()
    yield
    devices._multiplies_faster.cache_clear()


@pytest.mark.parametrize(("seconds", "chosen"), [(0.5, "bf16"), (0.9, "float32"), (3.0, "float32")])
def test_auto_takes_bf16_where_it_is_clearly_faster(able, untimed, monkeypatch, seconds, chosen):
    monkeypatch.setattr(devices, "_seconds", lambda dtype, rows: {torch.bfloat16: seconds, torch.float32: 1.0}[dtype])
    assert choose_precision("auto", CPU) == chosen


def test_where_bf16_is_emulated_no_large_product_is_waited_for(able, untimed, monkeypatch):
    sizes = []

    def emulated(dtype, rows):
        sizes.append(rows)
        return 9.0 if dtype == torch.bfloat16 else 1.0

    monkeypatch.setattr(devices, "_seconds", emulated)
    assert choose_precision("auto", CPU) == "float32"
    assert max(sizes) < 16


def test_a_processor_that_grows_busy_is_the_one_it_was(able, untimed, monkeypatch):
    seconds = iter([0.5, 1.0, 0.5, 1.0])
    monkeypatch.setattr(devices, "_seconds", lambda dtype, rows: next(seconds))
    assert [choose_precision("auto", CPU) for _ in range(3)] == ["bf16"] * 3


def test_bf16_is_found_beside_another_program_too_since_one_thread_is_timed(able, untimed, monkeypatch):
    threads = torch.get_num_threads()

    def beside_another(dtype, rows):
        return 1.0 if dtype == torch.float32 else 0.5 if torch.get_num_threads() == 1 else 99.0

    monkeypatch.setattr(devices, "_seconds", beside_another)
    torch.set_num_threads(2)
    try:
        assert choose_precision("auto", CPU) == "bf16" and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


class Unable(torch.autograd.Function):
    """Forward as it should be, and no kernel for the way back."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise RuntimeError("no such primitive for the backward pass")


def test_auto_tries_the_chosen_network_forward_and_backward_and_says_why_it_does_without(monkeypatch):
    monkeypatch.setattr(devices, "_multiplies_faster", lambda: True)
    network = recurrent(cell="gru").small()
    own = network.cells[0].core.forward
    monkeypatch.setattr(network.cells[0].core, "forward", lambda x, state: (Unable.apply(own(x, state)[0]), state))
    with torch.no_grad():
        network(torch.ones(1, 2, dtype=torch.int64), torch.ones(1, 2, dtype=torch.int64), network.initial_state(1))
    said = []
    assert choose_precision("auto", CPU, network, said.append) == "float32"
    assert len(said) == 1 and "no such primitive for the backward pass" in said[0] and "in float32" in said[0]
    with pytest.raises(ConfigError, match="no such primitive"):
        choose_precision("bf16", CPU, network)


def test_a_machine_that_is_not_faster_in_bf16_is_no_news(monkeypatch):
    monkeypatch.setattr(devices, "_multiplies_faster", lambda: False)
    monkeypatch.setattr(devices, "bf16_fault", lambda device, network=None: pytest.fail("nothing to try"))
    assert choose_precision("auto", CPU, None, pytest.fail) == "float32"


def test_what_is_tried_is_a_small_network_of_the_same_kind():
    model = recurrent(40, cell="gru", tied=False, learned_start=True)
    small = model.small()
    assert (small.config.cell, small.config.tied, small.config.learned_start) == ("gru", False, True)
    assert (small.config.layers, small.config.hidden, small.vocab_size) == (2, 8, 8)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the variable is of x86")
def test_bf16_without_kernels_is_refused_with_a_sentence_and_auto_does_without():
    """In a process of its own, since oneDNN reads its variable once."""
    code = """if True:
        import torch
        from charlm.errors import ConfigError
        from charlm.training import devices
        devices._multiplies_faster = lambda: True  # products are fast, layers are not there
        cpu = torch.device("cpu")
        assert devices.bf16_fault(cpu) is not None
        assert devices.choose_precision("auto", cpu) == "float32"
        try:
            devices.choose_precision("bf16", cpu)
        except ConfigError as error:
            print(error, "|", error.hint)
    """
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("--precision bf16 cannot be used on this cpu: ")
    assert "float32" in done.stdout.partition("|")[2]


@pytest.mark.parametrize(
    ("threads", "batch_size", "workers"), [(1, 64, 1), (2, 64, 2), (2, 16, 2), (2, 15, 1), (2, 1, 1), (16, 32, 4)]
)
def test_each_core_takes_rows_of_its_own_if_there_are_enough(monkeypatch, threads, batch_size, workers):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert choose_workers(batch_size, CPU) == workers
    assert choose_workers(batch_size, torch.device("cuda")) == 1


def test_the_loss_is_made_larger_where_half_precision_computes_by_a_power_of_two():
    assert loss_scale("bf16", CPU) == loss_scale("float32", torch.device("cuda")) == 1
    scale = loss_scale("bf16", torch.device("cuda"))
    assert scale > 1 and math.frexp(scale)[0] == 0.5


def test_the_number_of_threads_that_was_asked_for_is_taken_where_it_can_be(monkeypatch):
    model = recurrent()
    assert machine_for(TrainingConfig(device="cpu", precision="float32", workers=3), model).workers == 3
    monkeypatch.setattr(jobs, "choose_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr(jobs, "choose_precision", lambda *asked: "float32")
    assert machine_for(TrainingConfig(workers=1), model).workers == machine_for(TrainingConfig(), model).workers == 1
    with pytest.raises(ConfigError, match="--workers 2 is for one process on a processor"):
        machine_for(TrainingConfig(workers=2), model)


@pytest.mark.parametrize("missing", [OSError, AttributeError, TypeError])
def test_an_allocator_that_takes_no_advice_is_left_as_it_is(monkeypatch, missing):
    def refuse(_):
        raise missing

    monkeypatch.setattr("ctypes.CDLL", refuse)
    memory.keep_freed()


def test_looking_for_kernels_draws_no_random_numbers():
    before = torch.random.get_rng_state()
    devices.bf16_fault(CPU)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_bf16_is_used_within_the_context_only():
    left = torch.ones(2, 2)
    with autocast("bf16", CPU):
        assert (left @ left).dtype == torch.bfloat16
    with autocast("float32", CPU):
        assert (left @ left).dtype == torch.float32
    assert (left @ left).dtype == torch.float32
