"""Models of missing words while they learn, and how they are measured."""

import math

import numpy as np
import pytest
import torch
from small import corpus_of, sentences
from test_gradient import assert_same_training, train
from tiny_models import TINY_CLOZE, tiny_cloze

from charlm.config.networks import ClozeConfig
from charlm.errors import ConfigError
from charlm.families.cloze import blanks
from charlm.filling import likelihood
from charlm.filling.likelihood import PseudoScore, evaluate_blanks, pseudo_log_probs
from charlm.filling.searching import Guess
from charlm.jobs.fill import per_step
from charlm.models import cloze
from charlm.models.bidirectional import Bidirectional
from charlm.models.dropout import give_generator
from charlm.text.vocab import EOS, UNK
from charlm.training.texts import Texts

LINES = Texts(corpus_of(sentences(40)), corpus_of(sentences(8, seed=1)), False)
# One text without line ends.
STREAM = Texts(*(corpus_of([[token for line in some for token in line if token != EOS]])
                 for some in (sentences(60), sentences(9, seed=1))), True)  # fmt: skip
READINGS = {"lines": blanks(LINES), "stream": blanks(STREAM)}


@pytest.fixture(params=READINGS)
def texts(request):
    return READINGS[request.param]


def learning(name="cloze", **knobs):
    return TINY_CLOZE[name](12, dropout=0.3, **knobs).float()


@pytest.mark.parametrize("name", TINY_CLOZE)
def test_a_training_of_missing_words_goes_on_as_if_it_had_not_stopped(texts, name):
    knobs = {"workers": 2, "steps": 9, "validations": 3, "average": "ema"}
    whole = train(texts, model=learning(name), **knobs)
    for stop in (1, 5, 8):
        first = train(texts, model=learning(name), stop_after=stop, **knobs)
        second = train(texts, model=learning(name, seed=9), journal=first.journal, **knobs)
        assert_same_training(second.journal, whole.journal)


@pytest.mark.parametrize("knobs", [{"optimizer": "muon"}, {"average": "tail"}], ids=str)
def test_optimizers_and_averages_serve_both_kinds_of_models(texts, knobs):
    for name in TINY_CLOZE:
        ended = train(texts, model=learning(name), steps=6, validations=2, **knobs)
        assert ended.outcome.best.valid_nats > 0 and ended.outcome.best.valid_bits_per_char is None


def test_what_can_be_told_from_one_side_or_the_other_is_learned():
    """Each line is x y x with one x of two: the middle is chance, and both ends tell each other."""
    lines = [[x, y, x, EOS] for x in (2, 3) for y in (4, 5, 6, 7)] * 8
    texts = blanks(Texts(corpus_of(lines), corpus_of(lines), False))
    model = Bidirectional(ClozeConfig(layers=1, hidden=16, embedding=8, dropout=0.0), 8)
    train(texts, model=model, steps=300, learning_rate=0.02)
    with torch.no_grad():
        found = np.stack(list(pseudo_log_probs(model.eval(), lines[:8])))
    assert found[:, [0, 2]].min() > np.log(0.9)
    assert np.exp(found[:, 1]) == pytest.approx(0.25, abs=0.1)


# ── what a step draws ───────────────────────────────────────────────────────────────────────────


def test_a_step_cuts_rows_into_pieces_and_reads_some_as_blanks_of_any_length():
    model = learning(longest_blank=3)
    give_generator(model, torch.Generator().manual_seed(1))
    targets = torch.randint(2, 12, (400, 12))
    targets[:200, 9:] = EOS
    lengths = cloze.lengths_of(targets)
    drawn = model._draw(targets, lengths)
    shares = [float(which.any(1).float().mean()) for which in (drawn.open, drawn.missing)]
    assert shares[0] == pytest.approx(cloze.OPEN, abs=0.06) and 0.05 < shares[1] < cloze.THINNED
    assert not (drawn.open & drawn.missing).any()
    assert not drawn.missing[:200, 9:].any()
    along = torch.arange(12)
    real = along < torch.where(torch.arange(400) < 200, 9, 12)[:, None]
    sizes = (drawn.ends - along)[real]
    assert sizes.min() == 0 and sizes.max() == 2
    firsts = (drawn.place == cloze.FIRST) & real
    assert firsts.sum() == (drawn.open & real & (drawn.ends == along)).sum()  # a first token for each last one
    rows, columns = drawn.over
    assert drawn.open[rows, columns].all() and (drawn.ends[rows, columns] == columns).all()
    assert (columns[rows < 200] <= 8).all() and (columns < 11).all()


