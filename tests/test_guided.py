"""A model under two prefixes at once: still a distribution, still a language model."""

import pytest
import torch
from small import recurrent

from charlm.config.sampling import SamplingConfig
from charlm.errors import ConfigError
from charlm.models.base import pick
from charlm.models.guided import Guided
from charlm.sampling import sample
from charlm.text.vocab import EOS

MODEL = recurrent(9)
MORE, LESS = [2, 5, 3], [2]


def after(model, prefix, ids):
    """The distribution after a prefix and some ids, read one by one."""
    state = model.initial_state(1)
    for token in [EOS, *prefix, *ids]:
        log_probs, state = model.step(torch.tensor([token]), state)
    return log_probs[0].detach()


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 3.0])
def test_its_probabilities_add_to_one_and_lie_on_the_line_between_the_two(strength):
    guided = Guided(MODEL, MORE, LESS, strength)
    for ids in ([], [5], [5, 6, 7]):
        found = after(guided, [], ids)
        more, less = after(MODEL, MORE, ids), after(MODEL, LESS, ids)
        assert float(found.exp().sum()) == pytest.approx(1)
        assert torch.allclose(found, torch.log_softmax(less + strength * (more - less), -1))


def test_at_one_it_is_the_model_that_is_told_and_at_nought_the_other_one():
    assert torch.allclose(after(Guided(MODEL, MORE, LESS, 1.0), [], [5, 6]), after(MODEL, MORE, [5, 6]))
    assert torch.allclose(after(Guided(MODEL, MORE, LESS, 0.0), [], [5, 6]), after(MODEL, LESS, [5, 6]))
    assert torch.allclose(after(Guided(MODEL, [], [], 2.0), [], [5, 6]), after(MODEL, [], [5, 6]))


def test_a_batch_says_what_each_row_says_alone_and_score_what_step_says():
    guided = Guided(MODEL, MORE, LESS, 2.0)
    inputs, targets = torch.tensor([[EOS, 5, 6], [EOS, 7, 8]]), torch.tensor([[5, 6, 7], [7, 8, EOS]])
    scored, state = guided.score(inputs, targets, guided.initial_state(2))
    for row in (0, 1):
        alone, _ = guided.score(inputs[row : row + 1], targets[row : row + 1], guided.initial_state(1))
        assert torch.allclose(alone[0], scored[row])
    some, _ = guided.step(torch.tensor([4]), pick(state, torch.tensor([1])))
    both, _ = guided.step(torch.tensor([4, 4]), state)
    assert torch.allclose(some[0], both[1])


def test_what_neither_believes_possible_stays_impossible():
    class Sure:
        vocab_size = 3

        def initial_state(self, batch_size):
            return ()

        def step(self, ids, state):
            return torch.tensor([0.5, 0.5, 0.0]).log().expand(len(ids), 3), state

    log_probs, _ = Guided(Sure(), [], [], 2.0).step(torch.tensor([EOS]), Guided(Sure(), [], [], 2.0).initial_state(1))
    assert log_probs.exp()[0].tolist() == pytest.approx([0.5, 0.5, 0.0])


def test_it_is_sampled_like_any_other_and_what_is_told_is_not_said():
    config = SamplingConfig(seed=4, max_tokens=6, repetition=5.0)
    plain = sample(MODEL, [], range(3), config, told=MORE, controls=2)
    guided = sample(Guided(MODEL, MORE, LESS, 1.0), [], range(3), config, controls=2)
    assert [each.ids for each in plain] == [each.ids for each in guided]
    penalised = sample(MODEL, MORE, range(3), config, controls=2)  # as a prompt, its tokens count as said
    assert [each.ids for each in plain] != [each.ids for each in penalised]


@pytest.mark.parametrize("strength", [-1.0, float("inf"), float("nan")])
def test_a_strength_that_cannot_be_is_refused(strength):
    with pytest.raises(ConfigError, match="cannot be"):
        Guided(MODEL, MORE, LESS, strength)
