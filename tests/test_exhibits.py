"""Four things that are often asked about recurrent networks, each with what can be counted by hand.

Lessons 5 to 8 of docs/lessons/ tell them.
"""

import numpy as np
import pytest
import torch

from charlm.models.cells import CELLS

W, H0, STEPS = 0.2, 0.9, 3


# ── truncated back-propagation with k1 ≠ k2 ─────────────────────────────────────────────────────


def steps_of_the_toy(weight):
    """h_t = w h_{t-1}, each step cut off from the one before: (its input, its output) for three steps."""
    steps, state = [], torch.tensor(H0, dtype=torch.float64)
    for _ in range(STEPS):
        read = state.detach().requires_grad_()
        state = weight * read
        steps.append((read, state))
    return steps


def chained(steps, weight, clear):
    """dh_t/dw at each step t, handed back from step to step by way of `.grad` of what each step has read.

    clear  whether those are set back before the next loss (k1 = 1) sends its gradient the same way (k2 = 3)
    """
    found = []
    for t in range(len(steps)):
        weight.grad = None  # as an optimizer does; it knows nothing of the states
        for read, _ in steps:
            if clear:
                read.grad = None
        steps[t][1].backward(retain_graph=True)
        for after, before in zip(range(t, 0, -1), range(t - 1, -1, -1), strict=True):
            steps[before][1].backward(steps[after][0].grad, retain_graph=True)
        found.append(float(weight.grad))
    return found


def test_a_loop_that_leaves_old_gradients_in_the_states_is_wrong_from_the_second_loss_on():
    """At h_3 it adds w, left by the loss at h_2, to the w² that arrives at h_1: 0.036 + 0.036 + (0.04 + 0.2) 0.9."""
    weight = torch.tensor(W, dtype=torch.float64, requires_grad=True)
    right = [t * W ** (t - 1) * H0 for t in (1, 2, 3)]
    assert right[-1] == pytest.approx(0.108)
    assert chained(steps_of_the_toy(weight), weight, clear=False)[-1] == pytest.approx(0.2880)
    assert chained(steps_of_the_toy(weight), weight, clear=True) == pytest.approx(right)


def test_a_cell_of_the_library_has_the_right_gradient_over_its_window():
    cell = CELLS["rnn-linear"](1, 1).double()
    with torch.no_grad():
        cell.step.weight_hh.fill_(W)
    hidden, _ = cell(torch.zeros(1, STEPS, 1, dtype=torch.float64), (torch.full((1, 1), H0, dtype=torch.float64),))
    hidden[0, -1, 0].backward()
    assert float(cell.step.weight_hh.grad) == pytest.approx(0.108)


# ── the GRU's three differences ─────────────────────────────────────────────────────────────────

WIDTH, HIDDEN, TIME = 3, 4, 6


def squashed(a):
    return 1 / (1 + np.exp(-a))


def gru_by_hand(x, w, u, b, c, *, reset_first, keeps):
    """A GRU in numpy, matrices by gate {r, z, n}; b is added to W x and c to U h.

    reset_first  U (r ⊙ h) instead of r ⊙ (U h)
    keeps        z is the share of the old state that is kept; otherwise that of the new one
    """
    h, found = np.zeros(HIDDEN), []
    for t in range(len(x)):
        r = squashed(w["r"] @ x[t] + b["r"] + u["r"] @ h + c["r"])
        z = squashed(w["z"] @ x[t] + b["z"] + u["z"] @ h + c["z"])
        heard = u["n"] @ (r * h) + c["n"] if reset_first else r * (u["n"] @ h + c["n"])
        n = np.tanh(w["n"] @ x[t] + b["n"] + heard)
        h = z * h + (1 - z) * n if keeps else (1 - z) * h + z * n
        found.append(h)
    return np.array(found)


def gru_weights():
    random = np.random.default_rng(5)
    w, u = ({gate: random.normal(size=(HIDDEN, width)) for gate in "rzn"} for width in (WIDTH, HIDDEN))
    b, c = ({gate: random.normal(size=HIDDEN) for gate in "rzn"} for _ in range(2))
    return random.normal(size=(TIME, WIDTH)), w, u, b, c


def turned(matrices):
    return {**matrices, "z": -matrices["z"]}


@pytest.mark.parametrize("reset_first", [True, False])
def test_z_and_1_minus_z_are_exchanged_by_turning_the_signs_of_the_update_gate(reset_first):
    x, *weights = gru_weights()
    one = gru_by_hand(x, *weights, reset_first=reset_first, keeps=True)
    other = gru_by_hand(x, *map(turned, weights), reset_first=reset_first, keeps=False)
    np.testing.assert_allclose(one, other, atol=1e-12)


def test_two_biases_become_one_but_for_the_candidate_whose_reset_comes_after_the_product():
    x, w, u, b, c = gru_weights()
    nothing = {gate: np.zeros(HIDDEN) for gate in "rzn"}
    both = {gate: b[gate] + c[gate] for gate in "rzn"}
    before = gru_by_hand(x, w, u, b, c, reset_first=True, keeps=True)
    np.testing.assert_allclose(gru_by_hand(x, w, u, both, nothing, reset_first=True, keeps=True), before, atol=1e-12)
    after = gru_by_hand(x, w, u, b, c, reset_first=False, keeps=True)
    some, rest = {**both, "n": b["n"]}, {**nothing, "n": c["n"]}
    np.testing.assert_allclose(gru_by_hand(x, w, u, some, rest, reset_first=False, keeps=True), after, atol=1e-12)
    assert np.abs(gru_by_hand(x, w, u, both, nothing, reset_first=False, keeps=True) - after).max() > 0.01


