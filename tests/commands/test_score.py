"""`charlm score`: lists in, lists out; text in, a number a line."""

import json
import math
import os
from pathlib import Path

import pytest
from contracts.test_nbest_format import TwoFiles

from charlm.nbest import NBEST_FORMATS
from commands.conftest import CORPORA

LISTS = CORPORA / "homework.nbest.jsonl"


def test_lists_come_back_reordered_with_every_part_shown(charlm, shared_run):
    ended = charlm("score", shared_run, LISTS, "--am-weight", 0.5, "--lm-weight", 2, "--length-weight", 0.25)
    lists = [json.loads(line) for line in ended.out.splitlines()]
    assert [u["id"] for u in lists] == [json.loads(line)["id"] for line in LISTS.read_text("utf-8").splitlines()]
    for utterance in lists:
        totals = [hyp["total"] for hyp in utterance["hyps"]]
        assert totals == sorted(totals, reverse=True)
        for hyp in utterance["hyps"]:
            scores = hyp["scores"]
            sum_of_parts = 0.5 * scores.get("am", 0.0) + 2 * scores["lm"] + 0.25 * hyp["length"]
            assert hyp["total"] == pytest.approx(sum_of_parts)
    assert "CER of 20 lists: first" in ended.err and "oracle 0.00%" in ended.err


def test_the_language_model_alone_ranks_as_the_texts_scored_one_by_one(charlm, shared_run):
    ended = charlm("score", shared_run, LISTS, "--am-weight", 0, "--as-written")
    for line in ended.out.splitlines():
        hyps = json.loads(line)["hyps"]
        alone = charlm("score", shared_run, "-", "--format", "text", "--json", stdin="\n".join(h["text"] for h in hyps))
        charged = [json.loads(text)["charged"] for text in alone.out.splitlines()]
        assert charged == pytest.approx([h["scores"]["lm"] for h in hyps], rel=1e-4)
        assert charged == sorted(charged, reverse=True)


def test_best_prints_one_text_a_list(charlm, shared_run):
    assert len(charlm("score", shared_run, LISTS, "--best").out.splitlines()) == 20


def test_plain_lists_are_told_by_their_blank_lines(charlm, shared_run):
    Path("lists.txt").write_text("做做业\n做作业\n\n坐下\n做下\n", "utf-8")
    ended = charlm("score", shared_run, "lists.txt")
    first, second = ended.out.strip().split("\n\n")
    assert {line.split("\t")[1] for line in first.splitlines()} == {"做做业", "做作业"}
    assert len(second.splitlines()) == 2 and "n-best lists" in ended.err


def test_plain_text_gives_a_log_probability_a_line(charlm, shared_run):
    Path("t.txt").write_text("你好。\n再见。\n", "utf-8")
    rows = [line.split("\t") for line in charlm("score", shared_run, "t.txt").out.splitlines()]
    assert [text for _, text in rows] == ["你好。", "再见。"] and all(float(number) < 0 for number, _ in rows)


def test_the_report_is_a_file_of_figures_and_the_formula(charlm, shared_run):
    charlm("score", shared_run, LISTS, "--report", "r.json", "--quiet")
    told = json.loads(Path("r.json").read_text("utf-8"))
    assert told["metric"] == "cer" and told["utterances"] == 20 and told["formula"] == "1·am + 1·lm"


def test_unknown_characters_cost_more_when_charged(charlm, shared_run):
    lines = "做Ж业\n"
    charged = json.loads(charlm("score", shared_run, "-", "--format", "text", "--json", stdin=lines).out)
    assert charged["unknown"] == ["Ж"] and charged["charged"] == pytest.approx(charged["log_prob"] - 11.0904, abs=1e-3)


def test_bad_lists_are_named_by_line(charlm, shared_run):
    Path("bad.jsonl").write_text('{"id": "a", "hyps": [{"text": "好"}]}\n{"id": "b", "hyps": 1}\n', "utf-8")
    ended = charlm("score", shared_run, "bad.jsonl")
    assert ended.code == 1 and "bad.jsonl:2" in " ".join(ended.err.split())
    Path("empty.jsonl").write_text("", "utf-8")
    charlm("score", shared_run, "empty.jsonl").refused()
    charlm("score", shared_run, LISTS, "--format", "jsnl").refused("did you mean jsonl?", code=2)
    charlm("score", shared_run, LISTS, "--metric", "bleu").refused("metric", code=2)


