import math
from collections import deque
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import LN2, Fixed, codec_of, corpus_of, recurrent, same_bits_in_any_batch, sentences

from charlm import scoring
from charlm.scoring import Score, details, evaluate, evaluate_corpus, log_probs_of_lines, log_probs_of_stream, score_of
from charlm.text.vocab import EOS, UNK

DOCUMENTS = [*sentences(40), [], [EOS], *sentences(3, longest=90)]


@pytest.fixture(params=[(8192, 512, 16), (64, 512, 16), (64, 7, 2), (1, 1, 1), (30, 1000, 1)])
def sizes(request, monkeypatch):
    """Batches and windows of many shapes."""
    for name, value in zip(("BATCH_TOKENS", "WINDOW", "BATCHES_PER_CHUNK"), request.param, strict=True):
        monkeypatch.setattr(scoring.reading, name, value)


def one_by_one(model, documents):
    with torch.no_grad():
        for document in documents:
            ids = torch.tensor([[EOS, *document]])
            empty = torch.empty(1, 0)
            log_probs = model.score(ids[:, :-1], ids[:, 1:], model.initial_state(1))[0] if document else empty
            yield log_probs[0].numpy()


def assert_same(found, expected):
    for some, others in zip(found, expected, strict=True):
        np.testing.assert_allclose(some, others, rtol=1e-10)


# ── reading ─────────────────────────────────────────────────────────────────────────────────────


def test_lines_score_the_same_in_any_batching(sizes):
    model = recurrent(12)
    assert_same(log_probs_of_lines(model, DOCUMENTS), one_by_one(model, DOCUMENTS))


def test_a_stream_scores_as_one_long_sequence(sizes):
    model, pieces = recurrent(12), [[*document, 3] for document in DOCUMENTS]
    found = list(log_probs_of_stream(model, pieces))
    assert [len(log_probs) for log_probs in found] == [len(piece) for piece in pieces]
    assert_same([np.concatenate(found)], one_by_one(model, [list(chain(*pieces))]))


def test_nothing_to_read_gives_nothing(sizes):
    model = recurrent(12)
    for read in (log_probs_of_lines, log_probs_of_stream):
        assert list(read(model, [])) == []
        assert [len(log_probs) for log_probs in read(model, [[], []])] == [0, 0]


def test_every_token_is_reported_once(sizes):
    for read in (log_probs_of_lines, log_probs_of_stream):
        done: list[int] = []
        list(read(recurrent(12), DOCUMENTS, report=done.append))
        assert sum(done) == sum(map(len, DOCUMENTS))


def test_documents_are_read_no_further_than_a_chunk_ahead(monkeypatch):
    monkeypatch.setattr(scoring.reading, "BATCH_TOKENS", 10)
    monkeypatch.setattr(scoring.reading, "BATCHES_PER_CHUNK", 2)
    taken = []
    endless = iter(lambda: taken.append(1) or [2, 3, 4, EOS], None)
    for read in (log_probs_of_lines, log_probs_of_stream):
        taken.clear()
        next(read(recurrent(12), endless))
        assert len(taken) <= 5


# ── sums and quotients ──────────────────────────────────────────────────────────────────────────

# ids: <EOS>, <UNK>, 春, 江
MODEL, CODEC = Fixed(1 / 4, 1 / 8, 1 / 2, 1 / 8), codec_of("春江")


def test_the_score_of_a_line_worked_by_hand():
    score = evaluate(MODEL, CODEC, ["春𠮷江"], carried=False)  # 1/2 · 1/8 · 1/8 · 1/4, and 𠮷 has two UTF-16 units
    assert (score.tokens, score.characters, score.unknown, score.units) == (4, 4, 1, 2)
    assert score.nats == pytest.approx((1 + 3 + 3 + 2) * LN2)
    assert score.unknown_nats == pytest.approx(3 * LN2)
    assert score.perplexity == pytest.approx(2 ** (9 / 4))
    assert score.perplexity_known == pytest.approx(2 ** (6 / 3))
    assert score.charged_nats == pytest.approx((9 + 2 * 16) * LN2)
    assert score.perplexity_charged == pytest.approx(2 ** (41 / 4))
    assert score.bits_per_char == pytest.approx(41 / 4)
    assert score.nats_per_char == pytest.approx(41 / 4 * LN2)
    assert score.unknown_rate == 0.25


