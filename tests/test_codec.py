import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import LINES, SENTENCES

from charlm.errors import VocabError
from charlm.text.codec import Codec, Encoded
from charlm.text.vocab import EOS, UNK, Vocab, count
from charlm.tokenizers import TOKENIZERS

KNOWN = "".join(LINES) + "\t\\𠮷\u2028e\u0301\x85{}u"


def codec_of(lines, level="char", reading="lines", **limits) -> Codec:
    tokenizer = TOKENIZERS[level]()
    vocab, _ = Vocab.from_counts(count(lines, tokenizer, closing=reading == "lines"), **limits)
    return Codec(tokenizer, vocab, level=level, reading=reading)


CODEC = codec_of([KNOWN])
SPACED = codec_of(SENTENCES, "spaced")
AB = codec_of(["ab", "a"])  # <EOS> 0, <UNK> 1, a 2, b 3


@pytest.fixture
def damaged(tmp_path):
    """Save a codec, change `tokenizer.json`, and give the reason why it is refused."""

    def refused(content: object) -> str:
        AB.save(tmp_path)
        (tmp_path / "tokenizer.json").write_text(content if isinstance(content, str) else json.dumps(content))
        with pytest.raises(VocabError) as caught:
            Codec.load(tmp_path)
        return str(caught.value).replace(str(tmp_path), "folder")

    return refused


# ── laws ────────────────────────────────────────────────────────────────────────────────────────


@given(st.text(KNOWN))
def test_a_text_of_known_tokens_comes_back(document):
    assert CODEC.decode(CODEC.encode(document).ids) == document


@given(st.lists(st.sampled_from(["<EOS>", "<UNK>", "<unk>", "poem", "zebra"])))
def test_a_text_is_never_special_whatever_it_spells(words):
    encoded = SPACED.encode(" ".join(words))
    poem = SPACED.vocab.id("poem")
    assert encoded.ids == [poem if word == "poem" else UNK for word in words] + [EOS]
    assert encoded.unknown == [word for word in words if word != "poem"]


@given(st.text(KNOWN + "甲乙丙"))
def test_a_prompt_is_a_document_that_is_not_closed(document):
    encoded = CODEC.encode(document)
    assert CODEC.prompt(document) == (encoded.ids[:-1], encoded.unknown)
    assert CODEC.line(document) == encoded


@pytest.mark.parametrize("level", TOKENIZERS)
@pytest.mark.parametrize("reading", ["lines", "stream"])
def test_a_codec_survives_its_folder_and_a_journey(level, reading, tmp_path):
    codec = codec_of([*LINES, *SENTENCES, " \t\n\\u{20}𠮷\u2028\x85"], level, reading)
    codec.save(tmp_path)
    for again in (Codec.load(tmp_path), pickle.loads(pickle.dumps(codec))):
        assert again.vocab == codec.vocab
        assert (again.level, again.reading, again.closing) == (level, reading, reading == "lines")
        assert again.fingerprint() == codec.fingerprint()
        assert again.encode(LINES[0] + " read") == codec.encode(LINES[0] + " read")


# ── encoding and decoding ───────────────────────────────────────────────────────────────────────


def test_a_line_is_closed_and_its_end_counts_as_a_character():
    assert AB.encode("ab") == Encoded([2, 3, EOS], characters=3, unknown=[])
    assert AB.encode("") == Encoded([EOS], characters=1, unknown=[])


def test_unknown_tokens_are_listed_in_order():
    assert AB.encode("ax𠮷x") == Encoded([2, UNK, UNK, UNK, EOS], characters=5, unknown=["x", "𠮷", "x"])


def test_a_piece_of_a_stream_is_not_closed_and_a_line_of_it_brings_its_end():
    stream = codec_of(["ab\n", "a\n"], reading="stream")  # "\n" 2, a 3, b 4
    assert stream.encode("ab") == Encoded([3, 4], characters=2, unknown=[])
    assert stream.line("ab") == Encoded([3, 4, 2], characters=3, unknown=[])
    assert stream.prompt("ab\n") == ([3, 4, 2], [])


