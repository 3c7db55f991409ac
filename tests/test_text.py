import gzip
import io
import json
import os
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tiny import LINES

from charlm.config.text import TextConfig
from charlm.errors import MissingExtra, TextError
from charlm.text import decoding, sources
from charlm.text import files as text
from charlm.text.files import documents, one_line, part, part_of

LINE_READING, STREAM = TextConfig(), TextConfig(reading="stream")
SIMPLIFIED = "春天来了，山里的花都开了。我们在江边看月亮，听见鸟的声音，心里很高兴。"
TRADITIONAL = "春天來了，山裡的花都開了。我們在江邊看月亮，聽見鳥的聲音，心裡很高興。"

# Where some of the numbers from 0 to 199 go, for all time.
VALID = ["24", "32", "66", "69", "74", "95", "160", "170"]
TEST = ["27", "55", "59", "67", "88", "150", "181"]


@pytest.fixture
def write(tmp_path):
    """Write some bytes, or text in UTF-8, and give the path as a string."""

    def written(content: bytes | str, name: str = "a.txt") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return written


def read(*sources: str, **knobs) -> list[str]:
    return list(documents(sources, TextConfig(**knobs)))


def stream(*sources: str) -> str:
    return "".join(documents(sources, STREAM))


def refused(*sources: str, **knobs) -> str:
    with pytest.raises(TextError) as caught:
        read(*sources, **knobs)
    assert caught.value.hint
    return str(caught.value)


# ── laws ────────────────────────────────────────────────────────────────────────────────────────

PIECES = st.sampled_from(["\r", "\n", "\r\n", "a", "春", "𠮷", "e\u0301", "\u200b", "\ufeff", " ", "\u2028", ""])


def lines_in_blocks(data: bytes, size: int, encoding: str) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "BLOCK_BYTES", size)
        return list(decoding.decoded_lines(io.BytesIO(data), "x", encoding, print))


@given(
    st.lists(PIECES, max_size=12).map("".join),
    st.integers(1, 9),
    st.sampled_from(["utf-8", "gb18030", "utf-16", "utf-16-be"]),
)
@example("a\r\nb\r\rc\n\r\n", 2, "utf-8")
@example("\r\u200b\n", 1, "utf-8")
def test_a_text_reads_the_same_in_blocks_of_any_size(content, size, encoding):
    whole = lines_in_blocks(content.encode(encoding), 1 << 20, encoding)
    assert lines_in_blocks(content.encode(encoding), size, encoding) == whole
    assert "".join(whole) == text.normalize(content.replace("\r\n", "\n").replace("\r", "\n"))
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in whole[:-1])


@given(st.text(max_size=20))
def test_normalizing_twice_changes_nothing(content):
    assert text.normalize(text.normalize(content)) == text.normalize(content)


@given(st.lists(st.text("春江花月夜", max_size=4), max_size=30))
def test_the_parts_of_a_corpus_are_disjoint_and_complete(lines):
    parts = {wanted: {line for line in lines if part_of(line) == wanted} for wanted in ("train", "valid", "test")}
    assert sum(map(len, parts.values())) == len(set(lines))


# ── sources ─────────────────────────────────────────────────────────────────────────────────────


def test_a_document_is_a_line_without_white_space_at_its_edges(write):
    assert read(write("春风\n\n \u3000\n\t月夜 \n花 落")) == ["春风", "月夜", "花 落"]


def test_a_folder_is_read_file_by_file_in_the_order_of_names(write, tmp_path):
    write("二\n", "b/2.txt")
    write("一\n", "a.txt")
    write("三\n", "b/3.TXT")
    write("no text", "b/picture.png")
    assert read(str(tmp_path)) == ["一", "二", "三"]


def test_several_sources_keep_their_order(write):
    assert read(write("二", "b"), write("一", "a")) == ["二", "一"]


@pytest.mark.parametrize("name", ["a.txt.gz", "a.txt", "a.gz"])
def test_gzip_is_known_by_its_first_bytes(write, name):
    assert read(write(gzip.compress("春风\n月夜\n".encode()), name)) == ["春风", "月夜"]


