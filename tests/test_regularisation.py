"""What makes a network learn more from little text: the numbers of each knob, and the same training after a stop."""

import pytest
import torch
from small import recurrent
from test_gradient import READINGS, assert_same_training, network, train
from torch import nn

from charlm.config.networks import RecurrentConfig
from charlm.config.training import TrainingConfig
from charlm.errors import ConfigError
from charlm.models import stack as of_stacks
from charlm.models.cells import CELLS
from charlm.models.cells.peephole import lstm_capped
from charlm.models.dropout import UnitDropout, WeightDrop, WordDropout, give_generator
from charlm.models.recurrent import Recurrent, activation_penalty
from charlm.training.devices import Machine, bf16_fault
from charlm.training.gradient import fit
from charlm.training.journal import MemoryJournal

IDS = torch.tensor([[0, 2, 3, 4, 2, 6, 0], [0, 6, 6, 1, 5, 2, 3]])
DRAWING = ["word_dropout", "weight_drop", "input_dropout", "between_dropout", "output_dropout"]


def learning(model, seed=1):
    give_generator(model, torch.Generator().manual_seed(seed))
    return model.train()


# ── words ───────────────────────────────────────────────────────────────────────────────────────


def test_a_word_is_dropped_wherever_it_stands_and_the_others_are_scaled_up():
    vectors = torch.ones(*IDS.shape, 3)
    found = learning(WordDropout(0.6))(IDS, vectors, 7)[..., 0]
    kept = torch.empty(7).bernoulli_(0.4, generator=torch.Generator().manual_seed(1)) / 0.4
    assert 0 < (kept == 0).sum() < 7
    torch.testing.assert_close(found, kept[IDS])


@pytest.mark.parametrize("kind", [UnitDropout, WordDropout, WeightDrop])
def test_nothing_is_dropped_where_nothing_is_learned_or_asked_for(kind):
    vectors = torch.ones(2, 7, 3)
    given = (IDS, vectors, 7) if kind is WordDropout else (vectors,)
    assert kind(0.5).eval()(*given) is vectors
    assert learning(kind(0.0))(*given) is vectors


def test_the_output_still_knows_a_word_that_cannot_be_read():
    model = learning(recurrent(tied=True, word_dropout=0.9999))
    model.forward(IDS[:, :-1], IDS[:, 1:], model.initial_state(2))[0].sum().backward()
    assert model.embedding.weight.grad.abs().sum(1).count_nonzero() == 7


# ── weights ─────────────────────────────────────────────────────────────────────────────────────


def test_a_weight_is_dropped_or_scaled_up_and_its_gradient_with_it():
    weight = torch.randn(30, 41, dtype=torch.float64, requires_grad=True)
    dropped = learning(WeightDrop(0.25))(weight)
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], weight[kept] / 0.75)
    assert kept.double().mean().item() == pytest.approx(0.75, abs=0.05)
    dropped.sum().backward()
    torch.testing.assert_close(weight.grad, kept.double() / 0.75)


DROPPING = [name for name in CELLS if hasattr(CELLS[name](4, 6), "drop_weights")]


def test_the_fused_cells_drop_weights():
    assert set(DROPPING) == {"lstm", "gru", "rnn-tanh", "rnn-relu"}


def test_eight_weights_that_share_a_number_are_dropped_apart():
    kept = learning(WeightDrop(0.5))(torch.ones(4000, 8)) != 0
    together = kept.double().t().corrcoef() - torch.eye(8, dtype=torch.float64)
    assert together.abs().max() < 0.06 and (kept.double().mean(0) - 0.5).abs().max() < 0.03


@pytest.mark.parametrize("name", DROPPING)
def test_a_cell_that_drops_weights_is_the_same_cell_with_others(name):
    torch.manual_seed(2)
    cell = CELLS[name](4, 6).double()
    x, state = torch.randn(3, 5, 4).double(), tuple(torch.randn(3, 6).double() for _ in cell.initial_state(3))
    cell.drop_weights(0.5)
    found = learning(cell)(x, state)
    (across,) = (p for n, p in cell.named_parameters() if "weight_hh" in n)
    drop = learning(WeightDrop(0.5))
    with torch.no_grad():
        across.copy_(drop(across))
    expected = cell.eval()(x, state)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", DROPPING)