def test_the_end_is_silent_and_an_unknown_token_is_a_square():
    assert AB.decode([2, UNK, 3, EOS]) == "a□b"
    assert AB.decode([EOS, EOS]) == ""
    assert SPACED.decode([SPACED.vocab.id("we"), UNK, SPACED.vocab.id("read"), EOS]) == "we □ read"


def test_characters_are_those_of_the_text_not_of_the_tokens():
    assert SPACED.encode("don't  ask").characters == 11
    assert codec_of(["北京大学"], "word").encode("北京大学") == Encoded([2, EOS], characters=5, unknown=[])


def test_the_fingerprint_tells_codecs_apart_that_cut_or_number_otherwise():
    others = [
        codec_of(["ab", "b"]),  # b before a
        codec_of(["abc", "a"]),
        codec_of(["ab", "a"], reading="stream"),
        codec_of(["ab", "a", "a"], "mixed"),
    ]
    assert len({codec.fingerprint() for codec in [AB, *others]}) == 5
    assert codec_of(["ba", "a", "a"]).fingerprint() == AB.fingerprint()  # other counts, same ids


# ── the folder ──────────────────────────────────────────────────────────────────────────────────


def test_the_folder_holds_two_files_that_people_can_read(tmp_path):
    AB.save(tmp_path)
    assert json.loads((tmp_path / "tokenizer.json").read_text()) == {
        "format": 1,
        "level": "char",
        "reading": "lines",
        "options": {},
    }
    assert (tmp_path / "vocab.tsv").read_text() == "<EOS>\t2\n<UNK>\t0\na\t2\nb\t1\n"


def test_a_tokenizer_of_another_format_is_refused(damaged):
    newer = {"format": 2, "level": "char", "reading": "lines", "options": {}}
    assert "is not a tokenizer of format 1; a newer charlm may have made it" in damaged(newer)
    assert "is not a tokenizer of format 1" in damaged([])


@pytest.mark.parametrize(
    "change",
    [{"level": "letter"}, {"level": ["char"]}, {"level": None}, {"reading": "pages"}, {"options": []}],
)
def test_a_tokenizer_with_unknown_parts_is_refused(damaged, change):
    content = {"format": 1, "level": "char", "reading": "lines", "options": {}} | change
    assert damaged(content) == "folder/tokenizer.json: level, reading or options are missing or unknown"


@pytest.mark.parametrize("options", [{"colour": 1}, {"user_words": [["春"]]}, {"user_words": 7}])
def test_options_that_do_not_fit_the_tokenizer_are_refused(damaged, options):
    content = {"format": 1, "level": "word", "reading": "lines", "options": options}
    assert damaged(content).startswith("folder/tokenizer.json: these options do not fit word: ")


def test_a_tokenizer_that_is_no_json_is_named_with_its_line(damaged):
    assert damaged('{"format": 1,\n  oops}').startswith("folder/tokenizer.json:2 is not JSON")


def test_a_damaged_vocabulary_is_named(tmp_path):
    AB.save(tmp_path)
    (tmp_path / "vocab.tsv").write_text("<EOS>\t2\n<UNK>\t0\na two\n")
    with pytest.raises(VocabError, match=r"vocab\.tsv:3: cannot read 'a two'"):
        Codec.load(tmp_path)


def test_an_empty_folder_is_no_codec(tmp_path):
    with pytest.raises(VocabError, match=r"cannot read .*tokenizer\.json: No such file"):
        Codec.load(tmp_path)


def test_spaces_between_han_are_left_out_only_where_the_training_text_has_none():
    def codec(tokens, counts, level="char"):
        return Codec(TOKENIZERS[level](), Vocab(["<EOS>", "<UNK>", *tokens], [1, 0, *counts]), level=level)

    assert codec("春江", [9, 9]).habitual("春 江 ok fine，　江") == "春江 ok fine，江"
    assert codec("春江 ", [9, 9, 5]).habitual("春 江") == "春 江"
    assert codec("春江 ", [900, 900, 5]).habitual("春 江") == "春江"
    assert codec("春江 ", [0, 0, 0]).habitual("春 江") == "春 江"
    assert codec("春江", [9, 9], "spaced").habitual("春 江") == "春 江"