def test_standard_input_is_a_dash(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("春风\n月夜".encode())))
    assert read("-") == ["春风", "月夜"]
    assert not sources.can_be_read_twice(["-"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_pipe_can_be_read_once(tmp_path, pack):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(pack("春风\n月夜".encode()),))
    writer.start()
    assert not sources.can_be_read_twice([str(tmp_path / "pipe")])
    assert read(str(tmp_path / "pipe")) == ["春风", "月夜"]
    writer.join()


def test_a_missing_file_an_empty_folder_and_no_source_are_refused(tmp_path):
    assert refused(str(tmp_path / "none.txt")) == f"no such file: {tmp_path / 'none.txt'}"
    assert refused(str(tmp_path)) == f"no text files in the folder {tmp_path}"
    assert refused() == "no text was given"


def test_a_name_too_long_for_a_file_is_refused():
    assert "File name too long" in refused("春" * 200)


def test_an_empty_file_has_no_documents(write):
    assert read(write("")) == []
    assert read(write("\ufeff\n \n")) == []


# ── JSON ────────────────────────────────────────────────────────────────────────────────────────


def test_json_lines_give_the_text_of_a_field(write):
    path = write('{"poem": "春风\\n月夜", "text": 1}\n\n{"poem": "a\\nb"}\n', "a.jsonl")
    assert read(path, field="poem") == ["春风月夜", "a b"]


JSON_LINES = '{"text": "春风", "n": 1}\n\n{"text": "月夜"}\n{"text": "花落"}\n'


@pytest.mark.parametrize("name", ["a.json", "a.JSON", "a.json.gz", "a.txt", "a"])
def test_json_lines_are_known_by_their_content_whatever_the_file_is_called(write, name):
    content = JSON_LINES.encode()
    path = write(gzip.compress(content) if name.endswith("gz") else content, name)
    assert read(path) == ["春风", "月夜", "花落"]
    assert stream(path) == "春风\n月夜\n花落\n"


def test_json_lines_from_standard_input_are_read_as_such(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(JSON_LINES.encode())))
    notes = []
    assert list(documents(["-"], LINE_READING, note=notes.append)) == ["春风", "月夜", "花落"]
    assert notes == ["-: read as JSON lines"]


POEM = {"title": "静夜思", "paragraphs": ["床前明月光，", "疑是地上霜。"]}


@pytest.mark.parametrize("collection", [[POEM, POEM], POEM])
@pytest.mark.parametrize("indent", [None, 1])
def test_a_collection_of_another_name_was_read_with_its_braces(write, monkeypatch, collection, indent):
    content = json.dumps(collection, ensure_ascii=False, indent=indent)
    texts = ["床前明月光，疑是地上霜。"] * (2 if collection is not POEM else 1)
    assert read(write(content, "poems.txt")) == texts
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    assert list(documents(["-"], LINE_READING)) == texts


@pytest.mark.parametrize("prose", ["[1] 春风\n{a}\n", '{"春"}\n风\n', "[{春}]\n", "{}\n"])
def test_prose_with_brackets_is_no_collection(write, prose):
    assert read(write(prose)) == prose.splitlines()


def test_json_lines_by_content_name_the_line_that_is_bad(write):
    path = write(JSON_LINES + '{"poem": "x"}\n', "a.json")
    assert refused(path) == f"{path}:5: no text in the field 'text' (found: poem)"
    path = write(JSON_LINES + '{"text": ', "b.json")
    assert refused(path).startswith(f"{path}:5: not JSON")


@pytest.mark.parametrize("prose", ["{a}\n{b}\n", "{}\n{}\n", '{"a": 1}\nprose', "[1]\n[2]\n", "{\n}\n", "{" * 9999])
def test_prose_in_braces_is_prose(write, prose):
    assert read(write(prose)) == prose.rstrip("\n").split("\n")