def test_a_report_that_exists_is_only_overwritten_by_force(charlm, shared_run):
    Path("r.json").write_text("mine", "utf-8")
    charlm("score", shared_run, LISTS, "--report", "r.json").refused("r.json exists already", "--force")
    assert Path("r.json").read_text("utf-8") == "mine"
    assert charlm("score", shared_run, LISTS, "--report", "r.json", "--force", "--quiet").code == 0
    assert json.loads(Path("r.json").read_text("utf-8"))["utterances"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_report_into_a_pipe_needs_no_force(charlm, shared_run):
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert charlm("score", shared_run, LISTS, "--report", "pipe", "--quiet").code == 0
        assert json.loads(os.read(reader, 1 << 16))["utterances"]
    finally:
        os.close(reader)
    assert Path("pipe").is_fifo()


def test_spaces_that_the_training_text_does_not_know_decide_no_list(charlm, shared_run):
    lists = json.dumps({"hyps": [{"text": "今天 天气 很 好"}, {"text": "今天 天气 很汗"}, {"text": "今天天气很好"}]})
    ended = charlm("score", shared_run, "-", stdin=lists)
    lm = {hyp["text"]: hyp["scores"]["lm"] for hyp in json.loads(ended.out)["hyps"]}
    assert lm["今天 天气 很 好"] == pytest.approx(lm["今天天气很好"], rel=1e-5) and len(lm) == 3


def test_every_report_counts_unknown_tokens(charlm, shared_run):
    lists = json.dumps({"hyps": [{"text": "做Ж业"}, {"text": "做作业"}], "ref": "做作业"})
    ended = charlm("score", shared_run, "-", "--report", "r.json", "--as-written", stdin=lists)
    told = json.loads(Path("r.json").read_text("utf-8"))
    assert (told["unknown_tokens"], told["tokens"]) == (1, 8) and "1 of 8 tokens" in ended.err
    assert told["metric_from"] == "references" and "counted as CER, by the script of the first references" in ended.err


def test_the_metric_does_not_hang_on_the_order_of_the_lists(charlm, shared_run):
    lists = [json.dumps({"hyps": [{"text": text}], "ref": "做作业"}) for text in ("", "homework for me", "做作业")]
    told = []
    for order in (lists, lists[::-1]):
        charlm("score", shared_run, "-", "--report", "r.json", stdin="\n".join(order))
        told.append(json.loads(Path("r.json").read_text("utf-8")))
        Path("r.json").unlink()
    assert told[0] == told[1] and told[0]["metric"] == "cer"


def test_one_odd_list_does_not_stop_the_file(charlm, shared_run):
    odd = [
        '{"id": 7, "hyps": [], "ref": "好"}',
        '{"hyps": [{"text": "好", "scores": {"am": -Infinity}}, {"text": "a\\nb"}]}',
    ]
    ended = charlm("score", shared_run, "-", stdin="\n".join(odd))
    first, second = map(json.loads, ended.out.splitlines())
    assert first == {"id": 7, "ref": "好", "hyps": []} and len(second["hyps"]) == 2
    assert "1 lists hold no candidates" in ended.err and "1 candidates have a score of -Infinity" in ended.err


def test_best_prints_one_line_for_every_list(charlm, shared_run):
    lists = ['{"hyps": [{"text": "a\\nb\\u2028c"}]}', '{"hyps": []}', '{"hyps": [{"text": ""}]}']
    assert charlm("score", shared_run, "-", "--best", stdin="\n".join(lists)).out == "a b c\n\n\n"


def test_what_a_model_holds_impossible_is_null_and_counted(charlm):
    Path("t.txt").write_text("做作业\n作业做\n" * 9, "utf-8")
    made = charlm("train", "t.txt", "--valid", "t.txt", "--model", "ngram", "--smoothing", "ml", "--run", "run")
    assert made.code == 0, made.err
    ended = charlm("score", "run", "-", stdin='{"hyps": [{"text": "业业业"}, {"text": "做作业"}]}')
    best, other = json.loads(ended.out)["hyps"]
    assert best["text"] == "做作业" and other["scores"]["lm"] is None and other["total"] is None
    assert "1 candidates are impossible" in ended.err
    lines = charlm("score", "run", "-", "--format", "text", "--json", stdin="业业业\n")
    assert json.loads(lines.out)["log_prob"] is None and "1 lines are impossible" in lines.err


def test_weights_and_scores_too_large_are_refused(charlm, shared_run):
    lists = '{"hyps": [{"text": "做", "scores": {"am": 1e308}}]}'
    charlm("score", shared_run, "-", "--am-weight", 10, stdin=lists).refused("no number")
    charlm("score", shared_run, "-", "--lm-weight", 1e308, stdin=lists).refused("no number")


def test_scores_under_other_names_are_noted(charlm, shared_run):
    lists = '{"hyps": [{"text": "做", "score": -3, "tokens": 2, "scores": {"asr": -1}}, {"text": "作", "am": -2.5}]}'
    ended = charlm("score", shared_run, "-", stdin=lists)
    for name in ("am", "score", "scores.asr"):
        assert f"numbers called {name}, which were not used" in ended.err
    assert "called tokens" not in ended.err and ended.code == 0


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ("u1\t-12.5\t今天天气\nu1\t-13.1e0\t今天天汽\n", "tsv"),
        ("utt-1-1 今天 天气\nutt-1-2 今天 天汽\nutt-2-1 好\n", "kaldi"),
        ("-1023.5 -45.2 4 <s> 今天 天气\n-1030.5 -44 4 <s> 今 天气\n", "srilm"),
        ("0 ||| 今天 ||| LM: -3 ||| -3\n0 ||| 今 ||| LM: -4 ||| -4\n", "moses"),
        ('[{"input": ["今天", "今"]}]\n', "hyporadise"),
        ('[\n  {"hyps": ["今天"]}\n]\n', "hypr"),
        ('{"u1": {"hyp_1": {"text": "今天", "score": -1}}}\n', "mlm"),
        ("NBestList1.0\n(-123) 今天 天气\n(-130.5) 今 天气\n", "decipher"),
        ("今天 天气 (spk_001)\n今 天气 (spk_002)\n", "trn"),
        ("u1 今天|今\nu2 天气|天汽\n", "pipes"),
        ("u1\t今天\t今\nu2\t天气\t天汽\n", "tabs"),
    ],
)
def test_lists_of_other_programs_are_recognised(charlm, shared_run, lines, name):
    ended = charlm("score", shared_run, "-", stdin=lines)
    assert ended.code == 0 and f"read as lists in the format {name}" in ended.err
    assert ended.out == charlm("score", shared_run, "-", "--format", name, stdin=lines).out != ""
    lines_alone = charlm("score", shared_run, "-", "--format", "text", stdin=lines)
    assert len(lines_alone.out.splitlines()) == len(lines.splitlines())


