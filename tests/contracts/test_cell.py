"""What every cell promises; a new one is held to it the moment it is listed in CELLS."""

import pytest
import torch
from torch import nn

from charlm.config.knobs import build
from charlm.config.models import CELLS as TABLE
from charlm.config.models import RecurrentConfig
from charlm.errors import ConfigError
from charlm.models import recurrent
from charlm.models.cells import CELLS
from charlm.models.cells.unroll import unroll

ROWS, TIME, WIDTH, HIDDEN = 3, 5, 4, 6


class Slow(nn.Module):
    """A hand-written step with a memory of two numbers beside its hidden vector, and a gate to look at."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden, self.read, self.write = hidden, nn.Linear(inputs + hidden + 2, hidden), nn.Linear(inputs, 2)

    def initial_state(self, batch_size):
        zeros = self.write.weight.new_zeros
        return zeros(batch_size, self.hidden), zeros(batch_size, 2)

    def gates(self, x, state):
        return {"write": torch.sigmoid(self.write(x))}

    def forward(self, x, state):
        hidden = torch.tanh(self.read(torch.cat([x, *state], dim=1)))
        gate = self.gates(x, state)["write"]
        return hidden, (hidden, gate * state[1] + (1 - gate) * hidden[:, :2])


MAKERS = {**CELLS, "hand-written": lambda inputs, hidden: unroll(Slow(inputs, hidden))}


def made(name: str):
    torch.manual_seed(1)
    return MAKERS[name](WIDTH, HIDDEN).double()


@pytest.fixture(params=MAKERS)
def cell(request):
    return made(request.param)


def window() -> torch.Tensor:
    return torch.randn(ROWS, TIME, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def state_of(cell):
    draw = torch.Generator().manual_seed(3)
    return tuple(torch.randn(leaf.shape, dtype=torch.float64, generator=draw) for leaf in cell.initial_state(ROWS))


def test_shapes_are_those_of_the_protocol(cell):
    hidden, after = cell(window(), state_of(cell))
    assert hidden.shape == (ROWS, TIME, HIDDEN)
    assert [leaf.shape for leaf in after] == [leaf.shape for leaf in cell.initial_state(ROWS)]
    assert all(len(leaf) == ROWS for leaf in after)


def test_a_window_equals_its_steps_one_by_one(cell):
    whole, end = cell(window(), state_of(cell))
    state, steps = state_of(cell), []
    for time in range(TIME):
        hidden, state = cell(window()[:, time : time + 1], state)
        steps.append(hidden)
    torch.testing.assert_close(whole, torch.cat(steps, dim=1))
    torch.testing.assert_close(end, state)


@pytest.mark.parametrize("name", CELLS)
def test_the_last_hidden_vector_is_the_first_leaf_of_the_state(name):
    cell = made(name)
    hidden, after = cell(window(), state_of(cell))
    torch.testing.assert_close(hidden[:, -1], after[0])


def test_the_state_that_was_given_is_not_touched(cell):
    given, kept = state_of(cell), state_of(cell)
    cell(window(), given)
    assert all(torch.equal(leaf, copy) for leaf, copy in zip(given, kept, strict=True))


def test_rows_do_not_see_each_other(cell):
    whole, _ = cell(window(), state_of(cell))
    alone, _ = cell(window()[1:2], tuple(leaf[1:2] for leaf in state_of(cell)))
    torch.testing.assert_close(whole[1:2], alone)


def test_gradient_reaches_every_parameter_the_input_and_the_state(cell):
    x, state = window().requires_grad_(), tuple(leaf.requires_grad_() for leaf in state_of(cell))
    hidden, after = cell(x, state)
    (hidden.square().sum() + sum(leaf.square().sum() for leaf in after)).backward()
    for name, tensor in [*cell.named_parameters(), ("x", x), *(("state", leaf) for leaf in state)]:
        assert tensor.grad is not None and tensor.grad.abs().sum() > 0, name


def test_an_lstm_begins_with_a_forget_bias_of_one():
    """Where nothing is read and said, only the forget gate moves the memory."""
    hidden, memory = torch.zeros(ROWS, HIDDEN).double(), torch.rand(ROWS, HIDDEN).double()
    _, (_, after) = made("lstm")(torch.zeros(ROWS, 1, WIDTH).double(), (hidden, memory))
    torch.testing.assert_close(after, memory * torch.sigmoid(torch.tensor(1.0).double()))


@pytest.mark.parametrize("name", CELLS)
def test_recurrent_matrices_begin_orthogonal(name):
    square = [tensor for tensor in made(name).parameters() if tensor.dim() == 2 and tensor.shape[1] == HIDDEN]
    assert square
    for gate in torch.cat(square).view(-1, HIDDEN, HIDDEN):
        torch.testing.assert_close(gate @ gate.T, torch.eye(HIDDEN, dtype=torch.float64), atol=1e-6, rtol=0)


def test_a_network_of_rectifiers_begins_by_copying_its_state():
    state = torch.rand(ROWS, HIDDEN).double()
    _, (after,) = made("rnn-relu")(torch.zeros(ROWS, 1, WIDTH).double(), (state,))
    assert torch.equal(after, state)


# ── a step of one's own ─────────────────────────────────────────────────────────────────────────


def test_an_unrolled_step_of_an_lstm_equals_the_fused_layer():
    class Step(nn.Module):
        def __init__(self, fused):
            super().__init__()
            self.step = nn.LSTMCell(WIDTH, HIDDEN).double()
            self.step.load_state_dict(
                {name.split(".")[-1].removesuffix("_l0"): tensor for name, tensor in fused.state_dict().items()}
            )

        def initial_state(self, batch_size):
            return torch.zeros(batch_size, HIDDEN).double(), torch.zeros(batch_size, HIDDEN).double()

        def forward(self, x, state):
            after = self.step(x, state)
            return after[0], after

    fused = made("lstm")
    unrolled = unroll(Step(fused))
    torch.testing.assert_close(unrolled(window(), state_of(fused)), fused(window(), state_of(fused)))
    assert unrolled.trace(window(), state_of(fused)) == {}


@pytest.mark.parametrize("learned_start", [False, True])
def test_a_network_takes_a_cell_whose_leaves_are_not_as_wide_as_its_hidden_vectors(monkeypatch, learned_start):
    monkeypatch.setattr(recurrent, "CELLS", {"gru": MAKERS["hand-written"]})
    config = RecurrentConfig(
        cell="gru", layers=3, hidden=HIDDEN, embedding=WIDTH, dropout=0.0, learned_start=learned_start
    )
    torch.manual_seed(1)
    model = recurrent.Recurrent(config, 9).double()
    ids = torch.tensor([[0, 2, 3, 4], [0, 8, 7, 6]])
    start = model.initial_state(2)
    assert [leaf.shape for leaf in start] == [(2, 3, HIDDEN), (2, 3, 2)]
    whole, end = model.score(ids[:, :-1], ids[:, 1:], start)
    state, steps = start, []
    for read, target in zip(ids.T[:-1], ids.T[1:], strict=True):
        log_probs, state = model.step(read, state)
        steps.append(log_probs.gather(1, target[:, None]))
    torch.testing.assert_close(whole, torch.cat(steps, dim=1))
    torch.testing.assert_close(end, state)
    whole.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    traced = model.trace(ids, start)
    assert {name: tensor.shape for name, tensor in traced.items()} == {
        "hidden": (2, 4, 3, HIDDEN),
        "write": (2, 4, 3, 2),
    }
    if learned_start:  # which is no matrix of weights, and does not decay
        assert all(leaf.dim() == 3 for leaf in model.start)
        again = recurrent.Recurrent(config, 9).double()
        again.load_state_dict(model.state_dict())
        assert all(map(torch.equal, again.initial_state(2), model.initial_state(2)))


@pytest.mark.parametrize(("name", "leaves"), [("lstm", 2), ("gru", 1)])
def test_a_learned_start_of_leaves_alike_is_one_tensor_as_in_runs_made_before(name, leaves):
    model = recurrent.Recurrent(
        RecurrentConfig(cell=name, layers=3, hidden=HIDDEN, embedding=WIDTH, learned_start=True), 9
    )
    assert model.state_dict()["start"].shape == (leaves, 3, HIDDEN)
    assert not model.state_dict()["start"].any()


def test_a_cell_is_one_file_and_one_line_of_the_table(monkeypatch, tmp_path):
    (tmp_path / "throw_away_cell.py").write_text("from charlm.models.cells.fused import gru as twin\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(TABLE._table, "twin", "throw_away_cell:twin")
    config = build(RecurrentConfig, {"cell": "twin", "hidden": HIDDEN, "embedding": WIDTH, "layers": 2})
    assert "twin" in CELLS and len(recurrent.Recurrent(config, 9).initial_state(1)) == 1
    with pytest.raises(ConfigError, match="did you mean twin"):
        build(RecurrentConfig, {"cell": "twim"})
