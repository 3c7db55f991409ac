"""`charlm eval`: figures, comparisons, and what they refuse."""

import gc
import json
import os
import tempfile
import threading
from pathlib import Path

import pytest

from commands.conftest import CORPORA, TINY

EVERYDAY = CORPORA / "everyday.zh.txt"


def test_figures_come_with_their_context_and_tokens(charlm, shared_run):
    ended = charlm("eval", shared_run, EVERYDAY, "--part", "test")
    for word in ("perplexity", "bits per character", "tokens with line ends", "fresh for every line", "unknown"):
        assert word in ended.out


def test_json_keys_are_stable(charlm, shared_run):
    told = json.loads(charlm("eval", shared_run, EVERYDAY, "--json").out)
    assert set(told) == {
        "run",
        "perplexity",
        "perplexity_known",
        "perplexity_charged",
        "bits_per_char",
        "nats_per_char",
        "nats",
        "unknown_nats",
        "units",
        "tokens",
        "characters",
        "unknown",
        "unknown_rate",
        "context",
        "reading",
        "exact",
        "precision",
    }


@pytest.mark.parametrize(("bits", "exact"), [((), True), (("--quantize", 8), False)])
def test_figures_that_are_not_exact_are_told(charlm, shared_run, bits, exact):
    charlm("train", EVERYDAY, "--model", "ngram", "--order", 3, *bits, "--vocab", shared_run, "--run", "counts", "-q")
    charlm("run", "mix", shared_run, "counts", "--tune", EVERYDAY, "--part", "valid", "--run", "mix", "--quiet")
    for run in ("counts", "mix"):
        ended = charlm("eval", run, EVERYDAY, "--part", "test", "--json")
        assert json.loads(ended.out)["exact"] is exact
        assert ("figures are not exact: n-gram probabilities are stored in 8 bits" in ended.err) is not exact
        for arguments in (
            (CORPORA / "homework.nbest.jsonl", "--report", f"{run}.json"),
            (EVERYDAY, "--format", "text"),
        ):
            assert ("scores are not exact" in charlm("score", run, *arguments).err) is not exact
        assert json.loads(Path(f"{run}.json").read_text("utf-8"))["exact"] is exact


def test_every_line_end_counts_as_a_character_and_a_token(charlm, shared_run):
    Path("two.txt").write_text("你好。\n再见。\n", "utf-8")
    told = json.loads(charlm("eval", shared_run, "two.txt", "--json").out)
    assert (told["tokens"], told["characters"]) == (8, 8)


def test_parts_of_a_corpus_add_up(charlm, shared_run):
    parts = [
        json.loads(charlm("eval", shared_run, EVERYDAY, "--part", p, "--json").out) for p in ("train", "valid", "test")
    ]
    whole = json.loads(charlm("eval", shared_run, EVERYDAY, "--json").out)
    assert sum(p["tokens"] for p in parts) == whole["tokens"]
    assert sum(p["nats"] for p in parts) == pytest.approx(whole["nats"], rel=1e-5)


def test_per_token_output_sums_to_the_total(charlm, shared_run):
    Path("a.txt").write_text("他在做作业。\n", "utf-8")
    records = [json.loads(line) for line in charlm("eval", shared_run, "a.txt", "--per-token").out.splitlines()]
    told = json.loads(charlm("eval", shared_run, "a.txt", "--json").out)
    assert "".join(r["token"] for r in records) == "他在做作业。<EOS>"
    assert -sum(r["log_prob"] for r in records) == pytest.approx(told["nats"], rel=1e-6)


def test_runs_with_other_vocabularies_are_ranked_by_bits_per_character_only(charlm, shared_run):
    charlm("train", EVERYDAY, *TINY, "--steps", 1, "--level", "mixed", "--min-count", 2, "--run", "other")
    ended = charlm("eval", shared_run, "other", EVERYDAY, "--part", "test")
    assert "1. " in ended.out and "Not ranked by perplexity" in ended.out


def test_the_context_can_be_changed_and_is_said(charlm, shared_run):
    ended = charlm("eval", shared_run, EVERYDAY, "--part", "test", "--context", "carried")
    assert "carried from line to line" in ended.out


def test_stdin_is_a_text_too(charlm, shared_run):
    assert json.loads(charlm("eval", shared_run, "-", "--json", stdin="你好。\n").out)["tokens"] == 4


def test_text_of_unknown_characters_has_figures(charlm, shared_run):
    Path("strange.txt").write_text("ЖЖЖ\n", "utf-8")
    told = json.loads(charlm("eval", shared_run, "strange.txt", "--json").out)
    assert told["unknown"] == 3 and told["perplexity_charged"] > told["perplexity"]


