"""What every language model promises.

A new causal family is held to these promises the moment it is listed in MODELS, a new cell the moment it is
listed in CELLS. The laws are functions, so that models broken on purpose can be held to them as well.
"""

import itertools

import pytest
import torch
from small import Fixed, recurrent
from tiny_models import TINY, WRAPPED

from charlm.config.networks import RecurrentConfig
from charlm.models.base import LanguageModel, pick
from charlm.models.cells import CELLS
from charlm.models.recurrent import Recurrent

CROWD = torch.tensor([[0, 2, 3, 4, 2, 6, 0], [0, 6, 6, 1, 5, 2, 3], [0, 5, 4, 3, 2, 1, 0]])
TEXT = CROWD[:1]


def score(model: LanguageModel, text: torch.Tensor, state=None):
    """Log-probabilities of text (B, 1 + T) after its first token, and the state after the last token but one."""
    state = model.initial_state(len(text)) if state is None else state
    return model.score(text[:, :-1], text[:, 1:], state)


def read(model: LanguageModel, text: torch.Tensor):
    """The distribution after each token of text (B, T), and the states after them."""
    state = model.initial_state(len(text))
    for ids in text.T:
        log_probs, state = model.step(ids, state)
        yield log_probs, state


# ── the laws ────────────────────────────────────────────────────────────────────────────────────


def probabilities_sum_to_one_after_every_prefix(model):
    for log_probs, _ in read(model, CROWD):
        assert log_probs.shape == (3, model.vocab_size)
        torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(3, dtype=log_probs.dtype))


def a_text_scores_the_sum_of_its_steps(model):
    whole, _ = score(model, TEXT)
    steps = [log_probs[0, following] for (log_probs, _), following in zip(read(model, TEXT), TEXT[0, 1:], strict=False)]
    torch.testing.assert_close(whole[0], torch.stack(steps))


def a_text_scores_the_same_alone_and_in_a_crowd(model):
    crowd, _ = score(model, CROWD)
    for row in range(3):
        alone, _ = score(model, CROWD[row : row + 1])
        torch.testing.assert_close(alone[0], crowd[row])


def a_text_scores_the_same_whole_and_in_two_halves(model):
    whole, end = score(model, CROWD)
    for cut in range(2, 6):
        first, state = score(model, CROWD[:, :cut])
        second, after = score(model, CROWD[:, cut - 1 :], state)
        torch.testing.assert_close(whole, torch.cat([first, second], dim=1))
        torch.testing.assert_close(end, after)


def a_state_can_be_kept_and_used_again(model):
    _, state = score(model, CROWD[:, :4])
    copy = tuple(leaf.clone() for leaf in state)
    first, _ = model.step(CROWD[:, 4], state)
    score(model, CROWD[:, 4:], state)
    again, _ = model.step(CROWD[:, 4], state)
    assert all(torch.equal(leaf, kept) for leaf, kept in zip(state, copy, strict=True))
    torch.testing.assert_close(first, again, rtol=0, atol=0)


def a_state_has_the_batch_first_so_rows_can_be_picked(model):
    _, state = score(model, CROWD)
    assert state and all(len(leaf) == 3 for leaf in state)
    rows = torch.tensor([2, 0, 2])
    picked, _ = model.step(CROWD[rows, 0], pick(state, rows))
    every, _ = model.step(CROWD[:, 0], state)
    torch.testing.assert_close(picked, every[rows])


def padding_on_the_right_changes_nothing_where_the_mask_is_true(model):
    padded = CROWD.clone()
    padded[1, 4:] = 0
    found, _ = score(model, padded)
    short, _ = score(model, CROWD[1:2, :4])
    full, _ = score(model, CROWD[::2])
    torch.testing.assert_close(found[1, :3], short[0])
    torch.testing.assert_close(found[::2], full)


