import pytest
import torch

from charlm.errors import ConfigError
from charlm.training import devices
from charlm.training.devices import autocast, choose_device, choose_precision

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


def test_a_precision_that_was_asked_for_is_taken():
    assert choose_precision("bf16", CPU) == "bf16"
    assert choose_precision("float32", torch.device("cuda")) == "float32"


@pytest.mark.parametrize(("seconds", "chosen"), [(0.5, "bf16"), (0.9, "float32"), (3.0, "float32")])
def test_auto_takes_bf16_where_it_is_clearly_faster(monkeypatch, seconds, chosen):
    monkeypatch.setattr(devices, "_seconds", {torch.bfloat16: seconds, torch.float32: 1.0}.get)
    assert choose_precision("auto", CPU) == chosen


def test_bf16_is_used_within_the_context_only():
    left = torch.ones(2, 2)
    with autocast("bf16", CPU):
        assert (left @ left).dtype == torch.bfloat16
    with autocast("float32", CPU):
        assert (left @ left).dtype == torch.float32
    assert (left @ left).dtype == torch.float32
