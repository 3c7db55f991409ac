import errno
from array import array
from pathlib import Path

import numpy as np
import pytest
from tiny import LINES

from charlm.errors import StorageError, TextError
from charlm.text import corpus
from charlm.text.codec import Codec
from charlm.text.corpus import Facts, encode, key_of
from charlm.text.vocab import EOS, UNK, Vocab
from charlm.tokenizers import TOKENIZERS

pytestmark = pytest.mark.usefixtures("own_cache")

# <EOS> 0, <UNK> 1, a 2, b 3
AB = Codec(TOKENIZERS["char"](), Vocab(["<EOS>", "<UNK>", "a", "b"], [2, 0, 2, 1]), level="char")
DOCUMENTS = ["ab", "", "a𠮷x"]


def codec_with(size: int) -> Codec:
    tokens = ["<EOS>", "<UNK>", *(chr(0x4E00 + number) for number in range(size - 2))]
    return Codec(TOKENIZERS["char"](), Vocab(tokens, [1] * size), level="char")


def nothing() -> list[str]:
    raise AssertionError("the cache should have been enough")


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


# ── what it holds ───────────────────────────────────────────────────────────────────────────────


def test_documents_stand_end_to_end():
    made = encode(lambda: DOCUMENTS, AB, "k")
    assert made.ids.tolist() == [2, 3, EOS, EOS, 2, UNK, UNK, EOS]
    assert made.starts.tolist() == [0, 3, 4, 8]
    assert made.facts == Facts(documents=3, tokens=8, characters=8, unknown=2, units=3, longest=4)
    assert [made.document(number).tolist() for number in range(len(made))] == [[2, 3, 0], [0], [2, 1, 1, 0]]


def test_the_end_sign_stands_before_the_first_id():
    made = encode(lambda: DOCUMENTS, AB, "k")
    assert made.before(np.array([0, 1, 2, 5])).tolist() == [EOS, 2, 3, 2]


def test_a_stream_has_no_ends():
    stream = Codec(AB.tokenizer, AB.vocab, level="char", reading="stream")
    made = encode(lambda: ["ab\n", "a"], stream, "k")
    assert made.ids.tolist() == [2, 3, UNK, 2]
    assert made.facts == Facts(documents=2, tokens=4, characters=4, unknown=1, units=1, longest=3)


@pytest.mark.parametrize(("size", "dtype"), [(4, np.uint16), (1 << 16, np.uint16), ((1 << 16) + 1, np.uint32)])
def test_ids_take_the_smallest_type_that_holds_the_vocabulary(size, dtype):
    codec = codec_with(size)
    made = encode(lambda: [codec.vocab.tokens[-1]], codec, "k")
    assert made.ids.dtype == dtype
    assert made.ids.tolist() == [size - 1, EOS]


