"""`charlm fill`, and what a run that fills blanks is told of by the other commands."""

import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

import charlm as door
from charlm.cli.app import app
from commands.conftest import CORPORA, TINY

TEXT = CORPORA / "everyday.zh.txt"
KINDS = {
    "cloze": ("--model", "cloze", "--cell", "gru", "--skips"),
    "window": ("--model", "cloze-window", "--taps", 3),
}
SMALL = ("--hidden", 16, "--embedding", 8, "--batch-size", 4, "--window", 16, "--quiet", "--min-count", 2)


@pytest.fixture(scope="session")
def cloze_run(tmp_path_factory) -> Path:
    """A small run of missing words that tests only read."""
    folder = tmp_path_factory.mktemp("cloze")
    arguments = ["train", TEXT, *KINDS["cloze"], *SMALL, "--steps", 60, "--run", folder / "cloze"]
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.stderr
    return folder / "cloze"


# ── trained, resumed, shown ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", KINDS)
def test_a_cloze_model_is_trained_resumed_shown_checked_and_filled_with(charlm, kind):
    first = charlm("train", TEXT, *KINDS[kind], *SMALL, "--steps", 2, "--run", "run", "--json")
    told = json.loads(first.out)
    assert told["step"] == 2 and told["pseudo_perplexity"] > 1
    assert "perplexity" not in told and "bits_per_char" not in told
    again = charlm("train", "--resume", "run", "--steps", 3)
    assert "pseudo-perplexity" in again.err and " perplexity" not in again.err and "bits/char" not in again.err
    assert again.out.splitlines()[1].startswith("pseudo-perplexity")
    info = json.loads(charlm("run", "info", "run", "--json").out)
    assert info["kind"] == "cloze" and info["best"]["step"] in (2, 3)  # the processor's precision decides
    assert json.loads(Path("run/run.json").read_text("utf-8"))["step"] == 3
    assert info["best"]["valid_pseudo_nats"] > 0 and "valid_nats" not in info["best"]
    assert sum(info["parameters_of"].values()) == info["parameters"]
    shown = charlm("run", "info", "run").out
    assert "pseudo-perplexity" in shown and " perplexity" not in shown
    assert charlm("run", "check", "run").code == 0
    assert charlm("run", "plot", "run", "--text").code == 0
    lines = charlm("fill", "run", "我_做作业").out.splitlines()
    assert lines[0] == "我_做作业" and len(lines) == 6 and all(" %  " in line for line in lines[1:])


def test_a_dry_run_presets_and_other_weights_serve_a_cloze_model(charlm):
    options = ("train", TEXT, "--model", "cloze", "--preset", "tiny", "--min-count", 2)
    assert json.loads(charlm(*options, "--dry-run", "--json", "--quiet").out)["tokens"] > 0
    assert charlm(*options, "--steps", 1, "--run", "one", "--quiet").code == 0
    assert charlm(*options, "--steps", 1, "--init-from", "one", "--run", "two", "--quiet").code == 0
    charlm(*options, "--cell", "gru", "--steps", 1, "--init-from", "one", "--run", "three").refused("--cell lstm")
    causal = ("train", TEXT, "--preset", "tiny", "--min-count", 2, "--steps", 1, "--init-from", "one", "--run", "four")
    charlm(*causal).refused("only recurrent models have weights")


def test_a_stream_has_missing_words_too(charlm):
    options = ("--model", "cloze", "--reading", "stream", *TINY, "--steps", 2, "--run", "run")
    assert charlm("train", CORPORA / "village.en.txt", *options).code == 0
    found = json.loads(charlm("fill", "run", "the _erry", "--json", "--top", 3).out)
    assert [len(each["fills"][0]) for each in found["candidates"]] == [1, 1, 1]


@pytest.mark.parametrize("level", ["word", "mixed", "spaced"])
def test_words_are_missing_where_tokens_are_words(charlm, level):
    source, text = (
        (TEXT, "老师__作业。") if level != "spaced" else (CORPORA / "village.en.txt", "the __ is in the village")
    )
    options = ("--model", "cloze", "--level", level, *TINY, "--min-count", 2, "--steps", 2, "--run", "run")
    assert charlm("train", source, *options).code == 0
    found = json.loads(charlm("fill", "run", text, "--json", "--longest", 1).out)
    before, after = text.split("__")
    for each in found["candidates"]:
        assert each["text"] == before + each["fills"][0] + after and each["fills"][0]


