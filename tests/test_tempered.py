"""Temperature at evaluation: what it does to a distribution, and that the best one is found."""

import math

import pytest
import torch
from small import Fixed, recurrent

from charlm.errors import ConfigError
from charlm.models.base import renewed
from charlm.models.tempered import Tempered
from charlm.training.searching import descent, lowest

TEXT = torch.tensor([[0, 2, 3, 4, 2, 6, 5, 0]])


def test_a_distribution_is_raised_to_a_power_and_adds_to_one_again():
    model = Tempered(Fixed(0.1, 0.2, 0.7), 0.5)
    log_probs, _ = model.step(torch.tensor([0]), model.initial_state(1))
    torch.testing.assert_close(log_probs[0].exp(), torch.tensor([0.01, 0.04, 0.49], dtype=torch.float64) / 0.54)


def test_the_temperature_one_changes_nothing():
    plain, tempered = recurrent(), Tempered(recurrent(), 1.0)
    state = plain.initial_state(1)
    expected, _ = plain.score(TEXT[:, :-1], TEXT[:, 1:], state)
    torch.testing.assert_close(tempered.score(TEXT[:, :-1], TEXT[:, 1:], state)[0], expected)


@pytest.mark.parametrize("knobs", [{}, {"tied": False}, {"hidden": 4, "cell": "gru"}])
def test_a_network_says_by_its_logits_what_any_model_says_by_its_distributions(knobs):
    network = recurrent(**knobs)

    class Plain:
        """The network without its own way to be tempered."""

        vocab_size, initial_state, step = network.vocab_size, network.initial_state, network.step

    fast, slow = Tempered(network, 1.7), Tempered(Plain(), 1.7)
    state = network.initial_state(1)
    (one, after), (other, end) = (model.score(TEXT[:, :-1], TEXT[:, 1:], state) for model in (fast, slow))
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(after, end)


def test_of_an_empty_window_nothing_is_said():
    model = Tempered(Fixed(0.5, 0.5), 2.0)
    assert model.score(TEXT[:, :0], TEXT[:, :0], model.initial_state(1))[0].shape == (1, 0)


@pytest.mark.parametrize("temperature", [0, -1, math.inf, math.nan])
def test_impossible_temperatures_are_refused(temperature):
    with pytest.raises(ConfigError, match="cannot be"):
        Tempered(Fixed(0.5, 0.5), temperature)


def test_it_stands_in_for_its_model():
    network = recurrent()
    model = Tempered(network, 2.0)
    state = model.initial_state(1)
    assert torch.equal(model.trace(TEXT, state)["hidden"], network.trace(TEXT, state)["hidden"])
    assert not hasattr(Tempered(Fixed(0.5, 0.5), 2.0), "trace")
    assert torch.equal(renewed(model, state)[0], network.initial_state(1)[0])
    assert model.over(Fixed(0.5, 0.5)).temperature == 2.0


# ── searching ───────────────────────────────────────────────────────────────────────────────────


def test_the_lowest_place_is_found_within_its_factor():
    asked = []

    def function(x):
        asked.append(x)
        return (math.log(x) - math.log(1.3)) ** 2

    place, value = lowest(function, 0.4, 2.5, within=0.003)
    assert abs(math.log(place / 1.3)) < 0.003 and value == function(place)
    assert len(asked) == len(set(asked)) + 1 and len(asked) < 20


def test_what_is_infinite_is_too_far_up():
    place, value = lowest(lambda x: math.nan if x > 0.05 else -x, 0.01, 10, within=0.01)
    assert 0.045 < place <= 0.05 and value == -place


def test_of_a_flat_function_the_lower_place_is_taken():
    assert lowest(lambda _: 1.0, 1.0, 2.0, within=0.01)[0] < 1.01


@pytest.mark.parametrize(("low", "high"), [(0, 1), (2, 1), (1, math.inf)])
def test_there_must_be_room_to_search(low, high):
    with pytest.raises(ValueError, match="no room"):
        lowest(lambda x: x, low, high, within=0.1)


def test_a_descent_goes_on_until_no_neighbour_is_lower_and_asks_once_for_each_place():
    asked = []

    def function(place):
        asked.append(place)
        rate, decay = place
        return abs(math.log2(rate / 8)) + abs(math.log2(decay / 0.25)) if rate < 64 else math.nan

    assert descent(function, (1.0, 1.0), (2.0, 2.0)) == ((8.0, 0.25), 0.0)
    assert len(asked) == len(set(asked))


def test_what_has_the_factor_one_stays():
    assert descent(lambda place: place[0] + place[1], (4.0, 1.0), (1.0, 2.0), rounds=3) == ((4.0, 0.125), 4.125)


def test_a_descent_ends_where_a_function_levels_out_and_not_after_all_its_rounds():
    asked = []

    def function(place):
        asked.append(place)
        return 1 + 0.1 * place[0]  # as a rate that is of no use: the smaller, the nearer to 1, for ever

    place, value = descent(function, (1.0,), (0.5,), gain=0.01, rounds=100)
    assert 0.05 < place[0] < 0.5 and value == 1 + 0.1 * place[0]
    assert len(asked) < 8
