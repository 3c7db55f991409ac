"""One door from text to ids: what training converted, composed or cut off is never met in another shape."""

import json
import pickle
from pathlib import Path

import pytest

from charlm.config.text import TextConfig
from charlm.runs.run import load as load_run
from charlm.text import files
from charlm.text.reader import Reader
from commands.conftest import TINY

TEXT = "鐵路很長。\n火車café。\n" * 20


@pytest.fixture
def simplified(charlm, tmp_path):
    Path("t.txt").write_text(TEXT, "utf-8")
    ended = charlm("train", "t.txt", "--valid", "t.txt", "--simplify", *TINY, "--epochs", 1, "--run", "run")
    assert ended.code == 0, ended.err
    return tmp_path / "run"


def test_score_and_python_simplify_and_normalise_as_training_did(charlm, simplified):
    run = load_run(simplified)
    odd = [" 鐵路很長。\n", "鐵路\u200b很長。", "火車cafe\u0301。"]
    plain = ["铁路很长。", "铁路很长。", "火车café。"]
    assert [score.unknown for score in run.score(odd)] == [[], [], []]
    assert run.score(odd) == run.score(plain)
    assert run.evaluate(odd) == run.evaluate(plain)
    ended = charlm("score", simplified, "-", "--format", "text", "--json", stdin="鐵路很長。\n")
    assert json.loads(ended.out)["log_prob"] == pytest.approx(run.score(plain)[0].log_prob, rel=1e-5)
    lists = json.dumps({"hyps": [{"text": "鐵路很長。"}]})
    (found,) = json.loads(charlm("score", simplified, "-", stdin=lists).out)["hyps"]
    assert found["text"] == "鐵路很長。" and found["scores"]["lm"] == pytest.approx(
        run.score(plain)[0].charged, rel=1e-5
    )


def test_a_prompt_is_read_as_training_did_and_shown_as_it_was_given(charlm, simplified):
    run = load_run(simplified)
    assert run.prompt(" 鐵e\u0301") == run.codec.prompt("铁é")
    assert (
        run.sample("鐵", seed=1)[0].startswith("鐵")
        and run.sample("鐵", seed=1)[0][1:] == run.sample("铁", seed=1)[0][1:]
    )
    ended = charlm("sample", simplified, "--prompt", "鐵", "--seed", 1)
    assert "does not know" not in ended.err and ended.out.startswith("鐵")


def test_a_reader_reads_documents_as_the_files_are_read(tmp_path):
    (tmp_path / "t.txt").write_text("  鐵路 \n\n e\u0301\u200b\n", "utf-8")
    for config in (TextConfig(), TextConfig(simplify=True), TextConfig(reading="stream")):
        reader = pickle.loads(pickle.dumps(Reader.of(config)))
        raw = ["  鐵路 \n", "\n", " e\u0301\u200b\n"]
        read = [reader.document(line) for line in raw]
        assert [text for text in read if text] == list(files.documents([str(tmp_path / "t.txt")], config))


def test_a_stream_keeps_its_lines_and_gets_one_end():
    reader = Reader("stream")
    assert reader.line("a\r\nb\n") == "a\nb" and reader.line(" a") == " a" and reader.prompt("a\r\n") == "a\n"
    assert Reader().line(" 春\n江 ") == "春江" and Reader().prompt(" a ") == "a "


def test_a_model_of_counts_and_the_vocabulary_of_a_run_forgot_how_the_text_was_read(charlm):
    Path("t.txt").write_text(TEXT, "utf-8")
    charlm("ngram", "count", "t.txt", "--simplify", "-o", "simple", "--order", 2)
    assert charlm("train", "--counts", "simple", "--order", 2, "--run", "run").code == 0
    assert load_run("run").score(["鐵路很長。"])[0].unknown == []
    told = json.loads(charlm("vocab", "t.txt", "--against", "run", "--json").out)
    assert told["unknown"] == 0
    charlm("ngram", "count", "t.txt", "--vocab", "simple", "-o", "other", "--order", 2)
    charlm("train", "--counts", "simple", "--counts", "other", "--run", "no").refused("differ in --simplify", code=2)


def test_the_lines_of_a_stream_lost_their_edges_when_they_were_scored(charlm):
    Path("t.txt").write_text(" a b c \n" * 40, "utf-8")
    ended = charlm("train", "t.txt", "--reading", "stream", "--model", "ngram", "--order", 3, "--run", "run")
    assert ended.code == 0, ended.err
    told = json.loads(charlm("score", "run", "-", "--json", stdin=" a b c \n").out)
    assert (told["text"], told["log_prob"]) == (" a b c ", load_run("run").score([" a b c "])[0].log_prob)


def test_a_mixture_read_as_its_first_member_did_and_forgot_the_others(charlm, simplified):
    simple = Path("t.txt").read_text("utf-8").replace("鐵", "铁").replace("長", "长").replace("車", "车")
    Path("s.txt").write_text(simple, "utf-8")
    options = ["--vocab", simplified, "--valid", "s.txt", "--model", "unigram"]
    assert charlm("train", "s.txt", *options, "--run", "plain").code == 0
    for name, members in [("a", [simplified, "plain"]), ("b", ["plain", simplified])]:
        assert charlm("run", "mix", *members, "--tune", "t.txt", "--run", name).code == 0
        assert load_run(name).score(["鐵路很長。"])[0].unknown == []
