"""`charlm nbest convert`, and the lists that `charlm score` reads like it."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from charlm.nbest import NBEST_FORMATS
from commands.conftest import CORPORA

LISTS = CORPORA / "homework.nbest.jsonl"
TWO = "id\tam\ttext\nu1\t-1.5\t做做业\nu1\t-2.0\t做作业\nu2\t-1.0\t坐下\n"


def here() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def records(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("name", NBEST_FORMATS)
def test_every_format_is_written_and_recognised_again(charlm, name):
    Path("lists.tsv").write_text(TWO, "utf-8")
    output = "made/" if name in ("srilm", "decipher") else "made"
    ended = charlm("nbest", "convert", "lists.tsv", "--to", name, "-o", output)
    assert ended.code == 0 and ended.out.strip() == output, ended.err
    again = charlm("nbest", "convert", "made")
    assert again.code == 0 and f"{name}, recognised → jsonl" in again.err, again.err
    found = records(again.out)
    assert [[h["text"] for h in u["hyps"]] for u in found] == [["做做业", "做作业"], ["坐下"]]
    if NBEST_FORMATS[name].ids or output.endswith("/"):
        assert [u["id"] for u in found] == ["u1", "u2"]
    else:
        assert "called by their numbers" in ended.err
    if NBEST_FORMATS[name].scores:
        kept = [h["scores"]["am"] for u in found for h in u["hyps"]]
        assert kept == pytest.approx([-1.5, -2.0, -1.0], abs=0.06 if name == "decipher" else 1e-9)
    else:
        assert "scores.am: left out of 2 lists" in ended.err


def test_lists_of_a_pipe_go_to_a_pipe(charlm):
    ended = charlm("nbest", "convert", "-", "--to", "moses", "--quiet", stdin=TWO)
    assert ended.out.splitlines()[0] == "u1 ||| 做做业 |||  ||| -1.5" and ended.err == ""
    packed = charlm("nbest", "convert", "-", stdin=gzip.compress(TWO.encode()))
    assert len(records(packed.out)) == 2


def test_what_a_format_does_not_hold_is_told(charlm):
    ended = charlm("nbest", "convert", LISTS, "--to", "plain", "-o", "plain.txt")
    assert "no place for references: left out of 20 lists" in ended.err
    lists = '{"id": "a", "x": 1, "hyps": [{"text": "b", "tokens": [1]}]}\n'
    said = charlm("nbest", "convert", "-", "--to", "trn", stdin=lists).err
    assert "the field x: left out of 1 lists" in said and "the field tokens: left out of 1 lists" in said


def test_references_come_from_a_file_of_their_own(charlm):
    Path("lists.tsv").write_text(TWO, "utf-8")
    Path("text").write_text("u2 坐下\nu9 多\nu1 做作业\n", "utf-8")
    ended = charlm("nbest", "convert", "lists.tsv", "--ref", "text")
    assert [u["ref"] for u in records(ended.out)] == ["做作业", "坐下"]
    assert "1 references belong to no list, such as that of 'u9'" in ended.err
    Path("r.trn").write_text("做作业 (u1)\n坐下 (u2)\n", "utf-8")
    assert charlm("nbest", "convert", "lists.tsv", "--ref", "r.trn").out == ended.out
    Path("m.json").write_text('{"text": "做作业"}\n{"text": "坐下"}\n', "utf-8")
    Path("beams").write_text("做做业\t-1.5\n做作业\t-2.0\n坐下\t-1\n左下\t-1\n", "utf-8")
    beams = charlm("nbest", "convert", "beams", "--beam", 2, "--ref", "m.json")
    assert [(u["id"], u["ref"]) for u in records(beams.out)] == [("1", "做作业"), ("2", "坐下")]


def test_a_missing_reference_is_named_and_the_list_kept_if_asked(charlm):
    Path("lists.tsv").write_text(TWO, "utf-8")
    Path("text").write_text("U2 坐下\nu1 做作业\n", "utf-8")
    ended = charlm("nbest", "convert", "lists.tsv", "--ref", "text", "-o", "made")
    ended.refused("lists.tsv:4: text has no reference for 'u2'", "they are called 'U2'")
    assert not Path("made").exists()
    ended = charlm("nbest", "convert", "lists.tsv", "--ref", "text", "--keep-going")
    assert ended.code == 1 and [u.get("ref") for u in records(ended.out)] == ["做作业", None]
    Path("text").write_text("", "utf-8")
    charlm("nbest", "convert", "lists.tsv", "--ref", "text").refused("it is empty")


def test_what_is_fine_is_written_where_lists_are_bad(charlm):
    lines = ["id\tam\ttext", "a\t-1\tx", "b\tnan\ty", "c\t-1\tz", "a\t-1\tw", "d\t-1\t", ""]
    Path("lists.tsv").write_text("\n".join(lines), "utf-8")
    charlm("nbest", "convert", "lists.tsv", "-o", "made").refused("lists.tsv:3: cannot read 'b\\tnan\\ty'", "a finite")
    assert not Path("made").exists()
    ended = charlm("nbest", "convert", "lists.tsv", "-o", "made", "--keep-going")
    assert ended.code == 1 and ended.out == "" and "2 mistakes in the lists" in ended.err
    assert "lists.tsv:5: the id 'a' comes again; its first list is at lists.tsv:2" in ended.err
    assert [u["id"] for u in records(Path("made").read_text("utf-8"))] == ["a", "c", "d"]


def test_score_goes_on_after_a_bad_list_and_fails_at_the_end(charlm, shared_run):
    lists = '{"id": "a", "hyps": [{"text": "好"}]}\n{"id": "b", "hyps": 1}\n{"id": "c", "hyps": [{"text": "做"}]}\n'
    Path("lists.jsonl").write_text(lists, "utf-8")
    ended = charlm("score", shared_run, "lists.jsonl", "--keep-going", "--report", "r.json")
    assert ended.code == 1 and [u["id"] for u in records(ended.out)] == ["a", "c"]
    assert "lists.jsonl:2: " in ended.err and "1 mistakes in the lists" in ended.err and Path("r.json").exists()
    assert charlm("score", shared_run, "lists.jsonl").code == 1


def test_score_reads_lists_and_references_of_other_programs(charlm, shared_run):
    Path("kaldi").mkdir()
    Path("kaldi/words_text").write_text("u1-1 做做业\nu1-2 做作业\nu2-1 坐下\n", "utf-8")
    Path("kaldi/acwt").write_text("u1-1 15\nu1-2 20\nu2-1 10\n", "utf-8")
    Path("text").write_text("u1 做作业\nu2 坐下\n", "utf-8")
    for format in ((), ("--format", "kaldi")):
        ended = charlm("score", shared_run, "kaldi", "--ref", "text", "--lm-weight", 0, *format)
        assert ended.code == 0 and "CER of 2 lists" in ended.err
        assert [h["total"] for u in records(ended.out) for h in u["hyps"]] == [-15, -20, -10]


def test_a_format_that_changes_halfway_is_noticed(charlm):
    Path("lists").write_text('{"id": "a", "hyps": [{"text": "x"}]}\n0 ||| x ||| ||| -1\n', "utf-8")
    charlm("nbest", "convert", "lists", "-o", "made").refused(
        "lists:2: ", "looks like moses: does the format change here?"
    )


def test_two_possible_formats_are_refused_and_both_are_shown(charlm):
    Path("lists").write_text("u1\t-5\t6\nu2\t-7\t8\n", "utf-8")
    charlm("nbest", "convert", "lists").refused("as tsv: u1 has '6' (am -5)", "as tabs: u1 has '-5', '6'")
    assert len(records(charlm("nbest", "convert", "lists", "--from", "tabs").out)) == 2


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["lists.tsv", "--to", "kaldi"], "spans several files", 2),
        (["lists.tsv", "--to", "espnet", "-o", "there"], "exists already", 1),
        (["lists.tsv", "-o", "there"], "is a folder", 1),
        (["lists.tsv", "-o", "lists.tsv"], "exists already", 1),
        (["lists.tsv", "-o", ""], "an empty name", 2),
        (["lists.tsv", "--to", "kladi"], "did you mean kaldi?", 2),
        (["lists.tsv", "--from", "jsonll"], "did you mean jsonl?", 2),
        (["lists.tsv", "--beam", "0"], "--beam must be at least 1", 2),
        (["lists.tsv", "--from", "espnet"], "spans 1best_recog/text", 2),
        (["there", "--from", "espnet"], "no such file: there/1best_recog/text", 1),
        (["missing"], "no such file: missing", 1),
        (["words.txt"], "lines of text", 2),
        (["lists.tsv", "--ref", "missing"], "no such file: missing", 1),
        (["empty.jsonl", "--from", "jsonl"], "holds no lists", 1),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(charlm, arguments, said, code):
    Path("there").mkdir()
    Path("lists.tsv").write_text(TWO, "utf-8")
    Path("words.txt").write_text("今天\n明天\n", "utf-8")
    Path("empty.jsonl").write_text("", "utf-8")
    before = here()
    charlm("nbest", "convert", *arguments).refused(said, code=code)
    assert here() == before and Path("lists.tsv").read_text("utf-8") == TWO


def test_a_folder_of_one_text_file_is_that_file(charlm):
    Path("there/inner").mkdir(parents=True)
    Path("there/a.bin").write_bytes(bytes(range(256)))
    Path("there/lists.txt").write_text(TWO, "utf-8")
    ended = charlm("nbest", "convert", "there")
    assert ended.code == 0 and len(records(ended.out)) == 2, ended.err


def test_a_folder_appears_whole_or_not_at_all(charlm):
    Path("lists.tsv").write_text(TWO.replace("u2", "../u2"), "utf-8")
    charlm("nbest", "convert", "lists.tsv", "--to", "srilm", "-o", "made/").refused("cannot be a file of that name")
    Path("bad.tsv").write_text(TWO + "u3\tx\ty\n", "utf-8")
    charlm("nbest", "convert", "bad.tsv", "--to", "kaldi", "-o", "made").refused("bad.tsv:5: ")
    assert here() == ["bad.tsv", "lists.tsv"]


STREAM = """
import resource, sys
from charlm.cli.app import main
from charlm.jobs import lists
lists.REMEMBERED = 5_000
sys.argv = ["charlm", "nbest", "convert", "-", "--to", "tsv", "-o", "/dev/null", "--quiet"]
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_lists():
    """Past the ids that are remembered, which take a few megabytes and are fewer here."""

    def kilobytes(lists: int) -> int:
        lines = "".join(
            f'{{"id": "u{n}", "hyps": [{{"text": "今天天气很好"}}, {{"text": "今天"}}]}}\n' for n in range(lists)
        )
        ended = subprocess.run([sys.executable, "-c", STREAM], input=lines.encode(), capture_output=True, check=False)
        return int(ended.stdout.split()[-1])

    assert kilobytes(112_000) < kilobytes(12_000) * 1.03