def test_gradient_reaches_every_weight_that_was_not_dropped(name):
    torch.manual_seed(2)
    cell = CELLS[name](4, 6).double()
    cell.drop_weights(0.5)
    state = tuple(torch.rand(3, 6).double() for _ in cell.initial_state(3))
    learning(cell)(torch.rand(3, 5, 4).double(), state)[0].square().sum().backward()
    (across,) = (p for n, p in cell.named_parameters() if "weight_hh" in n)
    dropped = learning(WeightDrop(0.5))(torch.ones_like(across)) == 0
    assert not across.grad[dropped].any() and across.grad[~dropped].count_nonzero() > 0


# ── units ───────────────────────────────────────────────────────────────────────────────────────


def test_each_place_of_dropout_has_its_rate_and_the_common_one_by_default():
    assert RecurrentConfig(dropout=0.2).dropouts == (0.2, 0.2, 0.2)
    assert RecurrentConfig(dropout=0.2, input_dropout=0.0, output_dropout=0.5).dropouts == (0.0, 0.2, 0.5)
    model = recurrent(dropout=0.2, between_dropout=0.4)
    assert [d.rate for d in (model.input_dropout, model.between_dropout, model.output_dropout)] == [0.2, 0.4, 0.2]


def test_units_are_dropped_for_a_window_or_anew_for_each_token():
    x = torch.ones(3, 40, 50)
    locked = learning(UnitDropout(0.25))(x)
    assert torch.equal(locked, locked[:, :1].expand_as(locked)) and not torch.equal(locked[0], locked[1])
    torch.testing.assert_close(locked.unique(), torch.tensor([0.0, 4 / 3]))
    fresh = learning(UnitDropout(0.25, fresh=True))(x)
    assert len(fresh.flatten(0, 1).unique(dim=0)) == 120  # every token of every row has a mask of its own
    torch.testing.assert_close(fresh.unique(), torch.tensor([0.0, 4 / 3]))
    assert (fresh > 0).double().mean().item() == pytest.approx(0.75, abs=0.02)


def test_every_place_of_dropout_is_fresh_where_it_is_asked_for():
    for knobs in ({}, {"fresh_dropout": True}):
        model = recurrent(dropout=0.2, **knobs)
        places = model.input_dropout, model.between_dropout, model.output_dropout
        assert {place.fresh for place in places} == {bool(knobs)}


@pytest.mark.parametrize("place", ["input_dropout", "between_dropout", "output_dropout"])
def test_dropout_acts_at_its_place_alone(place):
    model = learning(recurrent(layers=3, tied=False, **{place: 0.5}))
    seen = {}
    for name in ("input_dropout", "between_dropout", "output_dropout"):
        module = getattr(model, name)
        module.register_forward_hook(
            lambda _, given, found, name=name: seen.setdefault(name, []).append((*given, found))
        )
    model.read(IDS, model.initial_state(2))
    assert [len(seen[name]) for name in ("input_dropout", "between_dropout", "output_dropout")] == [1, 2, 1]
    changed = {name for name, calls in seen.items() for given, found in calls if not torch.equal(given, found)}
    assert changed == {place}


def test_penalties_are_those_of_the_paper():
    said = torch.tensor([[[1.0, 3.0], [2.0, 1.0], [2.0, 1.0]]])
    dropped = said * torch.tensor([2.0, 0.0])
    found = activation_penalty(said, dropped, ar=2.0, tar=3.0)
    # 2 · (4 + 0) / 2;  2 · (16 + 0) / 2 + 3 · (1 + 4) / 2;  2 · 16 / 2 + 0
    torch.testing.assert_close(found, torch.tensor([[4.0, 16.0 + 7.5, 16.0]]))


@pytest.mark.parametrize("sampled", [False, True])
def test_penalties_are_in_the_gradient_and_not_in_the_figures(sampled, monkeypatch):
    monkeypatch.setattr("charlm.models.network.SMALLEST_SAMPLED", 2)
    knobs = {"tied": False, "sampled": 0.9 if sampled else 0.0}
    plain, penalised = learning(recurrent(**knobs)), learning(recurrent(ar=0.3, tar=0.7, **knobs))
    for model in (plain, penalised):
        model.at(0.0)
        assert model.samples == sampled
    given = IDS[:, :-1], IDS[:, 1:], plain.initial_state(2)
    some, _ = plain.forward(*given)
    other, _ = penalised.forward(*given)
    assert torch.equal(some, other)
    said, _ = plain._layers(given[0], given[2])
    total = -some.sum() + activation_penalty(said, said, 0.3, 0.7).sum()
    expected = torch.autograd.grad(total, list(plain.parameters()), allow_unused=True)
    found = torch.autograd.grad(-other.sum(), list(penalised.parameters()), allow_unused=True)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs)