def test_bad_requests_are_refused(charlm, shared_run):
    Path("empty.txt").write_text("\n\n", "utf-8")
    charlm("eval", shared_run, "empty.txt").refused("empty.txt")
    charlm("eval", "nowhere", EVERYDAY).refused("no run directory")
    charlm("eval", shared_run).refused("one run and one text", code=2)
    charlm("eval", shared_run, EVERYDAY, "--part", "tst").refused("no part", code=2)


@pytest.mark.parametrize("name", ["run.json", "config.json", "tokenizer.json", "vocab.tsv", "model.safetensors"])
@pytest.mark.parametrize("damage", ["gone", "empty", "half", "garbage"])
def test_a_damaged_run_is_refused_whatever_the_damage(charlm, run_dir, name, damage):
    file = run_dir / name
    content = file.read_bytes()
    file.unlink()
    if damage != "gone":
        file.write_bytes(
            {"empty": b"", "half": content[: len(content) // 2], "garbage": b"\x80\x02garbage" * 9}[damage]
        )
    charlm("eval", run_dir, EVERYDAY).refused()
    checked = charlm("run", "check", run_dir)
    assert checked.code == 1 and "BAD" in checked.out


def test_a_newer_format_asks_for_a_newer_charlm(charlm, run_dir):
    facts = json.loads((run_dir / "run.json").read_text("utf-8"))
    (run_dir / "run.json").write_text(json.dumps({**facts, "format": 2, "charlm": "9.0"}), "utf-8")
    charlm("eval", run_dir, EVERYDAY).refused("format 2", "charlm 9.0", "upgrade")


def test_an_edited_vocabulary_is_noticed(charlm, run_dir):
    text = (run_dir / "vocab.tsv").read_text("utf-8")
    (run_dir / "vocab.tsv").write_text(text.replace("业", "亚"), "utf-8")
    charlm("eval", run_dir, EVERYDAY).refused("not the one that the weights were trained with")


def test_pickles_are_never_opened(charlm, run_dir):
    (run_dir / "model.safetensors").rename(run_dir / "model.pt")
    charlm("eval", run_dir, EVERYDAY).refused("pickle")
    charlm("eval", run_dir / "model.pt", EVERYDAY).refused("pickle")


@pytest.mark.parametrize("options", [(), ("--part", "valid")])
def test_two_runs_read_the_same_standard_input(charlm, shared_run, options):
    text = EVERYDAY.read_bytes()
    two = charlm("eval", shared_run, shared_run, "-", "--json", *options, stdin=text).out.splitlines()
    assert len(two) == 2 and two[0] == two[1]
    assert two[0] == charlm("eval", shared_run, EVERYDAY, "--json", *options).out.strip()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_two_runs_read_the_same_pipe(charlm, shared_run):
    os.mkfifo("pipe")
    writer = threading.Thread(target=lambda: Path("pipe").write_bytes(EVERYDAY.read_bytes()))
    writer.start()
    two = charlm("eval", shared_run, shared_run, "pipe", "--json").out.splitlines()
    writer.join()
    assert two == [charlm("eval", shared_run, EVERYDAY, "--json").out.strip()] * 2


def test_what_was_kept_of_standard_input_is_gone_afterwards(charlm, shared_run, tmp_path, monkeypatch):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    charlm("eval", shared_run, shared_run, "-", stdin="你好\n")
    gc.collect()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_an_empty_name_is_not_the_current_folder(charlm, shared_run):
    Path("a.txt").write_text("你好", "utf-8")
    charlm("eval", shared_run, "").refused("an empty name")
    charlm("vocab", "").refused("an empty name")
    charlm("train", "", *TINY).refused("an empty name")
    charlm("train", "a.txt", "--valid", "", *TINY).refused("an empty name")


@pytest.mark.parametrize("part", ["valid", "test"])
def test_a_text_without_a_part_was_called_empty(charlm, shared_run, part):
    Path("a.txt").write_text("你好\n", "utf-8")
    charlm("eval", shared_run, "a.txt", "--part", part).refused(f"no text in its part {part}")


def test_marks_of_a_tool_are_told_where_a_text_is_measured_once_for_all_runs(charlm, shared_run):
    Path("marked.txt").write_text("<s> 做作业 </s>\n做作业 <eos>\n做作业\n", "utf-8")
    ended = charlm("eval", shared_run, shared_run, "marked.txt")
    assert ended.err.count("2 documents with marks of a tool for words") == 1 and "flatter" in ended.err
    assert "marks" not in charlm("eval", shared_run, EVERYDAY).err


def test_a_guessed_encoding_is_told_once_for_all_runs(charlm, shared_run):
    Path("old.txt").write_bytes("今天天气很好，我们去学校。\n".encode("gb18030"))
    assert charlm("eval", shared_run, shared_run, "old.txt").err.count("read as gb18030") == 1
