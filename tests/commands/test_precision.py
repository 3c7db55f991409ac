"""--precision of the commands that only read."""

import json

import pytest

from charlm.models import lowered

LISTS = '{"id": "a", "ref": "今天天气好", "hyps": [{"text": "今天天气号"}, {"text": "今天天气好"}]}\n'


@pytest.fixture
def run(charlm, tmp_path):
    (tmp_path / "text.txt").write_text("今天天气好\n明天天气不好\n" * 8, "utf-8")
    (tmp_path / "lists.jsonl").write_text(LISTS, "utf-8")
    tiny = ("--hidden", 16, "--embedding", 8, "--layers", 1, "--steps", 2, "--validations", 1, "--quiet")
    assert charlm("train", "text.txt", "--run", "run", *tiny).code == 0
    return "run"


@pytest.mark.parametrize(
    "command",
    [("eval", "RUN", "text.txt"), ("score", "RUN", "lists.jsonl"), ("nbest", "report", "RUN", "lists.jsonl"),
     ("nbest", "tune", "RUN", "lists.jsonl", "-o", "w.toml")],
    ids=lambda command: " ".join(command[:2]),
)  # fmt: skip
def test_a_precision_that_is_none_and_one_that_cannot_be_had_are_refused_by_name(charlm, run, command, monkeypatch):
    command = [run if word == "RUN" else word for word in command]
    monkeypatch.setattr(lowered, "_multiplies_within", lambda: False)
    charlm(*command, "--precision", "bf61").refused("bf61", "bf16", code=2)
    charlm(*command, "--precision", "bf16").refused("--precision bf16", "no units", code=2)


def test_auto_scores_as_float32_where_there_are_no_units_and_the_report_says_so(charlm, run, monkeypatch, tmp_path):
    monkeypatch.setattr(lowered, "_multiplies_within", lambda: False)
    monkeypatch.setattr(lowered, "may_pack", lambda: False)
    exact = charlm("score", run, "lists.jsonl", "--json")
    auto = charlm("score", run, "lists.jsonl", "--json", "--precision", "auto", "--report", "r.json")
    assert auto.code == 0 and auto.out == exact.out
    assert json.loads((tmp_path / "r.json").read_text("utf-8"))["precision"] == "float32"
    assert json.loads(charlm("eval", run, "text.txt", "--json").out)["precision"] == "float32"


def test_what_was_computed_in_bf16_says_so(charlm, run, monkeypatch, tmp_path):
    monkeypatch.setattr(lowered, "_multiplies_within", lambda: True)
    assert charlm("score", run, "lists.jsonl", "--precision", "bf16", "--report", "r.json").code == 0
    assert json.loads((tmp_path / "r.json").read_text("utf-8"))["precision"] == "bf16"
    assert json.loads(charlm("eval", run, "text.txt", "--json", "--precision", "bf16").out)["precision"] == "bf16"


def test_verse_is_written_in_fp16_where_there_is_one_and_exactly_where_that_is_asked_for(charlm, monkeypatch):
    taken = []
    real = lowered.lowered
    monkeypatch.setattr("charlm.runs.run.lowered", lambda model, *asked: taken.append(asked[0]) or real(model, *asked))
    for asked in ((), ("--precision", "float32")):
        ended = charlm("sample", "--form", "五绝", "--seed", 1, "--candidates", 2, *asked)
        assert ended.code == 0 and ended.out.count("\n") == 2
    assert taken == ["fp16" if lowered.may_pack() else "float32", "float32"]
    charlm("sample", "--form", "五绝", "--precision", "fp61").refused("fp61", "fp16", code=2)


def test_auto_is_float32_for_a_model_that_learns_on_the_way(charlm, run):
    ended = charlm("eval", run, "text.txt", "--dynamic", "sgd", "--rate", 0.1, "--precision", "auto", "--json")
    assert ended.code == 0 and json.loads(ended.out)["precision"] == "float32"


def test_a_model_that_learns_on_the_way_does_so_in_float32(charlm, run, monkeypatch):
    monkeypatch.setattr(lowered, "_multiplies_within", lambda: True)
    asked = charlm("eval", run, "text.txt", "--dynamic", "sgd", "--precision", "bf16")
    asked.refused("--precision bf16", "--dynamic", code=2)
