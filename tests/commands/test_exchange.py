"""`charlm run export` and `charlm run import`: n-gram models that other programs read and have written."""

import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import small  # noqa: F401  one thread
from tiny import ARPA
from typer.testing import CliRunner

from charlm import storage
from charlm.cli.app import app
from commands.conftest import CORPORA

EVERYDAY = CORPORA / "everyday.zh.txt"
LISTS = CORPORA / "homework.nbest.jsonl"


@pytest.fixture(scope="session")
def ngram_run(tmp_path_factory) -> Path:
    """A small n-gram run that tests only read."""
    path = tmp_path_factory.mktemp("ngram") / "run"
    result = CliRunner().invoke(app, ["train", str(EVERYDAY), "--model", "ngram", "--order", "3", "--run", str(path)])
    assert result.exit_code == 0, result.stderr
    return path


@pytest.fixture
def small_arpa(tmp_path) -> Path:
    (tmp_path / "small.arpa").write_text(ARPA, "utf-8")
    return Path("small.arpa")


def here() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


# ── export ──────────────────────────────────────────────────────────────────────────────────────


def test_a_run_is_exported_plain_packed_and_to_stdout_alike(charlm, ngram_run):
    for name in ("m.arpa", "m.arpa.gz"):
        ended = charlm("run", "export", ngram_run, "--output", name, "--quiet")
        assert (ended.code, ended.out, ended.err) == (0, f"{name}\n", "")
    text = Path("m.arpa").read_text("utf-8")
    assert text.startswith("\\data\\\nngram 1=") and text.endswith("\n\\end\\\n")
    assert gzip.decompress(Path("m.arpa.gz").read_bytes()).decode() == text
    ended = charlm("run", "export", ngram_run, "--to", "arpa", "-o", "-")
    assert (ended.code, ended.out, ended.err) == (0, text, "")
    assert here() == ["m.arpa", "m.arpa.gz"]


def test_an_export_overwrites_a_file_only_by_force(charlm, ngram_run):
    Path("m.arpa").write_text("mine", "utf-8")
    charlm("run", "export", ngram_run, "-o", "m.arpa").refused("m.arpa exists already", "--force")
    assert Path("m.arpa").read_text("utf-8") == "mine"
    assert charlm("run", "export", ngram_run, "-o", "m.arpa", "--force").out == "m.arpa\n"
    assert "ngram 1=" in Path("m.arpa").read_text("utf-8")


def test_what_was_exported_is_imported_with_the_same_figures(charlm, ngram_run):
    charlm("run", "export", ngram_run, "-o", "m.arpa.gz")
    ended = charlm("run", "import", "m.arpa.gz", "--run", "runs/again")
    assert (ended.code, ended.out, ended.err) == (0, "runs/again\n", "its words are taken as --level char\n")
    told = [
        json.loads(charlm("eval", run, EVERYDAY, "--part", "test", "--json").out) for run in (ngram_run, "runs/again")
    ]
    assert told[1].pop("run") == "runs/again" and told[0].pop("run") == str(ngram_run)
    assert told[1] == {
        key: pytest.approx(value, rel=1e-5) if isinstance(value, float) else value for key, value in told[0].items()
    }
    ended = charlm("eval", "runs/again", ngram_run, EVERYDAY, "--part", "test")
    assert "The vocabularies are the same" in ended.out


def test_a_full_disk_behind_stdout_is_an_error_without_traceback(ngram_run):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "charlm", "run", "export", str(ngram_run), "-o", "-"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 1 and "cannot write the output" in ended.stderr and "Traceback" not in ended.stderr


def test_a_disk_that_refuses_the_export_leaves_nothing(charlm, ngram_run, monkeypatch):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        for name in ("m.arpa", "m.arpa.gz"):
            charlm("run", "export", ngram_run, "-o", name).refused("No space left on device", name)
    assert here() == []


@pytest.mark.parametrize("place", ["a-file/below.arpa", "a-folder", ".", "", "a" * 300])
def test_an_impossible_place_for_the_export_is_an_error_without_traceback(charlm, ngram_run, place):
    Path("a-file").write_text("old", "utf-8")
    Path("a-folder").mkdir()
    ended = charlm("run", "export", ngram_run, "-o", place)
    ended.refused(code=ended.code)
    assert ended.code in (1, 2)
    assert here() == ["a-file", "a-folder"] and Path("a-file").read_text("utf-8") == "old"


def test_runs_without_an_arpa_form_are_refused(charlm, shared_run):
    charlm("run", "export", shared_run, "-o", "m").refused("recurrent model", "--model ngram", code=2)
    pairs = ("--model", "ngram", "--order", 2)
    charlm("train", EVERYDAY, *pairs, "--smoothing", "add-k", "--run", "add-k")
    charlm("run", "export", "add-k", "-o", "m").refused("add-k", "another --smoothing", code=2)
    charlm("train", EVERYDAY, *pairs, "--context", "carried", "--run", "carried")
    charlm("run", "export", "carried", "-o", "m").refused("over line ends", "--context line", code=2)
    charlm("run", "export", "carried", "-o", "-").refused("over line ends", code=2)
    assert here() == ["add-k", "carried"]


