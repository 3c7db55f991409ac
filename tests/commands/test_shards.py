"""`--shard K/N`: one option of four commands, and sums of shards that are the sums of the whole, to the last bit."""

import json
from pathlib import Path

import pytest
from small import same_bits_in_any_batch

from commands.conftest import CORPORA, TINY

EVERYDAY = CORPORA / "everyday.zh.txt"
LISTS = CORPORA / "homework.nbest.jsonl"
SUMS = ("nats", "unknown_nats", "units", "tokens", "characters", "unknown")
COUNTS = [
    "first_errors",
    "reranked_errors",
    "oracle_errors",
    "first_substitutions",
    "first_deletions",
    "first_insertions",
    "reranked_substitutions",
    "reranked_deletions",
    "reranked_insertions",
    "oracle_substitutions",
    "oracle_deletions",
    "oracle_insertions",
    "reference_units",
    "utterances",
    "candidates",
    "pairs",
    "pairs_won",
    "without_reference",
    "tokens",
    "unknown_tokens",
    "impossible",
    "empty",
]


def told(ended) -> dict:
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def sharded(charlm, *command, of=3) -> list[dict]:
    return [told(charlm(*command, "--shard", f"{k}/{of}", "--json")) for k in range(1, of + 1)]


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    """Lines of many lengths, with characters that no model knows."""
    path = tmp_path_factory.mktemp("text") / "text.txt"
    lines = EVERYDAY.read_text("utf-8").splitlines()[:200]
    lines += ["".join(lines[k : k + 9]) for k in range(5)] + ["做Ж业𠮷", "Ж"]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def same_sums(parts: list[dict], whole: dict) -> bool:
    return all(sum(part[name] for part in order) == whole[name] for name in SUMS for order in (parts, parts[::-1]))


@pytest.mark.parametrize("of", [3, 7])
@pytest.mark.parametrize("model", [("ngram", "--order", "3"), ("unigram",)], ids=lambda model: model[0])
def test_figures_of_shards_add_to_those_of_the_whole_to_the_last_bit(charlm, text, model, of):
    assert charlm("train", EVERYDAY, "--model", *model, "--run", "run", "--quiet").code == 0
    whole = told(charlm("eval", "run", text, "--json"))
    assert whole["unknown_nats"] > 0 and same_sums(sharded(charlm, "eval", "run", text, of=of), whole)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_figures_of_a_network_add_as_exactly_as_the_processor_reckons(charlm, text, cell):
    assert charlm("train", EVERYDAY, *TINY, "--steps", 3, "--cell", cell, "--run", "run").code == 0
    whole, parts = told(charlm("eval", "run", text, "--json")), sharded(charlm, "eval", "run", text)
    for name in SUMS:
        assert sum(part[name] for part in parts) == pytest.approx(whole[name], rel=1e-6)
    assert same_sums(parts, whole) or not same_bits_in_any_batch()


def test_figures_of_the_members_of_a_mixture_add_as_well(charlm, text):
    for name, model in (("a", "ngram"), ("b", "unigram")):
        charlm("train", EVERYDAY, "--model", model, "--run", name, "--quiet")
    made = charlm("run", "mix", "a", "b", "--tune", EVERYDAY, "--part", "valid", "--run", "run", "--quiet")
    assert made.code == 0, made.err
    whole, parts = told(charlm("eval", "run", text, "--json")), sharded(charlm, "eval", "run", text)
    assert same_sums(parts, whole)
    for number, member in enumerate(whole["members"]):
        assert same_sums([part["members"][number] for part in parts], member)


def test_a_part_of_a_corpus_is_sharded_after_it_was_chosen(charlm, shared_run):
    command = ("eval", shared_run, EVERYDAY, "--part", "train")
    parts, whole = sharded(charlm, *command), told(charlm(*command, "--json"))
    assert all(sum(part[name] for part in parts) == whole[name] for name in SUMS if "nats" not in name)


def test_tokens_of_a_shard_keep_the_number_of_their_document(charlm, shared_run):
    Path("a.txt").write_text("你\n我\n他\n好\n", "utf-8")
    ended = charlm("eval", shared_run, "a.txt", "--per-token", "--shard", "2/2")
    records = [json.loads(line) for line in ended.out.splitlines()]
    assert [(r["document"], r["token"]) for r in records] == [(1, "我"), (1, "<EOS>"), (3, "好"), (3, "<EOS>")]


def test_a_shard_without_documents_adds_nothing(charlm, shared_run):
    Path("a.txt").write_text("你好\n", "utf-8")
    parts = sharded(charlm, "eval", shared_run, "a.txt")
    assert parts[1]["tokens"] == parts[2]["nats"] == 0 and parts[2]["perplexity"] is None
    assert same_sums(parts, told(charlm("eval", shared_run, "a.txt", "--json")))
    lists = '{"hyps": [{"text": "做"}], "ref": "做"}'
    ended = charlm("score", shared_run, "-", "--shard", "2/2", "--report", "r.json", stdin=lists)
    assert (ended.code, ended.out) == (0, "") and json.loads(Path("r.json").read_text("utf-8"))["utterances"] == 0
    Path("empty.txt").write_text("\n", "utf-8")
    charlm("eval", shared_run, "empty.txt", "--shard", "2/3").refused("holds no text")
    charlm("score", shared_run, "empty.txt", "--shard", "2/3", "--format", "plain").refused("holds no lists")