def test_what_is_no_known_list_is_refused_and_not_read_as_words(charlm, shared_run):
    for lines, name in (
        ('[{"hyps": [{"text": "今天"}]}]\n', "JSON array"),
        ('[\n  {"text": "今天"}\n]\n', "JSON array"),
        ('["今天", "今"]\n["天气"]\n', "JSON array"),
        ("utt-1 今天 天气\nutt-2 今天 天汽\n", "--format kaldi"),
        ("今天天气\t-12.5\n今天天汽\t-13.1e0\n", "--beam N"),
    ):
        charlm("score", shared_run, "-", stdin=lines).refused(name)
        assert charlm("score", shared_run, "-", "--format", "text", stdin=lines).code == 0


def test_text_with_numbers_is_no_foreign_list(charlm, shared_run):
    for lines in ("3 月 5 日\n4 月\n", "covid-19 来了\ncovid-19 走了\n", "[今天]\n", "好（1）\n他(笑)\n"):
        assert charlm("score", shared_run, "-", stdin=lines).code == 0


def test_the_formula_names_only_scores_that_were_used(charlm, shared_run):
    lists = '{"hyps": [{"text": "做", "scores": {"am": -3}}]}'
    charlm("score", shared_run, "-", "--report", "r.json", "--length-weight", 0.5, stdin=lists)
    assert json.loads(Path("r.json").read_text("utf-8"))["formula"] == "1·am + 1·lm + 0.5·length"
    Path("r.json").unlink()
    charlm("score", shared_run, "-", "--report", "r.json", stdin='{"hyps": [{"text": "做"}]}')
    assert json.loads(Path("r.json").read_text("utf-8"))["formula"] == "1·lm"


def test_reranking_that_makes_it_worse_is_said_in_words(charlm, shared_run):
    lists = '{"ref": "ЖЖЖЖ", "hyps": [{"text": "ЖЖЖЖ"}, {"text": "好"}]}'
    ended = charlm("score", shared_run, "-", stdin=lists)
    assert "made the lists worse" in ended.err and "scores.am" in ended.err and "does not know" in ended.err
    right = '{"ref": "好", "hyps": [{"text": "ЖЖЖЖ"}, {"text": "好"}]}'
    assert "worse" not in charlm("score", shared_run, "-", stdin=right).err


