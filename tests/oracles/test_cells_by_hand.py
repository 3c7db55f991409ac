"""Every cell equals a few lines of numpy, there and back: back-propagation through time by hand, automatic
differentiation, and central differences."""

import copy

import numpy as np
import pytest
import torch
from oracles import cells_by_hand as by_hand

from charlm.config.networks import CELLS as TABLE
from charlm.models.cells import CELLS
from charlm.models.cells.unroll import ThroughTime

TIME, WIDTH, HIDDEN = 6, 3, 4
LOOKS = ["", "i", "f", "o", "if", "io", "fo", "ifo"]
KINDS = {
    **{name: {} for name in TABLE},
    **{
        f"lstm-peephole {looks} {full}": {"peepholes": looks, "full": full} for looks in LOOKS for full in (False, True)
    },
    **{
        f"lstm-coupled {looks} {full}": {"peepholes": looks, "full": full}
        for looks in ("f", "o", "fo")
        for full in (False, True)
    },
}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def made(kind):
    """A cell whose weights are all far from zero."""
    torch.manual_seed(4)
    cell = CELLS[kind.split(" ")[0]](WIDTH, HIDDEN, **KINDS[kind]).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.uniform_(-1, 1)
    return cell


def given(cell):
    """x (T, E), the state before (H,) each, and the gradient that arrives at every hidden vector (T, H)."""
    draw = np.random.default_rng(5)
    state = [draw.normal(size=HIDDEN) for _ in cell.initial_state(1)]
    return draw.normal(size=(TIME, WIDTH)), state, draw.normal(size=(TIME, HIDDEN))


def blocks(tensor, order):
    return np.concatenate([tensor[HIDDEN * place : HIDDEN * (place + 1)] for place in order])


def weights_of(cell, kind):
    """The weights of a cell in the order of the reference; two biases become one where they can."""
    tensors = {name.split(".", 1)[1]: tensor.detach().numpy() for name, tensor in cell.named_parameters()}
    if "bias_ih_l0" not in tensors:
        weights = {"W": tensors["weight_ih"], "U": tensors["weight_hh"], "b": tensors["bias"]}
        looks = {name[-1]: tensor for name, tensor in tensors.items() if name.startswith("peepholes.")}
        return {**weights, "p": looks} if kind.startswith("lstm") else weights
    weights = {"W": tensors["weight_ih_l0"], "U": tensors["weight_hh_l0"]}
    biases = tensors["bias_ih_l0"], tensors["bias_hh_l0"]
    if kind == "gru":
        split = 2 * HIDDEN
        return {**weights, "b": np.concatenate([sum(biases)[:split], biases[0][split:]]), "b'": biases[1][split:]}
    weights["b"] = sum(biases)
    if kind == "lstm":  # torch has the output gate last
        return {name: blocks(tensor, (0, 1, 3, 2)) for name, tensor in weights.items()} | {"p": {}}
    return weights


def ahead(kind, weights, x, state):
    if kind.startswith("rnn"):
        return by_hand.simple_ahead(kind.removeprefix("rnn-"), weights, x, *state)
    if kind.startswith("gru"):
        return by_hand.gru_ahead(kind == "gru-reset-first", weights, x, *state)
    return by_hand.lstm_ahead(weights, x, *state, capped=kind == "lstm-capped")[0]


def back(kind, weights, x, state, g):
    if kind.startswith("rnn"):
        return by_hand.simple_back(kind.removeprefix("rnn-"), weights, x, *state, g)
    if kind.startswith("gru"):
        return by_hand.gru_back(kind == "gru-reset-first", weights, x, *state, g)
    return by_hand.lstm_back(weights, x, *state, g, capped=kind == "lstm-capped")


def flat(weights, x, state):
    """Everything that a gradient goes to, by the names that `back` gives it."""
    found = {name: tensor for name, tensor in weights.items() if name != "p"} | {"x": x}
    found |= {f"p{gate}": tensor for gate, tensor in weights.get("p", {}).items()}
    return found | dict(zip("hc", state, strict=False))


def flat_gradients(found):
    return {name: tensor for name, tensor in found.items() if name != "p"} | {
        f"p{gate}": tensor for gate, tensor in found.get("p", {}).items()
    }


def test_a_cell_reads_as_the_reference_does(kind):
    cell = made(kind)
    x, state, _ = given(cell)
    hidden, _ = cell(torch.from_numpy(x)[None], tuple(torch.from_numpy(leaf)[None] for leaf in state))
    expected = np.stack(ahead(kind, weights_of(cell, kind), x, state))
    np.testing.assert_allclose(hidden[0].detach().numpy(), expected, rtol=0, atol=1e-12)