# ── filling ─────────────────────────────────────────────────────────────────────────────────────


def test_candidates_come_with_probabilities_and_the_whole_text(charlm, cloze_run):
    (told,) = map(json.loads, charlm("fill", cloze_run, "他□学_", "--json", "--top", 7).out.splitlines())
    assert set(told) == {"text", "way", "candidates", "unknown"} and told["way"] == "both sides"
    assert len(told["candidates"]) == 7
    for each in told["candidates"]:
        assert set(each) == {"fills", "text", "log_prob", "probability"}
        assert each["text"] == f"他{each['fills'][0]}学{each['fills'][1]}"
        assert each["probability"] == pytest.approx(math.exp(each["log_prob"]))
    shares = [each["probability"] for each in told["candidates"]]
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) < 1


def test_a_blank_of_any_length_takes_words_of_any_length(charlm, cloze_run):
    told = json.loads(charlm("fill", cloze_run, "我想__。", "--json", "--top", 300).out)
    lengths = {len(each["fills"][0]) for each in told["candidates"]}
    assert {1, 2} <= lengths <= {1, 2, 3, 4}
    alone = json.loads(charlm("fill", cloze_run, "我想__。", "--json", "--longest", 1).out)
    assert {len(each["fills"][0]) for each in alone["candidates"]} == {1}
    full_width = json.loads(charlm("fill", cloze_run, "我想＿＿。", "--json", "--longest", 1).out)
    assert full_width["candidates"] == alone["candidates"]


def test_a_run_of_single_tokens_takes_a_blank_of_any_length_for_one(charlm):
    charlm("train", TEXT, *KINDS["cloze"], *SMALL, "--steps", 60, "--longest-blank", 1, "--run", "single")
    open_blank, known = (json.loads(charlm("fill", "single", f"我想{blank}。", "--json").out) for blank in ("__", "_"))
    assert open_blank["candidates"] == known["candidates"]
    assert {len(each["fills"][0]) for each in known["candidates"]} == {1}
    charlm("fill", "single", "我想__。", "--longest", 3).refused("learned blanks of one token alone", code=2)
    charlm("fill", "single", "我想__。", "--among", "我,他们").refused(
        "a candidate has 2 tokens", "name candidates of one", code=2
    )
    charlm("fill", "single", "我_□。").refused("2 tokens are missing", "one missing token at a time", code=2)


@pytest.mark.parametrize("among", ["我,他们,老师", "我，他们、老师", " 我, 他们 ,老师"])
def test_candidates_of_any_lengths_are_chosen_among(charlm, cloze_run, among):
    told = json.loads(charlm("fill", cloze_run, "老师批评了__。", "--among", among, "--json").out)
    assert {each["fills"][0] for each in told["candidates"]} == {"我", "他们", "老师"}
    means = [each["log_prob"] / (len(each["fills"][0]) + 1) for each in told["candidates"]]
    assert means == sorted(means, reverse=True)
    assert sum(each["probability"] for each in told["candidates"]) == pytest.approx(1)


def test_candidates_in_several_blanks_are_all_combined(charlm, cloze_run):
    told = json.loads(charlm("fill", cloze_run, "__和__", "--among", "我,你们", "--top", 9, "--json").out)
    assert sorted(each["text"] for each in told["candidates"]) == ["你们和你们", "你们和我", "我和你们", "我和我"]
    assert sum(each["probability"] for each in told["candidates"]) == pytest.approx(1)


def test_candidates_that_are_all_of_one_length_say_how_long_the_blank_is(charlm, cloze_run):
    one = ("--among", "我,你,他", "--json")
    open_blank, known = (json.loads(charlm("fill", cloze_run, f"老师{blank}。", *one).out) for blank in ("__", "_"))
    assert open_blank["candidates"] == known["candidates"]


