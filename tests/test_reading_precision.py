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
from charlm.models import lowered as module
from charlm.models.base import branch, rounding_of
from charlm.models.lowered import Lowered, choose_drawing, choose_reading, lowered, reading
from charlm.models.mixture import Mixture
from charlm.models.products import few_by_matrix, linear, many_by_matrix, may_pack, packed
from charlm.nbest import Hypothesis, Utterance

CPU = torch.device("cpu")
packs = pytest.mark.skipif(not may_pack(), reason="this torch has no FBGEMM for this processor")
PRODUCTS = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]


@pytest.fixture
def with_units(monkeypatch):
    """A processor that says that it multiplies in bf16."""
    monkeypatch.setattr(module, "_multiplies_within", lambda: True)


@pytest.fixture
def without_units(monkeypatch):
    monkeypatch.setattr(module, "_multiplies_within", lambda: False)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("precision")
    text = folder / "text.txt"
    text.write_text("今天天气好\n明天天气不好\n" * 8, "utf-8")
    charlm.train(text, folder / "run", hidden=8, embedding=8, layers=1, steps=2, validations=1)
    return folder / "run"


@pytest.mark.parametrize(
    ("units", "packs", "auto"), [(True, True, "bf16"), (False, True, "fp16"), (False, False, "float32")]
)
def test_auto_takes_what_the_machine_has(monkeypatch, units, packs, auto):
    monkeypatch.setattr(module, "_multiplies_within", lambda: units)
    monkeypatch.setattr(module, "may_pack", lambda: packs)
    assert choose_reading("auto", CPU) == auto
    assert choose_reading("float32", CPU) == "float32"
    assert choose_drawing(CPU) == ("fp16" if packs else "float32")
    assert choose_drawing(torch.device("meta")) == "float32"
    if not packs:
        with pytest.raises(ConfigError, match="fp16"):
            choose_reading("fp16", CPU)


def test_bf16_that_would_change_nothing_is_refused(without_units):
    with pytest.raises(ConfigError, match="no units"):
        choose_reading("bf16", CPU)


def test_threads_that_read_at_once_leave_the_setting_as_it_was():
    """One came in and one went out in between, and the setting stayed on for good."""
    before = PRODUCTS.fp32_precision
    one, other = reading("bf16", {}), reading("bf16", {})
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert PRODUCTS.fp32_precision == "bf16"
    other.__exit__(None, None, None)
    assert PRODUCTS.fp32_precision == before


@pytest.mark.parametrize("name", ["fp8", "", "half"])
def test_a_precision_that_is_none_is_a_charlm_error(name, run):
    with pytest.raises(ConfigError, match="no precision is called"):
        charlm.load(run, "cpu", precision=name)


def test_another_device_than_a_processor_reads_in_float32():
    other = torch.device("meta")
    assert choose_reading("auto", other) == choose_reading("float32", other) == "float32"
    for precision in ("fp16", "bf16"):
        with pytest.raises(ConfigError, match="is for processors"):
            choose_reading(precision, other)


@pytest.mark.parametrize(("rounded", "units"), [(0.0, False), (1e-6, False), (3e-3, True)])
def test_another_order_of_sums_is_not_taken_for_bf16(monkeypatch, rounded, units):
    """AVX-512 without such units multiplies otherwise where bf16 is allowed, and gains nothing."""
    real = torch.mm
    monkeypatch.setattr(torch, "mm", lambda a, b: real(a, b) * (1 + rounded * (PRODUCTS.fp32_precision == "bf16")))
    assert module._multiplies_within() == units


def test_float32_asks_nothing_of_the_machine(monkeypatch):
    monkeypatch.setattr(module, "_multiplies_within", lambda: pytest.fail("float32 needs no units"))
    model = recurrent()
    assert lowered(model, "float32", CPU) is model


def test_products_are_lowered_within_and_as_before_afterwards():
    before = PRODUCTS.fp32_precision
    with reading("bf16", {}):
        assert PRODUCTS.fp32_precision == "bf16"
    assert PRODUCTS.fp32_precision == before
    with pytest.raises(KeyError), reading("bf16", {}):
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


@packs
@pytest.mark.parametrize("lists", [False, True])
def test_a_run_in_fp16_gives_other_scores_than_in_float32_but_near_ones(run, lists):
    texts = ["今天天气好", "明天不好"]
    found = []
    for precision in ("float32", "fp16"):
        loaded = charlm.load(run, "cpu", precision=precision)
        found.append(loaded.score_lists([texts])[0] if lists else loaded.score(texts))
    for exact, near in zip(*found, strict=True):
        assert near.log_prob == pytest.approx(exact.log_prob, abs=0.01 * exact.tokens)
    assert [near.log_prob for near in found[1]] != [exact.log_prob for exact in found[0]]


@packs
def test_members_of_a_mixture_are_lowered_with_it():
    """They were measured exactly and the mixture was not, so its gain was of two kinds of figures."""
    members = [recurrent(40, dtype=torch.float32, hidden=32, seed=seed) for seed in (1, 2)]
    plain = Mixture(members, torch.tensor([[0.5, 0.5]]))
    model = lowered(plain, "fp16", CPU)
    ids = torch.arange(20)
    with torch.no_grad():
        for number, member in enumerate(model.members):
            near, _ = member.step(ids, member.initial_state(20))
            exact, _ = members[number].step(ids, members[number].initial_state(20))
            assert not torch.equal(near, exact) and torch.allclose(near, exact, atol=5e-3)
        near, _ = model.step(ids, model.initial_state(20))
        exact, _ = plain.step(ids, plain.initial_state(20))
    assert not torch.equal(near, exact) and torch.allclose(near, exact, atol=5e-3)