def test_a_stream_counts_line_ends_as_characters():
    codec = codec_of("春\n", reading="stream")
    score = evaluate(MODEL, codec, ["春\n", "春\n"], carried=True)
    assert (score.tokens, score.characters) == (4, 4)
    assert score.nats == pytest.approx((1 + 3 + 1 + 3) * LN2)


def test_without_unknown_tokens_the_three_perplexities_are_one():
    score = evaluate(MODEL, CODEC, ["春江", "江"], carried=False)
    assert score.perplexity == score.perplexity_known == score.perplexity_charged


SCORES = st.builds(Score, *[st.integers(0, 1000)] * 6)


@given(st.lists(SCORES, max_size=5), st.integers(0, 5))
def test_scores_add_in_any_grouping(scores, cut):
    assert sum(scores[:cut], Score()) + sum(scores[cut:], Score()) == sum(scores, Score())


def test_parts_of_a_text_add_up_to_the_whole():
    lines = ["春江", "江", "春春春", "月江"]
    whole = evaluate(MODEL, CODEC, lines, carried=False)
    parts = [evaluate(MODEL, CODEC, lines[start::2], carried=False) for start in (0, 1)]
    assert sum(parts, Score()) == whole


@given(st.lists(st.floats(0, 1e6), max_size=8), st.randoms())
def test_scores_of_documents_add_exactly_in_any_order_and_grouping(nats, random):
    scores = [Score(nats=number, unknown_nats=number / 3).on_grid() for number in nats]
    whole = sum(scores, Score())
    assert abs(whole.nats - math.fsum(nats)) <= len(nats) / scoring.NATS_GRID
    random.shuffle(scores)
    assert sum(scores[:3], Score()) + sum(scores[3:], Score()) == whole


@pytest.mark.parametrize("nats", [math.inf, 1e300, -1e300])
def test_what_no_grid_can_hold_stays_as_it_is(nats):
    assert Score(nats=nats).on_grid().nats == nats


@pytest.mark.parametrize("hidden", [64, 16, 25])  # of which one row fills torch's lanes, two do, 32 do
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn-tanh", "rnn-relu"])
def test_the_figures_of_a_document_do_not_hang_on_what_is_read_beside_it(cell, hidden):
    model = recurrent(12, cell=cell, dtype=torch.float32, hidden=hidden, embedding=48)
    documents = [document for document in DOCUMENTS if len(document) <= scoring.WINDOW]
    whole = list(log_probs_of_lines(model, documents, fewest=scoring.FEWEST_ROWS))
    for start, step in ((0, 1), (0, 3), (2, 5), (4, 40), (7, 99)):
        found = log_probs_of_lines(model, documents[start::step], fewest=scoring.FEWEST_ROWS)
        for some, others in zip(found, whole[start::step], strict=True):
            np.testing.assert_allclose(some, others, rtol=1e-4, atol=1e-6)
            assert np.array_equal(some, others) or not same_bits_in_any_batch()


def test_an_empty_score_has_no_quotients():
    score = Score()
    for value in (score.perplexity, score.perplexity_known, score.perplexity_charged, score.bits_per_char):
        assert math.isnan(value)
    assert math.isnan(score.unknown_rate)


def test_an_impossible_token_has_infinite_perplexity():
    score = evaluate(Fixed(0.5, 0.25, 0.25, 0.0), CODEC, ["江"], carried=False)
    assert score.nats == math.inf == score.perplexity
    assert Score(nats=800, tokens=1, characters=1).perplexity == math.inf  # beyond the range of floats


