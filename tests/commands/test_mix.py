"""`charlm run mix`, and what the other commands make of a mixture."""

import json
import math
import shutil
from pathlib import Path

import pytest
import small  # noqa: F401  one thread
from typer.testing import CliRunner

from charlm.cli.app import app
from charlm.cli.console import figure
from charlm.config.text import TextConfig
from charlm.text import files as text
from commands.conftest import CORPORA, TINY

EVERYDAY = CORPORA / "everyday.zh.txt"
LISTS = CORPORA / "homework.nbest.jsonl"


def run_once(*arguments: object) -> None:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.stderr


@pytest.fixture(scope="session")
def counts(shared_run, tmp_path_factory) -> Path:
    """An n-gram run over the vocabulary of `shared_run`."""
    path = tmp_path_factory.mktemp("counts") / "bigrams"
    run_once("train", EVERYDAY, "--model", "ngram", "--order", 2, "--vocab", shared_run, "--run", path, "--quiet")
    return path


@pytest.fixture(scope="session")
def tune(tmp_path_factory) -> Path:
    """The part of the corpus that is held back from training."""
    path = tmp_path_factory.mktemp("tune") / "valid.txt"
    documents = text.part([str(EVERYDAY)], TextConfig(), "valid", note=lambda _: None)
    path.write_text("".join(document + "\n" for document in documents), "utf-8")
    return path


@pytest.fixture(scope="session")
def mixture(shared_run, counts, tune, tmp_path_factory) -> Path:
    """A mixture that tests only read."""
    path = tmp_path_factory.mktemp("mixture") / "mix"
    run_once("run", "mix", shared_run, counts, "--tune", tune, "--run", path, "--quiet")
    return path


def refuse_constant(name: str) -> float:
    raise AssertionError(f"{name} is no JSON")


def strict(line: str) -> dict:
    """An object of JSON as other programs read it, without NaN and Infinity."""
    return json.loads(line, parse_constant=refuse_constant)


def here() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


# ── mixing ──────────────────────────────────────────────────────────────────────────────────────


def test_a_mixture_tells_its_members_their_weights_and_what_it_is_worth(charlm, shared_run, counts, tune):
    ended = charlm("run", "mix", shared_run, counts, "--tune", tune, "--run", "runs/mix")
    assert ended.code == 0, ended.err
    rows = dict(line.split(maxsplit=1) for line in ended.out.splitlines())
    assert rows["run"] == "runs/mix" and set(rows) == {"run", "1-run", "2-bigrams", "mixture", "weights"}
    assert "weight 0." in rows["1-run"] and "alone" in rows["2-bigrams"]
    assert "tokens that the weights were tuned on" in rows["mixture"]
    assert rows["weights"].startswith("for each of 7 classes of contexts")
    assert ended.err == ""
    assert here() == ["runs"] and [path.name for path in Path("runs").iterdir()] == ["mix"]


def test_json_is_one_object_with_stable_keys(charlm, shared_run, counts, tune):
    ended = charlm("run", "mix", shared_run, counts, "--tune", tune, "--run", "mix", "--json")
    told = strict(ended.out)
    assert set(told) == {"run", "nats", "perplexity", "tokens", "classes", "members"}
    assert [set(member) for member in told["members"]] == [{"member", "weight", "nats"}] * 2
    assert sum(member["weight"] for member in told["members"]) == pytest.approx(1)
    assert told["perplexity"] == pytest.approx(math.exp(told["nats"]))
    assert told["nats"] <= min(member["nats"] for member in told["members"])
    evaluated = strict(charlm("eval", "mix", tune, "--json").out)
    assert (evaluated["tokens"], evaluated["nats"] / evaluated["tokens"]) == (
        told["tokens"],
        pytest.approx(told["nats"], rel=1e-6),
    )


def test_a_cache_that_holds_a_token_impossible_is_no_broken_json(charlm, counts, tune):
    ended = charlm("run", "mix", counts, "--tune", tune, "--run", "mix", "--cache", 20, "--json")
    told = strict(ended.out)
    assert [member["member"] for member in told["members"]] == ["1-bigrams", "cache"]
    strict(charlm("eval", "mix", tune, "--json").out)
    assert "cache" in charlm("eval", "mix", tune).out