def test_a_collection_over_many_lines_is_no_json_lines(write):
    assert read(write(json.dumps([{"text": "春风"}, {"text": "月夜"}], indent=1), "a.json")) == ["春风", "月夜"]
    assert read(write(json.dumps({"text": "春风"}, indent=1), "a.json")) == ["春风"]


def test_json_lines_may_be_packed(write):
    assert read(write(gzip.compress(b'{"text": "ok"}'), "a.ndjson.gz")) == ["ok"]


def test_a_json_collection_gives_the_paragraphs_of_each_poem(write):
    poems = [{"title": "春晓", "paragraphs": ["春眠不觉晓，", "处处闻啼鸟。"]}, {"text": "月落乌啼"}]
    assert read(write(json.dumps(poems), "poems.json")) == ["春眠不觉晓，处处闻啼鸟。", "月落乌啼"]
    assert read(write(json.dumps(poems[1]), "one.json")) == ["月落乌啼"]


def test_line_ends_inside_json_are_line_ends_like_any_other(write):
    assert read(write(json.dumps({"text": "春风\r\n月夜\r花落\u200b"}), "a.jsonl")) == ["春风月夜花落"]


@pytest.mark.parametrize("bad", ["{", "春", '{"text": "x"} {', "[" * 99999, '{"text": ' + "1" * 5000 + "}"])
def test_a_line_that_is_no_json_is_named(write, bad):
    path = write('{"text": "ok"}\n\n' + bad + "\n", "a.jsonl")
    assert refused(path).startswith(f"{path}:3: not JSON")


def test_a_record_without_the_field_is_named_with_what_it_has(write):
    lines = write('{"text": "ok"}\n{"poem": "春", "by": "x"}\n', "a.jsonl")
    assert refused(lines) == f"{lines}:2: no text in the field 'text' (found: poem, by)"
    collection = write('[{"text": "ok"}, 7, {"text": ["a", 1]}]', "a.json")
    assert refused(collection) == f"{collection}, object 2: no text in the field 'text' (found: int)"


@pytest.fixture
def poems_folder(write, tmp_path):
    """A folder laid out like a collection of poems on GitHub, with invented verses."""

    def collection(name, value):
        write(json.dumps(value, ensure_ascii=False), f"poems/{name}")

    collection("poet.song.0.json", [{"author": "某甲", "paragraphs": ["纸船过浅水，", "竹马立斜阳。"]}])
    collection("authors.song.json", [{"name": "某甲", "desc": "无"}, {"name": "某乙", "desc": "无"}])
    collection("error/poet.song.0.json", [{"paragraphs": ["墨冷窗前雨。"]}, {"title": "残"}])
    collection("表面结构字.json", {"雲": "云"})
    collection("nalan.json", [{"title": "某调", "para": ["灯影摇残梦，", "砧声落小楼。"]}])
    leaf = {"chapter": "某首", "author": "某丙", "paragraphs": ["石桥无客过。"]}
    collection(
        "meng/verses.json", {"title": "某书", "content": [{"type": "五言", "content": [leaf, {"chapter": "缺"}]}]}
    )
    collection("meng/plain.json", {"title": "某书", "content": ["一叶一舟，", "一灯一壶。"]})
    for name in ("README.md", "readme_zh.md", "README.zh-CN.md", "LICENSE.txt", "error/Read-Me.txt"):
        write("not a poem", f"poems/{name}")
    for name in (".git/x.txt", "._a.txt", "meng/.cache/y.json"):
        write("not a poem", f"poems/{name}")
    write("读书灯下。", "poems/reader.txt")
    return str(tmp_path / "poems")


def test_a_folder_of_poems_gives_its_poems_and_tells_what_was_left_out(poems_folder):
    notes = []
    found = list(documents([poems_folder], LINE_READING, note=notes.append))
    assert sorted(found) == sorted(
        [
            "纸船过浅水，竹马立斜阳。",
            "墨冷窗前雨。",
            "灯影摇残梦，砧声落小楼。",
            "石桥无客过。",
            "一叶一舟，一灯一壶。",
            "读书灯下。",
        ]
    )
    left_out, passed_over = notes
    assert "left out: 8, e.g. " in left_out and ".git/x.txt" in left_out
    assert (
        "without text passed over: 5, e.g. " in passed_over
        and "authors.song.json, object 1 (name, desc)" in passed_over
    )


