from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import LINES

from charlm.errors import VocabError
from charlm.text.vocab import EOS, UNK, Loss, Vocab, count, escape, unescape
from charlm.tokenizers import TOKENIZERS

CHARACTERS, SPACED = TOKENIZERS["char"](), TOKENIZERS["spaced"]()
# 5 + 3 + 2 + 1 + 1 = 12 tokens; d and e are equally rare
COUNTS = {"a": 5, "b": 3, "c": 2, "e": 1, "d": 1, "<EOS>": 4}
AWKWARD = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(" \t\n\r\\u{}\x85\u2028𠮷"), min_size=1)


@pytest.fixture
def damaged(tmp_path):
    """Read a vocabulary of the given content, which must be refused, and give the reason."""

    def refused(content: str) -> str:
        path = tmp_path / "vocab.tsv"
        path.write_bytes(content.encode())
        with pytest.raises(VocabError) as caught:
            Vocab.read(path)
        return str(caught.value).replace(str(path), "vocab.tsv")

    return refused


# ── laws ────────────────────────────────────────────────────────────────────────────────────────


@given(AWKWARD)
def test_an_escaped_token_is_visible_and_comes_back(token):
    assert unescape(escape(token)) == token
    assert not any(character.isspace() for character in escape(token))


@pytest.mark.parametrize("closing", [True, False])
@given(st.lists(st.text("春江<>EOS ", max_size=6)), st.integers(0, 9))
def test_counts_of_shards_add(closing, lines, cut):
    whole = count(lines, CHARACTERS, closing=closing)
    shards = count(lines[:cut], CHARACTERS, closing=closing) + count(lines[cut:], CHARACTERS, closing=closing)
    assert shards == whole
    assert Vocab.from_counts(shards) == Vocab.from_counts(whole)


@given(st.lists(st.text("春江花月 ", max_size=6)), st.integers(0, 9), st.integers(1, 3))
def test_vocabularies_of_shards_add_to_that_of_the_whole(lines, cut, min_count):
    shards = [Vocab.from_counts(count(part, CHARACTERS))[0] for part in (lines[:cut], lines[cut:])]
    added, _ = Vocab.from_counts(shards[0].counter() + shards[1].counter(), min_count=min_count)
    whole, _ = Vocab.from_counts(count(lines, CHARACTERS), min_count=min_count)
    assert (added.tokens, added.counts) == (whole.tokens, whole.counts)


@given(st.dictionaries(AWKWARD, st.integers(1, 9), max_size=8))
def test_a_vocabulary_survives_its_file(tmp_path_factory, counts):
    vocab, _ = Vocab.from_counts(counts)
    path = tmp_path_factory.mktemp("vocab") / "vocab.tsv"
    path.write_bytes(vocab.lines().encode())
    assert Vocab.read(path).counter() == vocab.counter()
    assert Vocab.read(path) == vocab


@given(st.dictionaries(st.sampled_from("春江花月夜"), st.integers(0, 9)), st.integers(1, 5), st.integers(3, 6))
def test_a_vocabulary_and_its_loss_account_for_every_token(counts, min_count, max_size):
    vocab, loss = Vocab.from_counts(counts, min_count=min_count, max_size=max_size)
    assert sum(vocab.counts) == loss.of_tokens == sum(counts.values())
    assert vocab.counts[UNK] == loss.tokens
    assert len(vocab) <= max_size


# ── counting ────────────────────────────────────────────────────────────────────────────────────


def test_the_end_of_every_document_is_counted_where_it_is_closed():
    assert count(["ab", "a"], CHARACTERS) == {"a": 2, "b": 1, "<EOS>": 2}
    assert count(["ab\n", "a\n"], CHARACTERS, closing=False) == {"a": 2, "b": 1, "\n": 2}
    assert count([], CHARACTERS) == {}


def test_a_text_that_spells_the_end_sign_has_an_unknown_token_there():
    assert count(["a <EOS>", "<unk>"], SPACED) == {"a": 1, "<UNK>": 1, "<unk>": 1, "<EOS>": 2}
    assert count(["a <EOS>\n"], SPACED, closing=False) == {"a": 1, "<UNK>": 1, "\n": 1}


# ── choosing ────────────────────────────────────────────────────────────────────────────────────


def kept(**limits) -> str:
    return "".join(Vocab.from_counts(COUNTS, **limits)[0].tokens[2:])


def test_tokens_stand_by_frequency_and_equal_ones_in_code_point_order():
    vocab, loss = Vocab.from_counts(COUNTS)
    assert vocab.tokens == ["<EOS>", "<UNK>", "a", "b", "c", "d", "e"]
    assert vocab.counts == [4, 0, 5, 3, 2, 1, 1]
    assert loss == Loss(types=0, tokens=0, of_tokens=12, examples=())


def test_limits_drop_the_rarest():
    assert kept(min_count=2) == "abc"
    assert kept(min_count=3) == "ab"
    assert kept(max_size=6) == "abcd"
    assert kept(max_size=3) == "a"
    assert kept(min_count=2, max_size=4) == "ab"


def test_coverage_keeps_the_fewest_tokens_that_reach_the_share():
    assert kept(coverage=5 / 12) == "a"
    assert kept(coverage=0.5) == "ab"  # 5 of 12 is too little
    assert kept(coverage=11 / 12) == "abcd"
    assert kept(coverage=1.0) == "abcde"


