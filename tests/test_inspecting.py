"""Looking into models: every figure beside one that was found another way."""

import math

import numpy as np
import pytest
import torch
from small import Fixed, recurrent
from tiny_models import TINY, WRAPPED

from charlm.errors import RunError, TextError, VocabError
from charlm.inspecting import gates, gradients, memory, spectra
from charlm.inspecting.bands import band, half_life, slope
from charlm.inspecting.positions import excerpts, readings, rows_of, state_before
from charlm.inspecting.stepping import stacked, watching
from charlm.models.cells import CELLS
from charlm.text.vocab import EOS, Vocab

LAGS = 6


def rows(count: int = 12, length: int = 20, size: int = 9) -> list[list[int]]:
    draw = torch.Generator().manual_seed(5)
    return [[EOS, *torch.randint(2, size, (length,), generator=draw).tolist(), EOS] for _ in range(count)]


def vocab(size: int = 9) -> Vocab:
    return Vocab(["<EOS>", "<UNK>", *"abcdefghijkl"[: size - 2]], list(range(size, 0, -1)))


# ── positions ───────────────────────────────────────────────────────────────────────────────────


def test_positions_have_what_stands_before_them_and_what_follows():
    text = rows()
    found = excerpts(text, LAGS, 40, seed=1)
    assert len(found) == 40 and found.inputs.shape == (40, LAGS + 1)
    for number, (row, place) in enumerate(found.places):
        assert [*found.before[number], *found.inputs[number].tolist()] == text[row][: place + 1]
        assert found.targets[number] == text[row][place + 1] and found.groups[number] == row
    assert len(set(found.places)) == 40
    assert excerpts(text, LAGS, 40, seed=1).places == found.places != excerpts(text, LAGS, 40, seed=2).places


def test_a_short_text_gives_as_many_positions_as_it_has_and_too_short_a_one_is_refused():
    assert len(excerpts(rows(2), LAGS, 500, seed=1)) == 2 * (21 - LAGS)
    with pytest.raises(TextError, match="no position with 21 tokens before it: its longest line has 21") as refused:
        excerpts(rows(2), 21, 500, seed=1)
    assert "20 at most" in refused.value.hint


@pytest.mark.parametrize("name", ["recurrent", "ngram", "window", "mixture"])
def test_states_before_positions_are_those_of_reading_each_text_alone(name):
    model, found = TINY[name](9), excerpts(rows(), LAGS, 15, seed=1)
    state = state_before(model, found.before)
    for number, before in enumerate(found.before):
        with torch.no_grad():
            alone = model.initial_state(1)
            if before:
                ids = torch.tensor([before])
                _, alone = model.score(ids, ids, alone)
        for leaf, own in zip(state, alone, strict=True):
            torch.testing.assert_close(leaf[number : number + 1], own)


def test_whole_texts_are_read_piece_by_piece_as_in_one_go():
    model, text = recurrent(9), rows(3, 150) + rows(40, 7)
    seen = {}
    for numbers, begin, inputs, real, state in readings(model, text):
        with torch.no_grad():
            hidden = model.trace(inputs, state)["hidden"]
        for place, number in enumerate(numbers):
            assert begin == sum(map(len, seen.get(number, []))) or not real[place].any()
            seen.setdefault(number, []).append(hidden[place, real[place]])
    assert sorted(seen) == list(range(len(text)))
    for number, row in enumerate(text):
        with torch.no_grad():
            alone = model.trace(torch.tensor([row[:-1]]), model.initial_state(1))["hidden"][0]
        torch.testing.assert_close(torch.cat(seen[number]), alone)


def test_carried_text_is_one_row():
    assert rows_of([[2, 3, EOS], [4, EOS]], carried=True) == [[EOS, 2, 3, EOS, 4, EOS]]
    assert rows_of([[2, 3, EOS], [4, EOS]], carried=False) == [[EOS, 2, 3, EOS], [EOS, 4, EOS]]


# ── bands ───────────────────────────────────────────────────────────────────────────────────────