def test_another_score_can_be_given_a_weight(charlm, shared_run):
    lists = '{"hyps": [{"text": "做", "scores": {"asr": -3}}]}'
    ended = charlm("score", shared_run, "-", "--weight", "asr=2", "--lm-weight", 0, "--report", "r.json", stdin=lists)
    assert json.loads(ended.out)["hyps"][0]["total"] == -6 and "not used" not in ended.err
    assert json.loads(Path("r.json").read_text("utf-8"))["formula"] == "2·asr"
    for wrong in ("asr", "asr=x", "=1", "lm=2", "asr=nan"):
        charlm("score", shared_run, "-", "--weight", wrong, stdin=lists).refused(code=2)


@pytest.mark.parametrize("runs", [("{run}",), ("a={run}", "b={run}")], ids=["one run", "runs with names"])
def test_a_weight_of_a_score_that_no_list_has_is_refused_and_not_passed_over(charlm, shared_run, runs):
    given = [one.format(run=shared_run) for one in runs]
    lists = '{"hyps": [{"text": "做", "scores": {"asr": -3}}, {"text": "坐", "scores": {"asr": -4}}]}\n'
    for wrong in ("acr=1", "asr*lenght=1"):
        ended = charlm("score", *given, "-", "--weight", wrong, stdin=lists)
        ended.refused("no score is called", wrong.partition("=")[0], "they have asr", code=2)
        assert ended.out == ""
    empty = '{"hyps": []}\n' * 300
    ended = charlm("score", *given, "-", "--weight", "acr=1", stdin=empty + lists)
    assert ended.code == 2 and "called acr" in ended.err and "做" not in ended.out
    charlm("score", *given, "-", "--am-weight", 2, stdin=lists).refused("no score is called am", code=2)
    bare = '{"hyps": [{"text": "做"}]}\n'
    charlm("score", *given, "-", "--weight", "asr=1", stdin=bare).refused("they have no scores", code=2)
    for right in ("acr=0", "asr*length=1", "rank=1"):
        assert charlm("score", *given, "-", "--weight", right, stdin=lists).code == 0


def test_a_score_from_the_list_alone_counts_with_one_run_as_with_several(charlm, shared_run):
    lists = '{"hyps": [{"text": "做"}, {"text": "作"}, {"text": "做"}]}\n'
    totals = []
    for runs in ([shared_run], [f"a={shared_run}"]):
        ended = charlm("score", *runs, "-", "--weight", "rank=10", "--weight", "copies=3", stdin=lists)
        found = {h["position"]: h["total"] for h in json.loads(ended.out)["hyps"]}
        assert found[0] - found[2] == pytest.approx(10 * math.log(3)) and found[0] - found[1] > 3 * math.log(2)
        totals.append(found)
    assert totals[0] == pytest.approx(totals[1])


@pytest.mark.parametrize("runs", [("{run}",), ("a={run}",)], ids=["one run", "a run with a name"])
def test_what_a_list_brings_is_not_computed_anew_under_the_same_name(charlm, shared_run, runs):
    hyps = [
        {"text": "做", "scores": {"rank": 1, "sound_agreement": 2}},
        {"text": "坐", "scores": {"rank": 5, "sound_agreement": 1}},
    ]
    of = ("--lm-weight", 0, "--weight", "rank=1", "--weight", "sound_agreement=1", "--json", "-q")
    given = [one.format(run=shared_run) for one in runs]
    ended = charlm("score", *given, "-", *of, stdin=json.dumps({"hyps": hyps}, ensure_ascii=False) + "\n")
    assert [h["total"] for h in json.loads(ended.out)["hyps"]] == [6, 3]


def test_lists_that_span_two_files_are_read_from_their_folder(charlm, shared_run, monkeypatch):
    monkeypatch.setitem(NBEST_FORMATS._table, "two", TwoFiles())
    Path("lists").mkdir()
    Path("lists/text").write_text("u1-1 做做业\nu1-2 做作业\nu2-1 坐下\n", "utf-8")
    Path("lists/score").write_text("u1-1 -3\nu1-2 -2.5\nu2-1 -1\n", "utf-8")
    ended = charlm("score", shared_run, "lists", "--lm-weight", 0)
    found = {u["id"]: [h["total"] for h in u["hyps"]] for u in map(json.loads, ended.out.splitlines())}
    assert found == {"u1": [-2.5, -3.0], "u2": [-1.0]}
    assert charlm("score", shared_run, "lists", "--lm-weight", 0, "--format", "two").out == ended.out
    charlm("score", shared_run, "lists/text", "--format", "two").refused("spans text, score", "folder", code=2)
    Path("lists/score").unlink()
    charlm("score", shared_run, "lists", "--format", "two").refused("no such file: lists/score")


