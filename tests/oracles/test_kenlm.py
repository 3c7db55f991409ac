"""KenLM as a second opinion: what its lmplz estimates from a small corpus, and what it reads in our ARPA files.

`kenlm/README.md` tells how the figures beside this file were made. Where a package `kenlm` is installed it is asked
about files of ours as well.
"""

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from commands.conftest import CORPORA
from small import corpus_of

import charlm
from charlm import scoring
from charlm.jobs import exchange
from charlm.ngrams.arpa import words as arpa_words
from charlm.ngrams.arpa.layout import LN10
from charlm.ngrams.arpa.reading import read as read_arpa
from charlm.ngrams.columns import scratch_folder
from charlm.ngrams.counting import count
from charlm.ngrams.estimation import estimate
from charlm.runs.run import load as load_run
from charlm.text.vocab import EOS, UNK

try:
    from kenlm import Model  # without the package, `kenlm` is the folder of figures and has no Model
except ImportError:
    Model = None

FOLDER = Path(__file__).parent / "kenlm"
TOLD = json.loads((FOLDER / "scores.json").read_text("utf-8"))
CORPUS = FOLDER / "corpus.txt"
KNOBS = {
    "order2": {"order": 2},
    "order3": {"order": 3},
    "order3-pruned": {"order": 3, "cutoffs": "0,0,1"},  # lmplz says --prune 0 0 1
}
VILLAGE, EVERYDAY, QUATRAINS = (CORPORA / name for name in ("village.en.txt", "everyday.zh.txt", "quatrains.txt"))
# Several kinds of files that KenLM must be able to read: text, level, and how the model is made.
EXPORTED = {
    "words": (CORPUS, "spaced", {"order": 3}),
    "words of order 2": (CORPUS, "spaced", {"order": 2, "smoothing": "kneser-ney"}),
    "characters with spaces among them": (VILLAGE, "char", {"order": 5, "smoothing": "witten-bell"}),
    "words and spaces, pruned": (VILLAGE, "mixed", {"order": 4, "prune": 1e-5}),
    "characters, pruned and cut off": (EVERYDAY, "mixed", {"order": 3, "prune": 1e-6, "cutoffs": "0,0,1"}),
    "characters, cut off": (EVERYDAY, "char", {"order": 4, "cutoffs": "0,0,1,2"}),
    "characters, in 8 bits": (EVERYDAY, "char", {"order": 3, "quantize": 8}),
    "rare characters as unknown": (QUATRAINS, "char", {"order": 3, "min_count": 3, "smoothing": "absolute"}),
}


