"""Products in bf16 for a model that only reads: where they may be had, and what stays in float32."""

import copy
from contextlib import contextmanager

import pytest
import torch
from small import recurrent

import charlm
from charlm.cli.console import Talk
from charlm.cli.precision import settled
from charlm.errors import ConfigError
from charlm.jobs.named import NamedRuns
from charlm.models.base import branch, rounding_of
from charlm.models.lowered import Lowered
from charlm.nbest import Hypothesis, Utterance
from charlm.training import devices
from charlm.training.devices import choose_reading, lowered, reading

CPU = torch.device("cpu")
PRODUCTS = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]


@pytest.fixture
def with_units(monkeypatch):
    """A processor that says that it multiplies in bf16."""
    monkeypatch.setattr(devices, "_multiplies_within", lambda: True)


@pytest.fixture
def without_units(monkeypatch):
    monkeypatch.setattr(devices, "_multiplies_within", lambda: False)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("precision")
    text = folder / "text.txt"
    text.write_text("今天天气好\n明天天气不好\n" * 8, "utf-8")
    charlm.train(text, folder / "run", hidden=8, embedding=8, layers=1, steps=2, validations=1)
    return folder / "run"


def test_auto_takes_bf16_where_there_are_units_and_else_stays_exact(with_units, monkeypatch):
    assert choose_reading("auto", CPU) == choose_reading("bf16", CPU) == "bf16"
    assert choose_reading("float32", CPU) == "float32"
    monkeypatch.setattr(devices, "_multiplies_within", lambda: False)
    assert choose_reading("auto", CPU) == "float32"


def test_bf16_that_would_change_nothing_is_refused(without_units):
    with pytest.raises(ConfigError, match="no units"):
        choose_reading("bf16", CPU)


def test_float32_asks_nothing_of_the_machine(monkeypatch):
    monkeypatch.setattr(devices, "_multiplies_within", lambda: pytest.fail("float32 needs no units"))
    model = recurrent()
    assert lowered(model, "float32", CPU) is model


def test_products_are_lowered_within_and_as_before_afterwards():
    before = PRODUCTS.fp32_precision
    with reading("bf16", CPU):
        assert PRODUCTS.fp32_precision == "bf16"
    assert PRODUCTS.fp32_precision == before
    with pytest.raises(KeyError), reading("bf16", CPU):
        raise KeyError
    assert PRODUCTS.fp32_precision == before


def test_every_call_of_a_model_happens_within_and_what_it_lacks_it_lacks():
    within = []

    @contextmanager
    def computing():
        within.append(True)
        yield
        within.pop()

    class Model:
        vocab_size, rounding = 3, "rounded"

        def step(self, ids, state):
            return len(within), state

        def score(self, inputs, targets, state):
            return len(within), state

    model = Lowered(Model(), computing)
    assert model.step(None, ())[0] == model.score(None, None, ())[0] == 1 and not within
    assert model.vocab_size == 3 and rounding_of(model) == "rounded"
    assert not hasattr(model, "branch") and not hasattr(model, "renewed")
    assert copy.deepcopy(model).step(None, ())[0] == 1


def test_a_lowered_model_offers_what_it_has_and_its_probabilities_add_to_one(with_units):
    plain = recurrent(dtype=torch.float32, hidden=32, embedding=16)
    model = lowered(plain, "bf16", CPU)
    ids = torch.tensor([0, 3, 5])
    with torch.no_grad():
        log_probs, state = model.step(ids, model.initial_state(3))
        assert torch.allclose(log_probs.exp().sum(-1), torch.ones(3), atol=1e-5)
        exact, _ = plain.step(ids, plain.initial_state(3))
        assert torch.allclose(log_probs, exact, atol=0.05) and all(leaf.dtype == torch.float32 for leaf in state)
        some, _ = branch(model, ids, state, torch.tensor([0, 1, 2]), torch.tensor([2, 3, 4]))
        assert some.shape == (3,)


def test_figures_of_bf16_are_near_those_of_float32(run):
    """On a processor without units for it, the same; with them, near."""
    texts = ["今天天气好", "明天不好"]
    exact, near = charlm.runs.run.load(run), charlm.runs.run.load(run, precision="auto")
    for one, other in zip(exact.score(texts), near.score(texts), strict=True):
        assert other.log_prob == pytest.approx(one.log_prob, abs=0.05 * one.tokens)


def test_scores_in_bf16_are_remembered_apart_from_exact_ones(run, own_cache, with_units):
    lists = [Utterance("a", (Hypothesis("今天天气好"), Hypothesis("明天天气好")))]
    told = []
    for precision in ("float32", "bf16", "float32", "bf16"):
        with NamedRuns({"lm": run}, precision=precision) as runs:
            runs.brought(lists, "cer", ["lm"])
        told.append((runs.computed, runs.recalled))
    assert told == [(2, 0), (2, 0), (0, 2), (0, 2)]


def test_the_command_tells_what_auto_took_and_refuses_other_names(with_units, capsys):
    with Talk(False) as talk:
        assert settled("auto", "cpu", talk) == "bf16"
        assert settled("float32", "cpu", talk) == "float32"
        with pytest.raises(ConfigError, match="bf61"):
            settled("bf61", "cpu", talk)
    assert capsys.readouterr().err.count("bf16") == 1
