"""What every cell promises; a new one is held to it the moment it is listed in CELLS."""

import pytest
import torch

from charlm.config.knobs import build
from charlm.config.models import CELLS as TABLE
from charlm.config.models import RecurrentConfig
from charlm.errors import ConfigError
from charlm.models.cells import CELLS
from charlm.models.recurrent import Recurrent

ROWS, TIME, WIDTH, HIDDEN = 3, 5, 4, 6


@pytest.fixture(params=CELLS)
def cell(request):
    torch.manual_seed(1)
    return CELLS[request.param](WIDTH, HIDDEN).double()


def window() -> torch.Tensor:
    return torch.randn(ROWS, TIME, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def state_of(cell):
    draw = torch.Generator().manual_seed(3)
    return tuple(torch.randn(ROWS, HIDDEN, dtype=torch.float64, generator=draw) for _ in range(cell.leaves))


def test_shapes_are_those_of_the_protocol(cell):
    hidden, after = cell(window(), state_of(cell))
    assert hidden.shape == (ROWS, TIME, HIDDEN)
    assert [leaf.shape for leaf in after] == [(ROWS, HIDDEN)] * cell.leaves


def test_a_window_equals_its_steps_one_by_one(cell):
    whole, end = cell(window(), state_of(cell))
    state, steps = state_of(cell), []
    for time in range(TIME):
        hidden, state = cell(window()[:, time : time + 1], state)
        steps.append(hidden)
    torch.testing.assert_close(whole, torch.cat(steps, dim=1))
    torch.testing.assert_close(end, state)


def test_the_last_hidden_vector_is_the_first_leaf_of_the_state(cell):
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
    bias = CELLS["lstm"](WIDTH, HIDDEN).core.bias_ih_l0
    assert bias.view(4, HIDDEN)[:, 0].tolist() == [0, 1, 0, 0]


def test_recurrent_matrices_begin_orthogonal(cell):
    for gate in cell.core.weight_hh_l0.view(-1, HIDDEN, HIDDEN):
        torch.testing.assert_close(gate @ gate.T, torch.eye(HIDDEN, dtype=torch.float64), atol=1e-6, rtol=0)


def test_a_network_of_rectifiers_begins_by_copying_its_state():
    assert torch.equal(CELLS["rnn-relu"](WIDTH, HIDDEN).core.weight_hh_l0, torch.eye(HIDDEN))


def test_a_cell_is_one_file_and_one_line_of_the_table(monkeypatch, tmp_path):
    (tmp_path / "throw_away_cell.py").write_text("from charlm.models.cells.fused import gru as twin\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(TABLE._table, "twin", "throw_away_cell:twin")
    config = build(RecurrentConfig, {"cell": "twin", "hidden": HIDDEN, "embedding": WIDTH, "layers": 2})
    assert "twin" in CELLS and Recurrent(config, 9).leaves == 1
    with pytest.raises(ConfigError, match="did you mean twin"):
        build(RecurrentConfig, {"cell": "twim"})