def test_texts_come_from_arguments_files_and_stdin(charlm, cloze_run):
    Path("texts.txt").write_text("我_你\n\n他_了\n", "utf-8")
    from_file = charlm("fill", cloze_run, "--file", "texts.txt").out
    assert [line for line in from_file.splitlines() if not line.startswith(" ")] == ["我_你", "他_了"]
    assert charlm("fill", cloze_run, "我_你", "他_了").out == from_file
    assert charlm("fill", cloze_run, "-", stdin="我_你\n他_了\n").out == from_file
    best = charlm("fill", cloze_run, "--best", "我_你", "他_了").out.splitlines()
    firsts = [line.split()[-1] for line in from_file.splitlines() if line.startswith(" ")][::5]
    assert best == [f"我{firsts[0]}你", f"他{firsts[1]}了"]


def test_what_the_model_does_not_know_beside_a_blank_is_told_and_kept(charlm, cloze_run):
    ended = charlm("fill", cloze_run, "Ж_我")
    assert ended.code == 0 and "does not know Ж" in ended.err and ended.out.startswith("Ж_我")


# ── the exact way ───────────────────────────────────────────────────────────────────────────────


def test_a_language_model_scores_whole_sentences_and_says_so(charlm, shared_run):
    ended = charlm("fill", shared_run, "老师_我", "--json", "--candidates", 0)
    assert "whole sentences are scored" in ended.err and "slow" in ended.err
    told = json.loads(ended.out)
    assert told["way"] == "whole sentences"
    run = door.load(shared_run, "cpu")
    for each in told["candidates"]:
        assert run.score([each["text"]])[0].log_prob == pytest.approx(each["log_prob"], abs=1e-3)
    among = json.loads(charlm("fill", shared_run, "老师__我", "--among", "和,问过", "--json", "-q").out)
    scores = {text: run.score([f"老师{text}我"])[0].log_prob for text in ("和", "问过")}
    assert among["candidates"][0]["fills"] == [max(scores, key=scores.__getitem__)]
    assert sum(each["probability"] for each in among["candidates"]) == pytest.approx(1)


def test_counts_fill_blanks_as_well(charlm):
    assert charlm("train", TEXT, "--model", "ngram", "--order", 3, "--run", "counts", "-q").code == 0
    told = json.loads(charlm("fill", "counts", "做_业__", "--candidates", 20, "--longest", 1, "--json", "-q").out)
    assert told["candidates"][0]["text"].startswith("做作业")


# ── held-out blanks ─────────────────────────────────────────────────────────────────────────────


def test_runs_are_tested_on_the_same_tokens_that_were_taken_out(charlm, cloze_run):
    charlm("train", TEXT, "--model", "ngram", "--order", 3, "--vocab", cloze_run, "--run", "counts", "-q")
    test = ("--test", TEXT, "--count", 40, "--json")
    found = [json.loads(line) for line in charlm("fill", cloze_run, "counts", *test, "--whole").out.splitlines()]
    assert [each["way"] for each in found] == ["both sides", "before", "whole sentences"]
    for each in found:
        assert each["blanks"] == 40 and each["first"] <= each["among_five"]
        assert each["top1"] == each["first"] / 40 and each["top5"] == each["among_five"] / 40
    assert found[2]["top1"] > found[1]["top1"] > 0.2  # the counts have seen the text
    assert charlm("fill", cloze_run, *test).out == charlm("fill", cloze_run, *test).out
    assert charlm("fill", cloze_run, *test, "--seed", 2).code == 0
    assert "at once" in charlm("fill", cloze_run, "--test", TEXT, "--count", 5).out


def test_vocabularies_that_differ_are_told_where_runs_are_tested(charlm, cloze_run):
    charlm("train", TEXT, "--model", "unigram", "--min-count", 4, "--run", "few", "-q")
    charlm("train", TEXT, "--model", "unigram", "--vocab", cloze_run, "--run", "same", "-q")
    ended = charlm("fill", cloze_run, "few", "--test", TEXT, "--count", 5)
    assert ended.code == 0 and "different vocabularies" in ended.err and "each chooses among its own" in ended.err
    assert "different vocabularies" not in charlm("fill", cloze_run, "same", "--test", TEXT, "--count", 5).err


def test_runs_that_cut_a_text_otherwise_are_not_compared(charlm, cloze_run):
    charlm("train", TEXT, "--model", "unigram", "--level", "mixed", "--run", "mixed", "-q")
    charlm("train", TEXT, "--model", "unigram", "--reading", "stream", "--run", "stream", "-q")
    for other in ("mixed", "stream"):
        ended = charlm("fill", cloze_run, other, "--test", TEXT, "--count", 5, "--json")
        assert ended.code == 2 and "cuts a text into other tokens" in ended.err


