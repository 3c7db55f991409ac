import itertools
import math
from types import SimpleNamespace

import pytest
import torch
from contracts.test_language_model import CROWD, LAWS
from hypothesis import given
from hypothesis import strategies as st
from small import LN2, Fixed, recurrent
from tiny_models import TINY

from charlm.errors import ConfigError
from charlm.models import caches
from charlm.models.caches import AWAITED, EMPTY, NeuralCache, UnigramCache
from charlm.models.mixture import Mixture
from charlm.models.tempered import Tempered
from charlm.text.vocab import EOS

LETTERS = st.lists(st.integers(0, 6), min_size=2, max_size=14)
WINDOWS = st.integers(1, 6)


@pytest.fixture(params=[1 << 22, 20, 1], ids=lambda numbers: f"blocks of {numbers}")
def blocks(request, monkeypatch):
    """Blocks that hold everything, a few steps and hardly one."""
    monkeypatch.setattr(caches, "BLOCK_NUMBERS", request.param)


def after_reading(model, *ids):
    """The distribution (V,) after these ids, and the state."""
    state = model.initial_state(1)
    for token in ids:
        log_probs, state = model.step(torch.tensor([token]), state)
    return log_probs[0], state


def score(model, text, state=None):
    ids = torch.tensor([text])
    return model.score(ids[:, :-1], ids[:, 1:], model.initial_state(1) if state is None else state)


def neural(theta=0.7, weight=0.4, window=3):
    return NeuralCache(TINY["recurrent"](7), theta=theta, weight=weight, window=window)


@pytest.mark.parametrize("wrap", [lambda model: model, lambda model: Tempered(model, 1.5)], ids=["plain", "tempered"])
def test_a_network_is_read_once_for_what_it_says_and_for_what_it_felt(wrap):
    network = recurrent(layers=2)
    cache = NeuralCache(wrap(network), theta=0.7, weight=0.4, window=3)
    text = [EOS, 2, 3, 2, 6, 3, 2, 3]
    state = cache.initial_state(1)
    lengths = []
    network.cells[0].register_forward_hook(lambda _, given, __: lengths.append(given[0].shape[1]))
    found, after = score(cache, text, state)
    assert lengths == [len(text) - 1]
    names = ("vocab_size", "initial_state", "step", "score", "trace")
    bare = SimpleNamespace(**{name: getattr(cache.model, name) for name in names})  # which does not offer more
    apart, later = score(NeuralCache(bare, theta=0.7, weight=0.4, window=3), text, state)
    assert lengths == [len(text) - 1] * 3
    torch.testing.assert_close((found, after), (apart, later))
    lengths.clear()
    stepped = []
    for ids, following in itertools.pairwise(text):
        log_probs, state = cache.step(torch.tensor([ids]), state)
        stepped.append(log_probs[0, following])
    assert lengths == [1] * (len(text) - 1)
    torch.testing.assert_close(found[0], torch.stack(stepped))
    torch.testing.assert_close(state, after)


# ── unigram cache ───────────────────────────────────────────────────────────────────────────────


def test_the_newest_token_counts_most():
    log_probs, (recent,) = after_reading(UnigramCache(4, window=3, decay=0.5), EOS, 2, 3, 2)
    assert log_probs.exp().tolist() == pytest.approx([0, 0, 5 / 7, 2 / 7])  # 1 + 1/4 and 1/2, of 7/4
    assert recent.tolist() == [[2, 3, 2]]


def test_what_left_the_window_is_forgotten():
    log_probs, _ = after_reading(UnigramCache(4, window=2, decay=1.0), 1, 2, 3)
    assert log_probs.exp().tolist() == pytest.approx([0, 0, 0.5, 0.5])


def test_an_empty_memory_finds_every_token_equally_likely():
    log_probs, (recent,) = after_reading(UnigramCache(4, window=2, decay=0.5), EOS)
    torch.testing.assert_close(log_probs, torch.full((4,), -2 * LN2, dtype=torch.float64))
    assert recent.tolist() == [[EMPTY, EMPTY]]


