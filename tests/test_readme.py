"""The README's commands and Python, run as they stand. Its `make` lines are the gate's work.

What needs texts of one's own (the `text` blocks) runs on small fixtures of the same names and layout, with a
budget of a few steps in place of minutes.
"""

import gzip
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from charlm.cli.app import app

ROOT = Path(__file__).resolve().parent.parent
# A budget and a network for which no test has to wait.
SMALL = {"--minutes": ("--steps", "2"), "--steps": ("--steps", "2"), "--preset": ("--preset", "tiny")}


def blocks(readme: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / readme).read_text("utf-8"), re.DOTALL)


def commands(readme: str, language: str) -> list[str]:
    """The lines of all blocks of a language, without comments and without spaces that only align them."""
    lines = (line.split(" #")[0] for block in blocks(readme, language) for line in block.splitlines())
    return [re.sub(r" +", " ", line).strip() for line in lines if line.strip() and not line.startswith("#")]


def run(line: str) -> tuple[str, str]:
    """Run one line as a shell would, in this process, with what flows into it and out of it; stdout and stderr."""
    line, _, target = line.partition(" > ")
    feeder, _, line = line.rpartition(" | ")
    words = shlex.split(line)[1:]
    for option, instead in SMALL.items():
        if option in words and words[0] == "train":
            place = words.index(option)
            words[place : place + 2] = instead
    if "--init-from" in words:
        words += SMALL["--preset"]  # the network of --preset base is the default, as in the README; here it was tiny
    given = subprocess.run(shlex.split(feeder), check=True, capture_output=True).stdout if feeder else None
    ended = CliRunner().invoke(app, words, input=given)
    assert ended.exit_code == 0, f"{line}\n{ended.stderr}"
    if target:
        Path(target.strip()).write_text(ended.stdout, "utf-8")
    return ended.stdout, ended.stderr


