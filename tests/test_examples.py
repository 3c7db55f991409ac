"""The programs in examples/ beside the demo: short, built on the library's cells, and they show what they say."""

import importlib.util
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).resolve().parent.parent / "examples"
NAMES = ["class_of_text", "digits_by_rows", "text_of_class", "second_line", "series", "clipping"]


def example(name):
    spec = importlib.util.spec_from_file_location(f"examples_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_an_example_fits_eighty_lines_and_uses_the_cells_of_the_library(name):
    source = (FOLDER / f"{name}.py").read_text("utf-8")
    assert source.count("\n") <= 80 and "from charlm.models.cells import CELLS" in source


def test_no_example_is_left_without_a_test():
    assert {path.stem for path in FOLDER.glob("*.py")} - {"demo"} == set(NAMES)


def test_the_age_of_a_text_is_told_from_its_last_state():
    judge = example("class_of_text")
    assert judge.main(steps=150) > 0.75  # three fifths are of today
    assert len({len(piece) for piece in judge.pieces("quatrains.txt")}) == 1


@pytest.mark.slow
def test_every_gated_cell_reads_digits_by_rows_better_than_logistic_regression_reads_pixels():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install 'charlm[oracles]'")
    found = example("digits_by_rows").main(["lstm", "gru"])
    assert min(found["lstm"], found["gru"]) > found["logistic regression"] > 0.9


def test_a_line_drawn_for_a_class_has_its_length():
    assert example("text_of_class").main(steps=400) > 0.7  # without the class it could be half


def test_a_second_line_is_likelier_behind_its_own_first_line():
    own, other = example("second_line").main(steps=250)
    assert own < other - 0.3


def test_a_window_answers_for_its_taps_and_feedback_for_ever():
    series = example("series")
    found = series.main(steps=150)
    true, window, narx, space = (found[name][1:] for name in ("true", "window", "NARX", "state space"))
    assert torch.allclose(true[:4], torch.tensor([1.0, 1.2, 0.84, 0.288]), atol=1e-5)  # y = 1.2 y' - 0.6 y'' by hand
    assert bool((window[series.TAPS :] == 0).all()) and float(true[series.TAPS :].abs().max()) > 0.01
    assert float((window - true)[: series.TAPS].abs().max()) < 0.15
    assert float((narx - true).abs().max()) < 0.05
    assert float((space - true).abs().max()) < 0.35
