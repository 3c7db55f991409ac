"""Lists in other units than the model's are refused before anything is scored."""

import pytest

from charlm.errors import ConfigError
from charlm.text.codec import Codec
from charlm.text.mismatch import refuse_mismatch
from charlm.text.vocab import Vocab, count
from charlm.tokenizers import TOKENIZERS

HAN = ["今天天气很好我们去爬山", "明天下雨我不去"]
ENGLISH = ["we read the poem aloud", "the moon is in the river"]


def codec_of(lines, level) -> Codec:
    vocab, _ = Vocab.from_counts(count(lines, TOKENIZERS[level](), closing=True))
    return Codec(TOKENIZERS[level](), vocab, level=level)


@pytest.mark.parametrize(
    ("codec", "texts", "said"),
    [
        (codec_of(HAN, "char"), ["this is english"] * 9, ["characters in Han script", "Latin script"]),
        (codec_of(["今天天气很好我们去爬山"] * 9 + ["ok"], "char"), ["ok ok ok"] * 9, ["Latin script, which is 2.0%"]),
        (codec_of(ENGLISH, "spaced"), HAN * 20, ["words between spaces in Latin script", "Han script"]),
        (codec_of(["今天 天气 很 好"], "spaced"), ["今天天气很好"] * 30, ["words between spaces", "without spaces"]),
        (codec_of(ENGLISH, "spaced"), ["WE READ THE POEM"] * 9, ["words between spaces", "capitals"]),
        (codec_of([line.upper() for line in ENGLISH], "spaced"), ENGLISH * 9, ["small letters"]),
        (codec_of(ENGLISH, "spaced"), ["▁we ▁re ad ▁the ▁po em"] * 9, ["pieces of words marked by ▁"]),
        (codec_of(ENGLISH, "spaced"), ["we re@@ ad the po@@ em"] * 9, ["pieces of words marked by @@"]),
        (codec_of(HAN, "char"), ["這個問題還沒有辦法說"] * 9, ["characters", "traditional"]),
        (codec_of(ENGLISH, "spaced"), ["quantum chromodynamics"] * 20, ["other words"]),
        (codec_of(HAN, "char"), ["今 天。 天 气。"] * 9, ["spaces or marks that it never met"]),
    ],
)
def test_one_sentence_names_both_units_and_the_remedy(codec, texts, said):
    with pytest.raises(ConfigError) as caught:
        refuse_mismatch(codec, texts, "--allow-unknown")
    for words in said:
        assert words in str(caught.value)
    assert "--allow-unknown" in caught.value.hint


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [""],
        ["今天天气很好"] * 30,
        ["今天天气很好我们去爬山吧"] * 30,  # one of twelve is unknown
        ["這個"],  # too few to conclude anything
    ],
)
def test_what_fits_or_is_too_little_to_judge_passes(texts):
    refuse_mismatch(codec_of(HAN, "char"), texts, "--allow-unknown")


def test_of_an_imported_model_nobody_knows_how_much_of_a_script_it_has_read():
    known = codec_of(["今天天气很好我们去爬山"] * 9 + ["ok"], "char").vocab
    codec = Codec(TOKENIZERS["char"](), Vocab(known.tokens, [0] * len(known)), level="char")
    refuse_mismatch(codec, ["okok"] * 9, "--allow-unknown")


def test_a_model_of_pieces_reads_lists_of_pieces():
    refuse_mismatch(codec_of(["▁we ▁re ad"], "spaced"), ["▁we ▁re ad"] * 30, "--allow-unknown")
