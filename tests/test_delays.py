"""Networks whose memory is not learned: what they keep, and how far back they look."""

import pytest
import torch
from tiny_models import tiny_delays

from charlm.config.networks import WindowConfig
from charlm.models.delays import Jordan, Narx, Window
from charlm.training.learner import give_generator

TEXT = torch.tensor([[0, 2, 3, 4, 2, 6, 5, 1, 3]])


def distributions(model, text):
    state, found = model.initial_state(len(text)), []
    with torch.no_grad():
        for ids in text.T:
            log_probs, state = model.step(ids, state)
            found.append(log_probs)
    return torch.stack(found, dim=1), state


def changed(place):
    text = TEXT.clone()
    text[0, place] = 1 if text[0, place] != 1 else 2
    return text


def test_a_window_answers_to_its_last_tokens_and_to_nothing_before_them():
    model = tiny_delays(Window, taps=3)(7)
    whole, _ = distributions(model, TEXT)
    for place in range(TEXT.shape[1]):
        other, _ = distributions(model, changed(place))
        moved = (whole - other).abs().amax(dim=(0, 2)) > 0
        assert moved.tolist() == [place <= now < place + 3 for now in range(TEXT.shape[1])]


def test_a_window_of_one_token_is_a_table_of_pairs():
    model = tiny_delays(Window, taps=1)(7)
    assert [leaf.shape for leaf in model.initial_state(2)] == [(2, 0)]
    found, _ = distributions(model, TEXT)
    assert torch.equal(found[0, 1], found[0, 4])  # both after token 2


@pytest.mark.parametrize("network", [Jordan, Narx])
def test_what_was_said_is_heard_without_end(network):
    model = tiny_delays(network)(7)
    whole, _ = distributions(model, TEXT)
    other, _ = distributions(model, changed(0))
    assert ((whole - other).abs().amax(dim=(0, 2)) > 0).all()


def expected_embeddings(model, text):
    found, _ = distributions(model, text)
    return found.exp() @ model.embed(torch.arange(7)[None])[0]


def test_the_memory_of_a_jordan_network_is_the_mean_of_its_outputs():
    model = tiny_delays(Jordan)(7)
    with torch.no_grad():
        _, (mean, count) = distributions(model, TEXT)
        torch.testing.assert_close(mean, expected_embeddings(model, TEXT).mean(dim=1))
    assert count.tolist() == [[TEXT.shape[1]]]


def test_a_narx_network_keeps_its_last_outputs_and_inputs():
    model = tiny_delays(Narx, taps=4, output_taps=2)(7)
    with torch.no_grad():
        _, (line, outputs) = distributions(model, TEXT)
        torch.testing.assert_close(outputs, expected_embeddings(model, TEXT)[:, -2:])
    assert line.tolist() == TEXT[:, -3:].tolist()


def test_a_narx_network_of_one_tap_has_no_line_of_tokens():
    assert [leaf.shape for leaf in tiny_delays(Narx, taps=1, output_taps=3)(7).initial_state(2)] == [(2, 3, 4)]


def test_nothing_in_the_memory_of_a_jordan_network_is_learned_but_gradient_goes_through_it():
    model = tiny_delays(Jordan)(7)
    mean = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    log_probs, _ = model.score(TEXT[:, :-1], TEXT[:, 1:], (mean, torch.ones(1, 1).double()))
    assert not any(leaf.requires_grad for leaf in model.initial_state(1))
    log_probs[0, -1].backward()
    assert mean.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("network", [Jordan, Narx, Window])
def test_gradients_are_those_of_finite_differences(network):
    model = tiny_delays(network)(7)
    weight = model.first.weight.detach().clone().requires_grad_()

    def nats(weight):
        call = {"first.weight": weight}
        state = model.initial_state(1)
        return torch.func.functional_call(model, call, (TEXT[:, :-1], TEXT[:, 1:], state))[0]

    assert torch.autograd.gradcheck(nats, (weight,))


@pytest.mark.parametrize("network", [Jordan, Narx, Window])
def test_a_trace_shows_the_hidden_vectors_of_every_layer(network):
    model = tiny_delays(network)(7)
    seen = model.trace(TEXT, model.initial_state(1))
    assert {name: tensor.shape for name, tensor in seen.items()} == {"hidden": (1, TEXT.shape[1], 2, 5)}


@pytest.mark.parametrize("network", [Jordan, Narx, Window])
def test_the_same_units_are_dropped_through_a_whole_window(network):
    model = tiny_delays(network, dropout=0.5)(7).train()
    give_generator(model, torch.Generator().manual_seed(2))
    hidden = model.trace(TEXT, model.initial_state(1))["hidden"]  # (1, T, L, H)
    dropped = (hidden == 0).all(dim=1)
    assert dropped.any() and torch.equal(dropped, (hidden == 0).any(dim=1))


def test_a_window_can_be_compared_with_a_part_of_the_vocabulary(monkeypatch):
    monkeypatch.setattr("charlm.models.network.SMALLEST_SAMPLED", 7)
    model = Window(WindowConfig(layers=1, hidden=5, embedding=4, taps=2, sampled=0.2), 40).train()
    give_generator(model, torch.Generator().manual_seed(2))
    model.eval(), model.train()
    state = model.initial_state(1)
    exact, _ = model.score(TEXT[:, :-1], TEXT[:, 1:], state)
    model.at(0.1)
    model.dropout.rate = 0.0
    assert not torch.equal(model(TEXT[:, :-1], TEXT[:, 1:], state)[0], exact)
    model.at(0.9)
    assert torch.equal(model(TEXT[:, :-1], TEXT[:, 1:], state)[0], model.score(TEXT[:, :-1], TEXT[:, 1:], state)[0])


@pytest.mark.parametrize("kind", [Jordan, Narx, Window])
def test_a_network_that_hears_itself_had_no_temperature(kind):
    model = tiny_delays(kind)(7).eval()
    given = TEXT[:, :-1], TEXT[:, 1:], model.initial_state(1)
    said, _ = distributions(model, TEXT[:, :-1])
    expected = torch.log_softmax(said / 1.7, dim=-1).gather(2, TEXT[:, 1:, None])[..., 0]
    torch.testing.assert_close(model.tempered(*given, 1.7)[0], expected)
    torch.testing.assert_close(model.tempered(*given, 1.0)[0], model.score(*given)[0])
