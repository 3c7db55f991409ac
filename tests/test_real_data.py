"""Counts that published figures rest on, checked on the real sets where they lie at hand."""

import json
import os
from pathlib import Path

import pytest

import charlm
from charlm.config.text import TextConfig
from charlm.jobs import vocab as vocab_job
from charlm.nbest import NBEST_FORMATS, Source
from charlm.reranking import error_rates
from charlm.text import files as text

DATA = Path(os.environ.get("CHARLM_DATA", Path(__file__).resolve().parent.parent.parent / "shared" / "data"))


def data(name: str) -> str:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not at {DATA}; set CHARLM_DATA to the folder of data sets")
    return str(path)


def silent(_: str) -> None:
    pass


def test_the_tang_validation_poems_have_146019_tokens_with_line_ends():
    documents = list(text.documents([data("poems/tang.valid.txt")], TextConfig()))
    assert sum(len(document) + 1 for document in documents) == 146_019


def test_the_tang_vocabulary_of_characters_seen_twice_has_6601_entries():
    found = vocab_job.of_files([data("poems/tang.train.txt")], TextConfig(min_count=2), note=silent)
    assert len(found.codec.vocab) == 6601


def test_the_penn_treebank_has_its_10000_words_and_82430_test_tokens():
    config = TextConfig(level="spaced", context="carried")
    codec = vocab_job.of_files([data("ptb/train.txt")], config, note=silent).codec
    encoded = [codec.encode(line) for line in text.documents([data("ptb/test.txt")], config)]
    assert len(codec.vocab) == 10_000
    assert sum(len(line.ids) for line in encoded) == 82_430
    assert {token for line in encoded for token in line.unknown} == {"<unk>"}


def test_shakespeare_as_a_stream_keeps_every_character():
    name = data("tinyshakespeare/valid.txt")
    pieces = text.documents([name], TextConfig(reading="stream"))
    assert "".join(pieces) == Path(name).read_text("utf-8")
    assert len(Path(name).read_text("utf-8")) == 55_770


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The Score of one text under an n-gram model of another."""

    def measure(train: str, test: str, **knobs: object):
        run = charlm.train(
            data(train), tmp_path_factory.mktemp("run") / "run", valid=data(test), model="ngram", **knobs
        )
        return run.evaluate(text.documents([data(test)], run.config.text))

    return measure


@pytest.mark.slow
def test_a_five_gram_of_the_penn_treebank_has_the_perplexity_of_lmplz(measured):
    """lmplz (KenLM 0.3.0) -o 5, <unk> as an ordinary word: 141.1862."""
    score = measured("ptb/train.txt", "ptb/test.txt", level="spaced", order=5)
    assert score.tokens == 82_430
    assert score.perplexity == pytest.approx(141.1862, abs=0.01)


@pytest.mark.slow
def test_a_five_gram_of_the_tang_poems_has_the_perplexity_of_lmplz(measured):
    """lmplz (KenLM 0.3.0) -o 5 on characters apart: 235.3548, and 233.7152 without the 114 unknown ones."""
    score = measured("poems/tang.train.txt", "poems/tang.valid.txt", order=5)
    assert (score.tokens, score.unknown) == (146_019, 114)
    assert score.perplexity == pytest.approx(235.3548, abs=0.02)
    assert score.perplexity_known == pytest.approx(233.7152, abs=0.02)


@pytest.mark.slow
def test_a_six_gram_of_shakespeare_needs_a_stand_in_and_is_as_good_as_lmplz_with_its_own(measured):
    """lmplz (KenLM 0.3.0) -o 6 --discount_fallback, blank lines kept, the last line without its end too: 4.4070."""
    knobs = {"blank_lines": True, "order": 6}
    score = measured("tinyshakespeare/train.txt", "tinyshakespeare/valid.txt", **knobs)
    assert score.perplexity == pytest.approx(4.4070, abs=0.001)


@pytest.mark.slow
def test_eight_characters_tell_more_of_shakespeare_than_six(measured):
    knobs = {"blank_lines": True, "order": 8}
    assert measured("tinyshakespeare/train.txt", "tinyshakespeare/valid.txt", **knobs).perplexity < 4.36


def test_the_first_and_the_best_candidates_of_the_chinese_lists_have_the_known_error_rates():
    name = data("nbest/zh_synthetic_dev.jsonl")
    first = best = error_rates.Errors()
    with Path(name).open(encoding="utf-8") as lines:
        for utterance in NBEST_FORMATS["jsonl"].parse(Source.of(lines, name)):
            found = [error_rates.errors(utterance.reference or "", h.text, "cer") for h in utterance.hypotheses]
            first, best = first + found[0], best + min(found, key=lambda errors: errors.total)
    assert (round(first.rate or 0, 4), best.rate) == (0.0796, 0.0)


def test_a_json_collection_of_poems_is_read_by_its_paragraphs(tmp_path):
    poems = [{"title": "无题", "author": "某", "paragraphs": ["山色空江暮，渔灯隔岸明。", "归舟三两点，摇碎一天星。"]}]
    (tmp_path / "poems.json").write_text(json.dumps(poems, ensure_ascii=False), "utf-8")
    found = list(text.documents([str(tmp_path)], TextConfig()))
    assert found == ["山色空江暮，渔灯隔岸明。归舟三两点，摇碎一天星。"]