def test_one_run_or_the_same_run_twice_is_not_mixed_without_a_word(charlm, shared_run, counts, tune):
    def told(*members: object) -> str:
        name = str(len(list(Path().iterdir())))
        ended = charlm("run", "mix", *members, "--tune", tune, "--run", name)
        assert ended.code == 0, ended.err
        return ended.err

    assert f"{counts} alone is no mixture" in told(counts)
    assert told(counts, "--cache", 20) == ""
    assert "alone is no mixture" in told(counts, "--neural-cache", 20)  # which only a network can have
    shutil.copytree(counts, "copy")
    for other in (counts, f"{counts}/../{counts.name}", "copy"):
        assert "is the same run as 1-bigrams" in told(counts, shared_run, other)


def test_options_say_how_it_is_mixed(charlm, shared_run, counts, tune):
    def mixed(*options: object) -> dict:
        name = "-".join(map(str, options)).strip("-")
        ended = charlm("run", "mix", shared_run, counts, "--tune", tune, "--run", name, *options)
        assert ended.code == 0, ended.err
        assert ("neural cache with theta" in ended.err) == ("--neural-cache" in options)
        assert charlm("run", "check", name).code == 0
        return {"rows": ended.out, **strict(charlm("run", "info", name, "--json").out)["knobs"]["mixture"]}

    assert "for all contexts" in mixed("--global")["rows"]
    assert "7 classes" in mixed("--by-context")["rows"]
    found = mixed("--cache", 15, "--cache-decay", 0.9)
    assert (found["cache"], found["cache_decay"]) == (15, 0.9) and "\ncache" in found["rows"]
    assert mixed("--neural-cache", 12, "--global")["neural_cache"] == 12


def test_the_text_may_come_from_stdin_and_in_another_encoding(charlm, counts):
    ended = charlm("run", "mix", counts, "--tune", "-", "--run", "a", "--json", stdin="你好。\n")
    assert strict(ended.out)["tokens"] == 4
    Path("gb.txt").write_bytes("你好，再见。\n".encode("gb18030"))
    ended = charlm("run", "mix", counts, "--tune", "gb.txt", "--run", "b", "--json", "--encoding", "gb18030")
    assert strict(ended.out)["tokens"] == 7
    Path("t.jsonl").write_text('{"say": "你好"}\n', "utf-8")
    ended = charlm("run", "mix", counts, "--tune", "t.jsonl", "--run", "c", "--json", "--field", "say")
    assert strict(ended.out)["tokens"] == 3


def test_a_mixture_of_a_mixture_is_a_mixture(charlm, mixture, counts, tune):
    ended = charlm("run", "mix", mixture, counts, "--tune", tune, "--run", "nested")
    assert ended.code == 0 and "1-mix" in ended.out
    assert charlm("run", "check", "nested").code == 0
    assert "1-mix (mixture, weight" in charlm("run", "info", "nested").out
    one, other = (strict(charlm("eval", run, tune, "--json").out) for run in ("nested", mixture))
    assert one["bits_per_char"] == pytest.approx(other["bits_per_char"], abs=0.01)  # it can hardly be better
    assert charlm("sample", "nested", "--max-tokens", 3).code == 0


# ── using one ───────────────────────────────────────────────────────────────────────────────────


def test_evaluating_shows_the_members_and_the_gain(charlm, mixture, shared_run, counts):
    ended = charlm("eval", mixture, EVERYDAY, "--part", "test")
    assert ended.code == 0
    for name in ("1-run", "2-bigrams"):
        assert any(line.startswith(f"  {name} ") and line.endswith(", alone") for line in ended.out.splitlines())
    told, *alone = (
        strict(charlm("eval", run, EVERYDAY, "--part", "test", "--json").out) for run in (mixture, shared_run, counts)
    )
    sums = {"nats", "unknown_nats", "units", "tokens", "characters", "unknown"}  # of shards, these add
    assert [set(member) for member in told["members"]] == [{"member", "perplexity", "bits_per_char"} | sums] * 2
    for member, run in zip(told["members"], alone, strict=True):
        assert member["perplexity"] == pytest.approx(run["perplexity"], rel=1e-6)
        assert member["bits_per_char"] == pytest.approx(run["bits_per_char"], rel=1e-6)
    best = min(run["bits_per_char"] for run in alone)
    assert told["gain_bits_per_char"] == pytest.approx(best - told["bits_per_char"]) and told["gain_bits_per_char"] > 0
    assert f"gain                {told['gain_bits_per_char']:.3f} bits per character" in ended.out
    assert set(told) - {"members", "gain_bits_per_char"} == set(alone[0])
    assert "members" not in alone[0]