# ── refused ─────────────────────────────────────────────────────────────────────────────────────

REFUSED = {
    "no blank": (["老师批评了我。"], ["nothing is missing in '老师批评了我。'", "write _"], 2),
    "nothing": ([""], ["an empty text has no blank"], 1),
    "white space": (["  "], ["an empty text has no blank"], 1),
    "no text": ([], ["no text was given"], 2),
    "too long": (["我" * 3000 + "_"], ["3,001 tokens", "may have 2,000", "cut it"], 1),
    "too much missing": (["□" * 65], ["65 tokens are missing", "at most 64"], 1),
    "an unknown candidate": (["我__", "--among", "你,Ж"], ["does not know Ж of the candidate 'Ж'"], 2),
    "an empty candidate": (["我__", "--among", "你,,他"], ["an empty candidate"], 2),
    "a candidate twice": (["我__", "--among", "你,你"], ["'你' comes twice"], 2),
    "a long candidate": (["我_", "--among", "你,他们"], ["'他们' has 2 tokens, and 1 are missing"], 2),
    "too many ways": (["_" * 1 + "我_" * 13, "--among", "你,他"], ["16,384 ways"], 2),
    "no candidates shown": (["我_", "--top", "0"], ["--top must be from 1 to 1,000, not 0"], 2),
    "no length": (["我__", "--longest", "0"], ["--longest must be from 1 to 50"], 2),
    "whole without a test": (["我_", "--whole"], ["--whole is for --test"], 2),
    "a test of candidates": (["--test", str(TEXT), "--among", "我"], ["--among with --test"], 2),
    "a missing file": (["--file", "none.txt"], ["none.txt"], 1),
    "no bytes of text": ([b"\xff_".decode("utf-8", "surrogateescape")], ["is not UTF-8 text"], 1),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_impossible_requests_are_refused(charlm, cloze_run, kind):
    arguments, words, code = REFUSED[kind]
    charlm("fill", cloze_run, *arguments).refused(*words, code=code)


def test_a_line_without_a_blank_is_named_and_what_came_before_it_is_kept(charlm, cloze_run):
    ended = charlm("fill", cloze_run, "-", "--best", stdin="我_你\n他了\n她_了\n")
    assert ended.code == 2 and "standard input:2: nothing is missing in '他了'" in ended.err
    assert len(ended.out.splitlines()) == 1
    Path("empty.txt").write_text("\n\n", "utf-8")
    charlm("fill", cloze_run, "--file", "empty.txt").refused("empty.txt holds no text")


def test_whoever_foretells_says_that_a_cloze_run_fills(charlm, cloze_run):
    told = ["fills blanks", "charlm fill", "__"]
    charlm("sample", cloze_run).refused(*told, code=2)
    charlm("eval", cloze_run, TEXT).refused(*told, code=2)
    charlm("run", "mix", cloze_run, cloze_run, "--tune", TEXT, "--run", "mixed").refused(*told, code=2)
    charlm("run", "export", cloze_run, "--to", "arpa", "-o", "x.arpa").refused(*told, code=2)
    assert not Path("mixed").exists() and not Path("x.arpa").exists()


def test_a_cloze_run_gives_a_score_named_pll_for_reranking_and_no_log_probability(charlm, cloze_run):
    run = door.load_cloze(cloze_run, "cpu")
    told = json.loads(charlm("score", cloze_run, "-", "--format", "text", "--json", stdin="我们做作业。\n").out)
    assert set(told) == {"text", "pll", "charged", "tokens", "unknown"}
    assert told["pll"] == pytest.approx(run.score(["我们做作业。"])[0].pll)
    lists = [{"id": "u", "ref": "做作业", "hyps": [{"text": text, "scores": {"am": am}} for text, am in
             (("做做业", -1.0), ("做作业", -1.5))]}]  # fmt: skip
    Path("lists.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lists), "utf-8")
    ended = charlm("score", cloze_run, "lists.jsonl", "--report", "report.json", "--lm-weight", 2)
    (found,) = map(json.loads, ended.out.splitlines())
    scores = {each.pop("text"): each for each in found["hyps"]}
    for text, each in scores.items():
        assert set(each["scores"]) == {"am", "pll"}
        assert each["scores"]["pll"] == pytest.approx(run.score([run.habitual(text)])[0].charged, abs=1e-4)
        assert each["total"] == pytest.approx(each["scores"]["am"] + 2 * each["scores"]["pll"], abs=1e-4)
    formula = json.loads(Path("report.json").read_text("utf-8"))["formula"]
    assert "2·pll" in formula and "lm" not in formula
    again = charlm("score", cloze_run, "lists.jsonl", "--weight", "pll=0.5", "--report", "again.json")
    assert again.code == 0 and "0.5·pll" in json.loads(Path("again.json").read_text("utf-8"))["formula"]
    Path("plain.txt").write_text("做做业\n做作业\n", "utf-8")
    shown = charlm("score", cloze_run, "plain.txt", "--format", "plain").out
    assert "pll" in shown and "lm" not in shown.replace("pll", "")


def test_carried_lines_are_not_for_a_cloze_model(charlm, tmp_path):
    options = ("--model", "cloze", "--context", "carried", "--steps", 1, "--run", "run")
    charlm("train", TEXT, *options).refused("--context carried is for models that read on", "--reading stream", code=2)
    charlm("train", TEXT, "--model", "cloze", "--ar", 1, "--run", "run").refused(
        "--ar is for --model recurrent", code=2
    )
    assert list(tmp_path.iterdir()) == []


# ── from Python ─────────────────────────────────────────────────────────────────────────────────


def test_the_door_fills_and_loads_either_kind_as_what_it_is(cloze_run, shared_run):
    (filled,) = door.fill(cloze_run, ["我_你"], top=2, device="cpu")
    assert len(filled.candidates) == 2 and filled.way == "both sides"
    assert door.fill(shared_run, ["我_你"], candidates=5, device="cpu")[0].way == "whole sentences"
    run = door.load_cloze(cloze_run, "cpu")
    assert isinstance(run, door.ClozeRun)
    (found,) = run.score(["我们做作业。"])
    assert found.pll < 0 and found.tokens == 6 and found.charged == found.pll
    with pytest.raises(door.CharlmError, match="fills blanks"):
        door.load(cloze_run, "cpu")
    with pytest.raises(door.CharlmError, match="reads from one side"):
        door.load_cloze(shared_run, "cpu")
    with pytest.raises(door.CharlmError, match="one string"):
        door.fill(cloze_run, "我_你")
    with pytest.raises(door.CharlmError, match="unknown knob 'tops'"):
        door.fill(cloze_run, ["我_你"], tops=3)


# ── what was wrong beside the other commands ────────────────────────────────────────────────────

LISTS = CORPORA / "homework.nbest.jsonl"


def test_a_cloze_model_was_trained_backwards_which_says_nothing(charlm):
    ended = charlm("train", TEXT, "--model", "cloze", "--reverse", *SMALL, "--steps", 1, "--run", "run")
    ended.refused("--reverse is for models that read in one direction", "leave it out", code=2)
    assert not Path("run").exists()


def test_an_end_that_a_cloze_run_says_nothing_of_was_added_to_the_surprise(charlm, cloze_run):
    options = ("nbest", "explain", f"both={cloze_run}", LISTS, "--id", "hw-1")
    assert "<EOS>" not in charlm(*options).out
    for hyp in json.loads(charlm(*options, "--json").out)["hyps"]:
        read = hyp["surprisal"]["both"]
        assert "".join(token for token, _ in read).startswith(hyp["text"])
    text = "我们坐在家里"
    Path("one.jsonl").write_text(json.dumps({"id": 1, "hyps": [{"text": text}]}), "utf-8")
    told = json.loads(charlm("nbest", "explain", f"both={cloze_run}", "one.jsonl", "--id", 1, "--json").out)["hyps"][0]
    assert -sum(nats for _, nats in told["surprisal"]["both"]) == pytest.approx(told["parts"]["both"], rel=1e-6)


def test_the_vectors_of_a_cloze_run_were_refused(charlm, cloze_run):
    ended = charlm("embed", "export", cloze_run, "-o", "v.txt")
    assert ended.code == 0, ended.err
    vocabulary = json.loads(charlm("run", "info", cloze_run, "--json").out)["vocab_size"]
    assert Path("v.txt").read_text("utf-8").split(maxsplit=2)[:2] == [str(vocabulary), "8"]
