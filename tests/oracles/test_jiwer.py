"""Counts of errors, kind by kind, beside jiwer's, which a speech engineer has at hand.

jiwer knows words between spaces: of characters and of mixed text it is shown our units, with spaces between them.
"""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.nbest import NBEST_FORMATS, Source
from charlm.reranking.error_rates import METRICS, comparable, errors, metric_for, units

jiwer = pytest.importorskip("jiwer")

WORDS = st.lists(st.sampled_from(["the", "cat", "sat", "做", "作", "业", "don't", "12"]), min_size=1, max_size=9)
ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("CHARLM_DATA", ROOT.parent / "shared" / "data")) / "nbest"


def kinds(reference: str, hypothesis: str) -> tuple[int, int, int]:
    found = jiwer.process_words(reference, hypothesis)
    return found.substitutions, found.deletions, found.insertions


@given(WORDS, st.lists(st.sampled_from(["the", "cat", "sat", "做", "作", "业", "don't", "12"]), max_size=9))
def test_errors_of_spaced_text_are_jiwers(said, heard):
    found = errors(" ".join(said), " ".join(heard), "wer")
    expected = jiwer.process_words(" ".join(said), " ".join(heard))
    assert (found.substitutions, found.deletions, found.insertions) == kinds(" ".join(said), " ".join(heard))
    assert found.rate == expected.wer


@given(WORDS, WORDS, st.sampled_from(["cer", "mer"]))
def test_errors_of_characters_and_of_mixed_text_are_jiwers_of_the_same_units(said, heard, metric):
    reference, hypothesis = "".join(said), " ".join(heard)
    found = errors(reference, hypothesis, metric)
    expected = kinds(" ".join(units(reference, metric)), " ".join(units(hypothesis, metric)))
    assert (found.substitutions, found.deletions, found.insertions) == expected


@pytest.mark.skipif(not DATA.is_dir(), reason="CHARLM_DATA names no folder with the public lists")
@pytest.mark.parametrize(
    ("name", "metric"),
    [("en_atis_dev", "wer"), ("en_wsj_dev", "wer"), ("zh_synthetic_dev", "cer")],
)
def test_errors_of_public_lists_are_jiwers(name, metric):
    with (DATA / f"{name}.jsonl").open(encoding="utf-8") as lines:
        lists = list(NBEST_FORMATS["jsonl"].parse(Source.of(lines, name)))
    assert metric_for([utterance.reference or "" for utterance in lists]) == (metric, "references")
    cut = METRICS[metric] if metric == "cer" else lambda text: comparable(text).split()
    pairs = [(utterance.reference or "", candidate.text) for utterance in lists for candidate in utterance.hypotheses]
    ours = [errors(reference, text, metric) for reference, text in pairs]
    said, heard = ([" ".join(cut(pair[side])) for pair in pairs] for side in (0, 1))
    theirs = jiwer.process_words(said, heard)
    for kind in ("substitutions", "deletions", "insertions"):
        assert sum(getattr(one, kind) for one in ours) == getattr(theirs, kind)
