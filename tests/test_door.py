"""`import charlm`: what Python users get."""

import subprocess
import sys
from pathlib import Path

import pytest

import charlm
from charlm import scoring
from charlm.errors import ConfigError
from charlm.jobs.rescore import Scorer
from charlm.text import files, sources

CORPUS = Path(__file__).resolve().parent.parent / "corpora" / "everyday.zh.txt"


@pytest.fixture(scope="module")
def run_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("door") / "run"
    charlm.train(CORPUS, path, model="ngram", order=2)
    return path


def test_everything_at_the_door_is_there_and_typed():
    assert all(hasattr(charlm, name) for name in charlm.__all__)
    assert isinstance(charlm.Run, type) and isinstance(charlm.Score, type)
    with pytest.raises(AttributeError, match="no attribute 'Runn'"):
        _ = charlm.Runn


def test_paths_and_strings_are_the_same_everywhere(run_path, tmp_path):
    by_path, by_name = charlm.load(run_path), charlm.load(str(run_path))
    assert by_path.score(["做作业"]) == by_name.score(["做作业"])
    assert charlm.evaluate(run_path, CORPUS) == charlm.evaluate(str(run_path), str(CORPUS))
    charlm.train([str(CORPUS)], str(tmp_path / "other"), valid=CORPUS, model="unigram")


def test_a_mixture_is_made_and_loaded_from_python(run_path, tmp_path):
    charlm.train(CORPUS, tmp_path / "two", model="ngram", order=1)
    mixed = charlm.mix([run_path, tmp_path / "two"], tmp_path / "mixed", tune=CORPUS, part="valid", by_context=False)
    assert charlm.evaluate(tmp_path / "mixed", CORPUS, part="test").perplexity > 1
    assert len(mixed.parts()) == 2


def test_one_run_is_no_list_of_runs_and_an_unknown_knob_is_named(run_path, tmp_path):
    with pytest.raises(charlm.CharlmError, match="is no mixture"):
        charlm.mix(str(run_path), tmp_path / "mixed", tune=CORPUS)
    with pytest.raises(charlm.CharlmError, match="did you mean cache"):
        charlm.mix([run_path], tmp_path / "mixed", tune=CORPUS, cach=3)


def test_a_bare_string_is_refused_where_a_list_of_texts_is_meant(run_path):
    run, scorer = charlm.load(run_path), Scorer(run_path)
    takers = {
        "score": lambda text: run.score(text),
        "evaluate": lambda text: run.evaluate(text),
        "carried": lambda text: list(scoring.details(run.model, run.codec, text, carried=True)),
        "lines": lambda text: list(scorer.lines(text)),
        "rank": lambda text: list(scorer.rank(text)),
        "call": lambda text: list(scorer(text)),
        "files": lambda text: list(files.documents(text, run.config.text)),
        "files alone": lambda text: sources.source_files(text),
    }
    for name, take in takers.items():
        for text in ("做作业", "", "春" * 1000, b"a"):
            with pytest.raises(ConfigError, match=r"one string, b?'.*'…?, was given") as caught:
                take(text)
            assert caught.value.hint.startswith("give a list: [") and len(str(caught.value)) < 90, name
    assert run.score(("做作业",)) == run.score(iter(["做作业"])) == run.score({"做作业": 1})


def test_the_door_opens_without_torch():
    program = "import sys, charlm; assert not {'torch', 'numpy', 'jieba'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_mixing_no_runs_was_an_index_error(tmp_path):
    with pytest.raises(charlm.CharlmError, match="no run was given"):
        charlm.mix([], tmp_path / "mixed", tune="t.txt")


@pytest.mark.parametrize("thing", [None, float("nan"), b"abc", 3, ["a"]])
def test_what_is_no_text_is_refused_where_texts_are_scored_or_continued(run_path, thing):
    run = charlm.load(run_path)
    for taker in (lambda: run.score(["a", thing]), lambda: run.sample(thing)):
        with pytest.raises(ConfigError, match="a text is wanted, not"):
            taker()


@pytest.mark.parametrize("count", [-1, 2.0, "3"])
def test_an_impossible_number_of_samples_is_refused(run_path, count):
    with pytest.raises(ConfigError, match="count must be a whole number"):
        charlm.load(run_path).sample("a", count)
