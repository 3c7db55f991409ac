"""`charlm train`: what a user gets, and what bad input gets."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import charlm as package
from charlm.errors import ConfigError
from charlm.jobs.settle import settle
from commands.conftest import CORPORA, TINY

EVERYDAY = CORPORA / "everyday.zh.txt"


def test_training_leaves_a_run_that_can_be_read_with_less(charlm):
    ended = charlm("train", EVERYDAY, *TINY, "--epochs", 1, "--run", "runs/a")
    assert ended.code == 0, ended.err
    files = {str(p.relative_to("runs/a")) for p in Path("runs/a").rglob("*") if p.is_file()}
    assert files == {
        "run.json",
        "config.json",
        "tokenizer.json",
        "vocab.tsv",
        "model.safetensors",
        "resume/checkpoint.safetensors",
        "resume/.lock",
        "history.jsonl",
    }
    assert json.loads(Path("runs/a/run.json").read_text("utf-8"))["format"] == 1
    assert "perplexity" in ended.out and ended.err == ""


def test_json_is_one_object_with_stable_keys(charlm):
    ended = charlm("train", EVERYDAY, *TINY, "--steps", 3, "--json")
    assert set(json.loads(ended.out)) == {"run", "step", "nats", "perplexity", "bits_per_char", "context", "seconds"}


def test_without_a_name_the_run_is_called_after_the_text_and_never_overwrites(charlm):
    charlm("train", EVERYDAY, *TINY, "--steps", 1)
    charlm("train", EVERYDAY, *TINY, "--steps", 1)
    assert sorted(p.name for p in Path("checkpoints").iterdir()) == ["everyday", "everyday-2"]


def test_a_stream_learns_line_ends_as_tokens(charlm):
    ended = charlm("train", CORPORA / "village.en.txt", *TINY, "--reading", "stream", "--steps", 2, "--run", "s")
    assert ended.code == 0, ended.err
    assert "\\u{a}\t" in Path("s/vocab.tsv").read_text("utf-8")
    told = json.loads(charlm("eval", "s", CORPORA / "village.en.txt", "--json").out)
    text = (CORPORA / "village.en.txt").read_text("utf-8")
    assert (told["tokens"], told["characters"], told["context"]) == (len(text), len(text), "carried")


def test_a_config_file_is_overridden_by_options_and_overrides_the_preset(charlm):
    Path("knobs.toml").write_text("hidden = 24\n[training]\nbatch-size = 8\n", "utf-8")
    options = ("--preset", "tiny", "--config", "knobs.toml", "--batch-size", 4, "--steps", 1, "--quiet", "--run", "c")
    assert charlm("train", EVERYDAY, *options).code == 0
    config = json.loads(Path("c/config.json").read_text("utf-8"))
    assert (config["recurrent"]["hidden"], config["recurrent"]["embedding"]) == (24, 96)
    assert config["training"]["batch_size"] == 4


def test_a_runs_own_config_repeats_it(charlm):
    charlm("train", EVERYDAY, *TINY, "--steps", 3, "--run", "one")
    ended = charlm("train", "--config", "one/config.json", "--run", "two", "--quiet")
    assert ended.code == 0, ended.err
    one, two = (load_file(f"{name}/model.safetensors") for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)


FORTY_STEPS = (sys.executable, "-m", "charlm", "train", str(EVERYDAY), *TINY, "--steps", "40", "--precision", "float32")


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory) -> Path:
    """A run of forty steps in a process of its own."""
    run = tmp_path_factory.mktemp("whole") / "run"
    subprocess.run([*FORTY_STEPS, "--run", str(run)], check=True, capture_output=True)
    return run


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_resuming_gives_the_weights_of_a_training_that_never_stopped(charlm, never_stopped, signal_number):
    child = subprocess.Popen([*FORTY_STEPS, "--run", "cut"], stderr=subprocess.PIPE, text=True)
    while not Path("cut/resume/checkpoint.safetensors").exists() and child.poll() is None:
        time.sleep(0.005)
    child.send_signal(signal_number)
    _, said = child.communicate(timeout=60)
    if child.returncode:  # a fast machine may have finished before the signal came
        assert child.returncode == 128 + signal_number
        assert "charlm train --resume cut" in said and "Traceback" not in said
        subprocess.run([sys.executable, "-m", "charlm", "train", "--resume", "cut", "--quiet"], check=True)
    one, two = (load_file(run / "model.safetensors") for run in (never_stopped, Path("cut")))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_resuming_may_give_more_budget_but_nothing_else(charlm):
    charlm("train", EVERYDAY, *TINY, "--steps", 2, "--run", "r")
    assert charlm("train", "--resume", "r", "--steps", 4, "--quiet").code == 0
    assert json.loads(Path("r/run.json").read_text("utf-8"))["step"] == 4
    charlm("train", "--resume", "r", "--hidden", 8).refused("--hidden", "--init-from", code=2)
    charlm("train", "--resume", "r", "--preset", "tiny", "--run", "x").refused("--preset", "--run", code=2)
    assert charlm("train", "--resume", "r", "--device", "cpu", "--quiet").code == 0
    again = charlm("train", "--resume", "r")  # which ended without a word
    assert again.code == 0 and "nothing was left to do: the budget is used up at step 4" in again.err
    assert json.loads(Path("r/config.json").read_text("utf-8"))["training"]["steps"] == 4


def files(run: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path(run).rglob("*")) if path.is_file()}


@pytest.mark.parametrize("budget", [(), ("--steps", 4), ("--steps", 2), ("--epochs", 0.001)], ids=str)
def test_nothing_of_a_run_changes_where_nothing_was_left_to_do(charlm, budget):
    charlm("train", EVERYDAY, *TINY, "--steps", 4, "--run", "r")
    before = files("r")
    assert "tokens_per_second" in json.loads(before["r/run.json"])["usage"]
    again = charlm("train", "--resume", "r", *budget)
    assert again.code == 0 and "nothing was left to do: the budget is used up at step 4" in again.err
    assert files("r") == before


def test_a_run_that_ran_out_of_patience_does_not_ask_for_a_larger_budget(charlm):
    charlm(
        "train",
        EVERYDAY,
        *TINY,
        "--steps",
        40,
        "--validations",
        20,
        "--patience",
        1,
        "--learning-rate",
        9,
        "--run",
        "r",
    )
    before = files("r")
    facts = json.loads(before["r/run.json"])
    assert facts["step"] < 40 and facts["ended"] == "its patience ran out"
    assert "ended because its patience ran out" in charlm("run", "info", "r").out
    again = charlm("train", "--resume", "r", "--steps", 80)
    assert again.code == 0 and "nothing was left to do: --patience 1 ended it" in again.err
    assert "--init-from r" in again.err and files("r") == before


def test_a_run_that_was_stopped_can_be_ended_by_a_smaller_budget(charlm):
    charlm("train", EVERYDAY, *TINY, "--steps", 4, "--run", "r")
    facts = json.loads(Path("r/run.json").read_text("utf-8"))
    Path("r/run.json").write_text(json.dumps(facts | {"ended": "signal 2"}), "utf-8")
    assert charlm("train", "--resume", "r", "--steps", 3, "--quiet").code == 0
    assert json.loads(Path("r/run.json").read_text("utf-8"))["ended"] == "its budget was used up"
    assert json.loads(Path("r/config.json").read_text("utf-8"))["training"]["steps"] == 3


def test_a_run_begun_in_bf16_is_not_resumed_with_a_traceback_where_there_are_no_kernels_for_it(charlm, monkeypatch):
    charlm("train", EVERYDAY, *TINY, "--steps", 2, "--precision", "float32", "--run", "r")
    facts = json.loads(Path("r/run.json").read_text("utf-8"))
    Path("r/run.json").write_text(json.dumps({**facts, "precision": "bf16"}), "utf-8")
    monkeypatch.setattr("charlm.jobs.train.bf16_fault", lambda device, network: "no such kernel")
    before = Path("r/config.json").read_bytes()
    charlm("train", "--resume", "r", "--steps", 4).refused("begun in bf16", "no such kernel", "--init-from r", code=2)
    assert Path("r/config.json").read_bytes() == before


@pytest.mark.parametrize("model", [("unigram",), ("ngram", "--smoothing", "add-k")])
def test_counts_that_a_huge_number_makes_infinite_are_not_saved_as_a_model_that_holds_all_impossible(charlm, model):
    ended = charlm("train", EVERYDAY, "--model", *model, "--add-k", "1e308", "--run", "r", "--quiet")
    ended.refused("not finite" if len(model) > 1 else "no finite number", "--add-k")
    assert not Path("r").exists()


@pytest.mark.parametrize(
    "option", ["--preset", "--model", "--user-dict", "--encoding", "--cell", "--level", "--device"]
)
def test_an_option_of_an_unset_variable_is_not_taken_for_its_default(charlm, option):
    level = ("--level", "word") if option == "--user-dict" else ()
    ended = charlm(
        "train", EVERYDAY, "--hidden", 8, "--embedding", 8, "--steps", 1, *level, option, "", "--run", "r", "-q"
    )
    assert ended.code in (1, 2) and "error: " in ended.err and "Traceback" not in ended.err, ended.err
    assert not Path("r").exists()


def test_beginning_from_another_run_matches_tokens(charlm):
    charlm("train", EVERYDAY, *TINY, "--steps", 2, "--run", "r")
    options = [option for option in TINY if option != "--quiet"]
    ended = charlm("train", CORPORA / "quatrains.txt", *options, "--steps", 1, "--run", "q", "--init-from", "r")
    assert ended.code == 0 and "tokens kept" in ended.err
    bigger = charlm("train", EVERYDAY, "--hidden", 8, "--init-from", "r", "--run", "x", "--quiet")
    bigger.refused("another network", "--hidden 16")


def test_a_dry_run_says_what_it_would_take_and_makes_nothing(charlm):
    ended = charlm("train", EVERYDAY, *TINY, "--epochs", 2, "--dry-run", "--json")
    told = json.loads(ended.out)
    assert told["parameters"] > 0 and told["tokens_per_second"] > 0 and told["seconds"] > 0 and told["memory"] > 0
    assert not Path("checkpoints").exists()


def test_a_unigram_needs_no_gradient(charlm):
    assert charlm("train", EVERYDAY, "--model", "unigram", "--run", "u", "--quiet").code == 0
    assert charlm("sample", "u", "--max-tokens", 5).code == 0


def test_a_vocabulary_made_before_is_used_as_it_is(charlm):
    charlm("vocab", EVERYDAY, "-o", "v", "--min-count", 3)
    charlm("train", EVERYDAY, *TINY, "--steps", 1, "--vocab", "v", "--run", "r")
    assert Path("v/vocab.tsv").read_bytes() == Path("r/vocab.tsv").read_bytes()
    other = charlm("train", EVERYDAY, *TINY, "--reading", "stream", "--vocab", "v", "--run", "s")
    other.refused("made for --reading lines", code=2)


def test_a_device_that_is_not_there_is_told_before_the_text_is_read(charlm):
    ended = charlm("train", EVERYDAY, "--steps", 1, "--device", "cuda:99", "--run", "r")
    ended.refused("--device cuda:99 cannot be used", code=2)
    assert "vocabulary" not in ended.err + ended.out and not Path("r").exists()


def test_validation_text_that_stands_in_the_training_text_is_reported(charlm):
    Path("valid.txt").write_text("\n".join(EVERYDAY.read_text("utf-8").splitlines()[:5]), "utf-8")
    options = [option for option in TINY if option != "--quiet"]
    ended = charlm("train", EVERYDAY, *options, "--steps", 1, "--valid", "valid.txt", "--run", "r")
    assert "5 validation documents also stand in the training text" in ended.err


def test_one_line_is_enough_to_train_on_but_not_to_measure(charlm):
    Path("one.txt").write_text("春眠不觉晓。\n", "utf-8")
    options = [option for option in TINY if option != "--quiet"]
    ended = charlm("train", "one.txt", *options, "--steps", 2, "--run", "r")
    assert ended.code == 0 and "too short to hold a part back" in ended.err
    assert charlm("sample", "r", "--max-tokens", 3).code == 0


BAD = {
    "no text": ([], ["no text was given"], 2),
    "missing": (["nothing.txt"], ["nothing.txt"], 1),
    "hidden 0": ([EVERYDAY, "--hidden", "0"], ["--hidden must be at least 1"], 2),
    "dropout 1": ([EVERYDAY, "--dropout", "1"], ["--dropout"], 2),
    "two budgets": ([EVERYDAY, "--epochs", "1", "--steps", "2"], ["rival budgets"], 2),
    "a cell that is none": ([EVERYDAY, "--cell", "lsmt"], ["did you mean lstm?"], 2),
    "a preset that is none": ([EVERYDAY, "--preset", "bse"], ["did you mean base?"], 2),
    "a model that is none": ([EVERYDAY, "--model", "ngrm"], ["no model is called"], 2),
    "a device that is none": ([EVERYDAY, "--device", "cuda:99"], ["--device cuda:99"], 2),
    "a knob of another model": (
        [EVERYDAY, "--model", "unigram", "--hidden", "9"],
        ["--hidden is for --model recurrent, jordan, narx, window, cloze, cloze-window, not for unigram"],
        2,
    ),
    "a switch of another model": ([EVERYDAY, "--model", "ngram", "--untied"], ["--tied is for --model recurrent"], 2),
    "a knob of counts for a network": ([EVERYDAY, "--order", "3"], ["--order is for --model ngram, not for"], 2),
    "a knob of gradients for counts": (
        [EVERYDAY, "--model", "ngram", "--window", "8"],
        ["--window is for models that learn by gradient, not ngram"],
        2,
    ),
    "a knob beside counts that are not there": (["--counts", "none", "--hidden", "3"], ["--hidden is for"], 2),
    "a mixture with a knob of a network": (
        [EVERYDAY, "--model", "mixture", "--hidden", "3"],
        ["not trained but mixed", "--hidden is for"],
        2,
    ),
    "a preset for counts": (
        [EVERYDAY, "--model", "ngram", "--preset", "tiny"],
        ["--preset tiny is for --model recurrent, jordan, narx, window, cloze, cloze-window, not for ngram"],
        2,
    ),
    "stdin": (["-"], ["several times"], 1),
    "nothing frequent": ([EVERYDAY, "--min-count", "99999"], ["vocabulary would be empty"], 1),
    "batch larger than the stream": (
        [CORPORA / "village.en.txt", "--reading", "stream", "--batch-size", "9999"],
        ["too few for 9999 stripes", "--batch-size"],
        1,
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_impossible_requests_are_refused_and_leave_nothing(charlm, name):
    arguments, words, code = BAD[name]
    charlm("train", *arguments, "--quiet").refused(*words, code=code)
    assert not Path("checkpoints").exists()


def test_all_mistakes_are_reported_together(charlm):
    ended = charlm("train", EVERYDAY, "--hidden", 0, "--layers", 0, "--dropout", 2)
    ended.refused("--hidden", "--layers", "--dropout", code=2)


def test_mistakes_of_all_pages_are_reported_together(charlm):
    wrong = ("--cell", "lsmt", "--hidden", 0, "--order", 3, "--window", 0, "--max-size", 1, "--preset", "bse")
    words = ("did you mean lstm?", "--hidden must", "--order is for", "--window must", "--max-size must", "'bse'")
    charlm("train", EVERYDAY, *wrong).refused(*words, code=2)


def test_a_knob_of_another_model_is_refused_in_a_file(charlm):
    Path("a.toml").write_text('model = "ngram"\nhidden = 9\nclip = 2\nseed = 3\norder = 2\n', "utf-8")
    ended = charlm("train", EVERYDAY, "--config", "a.toml")
    ended.refused("--hidden is for --model recurrent", "--clip is for models that learn by gradient", code=2)
    assert "seed" not in ended.err and "order" not in ended.err


def test_the_config_of_a_counted_run_repeats_it_though_it_holds_a_page_of_training(charlm):
    assert charlm("train", EVERYDAY, "--model", "unigram", "--seed", 2, "--run", "u", "--quiet").code == 0
    ended = charlm("train", "--config", "u/config.json", "--run", "v", "--quiet")
    assert ended.code == 0, ended.err
    assert Path("u/config.json").read_bytes() == Path("v/config.json").read_bytes()


def test_from_python_a_knob_of_another_model_and_an_unknown_one_are_refused(charlm):
    with pytest.raises(
        ConfigError,
        match="--hidden is for --model recurrent, jordan, narx, window, cloze, cloze-window, not for unigram",
    ):
        package.train(str(EVERYDAY), "u", model="unigram", hidden=9)
    with pytest.raises(ConfigError, match=r"'hiden': did you mean hidden\?; --order is for .*--layers must"):
        settle([str(EVERYDAY)], knobs={"hiden": 9, "order": 2, "layers": 0})
    assert not Path("u").exists()


def test_a_misspelt_knob_of_sampling_is_refused_from_python(shared_run):
    with pytest.raises(ConfigError, match=r"'temprature': did you mean temperature\?; --top-k must") as caught:
        package.load(shared_run).sample(temprature=1, top_k=0)
    assert "charlm sample --help" in caught.value.hint


def test_empty_binary_and_wrongly_encoded_texts_are_refused_with_their_place(charlm):
    Path("empty.txt").write_bytes(b"")
    Path("binary.txt").write_bytes(b"good line\n\x00\x01\x02\xff\xfe")
    Path("cut.txt").write_bytes("好\n好的".encode()[:-1] + b"\nend\n")
    charlm("train", "empty.txt", "--quiet").refused("empty")
    charlm("train", "binary.txt", "--quiet").refused("binary.txt:2")
    charlm("train", "cut.txt", "--quiet").refused("cut.txt:2")


def test_an_existing_run_is_refused_and_untouched(charlm):
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years of work", "utf-8")
    charlm("train", EVERYDAY, *TINY, "--run", "mine").refused("exists already", "another --run")
    assert [p.name for p in Path("mine").iterdir()] == ["thesis.txt"]


def test_a_full_disk_loses_nothing(charlm, monkeypatch):
    charlm("train", EVERYDAY, *TINY, "--steps", 2, "--run", "r")
    before = Path("r/model.safetensors").read_bytes()
    replace = Path.replace

    def full(self: Path, target: object) -> Path:
        if str(target).endswith("safetensors"):
            raise OSError(28, "No space left on device")
        return replace(self, target)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "replace", full)
    charlm("train", "--resume", "r", "--steps", 4, "--quiet").refused("No space left on device", "r/")
    monkeypatch.setattr(Path, "replace", replace)
    assert Path("r/model.safetensors").read_bytes() == before
    assert not [p for p in Path("r").rglob("*.tmp")]
    assert charlm("train", "--resume", "r", "--steps", 4, "--quiet").code == 0


def test_a_target_that_cannot_be_written_is_refused(charlm):
    Path("file").write_text("a file where a folder should be", "utf-8")
    charlm("train", EVERYDAY, *TINY, "--steps", 1, "--run", "file/run").refused("cannot write file/run")


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="the system gives open files no names")
@pytest.mark.parametrize("option", [(), ("--valid",)])
def test_a_pipe_of_the_shell_is_called_a_pipe_and_not_a_missing_file(charlm, option):
    Path("a.txt").write_text("你好\n", "utf-8")
    reading, writing = os.pipe()
    try:
        text = ("a.txt",) if option else ()
        charlm("train", *text, *option, f"/dev/fd/{reading}", *TINY).refused("pipes flow by only once")
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("reading", ["lines", "stream"])
def test_a_damaged_validation_text_is_not_called_empty(charlm, reading):
    Path("a.txt").write_text("你好\n再见\n" * 9, "utf-8")
    Path("bad.txt").write_bytes("你好\n".encode() + b"\xff\xfe\n")
    ended = charlm("train", "a.txt", "--valid", "bad.txt", "--reading", reading, *TINY)
    ended.refused("bad.txt:2: byte 7 (0xff) is not UTF-8")
    Path("bad.txt").write_text("", "utf-8")
    ended = charlm("train", "a.txt", "--valid", "bad.txt", "--reading", reading, *TINY)
    ended.refused("the validation text", "is empty")


def test_an_empty_name_for_a_run_is_not_the_current_folder(charlm, shared_run):
    Path("a.txt").write_text("你好\n再见\n", "utf-8")
    charlm("train", "a.txt", "--run", "", *TINY).refused("an empty name", code=2)
    charlm("train", "a.txt", "--run", ".", *TINY).refused("--run is empty or names the current folder")
    charlm("run", "mix", shared_run, shared_run, "--tune", "a.txt", "--run", "").refused("an empty name", code=2)
    charlm("eval", "", "a.txt").refused("an empty name", code=2)
    assert [path.name for path in Path().iterdir()] == ["a.txt"]


@pytest.mark.parametrize("reading", ["lines", "stream"])
def test_the_guessed_encoding_of_a_validation_text_was_never_told(charlm, reading):
    Path("a.txt").write_text("我们去学校，他们不在家里。\n" * 9, "utf-8")
    Path("old.txt").write_text("我们去学校，他们不在家里。\n" * 3, "gb18030")
    for name in "ab":  # the second time the text lies in the cache
        options = ["--valid", "old.txt", "--model", "unigram", "--reading", reading, "--run", name]
        assert charlm("train", "a.txt", *options).err.count("old.txt: read as gb18030") == 1