def test_the_two_places_of_the_reset_agree_where_the_matrix_is_diagonal_and_nowhere_else():
    x, w, u, b, c = gru_weights()
    c["n"] = np.zeros(HIDDEN)
    one, other = (gru_by_hand(x, w, u, b, c, reset_first=first, keeps=True) for first in (True, False))
    assert np.abs(one - other).max() > 0.01
    u["n"] = np.diag(np.diag(u["n"]))
    one, other = (gru_by_hand(x, w, u, b, c, reset_first=first, keeps=True) for first in (True, False))
    np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize(("name", "reset_first"), [("gru", False), ("gru-reset-first", True)])
def test_the_cells_of_the_library_are_the_two_forms_of_that_table(name, reset_first):
    x, w, u, b, c = gru_weights()
    cell = CELLS[name](WIDTH, HIDDEN).double()
    names = dict(cell.named_parameters())
    together = {key: np.concatenate([matrices[gate] for gate in "rzn"]) for key, matrices in
                (("ih", w), ("hh", u), ("b", b), ("c", c))}  # fmt: skip
    if reset_first:
        c["n"] = np.zeros(HIDDEN)  # one bias for each gate
        together["b"] = np.concatenate([b[gate] + c[gate] for gate in "rzn"])
        values = {"step.weight_ih": "ih", "step.weight_hh": "hh", "step.bias": "b"}
    else:
        values = {"core.weight_ih_l0": "ih", "core.weight_hh_l0": "hh", "core.bias_ih_l0": "b", "core.bias_hh_l0": "c"}
    assert {n for n in names if n not in values} <= {"step.weight_candidate"}, list(names)
    with torch.no_grad():
        for parameter, key in values.items():
            names[parameter].copy_(torch.from_numpy(together[key]))
    hidden, _ = cell(torch.from_numpy(x)[None], cell.initial_state(1))
    expected = gru_by_hand(x, w, u, b, c, reset_first=reset_first, keeps=True)
    np.testing.assert_allclose(hidden[0].detach().numpy(), expected, atol=1e-10)


# ── two biases ──────────────────────────────────────────────────────────────────────────────────


def trained(biases, rate, steps=20):
    """An LSTM of torch trained by plain gradient steps; its biases, and what it says at the end."""
    torch.manual_seed(2)
    core = torch.nn.LSTM(WIDTH, HIDDEN, batch_first=True).double()
    x, wanted = torch.randn(5, TIME, WIDTH).double(), torch.randn(5, TIME, HIDDEN).double()
    with torch.no_grad():
        core.bias_ih_l0.add_(core.bias_hh_l0)
        core.bias_hh_l0.zero_()
    for _ in range(steps):
        core.zero_grad()
        (core(x)[0] - wanted).square().mean().backward()
        torch.testing.assert_close(core.bias_ih_l0.grad, core.bias_hh_l0.grad, atol=1e-15, rtol=0)
        with torch.no_grad():
            for name, parameter in core.named_parameters():
                if name == "bias_hh_l0" and biases == 1:
                    continue
                parameter.sub_(parameter.grad, alpha=rate[name.startswith("bias")])
    return (core.bias_ih_l0 + core.bias_hh_l0).detach(), core(x)[0].detach()


def test_two_biases_learn_what_one_learns_at_twice_the_rate():
    two, said_by_two = trained(2, (0.5, 0.5))
    one, said_by_one = trained(1, (0.5, 1.0))
    torch.testing.assert_close(one, two, atol=1e-12, rtol=0)
    torch.testing.assert_close(said_by_one, said_by_two, atol=1e-12, rtol=0)


# ── clipping ────────────────────────────────────────────────────────────────────────────────────


def test_clipping_cures_what_explodes_and_cannot_cure_what_vanishes(tmp_path):
    from test_examples import example

    clipping = example("clipping")
    picture = tmp_path / "clipping.png"
    drawn = pytest.importorskip("matplotlib") is not None
    found = clipping.main(str(picture) if drawn else None)
    assert picture.read_bytes().startswith(b"\x89PNG")
    lags = torch.arange(clipping.LAGS, dtype=torch.float64)
    for radius, (before, after) in found.items():
        torch.testing.assert_close(before, radius**lags, atol=0, rtol=1e-9)  # the closed form
        assert float(after.norm()) <= 1 + 1e-12
        torch.testing.assert_close(after / after.max(), before / before.max(), atol=0, rtol=1e-9)
    exploding, vanishing = found[max(found)], found[min(found)]
    assert float(exploding[0].norm()) > 100 and float(exploding[1].norm()) == pytest.approx(1)
    assert float(vanishing[0][-1]) < 0.01 and float(vanishing[1][-1]) <= float(vanishing[0][-1])
