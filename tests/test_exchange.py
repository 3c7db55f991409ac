"""N-gram models as ARPA files and back: not a probability changes on the way."""

import contextlib
import gzip
import hashlib
import io
import itertools
import json
import os
import random
import threading
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from small import corpus_of
from tiny import ARPA

import charlm
from charlm.config.models import NgramConfig
from charlm.errors import ArpaError, CharlmError, ConfigError, RunError, StorageError, TextError
from charlm.jobs import exchange
from charlm.models.ngram import Ngram
from charlm.ngrams.arpa import words as arpa_words
from charlm.ngrams.arpa.reading import read as read_arpa
from charlm.ngrams.arpa.writing import write as write_arpa
from charlm.ngrams.columns import scratch_folder
from charlm.ngrams.counting import count
from charlm.ngrams.learning import learn
from charlm.ngrams.smoothing import SMOOTHERS
from charlm.ngrams.tables import check
from charlm.runs.run import load as load_run
from charlm.text.vocab import EOS, SPECIALS, SPELLED_SPECIALS, UNK

BACKING_OFF = [name for name in SMOOTHERS if name != "add-k"]
# Tokens that a text file could mistake for something else.
ODD = [
    *("<s>", "</s>", "<S>", "\\", "\\u{20}", "\\u{3c}s>", "\\data\\", "\\end\\", "\\1-grams:", "ngram 1=2", "-0.5"),
    *(" ", "  ", "\t", "\n", "\r", "\x00", "\x0b", "\x0c", "\x1f", "\x7f", "\x85", "\xa0", "\u2028", "\u3000"),
    *("a b", " a", "a\t", "\ufeff", "\udcff", "春", "𠮷", "é", "e\u0301", "u{20}", "{", "}"),
]
TOKENS = st.lists(
    (st.sampled_from(ODD) | st.text(min_size=1, max_size=3)).filter(lambda token: token not in SPELLED_SPECIALS),
    min_size=1,
    max_size=4,
    unique=True,
)
NUMBERS = st.lists(st.lists(st.integers(1, 5), max_size=7), min_size=1, max_size=6)


def model_of(documents, vocab_size, order=3, *, carried=False, **knobs) -> Ngram:
    corpus = corpus_of(documents)
    beginnings = np.zeros(1, dtype=np.int64) if carried else corpus.starts[:-1]
    with scratch_folder() as scratch:
        counts = count(corpus.ids, beginnings, vocab_size, order, memory=1 << 20, scratch=scratch)
        return Ngram(learn(counts, NgramConfig(order=order, **knobs), scratch, lambda _: None))


def written(tokens, model) -> str:
    tables = model.tables
    return "".join(write_arpa(arpa_words.words_of(tokens), arpa_words.counts_of(tables), arpa_words.blocks_of(tables)))


def read(text: str, **knobs) -> tuple[list[str], Ngram]:
    """Tokens and model of an ARPA file."""
    found = read_arpa(text.encode().splitlines(keepends=True), "f.arpa", **knobs)
    tokens, ids = arpa_words.tokens_of(found, "f.arpa")
    tables = arpa_words.tables_of(found, ids, len(tokens))
    assert check(tables) is None
    return tokens, Ngram(tables)


def probabilities(model, length) -> np.ndarray:
    """P(· | h) for every context h of a length, <EOS> before it: (V^length, V)."""
    contexts = torch.tensor([(EOS, *h) for h in product(range(model.vocab_size), repeat=length)])
    state = model.initial_state(len(contexts))
    for column in contexts.T:
        log_probs, state = model.step(column, state)
    return np.exp(log_probs.double().numpy())


def assert_alike(one, other, order, *, within=1e-6):
    for length in range(order):
        np.testing.assert_allclose(probabilities(one, length), probabilities(other, length), rtol=0, atol=within)


# ── laws ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("smoothing", BACKING_OFF)
@settings(max_examples=25)
@given(tokens=TOKENS, numbers=NUMBERS, order=st.integers(1, 4), stream=st.booleans())
@example(["<s>", "</s>", " ", "\\"], [[2, 3, 4, 5], [2, 2, 3], [5, 4, 3, 2, 1]], 4, False)
@example(["\n", "a"], [[3, 3, 2, 3, 2]], 3, True)
def test_a_model_is_the_same_after_it_was_written_and_read(smoothing, tokens, numbers, order, stream):
    tokens = [*SPECIALS, *tokens]
    documents = [[number % len(tokens) or UNK for number in row] + [EOS] * (not stream) for row in numbers]
    model = model_of(documents, len(tokens), order, carried=stream, smoothing=smoothing)
    again, found = read(written(tokens, model))
    assert again == tokens
    assert_alike(found, model, model.tables.order)


@settings(max_examples=25)
@given(
    numbers=NUMBERS,
    order=st.integers(2, 4),
    smoothing=st.sampled_from(["modified-kneser-ney", "absolute", "witten-bell"]),
    knobs=st.sampled_from(
        [{"prune": 0.01}, {"prune": 0.3}, {"cutoffs": "0,1"}, {"cutoffs": "0,0,1", "prune": 0.03}, {"quantize": 8}]
    ),
)
def test_so_is_a_model_that_was_made_smaller(numbers, order, smoothing, knobs):
    tokens = [*SPECIALS, *"abcd"]
    model = model_of([[*row, EOS] for row in numbers], len(tokens), order, smoothing=smoothing, **knobs)
    again, found = read(written(tokens, model))
    assert again == tokens
    assert_alike(found, model, model.tables.order)


@settings(max_examples=25)
@given(numbers=NUMBERS, order=st.integers(1, 4), smoothing=st.sampled_from(BACKING_OFF))
def test_what_is_read_sums_to_one_after_every_context(numbers, order, smoothing):
    model = model_of([[*row, EOS] for row in numbers], 6, order, smoothing=smoothing)
    _, found = read(written([*SPECIALS, *"abcd"], model))
    for length in range(found.tables.order):
        sums, before = (probabilities(each, length).sum(1) for each in (found, model))
        # Count ratios leave nothing where they have seen nothing that could follow.
        np.testing.assert_allclose(sums[before > 0.5], 1, rtol=0, atol=1e-5)


@settings(max_examples=25)
@given(numbers=NUMBERS, order=st.integers(1, 4), smoothing=st.sampled_from(BACKING_OFF))
def test_a_file_that_was_read_is_written_as_it_was(numbers, order, smoothing):
    tokens = [*SPECIALS, *"ab \\"]
    text = written(tokens, model_of([[*row, EOS] for row in numbers], 6, order, smoothing=smoothing))
    lines, again = (found.splitlines() for found in (text, written(tokens, read(text)[1])))
    assert [line.split("\t")[1:2] for line in again] == [line.split("\t")[1:2] for line in lines]
    numbers_of = [[float(field) for line in found for field in line.split("\t")[::2] if "\t" in line]
                  for found in (lines, again)]  # fmt: skip
    assert numbers_of[1] == pytest.approx(numbers_of[0], rel=3e-7, abs=1e-7)


@settings(max_examples=200)
@given(place=st.integers(0, len(ARPA) - 1), byte=st.sampled_from(" \t\n-9a.<>su/\\0\x80\xff"), lenient=st.booleans())
def test_a_file_with_a_wrong_byte_is_refused_or_read_and_never_a_bug(place, byte, lenient):
    data = ARPA.encode()
    lines = (data[:place] + byte.encode("latin-1") + data[place + 1 :]).splitlines(keepends=True)
    try:
        found = read_arpa(lines, "f.arpa", lenient=lenient)
        tokens, ids = arpa_words.tokens_of(found, "f.arpa")
    except ArpaError:
        return
    tables = arpa_words.tables_of(found, ids, len(tokens))
    assert check(tables) is None
    assert not np.isnan(probabilities(Ngram(tables), 2)).any()


# ── by hand ─────────────────────────────────────────────────────────────────────────────────────


def test_a_small_file_by_hand():
    tokens, model = read(ARPA)
    assert tokens == ["<EOS>", "<UNK>", "a"]
    # After <s>: a 3/4; </s> and <unk> are 1/4 each, halved. After a: </s> 1/2, a 3/8, <unk> 1/4, halved.
    assert probabilities(model, 0).tolist() == [pytest.approx([1 / 8, 1 / 8, 3 / 4])]
    after = probabilities(model, 1)
    assert after[2].tolist() == pytest.approx([1 / 2, 1 / 8, 3 / 8])
    assert after[UNK].tolist() == pytest.approx([1 / 4, 1 / 4, 1 / 2])
    assert after[EOS].tolist() == probabilities(model, 0)[0].tolist()  # <EOS> ends and begins: read again, it is <s>


def test_the_words_of_a_file_have_no_white_space_and_are_none_of_the_marks():
    words = arpa_words.words_of(["<EOS>", "<UNK>", "<s>", "</s>", " ", "a\tb", "\\", "春"])
    assert words == ["</s>", "<unk>", "\\u{3c}s>", "\\u{3c}/s>", "\\u{20}", "a\\u{9}b", "\\u{5c}", "春", "<s>"]


def shuffled(section: str) -> str:
    title, *entries = section.split("\n")
    return "\n".join([title, *random.Random(3).sample(entries, len(entries))])


def test_n_grams_may_stand_in_any_order():
    tokens = [*SPECIALS, *"abcd"]
    model = model_of([[2, 3, 4, 5, 2, 3, EOS], [3, 4, 2, 2, 5, EOS], [5, 3, 4, 4, EOS]], 6, 4, smoothing="witten-bell")
    head, singles, *longer, end = written(tokens, model).split("\n\n")
    again, found = read("\n\n".join([head, singles, *map(shuffled, longer), end]))
    assert again == tokens
    assert_alike(found, model, 4)
    mixed_up, found = read("\n\n".join([head, shuffled(singles), *longer, end]))
    assert mixed_up != tokens and sorted(mixed_up) == sorted(tokens)
    places = [mixed_up.index(token) for token in tokens]
    np.testing.assert_allclose(probabilities(found, 0)[:, places], probabilities(model, 0), atol=1e-6)
    np.testing.assert_allclose(probabilities(found, 1)[places][:, places], probabilities(model, 1), atol=1e-6)


def test_in_a_file_without_unk_what_is_unknown_is_next_to_impossible():
    without = ARPA.replace("1=4", "1=3").replace("-0.60206\t<unk>\n", "")
    tokens, model = read(without)
    assert tokens == ["<EOS>", "<UNK>", "a"]
    assert probabilities(model, 1)[:, UNK] == pytest.approx([0, 0, 0], abs=1e-90)
    assert np.isfinite(model.tables.levels[0].log_probs.at(slice(None))).all()


def test_unk_may_be_spelled_in_capitals():
    tokens, model = read(ARPA.replace("<unk>", "<UNK>"))
    assert tokens == ["<EOS>", "<UNK>", "a"]
    assert_alike(model, read(ARPA)[1], 3)
    assert "<unk>" in written(tokens, model)


def test_a_file_without_back_offs_has_none_to_pay():
    lines = ("\t".join(line.split("\t")[:2]) for line in ARPA.splitlines())
    _, model = read("\n".join(lines) + "\n")
    assert probabilities(model, 0).tolist() == [pytest.approx([1 / 4, 1 / 4, 3 / 4])]


def test_a_file_of_single_words_is_a_model_of_order_one():
    text = ARPA[: ARPA.index("\\2-grams:")].replace("ngram 2=3\n", "") + "\\end\\\n"
    _, model = read("\n".join("\t".join(line.split("\t")[:2]) for line in text.splitlines()) + "\n")
    assert model.tables.order == 1
    assert probabilities(model, 0).tolist() == [pytest.approx([1 / 4, 1 / 4, 1 / 2])]


@pytest.mark.parametrize(
    ("words", "twice"), [(["b", "\\u{62}"], "b"), (["<UNK>"], "<UNK>"), (["\\u{20}", "\\u{0020}"], " ")]
)
def test_two_words_that_are_one_token_are_refused(words, twice):
    text = ARPA.replace("1=4", f"1={4 + len(words)}")
    text = text.replace("-0.60206\t<unk>\n", "-0.60206\t<unk>\n" + "".join(f"-1\t{word}\n" for word in words))
    with pytest.raises(ArpaError, match="two of its words are the token") as caught:
        read(text)
    assert str(caught.value) == f"f.arpa: two of its words are the token {twice!r}"
    assert "leave one of them out" in caught.value.hint


def test_a_word_that_is_spelled_like_the_line_end_token_is_refused():
    with pytest.raises(ArpaError, match="<EOS>"):
        read(ARPA.replace("\ta", "\t<EOS>").replace(" a", " <EOS>").replace("a ", "<EOS> "))


@pytest.mark.parametrize("word", ["\\u{110000}", "\\u{ffffffffffffffffffffffff}"])
def test_an_escape_beyond_unicode_is_no_bug(word):
    try:
        tokens, _ = read(ARPA.replace("\ta", f"\t{word}").replace(" a", f" {word}").replace("a ", f"{word} "))
    except ArpaError as error:
        assert word[:9] in str(error)
    else:
        assert tokens[2] == word  # a word like any other


# ── runs ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("exchange")


@pytest.fixture(scope="module")
def odd_run(folder):
    """A run whose text spells the marks of ARPA files as if they were words."""
    (folder / "odd.txt").write_text("<s> a </s>\n<unk> a <EOS>\n\\u{20} a \\ <s>\n<s> a \u3000b\n", "utf-8")
    text = str(folder / "odd.txt")
    return charlm.train(text, folder / "odd", valid=text, model="ngram", level="spaced", order=3)


@pytest.fixture(scope="module")
def stream_run(folder):
    (folder / "stream.txt").write_text("ab ab\nba\tab\n" * 4, "utf-8")
    text = str(folder / "stream.txt")
    return charlm.train(text, folder / "stream", valid=text, model="ngram", reading="stream", order=3)


def imported(source, path, notes=None, **knobs):
    options = {"level": None, "lenient": False, "command": "c", "note": [].append if notes is None else notes.append}
    exchange.import_arpa(source, path, **{**options, **knobs})
    return load_run(path)


def test_marks_of_the_file_that_stand_in_the_text_stay_words(odd_run, tmp_path):
    assert {"<s>", "</s>", "\\u{20}", "\\"} <= set(odd_run.codec.vocab.tokens)
    assert not SPELLED_SPECIALS & set(odd_run.codec.vocab.tokens[2:])  # such are unknown, as everywhere
    exchange.export_arpa(odd_run, tmp_path / "m.arpa")
    run = imported(tmp_path / "m.arpa", tmp_path / "run")
    assert run.codec.fingerprint() == odd_run.codec.fingerprint()
    texts = ["<s> a </s>", "</s> </s>", "<EOS> <unk> Ω", "\\u{20} a", ""]
    found, expected = run.score(texts), odd_run.score(texts)
    assert [score.log_prob for score in found] == pytest.approx([score.log_prob for score in expected], abs=1e-5)
    assert [score.unknown for score in found] == [score.unknown for score in expected]


def test_a_stream_has_its_line_ends_as_words(stream_run, tmp_path):
    exchange.export_arpa(stream_run, tmp_path / "m.arpa")
    text = (tmp_path / "m.arpa").read_text("utf-8")
    assert "\t\\u{a}\t" in text and "\\u{9}" in text and "b \\u{a} b\n" in text
    run = imported(tmp_path / "m.arpa", tmp_path / "run")
    assert run.codec.vocab.tokens == stream_run.codec.vocab.tokens
    assert_alike(run.model, stream_run.model, 3)


