"""The lessons as they stand: `python docs/lessons/run.py` runs every command of every page, in full, and times it.

    python docs/lessons/run.py [PAGE …] [--write]

PAGE is the beginning of a file's name, such as 07. Each page runs in an empty folder of its own that sees `corpora` and
`tests`. With --write what was printed takes the place of the page's `text` blocks, and pictures go to `pictures/`.

Blocks of a page, by what stands behind their fence:

    sh           commands, run in this order
    python       run, in one namespace for a page
    python FILE  lines that stand in FILE
    text         what the block before it printed on stdout; where it begins with a line `…`, the last lines of that
"""

import argparse
import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from charlm.cli.app import app

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SHOWN = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"!\[[^\]]*\]\(pictures/([\w.-]+)\)")
LEFT_OUT = "…"
LONGEST = 60.0  # seconds that a command of a lesson may take on two cores


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, the FILE that it quotes or "", its text, and where that stands."""

    language: str
    file: str
    body: str
    start: int
    end: int


@dataclass(frozen=True)
class Ran:
    """A block that was run: the block, each of its lines (or "python") with its seconds, and what it printed."""

    block: Block
    seconds: list[tuple[str, float]]
    printed: str


def pages() -> list[Path]:
    """The lessons in their order."""
    return sorted(HERE.glob("[0-9][0-9]-*.md"))


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found = BLOCK.finditer(page.read_text("utf-8"))
    return [Block(one[1], one[2] or "", one[3], one.start(3), one.end(3)) for one in found]


def commands(block: Block) -> list[str]:
    """The lines of a block of commands, without comments."""
    lines = (line.partition(" #")[0].strip() for line in block.body.splitlines())
    return [line for line in lines if line]


def shown_after(page: Path, block: Block) -> Block | None:
    """The `text` block that shows what a block prints: the next one, if it is one."""
    after = [other for other in blocks(page) if other.start > block.end]
    return after[0] if after and after[0].language == "text" else None


def as_shown(printed: str, shown: Block) -> str:
    """What was printed, as a `text` block shows it: whole, or as many last lines as it has."""
    lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
    wanted = shown.body.splitlines()
    if wanted[:1] == [LEFT_OUT]:
        lines = [LEFT_OUT, *lines[1 - len(wanted) :]]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def standing_in(folder: Path) -> Iterator[None]:
    """Be in a folder that sees the corpora and the tests, as one does at the root of the repository."""
    for name in ("corpora", "tests"):
        (folder / name).symlink_to(ROOT / name)
    before, path = Path.cwd(), sys.path[:]
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        sys.path[:] = path


def call(line: str) -> tuple[int, str, str]:
    """Run a line as a shell would, `charlm …` in this process, with `> FILE`: exit code, stdout, stderr."""
    if not line.startswith("charlm "):
        done = subprocess.run(line, shell=True, capture_output=True, text=True, encoding="utf-8", check=False)
        return done.returncode, done.stdout, done.stderr
    line, _, target = line.partition(" > ")
    words = shlex.split(line)[1:]
    ended = CliRunner().invoke(app, words, env=SHOWN)
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    if target and ended.exit_code == 0:
        Path(target.strip()).write_text(ended.stdout, "utf-8")
    return ended.exit_code, "" if target else ended.stdout, ended.stderr


def execute(page: Path, change: Callable[[str], str | None] = lambda line: line) -> Iterator[Ran]:
    """Run the blocks of a page, in the current folder.

    change  what is run in place of a command; None leaves it out
    Raises AssertionError where a command fails.
    """
    names: dict[str, Any] = {}
    for block in blocks(page):
        if block.file or block.language not in ("sh", "python"):
            continue
        seconds, printed = [], ""
        if block.language == "python":
            begun, out = time.perf_counter(), io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(block.body, page.name, "exec"), names)
            seconds, printed = [("python", time.perf_counter() - begun)], out.getvalue()
        else:
            for line in filter(None, map(change, commands(block))):
                begun = time.perf_counter()
                code, out_text, err_text = call(line)
                assert code == 0, f"{page.name}: {line}\n{err_text}"
                seconds.append((line, time.perf_counter() - begun))
                printed += out_text
        yield Ran(block, seconds, printed)


def write(page: Path, done: list[Ran], folder: Path) -> None:
    """Put what was printed into the page, and the pictures it shows beside it."""
    text = page.read_text("utf-8")
    for ran in reversed(done):
        if shown := shown_after(page, ran.block):
            text = text[: shown.start] + as_shown(ran.printed, shown) + text[shown.end :]
    for name in PICTURE.findall(text):
        (HERE / "pictures").mkdir(exist_ok=True)
        shutil.copy(folder / name, HERE / "pictures" / name)
    page.write_text(text, "utf-8")


def main() -> int:
    """Run lessons and print the seconds of each command; 1 if one took too long."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", nargs="*")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    late = 0
    for page in pages():
        if given.page and not any(page.name.startswith(name) for name in given.page):
            continue
        print(page.name, flush=True)  # noqa: T201
        with tempfile.TemporaryDirectory() as place, standing_in(Path(place)):
            done = []
            for ran in execute(page):
                done.append(ran)
                for line, seconds in ran.seconds:
                    late += seconds > LONGEST
                    print(f"{seconds:6.1f} s  {line}", flush=True)  # noqa: T201
            if given.write:
                write(page, done, Path(place))
    return int(late > 0)


if __name__ == "__main__":
    sys.exit(main())
