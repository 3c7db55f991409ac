import math
from pathlib import Path

import pytest
from tiny import LINES

from charlm.config.models import UnigramConfig
from charlm.config.networks import RecurrentConfig
from charlm.config.text import TextConfig
from charlm.config.training import TrainingConfig
from charlm.errors import ConfigError, TextError
from charlm.jobs import evaluate as evaluation
from charlm.jobs.evaluate import Evaluation, Result, compare
from charlm.jobs.train import train as train_run
from charlm.runs.layout import RunConfig
from charlm.scoring import Score


def result(run: str, nats: float, *, codec="a", context="line") -> Result:
    return Result(run, Score(nats=nats, tokens=10, characters=10), context, "lines", codec)


# ── comparing ───────────────────────────────────────────────────────────────────────────────────


def test_runs_are_ranked_by_bits_per_character():
    found = compare([result("worse", 20), result("best", 10), result("middle", 15)])
    assert [run for run, _, _ in found.ranking] == ["best", "middle", "worse"]
    assert [round(behind * math.log(2), 9) for _, _, behind in found.ranking] == [0, 0.5, 1.0]


def test_perplexities_of_one_vocabulary_compare():
    assert "perplexities compare as well" in compare([result("x", 1), result("y", 2)]).remark


def test_perplexities_of_different_vocabularies_are_not_ranked_and_the_reason_is_given():
    remark = compare([result("x", 1), result("y", 2, codec="b")]).remark
    assert remark.startswith("Not ranked by perplexity: the vocabularies differ")
    assert "Bits per character compare" in remark


def test_different_contexts_are_pointed_out():
    assert "contexts differ" in compare([result("x", 1), result("y", 2, context="carried")]).remark


# ── runs against a text ─────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def runs_of_both_kinds(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("evaluation")
    text = folder / "text.txt"
    text.write_text("\n".join([*LINES] * 10), "utf-8")
    training = TrainingConfig(steps=2, batch_size=2, window=8, device="cpu", precision="float32")
    network = RecurrentConfig(layers=1, hidden=4, embedding=4)
    found = {}
    for name, model, family, knobs in (
        ("network", "recurrent", network, {}),
        ("counts", "unigram", UnigramConfig(), {}),
        ("stream", "recurrent", network, {"reading": "stream"}),
    ):
        found[name] = folder / name
        config = RunConfig((str(text),), (str(text),), model, TextConfig(**knobs), family, training)
        train_run(config, found[name])
    return found


@pytest.fixture
def text(tmp_path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("春江花月夜\n月落𠮷啼\n", "utf-8")
    return path


def evaluation_of(text: Path, *, part=None, context=None) -> Evaluation:
    return Evaluation(str(text), TextConfig(), part, context, lambda _: None)


def test_a_text_is_measured_the_way_a_run_reads(runs_of_both_kinds, text):
    lines = evaluation_of(text).measure(runs_of_both_kinds["network"], "cpu")
    stream = evaluation_of(text).measure(runs_of_both_kinds["stream"], "cpu")
    assert (lines.context, lines.reading, lines.score.tokens) == ("line", "lines", 11)
    assert (stream.context, stream.reading, stream.score.tokens) == ("carried", "stream", 11)
    assert lines.score.characters == stream.score.characters == 11
    assert lines.score.unknown == 1 and lines.score.units == 2
    assert lines.codec != stream.codec


def test_runs_of_one_vocabulary_share_a_codec(runs_of_both_kinds, text):
    found = [evaluation_of(text).measure(runs_of_both_kinds[name], "cpu") for name in ("network", "counts")]
    assert "perplexities compare" in compare(found).remark


def test_the_context_can_be_another_one_than_in_training(runs_of_both_kinds, text):
    path = runs_of_both_kinds["network"]
    line, carried = (evaluation_of(text, context=context).measure(path, "cpu") for context in ("line", "carried"))
    assert (line.context, carried.context) == ("line", "carried")
    assert line.score.nats != carried.score.nats
    stream = evaluation_of(text, context="line").measure(runs_of_both_kinds["stream"], "cpu")
    assert stream.context == "carried"  # a stream has no lines
    assert stream.context_sentence == "carried through one continuous text"


@pytest.mark.parametrize("name", ["network", "counts", "stream"])
def test_records_of_tokens_add_up_to_the_score(runs_of_both_kinds, text, name):
    path = runs_of_both_kinds[name]
    records = list(evaluation_of(text).tokens(path, "cpu"))
    end = "\n" if name == "stream" else "<EOS>"
    assert [record["token"] for record in records] == [*"春江花月夜", end, *"月落𠮷啼", end]
    assert [record["place"] for record in records] == [*range(6), *range(5)]
    assert [record["document"] for record in records] == [0] * 6 + [1] * 5
    assert [record["token"] for record in records if not record["known"]] == ["𠮷"]
    nats = evaluation_of(text).measure(path, "cpu").score.nats
    assert -sum(record["log_prob"] for record in records) == pytest.approx(nats)


def test_a_result_has_stable_keys(runs_of_both_kinds, text):
    found = evaluation_of(text).measure(runs_of_both_kinds["counts"], "cpu").to_json()
    assert found["perplexity"] == pytest.approx(math.exp(found["nats"] / found["tokens"]))
    assert set(found) == {
        "run", "perplexity", "perplexity_known", "perplexity_charged", "bits_per_char", "nats_per_char", "nats",
        "unknown_nats", "units", "tokens", "characters", "unknown", "unknown_rate", "context", "reading", "exact",
        "precision",
    }  # fmt: skip


def test_parts_of_a_text_add_up_to_the_whole(runs_of_both_kinds, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("".join(f"春江{number}\n" for number in range(200)), "utf-8")
    path = runs_of_both_kinds["network"]
    parts = [evaluation_of(text, part=part).measure(path, "cpu").score for part in ("train", "valid", "test")]
    whole = evaluation_of(text).measure(path, "cpu").score
    assert sum(parts, Score()).tokens == whole.tokens
    assert sum(parts, Score()).nats == pytest.approx(whole.nats, rel=1e-6)


def test_an_empty_text_is_refused(runs_of_both_kinds, tmp_path):
    (tmp_path / "empty.txt").write_text("\n\n", "utf-8")
    with pytest.raises(TextError, match="holds no text"):
        evaluation_of(tmp_path / "empty.txt").measure(runs_of_both_kinds["counts"], "cpu")


@pytest.mark.parametrize("knobs", [{"part": "vaild"}, {"context": "lines"}], ids=str)
def test_what_nobody_knows_is_refused(text, knobs):
    with pytest.raises(ConfigError, match="is called") as caught:
        evaluation_of(text, **knobs)
    assert caught.value.hint.startswith("choose from")


def test_contexts_read_well():
    assert result("x", 1).context_sentence == "fresh for every line"
    assert result("x", 1, context="carried").context_sentence == "carried from line to line"
    assert evaluation.compare([result("x", 1)]).ranking[0][2] == 0