@pytest.fixture(scope="module", params=KNOBS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def trained(name, tmp_path_factory):
    """Our model of the corpus."""
    path = tmp_path_factory.mktemp(name) / "run"
    # Given as validation text, the corpus is not split: every line is learned.
    return charlm.train(str(CORPUS), path, valid=str(CORPUS), model="ngram", level="spaced", **KNOBS[name])


@pytest.fixture(scope="module")
def imported(name, tmp_path_factory):
    """What lmplz made of it, as a run."""
    return import_of(FOLDER / f"{name}.arpa", tmp_path_factory.mktemp(name) / "run")


def import_of(source, path):
    exchange.import_arpa(source, path, level=None, lenient=False, command="", note=lambda _: None)
    return load_run(path)


def log10_of(run, sentences):
    """The log10 of every token of some sentences, line ends included."""
    ids = [run.codec.encode(sentence).ids for sentence in sentences]
    return [(found / LN10).tolist() for found in scoring.log_probs_of_lines(run.model, ids)]


def entries(words, blocks):
    """Every n-gram by its words: the log10 of its probability and of its back-off. That of <s> alone means nothing."""
    found = {}
    for grams, log_probs, backoffs in blocks:
        left = np.zeros(len(grams)) if backoffs is None else backoffs
        for gram, log_prob, backoff in zip(grams.tolist(), log_probs.tolist(), left.tolist(), strict=True):
            found[tuple(words[number] for number in gram)] = (log_prob / LN10, backoff / LN10)
    found["<s>",] = (0.0, found["<s>",][1])
    return found


# ── lmplz ───────────────────────────────────────────────────────────────────────────────────────


def test_every_n_gram_has_the_probability_and_the_back_off_that_lmplz_gives_it(name, trained):
    theirs = read_arpa((FOLDER / f"{name}.arpa").read_bytes().splitlines(keepends=True), name)
    expected = entries(theirs.words, [(o.grams, o.log_probs, o.backoffs) for o in theirs.orders])
    words = arpa_words.words_of(trained.codec.vocab.tokens)
    found = entries(words, arpa_words.blocks_of(trained.model.tables))
    assert found.keys() == expected.keys()
    for gram, figures in expected.items():
        assert found[gram] == pytest.approx(figures, rel=1e-6, abs=1e-6), gram


def test_the_discounts_are_those_in_the_log_of_lmplz(name):
    lines = [line.split() for line in CORPUS.read_text("utf-8").splitlines()]
    words = sorted({word for line in lines for word in line})
    corpus = corpus_of([[*(words.index(word) + 2 for word in line), EOS] for line in lines])
    expected = TOLD["models"][name]["discounts"]
    with scratch_folder() as scratch:
        counts = count(corpus.ids, corpus.starts[:-1], len(words) + 2, len(expected), memory=1 << 20, scratch=scratch)
        chosen = estimate(counts, "modified-kneser-ney", k=1.0, scratch=scratch).chosen
    assert [pick.rule.discounts for pick in chosen] == [pytest.approx(row, rel=1e-5) for row in expected]


def test_every_token_of_the_sentences_is_as_likely_as_kenlm_says(name, trained):
    for found, expected in zip(log10_of(trained, TOLD["sentences"]), TOLD["models"][name]["log10"], strict=True):
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_a_model_of_lmplz_is_imported_with_the_scores_that_kenlm_gives_it(name, imported):
    assert (imported.codec.level, len(imported.codec.vocab)) == ("spaced", 56)
    for found, expected in zip(log10_of(imported, TOLD["sentences"]), TOLD["models"][name]["log10"], strict=True):
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_a_model_of_lmplz_sums_to_one(imported):
    model = imported.model
    for context in ([EOS], [EOS, UNK], [EOS, 3], [EOS, 3, 4], [EOS, 3, EOS]):
        state = model.initial_state(1)
        for token in context:
            log_probs, state = model.step(torch.tensor([token]), state)
        assert log_probs.double().exp().sum().item() == pytest.approx(1, abs=1e-6)


# ── kenlm.Model ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(Model is None, reason="the package kenlm is not installed")
@pytest.mark.parametrize("kind", EXPORTED)
def test_kenlm_reads_our_files_and_scores_sentences_as_we_do(kind, tmp_path):
    text, level, knobs = EXPORTED[kind]
    run = charlm.train(str(text), tmp_path / "run", model="ngram", level=level, **knobs)
    exchange.export_arpa(run, tmp_path / "model.arpa")
    model = Model(str(tmp_path / "model.arpa"))
    assert model.order == knobs["order"]
    words = arpa_words.words_of(run.codec.vocab.tokens)
    words[UNK] = "a-word-that-nobody-has-seen"
    lines = [*islice(text.read_text("utf-8").splitlines(), 0, None, 7), "", "Ω", "the Ω Ω sat", "他Ω在Ω"]
    for line, found in zip(lines, log10_of(run, lines), strict=True):
        *ids, _ = run.codec.encode(line).ids
        told = list(model.full_scores(" ".join(words[number] for number in ids)))
        assert found == pytest.approx([log_prob for log_prob, _, _ in told], abs=1e-4)
        assert [unknown for *_, unknown in told] == [number == UNK for number in [*ids, EOS]]
        assert sum(found) == pytest.approx(model.score(" ".join(words[number] for number in ids)), abs=1e-4)
