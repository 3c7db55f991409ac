"""What every tokenizer promises, and where each of them cuts.

A new tokenizer is held to the laws the moment it is listed in TOKENIZERS.
"""

import json
import pickle
from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charlm import storage
from charlm.errors import VocabError
from charlm.text import decoding
from charlm.tokenizers import TOKENIZERS
from charlm.tokenizers.words import LONGEST_RUN, Words, jieba_itself, read_user_dict

ALPHABET = "春风又绿江南岸，。「」〇𠮷aZé'’_-1½ \t\n\u00a0\u2028\u3000\u0302\u0301👩\u200d🚀🏽かガ한нет\U0003fffd"
AWKWARD = st.one_of(st.text(ALPHABET, max_size=20), st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
AWKWARD_TEXTS = AWKWARD.map(decoding.normalize)
MIXED = "我用Python 3写诗，don't panic！"


@pytest.fixture(params=TOKENIZERS)
def name(request):
    return request.param


@cache
def made(name):
    """A tokenizer that is used again and again: jieba needs a while to wake up."""
    return TOKENIZERS[name]()


# ── laws ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [name for name in TOKENIZERS if name != "spaced"])
@given(document=AWKWARD_TEXTS)
@example(document="👩\u200d🚀 x\u0302_ \u2028\u00a0𠮷野家\n\n'’")
def test_tokens_joined_are_the_text(name, document):
    assert made(name).join(made(name).split(document)) == document


@given(document=AWKWARD_TEXTS)
def test_spaced_tokens_joined_are_the_text_up_to_white_space(document):
    tokenizer = made("spaced")
    joined = tokenizer.join(tokenizer.split(document))
    assert joined.split() == document.split()
    assert joined.count("\n") == document.count("\n")
    assert tokenizer.split(joined) == tokenizer.split(document)


@pytest.mark.parametrize("name", TOKENIZERS)
@given(document=AWKWARD_TEXTS)
def test_no_token_is_empty(name, document):
    assert all(made(name).split(document))


def test_no_text_has_no_tokens(name):
    assert made(name).split("") == []
    assert made(name).join([]) == ""


def test_a_tokenizer_can_be_pickled_before_and_after_use(name):
    cut = made(name).split(MIXED)
    assert pickle.loads(pickle.dumps(made(name))).split(MIXED) == cut
    assert pickle.loads(pickle.dumps(TOKENIZERS[name]())).split(MIXED) == cut


def test_what_json_keeps_of_a_tokenizer_makes_an_equal_one(name):
    kept = json.loads(json.dumps(made(name).spec()))
    again = TOKENIZERS[name](**kept)
    assert again.spec() == made(name).spec() == kept
    assert again.split(MIXED) == made(name).split(MIXED)


# ── characters, spaced, mixed ───────────────────────────────────────────────────────────────────


def test_characters_are_code_points():
    assert made("char").split("𠮷 é\n") == ["𠮷", " ", "é", "\n"]


def test_spaced_cuts_at_white_space_of_every_kind_and_keeps_line_ends():
    split = made("spaced").split
    assert split("the  <unk>\u00a0cat\u3000sat") == ["the", "<unk>", "cat", "sat"]
    assert split("don't stop\n\nnow\n") == ["don't", "stop", "\n", "\n", "now", "\n"]


def test_spaced_lines_come_back_without_spaces_at_their_edges():
    tokenizer = made("spaced")
    assert tokenizer.join(tokenizer.split(" a  b \n \n c\n")) == "a b\n\nc\n"


@pytest.mark.parametrize(
    ("document", "tokens"),
    [
        ("我用Python写诗", ["我", "用", "Python", "写", "诗"]),
        ("don't ask", ["don't", " ", "ask"]),
        ("the dogs’ day’s", ["the", " ", "dogs", "’", " ", "day’s"]),
        ("'quoted'", ["'", "quoted", "'"]),
        ("a  b\tc\n", ["a", " ", " ", "b", "\t", "c", "\n"]),
        ("3.14，ok！", ["3", ".", "14", "，", "ok", "！"]),
        ("〇𠮷", ["〇", "𠮷"]),
        ("нет, naïve", ["нет", ",", " ", "naïve"]),
        ("I'm在家", ["I'm", "在", "家"]),
    ],
)
def test_mixed_takes_han_by_character_and_the_rest_by_word(document, tokens):
    assert made("mixed").split(document) == tokens


# ── words ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def user_dict(tmp_path):
    def write(content: str) -> str:
        path = tmp_path / "words.txt"
        path.write_text(content, encoding="utf-8")
        return str(path)

    return write


def test_chinese_is_cut_into_words_and_english_stays_as_it_stands():
    tokens = made("word").split("我们在北京大学学习，don't panic, ok")
    assert tokens == ["我们", "在", "北京大学", "学习", "，", "don't", " ", "panic", ",", " ", "ok"]


def test_a_user_dictionary_adds_words(user_dict):
    document = "他写了春江词"
    assert "春江词" not in made("word").split(document)
    added = Words(path=user_dict("\ufeff# names\n春江词 100 n\n\n月夜吟\n江南好 20\n"))
    assert "春江词" in added.split(document)
    assert added.user_words == [("春江词", 100, "n"), ("月夜吟", None, None), ("江南好", 20, None)]


def test_added_words_travel_without_their_file(user_dict):
    added = Words(path=user_dict("春江词 100"))
    again = Words(**json.loads(json.dumps(added.spec())))
    assert again.split("他写了春江词") == added.split("他写了春江词") == ["他", "写", "了", "春江词"]


UNUSABLE = ["春江词 100 n extra", "春江词 许多", "春江词 -3 词", "春江 词 3", "北京·上海", "C++", "卡拉OK", "New York"]


@pytest.mark.parametrize("line", [*UNUSABLE, "春江词 " + "9" * 5000])
def test_one_unusable_line_of_a_user_dictionary_is_told_and_the_others_count(user_dict, line):
    path = user_dict(f"月夜吟\n\n{line}\n春江词 100\n")
    words = Words(path=path)
    assert words.user_words == [("月夜吟", None, None), ("春江词", 100, None)]
    assert words.remarks[0].startswith(f"1 line of the user dictionary left out, e.g. {path}:3: ")
    assert "春江词" in words.split("他写了春江词")


@pytest.mark.parametrize("line", UNUSABLE)
def test_a_user_dictionary_without_one_usable_line_is_refused(user_dict, line):
    path = user_dict(f"# names\n\n{line}\n")
    with pytest.raises(VocabError) as caught:
        Words(path=path)
    assert str(caught.value).startswith(f"{path}:3: ")


def test_lines_of_a_user_dictionary_are_counted_as_editors_count_them(user_dict):
    path = user_dict("月夜 5 n\u2028\r\n北京·上海\n")
    assert f"{path}:2: " in Words(path=path).remarks[0]


def test_a_user_dictionary_that_is_missing_or_no_text_is_refused(tmp_path):
    with pytest.raises(VocabError, match=r"cannot read .*No such file"):
        Words(path=str(tmp_path / "none.txt"))
    (tmp_path / "gb.txt").write_bytes("春江".encode("gb18030"))
    with pytest.raises(VocabError, match="is not UTF-8 text: byte 0 is 0xb4"):
        read_user_dict(tmp_path / "gb.txt")


def test_another_dictionary_than_that_of_the_training_is_refused():
    trained_elsewhere = Words(dictionary_sha256="0" * 64)
    with pytest.raises(VocabError, match="another dictionary") as caught:
        trained_elsewhere.split("春江")
    assert "jieba version" in caught.value.hint


def test_other_user_words_than_those_of_the_training_are_refused(user_dict):
    spec = Words(path=user_dict("春江词 100")).spec()
    with pytest.raises(VocabError, match="another dictionary"):
        Words(**spec | {"user_words": []}).split("春江")


def test_the_dictionary_is_only_asked_where_there_is_chinese():
    assert Words(dictionary_sha256="0" * 64).split("no Han") == ["no", " ", "Han"]


@pytest.fixture
def waking_jieba():
    """A jieba that has not been asked yet, here and afterwards."""
    jieba_itself.cache_clear()
    yield
    jieba_itself.cache_clear()


def test_every_tokenizer_of_a_process_read_the_dictionary_anew(user_dict, monkeypatch):
    made("word").split("春江")
    monkeypatch.setattr(jieba_itself()[0], "initialize", lambda: None)  # it has been read
    monkeypatch.setattr("jieba.Tokenizer", lambda: pytest.fail("another jieba"))
    assert Words().split("北京大学") == ["北京大学"]
    assert Words(path=user_dict("京大学 100000000")).split("北京大学") == ["北", "京大学"]


def test_words_of_one_user_dictionary_are_unknown_to_other_tokenizers(user_dict):
    before = made("word").split("春江词")
    first, second = Words(path=user_dict("春江词 100000 n")), Words(path=user_dict("江词 100000"))
    assert first.split("春江词") == ["春江词"] and second.split("春江词") == ["春", "江词"]
    assert Words().split("春江词") == before == made("word").split("春江词")
    assert (
        len({Words().spec()["dictionary_sha256"], *(each.spec()["dictionary_sha256"] for each in (first, second))}) == 3
    )


def test_jieba_is_silent_and_keeps_its_cache_in_the_users_cache_folder(own_cache, waking_jieba, capfd):
    Words().split("春江花月夜")
    assert capfd.readouterr() == ("", "")
    assert [file.name for file in own_cache.iterdir()] == ["jieba.cache"]


def test_a_damaged_jieba_cache_is_made_again(own_cache, waking_jieba, capfd):
    own_cache.mkdir()
    (own_cache / "jieba.cache").write_bytes(b"\xfbno marshal")
    assert Words().split("北京大学") == ["北京大学"]
    assert capfd.readouterr() == ("", "")


def test_words_are_cut_without_a_cache_where_its_folder_cannot_be_made(tmp_path, waking_jieba, monkeypatch, capfd):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "file" / "cache"))
    assert Words().split("北京大学") == ["北京大学"]
    assert capfd.readouterr() == ("", "")


def test_words_are_cut_without_a_cache_where_nobody_has_a_home(waking_jieba, monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(storage, "cache_folder", homeless)
    assert Words().split("北京大学") == ["北京大学"]


@pytest.mark.parametrize("document", ["哈" * 5000, "春江花月夜" * 500 + "a" + "囍" * 2001, "龘靐齉爩" * 700])
def test_jieba_is_never_given_more_than_a_short_run_at_once(monkeypatch, document):
    words = Words()
    cutter, given_to_jieba = words._cutter(), []
    cut = cutter.lcut
    monkeypatch.setattr(cutter, "lcut", lambda run: given_to_jieba.append(len(run)) or cut(run))
    assert words.join(words.split(document)) == document
    assert max(given_to_jieba) <= LONGEST_RUN
    assert sum(given_to_jieba) < 2 * len(document)


def test_a_word_at_the_edge_of_a_piece_stays_whole():
    assert made("word").split("我们在北京大学学习" * 400) == made("word").split("我们在北京大学学习") * 400