@pytest.fixture
def own_texts(tmp_path, monkeypatch) -> Path:
    """The texts that the README's `text` blocks name, a few lines of our own in each."""
    monkeypatch.chdir(tmp_path)
    lines = (ROOT / "corpora" / "everyday.zh.txt").read_text("utf-8").splitlines(keepends=True)
    for name, few in (
        ("poems", lines[:80]),
        ("more", lines[80:120]),
        ("songs", lines[140:180]),
        ("valid", lines[120:140]),
        ("zh", lines[:80]),
    ):
        Path(f"{name}.txt").write_text("".join(few), "utf-8")
    shutil.copy(ROOT / "corpora" / "village.en.txt", "play.txt")
    lists = [{"id": "u1", "ref": "做作业", "hyps": [{"text": text, "scores": {"am": am, "asr": am}}
             for text, am in (("做做业", -1.0), ("做作业", -1.5))]}]  # fmt: skip
    Path("nbest.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lists), "utf-8")
    return tmp_path


@pytest.mark.slow
def test_the_commands_and_the_python_of_the_readme_run(tmp_path, monkeypatch, readme="README.md"):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpora").symlink_to(ROOT / "corpora")
    lines = [line for line in commands(readme, "sh") if line.startswith("charlm ")]
    assert len(lines) >= 8
    for line in lines:
        words = shlex.split(line)[1:]
        ended = CliRunner().invoke(app, words)
        assert ended.exit_code == 0, f"{line}\n{ended.stderr}"
        assert ended.stderr.count("not better") <= 1, "a training of the tour ends far from its best"
    for block in blocks(readme, "python"):
        exec(compile(block, readme, "exec"), {})
    measured = ["eval", *(f"checkpoints/{name}" for name in ("everyday", "counts", "mixed")), "corpora/everyday.zh.txt"]
    ended = CliRunner().invoke(app, [*measured, "--part", "test", "--json", "--quiet"])
    network, counts, mixture = (json.loads(line)["bits_per_char"] for line in ended.stdout.splitlines())
    assert network < 1.02 * counts and mixture < min(network, counts)


@pytest.mark.parametrize("language", ["sh", "text", "python"])
def test_both_readmes_show_the_same_commands(language):
    assert commands("README.md", language) == commands("README.zh-CN.md", language)


@pytest.fixture
def collection(tmp_path, monkeypatch) -> Path:
    """A folder laid out as the public collection of Tang and Song poems, with invented verses."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "chinese-poetry" / "全唐诗"
    verses = (ROOT / "corpora" / "quatrains.txt").read_text("utf-8").splitlines()[:60]
    for name, few in (("poet.tang.0", verses[:30]), ("poet.song.0", verses[30:]), ("error/poet.tang.0", verses[:3])):
        poems = [
            {"author": "某甲", "title": f"其{n}", "paragraphs": [f"{half}。" for half in verse.split("。") if half]}
            for n, verse in enumerate(few)
        ]
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(poems, ensure_ascii=False), "utf-8")
    for name in ("authors.song", "authors.tang"):
        people = [{"name": "某甲", "desc": "不知何许人也。", "id": "1"}]
        (folder / f"{name}.json").write_text(json.dumps(people, ensure_ascii=False), "utf-8")
    (folder / "表面结构字.json").write_text(json.dumps({"徧": "遍", "鴈": "雁"}, ensure_ascii=False), "utf-8")
    (folder / "README.md").write_text("# 蠹\n\n并非诗。\n", "utf-8")
    (folder / "._poet.tang.0.json").write_bytes(b"\x00\x05\x16\x07")
    (folder / ".git").mkdir()
    (folder / ".git" / "x.txt").write_text("蠹\n", "utf-8")
    return folder


def test_the_commands_for_a_collection_run_on_a_folder_of_its_layout(collection):
    clone, vocab, train = (line for line in commands("README.md", "text") if "chinese-poetry" in line)
    assert clone.startswith("git clone ")
    _, told = run(vocab)
    said = " ".join(told.split())
    assert "left out: 3" in said and "README.md" in said, told
    assert "objects without text passed over: 3" in said and "authors.song.json" in said, told
    words = Path("vocab/vocab.tsv").read_text("utf-8")
    assert "山" in words and "蠹" not in words and "徧" not in words
    run(train)
    assert (Path("checkpoints/tang") / "run.json").exists()


@pytest.mark.slow
def test_the_commands_in_earnest_for_counts_mixtures_and_pipes_run_in_the_order_of_the_readme(own_texts):
    lines = [line for line in commands("README.md", "text") if "chinese-poetry" not in line]
    assert sum(" | charlm " in line for line in lines) >= 4 and any("run mix" in line for line in lines)
    for line in lines:
        if "checkpoints/zh " in line and not Path("checkpoints/zh").exists():
            shutil.copytree("checkpoints/tang", "checkpoints/zh")
        if "theirs.arpa.gz" in line and not Path("theirs.arpa.gz").exists():
            shutil.copy("tang.arpa.gz", "theirs.arpa.gz")
        run(line)
    assert gzip.decompress(Path("tang.arpa.gz").read_bytes()).lstrip().startswith(b"\\data\\")
    report = json.loads(Path("rates.json").read_text("utf-8"))
    assert {"metric_from", "unknown_tokens", "formula"} <= report.keys() and "0.5·asr" in report["formula"]


def test_training_from_a_pipe_is_refused_as_the_readme_says():
    ended = CliRunner().invoke(app, ["train", "-"], input="你好\n")
    assert ended.exit_code == 1 and "error: " in ended.stderr and "hint: " in ended.stderr


def test_no_help_at_80_columns_breaks_a_name_or_a_short_default_or_shows_a_range_as_code():
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    lines = [line for block in re.findall(r"```text\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    assert len(lines) > 200 and max(map(len, lines)) <= 80
    for line in lines:
        assert not re.search(r"\w-$|\[default:$|<=x|x>=|\.  \[", line), line