def test_a_mixture_is_compared_with_other_runs(charlm, mixture, counts):
    ended = charlm("eval", counts, mixture, EVERYDAY, "--part", "test")
    assert f"1. {mixture}" in ended.out and "The vocabularies are the same" in ended.out


def test_a_gain_of_next_to_nothing_is_not_shown_as_below_zero():
    assert figure(-4e-9, 3) == "0.000"
    assert figure(-0.0006, 3) == "-0.001"


def test_per_token_output_sums_to_the_total(charlm, mixture):
    Path("a.txt").write_text("他在做作业。\nΩ\n", "utf-8")
    records = [strict(line) for line in charlm("eval", mixture, "a.txt", "--per-token").out.splitlines()]
    told = strict(charlm("eval", mixture, "a.txt", "--json").out)
    assert -sum(record["log_prob"] for record in records) == pytest.approx(told["nats"], rel=1e-6)
    assert len(records) == told["tokens"] == 9


def test_a_mixture_samples_and_scores(charlm, mixture):
    options = ("--prompt", "他在", "--count", 3, "--max-tokens", 6, "--seed", 4)
    first = charlm("sample", mixture, *options)
    assert first.code == 0 and len(first.out.splitlines()) == 3
    assert charlm("sample", mixture, *options, "--batch-size", 1).out == first.out
    rows = charlm("score", mixture, "-", "--format", "text", stdin="他在做作业。\n他在做坐业。\n").out.splitlines()
    right, wrong = (float(row.split("\t")[0]) for row in rows)
    assert right > wrong


def test_a_mixture_reranks_lists_better_than_chance(charlm, mixture):
    ended = charlm("score", mixture, LISTS, "--report", "r.json")
    told = json.loads(Path("r.json").read_text("utf-8"))
    assert told["reranked"] < told["first"] and len(ended.out.splitlines()) == told["utterances"]


def test_info_tells_where_it_comes_from(charlm, mixture, shared_run, tune):
    ended = charlm("run", "info", mixture)
    assert ended.code == 0 and "1-run (recurrent, weight 0." in ended.out and "2-bigrams (ngram, weight 0." in ended.out
    told = strict(charlm("run", "info", mixture, "--json").out)
    assert (told["model"], told["ended"], told["tuned"]["on"]) == ("mixture", "it was mixed", str(tune))
    assert told["members"][0]["from"] == str(shared_run)
    assert told["parameters"] == strict(charlm("run", "info", shared_run, "--json").out)["parameters"]


def test_check_passes_a_sound_mixture_and_names_a_changed_member(charlm, mixture):
    path = Path(shutil.copytree(mixture, "mix"))
    ended = charlm("run", "check", path)
    assert ended.code == 0 and "ok   members" in ended.out and "BAD" not in ended.out
    config = path / "members" / "2-bigrams" / "config.json"
    config.write_text(config.read_text("utf-8") + "\n", "utf-8")
    ended = charlm("run", "check", path)
    assert ended.code == 1 and "1 of 6 checks failed" in ended.err
    assert "BAD  members, whole and as they were: " in ended.out and "2-bigrams: config.json" in ended.out


def test_a_moved_mixture_needs_nothing_that_it_was_made_of(charlm, shared_run, counts, tune):
    for path in (shared_run, counts):
        shutil.copytree(path, path.name)
    charlm("run", "mix", "run", "bigrams", "--tune", tune, "--run", "mix", "--quiet")
    before = charlm("eval", "mix", EVERYDAY, "--part", "test").out
    for name in ("run", "bigrams"):
        shutil.rmtree(name)
    Path("mix").rename("moved")
    assert charlm("eval", "moved", EVERYDAY, "--part", "test").out == before
    assert charlm("sample", "moved", "--max-tokens", 3).code == 0
    assert charlm("score", "moved", "-", stdin="你好。\n").code == 0
    assert charlm("run", "check", "moved").code == 0