# ── layers and gates ────────────────────────────────────────────────────────────────────────────


def test_what_a_layer_reads_is_added_to_what_it_says():
    model = recurrent(layers=3, tied=False, skips=True)
    x, state = model.embed(IDS), model.initial_state(2)
    first, _ = model.cells[0](x, tuple(leaf[:, 0] for leaf in state))
    second = first + model.cells[1](first, tuple(leaf[:, 1] for leaf in state))[0]
    third = second + model.cells[2](second, tuple(leaf[:, 2] for leaf in state))[0]
    torch.testing.assert_close(model.read(IDS, state)[0], third)
    torch.testing.assert_close(model.trace(IDS, state)["hidden"], torch.stack([first, second, third], dim=2))


def capped(forget: float):
    torch.manual_seed(4)
    cell = lstm_capped(4, 6).double()
    cell.begin_to_forget(forget)
    return cell


def test_a_capped_lstm_is_an_lstm_where_the_cap_does_not_reach():
    ours, theirs = capped(-30.0), nn.LSTM(4, 6, batch_first=True).double()
    with torch.no_grad():
        order = torch.arange(24).view(4, 6)[[0, 1, 3, 2]].flatten()  # torch has the output gate last
        theirs.weight_ih_l0.copy_(ours.step.weight_ih[order])
        theirs.weight_hh_l0.copy_(ours.step.weight_hh[order])
        theirs.bias_ih_l0.copy_(ours.step.bias[order])
        theirs.bias_hh_l0.zero_()
    x, state = torch.randn(3, 5, 4).double(), tuple(torch.randn(3, 6).double() for _ in range(2))
    hidden, (last, memory) = theirs(x, tuple(leaf[None] for leaf in state))
    torch.testing.assert_close(ours(x, state), (hidden, (last[0], memory[0])))


def test_a_cap_keeps_input_and_forget_gate_within_one_and_the_memory_bounded():
    cell = capped(1.0)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.mul_(5)
    x, state = 10 * torch.randn(3, 50, 4).double(), cell.initial_state(3)
    gates = cell.trace(x, state)
    together = gates["input"] + gates["forget"]
    assert together.max() <= 1 + 1e-12 and (together > 1 - 1e-12).any() and (together < 0.99).any()
    assert cell(x, state)[1][1].abs().max() <= 1


def test_one_step_of_a_capped_lstm_by_hand():
    cell = lstm_capped(1, 1).double()
    with torch.no_grad():
        cell.step.weight_ih.copy_(torch.tensor([[2.0], [1.0], [-1.0], [0.5]]))
        cell.step.weight_hh.copy_(torch.tensor([[0.0], [0.0], [0.0], [1.0]]))
        cell.step.bias.zero_()
    sigmoid = torch.tensor([2.0, 1.0, -1.0], dtype=torch.float64).sigmoid()
    forget, opened = sigmoid[1], sigmoid[2]
    assert sigmoid[0] > 1 - forget  # the cap holds
    memory = forget * 0.5 + (1 - forget) * torch.tensor(0.5 + 0.2, dtype=torch.float64).tanh()
    hidden, state = cell(
        torch.ones(1, 1, 1).double(), (torch.full((1, 1), 0.2).double(), torch.full((1, 1), 0.5).double())
    )
    torch.testing.assert_close(state[1][0, 0], memory)
    torch.testing.assert_close(hidden[0, 0, 0], opened * memory.tanh())


@pytest.mark.parametrize("cell", ["lstm", "lstm-capped"])
def test_forget_gates_begin_where_they_are_told(cell):
    told, plain = (begun(cell, bias) for bias in (2.5, 1.0))
    changed = {name for name, tensor in told.items() if not torch.equal(tensor, plain[name])}
    assert len(changed) == 2 and all("bias" in name for name in changed)
    for name in changed:
        assert told[name].chunk(4)[1].tolist() == [2.5] * 5 and not told[name].chunk(4)[0].any()


