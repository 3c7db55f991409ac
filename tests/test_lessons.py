"""The pages of docs/lessons: their commands and Python run as they stand, trainings with few steps.

What a page prints without any training must be what it shows. `python docs/lessons/run.py` runs them in full.
"""

import importlib.util
import re
import sys
import textwrap
from pathlib import Path

import pytest

LESSONS = Path(__file__).resolve().parent.parent / "docs" / "lessons"
SPEC = importlib.util.spec_from_file_location("lessons_run", LESSONS / "run.py")
lessons = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = lessons
SPEC.loader.exec_module(lessons)

# Words of commands that cannot be run yet: such a command must be refused, so that no word stays here when it can.
NOT_YET: set[str] = set()
FEWER = {
    "--steps": "2",
    "--epochs": "1",
    "--config": "corpora/small.toml --steps 2",
    "--positions": "8",
    "--lags": "4",
    "--tokens": "500",
    "--longest": "5",
    "--count": "2",
    "--candidates": "2",
}
PAGES = lessons.pages()


def fewer(line: str) -> str:
    """The same command with a budget for which no test has to wait."""
    for option, instead in FEWER.items():
        line = re.sub(rf" {option} \S+", f" {option} {instead}", line)
    return line


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_lesson_runs_as_it_stands(page, tmp_path):
    if re.search(r"matplotlib|--plot", page.read_text("utf-8")):
        pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'charlm[plot]'")
    shortened, waiting = [], []

    def change(line: str) -> str | None:
        if not NOT_YET.isdisjoint(line.split()):
            code, _, _ = lessons.call(line)
            assert code != 0, f"can be run now; take it out of NOT_YET: {line}"
            waiting.append(line)
            return None
        shorter = fewer(line)
        if shorter != line:
            shortened.append(line)
        return shorter

    with lessons.standing_in(tmp_path):
        for ran in lessons.execute(page, change):
            shown = lessons.shown_after(page, ran.block)
            if shown and (ran.block.language == "python" or not (shortened or waiting)):
                assert lessons.as_shown(ran.printed, shown) == shown.body
    if waiting:
        pytest.skip(f"{len(waiting)} commands of {page.name} are not in this branch: {'; '.join(waiting)}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_lesson_quotes_stands_in_the_file(page):
    for block in lessons.blocks(page):
        if block.file:
            source = (lessons.ROOT / block.file).read_text("utf-8")
            held = [textwrap.indent(block.body, " " * depth) for depth in (0, 4, 8)]
            assert any(lines in source for lines in held), block.body


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_lesson_has_the_parts_of_a_lesson(page):
    text = page.read_text("utf-8")
    assert re.match(r"# \d+ · ", text) and int(text[2:4]) == int(page.name[:2])
    assert [block for block in lessons.blocks(page) if block.language in ("sh", "python") and not block.file]
    asked, answered = text.split("## Questions\n")[1].split("## Answers\n")
    for part in (asked, answered):
        assert re.findall(r"^(\d)\. ", part, re.MULTILINE) == ["1", "2", "3"]
    assert "Source" in text and len(text.splitlines()) <= 180


def test_the_index_names_every_lesson_in_order_and_every_link_leads_somewhere():
    index = (LESSONS / "README.md").read_text("utf-8")
    assert re.findall(r"\((\d\d-[\w-]+\.md)\)", index) == [page.name for page in PAGES]
    for page in [LESSONS / "README.md", *PAGES]:
        prose = lessons.BLOCK.sub("", page.read_text("utf-8"))
        for link in re.findall(r"\]\(([^)#:]+)\)", prose):
            assert (LESSONS / link).exists(), f"{page.name}: {link}"


def test_no_picture_is_large():
    for picture in (LESSONS / "pictures").glob("*"):
        assert picture.stat().st_size <= 60_000, picture
