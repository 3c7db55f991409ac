"""Spectral radii and planted tasks."""

import math

import numpy as np
import pytest
import torch

from charlm.errors import ConfigError
from charlm.inspecting import planted, radius
from charlm.models.cells import CELLS

LAGS = 12


def at(cell: str, rho: float, clip: float = 1.0) -> radius.Radius:
    (found,) = radius.sweep(cell, lags=LAGS, clip=clip, seed=3, radii=(rho,))
    return found


def given():
    """The inputs and the gradient that the sweep draws for this seed."""
    draw = torch.Generator().manual_seed(4)
    inputs = radius.INPUT * torch.randn(
        2 * LAGS + 1, radius.SEQUENCES, radius.HIDDEN, generator=draw, dtype=torch.float64
    )
    delta = torch.randn(radius.SEQUENCES, radius.HIDDEN, generator=draw, dtype=torch.float64)
    return inputs, delta / delta.norm(dim=1, keepdim=True)


def test_the_matrix_has_the_spectral_radius_that_was_asked_for():
    for rho in (0.5, 1.0, 1.5):
        assert torch.linalg.eigvals(radius.weights_of(rho, 1)).abs().max() == pytest.approx(rho)


def test_the_linear_network_goes_like_the_power_of_its_matrix():
    _, delta = given()
    found, weight = at("rnn-linear", 0.9), radius.weights_of(0.9, 3)
    for lag in range(LAGS + 1):
        closed = (delta @ torch.linalg.matrix_power(weight, lag)).norm(dim=1)
        assert found.curve[lag] == pytest.approx(float(closed.mean()), rel=1e-9)


@pytest.mark.parametrize("cell", radius.SQUASHED)
def test_the_gradient_of_the_matrix_is_that_of_the_cell_of_this_name(cell):
    inputs, delta = given()
    found, made = at(cell, 1.1), CELLS[cell](radius.HIDDEN, radius.HIDDEN).double()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            value = torch.zeros_like(parameter)
            value = radius.weights_of(1.1, 3) if "weight_hh" in name else value
            parameter.copy_(torch.eye(radius.HIDDEN) if "weight_ih" in name else value)
    (weight,) = (parameter for name, parameter in made.named_parameters() if "weight_hh" in name)
    lengths, far = [], []
    for row in range(radius.SEQUENCES):
        one = inputs[:, row : row + 1].transpose(0, 1)
        parts = []
        for steps in (LAGS, LAGS // 2):
            with torch.no_grad():
                _, state = made(one[:, :-steps], made.initial_state(1))
            _, (after,) = made(one[:, -steps:], state)
            parts.append(torch.autograd.grad((after * delta[row]).sum(), weight)[0])
        lengths.append(float(parts[0].norm()))
        far.append(float((parts[0] - parts[1]).norm() / parts[0].norm()))
    assert found.norm == pytest.approx(math.exp(np.log(lengths).mean()), rel=1e-9)
    assert found.far == pytest.approx(float(torch.tensor(far, dtype=torch.float64).median()), rel=1e-9)


def test_below_one_gradients_vanish_above_they_explode_and_clipping_bounds_them_alone():
    small, large = at("rnn-linear", 0.5), at("rnn-linear", 1.5)
    assert small.factor < 0.6 and small.curve[-1] < 1e-3
    assert large.factor > 1.3 and large.curve[-1] > 20
    assert large.norm > 100 * large.clipped and large.clipped == pytest.approx(1.0)
    assert small.far < 0.02 < 0.3 < large.far
    loose = at("rnn-linear", 0.5, clip=1e9)
    assert loose.clipped == pytest.approx(loose.norm) and loose.far == small.far
    assert at("rnn-tanh", 1.5).curve[-1] < large.curve[-1]  # it saturates


def drawn(task: str, lag: int, rows: int = 500):
    return planted.TASKS[task].draw(lag, rows, torch.Generator().manual_seed(1))


@pytest.mark.parametrize("lag", [1, 2, 7, 30])
def test_the_first_symbol_is_asked_for_at_the_end_and_nothing_else_tells_it(lag):
    inputs, targets = drawn("copy", lag)
    assert inputs.shape == (500, lag + 1) and torch.equal(inputs[:, 0], targets)
    assert (inputs[:, -1] == planted.KINDS).all() and planted.TASKS["copy"].size == planted.KINDS + 1
    assert (inputs[:, :-1] < planted.KINDS).all() and len(targets.unique()) == planted.KINDS


@pytest.mark.parametrize("lag", [1, 2, 7, 30])
def test_the_first_bracket_is_closed_and_pairs_between_distract(lag):
    inputs, targets = drawn("brackets", lag)
    kinds = planted.KINDS
    assert inputs.shape == (500, lag + 1) and torch.equal(inputs[:, 0] + kinds, targets)
    for row in inputs[:, 1:].tolist():
        depth = 0
        for before, token in zip([0, *row], row, strict=False):
            if kinds <= token < 2 * kinds:
                assert before == token - kinds  # each pair stands together
            depth += (token < kinds) - (kinds <= token < 2 * kinds)
        assert depth == 0
    if lag > 2:
        assert (inputs[:, 1:] < kinds).any()
    assert inputs.max() < planted.TASKS["brackets"].size


def test_a_cell_learns_short_lags_and_the_same_again_from_the_same_seed():
    knobs = {"longest": 2, "steps": 300, "hidden": 24, "measurements": 3}
    found = planted.learn("copy", "gru", **knobs)
    assert found.lags == (1, 2) and found.steps == [100, 200, 300]
    assert found.reach == 2 and found.curves[-1] > found.curves[0]
    assert planted.learn("copy", "gru", **knobs) == found
    assert planted.learn("copy", "gru", **{**knobs, "steps": 1}).reach == 0
    assert 0 <= found.clipped <= 1


def test_the_reach_is_the_last_lag_before_the_first_that_was_not_learned():
    for final, reach in (([0.95, 0.5, 0.99], 1), ([0.5, 0.99, 0.99], 0), ([0.9, 0.9, 0.9], 5)):
        assert planted.Learned("gru", 1, (1, 2, 5), [1], [final], 0.0).reach == reach
    curves = [[0.1, 0.1], [0.95, 0.1], [0.95, 0.9]]
    assert planted.Learned("gru", 1, (1, 2), [1, 2, 3], curves, 0.0).reaches == [0, 1, 2]


def test_unknown_tasks_and_cells_are_refused_by_name():
    with pytest.raises(ConfigError, match="no task is called 'cpy'"):
        planted.learn("cpy", "gru", longest=5, steps=1)
    with pytest.raises(ConfigError, match="'grv'"):
        planted.learn("copy", "grv", longest=5, steps=1)


def test_a_cell_is_measured_where_its_curve_has_points_and_not_after_every_step(monkeypatch):
    measured, accuracies = [], planted.accuracies
    monkeypatch.setattr(planted, "accuracies", lambda *a: measured.append(1) or accuracies(*a))
    found = planted.learn("copy", "lstm", longest=2, steps=10, hidden=4, measurements=2)
    assert (found.steps, len(found.curves), len(measured)) == ([5, 10], 2, 2)
    few = planted.learn("copy", "lstm", longest=2, steps=1, hidden=4, measurements=2)
    assert (few.steps, len(few.curves), len(measured)) == ([1, 1], 2, 3)