def test_the_end_of_a_line_is_not_remembered_and_nothing_is_forgotten_by_it():
    cache = UnigramCache(4, window=2, decay=0.5)
    log_probs, (recent,) = after_reading(cache, EOS, 2, 3, EOS, EOS)
    assert recent.tolist() == [[2, 3]]
    assert log_probs[EOS] == -math.inf
    found, (after,) = score(cache, [EOS, 2, EOS, EOS, 2, 3, EOS, 2])
    assert found[0].exp().tolist() == pytest.approx([1 / 4, 0, 0, 1, 0, 0, 1 / 3])
    assert after.tolist() == [[2, 3]]


@given(text=LETTERS, window=WINDOWS, decay=st.sampled_from([0.3, 0.9, 1.0]))
def test_a_unigram_cache_is_its_definition(text, window, decay):
    found, _ = score(UnigramCache(7, window=window, decay=decay), text)
    for end, (target, log_prob) in enumerate(zip(text[1:], found[0].tolist(), strict=True), 1):
        heard = [token for token in text[:end] if token != EOS][::-1][:window]
        powers = [decay**place for place in range(len(heard))]
        hit = sum(power for power, token in zip(powers, heard, strict=True) if token == target)
        assert math.exp(log_prob) == pytest.approx(hit / sum(powers) if heard else 1 / 7)


def test_rows_that_stand_at_different_places_share_a_batch(blocks):
    cache = UnigramCache(7, window=3, decay=0.5)
    _, (old,) = score(cache, [2, 3, 4, 5])
    state = (torch.cat([old, *cache.initial_state(1)]),)
    ids = torch.tensor([[5, 0, 2, 3], [0, 0, 4, 4]])
    found, _ = cache.score(ids[:, :-1], ids[:, 1:], state)
    first, _ = score(cache, [2, 3, 4, 5, 0, 2, 3])
    second, _ = score(cache, [0, 0, 4, 4])
    torch.testing.assert_close(found, torch.cat([first[:, 3:], second]))


@pytest.mark.parametrize(("window", "decay"), [(0, 0.5), (3, 0.0), (3, 1.1), (3, math.nan)])
def test_an_impossible_unigram_cache_is_refused(window, decay):
    with pytest.raises(ConfigError) as caught:
        UnigramCache(7, window=window, decay=decay)
    assert caught.value.hint


# ── neural cache ────────────────────────────────────────────────────────────────────────────────


class Clock:
    """Two hidden vectors that take turns, (1, 0) and (0, 2), whatever is read. State: `(time,)`, (B, 1)."""

    vocab_size = 4

    def __init__(self, dtype=torch.float64):
        self.dtype = dtype

    def initial_state(self, batch_size):
        return (torch.zeros(batch_size, 1, dtype=torch.int64),)

    def trace(self, inputs, state, *, gates):
        turn = (state[0] + torch.arange(inputs.shape[1])) % 2
        top = torch.stack([1 - turn, 2 * turn], dim=-1)
        return {"hidden": torch.stack([torch.full_like(top, 9), top], dim=2).to(self.dtype)}

    def step(self, ids, state):
        return torch.full((len(ids), 4), -2 * LN2), (state[0] + 1,)

    def score(self, inputs, targets, state):
        return torch.full(targets.shape, -2 * LN2), (state[0] + inputs.shape[1],)


def test_a_cache_expects_what_followed_the_last_time():
    cache = NeuralCache(Clock(), theta=LN2, weight=0.5, window=4)
    # After 0 1 2 3: even moments were followed by 1 and 3, the odd one by 2; now it is odd, and 2·2 = 4.
    log_probs, state = after_reading(cache, 0, 1, 2, 3)
    assert log_probs.exp().tolist() == pytest.approx([0.125 + p / 2 for p in (0, 1 / 18, 16 / 18, 1 / 18)])
    assert state[1].tolist() == [[[0, 0], [1, 0], [0, 2], [1, 0], [0, 2]]]
    assert state[2].tolist() == [[EMPTY, 1, 2, 3, AWAITED]]


def test_the_window_counts_pairs():
    cache = NeuralCache(Clock(), theta=LN2, weight=1.0, window=2)
    log_probs, _ = after_reading(cache, 0, 1, 2, 3)
    assert log_probs.exp().tolist() == pytest.approx([0, 0, 16 / 17, 1 / 17])


def test_the_first_token_of_a_text_follows_nothing():
    cache = NeuralCache(Clock(), theta=1.0, weight=0.9, window=3)
    log_probs, state = after_reading(cache, 2)
    assert log_probs.exp().tolist() == pytest.approx([0.25] * 4)
    assert state[2].tolist() == [[EMPTY, EMPTY, EMPTY, AWAITED]]


