import math

import pytest
import torch
from contracts.test_language_model import CROWD, LAWS
from hypothesis import given
from hypothesis import strategies as st
from small import Fixed, recurrent
from tiny_models import TINY

from charlm.errors import ConfigError
from charlm.models.mixture import Mixture
from charlm.text.vocab import EOS

IDS = torch.tensor([[0, 2, 1], [0, 1, 2]])
TARGETS = torch.tensor([[2, 1, 0], [1, 2, 2]])


class Parity(Fixed):
    """Sorts contexts by whether an even or an odd number of tokens was read. State: `(read,)`, how many."""

    class_count = 2

    def classes(self, inputs, state):
        return (state[0].long() + torch.arange(1, 1 + inputs.shape[1])) % 2


class Newest(Fixed):
    """Sorts contexts by their newest token: opening a text, any other small one, a large one."""

    class_count = 3

    def classes(self, inputs, state):
        return torch.where(inputs == EOS, 0, torch.where(inputs < 4, 1, 2))


class Stateless(Fixed):
    """The same probabilities with no state at all."""

    def initial_state(self, batch_size):
        return ()

    def step(self, ids, state):
        return self.log_probs.expand(len(ids), -1), ()

    def score(self, inputs, targets, state):
        return self.log_probs[targets], ()


def weights(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def chances(found):
    return found.exp().tolist()


def of_halves(*rows, guide=None):
    """Two models of three tokens, easily mixed in the head."""
    return Mixture([Parity(0.5, 0.25, 0.25), Fixed(0.0, 0.5, 0.5)], weights(*rows), guide=guide)


# ── by hand ─────────────────────────────────────────────────────────────────────────────────────


def test_probabilities_are_added_up_by_weight():
    mixture = of_halves([0.5, 0.5])
    log_probs, _ = mixture.step(IDS[:, 0], mixture.initial_state(2))
    assert chances(log_probs) == [pytest.approx([0.25, 0.375, 0.375])] * 2
    scored, _ = mixture.score(IDS, TARGETS, mixture.initial_state(2))
    assert chances(scored) == [pytest.approx([0.375, 0.375, 0.25]), pytest.approx([0.375, 0.375, 0.375])]


def test_a_guide_chooses_the_weights_by_the_context_that_was_read():
    mixture = of_halves([0.0, 1.0], [0.8, 0.2], guide=0)  # even: the second alone; odd: mostly the first
    scored, after = mixture.score(IDS, TARGETS, mixture.initial_state(2))
    assert chances(scored[:1]) == [pytest.approx([0.8 * 0.25 + 0.2 * 0.5, 0.5, 0.8 * 0.5])]
    log_probs, _ = mixture.step(IDS[:, 0], after)  # the fourth token
    assert chances(log_probs) == [pytest.approx([0.0, 0.5, 0.5])] * 2


def test_the_state_is_the_members_leaves_end_to_end():
    first, second = recurrent(), TINY["unigram"](7)
    mixture = Mixture([second, first, Stateless(*[1 / 7] * 7), second], weights([0.25] * 4))
    state = mixture.initial_state(3)
    assert [leaf.shape for leaf in state] == [(3, 0), (3, 2, 5), (3, 2, 5), (3, 0)]
    assert [len(own) for own in mixture.member_states(state)] == [1, 2, 0, 1]
    _, expected = first.score(CROWD[:, :-1], CROWD[:, 1:], first.initial_state(3))
    _, after = mixture.score(CROWD[:, :-1], CROWD[:, 1:], state)
    torch.testing.assert_close(mixture.member_states(after)[1], expected)


def test_all_weight_on_one_member_is_that_member():
    model = recurrent()
    mixture = Mixture([Fixed(*[1 / 7] * 7), model], weights([0.0, 1.0]))
    expected, _ = model.score(CROWD[:, :-1], CROWD[:, 1:], model.initial_state(3))
    found, _ = mixture.score(CROWD[:, :-1], CROWD[:, 1:], mixture.initial_state(3))
    torch.testing.assert_close(found, expected)


def test_what_is_impossible_never_becomes_nan():
    never = Fixed(0.0, 0.0, 1.0)
    mixture = Mixture([never, Fixed(0.0, 0.5, 0.5)], weights([1.0, 0.0]))
    scored, _ = mixture.score(IDS, TARGETS, mixture.initial_state(2))
    assert scored[0].tolist() == [0.0, -math.inf, -math.inf]  # by weight, and then by everybody
    log_probs, _ = mixture.step(IDS[:, 0], mixture.initial_state(2))
    assert log_probs[0].tolist() == [-math.inf, -math.inf, 0.0]


def test_a_mixture_can_be_a_member():
    inner = of_halves([0.5, 0.5])
    outer = Mixture([inner, Fixed(1.0, 0.0, 0.0)], weights([0.5, 0.5]))
    log_probs, _ = outer.step(IDS[:, 0], outer.initial_state(2))
    assert chances(log_probs) == [pytest.approx([0.625, 0.1875, 0.1875])] * 2


def test_a_mixture_learns_where_its_members_do():
    model = recurrent()
    mixture = Mixture([model, Fixed(*[1 / 7] * 7)], weights([0.5, 0.5]))
    scored, _ = mixture.score(CROWD[:, :-1], CROWD[:, 1:], mixture.initial_state(3))
    scored.sum().backward()
    assert model.bias.grad.abs().sum() > 0


# ── precision and devices ───────────────────────────────────────────────────────────────────────


def test_members_in_single_precision_are_added_up_in_double():
    mixture = Mixture([recurrent(dtype=torch.float32), recurrent(seed=4)], weights([0.3, 0.7]))
    log_probs, _ = mixture.step(CROWD[:, 0], mixture.initial_state(3))
    assert log_probs.dtype == torch.float64
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(3, dtype=torch.float64), atol=1e-6, rtol=0)
    scored, _ = mixture.score(CROWD[:, :-1], CROWD[:, 1:], mixture.initial_state(3))
    assert scored.dtype == torch.float64


