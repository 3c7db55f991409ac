"""Equal to torch: stacked `torch.nn` networks, log_softmax, and automatic differentiation."""

import pytest
import torch
from small import recurrent
from torch import nn

from charlm.config.networks import CELLS
from charlm.models import output
from charlm.models.output import target_log_probs

IDS = torch.tensor([[0, 2, 3, 4, 2, 6, 0], [0, 6, 6, 1, 5, 2, 3]])
FUSED = [name for name, made_by in CELLS.items() if ".fused:" in made_by]
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def stacked(model) -> nn.RNNBase:
    """A `torch.nn` network of several layers with the weights of our single ones."""
    cell, kinds = model.config.cell, {"lstm": nn.LSTM, "gru": nn.GRU}
    kind = kinds.get(cell) or (lambda *sizes, **rest: nn.RNN(*sizes, nonlinearity=cell.removeprefix("rnn-"), **rest))
    core = kind(model.config.embedding, model.config.hidden, num_layers=len(model.cells), batch_first=True).double()
    weights = {
        name.replace("_l0", f"_l{layer}"): tensor
        for layer, ours in enumerate(model.cells)
        for name, tensor in ours.core.state_dict().items()
    }
    core.load_state_dict(weights)
    return core


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("cell", FUSED)
def test_a_recurrent_model_equals_a_stacked_torch_network(cell, tied):
    model = recurrent(cell=cell, tied=tied, layers=3)
    hidden, _ = stacked(model)(model.embed(IDS[:, :-1]))
    if model.projection is not None:
        hidden = hidden @ model.projection.weight.T + model.projection.bias
    logits = hidden @ model.output_weight.T + model.bias
    expected = logits.log_softmax(-1).gather(-1, IDS[:, 1:, None])[..., 0]

    ours, _ = model.read(IDS[:, :-1], model.initial_state(2))
    torch.testing.assert_close(ours, hidden, **EXACT)
    log_probs, _ = model.score(IDS[:, :-1], IDS[:, 1:], model.initial_state(2))
    torch.testing.assert_close(log_probs, expected, **EXACT)


# ── the output layer ────────────────────────────────────────────────────────────────────────────

N, E, V = 11, 4, 6


def numbers(dtype=torch.float64):
    draw = torch.Generator().manual_seed(5)
    hidden = torch.randn(N, E, generator=draw, dtype=torch.float64)
    weight = torch.randn(V, E, generator=draw, dtype=torch.float64)
    bias = torch.randn(V, generator=draw, dtype=torch.float64)
    targets = torch.randint(V, (N,), generator=draw)
    return *(tensor.to(dtype).requires_grad_() for tensor in (hidden, weight, bias)), targets


def by_torch(hidden, weight, bias, targets):
    return (hidden @ weight.T + bias).log_softmax(-1).gather(-1, targets[:, None])[:, 0]


def gradients(function, *given):
    log_probs = function(*given)
    share = torch.linspace(-1, 2, N, dtype=log_probs.dtype)  # another gradient for each row, one of them zero
    return torch.autograd.grad(log_probs, given[:3], share)


@pytest.fixture(params=["one segment", "segments of two rows", "blocks of three rows", "rows one by one"])
def sizes(request, monkeypatch):
    """Limits so small that rows are computed in parts, and again on the way back."""
    segment, block = {
        "one segment": (1 << 27, 1 << 20),
        "segments of two rows": (2 * V, 1 << 20),
        "blocks of three rows": (1 << 27, 3 * V),
        "rows one by one": (5 * V, 1),
    }[request.param]
    monkeypatch.setattr(output, "SEGMENT_NUMBERS", segment)
    monkeypatch.setattr(output, "BLOCK_NUMBERS", {"cpu": block})


def test_target_log_probs_are_a_softmax_and_a_choice(sizes):
    torch.testing.assert_close(target_log_probs(*numbers()), by_torch(*numbers()), **EXACT)


def test_their_gradients_are_those_of_automatic_differentiation(sizes):
    for ours, expected in zip(gradients(target_log_probs, *numbers()), gradients(by_torch, *numbers()), strict=True):
        torch.testing.assert_close(ours, expected, **EXACT)


def test_their_gradients_are_those_of_finite_differences(sizes):
    hidden, weight, bias, targets = numbers()
    assert torch.autograd.gradcheck(lambda *given: target_log_probs(*given, targets), (hidden, weight, bias))


def test_the_way_back_can_be_gone_twice(sizes):
    hidden, weight, bias, targets = numbers()
    total = target_log_probs(hidden, weight, bias, targets).sum()
    total.backward(retain_graph=True)
    once = hidden.grad.clone(), weight.grad.clone(), bias.grad.clone()
    total.backward()
    for tensor, first in zip((hidden, weight, bias), once, strict=True):
        torch.testing.assert_close(tensor.grad, 2 * first, **EXACT)


def test_nothing_that_was_given_is_overwritten(sizes):
    given, kept = numbers(), numbers()
    target_log_probs(*given).sum().backward()
    assert all(torch.equal(tensor, copy) for tensor, copy in zip(given, kept, strict=True))


def test_bf16_stays_close_to_float32(sizes):
    """bf16 has 8 bits: logits of a few units are wrong by 1/64 at most, gradients by about 1/32."""
    given = numbers(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = target_log_probs(*given)
        back = gradients(target_log_probs, *given)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, by_torch(*given), rtol=0, atol=0.05)
    for ours, expected in zip(back, gradients(by_torch, *given), strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, expected, rtol=0, atol=0.1)


def test_leading_dimensions_are_kept():
    hidden, weight, bias, targets = numbers()
    found = target_log_probs(hidden[:10].view(2, 5, E), weight, bias, targets[:10].view(2, 5))
    torch.testing.assert_close(found, by_torch(*numbers())[:10].view(2, 5), **EXACT)


def test_very_large_logits_do_not_overflow():
    hidden, weight, bias, targets = numbers()
    found = target_log_probs(hidden * 1e3, weight, bias, targets)
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found, by_torch(hidden * 1e3, weight, bias, targets), **EXACT)


@pytest.mark.parametrize("tied", [True, False])
def test_a_whole_model_learns_by_the_gradients_of_torch(tied):
    model = recurrent(tied=tied, learned_start=True)
    inputs, targets = IDS[:, :-1], IDS[:, 1:]
    model.score(inputs, targets, model.initial_state(2))[0].sum().backward()
    ours = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    hidden, _ = model.read(inputs, model.initial_state(2))
    (hidden @ model.output_weight.T + model.bias).log_softmax(-1).gather(-1, targets[..., None]).sum().backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(ours[name], parameter.grad, **EXACT)