@pytest.mark.parametrize(
    "option",
    [
        "--best",
        "--ref r.txt",
        "--beam 5",
        "--keep-going",
        "--report r.json",
        "--metric cer",
        "--weight x=1",
        "--lm-weight 2",
        "--unknown counted",
    ],
)
def test_what_is_for_lists_was_ignored_where_lines_of_text_were_read(charlm, shared_run, option):
    ended = charlm("score", shared_run, "-", *option.split(), stdin="你好。\n再见。\n")
    assert ended.code == 2 and ended.out == "" and f"{option.split()[0]} is for lists" in ended.err


def test_unknown_tokens_of_lines_were_not_told(charlm, shared_run):
    assert "1 of 3 tokens (33.33%) are unknown" in charlm("score", shared_run, "-", stdin="你☃\n").err


def test_best_with_json_printed_no_json(charlm, shared_run):
    ended = charlm("score", shared_run, "-", "--best", "--json", stdin='{"id": 7, "hyps": [{"text": "你\\n好"}]}\n')
    assert json.loads(ended.out) == {"id": 7, "text": "你\n好"}


@pytest.mark.parametrize("place", [".", "-"])
def test_a_report_that_cannot_be_written_was_told_after_all_was_scored(charlm, shared_run, place):
    ended = charlm("score", shared_run, LISTS, "--report", place, "--force")
    assert ended.code in (1, 2) and ended.out == "" and "--report" in ended.err and not Path("-").exists()


def test_a_score_that_is_replaced_and_a_reference_of_another_name_are_told(charlm, shared_run):
    lists = '{"reference": "做", "hyps": [{"text": "做", "scores": {"lm": -3}}, {"text": "作"}]}'
    said = charlm("score", shared_run, "-", stdin=lists).err
    assert "1 lists brought a scores.lm" in said and "what may be one (reference)" in said
    lists = '{"ref": "做", "label": "x", "hyps": [{"text": "做", "scores": {"am": -3}}]}'
    said = charlm("score", shared_run, "-", stdin=lists).err
    assert "scores.lm" not in said and "may be one" not in said


def test_lists_are_written_in_any_format_of_one_file(charlm, shared_run):
    Path("lists").write_text("u1 做做业|做作业\nu2 坐下|做下|左下\n", "utf-8")
    plain = [json.loads(line) for line in charlm("score", shared_run, "lists").out.splitlines()]
    table = charlm("score", shared_run, "lists", "--to", "tsv").out.splitlines()
    rows = [(u["id"], h["scores"]["lm"], h["text"]) for u in plain for h in u["hyps"]]
    assert table[0] == "id\tlm\ttext" and table[1:] == [f"{name}\t{lm}\t{text}" for name, lm, text in rows]
    array = json.loads(charlm("score", shared_run, "lists", "--to", "hypr", "--best").out)
    assert [u["hyps"] for u in array] == [[u["hyps"][0]["text"]] for u in plain]


def test_the_best_are_written_as_a_trn_whole_or_not_at_all(charlm, shared_run):
    ended = charlm("score", shared_run, LISTS, "-o", "best.trn", "--quiet")
    best = charlm("score", shared_run, LISTS, "--best").out.splitlines()
    assert ended.out == "best.trn\n" and len(best) == 20
    found = Path("best.trn").read_text("utf-8").splitlines()
    assert found == [f"{text} (hw-{number})" for number, text in enumerate(best)]
    charlm("score", shared_run, LISTS, "-o", "best.trn").refused("best.trn exists already")
    bad = '{"id": "a", "hyps": [{"text": "好"}]}\n{"id": "b", "hyps": 1}\n'
    charlm("score", shared_run, "-", "-o", "other.jsonl", stdin=bad).refused("cannot read")
    assert not Path("other.jsonl").exists()
    kept = charlm("score", shared_run, "-", "-o", "other.jsonl", "--keep-going", stdin=bad)
    assert kept.code == 1 and kept.out == "" and json.loads(Path("other.jsonl").read_text("utf-8"))["id"] == "a"
    charlm("score", shared_run, LISTS, "--to", "kaldi").refused("spans several files", code=2)
    charlm("score", shared_run, LISTS, "--to", "trn", "--json").refused("two formats", code=2)


