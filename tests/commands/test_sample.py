"""`charlm sample`."""

import json
from pathlib import Path

import pytest


def test_samples_are_lines_that_begin_with_the_prompt(charlm, shared_run):
    lines = charlm("sample", shared_run, "--prompt", "他在", "--count", 3, "--max-tokens", 8).out.splitlines()
    assert len(lines) == 3 and all(line.startswith("他在") for line in lines)


def test_the_seed_decides_and_the_batch_size_does_not(charlm, shared_run):
    options = ("--count", 5, "--max-tokens", 8, "--seed", 7)
    first = charlm("sample", shared_run, *options).out
    assert charlm("sample", shared_run, *options, "--batch-size", 2).out == first
    assert charlm("sample", shared_run, "--count", 5, "--max-tokens", 8, "--seed", 8).out != first


def test_greedy_samples_are_all_the_same(charlm, shared_run):
    lines = charlm("sample", shared_run, "--temperature", 0, "--count", 3, "--max-tokens", 8).out.splitlines()
    assert len(set(lines)) == 1


def test_json_tells_what_was_drawn(charlm, shared_run):
    told = json.loads(charlm("sample", shared_run, "--json", "--max-tokens", 4).out)
    assert set(told) == {"text", "prompt", "number", "seed", "log_prob", "tokens", "ended"}


def test_unknown_characters_of_a_prompt_are_reported_and_kept(charlm, shared_run):
    ended = charlm("sample", shared_run, "--prompt", "你Ж", "--max-tokens", 2)
    assert ended.code == 0 and "does not know Ж" in ended.err and ended.out.startswith("你Ж")


def test_prompts_come_from_files_and_stdin(charlm, shared_run):
    Path("p.txt").write_text("你好\n\n再见\n", "utf-8")
    options = ("--max-tokens", 2)
    from_file = charlm("sample", shared_run, "--prompt-file", "p.txt", *options).out
    assert [line[:2] for line in from_file.splitlines()] == ["你好", "再见"]
    assert charlm("sample", shared_run, "--prompt", "-", *options, stdin="你好\n再见\n").out == from_file


def test_bad_requests_are_refused(charlm, shared_run):
    charlm("sample", shared_run, "--top-p", 0).refused("--top-p", code=2)
    charlm("sample", shared_run, "--temperature", -1).refused("--temperature", code=2)
    charlm("sample", shared_run, "--prompt-file", "none.txt").refused("none.txt")
    charlm("sample", shared_run, "--prompt", "-", stdin="").refused("no prompts")
    charlm("sample", "nowhere").refused("no run directory")


def test_prompts_that_are_not_utf_8_are_refused_wherever_they_come_from(charlm, shared_run):
    bad = "你好\n再见".encode() + b"\xff\n"
    Path("bad.txt").write_bytes(bad)
    refused = charlm("sample", shared_run, "--prompt-file", "bad.txt")
    refused.refused("bad.txt:2: byte 13 (0xff) is not utf-8", "iconv -f")
    assert "--encoding" not in refused.err  # which this command does not have
    charlm("sample", shared_run, "--prompt", "-", stdin=bad).refused("standard input:2: byte 13 (0xff) is not utf-8")
    charlm("sample", shared_run, "--prompt", b"\xff\xe4".decode("utf-8", "surrogateescape")).refused("is not UTF-8")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_prompts_are_cut_into_lines_as_training_text_is(charlm, shared_run, end):
    content = f"\ufeff你\u2028好{end}{end}再\x0c见\x85吗{end}"
    Path("p.txt").write_bytes(content.encode())
    options = ("--max-tokens", 1, "--json")
    from_file = charlm("sample", shared_run, "--prompt-file", "p.txt", *options).out
    assert [json.loads(line)["prompt"] for line in from_file.split("\n")[:-1]] == ["你\u2028好", "再\x0c见\x85吗"]
    assert charlm("sample", shared_run, "--prompt", "-", *options, stdin=content.encode()).out == from_file


def test_prompts_in_another_encoding_got_the_hint_of_an_option_that_sample_has_not(charlm, shared_run):
    Path("p.txt").write_bytes("春眠".encode("gbk"))
    ended = charlm("sample", shared_run, "--prompt-file", "p.txt")
    assert ended.code == 1 and "p.txt:1: byte 0" in ended.err and "--encoding" not in ended.err and "iconv" in ended.err


def test_an_unknown_space_was_told_as_nothing(charlm, shared_run):
    told = charlm("sample", shared_run, "--prompt", "☃\v☃", "--max-tokens", 1).err
    assert "\\u{b}" in told


def test_a_prompt_file_named_like_stdin_is_stdin(charlm, shared_run):
    drawn = charlm("sample", shared_run, "--prompt-file", "-", "--max-tokens", 3, stdin="他在\n他\n").out.splitlines()
    assert [line[0] for line in drawn] == ["他", "他"]
