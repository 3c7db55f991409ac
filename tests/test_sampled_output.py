"""The output layer that compares with a sample of the vocabulary, beside the one that compares with all of it."""

import math

import pytest
import torch
from small import recurrent

from charlm.models import output
from charlm.models.output import Shortlist, sampled_log_probs, target_log_probs

V, E, N, FREQUENT = 40, 6, 12, 5


@pytest.fixture
def numbers():
    generator = torch.Generator().manual_seed(4)
    hidden, weight = (torch.randn(rows, E, generator=generator, dtype=torch.float64) for rows in (N, V))
    bias = torch.randn(V, generator=generator, dtype=torch.float64)
    targets = torch.randint(V, (N,), generator=generator)
    return [tensor.requires_grad_() for tensor in (hidden, weight, bias)], targets


def gradients(log_probs, leaves):
    weights = torch.linspace(0.5, 2, log_probs.numel(), dtype=torch.float64)
    return torch.autograd.grad((log_probs.reshape(-1) * weights).sum(), leaves)


def drawn(targets, size, seed=1):
    return Shortlist.draw(targets, V, FREQUENT, size, torch.Generator().manual_seed(seed))


def plainly(leaves, targets, sample):
    """The formula of `Shortlist`, row by row."""
    hidden, weight, bias = leaves
    found = []
    for row, target in enumerate(targets.tolist()):
        logits = weight[sample.ids] @ hidden[row] + bias[sample.ids]
        own = sample.ids == target
        others = (logits + sample.offsets)[~own]
        found.append(logits[own][0] - torch.logsumexp(torch.cat([logits[own], others]), dim=0))
    return torch.stack(found)


def test_a_sample_of_everything_is_exact(numbers):
    leaves, targets = numbers
    some = sampled_log_probs(*leaves, drawn(targets, V - FREQUENT))
    every = target_log_probs(*leaves, targets)
    torch.testing.assert_close(some, every)
    for mine, theirs in zip(gradients(some, leaves), gradients(every, leaves), strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("size", [1, 7, 20])
def test_a_sample_has_the_numbers_and_the_gradient_of_its_formula(numbers, size):
    leaves, targets = numbers
    sample = drawn(targets, size)
    found, expected = sampled_log_probs(*leaves, sample), plainly(leaves, targets, sample)
    torch.testing.assert_close(found, expected)
    for mine, theirs in zip(gradients(found, leaves), gradients(expected, leaves), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_the_sum_over_the_vocabulary_is_estimated_without_bias(numbers):
    leaves, targets = numbers
    with torch.no_grad():
        hidden, weight, bias = leaves
        own = (hidden * weight[targets]).sum(1) + bias[targets]
        draws = (drawn(targets, 7, seed) for seed in range(3000))
        sums = torch.stack([(own - sampled_log_probs(*leaves, sample)).exp() for sample in draws])
        exact = (own - target_log_probs(*leaves, targets)).exp()
        error = sums.std(0) / math.sqrt(len(sums))
        assert ((sums.mean(0) - exact).abs() < 4.5 * error + 1e-12).all()
        assert (error > 0).any()  # the test could see a bias


def test_a_sample_holds_the_frequent_ones_what_was_drawn_and_what_is_asked_for():
    targets = torch.tensor([[0, 39], [17, 0]])
    sample = drawn(targets, 7)
    ids = sample.ids.tolist()
    assert ids[:FREQUENT] == list(range(FREQUENT)) and len(set(ids)) == len(ids)
    assert set(targets.flatten().tolist()) <= set(ids)
    assert torch.equal(sample.ids[sample.targets], targets)
    assert sample.offsets[:FREQUENT].eq(0).all()
    assert sample.offsets[FREQUENT : FREQUENT + 7].exp().sum() == pytest.approx(V - FREQUENT)


def test_only_training_is_sampled_and_not_its_end(monkeypatch):
    monkeypatch.setattr("charlm.models.network.SMALLEST_SAMPLED", 40)
    model = recurrent(40, sampled=0.2)
    ids = torch.randint(2, 40, (3, 9))
    inputs, targets, state = ids[:, :-1], ids[:, 1:], model.initial_state(3)
    exact = model.score(inputs, targets, state)[0]
    model.at(0.5)
    assert torch.equal(model.eval()(inputs, targets, state)[0], exact)
    assert not torch.allclose(model.train()(inputs, targets, state)[0], exact)
    torch.testing.assert_close(model.score(inputs, targets, state)[0], exact)
    model.at(0.8)
    assert torch.equal(model(inputs, targets, state)[0], exact)


def test_of_a_small_vocabulary_the_whole_is_compared():
    model = recurrent(40, sampled=0.2).train()
    model.at(0.0)
    ids = torch.randint(2, 40, (3, 9))
    state = model.initial_state(3)
    assert torch.equal(model(ids[:, :-1], ids[:, 1:], state)[0], model.score(ids[:, :-1], ids[:, 1:], state)[0])


@pytest.mark.parametrize("sampled", [False, True])
def test_tokens_added_for_a_gpus_sake_are_said_by_nobody_and_learn_nothing(numbers, sampled, monkeypatch):
    leaves, targets = numbers
    shortlist = drawn(targets, 7)

    def found():
        log_probs = sampled_log_probs(*leaves, shortlist) if sampled else target_log_probs(*leaves, targets)
        return [log_probs, *gradients(log_probs, leaves)]

    plain = found()
    asked = []
    monkeypatch.setattr(output, "ALIGNED", {("cpu", torch.float64): 16})
    monkeypatch.setattr(
        output, "_logits", lambda h, w, *rest, real=output._logits: asked.append(len(w)) or real(h, w, *rest)
    )
    aligned = found()
    assert asked and all(rows % 16 == 0 and rows > len(shortlist.ids) for rows in asked)
    for ours, theirs in zip(aligned, plain, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)
