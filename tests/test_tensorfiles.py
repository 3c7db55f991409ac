import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from charlm import tensorfiles
from charlm.errors import RunError, StorageError

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor([1, 2]), "c": torch.empty(0)}


def test_what_was_written_is_read_again(tmp_path):
    path = tmp_path / "x.safetensors"
    tensorfiles.write(path, TENSORS, {"step": 3, "note": "春"})
    tensors, facts = tensorfiles.read(path)
    assert facts == tensorfiles.read_facts(path) == {"step": 3, "note": "春"}
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == TENSORS[name].dtype and torch.equal(tensor, TENSORS[name])


def header_length(path) -> int:
    return int.from_bytes(path.read_bytes()[:8], "little")


@pytest.mark.parametrize("size", [640, 896, 1152, 1408, 19280])  # little-endian, these begin like pickles or zip files
def test_a_header_may_be_of_any_length(tmp_path, size):
    path = tmp_path / "x.safetensors"
    tensorfiles.write(path, {"a": torch.ones(1)}, {"note": ""})
    tensorfiles.write(path, {"a": torch.ones(1)}, {"note": "x" * (size - header_length(path))})
    assert header_length(path) == size
    assert tensorfiles.read(path)[0]["a"].tolist() == [1]


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    for value in (torch.nan, torch.inf):
        tensorfiles.write(tmp_path / "x", {"w": torch.tensor([1.0, value])}, {})
        with pytest.raises(RunError, match="w holds numbers that are not finite"):
            tensorfiles.read(tmp_path / "x")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_in_disguise_is_never_opened(tmp_path, protocol):
    path = tmp_path / "x.safetensors"
    path.write_bytes(pickle.dumps({"a": [1.0] * 9}, protocol=protocol))
    with pytest.raises(RunError, match="pickle in disguise"):
        tensorfiles.read(path)


def test_a_torch_file_in_disguise_is_never_opened(tmp_path):
    path = tmp_path / "x.safetensors"
    torch.save(TENSORS, path)
    with pytest.raises(RunError, match="pickle in disguise"):
        tensorfiles.read(path)


@pytest.mark.parametrize("name", ["x.pt", "x.PTH", "x.pkl", "x.bin", "x.ckpt"])
def test_a_pickle_by_its_name_is_never_opened(tmp_path, name):
    with pytest.raises(RunError, match="charlm never opens one"):
        tensorfiles.read(tmp_path / name)


@given(data=st.data())
def test_a_damaged_file_is_refused_or_read_but_breaks_nothing(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("x") / "x.safetensors"
    tensorfiles.write(path, TENSORS, {"step": 3})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        tensorfiles.read(path)
    except RunError as error:
        assert error.hint


def header(text: str) -> bytes:
    padded = text.encode().ljust(-(-len(text) // 8) * 8)
    return len(padded).to_bytes(8, "little") + padded


@pytest.mark.parametrize(
    "facts",
    ["[]", "3", "nonsense", "[" * 100_000],
    ids=["a list", "a number", "nonsense", "a very deep list"],
)
def test_facts_that_are_no_table_are_refused(tmp_path, facts):
    path = tmp_path / "x.safetensors"
    path.write_bytes(header('{"__metadata__":{"charlm":"' + facts + '"}}'))
    for read in (tensorfiles.read, tensorfiles.read_facts):
        with pytest.raises(RunError, match="cannot be read"):
            read(path)


def test_a_foreign_file_without_facts_is_read(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(header("{}"))
    assert tensorfiles.read(path) == ({}, {})


def test_what_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    tensorfiles.write(path, TENSORS, {"step": 1})

    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    for name in ("os.replace", "os.fsync", "charlm.tensorfiles.save_file"):
        with monkeypatch.context() as patch:
            patch.setattr(name, refuse)
            with pytest.raises(StorageError, match="No space left"):
                tensorfiles.write(path, TENSORS, {"step": 2})
        assert tensorfiles.read_facts(path) == {"step": 1}
        assert list(tmp_path.iterdir()) == [path]


def test_weights_can_be_read_by_whom_the_umask_lets_as_every_other_file(tmp_path):
    tensorfiles.write(tmp_path / "x.safetensors", TENSORS, {})
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "x.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode
