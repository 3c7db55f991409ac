"""`charlm embed` from the command line, and networks that begin with word vectors."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from charlm import tensorfiles
from charlm.embedding import formats
from charlm.embedding.vectors import WordVectors
from commands.conftest import CORPORA, TINY

TEXT = CORPORA / "everyday.zh.txt"
SMALL = ("--size", 8, "--epochs", 1, "--threads", 1, "--quiet")


def weights(run="run"):
    return tensorfiles.read(Path(run) / "model.safetensors")[0]


@pytest.mark.parametrize("level", ["word", "char", "mixed", "spaced"])
def test_vectors_are_learned_written_and_asked(charlm, level):
    ended = charlm("embed", "train", TEXT, "-o", "v.txt", "--level", level, "--min-count", 1, *SMALL, "--json")
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    vectors = formats.read(Path("v.txt"))
    assert told["words"] == len(vectors) > 50 and told["size"] == 8 and told["words_per_second"] > 0
    assert not [word for word in vectors.words if word.isspace() or word in ("<EOS>", "<UNK>")]
    if level == "spaced":
        return
    word = {"word": "老师", "char": "老", "mixed": "老"}[level]
    lines = charlm("embed", "near", "v.txt", word, "-n", 3).out.splitlines()
    assert len(lines) == 3 and word not in [line.split("  ")[1] for line in lines]
    assert set(json.loads(charlm("embed", "near", "v.txt", word, "-n", 1, "--json").out)) == {"word", "cosine"}
    few = vectors.words[:3]
    assert len(charlm("embed", "analogy", "v.txt", *few, "-n", 2).out.splitlines()) == 2
    points = charlm("embed", "map", "v.txt", *few, "--json", "--quiet").out.splitlines()
    assert [json.loads(point)["word"] for point in points] == few


def test_one_thread_and_one_seed_make_the_same_file_and_binary_holds_the_same(charlm):
    for name in ("a.txt", "b.txt", "c.bin"):
        assert charlm("embed", "train", TEXT, "-o", name, *SMALL, "--seed", 4).code == 0
    assert Path("a.txt").read_bytes() == Path("b.txt").read_bytes()
    np.testing.assert_array_equal(formats.read(Path("a.txt")).matrix, formats.read(Path("c.bin")).matrix)


def test_a_file_that_exists_is_kept_before_anything_is_learned(charlm):
    Path("v.txt").write_text("mine", "utf-8")
    charlm("embed", "train", TEXT, "-o", "v.txt", *SMALL).refused("v.txt exists")
    assert Path("v.txt").read_text("utf-8") == "mine"
    assert charlm("embed", "train", TEXT, "-o", "v.txt", *SMALL, "--force").code == 0


@pytest.mark.parametrize(
    ("command", "words", "code"),
    [
        (("train", "missing.txt", "-o", "v.txt"), ["no such file"], 1),
        (("train", "-", "-o", "v.txt"), ["flow by only once"], 1),
        (("train", TEXT, "-o", "v.txt", "--size", 0), ["--size must be"], 2),
        (("train", TEXT, "-o", "v.txt", "--level", "words"), ["did you mean word?"], 2),
        (("train", TEXT, "-o", "v.txt", "--min-count", 100000), ["no token of the text", "--min-count 1"], 1),
        (("train", TEXT, "-o", "v.txt", "--epochs", 1, "--minutes", 1), ["rival budgets"], 2),
        (("near", "missing.txt", "a"), ["cannot read missing.txt"], 1),
        (("near", TEXT, "a"), ["everyday.zh.txt:1"], 1),
        (("export", "missing", "-o", "v.txt"), ["no run directory"], 1),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(charlm, command, words, code):
    charlm("embed", *command).refused(*words, code=code)
    assert not Path("v.txt").exists()


def test_an_unknown_word_is_offered_the_nearest_spellings(charlm):
    charlm("embed", "train", TEXT, "-o", "v.txt", *SMALL)
    charlm("embed", "near", "v.txt", "老师们").refused("老师们", "did you mean 老师?")
    charlm("embed", "map", "v.txt", "老师", "qqq", "--plot", "p.png").refused("qqq")
    assert not Path("p.png").exists()


def test_words_are_drawn_to_a_picture(charlm):
    pytest.importorskip("matplotlib")
    formats.write(WordVectors(["one", "two", "six"], np.eye(3, dtype=np.float32)), Path("v.txt"))
    ended = charlm("embed", "map", "v.txt", "one", "two", "six", "--plot", "p.png")
    assert ended.code == 0 and ended.out.splitlines()[-1] == "p.png" and "100%" in ended.err
    assert Path("p.png").read_bytes().startswith(b"\x89PNG")
    charlm("embed", "map", "v.txt", "one", "two", "--plot", "p.png").refused("p.png exists")


# ── as the input layer ──────────────────────────────────────────────────────────────────────────


@pytest.fixture
def vectors(charlm):
    assert charlm("embed", "train", TEXT, "-o", "v.txt", "--level", "char", *SMALL).code == 0
    return formats.read(Path("v.txt"))


KINDS = {"recurrent": (), "window": ("--taps", 3), "jordan": (), "narx": ("--taps", 2, "--output-taps", 2)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_of_any_kind_begins_with_vectors_that_stay_where_they_are_frozen(charlm, vectors, kind):
    options = ("--model", kind, *KINDS[kind], *TINY[:-1], "--embeddings", "v.txt", "--freeze-embeddings", "--untied")
    ended = charlm("train", TEXT, *options, "--steps", 2, "--run", "run")
    assert ended.code == 0, ended.err
    assert f"{len(vectors):,} of the" in ended.err and "have one" in ended.err
    found = weights()["embedding.weight"]
    tokens = [line.split("\t")[0] for line in Path("run/vocab.tsv").read_text("utf-8").splitlines()]
    rows = found[[tokens.index(word) for word in vectors.words]]
    cosines = torch.nn.functional.cosine_similarity(rows, torch.from_numpy(vectors.matrix))
    assert float(cosines.min()) > 0.99999
    assert float(rows.square().mean()) == pytest.approx(1 / 8, rel=1e-4)
    fresh = charlm("train", TEXT, *options[:-4], "--untied", "--steps", 2, "--run", "other")
    assert fresh.code == 0 and not torch.equal(weights("other")["embedding.weight"], found)
    told = json.loads(charlm("run", "info", "run", "--json").out)["embeddings"]
    assert told["found"] == len(vectors) and told["frozen"] is True and len(told["sha256"]) == 64
    assert "kept as they are" in charlm("run", "info", "run").out and charlm("run", "check", "run").code == 0
    few = "".join((CORPORA / "quatrains.txt").read_text("utf-8").splitlines(keepends=True)[:20])
    adapted = charlm("eval", "run", "-", "--dynamic", "sgd", "--rate", 0.1, "--json", stdin=few)
    assert adapted.code == 0, adapted.err


def test_vectors_that_are_learned_further_move_and_a_run_needs_their_file_no_more(charlm, vectors):
    options = (*TINY, "--embeddings", "v.txt", "--run", "whole", "--steps", 4)
    assert charlm("train", TEXT, *options).code == 0
    assert charlm("train", TEXT, *options[:-4], "--run", "halves", "--steps", 2).code == 0
    Path("v.txt").unlink()
    before = weights("halves")["embedding.weight"]
    assert charlm("train", "--resume", "halves", "--steps", 4, "--quiet").code == 0
    assert not torch.equal(weights("halves")["embedding.weight"], before)


@pytest.mark.parametrize("more", [(), ("--average", "ema"), ("--optimizer", "muon", "--batch-size", 8)])
def test_a_frozen_network_stopped_in_between_ends_with_the_same_bits(charlm, vectors, more, monkeypatch):
    options = (*TINY, "--embeddings", "v.txt", "--freeze-embeddings", "--untied", "--steps", 6, *more)
    assert charlm("train", TEXT, *options, "--run", "whole").code == 0
    from charlm.cli.train import Signals

    asked = iter([None, None, None, 15])
    with monkeypatch.context() as patch:
        patch.setattr(Signals, "__call__", lambda self: next(asked, 15))
        assert charlm("train", TEXT, *options, "--run", "run").code == 143
    Path("v.txt").unlink()
    assert charlm("train", "--resume", "run", "--quiet").code == 0
    for name, tensor in weights("whole").items():
        assert torch.equal(weights()[name], tensor), name


def test_vectors_that_do_not_fit_are_refused_with_the_remedy_and_nothing_is_made(charlm, vectors):
    small = (*TINY, "--steps", 1, "--run", "run")
    charlm("train", TEXT, *small, "--embeddings", "v.txt", "--embedding", 9).refused("8 numbers", "--embedding 8")
    charlm("train", TEXT, *small, "--embeddings", "v.txt", "--freeze-embeddings").refused("--untied", code=2)
    charlm("train", TEXT, *small, "--untied", "--freeze-embeddings").refused("--embeddings", code=2)
    charlm("train", TEXT, "--model", "ngram", "--embeddings", "v.txt", "--run", "run").refused("not for ngram", code=2)
    charlm("train", CORPORA / "village.en.txt", *small, "--embeddings", "v.txt").refused("no vector of any", "--level")
    charlm("train", TEXT, *small, "--embeddings", "v.txt", "--init-from", "x").refused("give one", code=2)
    Path("v.txt").write_bytes(Path("v.txt").read_bytes()[:-20])
    charlm("train", TEXT, *small, "--embeddings", "v.txt").refused("v.txt:", "cut short")
    assert not Path("run").exists()


def test_the_vectors_of_a_network_go_out_and_come_in_again(charlm, shared_run):
    ended = charlm("embed", "export", shared_run, "-o", "v.bin")
    assert ended.code == 0 and ended.out.strip() == "v.bin" and "vectors of 8 numbers" in ended.err
    vectors = formats.read(Path("v.bin"))
    assert vectors.words[:2] == ["<EOS>", "<UNK>"] and vectors.size == 8
    expected = tensorfiles.read(shared_run / "model.safetensors")[0]["embedding.weight"] * 8**0.5
    np.testing.assert_allclose(vectors.matrix, expected.numpy(), rtol=1e-6)
    assert charlm("train", TEXT, *TINY[:-1], "--embeddings", "v.bin", "--steps", 1, "--run", "run").err.count("100.0%")
    charlm("embed", "export", shared_run, "-o", "v.bin").refused("exists")


def test_a_run_is_asked_for_its_vectors_as_a_file_of_them_is(charlm, shared_run):
    charlm("embed", "export", shared_run, "-o", "v.txt", "-q")
    nearest = [line.split("  ")[1] for line in charlm("embed", "near", shared_run, "老", "-n", 1000).out.splitlines()]
    assert len(nearest) > 100 and not {"<EOS>", "<UNK>"} & {*nearest}
    head, *rest = Path("v.txt").read_text("utf-8").splitlines(keepends=True)
    rest = [line for line in rest if not line.startswith(("<EOS>", "<UNK>"))]
    Path("v.txt").write_text(f"{len(rest)} {head.split()[1]}\n{''.join(rest)}", "utf-8")
    for asked in (("near", "老", "-n", 4), ("analogy", "老", "师", "我"), ("map", "老", "师")):
        of_file, of_run = (charlm("embed", asked[0], source, *asked[1:]) for source in ("v.txt", shared_run))
        assert of_run.out == of_file.out != "", of_run.err
    charlm("embed", "export", shared_run, "-o", "v.txt", "-q", "--force")
    begin = ("train", TEXT, *TINY[:-1], "--steps", 1, "--learning-rate", 1e-30)
    for name, source in (("a", "v.txt"), ("b", shared_run)):
        assert charlm(*begin, "--embeddings", source, "--run", name).err.count("100.0%")
    torch.testing.assert_close(weights("a"), weights("b"))
    charlm("embed", "near", ".", "老").refused("is no run directory")


def test_text_that_is_no_vector_is_shown_as_text_and_not_as_bytes(charlm):
    ended = charlm("embed", "near", TEXT, "我")
    assert ended.code == 1 and "no vector: '别一边吃零食" in ended.err and "\\x" not in ended.err


def test_counts_have_no_vectors_to_export(charlm):
    charlm("train", TEXT, "--model", "unigram", "--run", "run", "--quiet")
    charlm("embed", "export", "run", "-o", "v.txt").refused("unigram", "only networks")


def test_vectors_of_word2vec_give_the_line_end_theirs(charlm):
    matrix = np.arange(24, dtype=np.float32).reshape(3, 8)
    formats.write(WordVectors(["</s>", "我", "<unk>"], matrix), Path("v.txt"))
    charlm("train", TEXT, *TINY, "--embeddings", "v.txt", "--freeze-embeddings", "--untied", "--steps", 1, "--run", "r")
    rows = weights("r")["embedding.weight"][:2]
    scale = float(rows[0, 1] / matrix[0, 1])
    np.testing.assert_allclose(rows.numpy(), matrix[[0, 2]] * scale, rtol=1e-5)


def test_python_trains_with_vectors_too(charlm, vectors):
    import charlm as library

    run = library.train(TEXT, "run", embeddings="v.txt", hidden=8, embedding=8, layers=1, steps=1)
    assert run.facts["embeddings"]["found"] == len(vectors)


def test_word_vectors_took_a_direction_that_skip_gram_has_not(charlm):
    ended = charlm("embed", "train", TEXT, "-o", "v.txt", "--reverse", *SMALL)
    assert ended.code == 2 and "--reverse" in ended.err and not Path("v.txt").exists()


# ── from counts ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", [*KINDS, "cloze", "cloze-window"])
def test_a_network_of_any_kind_begins_with_vectors_from_counts(charlm, kind):
    still = ("--steps", 1, "--learning-rate", 1e-30, "--quiet")
    options = ("--model", kind, *KINDS.get(kind, ()), *TINY[:-1], *still)
    counts = ("--start-vectors", "counts")
    assert charlm("train", TEXT, *options, *counts, "--run", "run").code == 0
    assert charlm("train", TEXT, *options, *counts, "--run", "again").code == 0
    assert charlm("train", TEXT, *options, "--run", "drawn").code == 0
    rows = weights("run")["embedding.weight"]
    assert torch.equal(rows, weights("again")["embedding.weight"])
    assert not torch.allclose(rows, weights("drawn")["embedding.weight"], atol=0.01)
    assert float(rows.square().mean()) == pytest.approx(1 / 8, rel=0.02)
    told = json.loads(charlm("run", "info", "run", "--json").out)["embeddings"]
    assert told["from"] == "counts of neighbours in the text" and told["found"] > 300 and not told["frozen"]
    assert "learned further: counts of neighbours" in charlm("run", "info", "run").out
    assert charlm("run", "check", "run").code == 0


def test_vectors_from_counts_can_be_frozen_and_make_way_for_those_of_a_file_or_a_run(charlm, vectors):
    options = (*TINY[:-1], "--steps", 2, "--untied", "--freeze-embeddings", "--start-vectors", "counts", "--quiet")
    assert charlm("train", TEXT, *options, "--run", "run").code == 0
    assert json.loads(charlm("run", "info", "run", "--json").out)["embeddings"]["frozen"]
    assert charlm("train", TEXT, *options, "--embeddings", "v.txt", "--run", "file").code == 0
    assert json.loads(charlm("run", "info", "file", "--json").out)["embeddings"]["from"].endswith("v.txt")
    assert charlm("train", TEXT, *options, "--init-from", "file", "--run", "other").code == 0
    assert torch.equal(weights("other")["embedding.weight"], weights("file")["embedding.weight"])


def test_a_vocabulary_that_is_smaller_than_vectors_are_long_has_none_from_counts(charlm):
    options = ("--hidden", 8, "--layers", 1, "--embedding", 100, "--max-size", 60, "--steps", 1)
    ended = charlm("train", TEXT, *options, "--start-vectors", "counts", "--run", "run")
    ended.refused("more tokens than vectors have numbers: there are 60 and 100", "--embedding", code=2)
    assert not Path("run").exists()
    assert charlm("train", TEXT, *options, "--start-vectors", "auto", "--run", "run").code == 0
    assert "embeddings" not in json.loads(charlm("run", "info", "run", "--json").out)
    charlm("train", TEXT, *options, "--start-vectors", "count", "--run", "x").refused("did you mean counts", code=2)