def test_bad_exports_are_refused(charlm, ngram_run):
    charlm("run", "export", ngram_run, "--to", "srilm", "-o", "m").refused("srilm", "choose arpa", code=2)
    charlm("run", "export", "nowhere", "-o", "m").refused("no run directory")
    assert charlm("run", "export", ngram_run).code == 2
    assert here() == []


# ── import ──────────────────────────────────────────────────────────────────────────────────────


def test_an_imported_run_can_do_what_runs_do(charlm, small_arpa):
    charlm("run", "import", small_arpa, "--run", "run")
    ended = charlm("run", "info", "run")
    assert ended.code == 0 and "imported from small.arpa" in ended.out and "smoothing arpa" in ended.out
    facts = json.loads(charlm("run", "info", "run", "--json").out)
    assert facts["imported"] == {"from": "small.arpa", "sha256": storage.sha256_of(small_arpa)}
    assert (facts["model"], facts["vocab_size"], facts["ended"]) == ("ngram", 3, "it was imported")
    assert charlm("run", "check", "run").code == 0
    told = json.loads(charlm("eval", "run", "-", "--json", stdin="aa\n").out)
    assert (told["tokens"], told["perplexity"]) == (3, pytest.approx((4 / 3 * 8 / 3 * 2) ** (1 / 3), rel=1e-6))
    assert set("".join(charlm("sample", "run", "--count", 9).out.split())) <= {"a", "□"}
    (row,) = charlm("score", "run", "-", stdin="aa\n").out.splitlines()
    assert row == "-1.9617\taa"  # ln(3/4 · 3/8 · 1/2)


def test_an_imported_run_reranks_lists(charlm, ngram_run):
    charlm("run", "export", ngram_run, "-o", "m.arpa")
    charlm("run", "import", "m.arpa", "--run", "run", "--quiet")
    assert charlm("score", "run", LISTS, "--best").out == charlm("score", ngram_run, LISTS, "--best").out


def test_the_level_can_be_said_and_quiet_says_nothing(charlm, small_arpa):
    ended = charlm("run", "import", small_arpa, "--run", "mixed", "--level", "mixed")
    assert (ended.code, ended.out, ended.err) == (0, "mixed\n", "")
    assert json.loads(charlm("run", "info", "mixed", "--json").out)["level"] == "mixed"
    assert charlm("run", "import", small_arpa, "--run", "quiet", "--quiet").err == ""


def test_lenient_reading_tells_what_it_repaired(charlm):
    Path("bad.arpa").write_text("made by hand\n" + ARPA.replace("-0.30103\ta </s>\n", "oops\ta </s>\n"), "utf-8")
    charlm("run", "import", "bad.arpa", "--run", "run").refused("bad.arpa:1", "made by hand", "leniently")
    ended = charlm("run", "import", "bad.arpa", "--run", "run", "--lenient")
    assert ended.code == 0, ended.err
    assert "lines before \\data\\ left out (once, in line 1)" in ended.err
    assert "lines with an unreadable number left out (once, in line 14)" in ended.err
    assert charlm("run", "check", "run").code == 0
    charlm("run", "import", "bad.arpa", "--run", "2", "--lenient", "--quiet")
    assert here() == ["2", "bad.arpa", "run"]


def test_a_file_without_unk_is_imported_with_a_word_about_it(charlm):
    Path("m.arpa").write_text(ARPA.replace("1=4", "1=3").replace("-0.60206\t<unk>\n", ""), "utf-8")
    assert "no <unk>" in charlm("run", "import", "m.arpa", "--run", "run").err
    assert "perplexity" in charlm("eval", "run", "-", stdin="ab\n").out


@pytest.mark.parametrize("word", ["<EOS>", "\\u{61}", "<UNK>"])
def test_words_that_no_vocabulary_can_hold_are_refused(charlm, word):
    text = ARPA.replace("1=4", "1=5").replace("-0.60206\t<unk>\n", f"-0.60206\t<unk>\n-1\t{word}\n")
    Path("m.arpa").write_text(text, "utf-8")
    charlm("run", "import", "m.arpa", "--run", "run").refused("m.arpa")
    assert here() == ["m.arpa"]