def test_a_file_of_a_collection_that_was_named_stays_strict(poems_folder):
    assert "object 1: no text in the field 'text'" in refused(f"{poems_folder}/authors.song.json")
    assert "object 1: no text in the field 'text' (found: chapter)" in refused(f"{poems_folder}/meng/verses.json")
    assert read(f"{poems_folder}/README.md") == ["not a poem"]


@pytest.mark.parametrize("wanted", ["train", "valid"])
def test_a_folder_of_poems_can_be_parted_in_both_readings(poems_folder, wanted):
    list(part([poems_folder], LINE_READING, wanted))
    assert "".join(part([poems_folder], STREAM, wanted))


def test_a_hidden_folder_that_was_named_is_read(write, tmp_path):
    write("春风", ".poems/a.txt")
    assert read(str(tmp_path / ".poems")) == ["春风"]


def test_a_folder_of_nothing_but_read_mes_holds_no_text(write, tmp_path):
    write("about", "README.md")
    assert refused(str(tmp_path)) == f"no text files in the folder {tmp_path}"


def test_books_in_books_without_end_are_refused_and_not_followed(write):
    nested = '{"content": [' * 200 + "{}" + "]}" * 200
    assert "no text in the field" in refused(write(nested, "a.json"))


# ── encodings ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_is_known_by_its_mark_or_by_decoding(write, encoding):
    assert read(write("\n".join(LINES).encode(encoding))) == LINES


def test_big_endian_utf_16_is_known_by_its_mark(write):
    assert read(write(("\ufeff" + SIMPLIFIED).encode("utf-16-be"))) == [SIMPLIFIED]


@pytest.mark.parametrize("order", ["le", "be"])
def test_utf_32_is_known_by_its_mark_and_not_taken_for_utf_16(write, order):
    path, notes = write(("\ufeff" + SIMPLIFIED).encode(f"utf-32-{order}")), []
    assert list(documents([path], LINE_READING, note=notes.append)) == [SIMPLIFIED]
    assert notes == [f"{path}: read as utf-32; give --encoding if that is wrong"]


@pytest.mark.parametrize(("encoding", "sentence"), [("gb18030", SIMPLIFIED), ("big5", TRADITIONAL)])
def test_old_chinese_encodings_are_guessed_and_noted(write, encoding, sentence):
    path, notes = write(sentence.encode(encoding)), []
    assert list(documents([path], LINE_READING, note=notes.append)) == [sentence]
    assert notes == [f"{path}: read as {encoding}; give --encoding if that is wrong"]


JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗い所で泣いていた。"
KOREAN = "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 이성과 양심을 부여받았으며"
RUSSIAN = "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью"
GREEK = "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα"
FRENCH = "Tous les êtres humains naissent libres et égaux en dignité et en droits. L'été à Noël, où ça?"
OLD_POEM = "床前明月光，疑是地上霜。舉頭望明月，低頭思故鄉。白日依山盡，黃河入海流。"


@pytest.mark.parametrize(
    ("sentence", "encoding"),
    [
        (JAPANESE, "euc-jp"),
        (JAPANESE, "cp932"),
        (KOREAN, "cp949"),
        (OLD_POEM, "big5"),
        (OLD_POEM, "gb18030"),
    ],
)
def test_no_old_encoding_is_taken_for_another(write, sentence, encoding):
    assert decoding.guess_encoding(sentence.encode(encoding), "x") == encoding
    assert read(write(sentence.encode(encoding))) == [sentence]


THAI = "สวัสดีครับ ประเทศไทยเป็นประเทศที่สวยงาม\n"  # 是 twice, where two bytes are taken together