def test_rounded_weights_are_made_exact():
    mixture = Mixture([Fixed(0.5, 0.5)] * 3, torch.tensor([[0.1, 0.2, 0.7]], dtype=torch.float32))
    assert mixture.weights.dtype == torch.float64
    assert mixture.weights.sum().item() == pytest.approx(1, abs=1e-15)


class Elsewhere(Newest):
    """Lives on a device without numbers, and remembers where its ids came to it."""

    def __init__(self, *probabilities):
        super().__init__(*probabilities)
        self.met = set()

    def initial_state(self, batch_size):
        return (torch.zeros(batch_size, 1, device="meta"),)

    def step(self, ids, state):
        self.met.add(ids.device.type)
        return self.log_probs.expand(len(ids), -1), state

    def score(self, inputs, targets, state):
        self.met |= {inputs.device.type, targets.device.type}
        return torch.zeros(inputs.shape), state

    def classes(self, inputs, state):
        self.met.add(inputs.device.type)
        return torch.zeros(inputs.shape, dtype=torch.int64)


def test_ids_go_to_where_each_member_lives():
    there, here = Elsewhere(0.5, 0.25, 0.25), recurrent(3)
    mixture = Mixture([here, there, Stateless(0.5, 0.25, 0.25)], weights(*[[0.2, 0.3, 0.5]] * 3), guide=1)
    mixture.step(IDS[:, 0], mixture.initial_state(2))
    log_probs, after = mixture.score(IDS, TARGETS, mixture.initial_state(2))
    assert there.met == {"meta"}
    assert log_probs.device.type == "cpu"
    assert [leaf.device.type for leaf in after] == ["cpu", "cpu", "meta"]


# ── refusals ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rows", "guide", "words"),
    [
        ([[1.0]], None, r"shape \(1, 1\), not \(1, 2\)"),
        ([[0.5, 0.5]] * 2, None, r"not \(1, 2\)"),
        ([[0.5, 0.5]], 0, r"not \(2, 2\)"),
        ([[0.5, 0.4]], None, "no probabilities"),
        ([[0.5, 0.5], [1.5, -0.5]], 0, r"\[1.5, -0.5\] are no probabilities"),
        ([[math.nan, 1.0]], None, "no probabilities"),
        ([[math.inf, 0.0]], None, "no probabilities"),
        ([[0.5, 0.5]] * 2, 1, "member 1 sorts no contexts"),
        ([[0.5, 0.5]] * 2, 2, "member 2 cannot guide a mixture of 2"),
        ([[0.5, 0.5]] * 2, -1, "member -1 cannot guide"),
    ],
)
def test_weights_that_do_not_fit_are_refused(rows, guide, words):
    with pytest.raises(ConfigError, match=words) as caught:
        of_halves(*rows, guide=guide)
    assert caught.value.hint


def test_weights_without_rows_and_columns_are_refused():
    with pytest.raises(ConfigError, match="shape"):
        Mixture([Fixed(1.0)], torch.ones(1, dtype=torch.float64))


def test_members_share_one_vocabulary():
    with pytest.raises(ConfigError, match="2, 3 tokens"):
        Mixture([Fixed(0.5, 0.5), Fixed(0.5, 0.25, 0.25)], weights([0.5, 0.5]))


def test_a_mixture_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="no models"):
        Mixture([], torch.ones(1, 0))


# ── laws ────────────────────────────────────────────────────────────────────────────────────────

UNEVEN = Fixed(0.1, 0.1, 0.2, 0.3, 0.1, 0.1, 0.1)
MIXTURES = {
    "global": lambda: Mixture([recurrent(), TINY["unigram"](7), UNEVEN], weights([0.5, 0.2, 0.3])),
    "alone": lambda: Mixture([recurrent()], weights([1.0])),
    "stateless member": lambda: Mixture([Stateless(*[1 / 7] * 7), recurrent()], weights([0.5, 0.5])),
    "guided by place": lambda: Mixture([recurrent(), Parity(*[1 / 7] * 7)], weights([0.9, 0.1], [0.2, 0.8]), guide=1),
    "guided by token": lambda: Mixture(
        [Newest(*[1 / 7] * 7), UNEVEN, recurrent()], weights([0, 0, 1], [0.2, 0.4, 0.4], [0.5, 0.5, 0]), guide=0
    ),
    "of mixtures": lambda: Mixture([MIXTURES["global"](), MIXTURES["guided by token"]()], weights([0.5, 0.5])),
}


@pytest.mark.parametrize("name", MIXTURES)
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_every_mixture_keeps_the_law(law, name):
    with torch.no_grad():
        law(MIXTURES[name]())


@given(share=st.floats(0, 1), place=st.integers(0, 6))
def test_a_mixture_lies_between_its_members(share, place):
    one, other = recurrent(), UNEVEN
    ids = CROWD[:, place]
    with torch.no_grad():
        members = [model.step(ids, model.initial_state(3))[0] for model in (one, other)]
        mixture = Mixture([one, other], weights([share, 1 - share]))
        mixed, _ = mixture.step(ids, mixture.initial_state(3))
    assert (mixed >= torch.minimum(*members) - 1e-12).all()
    assert (mixed <= torch.maximum(*members) + 1e-12).all()