def test_the_end_of_a_blank_counts_with_its_last_token(monkeypatch):
    """With one blank after the other of one token, each token costs its own nats and those of the blank's end."""
    monkeypatch.setattr(cloze, "OPEN", 1.0)
    monkeypatch.setattr(cloze, "THINNED", 0.0)
    model = tiny_cloze(7, longest_blank=2).train()
    monkeypatch.setattr(torch, "randint", lambda _low, _high, size, **_: torch.ones(size, dtype=torch.int64))
    targets = torch.tensor([[2, 3, 4, 0]])
    inputs = torch.tensor([[0, 2, 3, 4]])
    found, _ = model(inputs, targets, model.initial_state(1))
    left, right = model.sides(targets, torch.tensor([4]))
    kinds = [torch.full((1, 3), kind) for kind in (cloze.FIRST, cloze.LATER)]
    first = model.likelihood(left[:, :3], right[:, 1:4], kinds[0], targets[:, :3])
    over = model.likelihood(left[:, 1:4], right[:, 1:4], kinds[1], torch.zeros(1, 3, dtype=torch.int64))
    torch.testing.assert_close(found[:, :3], first + over)


def test_where_blanks_are_single_tokens_every_row_teaches_them():
    targets = torch.randint(2, 12, (50, 6), generator=torch.Generator().manual_seed(1))
    inputs = torch.cat([torch.zeros_like(targets[:, :1]), targets[:, :-1]], 1)
    for longest, alike in ((1, True), (2, False)):
        model = TINY_CLOZE["cloze"](12, dropout=0.0, longest_blank=longest)
        learned, _ = model.train()(inputs, targets, model.initial_state(50))
        asked, _ = model.eval()(inputs, targets, model.initial_state(50))
        assert torch.allclose(learned, asked) is alike
        # What never takes part would keep several processes waiting for its gradient.
        learned.sum().backward()
        assert all(each.grad is not None for each in model.parameters() if each.requires_grad) or not alike
        assert model.missing.requires_grad is not alike


# ── measuring ───────────────────────────────────────────────────────────────────────────────────


def test_the_measure_of_a_text_leaves_line_ends_out_and_its_shares_add():
    model, valid = TINY_CLOZE["cloze"](12), READINGS["lines"].valid
    whole = evaluate_blanks(model, valid, carried=False)
    ids = np.asarray(valid.ids)
    assert whole.tokens == (ids != EOS).sum() and whole.unknown == (ids == UNK).sum()
    for shares in (2, 5, 50):
        parts = evaluate_blanks(model, valid, carried=False, shares=shares)
        assert parts.tokens == whole.tokens and parts.nats == pytest.approx(whole.nats)
    expected = [log_probs[:-1].sum() for log_probs in pseudo_log_probs(model, map(valid.document, range(len(valid))))]
    assert whole.nats == pytest.approx(-sum(expected))


def test_a_pseudo_perplexity_is_not_called_a_perplexity():
    score = PseudoScore(nats=2.0, tokens=4) + PseudoScore(nats=1.0, tokens=2)
    assert score.pseudo_perplexity == pytest.approx(np.exp(0.5)) and score.bits_per_char is None
    assert not hasattr(score, "perplexity")
    assert np.isnan(PseudoScore().pseudo_perplexity)


def test_a_long_text_is_read_in_pieces_that_see_what_is_near(monkeypatch):
    """A window of three tokens sees no more, so pieces with a margin of three change nothing."""
    model, text = TINY_CLOZE["cloze-window"](12), [2 + number * number % 9 for number in range(100)]
    (whole,) = pseudo_log_probs(model, [[*text, EOS]])
    monkeypatch.setattr(likelihood, "LONGEST", 20)
    monkeypatch.setattr(likelihood, "MARGIN", 4)
    (pieces,) = pseudo_log_probs(model, [[*text, EOS]])
    assert pieces == pytest.approx(whole) and len(pieces) == 101


def test_candidates_of_different_lengths_are_compared_in_equal_lengths():
    short, long = Guess(((2,),), log_prob=-4.0), Guess(((2, 3, 4),), log_prob=-4.4)
    ordered, shares = per_step([short, long])
    assert ordered == [long, short]  # -1.1 a step beside -2
    assert shares == pytest.approx([1 / (1 + math.exp(3 * (-2 + 1.1))), 1 / (1 + math.exp(3 * (2 - 1.1)))])
    same = [Guess(((2,), (3,)), log_prob=-1.0), Guess(((4,), (3,)), log_prob=-2.0)]
    assert per_step(same)[1] == pytest.approx([1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))])
    assert per_step([]) == ([], [])


def test_knobs_that_a_cloze_model_has_not_are_refused():
    for knobs, words in (({"ar": 2.0}, "--ar is for"), ({"longest_blank": 0}, "--longest-blank must be from 1 to 50")):
        with pytest.raises(ConfigError, match=words):
            ClozeConfig(**knobs)
