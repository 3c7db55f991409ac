"""`charlm vocab`."""

import json
from pathlib import Path

import pytest

from commands.conftest import CORPORA

EVERYDAY = CORPORA / "everyday.zh.txt"


def test_it_writes_readable_files_and_says_what_is_lost(charlm):
    ended = charlm("vocab", EVERYDAY, "-o", "v", "--min-count", 3)
    assert ended.code == 0 and "lost" in ended.out
    rows = [line.split("\t") for line in Path("v/vocab.tsv").read_text("utf-8").splitlines()]
    assert [token for token, _ in rows[:2]] == ["<EOS>", "<UNK>"]
    assert all(int(count) >= 3 for _, count in rows[2:])
    assert rows[0][1] == str(len(EVERYDAY.read_text("utf-8").splitlines()))


def test_without_a_folder_it_prints_the_vocabulary(charlm):
    assert charlm("vocab", EVERYDAY, "--quiet").out.startswith("<EOS>\t")


def test_shards_counted_apart_add_up_to_the_whole(charlm):
    for k in (1, 2, 3):
        charlm("vocab", EVERYDAY, "--shard", f"{k}/3", "-o", f"s{k}")
    charlm("vocab", "s1", "s2", "s3", "-o", "sum", "--min-count", 2)
    charlm("vocab", EVERYDAY, "-o", "whole", "--min-count", 2)
    assert Path("sum/vocab.tsv").read_bytes() == Path("whole/vocab.tsv").read_bytes()


def test_it_counts_what_another_text_has_that_a_vocabulary_has_not(charlm):
    charlm("vocab", EVERYDAY, "-o", "v")
    told = json.loads(charlm("vocab", CORPORA / "quatrains.txt", "--against", "v", "--json").out)
    assert 0 < told["unknown"] < told["tokens"] and told["examples"] and told["by_script"]["han"]["unknown"] > 0


def test_unusable_lines_of_a_user_dictionary_are_told_also_where_the_vocabulary_is_printed(charlm):
    Path("dict.txt").write_text("云计算 5\n卡拉OK\n", "utf-8")
    ended = charlm("vocab", EVERYDAY, "--level", "word", "--user-dict", "dict.txt")
    assert (ended.code, ended.err.count("dict.txt:2")) == (0, 1)


def test_bad_requests_are_refused(charlm):
    charlm("vocab", "nothing.txt").refused("nothing.txt")
    charlm("vocab", EVERYDAY, "--shard", "5/3").refused("--shard", code=2)
    charlm("vocab", EVERYDAY, "--coverage", "1.5").refused("--coverage", code=2)
    charlm("vocab", EVERYDAY, "--encoding", "klingon").refused("klingon")
    Path("v").mkdir()
    charlm("vocab", EVERYDAY, "-o", "v").refused("exists already")
    Path("dict.txt").write_text("# words\n两 个 词 语\n", "utf-8")
    charlm("vocab", EVERYDAY, "--level", "word", "--user-dict", "dict.txt").refused("dict.txt:2")


@pytest.mark.parametrize("command", ["vocab t.txt", "ngram count t.txt -o out", "sample run", "train t.txt"])
def test_the_hint_named_the_help_of_another_command(charlm, command):
    wrong = ["--seed", "9" * 30] if command == "sample run" else ["--min-count", 0]
    ended = charlm(*command.split(), *wrong)
    name = " ".join(command.split(" t.txt")[0].split(" run")[0].split())
    assert ended.code == 2 and f"`charlm {name} --help`" in ended.err


@pytest.mark.parametrize("command", ["vocab t.txt -o -", "ngram count t.txt -o -"])
def test_a_dash_became_a_folder_of_that_name(charlm, command):
    Path("t.txt").write_text("春眠不觉晓\n", "utf-8")
    ended = charlm(*command.split())
    assert ended.code in (1, 2) and "stdout" in ended.err and not Path("-").exists()


def test_counts_went_into_a_folder_that_training_cannot_open(charlm):
    Path("t.txt").write_text("春眠不觉晓\n", "utf-8")
    ended = charlm("ngram", "count", "t.txt", "-o", b"c\xff".decode("utf-8", "surrogateescape"))
    assert ended.code == 1 and "is not UTF-8" in ended.err