def test_carried_text_has_no_shards(charlm, shared_run):
    charlm("eval", shared_run, EVERYDAY, "--context", "carried", "--shard", "1/3").refused("carried text", code=2)
    charlm("eval", shared_run, EVERYDAY, "--context", "carried", "--shard", "1/1")
    charlm("vocab", EVERYDAY, "--reading", "stream", "-o", "v", "--quiet")
    counting = ("ngram", "count", EVERYDAY, "--vocab", "v", "--shard", "1/3", "-o", "c")
    charlm(*counting).refused("carried text", code=2)
    charlm("train", EVERYDAY, "--reading", "stream", "--model", "unigram", "--run", "stream", "--quiet")
    charlm("eval", "stream", EVERYDAY, "--shard", "1/3").refused("carried text", code=2)


def test_reports_of_shards_add_and_their_lists_are_those_of_the_whole(charlm, shared_run):
    # The first list of all would choose another metric than the others; shards must not choose for themselves.
    lists = [
        '{"ref": "make it", "hyps": [{"text": "make"}, {"text": "make it"}]}',
        *LISTS.read_text("utf-8").split("\n"),
    ]
    Path("l.jsonl").write_text("\n".join(lists), "utf-8")
    whole_out = charlm("score", shared_run, "l.jsonl", "--report", "whole.json").out.splitlines()
    out, parts = {}, []
    for k in (1, 2, 3):
        ended = charlm("score", shared_run, "l.jsonl", "--shard", f"{k}/3", "--report", f"{k}.json")
        out.update(zip(range(k - 1, len(whole_out), 3), ended.out.splitlines(), strict=True))
        parts.append(json.loads(Path(f"{k}.json").read_text("utf-8")))
    whole = json.loads(Path("whole.json").read_text("utf-8"))
    assert whole["utterances"] == 21 and {part["metric"] for part in parts} == {whole["metric"]}
    for name in COUNTS:
        assert sum(part[name] for part in parts) == whole[name], name
    found = [out[k] for k in sorted(out)]
    assert [json.loads(line)["id"] for line in found] == [json.loads(line)["id"] for line in whole_out]
    assert found == whole_out or not same_bits_in_any_batch()


def test_lines_that_are_scored_in_shards_are_those_of_the_whole(charlm, shared_run):
    command = ("score", shared_run, EVERYDAY, "--format", "text", "--json")
    whole = [json.loads(line)["text"] for line in charlm(*command).out.splitlines()]
    for k in (1, 2, 3):
        shard = charlm(*command, "--shard", f"{k}/3").out.splitlines()
        assert [json.loads(line)["text"] for line in shard] == whole[k - 1 :: 3]


def test_counts_of_vocabularies_in_json_add(charlm):
    whole, parts = told(charlm("vocab", EVERYDAY, "--json")), sharded(charlm, "vocab", EVERYDAY)
    assert all(sum(part[name] for part in parts) == whole[name] for name in ("tokens", "documents"))
    assert {t: sum(part["counts"].get(t, 0) for part in parts) for t in whole["counts"]} == whole["counts"]


def test_what_a_vocabulary_does_not_know_is_counted_in_shards_too(charlm, text):
    charlm("vocab", EVERYDAY, "-o", "v", "--quiet")
    command = ("vocab", text, "--against", "v")
    whole, parts = told(charlm(*command, "--json")), sharded(charlm, *command)
    assert whole["unknown"] == 3 and all(sum(p[name] for p in parts) == whole[name] for name in ("tokens", "unknown"))


def test_shards_that_cannot_add_are_told_or_refused(charlm):
    assert "does not add exactly" in charlm("vocab", EVERYDAY, "--shard", "1/2", "--min-count", 2, "-o", "v").err
    charlm("vocab", "v", "--shard", "1/2").refused("vocabularies have none", code=2)


@pytest.mark.parametrize("shard", ["5/3", "0/3", "x", "1", "1/", "-1/3", "1/3/5", "1/0", "1/" + "9" * 5000, "²/3", ""])
@pytest.mark.parametrize("command", ["vocab", "eval", "score", "count"])
def test_what_is_no_shard_is_refused_by_every_command_alike(charlm, shared_run, command, shard):
    before = {"vocab": ["vocab"], "count": ["ngram", "count", "-o", "c"]}.get(command, [command, shared_run])
    charlm(*before, EVERYDAY, "--shard", shard).refused("--shard", "no part like 1/4", code=2)