# ── refusals ────────────────────────────────────────────────────────────────────────────────────


def test_bad_requests_are_refused_and_leave_nothing(charlm, shared_run, counts, tune):
    Path("empty.txt").write_text("\n \n", "utf-8")
    Path("taken").mkdir()
    charlm("vocab", EVERYDAY, "--output", "vocab")
    before = here()

    def mix(*members: object, tune: object = tune, run: str = "mix", options: tuple = ()):
        return charlm("run", "mix", *members, "--tune", tune, "--run", run, *options)

    mix(shared_run, counts, tune="empty.txt").refused("empty.txt holds no text")
    mix(shared_run, counts, tune="none.txt").refused("no such file: none.txt")
    mix(shared_run, counts, run="taken").refused("taken exists already")
    mix(shared_run, counts, run="empty.txt/below").refused("cannot write")
    mix(shared_run, "nowhere").refused("no run directory at nowhere")
    mix(shared_run, "taken").refused("taken is no run directory")
    mix(shared_run, "vocab").refused("holds a vocabulary, not a run")
    mix(counts, options=("--cache", -1)).refused("--cache must be from 0", code=2)
    mix(counts, options=("--cache", 2000000)).refused("--cache must be from 0 to 1,000,000", code=2)
    mix(counts, options=("--neural-cache", -1)).refused("--neural-cache", code=2)
    mix(counts, options=("--cache-decay", 0)).refused("--cache-decay must be above 0", code=2)
    mix(counts, options=("--encoding", "utf-99")).refused("utf-99")
    assert mix().code == 2  # no member at all
    assert charlm("run", "mix", counts, "--run", "mix").code == 2  # no text
    assert here() == before


def test_runs_that_do_not_go_together_are_refused(charlm, shared_run, counts, tune):
    charlm("train", tune, "--valid", tune, "--model", "ngram", "--order", 2, "--run", "foreign")
    carried = ("--model", "ngram", "--order", 2, "--vocab", shared_run, "--context", "carried", "--run", "carried")
    charlm("train", EVERYDAY, *carried)
    for other, words in [
        ("foreign", ("different vocabularies", "--vocab")),
        ("carried", ("line to line", "--context")),
    ]:
        ended = charlm("run", "mix", shared_run, counts, other, "--tune", tune, "--run", "mix")
        ended.refused(*words, code=2)
    assert here() == ["carried", "foreign"]


def test_figures_too_large_to_be_written_out_are_no_bug(charlm):
    Path("low.arpa").write_text(
        "\\data\\\nngram 1=4\n\n\\1-grams:\n-99\t<s>\n-1\t</s>\n-400\t<unk>\n-0.1\ta\n\n\\end\\\n", "utf-8"
    )
    charlm("run", "import", "low.arpa", "--run", "low")
    Path("t.txt").write_text("b" * 60, "utf-8")
    for options in ((), ("--json",)):
        ended = charlm("run", "mix", "low", "low", "--tune", "t.txt", "--run", f"mix{len(options)}", *options)
        assert ended.code == 0, ended.err
    strict(ended.out)


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_mixture_is_mixed_and_not_trained(charlm, dry):
    ended = charlm("train", EVERYDAY, "--model", "mixture", "--run", "mix", *dry)
    ended.refused("charlm run mix RUN RUN", code=2)
    assert here() == []


def test_what_other_models_can_do_and_a_mixture_cannot_is_refused(charlm, mixture):
    charlm("train", EVERYDAY, "--config", mixture / "config.json", "--run", "mix").refused("charlm run mix", code=2)
    charlm("train", "--resume", mixture).refused("cannot go on")
    charlm("train", EVERYDAY, *TINY, "--init-from", mixture, "--run", "mix").refused("only recurrent")
    charlm("run", "export", mixture, "-o", "m.arpa").refused("mixture model", code=2)
    assert here() == []
