"""Dynamic evaluation: what is learned, when, and from what."""

import math

import pytest
import torch
from small import Fixed, recurrent

from charlm.models.adapting import Adapting, RanAway, adapting, networks_of
from charlm.models.base import renewed
from charlm.models.caches import NeuralCache, UnigramCache
from charlm.models.descents import Descent, ScaledDescent, Squares
from charlm.models.mixture import Mixture
from charlm.models.tempered import Tempered
from charlm.text.vocab import EOS

V = 7
TEXT = torch.tensor([[0, 2, 3, 4, 2, 6, 5, 3, 2, 4, 4, 6, 1, 2, 3, 5, 0]])


def descending(rate=0.5, decay=0.0, *, segment=3, **knobs) -> Adapting:
    return Adapting(recurrent(V, **knobs), Descent(rate, decay), segment=segment)


def score(model, text, state=None):
    return model.score(text[:, :-1], text[:, 1:], model.initial_state(len(text)) if state is None else state)


def by_hand(network, text, *, rate, decay, segment):
    """Log-probabilities by the equation, with a copy of the network and nothing else."""
    trained = [p.detach().clone() for p in network.parameters()]
    state, found = network.initial_state(1), []
    for start in range(0, text.shape[1] - 1, segment):
        window = text[:, start : start + segment + 1]
        log_probs, state = network.score(window[:, :-1], window[:, 1:], state)
        state = tuple(leaf.detach() for leaf in state)
        found.append(log_probs.detach())
        gradient = torch.autograd.grad(-log_probs.sum() / segment, list(network.parameters()), allow_unused=True)
        with torch.no_grad():
            for parameter, slope, origin in zip(network.parameters(), gradient, trained, strict=True):
                parameter += decay * (origin - parameter) - rate * slope
    return torch.cat(found, dim=1)


@pytest.mark.parametrize(("rate", "decay"), [(0.5, 0.0), (0.3, 0.2), (0.0, 0.0)])
def test_a_text_is_predicted_and_learned_from_by_the_equation(rate, decay):
    found, _ = score(descending(rate, decay), TEXT)
    torch.testing.assert_close(found, by_hand(recurrent(V), TEXT, rate=rate, decay=decay, segment=3))


@pytest.mark.parametrize("place", [1, 3, 4, 7, 12, 16])
def test_a_token_is_scored_before_it_is_learned_from(place):
    """Another token planted at one place changes what is said of it and of later ones, never of earlier ones."""
    model, planted = descending(), TEXT.clone()
    planted[0, place] = 1 if TEXT[0, place] != 1 else 2
    one, other = score(model, TEXT)[0][0], score(model, planted)[0][0]
    torch.testing.assert_close(one[: place - 1], other[: place - 1], rtol=0, atol=0)
    assert one[place - 1] != other[place - 1]
    # The whole distribution at the place was settled before the token was known.
    state, before = model.initial_state(1), None
    for ids in TEXT[0, :place]:
        before, state = model.step(ids[None], state)
    torch.testing.assert_close(before[0, planted[0, place]], other[place - 1])
    torch.testing.assert_close(before[0, TEXT[0, place]], one[place - 1])


def test_what_came_once_is_expected_more_and_a_static_model_does_not_learn_it():
    repeated = torch.tensor([[0, *[2, 5, 3, 6, 4] * 24]])
    model = descending(2.0, segment=5)
    with torch.no_grad():
        found, still = score(model, repeated)[0][0], score(recurrent(V), repeated)[0][0]
    assert found[-5:].sum() > found[:5].sum() + 2
    assert abs(float(still[-5:].sum() - still[:5].sum())) < 1


def test_the_network_that_is_adapted_stays_as_it_is():
    network = recurrent(V)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    model = Adapting(network, Descent(0.5, 0.0), segment=3)
    score(model, TEXT)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    again, _ = score(model, TEXT)
    torch.testing.assert_close(
        again, score(model, TEXT)[0], rtol=0, atol=0
    )  # each reading begins with the trained ones


def test_a_decay_of_one_forgets_everything_but_the_last_step():
    model = descending(0.0, 1.0)
    torch.testing.assert_close(score(model, TEXT)[0], score(recurrent(V), TEXT)[0])


def test_scaled_descent_divides_by_what_gradients_are_like_and_pulls_back_what_moves_easily():
    way = ScaledDescent(0.1, 0.5, [torch.tensor([1.0, 3.0])])
    weights, trained = [torch.tensor([2.0, 2.0])], [torch.tensor([1.0, 1.0])]
    way.move(weights, [torch.tensor([1.0, 1.0])], trained)
    # mean √M is 2, so ε is 0.2, and R is (0.5, 1.5).
    torch.testing.assert_close(weights[0], torch.tensor([2 - 0.25 - 0.1 / 1.2, 2 - 0.75 - 0.1 / 3.2]))


