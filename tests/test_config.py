import dataclasses
import json
import math

import pytest
from typer.main import get_command

from charlm.cli.app import app
from charlm.config.knobs import build, fields_of, help_of
from charlm.config.models import MODELS, NgramConfig, UnigramConfig
from charlm.config.networks import JordanConfig, NarxConfig, RecurrentConfig, WindowConfig
from charlm.config.sampling import SamplingConfig
from charlm.config.settings import read_file
from charlm.config.text import TextConfig
from charlm.config.training import PRESETS, TrainingConfig, suited
from charlm.errors import ConfigError
from charlm.jobs.settle import settle

NETWORKS = [RecurrentConfig, WindowConfig, JordanConfig, NarxConfig]
PAGES = [TextConfig, *NETWORKS, NgramConfig, UnigramConfig, TrainingConfig, SamplingConfig]
NAN, INF = math.nan, math.inf


@pytest.fixture
def settings(tmp_path):
    """Read the settings of a file with this content."""

    def read(content: str, name: str = "a.toml") -> dict:
        (tmp_path / name).write_text(content, encoding="utf-8")
        return read_file(tmp_path / name)

    return read


# ── laws ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("page", "name"), [(page, field.name) for page in PAGES for field in dataclasses.fields(page)])
def test_every_knob_has_a_sentence_of_help(page, name):
    assert help_of(page, name)[-1] in ".]"


@pytest.mark.parametrize(("page", "name"), [(page, field.name) for page in PAGES for field in dataclasses.fields(page)])
def test_every_knob_stands_in_a_panel(page, name):
    assert fields_of(page)[name].metadata["panel"]


def test_every_knob_of_a_model_that_is_trained_is_an_option_of_train_with_its_default_and_panel():
    options = {option.name: option for option in get_command(app).commands["train"].params}
    trained = [about.page for about in MODELS.values() if about.learns != "mixing"]
    for page in (TextConfig, *trained, TrainingConfig):
        for field in dataclasses.fields(page):
            assert help_of(page, field.name) in options[field.name].help
            assert options[field.name].rich_help_panel == field.metadata["panel"]
            assert field.default is None or "[default: " in options[field.name].help


@pytest.mark.parametrize("page", PAGES)
def test_defaults_are_possible_and_cannot_be_changed(page):
    made = build(page)
    assert made == page()
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.seed = 7


@pytest.mark.parametrize("page", PAGES)
def test_what_a_run_keeps_of_a_page_builds_it_again(page):
    kept = json.loads(json.dumps(dataclasses.asdict(page())))
    assert build(page, kept) == page()


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_made_of_knobs_and_possible(preset):
    known = {field.name for page in (RecurrentConfig, TrainingConfig) for field in dataclasses.fields(page)}
    assert PRESETS[preset].keys() <= known
    for precision in ("float32", "bf16"):
        build(RecurrentConfig, suited(PRESETS[preset], precision))
        build(TrainingConfig, suited(PRESETS[preset], precision))


# ── layers ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("faster", "knobs", "rows"),
    [
        (True, {}, 32),
        (False, {}, 16),
        (True, {"precision": "float32"}, 16),
        (True, {"batch_size": 24}, 24),
        (True, {"precision": None, "device": None, "batch_size": None}, 32),
    ],
    ids=str,
)
def test_a_preset_takes_as_many_rows_as_suit_the_precision_of_the_machine(monkeypatch, faster, knobs, rows):
    monkeypatch.setattr("charlm.training.devices._multiplies_faster", lambda: faster)
    monkeypatch.setattr("charlm.training.devices.bf16_fault", lambda *_: None)
    settled = settle(["t.txt"], preset="base", knobs={"device": "cpu", **knobs})
    assert settled.training.batch_size == rows


def test_a_precision_that_is_asked_for_is_tried_on_the_network_that_it_is_for(monkeypatch):
    def tried(*_):
        raise AssertionError("an LSTM, which may lack a kernel that another cell does not need")

    monkeypatch.setattr("charlm.training.devices.bf16_fault", tried)
    settled = settle(["t.txt"], preset="base", knobs={"precision": "bf16", "cell": "lstm-capped"})
    assert settled.training.batch_size == 32


