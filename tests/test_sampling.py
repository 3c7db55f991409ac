import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import Fixed, recurrent

from charlm.config.sampling import SamplingConfig
from charlm.errors import ConfigError
from charlm.sampling import (
    NEVER,
    _mass,
    draw,
    filters_of,
    generator_of,
    min_p,
    never,
    repetition_penalty,
    sample,
    samples,
    temperature,
    top_k,
    top_p,
)
from charlm.text.vocab import EOS, UNK

NOTHING = torch.empty(1, 0, dtype=torch.int64)


def after(apply, *probabilities, said=NOTHING, dtype=torch.float64) -> list[float]:
    """The probabilities that a filter leaves, made to sum to one again."""
    log_probs = torch.tensor([probabilities], dtype=dtype).log()
    kept = log_probs.clone()
    found = apply(log_probs, said).double().softmax(-1)[0].tolist()
    assert torch.equal(log_probs, kept)
    return [round(probability, 9) for probability in found]


# ── filters ─────────────────────────────────────────────────────────────────────────────────────


def test_temperature_zero_keeps_the_likeliest_token():
    assert after(temperature(0), 0.1, 0.2, 0.4, 0.3) == [0, 0, 1, 0]
    assert after(temperature(0), 0.1, 0.4, 0.4, 0.1) == [0, 1, 0, 0]  # of equal ones, the smaller id


def test_a_low_temperature_sharpens():
    # squares: 1, 4, 16, 9 of 30
    assert after(temperature(0.5), 0.1, 0.2, 0.4, 0.3) == pytest.approx([1 / 30, 4 / 30, 16 / 30, 9 / 30])


def test_a_high_temperature_flattens():
    roots = [1, 2, 3, 4]
    assert after(temperature(2), 1 / 30, 4 / 30, 9 / 30, 16 / 30) == pytest.approx([root / 10 for root in roots])


@pytest.mark.parametrize("value", [1e-3, 1e-40, 5e-324])
def test_a_tiny_temperature_is_greedy_and_no_accident(value):
    assert after(temperature(value), 0.1, 0.2, 0.4, 0.3, dtype=torch.float32) == [0, 0, 1, 0]


def test_temperature_leaves_the_impossible_impossible():
    assert after(temperature(3), 0.5, 0.5, 0, 0) == [0.5, 0.5, 0, 0]


def test_top_k_keeps_the_k_likeliest():
    assert after(top_k(2), 0.1, 0.2, 0.4, 0.3) == pytest.approx([0, 0, 4 / 7, 3 / 7])
    assert after(top_k(1), 0.1, 0.2, 0.4, 0.3) == [0, 0, 1, 0]
    assert after(top_k(9), 0.1, 0.2, 0.4, 0.3) == [0.1, 0.2, 0.4, 0.3]


def test_top_k_keeps_exactly_k_of_equal_tokens():
    assert after(top_k(2), 0.25, 0.25, 0.25, 0.25) == [0.5, 0.5, 0, 0]
    assert after(top_k(2), 0.1, 0.3, 0.3, 0.3) == [0, 0.5, 0.5, 0]


def test_top_p_keeps_the_fewest_likeliest_that_reach_p():
    half, quarter, eighth = 1 / 2, 1 / 4, 1 / 8
    assert after(top_p(0.49), eighth, quarter, half, eighth) == [0, 0, 1, 0]
    assert after(top_p(0.51), eighth, quarter, half, eighth) == pytest.approx([0, 1 / 3, 2 / 3, 0])
    assert after(top_p(0.74), eighth, quarter, half, eighth) == pytest.approx([0, 1 / 3, 2 / 3, 0])
    assert after(top_p(0.76), eighth, quarter, half, eighth) == pytest.approx([1 / 7, 2 / 7, 4 / 7, 0])
    assert after(top_p(1.0), eighth, quarter, half, eighth) == [eighth, quarter, half, eighth]


def test_top_p_keeps_at_least_one_token():
    assert after(top_p(1e-9), 0.1, 0.2, 0.4, 0.3) == [0, 0, 1, 0]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(1, 64))
def test_top_p_agrees_with_counting_sixty_fourths(weights, sixty_fourths):
    """p lies half-way between two sums, so rounding decides nothing."""
    shares, room = [], 64
    for weight in weights:
        shares.append(min(weight, room))
        room -= shares[-1]
    shares[-1] += room
    kept, total = set(), 0
    for token in sorted(range(len(shares)), key=lambda token: (-shares[token], token)):
        if total < sixty_fourths and shares[token]:
            kept.add(token)
        total += shares[token]
    log_probs = (torch.tensor([shares], dtype=torch.float64) / 64).log()
    found = top_p((sixty_fourths - 0.5) / 64)(log_probs, NOTHING)
    assert {token for token in range(len(shares)) if found[0, token] > NEVER} == kept