def test_a_band_is_as_wide_as_the_standard_error_says_and_wider_where_documents_repeat_themselves():
    values = np.random.default_rng(0).normal(size=(400, 2))
    alone = band(values, np.arange(400), seed=1)
    expected = 2 * 1.96 / math.sqrt(400)
    assert np.allclose(alone.high - alone.low, expected, rtol=0.2)
    assert np.allclose(alone.mean, values.mean(0))
    repeated = band(np.repeat(values[:40], 10, axis=0), np.repeat(np.arange(40), 10), seed=1)
    assert np.allclose(repeated.high - repeated.low, 2 * 1.96 / math.sqrt(40), rtol=0.3)


def test_an_infinite_value_makes_the_mean_infinite_and_no_other_column():
    found = band(np.array([[1.0, math.inf], [3.0, 1.0]]), np.array([0, 1]), seed=1)
    assert found.mean[0] == 2 and math.isinf(found.mean[1]) and math.isinf(found.high[1]) and found.low[1] == 1


def test_half_lives_are_those_of_powers():
    assert half_life(0.8 ** np.arange(20)) == pytest.approx(math.log(0.5) / math.log(0.8))
    assert slope(np.array([0.0, 0.0, 2.0])) is None and half_life(np.array([1.0, math.inf])) is None


# ── gradients ───────────────────────────────────────────────────────────────────────────────────


def test_gradients_of_the_linear_network_are_its_closed_form():
    """∂ℓ/∂h_{T-k} = (Wᵀ)^k ∂ℓ/∂h_T, and ∂ℓ/∂h_T = Uᵀ (p - y)."""
    model = recurrent(9, cell="rnn-linear", layers=1, tied=False, hidden=6)
    asked = excerpts(rows(), LAGS, 50, seed=1)
    found = gradients.norms(stacked(model, "linear"), asked)
    start = state_before(model, asked.before)
    with torch.no_grad():
        vectors, _ = model.read(asked.inputs, start)
        errors = model.log_probs(vectors[:, -1]).exp() - torch.eye(9, dtype=torch.float64)[asked.targets]
        weight = model.cells[0].step.weight_hh
        closed = [errors @ model.output.weight]
        for _ in range(LAGS):
            closed.append(closed[-1] @ weight)
    expected = torch.stack([grad.norm(dim=1) for grad in closed], dim=1)
    assert (found["hidden"][:, :, 0] - expected).abs().max() < 1e-9
    (decay,) = gradients.decays(stacked(model, "linear"), asked, seed=1)
    assert np.abs(decay.curve.mean - (expected / expected[:, :1]).mean(0).numpy()).max() < 1e-9


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("skips", [False, True])
def test_gradients_of_hidden_vectors_are_central_differences(cell, skips):
    """A hidden vector is pushed where it is said and kept, in a lower layer too."""
    model = recurrent(9, cell=cell, skips=skips)
    asked = excerpts(rows(), 3, 5, seed=1)
    network = stacked(model, cell)
    found = gradients.norms(network, asked)["hidden"]
    start, small = state_before(model, asked.before), 1e-5
    for lag, layer in ((0, 0), (2, 1), (3, 0)):
        grads = []
        for unit in range(5):
            either = []
            for push in (small, -small):
                either.append(_surprise(network, asked, start, at=(3 - lag, layer), unit=unit, push=push))
            grads.append((either[0] - either[1]) / (2 * small))
        assert torch.stack(grads, dim=1).norm(dim=1) == pytest.approx(found[:, lag, layer], abs=1e-6)


@torch.no_grad()
def _surprise(network, asked, start, *, at, unit, push):
    """-log P of the targets where one unit of one layer at one step is pushed."""
    step, layer = at
    now, state = 0, start

    def pushed(_, __, given):
        if now != step:
            return given
        moved = given[1][0].clone()
        moved[:, unit] += push
        return moved[:, None], (moved, *given[1][1:])

    handle = network.cells[layer].register_forward_hook(pushed)
    for now, ids in enumerate(asked.inputs.unbind(1)):  # noqa: B007 (the hook reads it)
        log_probs, state = network.score(ids[:, None], asked.targets[:, None], state)
    handle.remove()
    return -log_probs[:, 0]