def test_the_way_back_by_hand_is_that_of_automatic_differentiation(kind):
    """In both directions of trust: the cell as it learns, and torch's own way back through the reference."""
    cell = made(kind)
    x, state, g = given(cell)
    weights = weights_of(cell, kind)
    by_numpy = flat_gradients(back(kind, weights, x, state, g))

    leaves = {name: torch.tensor(tensor, requires_grad=True) for name, tensor in flat(weights, x, state).items()}
    parts = {name: leaves[name] for name in weights if name != "p"}
    if "p" in weights:
        parts["p"] = {gate: leaves[f"p{gate}"] for gate in weights["p"]}
    hidden = ahead(kind, parts, leaves["x"], [leaves[name] for name in "hc"[: len(state)]])
    sum((h * torch.from_numpy(g_t)).sum() for h, g_t in zip(hidden, g, strict=True)).backward()
    assert by_numpy.keys() == leaves.keys()
    for name, found in by_numpy.items():
        np.testing.assert_allclose(found, leaves[name].grad.numpy(), rtol=0, atol=1e-10, err_msg=name)


def test_a_cell_learns_by_the_gradients_of_the_reference(kind):
    cell = made(kind)
    x, state, g = given(cell)
    expected = flat_gradients(back(kind, weights_of(cell, kind), x, state, g))
    inputs = torch.from_numpy(x)[None].requires_grad_()
    before = tuple(torch.from_numpy(leaf)[None].requires_grad_() for leaf in state)
    hidden, _ = cell(inputs, before)
    (hidden[0] * torch.from_numpy(g)).sum().backward()
    # A cell of the gradients in place of the weights, so that blocks are put in order by the same function.
    slopes = copy.deepcopy(cell)
    for there, here in zip(slopes.parameters(), cell.parameters(), strict=True):
        there.data = here.grad
    found = flat(weights_of(slopes, kind), inputs.grad[0].numpy(), [leaf.grad[0].numpy() for leaf in before])
    if "bias_ih_l0" in dict(cell.named_parameters()) or "core.bias_ih_l0" in dict(cell.named_parameters()):
        twice = slice(0, 2 * HIDDEN) if kind == "gru" else slice(None)  # both biases have it, and were added up
        found["b"] = found["b"].copy()
        found["b"][twice] /= 2
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        np.testing.assert_allclose(tensor, expected[name], rtol=0, atol=1e-10, err_msg=name)


def test_the_way_back_by_hand_is_that_of_central_differences(kind):
    cell = made(kind)
    x, state, g = given(cell)
    weights = weights_of(cell, kind)
    weights = {name: {k: v.copy() for k, v in w.items()} if name == "p" else w.copy() for name, w in weights.items()}
    found = flat_gradients(back(kind, weights, x, state, g))
    for name, tensor in flat(weights, x, state).items():
        slopes = np.zeros_like(tensor)
        for place in np.ndindex(tensor.shape):
            said, here = [], tensor[place]
            for side in (1e-5, -1e-5):
                tensor[place] = here + side
                said.append(float((np.stack(ahead(kind, weights, x, state)) * g).sum()))
            tensor[place] = here
            slopes[place] = (said[0] - said[1]) / 2e-5
        np.testing.assert_allclose(found[name], slopes, rtol=1e-6, atol=1e-6, err_msg=name)


BY_HAND = [kind for kind in KINDS if ".fused:" not in TABLE[kind.split(" ")[0]]]


@pytest.mark.parametrize("kind", BY_HAND)
def test_gradients_of_every_leaf_and_row_are_those_of_finite_differences(kind):
    """Also where gradient arrives at the memory, at the last state alone, and at nothing but it."""
    cell = made(kind)
    x = torch.randn(2, 3, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    state = tuple(torch.rand(2, HIDDEN, dtype=torch.float64).requires_grad_() for _ in cell.initial_state(2))
    step = cell.step
    tensors = (x, step.weight_ih, step.bias, *state, *step.recurrent())

    def leaves(*given):
        return ThroughTime.apply(step, len(state), *given)[1:]

    assert torch.autograd.gradcheck(leaves, tensors)
    assert torch.autograd.gradcheck(lambda *given: leaves(*given)[-1][:, -1], tensors)


@pytest.mark.parametrize("kind", BY_HAND)
def test_the_way_back_can_be_gone_twice(kind):
    cell = made(kind)
    x, state, _ = given(cell)
    hidden, _ = cell(torch.from_numpy(x)[None], tuple(torch.from_numpy(leaf)[None] for leaf in state))
    total = hidden.square().sum()
    total.backward(retain_graph=True)
    once = [parameter.grad.clone() for parameter in cell.parameters()]
    total.backward()
    for parameter, first in zip(cell.parameters(), once, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * first)