def test_the_loss_says_how_much_of_the_text_is_gone():
    vocab, loss = Vocab.from_counts(COUNTS, min_count=3)
    assert loss == Loss(types=3, tokens=4, of_tokens=12, examples=(("c", 2), ("d", 1), ("e", 1)))
    assert loss.rate == 4 / 12
    assert vocab.counts == [4, 4, 5, 3]
    assert Loss(0, 0, 0, ()).rate == 0


def test_ten_examples_of_a_loss_are_enough():
    _, loss = Vocab.from_counts({f"t{number:02}": 1 for number in range(20)}, min_count=2)
    assert loss.types == 20
    assert loss.examples == tuple((f"t{number:02}", 1) for number in range(10))


def test_unknown_words_of_the_corpus_itself_count_as_unknown():
    vocab, loss = Vocab.from_counts({"a": 2, "<unk>": 3, "<UNK>": 1})
    assert vocab.tokens == ["<EOS>", "<UNK>", "a"]
    assert vocab.counts == [0, 4, 2]
    assert loss.tokens == 0


def test_what_a_vocabulary_does_not_know_of_another_text():
    vocab, _ = Vocab.from_counts(count(LINES, CHARACTERS))
    assert vocab.unknown(count(["春江水", "水暖"], CHARACTERS)) == Loss(2, 3, 5, (("水", 2), ("暖", 1)))
    assert vocab.unknown({"<unk>": 2, "春": 2}) == Loss(1, 2, 4, (("<unk>", 2),))


# ── looking up ──────────────────────────────────────────────────────────────────────────────────


def test_special_tokens_come_first_and_their_spellings_are_unknown():
    vocab, _ = Vocab.from_counts(COUNTS)
    assert (vocab.tokens[EOS], vocab.tokens[UNK]) == ("<EOS>", "<UNK>")
    assert [vocab.id(token) for token in ("<EOS>", "<UNK>", "<unk>", "字")] == [UNK] * 4
    assert vocab.id("a") == 2


def test_vocabularies_are_equal_by_their_tokens():
    vocab = Vocab.from_counts(COUNTS)[0]
    assert vocab == Vocab(vocab.tokens, [7] * len(vocab))
    assert vocab != Vocab.from_counts(COUNTS, min_count=2)[0]
    assert vocab.counter() == Counter(COUNTS)


def test_a_vocabulary_without_its_specials_or_with_a_token_twice_is_refused():
    with pytest.raises(VocabError, match="begins with <EOS> and <UNK>"):
        Vocab(["<UNK>", "<EOS>"], [0, 0])
    with pytest.raises(VocabError, match="'a' stands in the vocabulary twice"):
        Vocab(["<EOS>", "<UNK>", "a", "a"], [0, 0, 1, 1])


# ── the file ────────────────────────────────────────────────────────────────────────────────────


def test_the_file_shows_a_token_and_its_count_on_each_line():
    vocab, _ = Vocab.from_counts({"春": 3, " ": 2, "\n": 2, "\\": 1, "\ud800": 1})
    lines = [
        "<EOS>\t0",
        "<UNK>\t0",
        "春\t3",
        r"\u{a}" + "\t2",
        r"\u{20}" + "\t2",
        r"\u{5c}" + "\t1",
        r"\u{d800}" + "\t1",
    ]
    assert vocab.lines() == "".join(line + "\n" for line in lines)


@pytest.mark.parametrize(
    "line", ["春", "春 3", "\t3", "春\tthree", "春\t-3", "春\t３", "春\t3\r", "", "春\t" + "9" * 5000]
)
def test_a_damaged_line_is_named(damaged, line):
    assert damaged(f"<EOS>\t4\n<UNK>\t0\n{line}\n月\t1\n").startswith("vocab.tsv:3: cannot read ")


@pytest.mark.parametrize("code", ["110000", "ffffffffffffffffffff"])
def test_an_escape_beyond_unicode_is_named(damaged, code):
    assert damaged("<EOS>\t4\n<UNK>\t0\n\\u{" + code + "}\t1\n").startswith("vocab.tsv:3: cannot read ")


def test_a_file_cut_short_is_refused(damaged):
    assert damaged("<EOS>\t4\n<UNK>\t0\n春\t12") == "vocab.tsv:3: the last line has no end: was the file cut short?"


def test_a_file_without_specials_or_with_a_token_twice_is_refused_by_name(damaged):
    assert damaged("") == "vocab.tsv holds no vocabulary"
    assert damaged("春\t4\n月\t0\n") == "vocab.tsv: a vocabulary begins with <EOS> and <UNK>"
    assert damaged("<EOS>\t4\n<UNK>\t0\n春\t1\n春\t1\n") == "vocab.tsv: the token '春' stands in the vocabulary twice"


def test_a_missing_file_and_one_that_is_no_text_are_refused(tmp_path):
    with pytest.raises(VocabError, match="No such file"):
        Vocab.read(tmp_path / "vocab.tsv")
    (tmp_path / "vocab.tsv").write_bytes(b"<EOS>\t\xff")
    with pytest.raises(VocabError, match="is not UTF-8 text: byte 6 is 0xff"):
        Vocab.read(tmp_path / "vocab.tsv")
