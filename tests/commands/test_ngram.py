"""N-gram models from the command line: counting in shards, learning from counts, and what bad input gets."""

import gzip
import json
import random
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from charlm.cli.app import app
from charlm.text.vocab import escape
from commands.conftest import CORPORA

EVERYDAY = CORPORA / "everyday.zh.txt"
SIZES = ("--order", "3")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Forty lines to learn from, ten others to measure on, and the vocabulary and the counts of the forty."""
    folder = tmp_path_factory.mktemp("made")
    lines = EVERYDAY.read_text("utf-8").splitlines()
    (folder / "poems.txt").write_text("\n".join(lines[:40]) + "\n", "utf-8")
    (folder / "valid.txt").write_text("\n".join(lines[40:50]) + "\n", "utf-8")
    counting = ["ngram", "count", folder / "poems.txt", "--vocab", folder / "vocab", *SIZES, "-o", folder / "counts"]
    for arguments in (["vocab", folder / "poems.txt", "-o", folder / "vocab"], counting):
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        assert result.exit_code == 0, result.stderr
    return folder


@pytest.fixture
def poems(charlm, made) -> Path:
    """A text in the folder where commands are run; valid.txt stands beside it."""
    for name in ("poems.txt", "valid.txt"):
        shutil.copyfile(made / name, name)
    return Path("poems.txt")


@pytest.fixture
def vocab(poems, made) -> Path:
    """The vocabulary of the text."""
    return Path(shutil.copytree(made / "vocab", "vocab"))


@pytest.fixture
def counted(vocab, made) -> Path:
    """The counts of the text."""
    return Path(shutil.copytree(made / "counts", "counts"))


@pytest.fixture
def learn(charlm):
    """Train quietly; the arrays of the model."""

    def run(name, *arguments):
        ended = charlm("train", *arguments, *([] if "--order" in arguments else SIZES), "--run", name, "--quiet")
        assert ended.code == 0, ended.err
        return load_file(Path(name) / "model.safetensors")

    return run


def same(one, other) -> bool:
    """Whether arrays are alike to the last bit."""
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and one[name].tobytes() == other[name].tobytes() for name in one
    )


def there() -> set[str]:
    return {str(path) for path in Path().rglob("*")}


def naive(lines, order, tokens_of=list) -> Counter:
    """How often each sequence of tokens ends at a token of a line, the line end included."""
    found = Counter()
    for line in lines:
        read = ["<EOS>", *tokens_of(line), "<EOS>"]
        for end in range(2, len(read) + 1):
            for n in range(1, min(order, end) + 1):
                found[tuple(read[end - n : end])] += 1
    return found


def as_text(counts) -> list[str]:
    return [f"{' '.join(map(escape, gram))}\t{number}\n" for gram, number in counts.items()]


def text_counts(folder, vocab, *files) -> Path:
    """A folder of counts as plain text: its vocabulary, and files of lines; .gz ones are packed."""
    shutil.copytree(vocab, folder)
    for number, (ending, lines) in enumerate(files):
        data = "".join(lines).encode()
        Path(folder, f"part-{number}{ending}").write_bytes(gzip.compress(data) if ending.endswith(".gz") else data)
    return Path(folder)


# ── a model ─────────────────────────────────────────────────────────────────────────────────────


def test_training_leaves_a_run_that_every_command_understands(charlm, poems):
    ended = charlm("train", poems, "--model", "ngram", "--valid", "valid.txt", "--run", "r")
    assert ended.code == 0, ended.err
    assert "perplexity" in ended.out
    assert {path.name for path in Path("r").iterdir()} == {
        "resume",  # where a run says who writes it
        "run.json",
        "config.json",
        "tokenizer.json",
        "vocab.tsv",
        "model.safetensors",
        "history.jsonl",
    }
    told = json.loads(charlm("run", "info", "r", "--json").out)
    assert (told["model"], told["knobs"]["ngram"]["order"], told["context"]) == ("ngram", 5, "line")
    assert "ngram: order 5, smoothing modified-kneser-ney" in charlm("run", "info", "r").out
    assert "parameters" not in charlm("run", "info", "r").out  # a model of counts has none, and holds n-grams
    assert f"{told['entries_of'][1]:,} of order 2" in charlm("run", "info", "r").out and len(told["entries_of"]) == 5
    assert charlm("run", "check", "r").code == 0

    measured = json.loads(charlm("eval", "r", "valid.txt", "--json").out)
    assert measured["perplexity"] == pytest.approx(np.exp(told["best"]["valid_nats"]))
    unigram = charlm("train", poems, "--model", "unigram", "--valid", "valid.txt", "--run", "u", "--json")
    assert measured["perplexity"] < json.loads(unigram.out)["perplexity"]

    drawn = charlm("sample", "r", "-n", 3, "--seed", 5, "--max-tokens", 30)
    assert drawn.code == 0 and len(drawn.out.splitlines()) == 3
    assert charlm("sample", "r", "-n", 3, "--seed", 5, "--max-tokens", 30).out == drawn.out
    lines = Path("valid.txt").read_text("utf-8").splitlines()
    scored = [json.loads(line) for line in charlm("score", "r", "valid.txt", "--json").out.splitlines()]
    assert [record["text"] for record in scored] == lines
    assert -sum(record["log_prob"] for record in scored) == pytest.approx(measured["nats"])


def test_a_line_scores_what_the_definition_says(charlm, learn):
    # "ab" and "a": P(b | a) with Witten-Bell is (1 + 2 · 7/32) / 4, see tests/test_smoothing.py.
    Path("ab.txt").write_text("ab\na\n", "utf-8")
    charlm("ngram", "count", "ab.txt", "-o", "c", "--order", 2)
    learn("r", "--counts", "c", "--order", "2", "--smoothing", "witten-bell")
    records = [json.loads(line) for line in charlm("eval", "r", "ab.txt", "--per-token").out.splitlines()]
    assert np.exp(records[1]["log_prob"]) == pytest.approx(23 / 64, rel=1e-5)


def test_sequences_that_are_left_out_are_counted_and_the_model_stays_sound(charlm, poems):
    for number, options in enumerate((["--cutoffs", "0,0,1"], ["--prune", "1e-4"], ["--quantize", "8"])):
        ended = charlm("train", poems, "--model", "ngram", *SIZES, *options, "--run", f"r{number}")
        assert ended.code == 0 and ("left out" in ended.err) == (options[0] != "--quantize")
        assert ("stored in 8 bits" in ended.err) == (options[0] == "--quantize")
        assert charlm("run", "check", f"r{number}").code == 0
        assert charlm("eval", f"r{number}", "valid.txt").code == 0


def test_what_does_not_fit_is_said_with_what_was_used_instead(charlm):
    Path("abc.txt").write_text("abcabc\n" * 5, "utf-8")
    ended = charlm("train", "abc.txt", "--model", "ngram", "--run", "r")
    assert ended.code == 0
    assert "modified-kneser-ney does not fit" in ended.err and "Used witten-bell instead." in ended.err
    assert charlm("eval", "r", "abc.txt").code == 0


def test_special_words_in_a_text_are_ordinary_words_and_never_nonsense(charlm, poems):
    lines = ["<s> we read </s>", "<EOS> we read <EOS> aloud <EOS>", "<UNK> and <unk> <s>", "</s>"] * 5
    Path("odd.txt").write_text("\n".join(lines), "utf-8")
    for level in ("spaced", "char"):
        for smoothing in ("modified-kneser-ney", "add-k"):
            name = f"{level}-{smoothing}"
            options = ("--model", "ngram", "--level", level, "--smoothing", smoothing, "--valid", "odd.txt")
            assert charlm("train", "odd.txt", *options, *SIZES, "--run", name).code == 0
            assert charlm("run", "check", name).code == 0
            told = json.loads(charlm("eval", name, "odd.txt", "--json").out)
            assert 1 < told["perplexity"] < 20
            assert told["tokens"] == sum(len(line.split() if level == "spaced" else line) + 1 for line in lines)
            assert charlm("sample", name, "--max-tokens", 20).code == 0
    tokens = [line.split("\t")[0] for line in Path("spaced-add-k/vocab.tsv").read_text("utf-8").splitlines()]
    assert tokens[:2] == ["<EOS>", "<UNK>"] and {"<s>", "</s>"} <= set(tokens)
    assert tokens.count("<EOS>") == tokens.count("<UNK>") == 1


# ── counts in shards ────────────────────────────────────────────────────────────────────────────


def test_counting_says_what_was_counted(charlm, poems):
    lines = poems.read_text("utf-8").splitlines()
    ended = charlm("ngram", "count", poems, "-o", "a", *SIZES, "--json")
    told = json.loads(ended.out)
    counts = naive(lines, 3)
    size = len({gram for gram in counts if len(gram) == 1}) + 1  # <UNK>
    assert told["ngrams"] == [size, *(sum(len(gram) == n for gram in counts) for n in (2, 3))]
    assert (told["documents"], told["tokens"]) == (40, sum(map(len, lines)) + 40)
    assert (told["context"], told["folder"]) == ("line", "a")
    assert {path.name for path in Path("a").iterdir()} == {"counts.safetensors", "tokenizer.json", "vocab.tsv"}
    table = charlm("ngram", "count", poems, "-o", "b", *SIZES).out
    assert "40 documents" in table and f"3-grams  {told['ngrams'][2]:,}" in table


def test_a_guessed_encoding_is_told_however_often_the_text_was_read_before(charlm, poems, vocab):
    poems.write_bytes(poems.read_text("utf-8").encode("gb18030"))
    told = "poems.txt: read as gb18030; give --encoding if that is wrong"
    for folder, options in [("a", []), ("b", ["--vocab", vocab]), ("c", ["--vocab", vocab])]:
        ended = charlm("ngram", "count", poems, *options, *SIZES, "-o", folder)
        assert ended.err.count(told) == 1
    assert told not in charlm("ngram", "count", poems, "--encoding", "gb18030", *SIZES, "-o", "d").err
    assert told not in charlm("ngram", "count", poems, *SIZES, "-o", "e", "--quiet").err
    valid = Path("valid.txt")
    valid.write_bytes(valid.read_text("utf-8").encode("gb18030"))
    ended = charlm("train", "--counts", "a", "--valid", "valid.txt", "--order", 3, "--run", "r")
    assert ended.err.count("valid.txt: read as gb18030") == 1


def test_counts_are_read_once_in_training(charlm, vocab, counted, monkeypatch):
    from charlm.ngrams import countfiles

    loaded, load = [], countfiles.load
    monkeypatch.setattr(countfiles, "load", lambda path, scratch: loaded.append(path.name) or load(path, scratch))
    assert charlm("train", "--counts", counted, *SIZES, "--run", "r").code == 0
    assert loaded == ["counts"]


def test_four_shards_give_the_model_of_one_to_the_last_bit(charlm, poems, vocab, counted, learn):
    for k in range(1, 5):
        ended = charlm("ngram", "count", poems, "--vocab", vocab, "--shard", f"{k}/4", *SIZES, "-o", f"shard{k}")
        assert ended.code == 0, ended.err
    shards = [option for k in (3, 1, 4, 2) for option in ("--counts", f"shard{k}")]
    whole = learn("whole", "--counts", counted, "--valid", "valid.txt")
    assert same(learn("sum", *shards, "--valid", "valid.txt"), whole)
    assert same(learn("text", poems, "--model", "ngram", "--vocab", vocab, "--valid", "valid.txt"), whole)
    facts = [json.loads(charlm("run", "info", name, "--json").out)["best"]["valid_nats"] for name in ("sum", "text")]
    assert facts[0] == facts[1]


def test_a_shard_that_is_taken_away_was_never_counted(charlm, poems, vocab, counted, learn):
    for k in (1, 2, 3):
        charlm("ngram", "count", poems, "--vocab", vocab, "--shard", f"{k}/3", *SIZES, "-o", f"shard{k}")
    left = learn("left", "--counts", counted, "--without", "shard2")
    assert same(left, learn("others", "--counts", "shard1", "--counts", "shard3"))
    assert not same(left, learn("whole", "--counts", counted))
    assert same(
        learn("one", "--counts", counted, "--without", "shard1", "--without", "shard2"),
        learn("three", "--counts", "shard3"),
    )


def test_little_memory_gives_the_same_model(charlm, poems, vocab, counted, learn, monkeypatch):
    from charlm.ngrams import counting

    monkeypatch.setattr(counting, "SMALLEST_PIECE", 50)
    charlm("ngram", "count", poems, "--vocab", vocab, *SIZES, "--memory", "4K", "-o", "little")
    files = [(Path(name) / "counts.safetensors").read_bytes() for name in ("little", "counts")]
    assert files[0] == files[1]


def test_learning_from_counts_needs_no_text_and_can_be_repeated(charlm, counted, learn):
    Path("poems.txt").unlink()
    first = learn("a", "--counts", counted, "--smoothing", "witten-bell")
    assert json.loads(charlm("run", "info", "a", "--json").out)["knobs"]["counts"] == [str(counted.resolve())]
    assert charlm("eval", "a", "valid.txt").code == 0
    ended = charlm("train", "--config", "a/config.json", "--run", "b", "--quiet")
    assert ended.code == 0, ended.err
    assert same(load_file("b/model.safetensors"), first)


def test_without_a_name_the_run_is_called_after_the_counts(charlm, counted):
    assert charlm("train", "--counts", counted, "-q").code == 0
    assert Path("checkpoints/counts/model.safetensors").is_file()


def test_a_lower_order_of_the_same_counts_is_the_model_of_that_order(charlm, poems, vocab, counted, learn):
    charlm("ngram", "count", poems, "--vocab", vocab, "--order", 2, "-o", "two")
    assert same(learn("low", "--counts", counted, "--order", "2"), learn("two-run", "--counts", "two", "--order", "2"))


def test_counts_of_nothing_are_even_and_this_is_said(charlm, counted):
    ended = charlm("train", "--counts", counted, "--without", counted, "--run", "r")
    assert ended.code == 0 and "the counts are all zero" in ended.err
    told = json.loads(charlm("eval", "r", "poems.txt", "--json").out)
    size = len(Path("vocab/vocab.tsv").read_text("utf-8").splitlines())
    assert told["perplexity"] == pytest.approx(size, rel=1e-5)


@pytest.mark.parametrize("options", [("--context", "carried"), ("--reading", "stream")])
def test_carried_counts_make_a_carried_model(charlm, poems, learn, options):
    assert charlm("ngram", "count", poems, *options, *SIZES, "-o", "c").code == 0
    counts = learn("r", "--counts", "c")
    assert same(learn("t", poems, "--model", "ngram", *options, "--valid", poems, *SIZES), counts)
    for name in ("r", "t"):
        told = json.loads(charlm("eval", name, poems, "--json").out)
        assert (told["context"], told["reading"]) == ("carried", "stream" if "stream" in options else "lines")


def test_counts_of_single_lines_stay_so_whatever_context_is_asked_for(charlm, counted):
    ended = charlm("train", "--counts", counted, "--context", "carried", "--run", "r", "--quiet")
    assert ended.code == 2 or json.loads(charlm("run", "info", "r", "--json").out)["context"] == "line"


def test_rare_tokens_of_counts_are_unknown(charlm, poems, learn):
    charlm("ngram", "count", poems, "--min-count", 3, *SIZES, "-o", "c")
    learn("r", "--counts", "c")
    assert json.loads(charlm("eval", "r", poems, "--json").out)["unknown"] > 0


# ── counts as plain text ────────────────────────────────────────────────────────────────────────


def test_plain_text_counts_give_the_model_of_the_text(charlm, poems, vocab, counted, learn):
    lines = as_text(naive(poems.read_text("utf-8").splitlines(), 3))
    random.Random(0).shuffle(lines)
    third = len(lines) // 3
    # An n-gram may stand in several files, and several times in one.
    halves = [
        f"{line.rpartition(chr(9))[0]}\t{n}\n" for line in lines[:third] for n in (1, int(line.split("\t")[1]) - 1)
    ]
    parts = [(".tsv", halves), (".tsv.gz", lines[third : 2 * third]), (".tsv", lines[2 * third :])]
    text_counts("text", vocab, *parts)
    assert same(learn("a", "--counts", "text"), learn("b", "--counts", counted))


def test_spaces_and_backslashes_are_spelled_as_in_the_vocabulary(charlm, learn):
    lines = ["a \\ b", " \\n a"] * 3
    Path("odd.txt").write_text("\n".join(lines), "utf-8")
    charlm("vocab", "odd.txt", "-o", "v")
    charlm("ngram", "count", "odd.txt", "--vocab", "v", *SIZES, "-o", "c")
    text_counts("text", "v", (".tsv", as_text(naive([line.strip() for line in lines], 3))))
    assert same(learn("a", "--counts", "text"), learn("b", "--counts", "c"))


def test_both_kinds_of_counts_add(charlm, poems, vocab, learn):
    lines = poems.read_text("utf-8").splitlines()
    for k in (1, 2):
        charlm("ngram", "count", poems, "--vocab", vocab, "--shard", f"{k}/2", *SIZES, "-o", f"shard{k}")
    text_counts("text", vocab, (".tsv", as_text(naive(lines[::2], 3))))
    both = learn("a", "--counts", "shard1", "--counts", "shard2")
    assert same(learn("b", "--counts", "text", "--counts", "shard2"), both)
    assert same(
        learn("c", "--counts", "text", "--counts", "shard2", "--without", "shard1"), learn("d", "--counts", "shard2")
    )


def test_text_counts_are_read_in_pieces_as_they_are_at_once(charlm, poems, vocab, counted, learn, monkeypatch):
    from charlm.ngrams import countfiles

    text_counts("text", vocab, (".tsv", as_text(naive(poems.read_text("utf-8").splitlines(), 3)) * 2))
    once = learn("a", "--counts", "text")
    monkeypatch.setattr(countfiles, "PIECE", 100)
    assert same(learn("b", "--counts", "text"), once)
    assert same(learn("c", "--counts", counted, "--counts", counted), once)


def test_n_grams_seen_zero_times_change_nothing(charlm, poems, vocab, counted, learn):
    lines = as_text(naive(poems.read_text("utf-8").splitlines(), 3))
    words = [line.split("\t")[0] for line in lines if " " not in line]
    zeros = [f"{one} {other}\t0\n" for one in words[:9] for other in words[:9]]
    seen = {line.split("\t")[0] for line in lines}
    text_counts("text", vocab, (".tsv", [*lines, *(zero for zero in zeros if zero.split("\t")[0] not in seen)]))
    assert same(learn("a", "--counts", "text"), learn("b", "--counts", counted))


BAD_LINES = {
    "no number": "春\n",
    "a word for a number": "春\tviele\n",
    "a number below zero": "春\t-1\n",
    "a fraction": "春\t1.5\n",
    "a number without end": "春\t" + "9" * 5000 + "\n",
    "Chinese digits": "春\t三\n",
    "a token that is not in the vocabulary": "龘\t1\n",
    "two spaces": "春  天\t1\n",
    "no token": "\t1\n",
    "an empty line": "\n",
    "an escape beyond Unicode": "\\u{ffffffff}\t1\n",
    "more tokens than an order has": " ".join(["春"] * 21) + "\t1\n",
    "a line without end": "春 " * 40_000 + "\n",
    "bytes that are not UTF-8": b"\xff\xfe\t1\n",
}


@pytest.mark.parametrize("kind", BAD_LINES)
def test_a_line_that_cannot_be_read_is_named(charlm, vocab, kind):
    line = BAD_LINES[kind]
    data = line if isinstance(line, bytes) else line.encode()
    token = Path("vocab/vocab.tsv").read_text("utf-8").splitlines()[2].split("\t")[0]
    folder = text_counts("text", vocab, (".tsv", ["<EOS>\t1\n"]))
    data = data.replace("春".encode(), token.encode())
    (folder / "more.tsv.gz").write_bytes(gzip.compress(data))
    (folder / "part-0.tsv").write_bytes(b"<EOS>\t1\n<EOS> <EOS>\t1\n" + data)
    before = there()
    charlm("train", "--counts", folder, "--run", "r").refused("more.tsv.gz:1: cannot read", "TOKEN TOKEN")
    (folder / "more.tsv.gz").unlink()
    charlm("train", "--counts", folder, "--run", "r").refused("part-0.tsv:3: cannot read", "vocab.tsv")
    assert there() == before - {"text/more.tsv.gz"}


INCOMPLETE = {
    "no line at all": "",
    "no count of one of its words": "<EOS>\t2\n<EOS> A\t2\nA <EOS>\t2\n",
    "only the longest": "<EOS> A B\t2\nA B <EOS>\t2\n",
    "an order in between is missing": "A\t2\nB\t2\n<EOS>\t2\n<EOS> A B\t2\nA B <EOS>\t2\n",
    "seen more often than its last word": "A\t1\n<EOS>\t1\n<EOS> A\t5\nA <EOS>\t1\n",
    "seen more often than its last words": "A\t3\nB\t3\n<EOS>\t3\n<EOS> A\t3\nA B\t3\nB <EOS>\t1\nA B <EOS>\t3\n",
}


@pytest.mark.parametrize("kind", INCOMPLETE)
@pytest.mark.parametrize("smoothing", ["modified-kneser-ney", "witten-bell"])
def test_counts_that_cannot_be_all_are_refused(charlm, vocab, kind, smoothing):
    tokens = [line.split("\t")[0] for line in Path("vocab/vocab.tsv").read_text("utf-8").splitlines()]
    lines = INCOMPLETE[kind].replace("A", tokens[2]).replace("B", tokens[3])
    folder = text_counts("given", vocab, (".tsv", [lines]))
    before = there()
    charlm("train", "--counts", folder, "--smoothing", smoothing, "--run", "r").refused("given")
    assert there() == before


def test_a_damaged_gzip_file_is_refused(charlm, vocab):
    folder = text_counts("text", vocab, (".tsv.gz", ["<EOS>\t1\n"] * 50))
    whole = (folder / "part-0.tsv.gz").read_bytes()
    for damaged in (whole[:-9], whole[:15], whole[:12] + b"\xff\xff\xff" + whole[15:]):
        (folder / "part-0.tsv.gz").write_bytes(damaged)
        charlm("train", "--counts", folder, "--run", "r").refused("part-0.tsv.gz")
    assert not Path("r").exists()


# ── bad input ───────────────────────────────────────────────────────────────────────────────────

BAD = {
    "order 0": (["poems.txt", "--model", "ngram", "--order", "0"], ["--order must be from 1 to 20, not 0"], 2),
    "order 21": (["--counts", "counts", "--order", "21"], ["--order must be from 1 to 20, not 21"], 2),
    "cut-offs that fall": (["--counts", "counts", "--cutoffs", "0,2,1"], ["--cutoffs must begin with 0", "fall"], 2),
    "cut-offs of single tokens": (["--counts", "counts", "--cutoffs", "1"], ["every token stays"], 2),
    "cut-offs that are none": (["--counts", "counts", "--cutoffs", "0,,1"], ["whole numbers with commas"], 2),
    "cut-offs below zero": (["--counts", "counts", "--cutoffs", "0,-1"], ["whole numbers with commas"], 2),
    "memory that is none": (["--counts", "counts", "--memory", "lots"], ["--memory must be a number with K, M"], 2),
    "bits that are none": (["--counts", "counts", "--quantize", "7"], ["--quantize must be 8 or 16, not 7"], 2),
    "a smoothing that is none": (["--counts", "counts", "--smoothing", "kneserney"], ["did you mean kneser-ney?"], 2),
    "the smoothing of imports": (["--counts", "counts", "--smoothing", "arpa"], ["for imported models"], 2),
    "add-k 0": (["--counts", "counts", "--smoothing", "add-k", "--add-k", "0"], ["--add-k must be above 0"], 2),
    "pruning below zero": (["--counts", "counts", "--prune", "-1"], ["--prune must be 0 or more"], 2),
    "pruning add-k": (
        ["--counts", "counts", "--prune", "0.1", "--smoothing", "add-k"],
        ["--prune does not go with"],
        2,
    ),
    "another model": (
        ["--counts", "counts", "--model", "recurrent"],
        ["--model recurrent cannot learn from counts"],
        2,
    ),
    "counts and a text": (["poems.txt", "--counts", "counts", "--model", "ngram"], ["both a text and --counts"], 2),
    "only counts to take away": (["--without", "counts", "--model", "ngram"], ["no text was given"], 2),
    "counts to take away from a text": (["poems.txt", "--without", "counts"], ["--without takes counts away from"], 2),
    "counts to take away that are not there": (
        ["--counts", "counts", "--without", "no"],
        ["no folder of counts at"],
        1,
    ),
    "more counts to take away than there are": (
        ["--counts", "counts", "--without", "counts", "--without", "counts"],
        ["more n-grams would be taken away than there are"],
        1,
    ),
    "counts that are not there": (["--counts", "nowhere"], ["no folder of counts at nowhere", "charlm ngram count"], 1),
    "a file for a folder of counts": (["--counts", "poems.txt"], ["no folder of counts at poems.txt"], 1),
    "a folder of something else": (["--counts", "."], ["tokenizer.json"], 1),
    "a vocabulary for counts": (["--counts", "vocab"], ["vocab", "holds no counts"], 1),
    "a vocabulary beside counts": (["--counts", "counts", "--vocab", "vocab"], ["--vocab"], 2),
    "a run that exists": (["--counts", "counts", "--run", "vocab"], ["vocab exists already"], 1),
    "a validation text that is not there": (["--counts", "counts", "--valid", "no.txt"], ["no such file", "no.txt"], 1),
    "a trial": (["--counts", "counts", "--dry-run"], ["--dry-run is for what learns by gradient"], 2),
    "an empty text": (["empty.txt", "--model", "ngram"], ["empty"], 1),
    "blank lines": (["blank.txt", "--model", "ngram"], ["empty"], 1),
}


@pytest.mark.parametrize("name", BAD)
def test_impossible_requests_are_refused_and_leave_nothing(charlm, counted, name):
    arguments, words, code = BAD[name]
    Path("empty.txt").write_bytes(b"")
    Path("blank.txt").write_bytes(b"\n \n\t\n")
    before = there()
    run = [] if "--run" in arguments else ["--run", "r"]
    charlm("train", *arguments, *run, "--quiet").refused(*words, code=code)
    assert there() == before


BAD_COUNTING = {
    "no such text": (["no.txt"], ["no such file: no.txt"], 1),
    "an empty text": (["empty.txt"], ["empty"], 1),
    "a text that is none": (["binary.txt"], ["binary.txt:1"], 1),
    "stdin": (["-"], ["counting", "several times"], 1),
    "order 0": (["poems.txt", "--order", "0"], ["--order must be from 1 to 20, not 0"], 2),
    "order 21": (["poems.txt", "--order", "21"], ["--order must be from 1 to 20, not 21"], 2),
    "memory that is none": (["poems.txt", "--memory", "1T"], ["--memory must be a number with K, M or G"], 2),
    "shards without a vocabulary": (["poems.txt", "--shard", "1/4"], ["shards must share a vocabulary"], 2),
    "a shard that is none": (["poems.txt", "--vocab", "vocab", "--shard", "5/4"], ["--shard '5/4' is no part"], 2),
    "a shard of a carried text": (
        ["poems.txt", "--vocab", "vocab", "--shard", "1/4", "--context", "carried"],
        ["does not go with carried text"],
        2,
    ),
    "no such vocabulary": (["poems.txt", "--vocab", "no"], ["tokenizer.json"], 1),
    "a folder that exists": (["poems.txt", "-o", "vocab"], ["vocab exists already; nothing was changed"], 1),
    "a folder that is a file": (["poems.txt", "-o", "poems.txt/c"], ["cannot write poems.txt/c"], 1),
}


@pytest.mark.parametrize("name", BAD_COUNTING)
def test_what_cannot_be_counted_is_refused_and_leaves_nothing(charlm, vocab, name):
    arguments, words, code = BAD_COUNTING[name]
    Path("empty.txt").write_bytes(b"")
    Path("binary.txt").write_bytes(b"\x00\x01\x02\xff\xfe")
    before = there()
    output = [] if "-o" in arguments else ["-o", "c"]
    charlm("ngram", "count", *arguments, *output, "--quiet").refused(*words, code=code)
    assert there() == before


def test_counts_of_other_tokens_or_contexts_do_not_add(charlm, counted):
    charlm("vocab", "valid.txt", "-o", "other")
    charlm("ngram", "count", "valid.txt", "--vocab", "other", *SIZES, "-o", "other-tokens")
    charlm("ngram", "count", "poems.txt", "--vocab", "vocab", "--context", "carried", *SIZES, "-o", "carried")
    before = there()
    for option in ("--counts", "--without"):
        tokens = charlm("train", "--counts", counted, option, "other-tokens", "--run", "r")
        tokens.refused("other-tokens counts other tokens than", "so they do not add", "charlm vocab", code=2)
        contexts = charlm("train", "--counts", counted, option, "carried", "--run", "r")
        contexts.refused("differ in --context", code=2)
    assert there() == before


# ── damage ──────────────────────────────────────────────────────────────────────────────────────


def test_counts_cut_short_are_refused(charlm, counted):
    whole = (counted / "counts.safetensors").read_bytes()
    for size in (0, 4, 9, 100, len(whole) // 2, len(whole) - 1):
        (counted / "counts.safetensors").write_bytes(whole[:size])
        charlm("train", "--counts", counted, "--run", "r").refused("counts.safetensors")
    assert not Path("r").exists()


def test_counts_whose_vocabulary_was_changed_are_refused(charlm, counted):
    file = counted / "vocab.tsv"
    lines = file.read_text("utf-8").splitlines(keepends=True)
    for changed in ([*lines[:-1]], [*lines[:2], lines[3], lines[2], *lines[4:]], [*lines, "龘\t1\n"]):
        file.write_text("".join(changed), "utf-8")
        charlm("train", "--counts", counted, "--run", "r").refused("counts.safetensors", "its vocabulary was changed")
    file.write_text("", "utf-8")
    charlm("train", "--counts", counted, "--run", "r").refused("vocab.tsv")
    assert not Path("r").exists()


WRONG = {
    "shorter": lambda array: array[:-1],
    "longer": lambda array: np.append(array, array[:1]),
    "two-dimensional": lambda array: array[None],
    "empty": lambda array: array[:0],
    "numbers with a fraction": lambda array: np.full(len(array), np.nan, dtype=np.float32),
    "too large": lambda array: np.full(len(array), np.iinfo(array.dtype).max, dtype=array.dtype),
    "missing": lambda array: None,
}
ARRAYS = ("1.counts", "2.words", "2.starts", "2.suffixes", "2.counts", "3.words", "3.starts", "3.suffixes", "3.counts")


def arrays_and_facts(file: Path):
    """The arrays of a safetensors file, and what its header says besides."""
    data = file.read_bytes()
    return load_file(file), json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]


@pytest.mark.parametrize("kind", WRONG)
def test_counts_whose_arrays_do_not_fit_are_refused(charlm, counted, kind):
    arrays, facts = arrays_and_facts(counted / "counts.safetensors")
    assert set(arrays) == set(ARRAYS)
    for name in ARRAYS:
        wrong = WRONG[kind](arrays[name])
        damaged = {key: array for key, array in arrays.items() if key != name} | (
            {} if wrong is None else {name: wrong}
        )
        save_file(damaged, counted / "counts.safetensors", metadata=facts)
        charlm("train", "--counts", counted, "--run", "r").refused("counts.safetensors")
    assert not Path("r").exists()


@pytest.mark.parametrize("name", ["1.counts", "2.counts", "3.counts"])
def test_counts_below_zero_are_refused(charlm, counted, name):
    arrays, facts = arrays_and_facts(counted / "counts.safetensors")
    arrays[name][3] = -1
    save_file(arrays, counted / "counts.safetensors", metadata=facts)
    charlm("train", "--counts", counted, "--run", "r").refused("counts.safetensors")


def flipped(data: bytes, numbers: random.Random) -> bytes:
    place = numbers.choice([numbers.randrange(len(data)), numbers.randrange(1200)])
    return data[:place] + bytes([data[place] ^ 1 << numbers.randrange(8)]) + data[place + 1 :]


def test_counts_with_a_bit_changed_never_end_in_a_traceback(charlm, counted):
    whole, numbers = (counted / "counts.safetensors").read_bytes(), random.Random(1)
    ended = []
    for number in range(40):
        (counted / "counts.safetensors").write_bytes(flipped(whole, numbers))
        ended.append(charlm("train", "--counts", counted, "--run", f"r{number}", "--quiet").code)
        if ended[-1] == 0:
            assert charlm("run", "check", f"r{number}").code == 0
    assert 1 in ended and set(ended) <= {0, 1}


@pytest.mark.parametrize("options", [(), ("--quantize", "8", "--prune", "1e-4")])
def test_check_finds_a_damaged_model_and_never_ends_in_a_traceback(charlm, counted, learn, options):
    learn("r", "--counts", counted, *options)
    file = Path("r/model.safetensors")
    whole, numbers = file.read_bytes(), random.Random(2)
    for size in (0, 5, 9, 40, 500, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        ended = charlm("run", "check", "r")
        assert ended.code == 1 and "BAD  model.safetensors" in ended.out
        charlm("eval", "r", "poems.txt").refused("model.safetensors")
    found = []
    for _ in range(50):
        file.write_bytes(flipped(whole, numbers))
        ended = charlm("run", "check", "r")
        assert ended.code == ("BAD" in ended.out)
        found.append(ended.code)
    assert 10 < sum(found) < 50
    file.write_bytes(whole)
    assert charlm("run", "check", "r").code == 0


def test_check_reads_every_number_of_a_model(charlm, counted, learn):
    learn("r", "--counts", counted)
    arrays, facts = arrays_and_facts(Path("r/model.safetensors"))
    for name, wrong, said in (
        ("2.log_probs", np.nan, "2.log_probs holds numbers that are not finite"),
        ("3.log_probs", 0.5, "3.log_probs holds probabilities above 1"),
        ("3.words", 60_000, "3.words has tokens that are not in the vocabulary"),
        ("2.starts", 60_000, "2.starts does not cut 2.words into contexts"),
    ):
        damaged = arrays | {name: arrays[name].copy()}
        damaged[name][7] = wrong
        save_file(damaged, "r/model.safetensors", metadata=facts)
        ended = charlm("run", "check", "r")
        assert ended.code == 1 and said in ended.out
    save_file(arrays, "r/model.safetensors", metadata=facts)
    assert charlm("run", "check", "r").code == 0


def test_using_a_damaged_model_never_ends_in_a_traceback(charlm, counted, learn):
    learn("r", "--counts", counted)
    arrays, facts = arrays_and_facts(Path("r/model.safetensors"))
    for name in ("2.starts", "3.starts"):
        damaged = arrays | {name: arrays[name].copy()}
        damaged[name][5:90] = 60_000
        save_file(damaged, "r/model.safetensors", metadata=facts)
        for command in (("eval", "r", "poems.txt"), ("sample", "r", "-n", 9)):
            assert charlm(*command).code in (0, 1)


def test_check_finds_a_model_of_another_vocabulary(charlm, counted, learn):
    learn("r", "--counts", counted)
    lines = Path("r/vocab.tsv").read_text("utf-8").splitlines(keepends=True)
    Path("r/vocab.tsv").write_text("".join([*lines[:2], lines[3], lines[2], *lines[4:]]), "utf-8")
    assert "BAD  model.safetensors" in charlm("run", "check", "r").out
    charlm("sample", "r").refused("vocab.tsv")


def test_a_model_cannot_be_resumed_nor_begun_from(charlm, counted, learn):
    learn("r", "--counts", counted)
    charlm("train", "--resume", "r").refused("cannot go on")
    charlm("train", "poems.txt", "--model", "ngram", "--init-from", "r", "--run", "s").refused("--init-from r")
    assert not Path("s").exists()


def test_a_model_that_cannot_go_on_was_advised_to_begin_from_weights_that_it_does_not_have(charlm, counted, learn):
    learn("r", "--counts", counted)
    for options in [(), ("--order", 2)]:
        ended = charlm("train", "--resume", "r", *options)
        assert "--init-from" not in ended.err and "--model ngram" in ended.err
    charlm("run", "mix", "r", "r", "--tune", "poems.txt", "--run", "mix")
    ended = charlm("train", "--resume", "mix")
    assert "--init-from" not in ended.err and "charlm run mix" in ended.err


COLLECTION = [{"title": "静夜思", "paragraphs": ["床前明月光，", "疑是地上霜。"]}] * 4


def test_counting_refused_a_folder_of_poems_for_its_list_of_authors(charlm, tmp_path):
    folder = tmp_path / "全唐诗"
    folder.mkdir()
    (folder / "authors.json").write_text(json.dumps([{"name": "李白"}]), "utf-8")
    (folder / "poems.json").write_text(json.dumps(COLLECTION), "utf-8")
    (folder / "README.md").write_text("about\n", "utf-8")
    told = charlm("ngram", "count", folder, "-o", "a", *SIZES, "--json")
    assert json.loads(told.out)["documents"] == len(COLLECTION)
    assert "README.md" in told.err and "authors.json, object 1 (name)" in told.err
    again = charlm("ngram", "count", folder, "-o", "b", *SIZES, "--vocab", "a", "--shard", "1/2")
    assert again.code == 0 and again.err.count("README.md") == 1


def test_an_empty_validation_text_beside_counts_was_called_a_text_to_learn_from(charlm, counted):
    Path("empty.txt").touch()
    ended = charlm("train", "--counts", counted, "--valid", "empty.txt", "--run", "r")
    ended.refused("the validation text", "empty.txt is empty")


def test_counting_says_what_is_odd_in_the_text(charlm):
    Path("t.txt").write_text("<s> 做作业 </s>\n", "utf-8")
    assert "marks of a tool for words" in charlm("ngram", "count", "t.txt", "-o", "counts").err
