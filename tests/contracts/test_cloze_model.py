"""What every model of missing words promises.

A new cloze family is held to these promises the moment it is listed in MODELS, a new cell the moment it is listed in
CELLS. The laws are functions, so that models broken on purpose can be held to them as well.
"""

import itertools

import pytest
import torch
from tiny_models import TINY, TINY_CLOZE, tiny_cloze, tiny_surrounding

from charlm.config.models import MODELS
from charlm.errors import ConfigError
from charlm.families import causal_family, cloze_family
from charlm.models.bidirectional import Bidirectional
from charlm.models.cells import CELLS
from charlm.models.cloze import ALONE, FIRST, LATER, ClozeModel, lengths_of

V = 7
CROWD = torch.tensor([[2, 3, 4, 2, 6, 5, 0], [6, 6, 1, 0, 0, 0, 0], [5, 4, 3, 2, 4, 0, 0]])
LENGTHS = torch.tensor([7, 4, 6])


def distributions(model: ClozeModel, ids, lengths, place=ALONE):
    """The distribution at every place of some texts: (B, T, V)."""
    left, right = model.sides(ids, lengths)
    sides = [side.flatten(0, 1) for side in (left[:, :-1], right[:, 1:])]
    return model.between(*sides, torch.full((ids.numel(),), place)).view(*ids.shape, model.vocab_size)


# ── the laws ────────────────────────────────────────────────────────────────────────────────────


