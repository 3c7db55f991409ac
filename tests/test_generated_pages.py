"""The pages that are made from the code are the code's."""

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
SPEC = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
generate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(generate)


@pytest.mark.parametrize("page", generate.PAGES)
def test_a_generated_page_is_not_stale(page):
    assert (DOCS / page).read_text("utf-8") == generate.PAGES[page](), "run `python docs/generate.py`"