def begun(cell: str, bias: float) -> dict:
    torch.manual_seed(1)
    config = RecurrentConfig(cell=cell, forget_bias=bias, layers=2, hidden=5, embedding=4)
    return Recurrent(config, 9).state_dict()


# ── refusals ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        *(({name: 1.0}, f"--{name.replace('_', '-')} must be at least 0 and below 1, not 1.0") for name in DRAWING),
        ({"ar": -1.0}, "--ar must be 0 or more and finite"),
        ({"tar": float("nan")}, "--tar must be 0 or more and finite"),
        ({"forget_bias": float("inf")}, "--forget-bias must be finite"),
        ({"between_dropout": 0.1, "layers": 1}, "--between-dropout lies between two layers"),
    ],
    ids=str,
)
def test_impossible_values_are_refused(knobs, said):
    with pytest.raises(ConfigError, match=said):
        RecurrentConfig(**knobs)


def test_a_knob_of_cells_is_refused_for_a_cell_that_has_it_not(monkeypatch):
    with pytest.raises(ConfigError, match="--forget-bias 2 is not for --cell gru"):
        recurrent(cell="gru", forget_bias=2.0)

    class Bare(nn.GRU):
        def initial_state(self, batch_size):
            return (torch.zeros(batch_size, 5),)

    monkeypatch.setattr(of_stacks, "CELLS", {"gru": Bare})
    with pytest.raises(ConfigError, match=r"--weight-drop 0\.5 is not for --cell gru"):
        recurrent(cell="gru", weight_drop=0.5)


# ── resuming ────────────────────────────────────────────────────────────────────────────────────

ALL = {
    "skips": True,
    "word_dropout": 0.2,
    "weight_drop": 0.3,
    "input_dropout": 0.1,
    "between_dropout": 0.2,
    "output_dropout": 0.4,
    "ar": 0.5,
    "tar": 0.5,
}


UNFUSED = {name: value for name, value in ALL.items() if name != "weight_drop"}

CASES = [
    *(("stripes", 2, {name: value}) for name, value in ALL.items()),
    *(("buckets", 1, {name: 0.4}) for name in DRAWING),
    ("buckets", 1, {"dropout": 0.4, "fresh_dropout": True}),
    ("buckets", 1, ALL),
    ("buckets", 2, ALL),
    ("stripes", 1, {**UNFUSED, "cell": "lstm-capped"}),
]


@pytest.mark.parametrize(("reading", "workers", "knobs"), CASES, ids=str)
def test_a_training_with_it_goes_on_as_if_it_had_never_stopped(reading, workers, knobs):
    texts, rest = READINGS[reading], {"steps": 7, "validations": 2, "workers": workers}
    whole = train(texts, model=network(**knobs), **rest)
    plain = train(texts, model=network(), **rest)
    assert any(not torch.equal(t, plain.journal.weights.get(n, t + 1)) for n, t in whole.journal.weights.items())
    journal = train(texts, model=network(**knobs), stop_after=3, **rest).journal
    train(texts, model=network(seed=8, **knobs), journal=journal, **rest)
    assert_same_training(journal, whole.journal)


NO_KERNEL = pytest.mark.skipif(bf16_fault(torch.device("cpu")) is not None, reason="no bf16 kernel of the LSTM here")


@pytest.mark.parametrize("cell", [pytest.param("lstm", marks=NO_KERNEL), "lstm-capped"])
def test_the_same_in_bf16(cell):
    def go(journal, steps, seed=3):
        known = {"batch_size": 4, "window": 16, "learning_rate": 0.01, "seed": 3, "validations": 2}
        machine = Machine(torch.device("cpu"), "bf16")
        config = TrainingConfig(steps=7, optimizer="muon", average="ema", **known)
        journal.left = steps
        model = network(seed=seed, cell=cell, **(ALL if cell == "lstm" else UNFUSED))
        fit(model, READINGS["stripes"], config, machine=machine, journal=journal, report=lambda _: None)
        return journal

    class Stopping(MemoryJournal):
        left = 0

        def stop_signal(self):
            self.left -= 1
            return 15 if self.left == 0 else None

    whole = go(Stopping(), 99)
    assert_same_training(go(go(Stopping(), 3), 99, seed=8), whole)