def test_a_pair_is_completed_over_the_edge_of_two_windows():
    cache = NeuralCache(Clock(), theta=0.0, weight=1.0, window=3)
    _, state = score(cache, [0, 1])  # reads 0 alone
    found, _ = score(cache, [3, 3], state)  # reads 3, which follows 0
    assert found[0].exp().tolist() == pytest.approx([1])


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_weight_may_leave_out_one_side(weight):
    cache = NeuralCache(Clock(), theta=1.0, weight=weight, window=3)
    log_probs, _ = after_reading(cache, 0, 1)
    assert log_probs.exp().tolist() == pytest.approx([0, 1, 0, 0] if weight else [0.25] * 4)


def test_very_unlike_moments_neither_overflow_nor_vanish():
    cache = NeuralCache(Clock(), theta=500.0, weight=1.0, window=3)
    log_probs, _ = after_reading(cache, 0, 1, 2, 3)
    assert log_probs.tolist() == pytest.approx([-math.inf, -2000, 0, -2000])
    found, _ = score(cache, [0, 1, 2, 3, 1])
    assert found[0, -1].item() == pytest.approx(-2000)


def definition(cache, text):
    """Equations 2 to 4, one token after the other: p_cache and the mixture, for text[1:]."""
    ids = torch.tensor([text])
    hidden = cache.model.trace(ids, cache.model.initial_state(1))["hidden"][0, :, -1].detach()
    for now, target in enumerate(text[1:]):
        kernel = {i: math.exp(cache.theta * float(hidden[now] @ hidden[i])) for i in range(now)[-cache.window :]}
        hit = sum(value for i, value in kernel.items() if text[i + 1] == target)
        yield hit / sum(kernel.values()) if kernel else None


@given(text=LETTERS, window=WINDOWS, theta=st.sampled_from([0.0, 0.7, 20.0]), cut=st.integers(1, 12))
def test_a_neural_cache_is_its_definition(text, window, theta, cut):
    cache = neural(theta=theta, window=window)
    cut = min(cut, len(text) - 1)
    first, state = score(cache, text[: cut + 1]) if cut else (None, None)
    found = torch.cat([first, score(cache, text[cut:], state)[0]], dim=1) if cut < len(text) - 1 else first
    model, _ = score(cache.model, text)
    for said, alone, expected in zip(found[0].exp(), model[0].exp(), definition(cache, text), strict=True):
        assert said.item() == pytest.approx(alone.item() if expected is None else 0.6 * alone.item() + 0.4 * expected)


def test_parts_tell_model_and_cache_apart_for_several_thetas(blocks):
    cache = neural(window=4)
    text = [0, 2, 3, 4, 2, 3, 6, 2, 3, 4]
    ids = torch.tensor([text])
    thetas = [0.0, 0.7, 20.0]
    model, remembered, after = cache.parts(ids[:, :-1], ids[:, 1:], cache.initial_state(1), thetas)
    assert model.shape == (1, 9) and remembered.shape == (3, 1, 9)
    torch.testing.assert_close(model, score(cache.model, text)[0])
    assert remembered[:, 0, 0].tolist() == [model[0, 0].item()] * 3
    assert (remembered[:, 0, 6] == -math.inf).tolist() == [False] * 3  # 2 was seen
    assert (remembered[:, 0, 5] == -math.inf).all()  # 6 was not
    for theta, row in zip(thetas, remembered[:, 0].exp().tolist(), strict=True):
        expected = list(definition(neural(theta=theta, window=4), text))
        assert row[1:] == pytest.approx(expected[1:])
    for leaf, other in zip(after, score(cache, text)[1], strict=True):
        assert torch.equal(leaf, other)


def test_with_a_theta_of_zero_all_moments_are_alike():
    cache, counts = neural(theta=0.0, weight=1.0, window=3), UnigramCache(7, window=3, decay=1.0)
    text = [2, 3, 3, 4, 5, 4, 6, 3]
    found, _ = score(cache, text)
    expected, _ = score(counts, text[1:])  # the first token followed nothing
    torch.testing.assert_close(found[:, 2:], expected[:, 1:])


