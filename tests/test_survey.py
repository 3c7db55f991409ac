import pytest
from tiny import LINES

from charlm.text import survey
from charlm.text.survey import Overlap, Repeats, Survey


def surveyed(*documents: str) -> Survey:
    found = Survey()
    assert list(found.watch(documents)) == list(documents)
    return found


def repeats_of(*documents: str) -> Repeats:
    repeats = Repeats()
    for document in documents:
        repeats.add(document)
    return repeats


# ── findings ────────────────────────────────────────────────────────────────────────────────────


def test_ordinary_lines_give_no_findings():
    found = surveyed(*LINES, "Plain English, isn't it?")
    assert found.findings() == []
    assert (found.documents, found.characters, found.longest) == (5, 43, 24)


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ("春□不觉晓", "signs of a lost character (□ ○ \ufffd)"),
        ("春\ufffd", "signs of a lost character (□ ○ \ufffd)"),
        ("春\ue000", "private-use characters"),
        ("春\U00100000", "private-use characters"),
        ("《春晓》", "brackets or title marks"),
        ("春(一作秋)", "brackets or title marks"),
        ("春" * 1001, "more than 1,000 characters"),
        ("a" * 1001, "more than 1,000 characters"),
    ],
)
def test_what_is_odd_is_counted_and_shown(document, kind):
    found = surveyed(LINES[0], document, f" {document}")
    assert found.findings() == [f"2 documents with {kind}, e.g. {document[:40]!r}"]


@pytest.mark.parametrize(
    "document",
    ["<s> the cat </s>", "the cat <eos>", "THE CAT <EOS>", "a <pad> b", "春眠不觉晓</s>", "end<|endoftext|>"],
)
def test_marks_of_other_tools_are_told_also_in_plain_ascii(document):
    assert any("1 document with marks of a tool for words" in finding for finding in surveyed(document).findings())


@pytest.mark.parametrize("document", ["the <unk> cat", "a < b and b > a", "<span>s</span>", "<b>s"])
def test_what_only_looks_like_a_mark_is_not_told(document):
    assert surveyed(document).findings() == []


def test_the_character_for_zero_is_no_lost_character():
    assert surveyed("二〇二四年").findings() == []


def test_a_document_may_be_odd_in_several_ways():
    assert surveyed("（□\ue000").counts.keys() == {
        "signs of a lost character (□ ○ \ufffd)",
        "private-use characters",
        "brackets or title marks",
    }


def test_repeats_stand_first_among_the_findings():
    found = surveyed("春（", LINES[0], "春（", LINES[0], "春（")
    assert found.findings()[0] == "3 documents that stood there before"


def test_blank_lines_of_a_stream_are_no_repeats():
    assert surveyed("\n", "\n", " \n", " \n").findings() == []


# ── repeats ─────────────────────────────────────────────────────────────────────────────────────


def test_repeats_are_those_beyond_the_first_of_their_kind():
    repeats = repeats_of("a", "b", "a", "a", "c", "b")
    assert (repeats.count, repeats.is_exact) == (3, True)


def test_repeats_are_exact_as_long_as_the_sample_holds_every_document(monkeypatch):
    monkeypatch.setattr(survey, "SAMPLE", 3)
    assert repeats_of(*"abcabc").is_exact
    assert not repeats_of(*"abcd").is_exact


@pytest.mark.parametrize("times", [2, 4])
def test_beyond_the_sample_repeats_are_estimated_within_a_tenth(monkeypatch, times):
    monkeypatch.setattr(survey, "SAMPLE", 512)
    repeats = repeats_of(*(f"line {number}" for _ in range(times) for number in range(4000)))
    assert repeats.count == pytest.approx(4000 * (times - 1), rel=0.1)
    assert len(repeats.seen) <= 512


def test_an_estimate_says_about(monkeypatch):
    monkeypatch.setattr(survey, "SAMPLE", 8)
    found = surveyed(*("春" * length for length in range(1, 100)), *("春" * length for length in range(1, 100)))
    assert found.findings()[0].startswith("about ")


def test_different_lines_are_no_repeats_even_beyond_the_sample(monkeypatch):
    monkeypatch.setattr(survey, "SAMPLE", 16)
    assert repeats_of(*map(str, range(500))).count == 0


def test_a_lost_surrogate_does_not_stop_the_survey():
    assert surveyed("春\ud800", "春\ud800").repeats.count == 1


# ── overlap ─────────────────────────────────────────────────────────────────────────────────────


def test_overlap_counts_held_out_documents_that_were_met():
    overlap = Overlap(["a", "b", "b", "c"])
    assert list(overlap.watch(["b", "x", "b", "a"])) == ["b", "x", "b", "a"]
    assert overlap.count == 3  # a once and b twice among the held-out ones


def test_without_common_documents_there_is_no_overlap():
    overlap = Overlap(["a"])
    assert list(overlap.watch(["b"])) == ["b"]
    assert overlap.count == 0