@pytest.mark.parametrize(
    ("cell", "knobs"),
    [
        ("lstm", {}),
        ("lstm-capped", {}),
        ("lstm-coupled", {"peepholes": "fo"}),
        ("lstm-peephole", {"peepholes": "ifo"}),
        ("lstm-peephole", {"peepholes": "fo", "full_peepholes": True}),
    ],
)
def test_gradients_of_memories_go_through_the_output_gate_too(cell, knobs):
    """A memory is pushed before its hidden vector is made of it, in an LSTM written out in torch."""
    model = recurrent(9, cell=cell, layers=1, **knobs)
    if cell != "lstm":
        with torch.no_grad():
            for peephole in model.cells[0].step.peepholes.values():
                peephole.uniform_(-1, 1)
    asked = excerpts(rows(), 4, 6, seed=1)
    found = gradients.norms(stacked(model, cell), asked)["memory"][:, :, 0]
    (h, c), memories = state_before(model, asked.before), []
    h, c = h[:, 0], c[:, 0].requires_grad_()
    for ids in asked.inputs.unbind(1):
        h, c = _written_out(model, model.embed(ids[:, None])[:, 0], h, c)
        memories.append(c)
    log_probs = model.log_probs(model.narrowed(h)).gather(1, asked.targets[:, None])
    grads = torch.autograd.grad(-log_probs.sum(), memories)
    expected = torch.stack([grad.norm(dim=1) for grad in reversed(grads)], dim=1)
    torch.testing.assert_close(found, expected.detach())


def _written_out(model, x, h, c):
    """One step of an LSTM, the memory a tensor of its own."""
    cell = model.cells[0]
    if model.config.cell == "lstm":
        core = cell.core
        a = x @ core.weight_ih_l0.t() + core.bias_ih_l0 + h @ core.weight_hh_l0.t() + core.bias_hh_l0
        i, f, g, o = a.chunk(4, dim=1)
        after = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * after.tanh(), after
    step = cell.step
    a = dict(
        zip([*step.gates, "g"], (x @ step.weight_ih.t() + step.bias + h @ step.weight_hh.t()).split(5, 1), strict=True)
    )

    def gate(name, memory):
        if name not in step.peepholes:
            return a[name].sigmoid()
        look = step.peepholes[name]
        return (a[name] + (memory @ look.t() if look.dim() == 2 else look * memory)).sigmoid()

    f = gate("f", c)
    i = gate("i", c) if "i" in step.gates else 1 - f
    i = torch.minimum(i, 1 - f) if step.capped else i
    after = f * c + i * a["g"].tanh()
    return gate("o", after) * after.tanh(), after


def test_a_network_is_watched_only_while_it_is_asked_and_stays_as_it_was():
    model = recurrent(9, dtype=torch.float32)
    network = stacked(model, "x")
    with watching(network) as seen:
        network.read(torch.tensor([[2]]), network.initial_state(1))
    network.read(torch.tensor([[2]]), network.initial_state(1))
    assert len(seen) == 2 and not any(cell._forward_hooks for cell in network.cells)
    assert next(model.parameters()).dtype == torch.float32 and next(model.parameters()).requires_grad


@pytest.mark.parametrize("name", ["ngram", "window", "jordan", "narx", "unigram", "mixture"])
def test_what_has_no_recurrent_layers_is_refused(name):
    with pytest.raises(RunError, match="the run has no recurrent layers") as refused:
        stacked(TINY[name](9), "the run")
    assert ("members" in refused.value.hint) == (name == "mixture")