def a_token_is_not_known_where_it_is_asked_for(model):
    """To the last bit: whatever stands at a place, what is said of the place is the same."""
    before = distributions(model, CROWD, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        for place in range(length):
            changed = CROWD.clone()
            changed[row, place] = CROWD[row, place] % (V - 2) + 2
            after = distributions(model, changed, LENGTHS)
            assert torch.equal(after[row, place], before[row, place])


def what_stands_beside_a_place_is_known_on_either_side(model):
    before = distributions(model, CROWD, LENGTHS)
    for neighbour in (1, 3):
        changed = CROWD.clone()
        changed[0, neighbour] = 5
        assert not torch.equal(distributions(model, changed, LENGTHS)[0, 2], before[0, 2])


def the_left_knows_nothing_of_what_follows_and_the_right_nothing_of_what_went_before(model):
    left, right = model.sides(CROWD, LENGTHS)
    for place in range(6):
        changed = CROWD.clone()
        changed[0, place] = CROWD[0, place] % (V - 2) + 2
        other_left, other_right = model.sides(changed, LENGTHS)
        assert torch.equal(other_left[0, : place + 1], left[0, : place + 1])
        assert torch.equal(other_right[0, place + 1 :], right[0, place + 1 :])


def probabilities_sum_to_one_at_every_place_of_every_kind(model):
    for place in (ALONE, FIRST, LATER):
        sums = distributions(model, CROWD, LENGTHS, place).exp().sum(-1)
        torch.testing.assert_close(sums, torch.ones_like(sums))


def the_likelihood_of_a_token_is_what_the_distribution_says_of_it(model):
    left, right = model.sides(CROWD, LENGTHS)
    for place in (ALONE, FIRST, LATER):
        found = model.likelihood(left[:, :-1], right[:, 1:], torch.full_like(CROWD, place), CROWD)
        whole = distributions(model, CROWD, LENGTHS, place).gather(2, CROWD[..., None])[..., 0]
        torch.testing.assert_close(found, whole)


def a_text_is_the_same_alone_and_in_a_crowd(model):
    crowd = distributions(model, CROWD, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = distributions(model, CROWD[row : row + 1, :length], LENGTHS[row : row + 1])
        torch.testing.assert_close(alone[0], crowd[row, :length])


def a_missing_token_is_not_read_from_the_right(model):
    missing = torch.zeros_like(CROWD, dtype=torch.bool)
    missing[0, 3] = True
    _, right = model.sides(CROWD, LENGTHS, missing)
    changed = CROWD.clone()
    changed[0, 3] = 5
    assert torch.equal(model.sides(changed, LENGTHS, missing)[1], right)
    assert not torch.equal(model.sides(CROWD, LENGTHS)[1][0, 3], right[0, 3])


LAWS = [
    a_token_is_not_known_where_it_is_asked_for,
    what_stands_beside_a_place_is_known_on_either_side,
    the_left_knows_nothing_of_what_follows_and_the_right_nothing_of_what_went_before,
    probabilities_sum_to_one_at_every_place_of_every_kind,
    the_likelihood_of_a_token_is_what_the_distribution_says_of_it,
    a_text_is_the_same_alone_and_in_a_crowd,
    a_missing_token_is_not_read_from_the_right,
]

# ── who is held to them ─────────────────────────────────────────────────────────────────────────

NETWORKS = {
    **{f"family {name}": lambda name=name: TINY_CLOZE[name](V) for name in TINY_CLOZE},
    **{
        f"{cell} {'tied' if tied else 'untied'}{' learned start' if start else ''}": (
            lambda cell=cell, tied=tied, start=start: tiny_cloze(V, cell=cell, tied=tied, learned_start=start)
        )
        for cell, (tied, start) in itertools.product(CELLS, ((True, False), (False, True)))
    },
    "skips": lambda: tiny_cloze(V, skips=True),
    "one tap": lambda: tiny_surrounding(V, taps=1, layers=1),
    "untied window": lambda: tiny_surrounding(V, tied=False),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_every_cloze_model_keeps_the_law(law, name):
    with torch.no_grad():
        law(NETWORKS[name]())


class Peeping(Bidirectional):
    """Reads the token itself from the right."""

    def sides(self, ids, lengths, missing=None):
        left, right = super().sides(ids, lengths, missing)
        return left, right.roll(1, dims=1)


class Padded(Bidirectional):
    """Reads its padding."""

    def look_right(self, x, lengths):
        return super().look_right(x, torch.full_like(lengths, x.shape[1]))


class Generous(Bidirectional):
    def between(self, left, right, place):
        return super().between(left, right, place) + 0.01


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (Peeping, a_token_is_not_known_where_it_is_asked_for),
        (Padded, a_text_is_the_same_alone_and_in_a_crowd),
        (Generous, probabilities_sum_to_one_at_every_place_of_every_kind),
    ],
)
def test_the_laws_catch_a_broken_model(broken, law):
    sound = tiny_cloze(V)
    spoilt = broken(sound.config, V).double().eval()
    spoilt.load_state_dict(sound.state_dict())
    with torch.no_grad():
        law(sound)
        with pytest.raises(AssertionError):
            law(spoilt)


# ── as a training reads it ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("make", TINY_CLOZE.values(), ids=TINY_CLOZE)
def test_a_window_of_a_training_says_what_both_sides_say(make):
    model = make(V)
    inputs = torch.cat([torch.zeros(3, 1, dtype=torch.int64), CROWD[:, :-1]], dim=1)
    with torch.no_grad():
        called, _ = model(inputs, CROWD, model.initial_state(3))
        whole = distributions(model, CROWD, LENGTHS).gather(2, CROWD[..., None])[..., 0]
    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(called[row, :length], whole[row, :length])


@pytest.mark.parametrize("make", TINY_CLOZE.values(), ids=TINY_CLOZE)
def test_the_side_before_goes_on_from_window_to_window(make):
    model = make(V)
    inputs = torch.cat([torch.zeros(1, 1, dtype=torch.int64), CROWD[:1]], dim=1)
    with torch.no_grad():
        whole, _ = model.look_left(model.embed(inputs), model.initial_state(1))
        first, state = model.look_left(model.embed(inputs[:, :3]), model.initial_state(1))
        second, _ = model.look_left(model.embed(inputs[:, 3:]), state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)


def test_a_text_ends_with_its_first_line_end_and_otherwise_with_the_window():
    assert lengths_of(torch.tensor([[2, 3, 0, 0], [2, 3, 4, 5], [0, 0, 0, 0]])).tolist() == [3, 4, 1]


# ── the two kinds ───────────────────────────────────────────────────────────────────────────────


def test_nothing_of_a_cloze_model_passes_for_a_language_model():
    for name, make in TINY_CLOZE.items():
        model = make(V)
        assert not hasattr(model, "step") and not hasattr(model, "score") and not hasattr(model, "trace")
        with pytest.raises(ConfigError, match="fills blanks") as caught:
            causal_family(name)
        assert "charlm fill" in caught.value.hint
    for name in TINY:
        assert not hasattr(TINY[name](V), "sides") and MODELS[name].kind == "causal"
        with pytest.raises(ConfigError, match="reads from one side") as caught:
            cloze_family(name)
        assert "--model cloze, cloze-window" in caught.value.hint