def test_a_scaled_step_is_shortened_to_the_usual_length():
    way = ScaledDescent(0.1, 0.0, [torch.ones(2), torch.ones(2)])
    weights, trained = [torch.zeros(2), torch.zeros(2)], [torch.zeros(2), torch.zeros(2)]
    way.move(weights, [torch.tensor([300.0, -300.0]), torch.zeros(2)], trained)
    torch.testing.assert_close(torch.cat(weights), torch.tensor([-0.1, 0.1, 0, 0]) * math.sqrt(2))


def test_squares_are_means_over_the_segments_and_move_nothing():
    squares = Squares()
    watching = Adapting(recurrent(V), squares, segment=4)
    found, _ = score(watching, TEXT)
    torch.testing.assert_close(found, score(recurrent(V), TEXT)[0])
    assert squares.segments == 3  # the fourth is full, and its last target is not read
    network, state, sums = recurrent(V), recurrent(V).initial_state(1), None
    for start in range(0, 12, 4):
        window = TEXT[:, start : start + 5]
        log_probs, state = network.score(window[:, :-1], window[:, 1:], tuple(leaf.detach() for leaf in state))
        gradient = torch.autograd.grad(-log_probs.sum() / 4, list(network.parameters()))
        squared = [slope**2 for slope in gradient]
        sums = squared if sums is None else [total + more for total, more in zip(sums, squared, strict=True)]
    for root, total in zip(squares.roots(), sums, strict=True):
        torch.testing.assert_close(root, (total / 3).sqrt())


def test_the_next_document_begins_anew_with_what_was_learned():
    model = descending()
    _, state = score(model, TEXT)
    began = renewed(model, state)
    start = recurrent(V).initial_state(1)
    assert all(torch.equal(leaf, own) for leaf, own in zip(began, start, strict=False))
    first, second = (
        model.step(torch.tensor([EOS]), began)[0],
        model.step(torch.tensor([EOS]), model.initial_state(1))[0],
    )
    assert not torch.allclose(first, second)
    # The end of a document is learned from as its last target.
    closed = torch.cat([TEXT[:, :-1], torch.tensor([[EOS, 2, 2]])], dim=1)
    _, through = score(descending(segment=16), closed)
    short = descending(segment=16)
    assert torch.allclose(renewed(short, score(short, TEXT)[1])[-1], through[-1])
    assert torch.equal(renewed(recurrent(V), recurrent(V).initial_state(2))[0], recurrent(V).initial_state(2)[0])


def test_control_tokens_are_read_and_not_learned_from():
    text = torch.tensor([[0, 2, 2, 2, 2, 2, 2]])
    model = Adapting(recurrent(V), Descent(0.5, 0.0), segment=2, controls=1)
    torch.testing.assert_close(score(model, text)[0], score(recurrent(V), text)[0])


def test_a_rate_that_is_too_large_ends_in_a_sentence():
    with pytest.raises(RanAway, match="ran away") as caught:
        score(descending(1e308), TEXT)
    assert "--rate" in caught.value.hint


def test_an_empty_window_says_nothing():
    model = descending()
    log_probs, state = model.score(TEXT[:, :0], TEXT[:, :0], model.initial_state(1))
    assert log_probs.shape == (1, 0) and all(
        torch.equal(leaf, own) for leaf, own in zip(state, model.initial_state(1), strict=True)
    )


# ── in others ───────────────────────────────────────────────────────────────────────────────────


def mixture() -> Mixture:
    parts = [
        NeuralCache(Tempered(recurrent(V), 1.5), theta=0.4, weight=0.3, window=4),
        UnigramCache(V, window=3, decay=0.9),
        recurrent(V, seed=5, cell="gru"),
    ]
    return Mixture(parts, torch.tensor([[0.5, 0.2, 0.3]]))


def test_the_networks_of_a_mixture_adapt_and_its_counts_stay():
    mixed = mixture()
    assert [network.config.cell for network in networks_of(mixed)] == ["lstm", "gru"]
    made = []

    def make(network):
        made.append(network)
        return Adapting(network, Descent(0.5, 0.0), segment=3)

    moving = adapting(mixed, make)
    assert made == networks_of(mixed)
    assert moving.members[1] is mixed.members[1]
    assert (moving.members[0].theta, moving.members[0].model.temperature) == (0.4, 1.5)
    found, still = score(moving, TEXT)[0], score(mixed, TEXT)[0]
    torch.testing.assert_close(found[0, :3], still[0, :3])
    assert not torch.allclose(found[0, 3:], still[0, 3:])


def test_what_only_counts_does_not_adapt():
    assert networks_of(Fixed(0.5, 0.5)) == []
    assert networks_of(UnigramCache(V, window=3, decay=0.9)) == []
    counts = Mixture([UnigramCache(V, window=3, decay=0.9)], torch.ones(1, 1))
    assert networks_of(counts) == [] and adapting(counts, lambda _: pytest.fail("nothing to adapt")) is counts