def test_a_packed_file_says_the_same_as_a_plain_one(odd_run, tmp_path):
    for name in ("m.arpa", "m.arpa.gz"):
        exchange.export_arpa(odd_run, tmp_path / name)
    assert gzip.decompress((tmp_path / "m.arpa.gz").read_bytes()) == (tmp_path / "m.arpa").read_bytes()
    assert "".join(exchange.arpa_lines(odd_run)) == (tmp_path / "m.arpa").read_text("utf-8")
    assert_alike(imported(tmp_path / "m.arpa.gz", tmp_path / "run").model, odd_run.model, 3)


def test_the_level_is_guessed_from_the_words_and_can_be_said(tmp_path):
    notes: list[str] = []
    (tmp_path / "m.arpa").write_text(ARPA, "utf-8")
    assert imported(tmp_path / "m.arpa", tmp_path / "1", notes).codec.level == "char"
    assert imported(tmp_path / "m.arpa", tmp_path / "2", notes, level="mixed").codec.level == "mixed"
    (tmp_path / "m.arpa").write_text(ARPA.replace("\ta", "\tab").replace(" a", " ab").replace("a ", "ab "), "utf-8")
    assert imported(tmp_path / "m.arpa", tmp_path / "3", notes).codec.level == "spaced"
    assert notes == ["its words are taken as --level char", "its words are taken as --level spaced"]


def test_who_imports_is_told_that_unknown_words_are_impossible(tmp_path):
    notes: list[str] = []
    text = ARPA.replace("1=4", "1=3").replace("-0.60206\t<unk>\n", "")
    (tmp_path / "m.arpa").write_text(text, "utf-8")
    run = imported(tmp_path / "m.arpa", tmp_path / "run", notes)
    assert "no <unk>" in notes[0]
    assert run.score(["b"])[0].log_prob < -200


def test_models_that_no_arpa_file_can_hold_are_refused_with_a_remedy(folder, odd_run, tmp_path):
    text = str(folder / "odd.txt")
    knobs = {"valid": text, "model": "ngram", "level": "spaced", "order": 2}
    add_k = charlm.train(text, tmp_path / "add-k", smoothing="add-k", **knobs)
    carried = charlm.train(text, tmp_path / "carried", context="carried", **knobs)
    unigram = charlm.train(text, tmp_path / "unigram", valid=text, model="unigram", level="spaced")
    for run, words, remedy in [
        (add_k, "do not back off", "--smoothing"),
        (carried, "over line ends", "--context line"),
        (unigram, "unigram model", "--model ngram"),
    ]:
        with pytest.raises(ConfigError, match=words) as caught:
            exchange.export_arpa(run, tmp_path / "m.arpa")
        assert remedy in caught.value.hint
    assert not (tmp_path / "m.arpa").exists()
    # Single words back off to nothing, so add-k too may be written.
    single = charlm.train(text, tmp_path / "single", smoothing="add-k", **{**knobs, "order": 1})
    exchange.export_arpa(single, tmp_path / "m.arpa")
    assert_alike(imported(tmp_path / "m.arpa", tmp_path / "again").model, single.model, 1)


def failing(*_, **__):
    raise OSError(28, "No space left on device")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_export_that_breaks_off_leaves_what_was_there(odd_run, tmp_path, monkeypatch):
    (tmp_path / "m.arpa").write_text("old", "utf-8")
    monkeypatch.setattr(
        exchange, "write_arpa", lambda *_, **__: itertools.chain(["\\data\\\n"], (failing() for _ in [0]))
    )
    with pytest.raises(StorageError, match="No space left"):
        exchange.export_arpa(odd_run, tmp_path / "m.arpa")
    assert (tmp_path / "m.arpa").read_text("utf-8") == "old" and names(tmp_path) == ["m.arpa"]