@packs
def test_a_model_that_fills_blanks_can_be_read_in_fp16(tmp_path):
    (tmp_path / "text.txt").write_text("今天天气好\n明天天气不好\n" * 8, "utf-8")
    knobs = {"hidden": 8, "embedding": 8, "layers": 1, "steps": 2, "validations": 1}
    charlm.train(tmp_path / "text.txt", tmp_path / "run", model="cloze", **knobs)
    exact, near = (charlm.load_cloze(tmp_path / "run", "cpu", precision) for precision in ("float32", "fp16"))
    (one,), (other,) = exact.score(["今天不好"]), near.score(["今天不好"])
    assert other.pll == pytest.approx(one.pll, abs=0.01 * one.tokens)


@packs
def test_rounded_scores_are_remembered_apart_from_exact_ones(run, own_cache, with_units):
    lists = [Utterance("a", (Hypothesis("今天天气好"), Hypothesis("明天天气好")))]
    told = []
    for precision in ("float32", "bf16", "fp16", "float32", "bf16", "fp16"):
        with NamedRuns({"lm": run}, precision=precision) as runs:
            runs.brought(lists, "cer", ["lm"])
        told.append((runs.computed, runs.recalled))
    assert told == [(2, 0)] * 3 + [(0, 2)] * 3


def test_the_command_tells_what_auto_took_and_refuses_other_names(with_units, capsys):
    with Talk(False) as talk:
        assert settled("auto", "cpu", talk) == "bf16"
        assert settled("float32", "cpu", talk) == "float32"
        with pytest.raises(ConfigError, match="bf61"):
            settled("bf61", "cpu", talk)
    assert capsys.readouterr().err.count("bf16") == 1


# ── matrices in half precision ──────────────────────────────────────────────────────────────────


@packs
@pytest.mark.parametrize("product", [few_by_matrix, many_by_matrix, linear])
@pytest.mark.parametrize("rows", [1, 15, 16, 40, 300])
def test_a_product_with_a_packed_matrix_is_near_the_exact_one(product, rows):
    torch.manual_seed(1)
    x, weight, bias = torch.randn(rows, 48), torch.randn(70, 48) / 7, torch.randn(70)
    exact = product(x, weight, bias)
    with packed({}):
        rounded = product(x, weight, bias)
    assert rounded.shape == exact.shape and rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0, atol=5e-3)
    assert not torch.equal(rounded, exact) and torch.equal(product(x, weight, bias), exact)


@packs
def test_of_a_row_only_last_bits_hang_on_what_stands_beside_it():
    torch.manual_seed(1)
    x, weight, bias = torch.randn(40, 48), torch.randn(70, 48), torch.randn(70)
    with packed({}):
        whole = few_by_matrix(x, weight, bias)
        for rows in range(1, 40):
            torch.testing.assert_close(few_by_matrix(x[:rows], weight, bias), whole[:rows], rtol=1e-5, atol=1e-5)


@packs
def test_each_matrix_is_packed_once_and_wider_numbers_stay_exact():
    store, x, weights = {}, torch.randn(2, 8), [torch.randn(4, 8), torch.randn(4, 8)]
    with packed(store):
        for _ in range(3):
            for weight in weights:
                few_by_matrix(x, weight, torch.zeros(4))
        assert len(store) == 2
        wide = few_by_matrix(x.double(), weights[0].double(), torch.zeros(4, dtype=torch.float64))
    assert wide.dtype == torch.float64 and len(store) == 2


def test_a_torch_without_such_products_packs_nothing(monkeypatch):
    def refuse(*_):
        raise RuntimeError("no engine")

    monkeypatch.setattr("charlm.models.products._half", refuse)
    assert not may_pack()


@packs
@pytest.mark.parametrize("knobs", [{}, {"tied": False}, {"skips": True, "layers": 3}, {"cell": "gru"}], ids=str)
def test_a_network_in_fp16_says_nearly_what_it_says_exactly(knobs):
    plain = recurrent(40, dtype=torch.float32, hidden=64, embedding=48, **knobs)
    model = lowered(plain, "fp16", CPU)
    ids = torch.arange(20) % 40
    with torch.no_grad():
        exact, state = plain.step(ids, plain.initial_state(20))
        near, after = model.step(ids, model.initial_state(20))
        assert torch.allclose(near, exact, atol=5e-3) and not torch.equal(near, exact)
        assert torch.allclose(near.exp().sum(-1), torch.ones(20), atol=1e-5)
        rows = torch.arange(20)
        some, _ = branch(model, ids, after, rows, rows + 1)
        true, _ = branch(plain, ids, state, rows, rows + 1)
        assert torch.allclose(some, true, atol=5e-3)


@packs
def test_what_learns_is_multiplied_exactly():
    """Such products have no gradient, and would have left a bias to learn alone."""
    x, weight, bias = torch.randn(3, 8, requires_grad=True), torch.randn(4, 8), torch.zeros(4)
    exact = few_by_matrix(x, weight, bias)
    with packed({}):
        assert torch.equal(few_by_matrix(x, weight, bias), exact)
        few_by_matrix(x, weight, bias).sum().backward()
    assert x.grad is not None and linear(torch.empty(0, 5, 8), weight, bias).shape == (0, 5, 4)