LAWS = [
    probabilities_sum_to_one_after_every_prefix,
    a_text_scores_the_sum_of_its_steps,
    a_text_scores_the_same_alone_and_in_a_crowd,
    a_text_scores_the_same_whole_and_in_two_halves,
    a_state_can_be_kept_and_used_again,
    a_state_has_the_batch_first_so_rows_can_be_picked,
    padding_on_the_right_changes_nothing_where_the_mask_is_true,
]

# ── who is held to them ─────────────────────────────────────────────────────────────────────────

MODELS = {
    **{f"family {name}": lambda name=name: TINY[name](7) for name in TINY},
    **{name: lambda name=name: WRAPPED[name](7) for name in WRAPPED},
    "fixed": lambda: Fixed(0.1, 0.1, 0.2, 0.3, 0.1, 0.1, 0.1),
    **{
        f"{cell} {'tied' if tied else 'untied'} {hidden} {'learned start' if start else ''}".strip(): (
            lambda cell=cell, tied=tied, hidden=hidden, start=start: recurrent(
                cell=cell, tied=tied, hidden=hidden, learned_start=start
            )
        )
        for cell, tied, hidden, start in itertools.product(CELLS, (True, False), (4, 5), (False, True))
    },
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_every_model_keeps_the_law(law, name):
    with torch.no_grad():
        law(MODELS[name]())


class Wrapped:
    """A sound model to break."""

    def __init__(self) -> None:
        self.inner = recurrent()
        self.vocab_size = self.inner.vocab_size

    def initial_state(self, batch_size):
        return self.inner.initial_state(batch_size)

    def step(self, ids, state):
        return self.inner.step(ids, state)

    def score(self, inputs, targets, state):
        return self.inner.score(inputs, targets, state)


class Forgetful(Wrapped):
    def score(self, inputs, targets, state):
        return self.inner.score(inputs, targets, self.initial_state(len(inputs)))


class Mixing(Wrapped):
    def score(self, inputs, targets, state):
        log_probs, after = self.inner.score(inputs, targets, state)
        return log_probs.roll(1, dims=0), after


class Overwriting(Wrapped):
    def step(self, ids, state):
        log_probs, after = self.inner.step(ids, state)
        for leaf, new in zip(state, after, strict=True):
            leaf.copy_(new)
        return log_probs, state


class Unnormalized(Wrapped):
    def step(self, ids, state):
        log_probs, after = self.inner.step(ids, state)
        return log_probs + 0.01, after

    def score(self, inputs, targets, state):
        log_probs, after = self.inner.score(inputs, targets, state)
        return log_probs + 0.01, after


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (Forgetful, a_text_scores_the_same_whole_and_in_two_halves),
        (Mixing, a_text_scores_the_same_alone_and_in_a_crowd),
        (Overwriting, a_state_can_be_kept_and_used_again),
        (Unnormalized, probabilities_sum_to_one_after_every_prefix),
    ],
)
def test_the_laws_catch_a_broken_model(broken, law):
    with torch.no_grad():
        law(Wrapped())
        with pytest.raises(AssertionError):
            law(broken())


def test_a_call_of_the_module_is_the_score_of_a_subclass_too():
    class Halved(Recurrent):
        def score(self, inputs, targets, state):
            log_probs, after = super().score(inputs, targets, state)
            return log_probs / 2, after

    model = Halved(RecurrentConfig(layers=1, hidden=5, embedding=4), 9).eval()
    state = model.initial_state(3)
    called, _ = model(CROWD[:, :-1], CROWD[:, 1:], state)
    assert torch.equal(called, model.score(CROWD[:, :-1], CROWD[:, 1:], state)[0])


def test_a_learned_start_is_where_reading_begins():
    model = recurrent(learned_start=True)
    for leaf, start in zip(model.initial_state(3), model.start, strict=True):
        assert torch.equal(leaf[2], start)
        assert start.abs().max() > 0.1


def test_hidden_vectors_can_be_traced():
    model = recurrent()
    traced = model.trace(CROWD, model.initial_state(3))["hidden"]
    assert traced.shape == (3, 7, 2, 5)
    _, (after, _) = model.read(CROWD, model.initial_state(3))
    torch.testing.assert_close(traced[:, -1], after)
