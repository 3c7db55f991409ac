"""A codec that is turned: tokens are cut as they are written, and read from the last to the first."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import LINES, SENTENCES

from charlm.config.text import TextConfig
from charlm.errors import ConfigError, VocabError
from charlm.text.codec import Codec
from charlm.text.reader import Reader
from charlm.text.vocab import EOS, Vocab, count
from charlm.tokenizers import TOKENIZERS


def codec_of(level: str, lines=(*LINES, *SENTENCES)) -> Codec:
    tokenizer = TOKENIZERS[level]()
    vocab, _ = Vocab.from_counts(count(lines, tokenizer, closing=True))
    return Codec(tokenizer, vocab, level=level)


@pytest.mark.parametrize("level", TOKENIZERS)
@given(st.sampled_from([*LINES, *SENTENCES, "春江 the river 𠮷", ""]))
def test_the_tokens_of_a_line_are_those_of_the_line_turned_round(level, line):
    codec = codec_of(level)
    forward, backward = codec.encode(line), codec.turned(True).encode(line)
    assert backward.ids == [*forward.ids[-2::-1], EOS]
    assert backward.unknown == forward.unknown[::-1]
    assert backward.characters == forward.characters
    assert codec.turned(True).prompt(line)[0] == backward.ids[:-1]


@pytest.mark.parametrize("level", TOKENIZERS)
@pytest.mark.parametrize("line", [*LINES, SENTENCES[0]])
def test_what_was_read_backwards_is_written_forwards(level, line):
    codec = codec_of(level).turned(True)
    assert codec.decode(codec.encode(line).ids) == line


def test_control_tokens_are_read_before_a_turned_line():
    codec = codec_of("char").turned(True).with_controls(["<poem>"])
    assert codec.reverse
    encoded = codec.encode("春江", ["<poem>"])
    assert [codec.vocab.tokens[number] for number in encoded.ids] == ["<poem>", "江", "春", "<EOS>"]
    assert codec.decode(encoded.ids) == "春江"


def test_the_two_directions_are_different_codecs_and_each_comes_back_from_its_folder(tmp_path):
    forward = codec_of("char")
    backward = forward.turned(True)
    assert forward.fingerprint() != backward.fingerprint()
    assert backward.turned(False).fingerprint() == forward.fingerprint()
    for codec in (forward, backward, backward.with_controls(["<poem>"])):
        codec.save(tmp_path)
        found = Codec.load(tmp_path)
        assert (found.reverse, found.fingerprint()) == (codec.reverse, codec.fingerprint())


@pytest.mark.parametrize(("change", "reason"), [({"reverse": False}, "reverse is true"), ({"format": 1}, "format 3")])
def test_a_damaged_direction_is_refused(change, reason, tmp_path):
    codec_of("char").turned(True).save(tmp_path)
    spec = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    (tmp_path / "tokenizer.json").write_text(json.dumps(spec | change))
    with pytest.raises(VocabError, match=reason):
        Codec.load(tmp_path)


@pytest.mark.parametrize("knobs", [{"reading": "stream"}, {"context": "carried"}])
def test_carried_text_is_not_turned(knobs):
    with pytest.raises(ConfigError, match="--reverse turns each line by itself"):
        TextConfig(reverse=True, **knobs)


def test_a_prompt_of_a_backward_model_keeps_its_beginning_and_loses_the_space_behind_it():
    assert Reader.of(TextConfig(reverse=True)).prompt("  river ") == "  river"
    assert Reader.of(TextConfig()).prompt("  river ") == "river "