@pytest.mark.parametrize(
    ("sentence", "encoding"),
    [
        (GREEK, "cp1253"),
        (FRENCH, "latin-1"),
        ("שלום עולם", "cp1255"),
        (THAI.strip(), "cp874"),
        (JAPANESE, "iso2022_jp"),
        (KOREAN, "iso2022_kr"),
    ],
)
def test_what_is_in_an_encoding_that_cannot_be_guessed_is_never_read_as_another(write, sentence, encoding):
    path = write(sentence.encode(encoding))
    refused(path)
    assert read(path, encoding=encoding) == [sentence]


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r"])
def test_an_encoding_that_any_bytes_decode_in_is_offered_and_not_chosen(write, encoding):
    assert f"{encoding}: {RUSSIAN[:40]}" in refused(write(RUSSIAN.encode(encoding))).split("\n")


def test_an_encoding_that_is_not_clear_is_refused_with_a_line_of_each_candidate(write):
    path = write(b"plain\n" + "春".encode("gb18030"))
    message = refused(path)
    assert message.startswith(f"{path}:2: byte 6 (0xb4) is not UTF-8; it may be in one of these")
    assert "gb18030: 春" in message.split("\n")
    assert read(path, encoding="gb18030") == ["plain", "春"]


def test_a_damaged_byte_late_in_an_old_encoding_is_named_at_its_place(write):
    good = (SIMPLIFIED + "\n").encode("gbk")
    path = write(good * 50 + "春天".encode("gbk") + b"\xff\xff" + good * 10)
    assert refused(path) == f"{path}:51: byte {len(good) * 50 + 4} (0xff) is not gb18030"
    assert refused(write(good + b"\xff\xff")) == f"{path}:2: byte {len(good)} (0xff) is not gb18030"


def test_utf_8_and_a_named_encoding_are_not_worth_a_note(write):
    notes = []
    list(documents([write(SIMPLIFIED)], LINE_READING, note=notes.append))
    list(documents([write(SIMPLIFIED.encode("gbk"), "b")], TextConfig(encoding="gbk"), note=notes.append))
    assert notes == []


def test_a_wrong_encoding_is_refused_with_line_and_byte(write):
    path = write("ok\n春".encode("gb18030"))
    assert refused(path, encoding="utf-8") == f"{path}:2: byte 3 (0xb4) is not utf-8"
    path = write("ok\n春\n".encode())
    assert refused(path, encoding="ascii") == f"{path}:2: byte 3 (0xe6) is not ascii"


def test_utf_16_without_its_mark_is_refused(write):
    path = write("春风".encode("utf-16-be"))
    assert "does not start with BOM" in refused(path, encoding="utf-16")
    assert read(path, encoding="utf-16-be") == ["春风"]


@pytest.mark.parametrize("encoding", ["utf-9", "hex", "rot13", "base64"])
def test_an_encoding_that_does_not_exist_or_is_none_of_text_is_refused(write, encoding):
    assert refused(write("ok"), encoding=encoding) == f"no encoding of text is called {encoding!r}"


def test_a_binary_file_is_refused(write):
    path = write(b"\x7fELF\x02\n\x00\x01")
    assert refused(path) == f"{path}:2: a zero byte: this is not text"
    path = write(b"\x89PNG\r\n\x1a\n\x00\x00\xff\xd8")
    assert refused(path).startswith(f"{path}:1: byte 0 (0x89) is not UTF-8")


def test_a_text_in_an_encoding_of_western_europe_is_not_taken_for_chinese(write):
    path = write(
        "naïve mêlée élan".encode("latin-1")
    )  # each accent and the letter behind it are a character of GB18030
    message = refused(path)
    assert message.startswith(f"{path}:1: byte 2 (0xef) is not UTF-8") and "gb18030" not in message
    assert read(path, encoding="latin-1") == ["naïve mêlée élan"]


def test_a_bad_byte_deep_in_utf_8_is_named(write):
    good = (SIMPLIFIED + "\n").encode()
    path = write(good * 40 + b"ok \xff\n" + good * 40)
    assert refused(path).startswith(f"{path}:41: byte {len(good) * 40 + 3} (0xff) is not UTF-8")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("size", [5, 64, 100])
