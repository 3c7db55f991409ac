"""What every cell promises; a new one is held to it the moment it is listed in CELLS."""

import pytest
import torch
from torch import nn

from charlm.config.knobs import build
from charlm.config.networks import CELLS as TABLE
from charlm.config.networks import RecurrentConfig
from charlm.errors import ConfigError
from charlm.models import recurrent, stack
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


@pytest.mark.parametrize("rows", [1, ROWS, 20])
@torch.no_grad()
def test_a_step_without_gradient_says_what_a_window_says(cell, rows):
    draw = torch.Generator().manual_seed(4)
    x = torch.randn(rows, 2, WIDTH, dtype=torch.float64, generator=draw)
    begun = tuple(torch.randn(leaf.shape, dtype=torch.float64, generator=draw) for leaf in cell.initial_state(rows))
    whole, end = cell(x, begun)
    first, state = cell(x[:, :1], begun)
    second, state = cell(x[:, 1:], state)
    torch.testing.assert_close(whole, torch.cat([first, second], dim=1))
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


@pytest.mark.parametrize("name", ["lstm-peephole", "lstm-coupled"])
def test_every_lstm_begins_with_a_forget_bias_of_one(name):
    """Where nothing is read and said, coupled gates let the candidate in, which is zero as well."""
    hidden, memory = torch.zeros(ROWS, HIDDEN).double(), torch.rand(ROWS, HIDDEN).double()
    _, (_, after) = made(name)(torch.zeros(ROWS, 1, WIDTH).double(), (hidden, memory))
    torch.testing.assert_close(after, memory * torch.sigmoid(torch.tensor(1.0).double()))


# ── gates ───────────────────────────────────────────────────────────────────────────────────────

GATES = {
    "gru": ["candidate", "reset", "update"],
    "gru-reset-first": ["candidate", "reset", "update"],
    **{name: ["candidate", "forget", "input", "memory", "output"] for name in CELLS if name.startswith("lstm")},
}


@pytest.mark.parametrize("name", CELLS)
def test_a_trace_names_the_gates_and_they_make_the_hidden_vectors(name):
    cell, state = made(name), state_of(made(name))
    hidden, after = cell(window(), state)
    seen = cell.trace(window(), state)
    assert sorted(seen) == GATES.get(name, [])
    assert all(gate.shape == (ROWS, TIME, HIDDEN) for gate in seen.values())
    if name.startswith("gru"):
        before = torch.cat([state[0][:, None], hidden[:, :-1]], dim=1)
        torch.testing.assert_close(hidden, seen["update"] * before + (1 - seen["update"]) * seen["candidate"])
    if name.startswith("lstm"):
        before = torch.cat([state[1][:, None], seen["memory"][:, :-1]], dim=1)
        torch.testing.assert_close(seen["memory"], seen["forget"] * before + seen["input"] * seen["candidate"])
        torch.testing.assert_close(hidden, seen["output"] * torch.tanh(seen["memory"]))
        torch.testing.assert_close(after[1], seen["memory"][:, -1])
    if name == "lstm-coupled":
        torch.testing.assert_close(seen["input"], 1 - seen["forget"])


# ── which cells can take over whose weights ─────────────────────────────────────────────────────


def shaken(cell):
    """All weights far from zero."""
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.uniform_(-1, 1)
    return cell


def assert_alike(one, other):
    hidden, after = one(window(), state_of(one))
    torch.testing.assert_close((hidden, after), other(window(), state_of(one)))


def test_an_lstm_is_one_whose_peepholes_are_zero():
    fused, ours = shaken(made("lstm")), made("lstm-peephole")
    order = torch.arange(4 * HIDDEN).view(4, HIDDEN)[[0, 1, 3, 2]].flatten()  # torch has the output gate last
    core = fused.core
    with torch.no_grad():
        ours.step.weight_ih.copy_(core.weight_ih_l0[order])
        ours.step.weight_hh.copy_(core.weight_hh_l0[order])
        ours.step.bias.copy_((core.bias_ih_l0 + core.bias_hh_l0)[order])
    assert_alike(fused, ours)


def test_a_diagonal_peephole_is_a_full_one_with_nothing_beside_its_diagonal():
    diagonal = shaken(made("lstm-peephole"))
    full = CELLS["lstm-peephole"](WIDTH, HIDDEN, full=True).double()
    weights = diagonal.state_dict()
    full.load_state_dict({name: torch.diag(w) if ".peepholes." in name else w for name, w in weights.items()})
    assert_alike(diagonal, full)


def test_coupled_gates_are_those_of_an_lstm_whose_input_gate_has_all_signs_turned():
    """1 - σ(a) = σ(-a): each of these networks is an LSTM with peepholes, not the other way round."""
    coupled = shaken(CELLS["lstm-coupled"](WIDTH, HIDDEN, peepholes="fo").double())
    whole = made("lstm-peephole")
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "bias"):
            tensor = getattr(coupled.step, name)
            getattr(whole.step, name).copy_(torch.cat([-tensor[:HIDDEN], tensor]))
        for gate, sign, other in (("i", -1, "f"), ("f", 1, "f"), ("o", 1, "o")):
            whole.step.peepholes[gate].copy_(sign * coupled.step.peepholes[other])
    assert_alike(coupled, whole)