@pytest.mark.parametrize("cell", CELLS)
def test_the_largest_singular_value_is_that_of_the_whole_jacobian(cell):
    model, lags = recurrent(9, cell=cell), 4
    network, asked = stacked(model, cell), excerpts(rows(), lags, 3, seed=1)
    found = spectra.largest_singular_values(network, asked, seed=1)
    with torch.no_grad():
        _, state = network.read(asked.inputs[:, :1], state_before(model, asked.before))
    for row in range(3):
        own = tuple(leaf[row : row + 1] for leaf in state)

        def after(flat, row=row, own=own):
            return spectra._flat(network.read(asked.inputs[row : row + 1, 1:], spectra._like(flat, own))[1])[0]

        whole = torch.autograd.functional.jacobian(after, spectra._flat(own))[:, 0]
        assert found[row].exp() == pytest.approx(float(torch.linalg.svdvals(whole)[0]), rel=1e-3)


def test_a_product_of_jacobians_that_vanishes_keeps_its_digits():
    model = recurrent(9, cell="rnn-linear", layers=1, hidden=4)
    with torch.no_grad():
        model.cells[0].step.weight_hh.mul_(0).add_(torch.diag(torch.tensor([1e-3, 5e-4, 1e-4, 0.0])))
    asked = excerpts(rows(), 10, 2, seed=1)
    found = spectra.largest_singular_values(stacked(model, "x"), asked, seed=1)
    assert found == pytest.approx([10 * math.log(1e-3)] * 2, rel=1e-4)


# ── memory ──────────────────────────────────────────────────────────────────────────────────────


def bits(model, lags=LAGS, count=30):
    return memory.effects(model, vocab(), excerpts(rows(), lags, count, seed=1), seed=1)


def test_replaced_tokens_are_others_and_follow_the_counts():
    originals = torch.full((4000, 2), 3)
    found = memory.replacements(originals, vocab(), seed=1)
    assert not (found == 3).any() and found.min() == 2
    weights = torch.tensor([0, 0, 7, 0, 5, 4, 3, 2, 1.0])
    shares = torch.bincount(found.flatten(), minlength=9) / found.numel()
    torch.testing.assert_close(shares, weights / weights.sum(), atol=0.02, rtol=0)
    assert torch.equal(found, memory.replacements(originals, vocab(), seed=1))
    with pytest.raises(VocabError, match="no two tokens"):
        memory.replacements(originals, Vocab(["<EOS>", "<UNK>", "a"], [1, 1, 1]), seed=1)


def test_counts_and_windows_have_a_finite_response_to_the_last_bit():
    """The n-gram is of order 3, the window of 3 taps, the cache keeps 3 tokens."""
    for name, reach in (("ngram", 2), ("window", 3), ("unigram", 0)):
        found = bits(TINY[name](9))
        assert (found[:, :reach] > 0).any(0).all(), name
        assert torch.equal(found[:, reach:], torch.zeros(30, LAGS - reach, dtype=torch.float64)), name
    assert torch.equal(bits(Fixed(*[1 / 9] * 9)), torch.zeros(30, LAGS, dtype=torch.float64))


@pytest.mark.parametrize("name", ["recurrent", "jordan", "mixture", "tempered network", "neural cache"])
def test_what_has_a_state_without_end_still_hears_the_farthest_token(name):
    assert (bits((TINY | WRAPPED)[name](9)) > 0).all(1).any()


def test_the_effect_is_the_divergence_of_two_readings():
    model, asked = recurrent(9), excerpts(rows(), 4, 3, seed=1)
    found = memory.effects(model, vocab(), asked, seed=2)
    others = memory.replacements(asked.inputs[:, 1:], vocab(), seed=2)
    for row in range(3):
        for lag in range(1, 5):
            either = []
            for replaced in (False, True):
                ids = [*asked.before[row], *asked.inputs[row].tolist()]
                if replaced:
                    ids[-lag] = int(others[row, -lag])
                with torch.no_grad():
                    state = model.initial_state(1)
                    for token in ids:
                        log_probs, state = model.step(torch.tensor([token]), state)
                either.append(log_probs[0])
            expected = float((either[0].exp() * (either[0] - either[1])).sum() / math.log(2))
            assert float(found[row, lag - 1]) == pytest.approx(expected, abs=1e-9)