def test_only_unknown_tokens_leave_no_known_perplexity():
    encoded = codec_of("春", reading="stream").encode("月")
    assert math.isnan(score_of(encoded, np.array([-1.0])).perplexity_known)


@pytest.mark.parametrize("carried", [False, True])
def test_details_come_in_the_order_of_the_text(sizes, carried):
    lines = ["江" * (number * 7 % 5) + "春" * (number % 3) for number in range(50)]
    found = list(details(recurrent(4), CODEC, lines, carried=carried))
    assert [encoded.ids for encoded, _, _ in found] == [CODEC.encode(line).ids for line in lines]
    assert [score.tokens for _, score, _ in found] == [len(line) + 1 for line in lines]
    assert all(score.nats == pytest.approx(-log_probs.sum()) for _, score, log_probs in found)


def test_waiting_documents_are_taken_from_a_queue_not_from_the_front_of_a_list(monkeypatch):
    taken = []

    class Queue(deque):
        def popleft(self):
            taken.append(1)
            return super().popleft()

    monkeypatch.setattr(scoring.evaluating, "deque", Queue)
    assert len(list(details(recurrent(4), CODEC, ["江"] * 50, carried=False))) == len(taken) == 50


# ── encoded texts ───────────────────────────────────────────────────────────────────────────────

LINES = ["江春月春"[: number % 5] * (number % 7) for number in range(60)]


ROUNDING = len(LINES) / 2 / scoring.NATS_GRID  # `evaluate` rounds the figure of each document


def encoded(lines):
    return corpus_of([CODEC.encode(line).ids for line in lines])


def test_an_encoded_text_of_lines_scores_the_same():
    model = recurrent(4)
    expected = evaluate(model, CODEC, LINES, carried=False)
    found = evaluate_corpus(model, encoded(LINES), carried=False)
    assert (found.tokens, found.unknown) == (expected.tokens, expected.unknown)
    assert found.nats == pytest.approx(expected.nats, abs=ROUNDING)
    assert found.unknown_nats == pytest.approx(expected.unknown_nats, abs=ROUNDING)


def test_under_one_head_an_encoded_carried_text_scores_the_same(sizes):
    model = recurrent(4)
    expected = evaluate(model, CODEC, LINES, carried=True)
    found = evaluate_corpus(model, encoded(LINES), carried=True, stripes=1)
    assert found.nats == pytest.approx(expected.nats, abs=ROUNDING)
    assert found.unknown_nats == pytest.approx(expected.unknown_nats, abs=ROUNDING)


@pytest.mark.parametrize("stripes", [2, 3, 7, 16])
def test_under_many_heads_a_model_of_short_memory_scores_nearly_the_same(stripes, monkeypatch):
    monkeypatch.setattr(scoring.evaluating, "WARM_UP", 20)
    monkeypatch.setattr(scoring.reading, "WINDOW", 13)
    model = recurrent(12, cell="gru")
    corpus = corpus_of(sentences(200))
    one = evaluate_corpus(model, corpus, carried=True, stripes=1)
    many = evaluate_corpus(model, corpus, carried=True, stripes=stripes)
    assert many.nats != one.nats
    assert many.nats == pytest.approx(one.nats, rel=1e-4)
    assert many.unknown_nats == pytest.approx(one.unknown_nats, rel=1e-3)
    assert many.tokens == one.tokens == corpus.facts.tokens


@pytest.mark.parametrize("tokens", range(160, 190))
def test_every_token_counts_once_whatever_the_heads(tokens, monkeypatch):
    monkeypatch.setattr(scoring.evaluating, "WARM_UP", 8)
    monkeypatch.setattr(scoring.reading, "WINDOW", 5)
    corpus = corpus_of([[2] * (tokens - 4) + [UNK] * 3 + [EOS]])
    found = evaluate_corpus(MODEL, corpus, carried=True, stripes=5)
    assert found.nats == pytest.approx((tokens - 4 + 3 * 3 + 2) * LN2)
    assert found.unknown_nats == pytest.approx(9 * LN2)