def test_candidates_are_read_as_the_training_text_is_written_and_come_out_as_they_were(charlm, shared_run):
    texts = ["做,作业", "做，作业。"]  # the corpus writes full-width marks and closes its lines
    Path("l.jsonl").write_text(json.dumps({"id": 1, "hyps": [{"text": text} for text in texts]}) + "\n", "utf-8")
    ended = charlm("score", shared_run, "l.jsonl")
    first, second = json.loads(ended.out)["hyps"]
    assert {first["text"], second["text"]} == set(texts)
    assert first["scores"]["lm"] == pytest.approx(second["scores"]["lm"], rel=1e-5)
    assert "read as the training text was: full-width punctuation, closed by 。" in " ".join(ended.err.split())
    other = charlm("score", shared_run, "l.jsonl", "--as-written")
    first, second = json.loads(other.out)["hyps"]
    assert first["scores"]["lm"] != pytest.approx(second["scores"]["lm"], rel=1e-3)
    assert "read as the training text was" not in other.err


def test_lists_in_other_units_stop_before_anything_is_scored(charlm, shared_run):
    Path("l.jsonl").write_text('{"id": 1, "hyps": [{"text": "nobody knows these letters"}]}\n', "utf-8")
    charlm("score", shared_run, "l.jsonl").refused("characters in Han script", "Latin script", code=2)
    assert json.loads(charlm("score", shared_run, "l.jsonl", "--allow-unknown").out)["id"] == 1


def test_lists_of_a_text_may_not_be_asked_for_their_view(charlm, shared_run):
    for option in ("--as-written", "--numerals", "--allow-unknown", "--sound"):
        charlm("score", shared_run, "-", "--format", "text", option, stdin="你好。\n").refused(option, code=2)


def test_sounds_are_named_scores_that_count_with_a_weight(charlm, shared_run):
    pytest.importorskip("pypinyin")
    Path("l.jsonl").write_text('{"id": 1, "hyps": [{"text": "做作业"}, {"text": "写作业"}]}\n', "utf-8")
    ended = charlm("score", shared_run, "l.jsonl", "--sound", "--lm-weight", 0, "--weight", "sound_distance=1")
    first, second = json.loads(ended.out)["hyps"]
    assert (first["text"], first["total"], second["total"]) == ("做作业", 0, -4)
    assert second["scores"]["sound_agreement"] == first["scores"]["sound_agreement"]


def test_the_sound_was_weighed_and_not_shown_beside_the_scores_of_several_runs(charlm, shared_run):
    pytest.importorskip("pypinyin")
    Path("l.jsonl").write_text('{"id": 1, "hyps": [{"text": "做作业"}, {"text": "写作业"}]}\n', "utf-8")
    ended = charlm("score", f"one={shared_run}", f"two={shared_run}", "l.jsonl", "--sound")
    for hyp in json.loads(ended.out)["hyps"]:
        assert {"one", "two", "sound_distance", "sound_agreement"} <= set(hyp["scores"])


def test_a_backward_run_ranks_lists_too(charlm):
    charlm("train", CORPORA / "everyday.zh.txt", "--reverse", "--model", "ngram", "--run", "run", "--quiet")
    ended = charlm("score", "run", LISTS, "--am-weight", 0)
    assert "CER of 20 lists" in ended.err and len(ended.out.splitlines()) == 20


def test_unknown_tokens_that_are_only_counted_broke_the_scores_of_several_runs(charlm, shared_run):
    Path("lists.jsonl").write_text(json.dumps({"id": 1, "hyps": [{"text": "鼯春"}, {"text": "春"}]}), "utf-8")
    options = ("lists.jsonl", "--allow-unknown", "--unknown", "counted")
    (alone,) = map(json.loads, charlm("score", shared_run, *options).out.splitlines())
    (named,) = map(json.loads, charlm("score", f"one={shared_run}", f"two={shared_run}", *options).out.splitlines())
    own = {hyp["text"]: hyp["scores"]["lm"] for hyp in alone["hyps"]}
    for hyp in named["hyps"]:
        assert hyp["scores"]["one"] == hyp["scores"]["two"] == pytest.approx(own[hyp["text"]], rel=1e-6)