def grus(diagonal: bool):
    """Both kinds with the same numbers; the candidate's recurrent matrix may have a diagonal alone."""
    after, before = shaken(made("gru")), made("gru-reset-first")
    with torch.no_grad():
        core = after.core
        core.bias_hh_l0[2 * HIDDEN :] = 0  # it stands inside the reset there, and has no place in the other
        if diagonal:
            core.weight_hh_l0[2 * HIDDEN :] *= torch.eye(HIDDEN)
        before.step.weight_ih.copy_(core.weight_ih_l0)
        before.step.weight_hh.copy_(core.weight_hh_l0)
        before.step.bias.copy_(core.bias_ih_l0 + core.bias_hh_l0)
    return after, before


def test_the_two_grus_are_different_networks():
    after, before = grus(diagonal=False)
    assert (after(window(), state_of(after))[0] - before(window(), state_of(after))[0]).abs().max() > 0.1


def test_the_two_grus_are_one_where_the_recurrent_matrix_of_the_candidate_is_diagonal():
    assert_alike(*grus(diagonal=True))


# ── closed forms ────────────────────────────────────────────────────────────────────────────────

COUNTS = {
    **dict.fromkeys(("rnn-sigmoid", "rnn-linear"), (1, 1, 0)),
    **dict.fromkeys(("rnn-tanh", "rnn-relu"), (1, 2, 0)),
    "gru": (3, 6, 0),
    "gru-reset-first": (3, 3, 0),
    "lstm": (4, 8, 0),
    "lstm-peephole": (4, 4, 3),
    "lstm-coupled": (3, 3, 0),
    "lstm-capped": (4, 4, 0),
}  # blocks of weights, of biases, and peepholes, as docs/cells.md says


@pytest.mark.parametrize("name", CELLS)
def test_the_number_of_parameters_is_that_of_the_documentation(name):
    blocks, biases, looks = COUNTS[name]
    count = sum(parameter.numel() for parameter in made(name).parameters())
    assert count == blocks * HIDDEN * (WIDTH + HIDDEN) + biases * HIDDEN + looks * HIDDEN


def test_full_peepholes_have_a_matrix_for_each_gate():
    cell = CELLS["lstm-coupled"](WIDTH, HIDDEN, peepholes="f", full=True)
    diagonal = CELLS["lstm-coupled"](WIDTH, HIDDEN, peepholes="f")
    counts = [sum(parameter.numel() for parameter in each.parameters()) for each in (cell, diagonal)]
    assert counts[0] - counts[1] == HIDDEN * HIDDEN - HIDDEN


def test_a_linear_network_is_a_sum_of_powers():
    """h_T = U^T h_0 + Σ_k U^k (W x_{T-k} + b), and the Jacobian of h_T by h_{T-k} is U^k."""
    cell = shaken(made("rnn-linear"))
    (start,) = state_of(cell)
    start.requires_grad_()
    hidden, _ = cell(window(), (start,))
    power = torch.linalg.matrix_power
    step = cell.step
    read = window() @ step.weight_ih.T + step.bias
    expected = start @ power(step.weight_hh, TIME).T
    expected = expected + sum(read[:, TIME - 1 - k] @ power(step.weight_hh, k).T for k in range(TIME))
    torch.testing.assert_close(hidden[:, -1], expected)
    for k in range(1, TIME + 1):
        jacobian = torch.stack(
            [torch.autograd.grad(hidden[0, k - 1, unit], start, retain_graph=True)[0][0] for unit in range(HIDDEN)]
        )
        torch.testing.assert_close(jacobian, power(step.weight_hh, k), rtol=0, atol=1e-9)


def test_three_steps_of_one_linear_unit_have_the_gradient_of_the_textbook():
    """h_3 = w³ h_0, so that dh_3/dw = 3 w² h_0 = 3 · 0.04 · 0.9 = 0.108."""
    cell = CELLS["rnn-linear"](1, 1).double()
    with torch.no_grad():
        cell.step.weight_hh.fill_(0.2)
    hidden, _ = cell(torch.zeros(1, 3, 1).double(), (torch.full((1, 1), 0.9, dtype=torch.float64),))
    hidden[0, -1, 0].backward()
    assert cell.step.weight_hh.grad.item() == pytest.approx(0.108, abs=1e-12)


def test_half_precision_is_for_products_alone(cell):
    cell = cell.float()
    x, state = window().float(), tuple(leaf.float() for leaf in state_of(cell))
    exact, _ = cell(x, state)
    if not hasattr(cell, "step") or not hasattr(cell.step, "back"):
        return  # torch's kernels have rules of their own
    with torch.autocast("cpu", torch.bfloat16):
        hidden, after = cell(x, state)
    assert {leaf.dtype for leaf in (hidden, *after)} == {torch.float32}
    torch.testing.assert_close(hidden, exact, rtol=0, atol=0.05)
    hidden.sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in cell.parameters())


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
    monkeypatch.setattr(stack, "CELLS", {"gru": MAKERS["hand-written"]})
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