def test_ids_are_mapped_and_cannot_be_written():
    made = encode(lambda: DOCUMENTS, AB, "k")
    assert isinstance(made.ids, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        made.ids[0] = 3


@pytest.mark.parametrize("flush", [1, 2, 3, 100])
def test_a_corpus_is_the_same_however_often_it_is_flushed(monkeypatch, flush):
    monkeypatch.setattr(corpus, "FLUSH_IDS", flush)
    reports: list[int] = []
    made = encode(lambda: DOCUMENTS, AB, "k", reports.append)
    assert made.ids.tolist() == [2, 3, 0, 0, 2, 1, 1, 0]
    assert made.starts.tolist() == [0, 3, 4, 8]
    assert reports == {1: [1, 2, 3], 2: [1, 3], 3: [1, 3], 100: []}[flush]


# ── the cache ───────────────────────────────────────────────────────────────────────────────────


def test_a_corpus_is_encoded_once():
    first = encode(lambda: DOCUMENTS, AB, "k")
    again = encode(nothing, AB, "k")
    assert again.ids.tolist() == first.ids.tolist()
    assert (again.starts.tolist(), again.facts) == (first.starts.tolist(), first.facts)


def test_another_key_is_another_corpus():
    encode(lambda: DOCUMENTS, AB, "k")
    assert encode(lambda: ["a"], AB, "other").ids.tolist() == [2, EOS]


def test_a_cached_folder_without_its_facts_is_made_again(own_cache):
    encode(lambda: DOCUMENTS, AB, "k")
    (own_cache / "corpora" / "k" / "facts.json").unlink()
    assert encode(lambda: ["a"], AB, "k").ids.tolist() == [2, EOS]


@pytest.mark.parametrize("file", ["facts.json", "ids.bin", "starts.bin"])
def test_a_damaged_cache_is_made_again(own_cache, file):
    whole = encode(lambda: DOCUMENTS, AB, "k")
    expected = (whole.ids.tolist(), whole.starts.tolist(), whole.facts)
    place = own_cache / "corpora" / "k" / file
    sound = place.read_bytes()
    damages = [sound[:end] for end in (0, -1, -2, -8, len(sound) // 2)]
    damages += [b"[" * 100_000, b"{}", b"\xff", sound + b"12345678"]
    if file == "facts.json":
        damages += [sound.replace(b": 3", value) for value in (b': "3"', b": null", b": 1e400", b": -3", b": true")]
    for damage in damages:
        place.unlink()
        place.write_bytes(damage)
        again = encode(lambda: DOCUMENTS, AB, "k")
        assert (again.ids.tolist(), again.starts.tolist(), again.facts) == expected
    place.unlink()
    place.mkdir()
    assert encode(lambda: DOCUMENTS, AB, "k").facts == whole.facts


def test_a_damaged_cache_that_cannot_be_removed_is_named(own_cache, monkeypatch):
    encode(lambda: DOCUMENTS, AB, "k")
    (own_cache / "corpora" / "k" / "facts.json").write_text("{}")
    monkeypatch.setattr(corpus.shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(StorageError, match="k is damaged, and could not be made again"):
        encode(lambda: DOCUMENTS, AB, "k")


def test_the_oldest_corpora_make_room_for_new_ones(own_cache, monkeypatch):
    for key in ("old", "new"):
        encode(lambda: DOCUMENTS, AB, key)
    monkeypatch.setattr(corpus, "CACHE_BYTES", 1)
    made = encode(lambda: DOCUMENTS, AB, "newest")
    assert [folder.name for folder in (own_cache / "corpora").iterdir()] == ["newest"]
    assert len(made) == 3


# ── the key ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def poems(tmp_path):
    path = tmp_path / "poems.txt"
    path.write_text("\n".join(LINES), encoding="utf-8")
    return path


def test_the_key_changes_with_text_settings_codec_and_kind_of_file(poems):
    keys = {key_of([str(poems)], "settings", AB), key_of([str(poems)], "others", AB)}
    keys.add(key_of([str(poems)], "settings", codec_with(4)))
    keys.add(key_of([str(poems), str(poems)], "settings", AB))
    keys.add(key_of([str(poems.rename(poems.with_suffix(".jsonl")))], "settings", AB))
    poems.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    keys.add(key_of([str(poems)], "settings", AB))
    assert len(keys) == 6


def test_the_key_depends_on_no_name_and_no_count(poems):
    first = key_of([str(poems)], "settings", AB)
    recounted = Codec(AB.tokenizer, Vocab(AB.vocab.tokens, [9] * 4), level="char")
    assert key_of([str(poems.rename(poems.with_name("other.txt")))], "settings", recounted) == first


# ── failures ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("documents", [[], [""]])
def test_a_text_without_tokens_is_refused_and_leaves_nothing(own_cache, documents):
    stream = Codec(AB.tokenizer, AB.vocab, level="char", reading="stream")
    with pytest.raises(TextError, match="nothing to learn from"):
        encode(lambda: documents, stream, "k")
    assert list((own_cache / "corpora").iterdir()) == []


def test_a_full_disk_is_a_storage_error_and_leaves_nothing(own_cache, monkeypatch):
    class Full(array):
        tofile = full_disk

    monkeypatch.setattr(corpus.array, "array", Full)
    with pytest.raises(StorageError, match="No space left on device"):
        encode(lambda: DOCUMENTS, AB, "k")
    assert list((own_cache / "corpora").iterdir()) == []


def test_a_file_that_cannot_be_opened_is_a_storage_error_and_leaves_nothing(own_cache, monkeypatch):
    monkeypatch.setattr(Path, "open", full_disk)
    with pytest.raises(StorageError, match=r"cannot write .*corpora/k: No space left"):
        encode(lambda: DOCUMENTS, AB, "k")
    assert list((own_cache / "corpora").iterdir()) == []


def test_a_text_that_breaks_off_leaves_nothing(own_cache):
    def broken():
        yield "ab"
        raise TextError("a.txt:2: byte 3", hint="repair it")

    with pytest.raises(TextError, match="byte 3"):
        encode(broken, AB, "k")
    assert list((own_cache / "corpora").iterdir()) == []
    assert encode(lambda: DOCUMENTS, AB, "k").facts.documents == 3