def test_min_p_keeps_tokens_near_the_likeliest():
    assert after(min_p(0.5), 0.1, 0.2, 0.4, 0.3) == pytest.approx([0, 2 / 9, 4 / 9, 3 / 9])
    assert after(min_p(0.6), 0.1, 0.2, 0.4, 0.3) == pytest.approx([0, 0, 4 / 7, 3 / 7])
    assert after(min_p(1.0), 0.1, 0.4, 0.4, 0.1) == [0, 0.5, 0.5, 0]


def test_repetition_divides_the_probability_of_what_was_said_once():
    said = torch.tensor([[2, 3, 3]])
    # 0.2 and 0.4 become 0.1 and 0.2; of 0.7 in all
    found = after(repetition_penalty(2.0), 0.1, 0.3, 0.2, 0.4, said=said)
    assert found == pytest.approx([1 / 7, 3 / 7, 1 / 7, 2 / 7])


def test_repetition_spares_the_end_and_what_is_new():
    assert after(repetition_penalty(2.0), 0.5, 0.5, said=torch.tensor([[EOS]])) == [0.5, 0.5]
    assert after(repetition_penalty(2.0), 0.5, 0.5) == [0.5, 0.5]


def test_repetition_looks_at_each_row_by_itself():
    log_probs = torch.full((2, 4), 0.25).log()
    found = repetition_penalty(2.0)(log_probs, torch.tensor([[2], [3]])) - log_probs
    assert found.exp().tolist() == [pytest.approx([1, 1, 0.5, 1]), pytest.approx([1, 1, 1, 0.5])]


def test_some_tokens_can_be_forbidden():
    assert after(never([0, 3]), 0.1, 0.2, 0.2, 0.5) == [0, 0.5, 0.5, 0]


def test_filters_apply_in_the_order_of_the_config():
    config = SamplingConfig(temperature=0.5, top_k=3, top_p=0.9, min_p=0.1, repetition=1.5)
    names = [apply.__qualname__.split(".")[0] for apply in filters_of(config)]
    assert names == ["repetition_penalty", "temperature", "top_k", "top_p", "min_p"]
    assert filters_of(SamplingConfig()) == []


# ── one draw ────────────────────────────────────────────────────────────────────────────────────


def chi_square(counts, probabilities) -> float:
    expected = np.array(probabilities) * sum(counts)
    return float(((np.array(counts) - expected) ** 2 / expected).sum())


def frequencies(drawn) -> list[int]:
    return torch.bincount(drawn, minlength=5).tolist()


def test_draws_are_as_frequent_as_their_probabilities():
    probabilities = [0.1, 0.2, 0.4, 0.25, 0.05]
    log_probs = torch.tensor([probabilities]).log().expand(4000, -1)
    drawn = draw(log_probs, [generator_of(1, number) for number in range(4000)])
    assert chi_square(frequencies(drawn), probabilities) < 18.5  # 4 degrees of freedom, 0.1 %
    drawn = draw(log_probs, [generator_of(1, 0)] * 4000)
    assert chi_square(frequencies(drawn), probabilities) < 18.5


class Throw:
    """Stands in for random numbers."""

    def __init__(self, monkeypatch, value: float) -> None:
        monkeypatch.setattr(torch, "rand", lambda *size, **_: torch.full(size[0], value, dtype=torch.float64))


@pytest.mark.parametrize("value", [0.0, 0.49999, 0.5, 1 - 2**-53])
def test_what_has_no_probability_is_never_drawn(monkeypatch, value):
    Throw(monkeypatch, value)
    log_probs = torch.tensor([[NEVER, math.log(0.5), NEVER, math.log(0.5), NEVER, NEVER]])
    expected = 1 if value < 0.5 else 3
    assert draw(log_probs, [torch.Generator()]).tolist() == [expected]


@pytest.mark.parametrize("value", [0.0, 0.7, 1 - 2**-53])
def test_a_tail_lost_to_rounding_is_never_drawn(monkeypatch, value):
    Throw(monkeypatch, value)
    log_probs = torch.tensor([[-800.0, 0.0, -800.0, NEVER]], dtype=torch.float64)
    assert draw(log_probs, [torch.Generator()]).tolist() == [1]


def test_log_probabilities_need_not_be_normalized():
    log_probs = torch.tensor([[1.0, 2.0, 3.0]])
    for number in range(20):
        generators = [[generator_of(1, number)] for _ in range(2)]
        assert draw(log_probs, generators[0]).tolist() == draw(log_probs - 100, generators[1]).tolist()


# ── whole samples ───────────────────────────────────────────────────────────────────────────────

MODEL = recurrent(9, seed=5)
WILD = SamplingConfig(temperature=1.3, top_p=0.95, repetition=1.2, max_tokens=30)


def ids(found):
    return [one.ids for one in found]


@pytest.mark.parametrize("batch_size", [2, 7, 64])
def test_the_batch_size_does_not_change_what_a_sample_says(batch_size):
    one_by_one = list(samples(MODEL, [3, 4], 12, WILD, batch_size=1))
    together = list(samples(MODEL, [3, 4], 12, WILD, batch_size=batch_size))
    assert ids(together) == ids(one_by_one)
    assert [one.log_prob for one in together] == pytest.approx([one.log_prob for one in one_by_one], rel=1e-10)


def test_the_same_seed_says_the_same_and_another_one_does_not():
    def drawn(seed):
        return ids(samples(MODEL, [], 6, SamplingConfig(seed=seed, max_tokens=30)))

    assert drawn(1) == drawn(1)
    assert len({str(drawn(seed)) for seed in range(8)}) == 8
    assert len({str(sample) for sample in drawn(1)}) > 3


def test_a_sample_is_known_by_its_number():
    whole = ids(samples(MODEL, [], 6, WILD))
    assert ids(sample(MODEL, [], [4, 2], WILD)) == [whole[4], whole[2]]


def test_unknown_is_never_said_and_a_stream_never_ends():
    likely_unknown = Fixed(0.2, 0.7, 0.1)
    for one in samples(likely_unknown, [], 50, SamplingConfig(max_tokens=20)):
        assert set(one.ids) <= {2}
    for one in samples(likely_unknown, [], 5, SamplingConfig(max_tokens=20), ends=False):
        assert one.ids == [2] * 20 and not one.ended


def test_the_end_ends_a_sample_and_is_not_part_of_it():
    found = list(samples(Fixed(0.3, 0.1, 0.6), [], 200, SamplingConfig(max_tokens=50)))
    assert all(one.ended and EOS not in one.ids and UNK not in one.ids for one in found)
    # Without <UNK> the end has 1/3: two tokens before it on average, with a variance of 6.
    assert np.mean([len(one.ids) for one in found]) == pytest.approx(2, abs=3 * math.sqrt(6 / 200))


def test_the_log_probability_is_the_models_own():
    (one,) = sample(Fixed(0.25, 0.25, 0.5), [], [0], SamplingConfig(temperature=0, max_tokens=3))
    assert one.ids == [2, 2, 2] and not one.ended
    assert one.log_prob == pytest.approx(3 * math.log(0.5))


def test_a_greedy_sample_always_takes_the_likeliest():
    (one,) = sample(MODEL, [5, 6], [0], SamplingConfig(temperature=0, max_tokens=10))
    said = [EOS, 5, 6]
    for token in [*one.ids, *[EOS] * one.ended]:
        state = MODEL.initial_state(1)
        for read in said:
            log_probs, state = MODEL.step(torch.tensor([read]), state)
        log_probs[0, UNK] = NEVER
        assert int(log_probs.argmax()) == token
        said.append(token)


def test_a_prompt_is_read_before_the_first_draw():
    class Echo(Fixed):
        """Says again what it read last."""

        def step(self, ids, state):
            log_probs = torch.full((len(ids), self.vocab_size), 0.001, dtype=torch.float64)
            return log_probs.scatter(1, ids[:, None], 1.0).log(), (state[0] + 1,)

    config = SamplingConfig(temperature=0, max_tokens=2)
    assert ids(sample(Echo(*[0.2] * 5), [3, 4], [0, 1], config)) == [[4, 4], [4, 4]]
    assert ids(sample(Echo(*[0.2] * 5), [], [0], config)) == [[]]


def test_no_more_tokens_come_than_were_asked_for():
    for limit in (1, 5):
        found = list(samples(MODEL, [2], 20, SamplingConfig(max_tokens=limit)))
        assert max(len(one.ids) for one in found) == limit


def test_tokens_are_told_as_they_are_drawn():
    told: list[list[int]] = [[], [], []]
    found = sample(MODEL, [], range(3), WILD, on_token=lambda row, token: told[row].append(token))
    assert told == ids(found)