def test_a_bad_byte_beyond_the_first_block_is_named(write, monkeypatch, size, end):
    monkeypatch.setattr(decoding, "BLOCK_BYTES", size)
    good = ("春江" + end).encode()
    path = write(b"\xef\xbb\xbf" + good * 40 + b"ok \xff\n" + good)
    assert refused(path).startswith(f"{path}:41: byte {len(good) * 40 + 6} (0xff) is not utf-8")


def test_a_text_that_ends_inside_a_character_is_refused(write):
    path = write("春风\n月".encode()[:-1])
    assert refused(path) == f"{path}:2: byte 7 (0xe6) is not utf-8"


def test_a_damaged_gzip_file_is_refused(write):
    packed = gzip.compress("".join(f"{n} {SIMPLIFIED}\n" for n in range(200)).encode())
    for damaged in (packed[:-9], packed[:30], packed[:-8] + b"\0" * 8, packed[:300] + b"\xff" * 90 + packed[390:]):
        path = write(damaged, "a.gz")
        assert refused(path).startswith(f"{path} is a damaged gzip file: ")


# ── normalizing ─────────────────────────────────────────────────────────────────────────────────


def test_invisible_characters_go_and_joiners_stay():
    assert text.normalize("\ufeff春\u200b风\u00ad\u2060\u200e") == "春风"
    assert text.normalize("👩\u200d🚀") == "👩\u200d🚀"
    assert text.normalize("春\u200b") == "春"


def test_nfc_joins_marks_and_leaves_chinese_punctuation_alone():
    assert text.normalize("e\u0301，！ａ") == "é，！ａ"


def test_line_ends_of_every_system_end_a_line(write):
    assert stream(write("a\r\nb\rc\n\r\rd")) == "a\nb\nc\n\n\nd"


def test_a_line_without_end_is_cut_so_that_memory_stays_bounded(write, monkeypatch):
    monkeypatch.setattr(decoding, "BLOCK_BYTES", 4)
    monkeypatch.setattr(decoding, "LONGEST_LINE", 8)
    path = write("abcdefghijklmnopqrst\nu")
    assert read(path) == ["abcdefghijkl", "mnopqrst", "u"]
    assert stream(path) == "abcdefghijklmnopqrst\nu"


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        ("春眠不觉晓，\n处处闻啼鸟。", "春眠不觉晓，处处闻啼鸟。"),
        ("  the moon \n\n is up", "the moon is up"),
        ("他说\nhello\n世界", "他说 hello 世界"),
        ("他问：“何处？”\n“江南。”她答……\n无人", "他问：“何处？”“江南。”她答……无人"),
        ("“Yes.”\n“No.”", "“Yes.” “No.”"),
        ("", ""),
    ],
)
def test_lines_are_joined_without_a_gap_in_chinese_and_with_one_elsewhere(lines, joined):
    assert one_line(lines) == joined


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        ("나는 학교에\n간다", "나는 학교에 간다"),
        ("봄이 왔다。\n꽃이 핀다", "봄이 왔다。 꽃이 핀다"),
        ("“봄”\n“꽃”", "“봄” “꽃”"),
        ("大韓民國은\n大國", "大韓民國은 大國"),
        ("春が来た\n花が咲く", "春が来た花が咲く"),
    ],
)
def test_lines_of_korean_are_joined_with_the_space_that_hangul_is_written_with(lines, joined):
    assert one_line(lines) == joined


# ── readings and parts ──────────────────────────────────────────────────────────────────────────


def test_the_pieces_of_a_stream_joined_are_the_text(write):
    assert stream(write(" a\r\n\r\n\t春\u200b风 \nend")) == " a\n\n\t春风 \nend"


def test_two_files_of_a_stream_do_not_run_into_one_line(write):
    assert stream(write("春风", "1"), write("月夜\n", "2"), write("", "3"), write("花落", "4")) == "春风\n月夜\n花落"


def test_simplifying_converts_every_line(write):
    pytest.importorskip("opencc")
    assert read(write("漢語\n"), simplify=True) == ["汉语"]