def test_processes_that_share_a_step_agree_on_its_rows(monkeypatch):
    def timed(*_):
        raise AssertionError("which might say one thing to one process and another to the next")

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("charlm.training.devices.choose_precision", timed)
    assert settle(["t.txt"], preset="base").training.batch_size == 32
    assert settle(["t.txt"], preset="base", knobs={"precision": "float32"}).training.batch_size == 16


def test_a_device_and_a_precision_that_are_none_are_told_of_with_a_preset_too():
    with pytest.raises(ConfigError, match="--device nowhere"):
        settle(["t.txt"], preset="base", knobs={"device": "nowhere"})
    with pytest.raises(ConfigError, match="half"):
        settle(["t.txt"], preset="base", knobs={"precision": "half"})


def test_later_layers_win_and_none_is_not_asked_for():
    made = build(RecurrentConfig, {"hidden": 8, "layers": 3}, {"hidden": 16, "layers": None}, {"embedding": 4})
    assert (made.hidden, made.layers, made.embedding, made.cell) == (16, 3, 4, "lstm")


def test_settings_of_other_pages_are_passed_over():
    assert build(RecurrentConfig, {"window": 8, "hidden": 4}).hidden == 4


@pytest.mark.parametrize(
    ("page", "name", "value", "problem"),
    [
        (RecurrentConfig, "hidden", "64", "expected int"),
        (RecurrentConfig, "hidden", 64.0, "expected int"),
        (RecurrentConfig, "hidden", True, "expected int"),
        (RecurrentConfig, "dropout", "0.1", "expected float"),
        (RecurrentConfig, "dropout", False, "expected float"),
        (RecurrentConfig, "tied", 1, "expected bool"),
        (RecurrentConfig, "cell", "lsmt", "did you mean lstm?"),
        (RecurrentConfig, "cell", ["lstm"], "did you mean lstm?"),
        (TextConfig, "max_size", [9], "expected int"),
        (TextConfig, "encoding", 8, "expected str"),
        (TextConfig, "context", "lines", "did you mean line?"),
        (TrainingConfig, "epochs", {}, "expected float"),
        (TrainingConfig, "seed", 1 << 63, "at most 2^63 - 1"),
        (TrainingConfig, "clip", 1 << 63, "at most 2^63 - 1"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(page, name, value, problem):
    with pytest.raises(ConfigError) as caught:
        build(page, {name: value})
    assert str(caught.value) == f"{name} = {value!r}: {problem}"


def test_a_whole_number_will_do_for_a_fraction():
    assert build(TrainingConfig, {"epochs": 3, "clip": 2}).epochs == 3


def test_all_wrong_types_are_told_together():
    with pytest.raises(ConfigError, match=r"hidden = '64': expected int; dropout = 'x': expected float"):
        build(RecurrentConfig, {"hidden": "64"}, {"dropout": "x"})


# ── impossible options ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("page", "options", "named"),
    [
        (TextConfig, {"reading": "stream", "context": "line"}, ["--reading stream", "--context line"]),
        (TextConfig, {"min_count": 0}, ["--min-count"]),
        (TextConfig, {"max_size": 2}, ["--max-size"]),
        (TextConfig, {"coverage": 0.0}, ["--coverage"]),
        (TextConfig, {"coverage": 1.1}, ["--coverage"]),
        (TextConfig, {"coverage": NAN}, ["--coverage"]),
        (TextConfig, {"user_dict": "words.txt"}, ["--user-dict", "--level word"]),
        (RecurrentConfig, {"layers": 0}, ["--layers"]),
        (RecurrentConfig, {"hidden": 0}, ["--hidden"]),
        (RecurrentConfig, {"embedding": -1}, ["--embedding"]),
        (RecurrentConfig, {"dropout": 1.0}, ["--dropout"]),
        (RecurrentConfig, {"dropout": -0.1}, ["--dropout"]),
        (RecurrentConfig, {"dropout": NAN}, ["--dropout"]),
        (
            RecurrentConfig,
            {"peepholes": "i"},
            ["--peepholes is for --cell lstm-peephole and lstm-coupled"],
        ),
        (RecurrentConfig, {"cell": "gru", "full_peepholes": False}, ["--full-peepholes is for --cell lstm-peephole"]),
        (RecurrentConfig, {"cell": "lstm-peephole", "peepholes": "ix"}, ["takes letters of ifo, each once", "'ix'"]),
        (RecurrentConfig, {"cell": "lstm-peephole", "peepholes": "ii"}, ["takes letters of ifo, each once", "'ii'"]),
        (RecurrentConfig, {"cell": "lstm-peephole", "peepholes": ""}, ["takes letters of ifo"]),
        (RecurrentConfig, {"cell": "lstm-coupled", "peepholes": "ifo"}, ["letters of fo", "1 minus its forget gate"]),
        (RecurrentConfig, {"cell": "lstm-coupled", "full_peepholes": True}, ["lstm-coupled has none of its own"]),
        (WindowConfig, {"taps": 0, "sampled": 1.0}, ["--taps must be at least 1", "--sampled"]),
        (
            NarxConfig,
            {"taps": 1001, "output_taps": 0},
            ["--taps must be at most 1000", "--output-taps must"],
        ),
        (JordanConfig, {"layers": 101}, ["--layers must be at most 100"]),
        (UnigramConfig, {"add_k": 0.0}, ["--add-k"]),
        (UnigramConfig, {"add_k": NAN}, ["--add-k"]),
        (UnigramConfig, {"add_k": INF}, ["--add-k"]),
        (TrainingConfig, {"epochs": 1.0, "steps": 5}, ["--epochs and --steps"]),
        (TrainingConfig, {"epochs": 0.0}, ["--epochs"]),
        (TrainingConfig, {"epochs": INF}, ["--epochs"]),
        (TrainingConfig, {"steps": -1}, ["--steps"]),
        (TrainingConfig, {"minutes": NAN}, ["--minutes"]),
        (TrainingConfig, {"minutes": INF}, ["--minutes"]),
        (TrainingConfig, {"batch_size": 0}, ["--batch-size"]),
        (TrainingConfig, {"window": 0}, ["--window"]),
        (TrainingConfig, {"learning_rate": 0.0}, ["--learning-rate"]),
        (TrainingConfig, {"learning_rate": INF}, ["--learning-rate"]),
        (TrainingConfig, {"warmup": 1.0}, ["--warmup"]),
        (TrainingConfig, {"final_rate": -0.1}, ["--final-rate"]),
        (TrainingConfig, {"beta2": 1.0}, ["--beta2"]),
        (TrainingConfig, {"weight_decay": -0.1}, ["--weight-decay"]),
        (TrainingConfig, {"weight_decay": NAN}, ["--weight-decay"]),
        (TrainingConfig, {"clip": 0.0}, ["--clip"]),
        (TrainingConfig, {"clip": NAN}, ["--clip"]),
        (TrainingConfig, {"save_minutes": 0.0}, ["--save-minutes"]),
        (TrainingConfig, {"validations": 0}, ["--validations"]),
        (TrainingConfig, {"patience": 0}, ["--patience"]),
        (TrainingConfig, {"workers": 0}, ["--workers"]),
        (TrainingConfig, {"workers": 9, "batch_size": 8}, ["--workers", "--batch-size"]),
        (TrainingConfig, {"seed": -1}, ["--seed"]),
        (TrainingConfig, {"seed": 1 << 32}, ["--seed"]),
        (SamplingConfig, {"temperature": -0.1}, ["--temperature"]),
        (SamplingConfig, {"temperature": INF}, ["--temperature"]),
        (SamplingConfig, {"temperature": NAN}, ["--temperature"]),
        (SamplingConfig, {"top_k": 0}, ["--top-k"]),
        (SamplingConfig, {"top_p": 0.0}, ["--top-p"]),
        (SamplingConfig, {"min_p": 1.1}, ["--min-p"]),
        (SamplingConfig, {"repetition": 0.9}, ["--repetition"]),
        (SamplingConfig, {"max_tokens": 0}, ["--max-tokens"]),
    ],
)
def test_an_impossible_option_is_named(page, options, named):
    with pytest.raises(ConfigError) as caught:
        build(page, options)
    assert all(option in str(caught.value) for option in named)
    assert str(caught.value).startswith("--")
    assert (caught.value.exit_code, bool(caught.value.hint)) == (2, True)


def test_all_impossible_options_are_told_together():
    with pytest.raises(ConfigError) as caught:
        TrainingConfig(batch_size=0, clip=-1.0, patience=0)
    assert all(option in str(caught.value) for option in ("--batch-size", "--clip", "--patience"))


@pytest.mark.parametrize(
    ("page", "options"),
    [
        (TextConfig, {"coverage": 1.0, "max_size": 3, "level": "word", "user_dict": "words.txt"}),
        (RecurrentConfig, {"dropout": 0.0, "layers": 1, "hidden": 1, "embedding": 1}),
        (TrainingConfig, {"warmup": 0.0, "final_rate": 0.0, "weight_decay": 0.0, "seed": 0, "clip": INF}),
        (SamplingConfig, {"temperature": 0.0, "top_k": 1, "top_p": 1.0, "min_p": 1.0, "max_tokens": 1}),
    ],
)
def test_the_edges_of_what_is_possible_are_possible(page, options):
    assert dataclasses.asdict(build(page, options)).items() >= options.items()


def test_the_state_is_carried_where_the_text_goes_on():
    assert not TextConfig().carries
    assert TextConfig(reading="stream").carries
    assert TextConfig(context="carried").carries


# ── files ───────────────────────────────────────────────────────────────────────────────────────


def test_dashes_are_underscores_and_tables_only_group(settings):
    assert settings("batch-size = 8\n[model]\nhidden = 4\n[training]\nmin_count = 2") == {
        "batch_size": 8,
        "hidden": 4,
        "min_count": 2,
    }


def test_the_json_of_a_run_is_read_too(settings):
    content = {"format": 1, "model": "recurrent", "texts": ["a"], "text": {"level": "word"}, "training": {"seed": 2}}
    assert settings(json.dumps(content), "config.json") == {
        "format": 1,
        "model": "recurrent",
        "texts": ["a"],
        "level": "word",
        "seed": 2,
    }


def test_all_unknown_names_of_a_file_are_told_together(settings):
    with pytest.raises(ConfigError) as caught:
        settings("hiden = 4\n[training]\nbatchsize = 8\nclip = 1.0")
    assert "unknown settings: 'hiden': did you mean hidden?; 'batchsize': did you mean batch_size?" in str(caught.value)
    assert "clip" not in str(caught.value)


def test_one_text_need_not_be_a_list(settings):
    assert settings('texts = "a.txt"\nvalid = ["b.txt"]') == {"texts": ["a.txt"], "valid": ["b.txt"]}


@pytest.mark.parametrize("content", ["texts = 7", 'texts = ["a", 7]', "valid = false", "model = 3"])
def test_texts_and_model_of_the_wrong_type_are_named(settings, content):
    with pytest.raises(ConfigError, match=rf"a\.toml: {content.split()[0]} = .*: expected a"):
        settings(content)


@pytest.mark.parametrize(
    ("content", "name"), [("hidden 4", "a.toml"), ("[", "a.toml"), ("{", "a.json"), ("[1]", "a.json"), ("7", "a.json")]
)
def test_a_file_that_holds_no_settings_is_refused_by_name(settings, content, name):
    with pytest.raises(ConfigError, match=rf"{name}(:1)? (is not|holds no)") as caught:
        settings(content, name)
    assert "TOML" in caught.value.hint


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*none\.toml: No such file"):
        read_file(tmp_path / "none.toml")