def test_bad_imports_are_refused_and_leave_nothing(charlm, small_arpa, ngram_run):
    Path("taken").mkdir()
    Path("run.arpa").mkdir()
    before = here()
    charlm("run", "import", "none.arpa", "--run", "run").refused("none.arpa", "No such file")
    charlm("run", "import", "run.arpa", "--run", "run").refused("run.arpa", "Is a directory")
    charlm("run", "import", small_arpa, "--run", "taken").refused("taken exists already")
    charlm("run", "import", small_arpa, "--run", ngram_run).refused("exists already")
    charlm("run", "import", small_arpa, "--run", "small.arpa/below").refused("cannot write")
    charlm("run", "import", small_arpa, "--run", "run", "--level", "chars").refused("did you mean char?", code=2)
    charlm("run", "import", EVERYDAY, "--run", "run").refused("everyday.zh.txt:1", "\\data\\")
    charlm("run", "import", EVERYDAY, "--run", "run", "--lenient").refused("no ARPA file")
    charlm("run", "import", ngram_run / "model.safetensors", "--run", "run").refused()
    assert here() == before


# ── damage ──────────────────────────────────────────────────────────────────────────────────────


def test_a_file_cut_anywhere_is_refused_and_leniently_read_without_a_traceback(charlm, ngram_run):
    charlm("run", "export", ngram_run, "-o", "m.arpa")
    whole = Path("m.arpa").read_bytes()
    sections = [whole.index(b"\\%d-grams:" % n) for n in (1, 2, 3)]
    cuts = [0, 3, 9, 40, *sections, *(place + 40 for place in sections), len(whole) // 2, len(whole) - 9]
    for number, cut in enumerate(cuts):
        Path("cut.arpa").write_bytes(whole[:cut])
        charlm("run", "import", "cut.arpa", "--run", "strict").refused("cut.arpa:")
        assert not Path("strict").exists()
        ended = charlm("run", "import", "cut.arpa", "--run", f"lenient-{number}", "--lenient")
        if ended.code == 0:
            assert "cut short" in ended.err
            assert charlm("eval", f"lenient-{number}", "-", stdin="你好。\n").code == 0
        else:
            ended.refused("cut.arpa:")
            assert not Path(f"lenient-{number}").exists()
    assert Path(f"lenient-{len(cuts) - 1}").exists() and not Path("lenient-1").exists()


def test_a_packed_file_cut_anywhere_is_refused(charlm, small_arpa):
    whole = gzip.compress(ARPA.encode())
    for cut in (2, 5, 11, len(whole) // 2, len(whole) - 8, len(whole) - 1):
        Path("cut.gz").write_bytes(whole[:cut])
        for options in ([], ["--lenient"]):
            charlm("run", "import", "cut.gz", "--run", "run", *options).refused("damaged gzip file", "gzip -t")
    Path("cut.gz").write_bytes(whole[:30] + bytes([whole[30] ^ 255]) + whole[31:])
    charlm("run", "import", "cut.gz", "--run", "run").refused("cut.gz")
    assert here() == ["cut.gz", "small.arpa"]


@pytest.mark.parametrize("lenient", [(), ("--lenient",)])
@pytest.mark.parametrize(
    ("head", "filling"),
    [("", b" "), ("", b"x"), ("\\data\\\nngram 1=", b"9"), (ARPA[:-6], b" "), (ARPA[:-6] + "-1\t", b"x")],
)
def test_a_packed_file_that_unpacks_to_one_endless_line_is_refused_at_once(charlm, head, filling, lenient):
    with gzip.open("bomb.gz", "wb", compresslevel=1) as bomb:
        bomb.write(head.encode())
        for _ in range(96):
            bomb.write(filling * (1 << 20))
    assert Path("bomb.gz").stat().st_size < 1 << 19
    began = time.monotonic()
    charlm("run", "import", "bomb.gz", "--run", "run", *lenient).refused("bomb.gz:", "too long")
    assert time.monotonic() - began < 10
    assert here() == ["bomb.gz"]


def test_a_disk_that_refuses_the_import_leaves_nothing(charlm, small_arpa, monkeypatch):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        charlm("run", "import", small_arpa, "--run", "run", "--quiet").refused("No space left on device")
    assert here() == ["small.arpa"]


def test_codes_that_point_outside_their_book_end_an_export_with_the_run_that_is_damaged(charlm):
    from charlm import tensorfiles

    Path("t.txt").write_text("一二三\n一二\n" * 20, "utf-8")
    train = (
        "train",
        "t.txt",
        "--model",
        "ngram",
        "--smoothing",
        "witten-bell",
        "--quantize",
        8,
        "--run",
        "r",
        "--quiet",
    )
    assert charlm(*train).code == 0
    arrays, facts = tensorfiles.map_rows(Path("r/model.safetensors"))
    spoiled = {name: array.copy() for name, array in arrays.items()}
    spoiled["2.log_probs"][0] = 255
    spoiled["2.log_probs.book"] = spoiled["2.log_probs.book"][:200]
    tensorfiles.write(Path("r/model.safetensors"), spoiled, facts)
    charlm("run", "export", "r", "-o", "out.arpa").refused("2.log_probs", "book")
    assert not Path("out.arpa").exists()