def test_tokens_are_told_with_the_number_of_their_sample_not_the_row_of_the_batch():
    told: dict[int, list[int]] = {7: [], 3: []}
    found = sample(MODEL, [], [7, 3], WILD, on_token=lambda number, token: told[number].append(token))
    assert list(told.values()) == ids(found)


class Lines:
    """Lines of `length` tokens, a different one of `ends` as the last of each; then the end. State: (place, line)."""

    def __init__(self, length: int, ends: list[int], vocab_size: int = 9) -> None:
        self.length, self.ends, self.vocab_size = length, ends, vocab_size

    def start(self):
        return (0, 0)

    def allowed(self, state):
        place, line = state
        mask = torch.zeros(self.vocab_size, dtype=torch.bool)
        if line == len(self.ends):
            mask[EOS] = True
        elif place == self.length - 1:
            mask[self.ends[line]] = True
        else:
            mask[2:] = True
        return mask

    def advance(self, state, token):
        assert self.allowed(state)[token]
        place, line = state
        return (0, line + 1) if place == self.length - 1 else (place + 1, line)


@pytest.mark.parametrize("config", [WILD, SamplingConfig(temperature=0, max_tokens=30)], ids=["wild", "greedy"])
def test_a_constraint_gives_every_sample_its_form_whatever_the_batch(config):
    form = Lines(4, [5, 7, 3])
    alone = list(samples(MODEL, [2], 7, config, constraint=form, batch_size=1))
    for one in alone:
        assert one.ended and len(one.ids) == 12 and one.ids[3::4] == [5, 7, 3]
    assert ids(samples(MODEL, [2], 7, config, constraint=form, batch_size=3)) == ids(alone)
    assert ids(sample(MODEL, [2], [5, 1], config, constraint=form)) == [alone[5].ids, alone[1].ids]


def test_samples_that_end_early_leave_the_others_their_own_states():
    class Counting(Lines):
        """Ends where it will, but says its tokens in turn."""

        def allowed(self, state):
            mask = torch.zeros(4, dtype=torch.bool)
            mask[[EOS, 2 + state[0]]] = True
            return mask

        def advance(self, state, token):
            return (1 - state[0], 0)

    found = list(samples(Fixed(0.3, 0.1, 0.3, 0.3), [], 40, SamplingConfig(max_tokens=9), constraint=Counting(1, [])))
    assert len({len(one.ids) for one in found}) > 4
    assert all(one.ids == [2, 3, 2, 3, 2, 3, 2, 3, 2][: len(one.ids)] for one in found)


@pytest.mark.parametrize("temperature", [0, 0.5, 1])
def test_where_nothing_is_allowed_the_sample_is_named_and_nothing_forbidden_is_drawn(temperature):
    class Closed(Lines):
        def allowed(self, state):
            return super().allowed(state) if state == (0, 0) else torch.zeros(9, dtype=torch.bool)

    config = SamplingConfig(temperature=temperature)
    with pytest.raises(ConfigError, match=r"sample 7 cannot go on after 1 token"):
        sample(MODEL, [], [7, 8], config, constraint=Closed(4, [5]))


def test_further_filters_come_before_those_of_the_config():
    greedy = SamplingConfig(temperature=0, max_tokens=3)
    model = Fixed(0.1, 0.1, 0.5, 0.3)
    assert ids(samples(model, [], 2, greedy)) == [[2] * 3] * 2
    assert ids(samples(model, [], 2, greedy, filters=[never([2])])) == [[3] * 3] * 2


def test_no_samples_are_drawn_where_none_are_asked_for():
    assert list(samples(MODEL, [], 0, WILD)) == []


def test_generators_of_neighbours_are_unlike():
    throws = [float(torch.rand((), generator=generator_of(seed, n))) for seed in range(20) for n in range(20)]
    assert len(set(throws)) == 400
    assert chi_square(np.histogram(throws, 10, (0, 1))[0], [0.1] * 10) < 27.9  # 9 degrees of freedom, 0.1 %


@pytest.mark.parametrize("scale", [1.0, 30.0, 300.0])
def test_the_mass_of_what_is_allowed_is_right_even_where_no_float_holds_its_probabilities(scale):
    torch.manual_seed(2)
    log_probs = torch.log_softmax(torch.randn(40, 30) * scale, -1)
    allowed = torch.rand(40, 30) < 0.1
    allowed[:, 0] = True
    exact = log_probs.double().masked_fill(~allowed, -math.inf).logsumexp(-1)
    torch.testing.assert_close(_mass(log_probs, allowed).double(), exact, rtol=1e-5, atol=1e-5)
    if scale > 100:
        assert (exact < -100).any()