@pytest.mark.parametrize("what", ["config.json", "model.safetensors"])
def test_an_import_that_breaks_off_leaves_nothing(tmp_path, monkeypatch, what):
    (tmp_path / "m.arpa").write_text(ARPA, "utf-8")
    replace = Path.replace
    monkeypatch.setattr(
        Path, "replace", lambda file, target: failing() if target.name == what else replace(file, target)
    )
    with pytest.raises((CharlmError, OSError), match="No space left"):
        imported(tmp_path / "m.arpa", tmp_path / "run")
    assert names(tmp_path) == ["m.arpa"]


def test_an_import_overwrites_nothing_and_needs_a_file(tmp_path):
    (tmp_path / "m.arpa").write_text(ARPA, "utf-8")
    (tmp_path / "run").mkdir()
    with pytest.raises(RunError, match="exists already"):
        imported(tmp_path / "m.arpa", tmp_path / "run")
    with pytest.raises(TextError, match="No such file"):
        imported(tmp_path / "none.arpa", tmp_path / "other")
    assert names(tmp_path) == ["m.arpa", "run"] and names(tmp_path / "run") == []


def recorded(run):
    return json.loads((run.path / "run.json").read_text("utf-8"))["imported"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no named pipes")
def test_a_model_that_flows_by_only_once_is_hashed_as_it_was_read(tmp_path, monkeypatch):
    packed = gzip.compress(ARPA.encode())
    for number, data in enumerate([ARPA.encode(), packed]):
        expected = hashlib.sha256(data).hexdigest()
        (tmp_path / "m").write_bytes(data)
        pipe = tmp_path / f"pipe{number}"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=(data,))
        writer.start()
        assert recorded(imported(pipe, tmp_path / f"piped{number}"))["sha256"] == expected
        writer.join()
        assert recorded(imported(tmp_path / "m", tmp_path / f"plain{number}"))["sha256"] == expected
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        found = recorded(imported(Path("-"), tmp_path / f"stdin{number}"))
        assert found == {"from": "-", "sha256": expected}


def with_words(*words):
    """The model of one word with others beside it, each as likely as the other."""
    more = "".join(f"-2\t{word}\n" for word in words)
    return ARPA.replace("1=4", f"1={4 + len(words)}").replace("-0.60206\t<unk>\n", "-0.60206\t<unk>\n" + more)


def test_imported_words_are_spelled_as_text_is_read_and_those_that_never_occur_are_told(tmp_path):
    words = ["cafe\u0301", "ze\u0301", "z\u00e9", "x\u00a0y", "v\u000bw", "zero\u200bwidth", "ok"]
    (tmp_path / "m.arpa").write_text(with_words(*words), "utf-8", newline="\n")
    notes = []
    run = imported(tmp_path / "m.arpa", tmp_path / "run", notes)
    tokens = run.codec.vocab.tokens
    assert {"caf\u00e9", "zerowidth", "z\u00e9", "ok"} <= set(tokens)
    assert run.codec.encode("caf\u00e9 zerowidth").unknown == []
    assert [note for note in notes if "spelled anew" in note] == [
        f"{tmp_path / 'm.arpa'}: 2 of its words are spelled anew, in NFC and without invisible characters"
    ]
    [never] = [note for note in notes if "can never occur" in note]
    assert "3 of its words can never occur in a text that is read by --level spaced: " in never
    assert "'ze\\u0301', 'x\\xa0y', 'v\\x0bw'" in never


def test_words_that_all_occur_are_not_remarked_on(tmp_path):
    (tmp_path / "m.arpa").write_text(with_words("caf\u00e9", "春"), "utf-8")
    notes = []
    imported(tmp_path / "m.arpa", tmp_path / "run", notes)
    assert not [note for note in notes if "never occur" in note or "anew" in note]