def test_where_a_document_goes_never_changes():
    numbered = [str(number) for number in range(200)]
    assert [n for n in numbered if part_of(n) == "valid"] == VALID
    assert [n for n in numbered if part_of(n) == "test"] == TEST
    assert [part_of(line) for line in LINES] == ["train", "train", "train", "train"]


def test_about_nine_tenths_of_many_lines_are_for_training():
    parts = [part_of(str(number)) for number in range(10_000)]
    assert parts.count("train") == pytest.approx(9000, abs=100)
    assert parts.count("valid") == pytest.approx(500, abs=75)


def test_lines_are_parted_by_their_own_hash(write):
    path = write("".join(f"{number}\n" for number in range(200)))
    assert list(part([path], LINE_READING, "valid")) == VALID
    assert list(part([path], LINE_READING, "test")) == TEST


def test_the_last_tenth_of_a_stream_is_for_validation_and_for_the_test(write):
    path, second = write("一二三四五\n六七八\n"), write("九十一二三四五六七八\n", "b")
    assert "".join(part([path, second], STREAM, "train")) == "一二三四五\n六七八\n九十一二三四五六"  # 18 of 21
    assert "".join(part([path, second], STREAM, "valid")) == "七"
    assert "".join(part([path, second], STREAM, "test")) == "八\n"


@given(st.text("春江\n", min_size=1, max_size=90))
def test_the_parts_of_a_stream_joined_are_the_stream(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.txt")
        path.write_text(content, "utf-8")
        parts = ["".join(part([str(path)], STREAM, wanted)) for wanted in ("train", "valid", "test")]
        assert "".join(parts) == content
        assert abs(len(parts[1]) - len(parts[2])) <= 1


def test_the_guess_is_noted_once_however_often_a_stream_is_read(write):
    path, notes = write((SIMPLIFIED + "\n").encode("gb18030")), []
    list(part([path], STREAM, "train", note=notes.append))
    assert len(notes) == 1


def test_a_folder_may_hold_a_folder_that_looks_like_a_text(tmp_path, write):
    (tmp_path / "folder.txt").mkdir()
    write("春风", "folder.txt/a.txt")
    assert read(str(tmp_path)) == ["春风"]
    assert sources.can_be_read_twice([str(Path(tmp_path, "folder.txt", "a.txt"))])


def test_the_lines_of_one_file_come_whatever_its_format(write, tmp_path):
    path = write('{"text": "春"}\r\n\nend', "a.jsonl")
    assert list(text.lines_of(path, LINE_READING)) == ['{"text": "春"}\n', "\n", "end"]
    write("春", "b.txt")
    with pytest.raises(TextError, match="holds 2 text files, and one is wanted"):
        list(text.lines_of(str(tmp_path), LINE_READING))


def test_traditional_characters_are_simplified_when_asked(tmp_path):
    pytest.importorskip("opencc")
    (tmp_path / "poem.txt").write_text("葉落風聲遠。\n", "utf-8")
    assert list(documents([str(tmp_path / "poem.txt")], TextConfig(simplify=True))) == ["叶落风声远。"]


def test_simplifying_without_opencc_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "opencc", None)
    (tmp_path / "poem.txt").write_text("葉落風聲遠。\n", "utf-8")
    with pytest.raises(MissingExtra, match="OpenCC") as caught:
        list(documents([str(tmp_path / "poem.txt")], TextConfig(simplify=True)))
    assert "charlm[simplify]" in caught.value.hint


@pytest.mark.parametrize("wanted", ["train", "test"])
def test_a_stream_from_standard_input_can_be_parted(monkeypatch, wanted):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("一二三四五\n六七八\n".encode())))
    assert "".join(part(["-"], STREAM, wanted)) == {"train": "一二三四五\n六七八", "test": "\n"}[wanted]


def test_french_in_windows_code_was_offered_as_thai_only(write):
    assert f"cp1252: {FRENCH[:40]}" in refused(write(FRENCH.encode("cp1252"))).split("\n")