def test_keys_are_as_precise_as_the_model_but_never_half():
    assert NeuralCache(recurrent(dtype=torch.float32), theta=1, weight=0.1, window=2).initial_state(1)[-2].dtype == (
        torch.float32
    )
    half = NeuralCache(Clock(torch.bfloat16), theta=1.0, weight=0.1, window=2)
    log_probs, state = after_reading(half, 0, 1, 2)
    assert state[1].dtype == torch.float32
    assert log_probs.dtype == torch.float64


def test_a_model_may_be_made_more_precise_after_it_was_wrapped():
    model = recurrent(dtype=torch.float32)
    cache = NeuralCache(model, theta=1.0, weight=0.1, window=2)
    model.double()
    assert cache.initial_state(1)[-2].dtype == torch.float64


def test_no_gradient_is_kept():
    cache = NeuralCache(recurrent(learned_start=True), theta=1.0, weight=0.5, window=3)
    found, state = score(cache, [0, 2, 3, 4])
    log_probs, after = cache.step(torch.tensor([2]), state)
    parts = cache.parts(CROWD[:1], CROWD[:1], cache.initial_state(1), [0.5])
    assert not any(leaf.requires_grad for leaf in (found, *state, log_probs, *after, *parts[:2], *parts[2]))


def test_a_model_that_is_lost_is_not_taken_for_an_empty_cache():
    model = TINY["recurrent"](7)
    cache = NeuralCache(model, theta=1.0, weight=0.5, window=3)
    _, state = score(cache, [0, 2, 3])
    keys = torch.full_like(state[-2], math.nan)
    found, _ = score(cache, [3, 4, 5], (*state[:-2], keys, state[-1]))
    assert found.isnan().any()


@pytest.mark.parametrize(
    "knobs",
    [{"window": 0}, {"theta": -1.0}, {"theta": math.inf}, {"theta": math.nan}, {"weight": -0.1}, {"weight": 1.1}],
)
def test_an_impossible_neural_cache_is_refused(knobs):
    with pytest.raises(ConfigError) as caught:
        neural(**knobs)
    assert caught.value.hint


def test_a_model_without_hidden_vectors_cannot_have_a_neural_cache():
    with pytest.raises(ConfigError, match="no hidden vectors"):
        NeuralCache(Fixed(0.5, 0.5), theta=1.0, weight=0.1, window=3)


# ── laws ────────────────────────────────────────────────────────────────────────────────────────

CACHES = {
    "unigram": lambda: UnigramCache(7, window=3, decay=0.6),
    "unigram of one": lambda: UnigramCache(7, window=1, decay=1.0),
    "unigram of many": lambda: UnigramCache(7, window=50, decay=0.95),
    "neural": neural,
    "neural of one": lambda: neural(window=1),
    "neural of many": lambda: neural(window=50),
    "neural alone": lambda: neural(weight=1.0),
    "neural on a learned start": lambda: NeuralCache(
        recurrent(cell="gru", learned_start=True), theta=2.0, weight=0.5, window=4
    ),
    "both in a mixture": lambda: Mixture(
        [CACHES["unigram"](), neural()], torch.tensor([[0.2, 0.8]], dtype=torch.float64)
    ),
}


@pytest.mark.parametrize("name", CACHES)
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_every_cache_keeps_the_law(law, name, blocks):
    law(CACHES[name]())


@pytest.mark.parametrize("window", [1, 3, 8])
@pytest.mark.parametrize("kind", ["unigram", "neural"])
def test_no_block_is_larger_than_it_may_be(kind, window, monkeypatch):
    monkeypatch.setattr(caches, "BLOCK_NUMBERS", 128)
    sizes = []
    cut = caches._blocks

    def watched(length, size):
        sizes.append(size)
        return cut(length, size)

    monkeypatch.setattr(caches, "_blocks", watched)
    model = UnigramCache(7, window=window, decay=0.5) if kind == "unigram" else neural(window=window)
    model.score(CROWD[:, :-1], CROWD[:, 1:], model.initial_state(3))
    (size,) = sizes
    numbers = 3 * size * (window if kind == "unigram" else window + size)
    assert size > 1 and numbers <= 128


def test_blocks_cover_a_length_once_and_have_at_least_one_step():
    assert caches._blocks(5, 2) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert caches._blocks(2, 0) == [slice(0, 1), slice(1, 2)]