def test_exporting_builds_the_starts_of_an_order_once_and_not_for_each_block(odd_run, monkeypatch):
    tables, built = odd_run.model.tables, []
    whole = type(tables.levels[1].starts).whole
    monkeypatch.setattr(type(tables.levels[1].starts), "whole", lambda starts: built.append(1) or whole(starts))
    blocks = list(tables.grams(3, size=2))
    assert len(blocks) > 2 and len(built) == 2


@pytest.mark.parametrize("encoding", ["gb18030", "big5", "utf-16"])
def test_a_model_in_another_encoding_is_read_where_the_encoding_is_named(tmp_path, encoding):
    (tmp_path / "m.arpa").write_bytes(
        ARPA.replace("\ta\t", "\t功\t")
        .replace("> a", "> 功")
        .replace("a </", "功 </")
        .replace("a a", "功 功")
        .encode(encoding)
    )
    run = imported(tmp_path / "m.arpa", tmp_path / "run", encoding=encoding)
    assert run.codec.vocab.tokens[2:] == ["功"]
    with pytest.raises(ArpaError):
        imported(tmp_path / "m.arpa", tmp_path / "other")
    (tmp_path / "m.arpa").write_bytes(ARPA.replace("\ta\t", "\t\xff\t").encode("latin-1"))
    with pytest.raises(ArpaError, match="is not gb18030") as caught:
        imported(tmp_path / "m.arpa", tmp_path / "other", encoding="gb18030")
    assert "--encoding" in caught.value.hint
    with pytest.raises(TextError, match="no encoding of text"):
        imported(tmp_path / "m.arpa", tmp_path / "other", encoding="hex")


def test_two_spellings_of_the_unknown_are_refused_strictly_and_leniently_one_is_kept(tmp_path):
    text = ARPA.replace("ngram 1=4", "ngram 1=5").replace("-0.60206\t<unk>\n", "-0.60206\t<unk>\n-3\t<UNK>\n")
    assert "ngram 1=5" in text and "<UNK>" in text
    (tmp_path / "m.arpa").write_text(text, "utf-8")
    (tmp_path / "one.arpa").write_text(ARPA, "utf-8")
    with pytest.raises(ArpaError, match="two of its words are the token") as caught:
        imported(tmp_path / "m.arpa", tmp_path / "strict")
    assert "leniently" in caught.value.hint
    notes = []
    run = imported(tmp_path / "m.arpa", tmp_path / "run", notes, lenient=True)
    assert any("both <unk> and <UNK> are words: n-grams with <UNK> left out (1)" in note for note in notes)
    assert_alike(run.model, imported(tmp_path / "one.arpa", tmp_path / "one").model, 2)


@pytest.mark.parametrize("upto", ["", "\\data\\\n", "-0.60206\t<unk>\n", "-0.1249387\t<s> a\n", "\\end\\\n"])
def test_endless_blank_lines_are_given_up_soon(upto):
    taken = 0

    def blank_lines():
        nonlocal taken
        yield from (ARPA[: ARPA.index(upto)] + upto).encode().splitlines(keepends=True)
        while taken < 300_000:
            taken += 1
            yield b"\n"

    with contextlib.suppress(ArpaError):  # after the end they might as well be passed over
        read_arpa(blank_lines(), "f.arpa")
    assert taken < 100_000


def test_a_model_whose_tokens_know_the_line_end_comes_back_as_a_stream(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("a b a\nb a\n" * 20, encoding="utf-8")
    run = charlm.train(str(text), tmp_path / "run", model="ngram", order=3, reading="stream")
    exchange.export_arpa(run, tmp_path / "model.arpa")
    exchange.import_arpa(
        tmp_path / "model.arpa", tmp_path / "back", level=None, lenient=False, command="", note=lambda _: None
    )
    back = charlm.load(tmp_path / "back")
    assert back.codec.reading == "stream" and back.carried
    pieces = ["b a\n", "a b a\n"]
    assert back.evaluate(pieces).nats == pytest.approx(run.evaluate(pieces).nats, rel=1e-5)
