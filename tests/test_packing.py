"""A run becomes a small copy of itself that says nearly the same, and nothing of the machine that it was made on."""

import json
import math
import shutil

import pytest
import small  # noqa: F401  one thread
import torch
from commands.conftest import CORPORA
from hypothesis import given
from hypothesis import strategies as st

import charlm
from charlm import tensorfiles
from charlm.config.models import MixtureConfig
from charlm.config.text import TextConfig
from charlm.errors import RunError
from charlm.families.rounding import restored, rounded
from charlm.jobs.evaluate import Evaluation
from charlm.jobs.mix import mix
from charlm.jobs.pack import pack
from charlm.runs.checking import check

LINES = (CORPORA / "village.en.txt").read_text("utf-8").splitlines()
KNOBS = {"hidden": 24, "embedding": 12, "layers": 2, "batch_size": 4, "window": 32, "learning_rate": 0.015}
OPEN = {"steps": 60, "validations": 1, "seed": 1}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder of a person, whose name is nobody's business."""
    folder = tmp_path_factory.mktemp("jane-doe")
    (folder / "text.txt").write_text("\n".join(LINES[:90]) + "\n", "utf-8")
    (folder / "valid.txt").write_text("\n".join(LINES[90:]) + "\n", "utf-8")
    return folder


@pytest.fixture(scope="module")
def network(home):
    charlm.train(home / "text.txt", home / "network", valid=home / "valid.txt", **KNOBS, **OPEN)
    return home / "network"


@pytest.fixture(scope="module")
def counts(home):
    charlm.train(home / "text.txt", home / "counts", valid=home / "valid.txt", model="ngram", order=2)
    return home / "counts"


def packed(path, output, weights="int8"):
    notes: list[str] = []
    return pack(path, output, weights, notes.append), notes


def nats(path):
    run = charlm.load(path)
    return -sum(score.log_prob for score in run.score(LINES[90:])) / sum(len(line) + 1 for line in LINES[90:])


@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 1000), st.floats(1e-6, 1e6))
def test_a_byte_keeps_a_weight_to_within_half_a_step_of_its_row(rows, columns, seed, size):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weights = torch.randn(rows, columns) * size * torch.logspace(-3, 3, rows)[:, None]
    weights[0] = 0
    again = restored(rounded({"w": weights}, "int8"), "here")["w"]
    half = weights.abs().amax(1, keepdim=True) / 254
    assert bool(((again - weights).abs() <= half * 1.001).all()) and bool((again[0] == 0).all())


def test_biases_and_other_vectors_are_not_rounded():
    vector = torch.randn(5)
    for weights in ("int8", "bf16", "float32"):
        assert torch.equal(rounded({"bias": vector}, weights)["bias"], vector)


@pytest.mark.parametrize(("weights", "within"), [("float32", 0.0), ("bf16", 0.002), ("int8", 0.01)])
def test_a_packed_network_says_nearly_what_it_said(network, tmp_path, weights, within):
    found, _ = packed(network, tmp_path / "small", weights)
    assert found.weights == weights
    assert abs(nats(tmp_path / "small") - nats(network)) <= within
    assert all(wrong is None for _, wrong in check(tmp_path / "small"))


def test_bytes_take_a_quarter_of_the_room(network, tmp_path):
    packed(network, tmp_path / "small")
    tensors, _ = tensorfiles.read(tmp_path / "small" / "model.safetensors")
    whole, _ = tensorfiles.read(network / "model.safetensors")
    matrices = [name for name, tensor in whole.items() if tensor.dim() > 1]
    assert matrices and all(tensors[name].dtype == torch.int8 for name in matrices)
    assert not (tmp_path / "small" / "resume").exists()


def test_packed_again_it_stays_as_it_is(network, tmp_path):
    packed(network, tmp_path / "once")
    packed(tmp_path / "once", tmp_path / "twice")
    assert nats(tmp_path / "twice") == pytest.approx(nats(tmp_path / "once"), abs=1e-6)


def test_a_packed_run_does_not_tell_the_folders_of_its_maker(network, home, tmp_path):
    shutil.copytree(network, tmp_path / "made")
    facts = json.loads((network / "run.json").read_text("utf-8"))
    facts["command"] = f"charlm train {home}/text.txt '--valid={home}/valid.txt' --run {home}/network"
    (tmp_path / "made" / "run.json").write_text(json.dumps(facts), "utf-8")
    packed(tmp_path / "made", tmp_path / "small")
    for file in ("run.json", "config.json"):
        assert home.name in (tmp_path / "made" / file).read_text("utf-8")
        assert home.name not in (tmp_path / "small" / file).read_text("utf-8")
    facts = json.loads((tmp_path / "small" / "run.json").read_text("utf-8"))
    assert facts["command"] == "charlm train text.txt '--valid=valid.txt' --run network"
    config = json.loads((tmp_path / "small" / "config.json").read_text("utf-8"))
    assert config["texts"] == ["text.txt"] and config["valid"] == ["valid.txt"]


def test_counts_are_copied_as_they_are(counts, tmp_path):
    found, notes = packed(counts, tmp_path / "small")
    assert found.weights is None and "--quantize" in notes[0]
    assert nats(tmp_path / "small") == nats(counts)


def test_the_members_of_a_mixture_are_packed_and_known_again(network, counts, home, tmp_path):
    job = Evaluation(str(home / "valid.txt"), TextConfig(), part=None, context=None, note=lambda _: None)
    mix([network, counts], tmp_path / "mixed", MixtureConfig(), job, command="charlm run mix")
    found, _ = packed(tmp_path / "mixed", tmp_path / "small")
    assert found.weights == "int8"
    assert [wrong for _, wrong in check(tmp_path / "small") if wrong] == []
    assert math.isclose(nats(tmp_path / "small"), nats(tmp_path / "mixed"), abs_tol=0.01)


def test_bytes_without_their_scales_are_no_weights(network, tmp_path):
    packed(network, tmp_path / "small")
    tensors, facts = tensorfiles.read(tmp_path / "small" / "model.safetensors")
    for broken in (
        {name: tensor for name, tensor in tensors.items() if not name.endswith(".scale")},
        {name: tensor[:-1] if name.endswith(".scale") else tensor for name, tensor in tensors.items()},
        {name: tensor.int() if tensor.dtype == torch.int8 else tensor for name, tensor in tensors.items()},
    ):
        tensorfiles.write(tmp_path / "small" / "model.safetensors", broken, facts)
        with pytest.raises(RunError, match="without a scale"):
            charlm.load(tmp_path / "small")


def test_a_name_that_is_taken_is_refused_and_nothing_is_lost(network, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "poem.txt").write_text("x", "utf-8")
    with pytest.raises(RunError, match="exists already"):
        packed(network, tmp_path / "mine")
    assert (tmp_path / "mine" / "poem.txt").read_text("utf-8") == "x"


def test_a_damaged_run_is_not_packed(network, tmp_path):
    shutil.copytree(network, tmp_path / "broken")
    file = tmp_path / "broken" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(RunError):
        packed(tmp_path / "broken", tmp_path / "small")
    assert not (tmp_path / "small").exists() and [path.name for path in tmp_path.iterdir()] == ["broken"]