def test_what_was_possible_and_is_excluded_costs_infinitely_many_bits():
    said, otherwise = torch.tensor([[0.5, 0.5, 0.0]]).log(), torch.tensor([[1.0, 0.0, 0.0]]).log()
    assert math.isinf(memory.divergence(said, otherwise)) and memory.divergence(otherwise, said) == 1.0
    effect = memory.Effect(band(np.array([[1.0, math.inf], [1.0, 0.0]]), np.array([0, 1]), seed=1))
    assert effect.half is None and effect.reach == 2


def test_ends_of_lines_are_the_tokens_before_marks():
    """a b , c d . e f , g h .   with the marks , = 8 and . = 9."""
    row = [EOS, 2, 3, 8, 4, 5, 9, 6, 7, 8, 2, 3, 9, EOS]
    marks = frozenset([EOS, 8, 9])
    assert [place for place, end in enumerate(memory.ends_of_lines(row, marks)) if end] == [2, 5, 8, 11]
    before = [place for place, yes in enumerate(memory.before_ends(row, frozenset([9]), marks)) if yes]
    assert [row[place + 1] for place in before] == [5, 3]  # whose targets are the ends of lines that 9 closes
    asked = excerpts([row], 10, 5, seed=1, where=[memory.before_ends(row, frozenset([9]), marks)])
    assert asked.places == [(0, 10)]
    told = memory.by_lines(torch.arange(1.0, 11.0)[None], [row], asked, marks)
    # Lag 1 is the 2 at place 10; 2 is a mark, 3 and 4 are 7 and 6, 5 a mark, 6 and 7 are 5 and 4, 8 a mark …
    assert [(line.back, line.ends, line.inside) for line in told] == [(1, 3.0, 4.0), (2, 6.0, 7.0), (3, 9.0, 10.0)]


# ── gates ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("cell", ["lstm", "gru", "lstm-peephole", "gru-reset-first", "lstm-coupled"])
def test_gates_are_told_as_a_reading_by_hand_shows_them(cell):
    model, text = recurrent(9, cell=cell), rows(5)
    found = gates.look(model, text, "x")
    with torch.no_grad():
        traced = [model.trace(torch.tensor([row[:-1]]), model.initial_state(1)) for row in text]
    assert found.tokens == sum(len(row) - 1 for row in text)
    for use in found.gates:
        values = torch.cat([each[use.gate][0, :, use.layer - 1] for each in traced])
        assert use.mean == pytest.approx(float(values.mean()))
        assert use.closed == pytest.approx(float((values < 0.1).double().mean()))
        assert use.open == pytest.approx(float((values > 0.9).double().mean()))
        assert sum(use.histogram) == values.numel()
    keeping = "update" if "gru" in cell else "forget"
    for lasting in found.lasting:
        values = torch.cat([each[keeping][0, :, lasting.layer - 1] for each in traced])
        assert lasting.units == pytest.approx((-1 / values.log().mean(0)).numpy())
        constants = -1 / values.log()
        assert lasting.values[:3] == [
            int(((constants >= a) & (constants < b)).sum()) for a, b in ((0, 1), (1, 2), (2, 4))
        ]
        assert sum(lasting.values) == values.numel() and sum(lasting.unit_octaves) == 5
    assert len(found.lasting) == 2 and {one.vector for one in found.saturation} >= {"hidden", "candidate"}


def test_a_gate_that_is_always_open_never_forgets_and_one_that_is_shut_holds_nothing():
    model = recurrent(9, cell="lstm", layers=1)
    for bias, expected in ((1000.0, [0] * 10 + [5]), (-1000.0, [5] + [0] * 10)):
        model.cells[0].begin_to_forget(bias)
        found = gates.look(model, rows(3), "x")
        assert found.lasting[0].unit_octaves == expected


def test_a_simple_network_has_no_gates_but_may_be_saturated():
    found = gates.look(recurrent(9, cell="rnn-tanh"), rows(3), "x")
    assert found.gates == [] and found.lasting == [] and len(found.saturation) == 2
    for name in ("ngram", "window", "mixture"):
        with pytest.raises(RunError, match="x has no gates"):
            gates.look(TINY[name](9), rows(3), "x")
