"""Rhyme books: what a character sounds like, and where that is known from."""

import importlib.util
import os
import sys
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from charlm.errors import ConfigError, TextError
from charlm.poems.sounds import RHYME_BOOKS, Reading, RhymeBook, rhyme_book

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("CHARLM_DATA", ROOT.parent / "shared" / "data"))

# First, second, … rhyme words of poems that everybody knows, and their group of 平水韵.
KNOWN_POEMS = {
    "登鹳雀楼": ("流楼", "尤"),
    "静夜思": ("光霜乡", "阳"),
    "春晓": ("晓鸟少", "筱"),
    "江雪": ("绝灭雪", "屑"),
    "山行": ("斜家花", "麻"),
    "早发白帝城": ("间还山", "删"),
    "望庐山瀑布": ("烟川天", "先"),
    "枫桥夜泊": ("天眠船", "先"),
    "春望": ("深心金簪", "侵"),
    "登高": ("哀回来台杯", "灰"),
    "黄鹤楼": ("楼悠洲愁", "尤"),
    "鹿柴": ("响上", "养"),
    "清明": ("纷魂村", None),  # 文 and 元: the first line borrows from the group beside
}
# Every group in which a character of several readings can be heard.
POLYPHONES = {
    "看": "寒 翰",
    "思": "支 寘",
    "中": "东 送",
    "长": "阳 养 漾",
    "教": "肴 效",
    "为": "支 寘",
    "重": "冬 肿 宋",
    "听": "青 径",
    "望": "阳 漾",
    "胜": "蒸 径",
    "应": "蒸 径",
    "论": "真 元 愿",
    "斜": "麻",
    "白": "陌",
    "一": "质",
}

SIMPLIFIED = "長长 東东 間间 樣样 葉叶 聽听 體体 憐怜 廣广 嶺岭 臘腊 適适 勝胜 爾尔 鬥斗 後后 發发 髮发"
VARIANTS = "窗窻 魂䰟 樣㨾 劍劒 胸胷 鞍鞌 爲為 羣群 峯峰 裏裡 牀床 煙烟 鴈雁 鳯鳳 淒凄 皓晧 棲栖 巖岩"


@pytest.fixture(params=list(RHYME_BOOKS))
def book(request):
    return rhyme_book(request.param)


def groups_of(character: str, name: str = "pingshui") -> set[str]:
    return {reading.group for reading in rhyme_book(name).readings(character)}


# Laws


def test_a_tone_is_level_or_oblique_in_every_book(book):
    for character in book.characters:
        for reading in book.readings(character):
            assert reading.level == (reading.tone in "平阴阳")
            assert reading.tone in ("阴阳上去" if book.name == "xinyun" else "平上去入")


def test_members_and_readings_are_two_views_of_one_table(book):
    seen = {group: set() for group in book.groups}
    for character in book.characters:
        assert len(character) == 1
        for reading in book.readings(character):
            seen[reading.group].add(character)
    assert seen == {group: book.members(group) for group in book.groups}
    assert set().union(*seen.values()) == book.characters


def test_a_book_answers_the_same_before_and_after_it_was_indexed():
    text = files("charlm.poems").joinpath("tables/pingshui.tsv").read_text("utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    fresh = RhymeBook(
        "fresh", "fresh", [(Reading(tone == "平", group, tone), members) for group, tone, members in rows]
    )
    indexed = rhyme_book("pingshui")
    some = sorted(indexed.characters)[::9]
    assert len(some) > 2000  # many enough for the index, which the first ones are read without
    assert [fresh.readings(character) for character in some] == [indexed.readings(character) for character in some]
    assert fresh.readings("ж") == frozenset()


def test_the_106_groups_are_30_level_29_rising_30_departing_and_17_entering():
    book = rhyme_book("pingshui")
    tones = {
        group: {r.tone for c in book.members(group) for r in book.readings(c) if r.group == group}
        for group in book.groups
    }
    assert all(len(own) == 1 for own in tones.values())
    assert Counter(tone for own in tones.values() for tone in own) == {"平": 30, "上": 29, "去": 30, "入": 17}
    assert book.groups[:3] + book.groups[29:31] + book.groups[-1:] == ("东", "冬", "江", "咸", "董", "洽")


def test_the_19_parts_are_14_of_three_tones_and_5_of_entering_ones():
    book = rhyme_book("cilin")
    for place, part in enumerate(book.groups, start=1):
        tones = {r.tone for c in book.members(part) for r in book.readings(c) if r.group == part}
        assert tones == (set("平上去") if place <= 14 else {"入"})
    assert len(book.groups) == 19


def test_both_old_books_know_the_same_characters_with_the_same_tones():
    verse, tunes = rhyme_book("pingshui"), rhyme_book("cilin")
    assert verse.characters == tunes.characters
    for character in verse.characters:
        assert {r.tone for r in verse.readings(character)} == {r.tone for r in tunes.readings(character)}, character


def test_there_are_16_groups_of_today():
    assert rhyme_book("xinyun").groups == (*"aoeiuü", "ai", "ei", "ao", "ou", "an", "en", "ang", "eng", "ong", "er")


def test_more_than_9000_characters_are_known_and_nearly_all_that_print_uses():
    book = rhyme_book("pingshui")
    assert len(book.characters) >= 20_000
    levels = [bytes([row, cell]).decode("gb2312") for row in range(0xB0, 0xD7) for cell in range(0xA1, 0xFA)]
    assert sum(character in book for character in levels) / len(levels) > 0.96


# Poems and characters


@pytest.mark.parametrize("poem", KNOWN_POEMS)
def test_the_rhymes_of_known_poems_rhyme(poem):
    ends, group = KNOWN_POEMS[poem]
    assert rhyme_book("pingshui").rhyme(*ends) == ({group} if group else set())


def test_what_today_no_longer_hears_is_in_the_old_books():
    assert rhyme_book("xinyun").rhyme("斜", "家") == set()  # xié, jiā
    assert rhyme_book("pingshui").rhyme("斜", "家") == {"麻"}
    for entering in "白石竹十一国学说":  # all of them level today
        assert {reading.level for reading in rhyme_book("pingshui").readings(entering)} == {False}
        assert True in {reading.level for reading in rhyme_book("xinyun").readings(entering)}
    assert rhyme_book("xinyun").rhyme("东", "风") == set()  # ong and eng


@pytest.mark.parametrize("character", POLYPHONES)
def test_a_polyphone_has_all_its_readings(character):
    assert groups_of(character) == set(POLYPHONES[character].split())


def test_the_words_of_today_have_the_readings_of_today():
    book = rhyme_book("xinyun")
    assert book.readings("看") == {Reading(True, "an", "阴"), Reading(False, "an", "去")}
    assert book.readings("长") == book.readings("長") == {Reading(True, "ang", "阳"), Reading(False, "ang", "上")}
    assert book.readings("月") == {Reading(False, "e", "去")}
    assert book.readings("绿") <= {Reading(False, "ü", "去"), Reading(False, "u", "去")}
    assert book.readings("儿") == {Reading(True, "er", "阳")}


@pytest.mark.parametrize("pair", SIMPLIFIED.split())
def test_a_simplified_character_has_the_readings_of_what_it_stands_for(pair, book):
    traditional, simplified = pair
    assert book.readings(traditional) <= book.readings(simplified)


def test_a_rare_word_does_not_speak_for_a_simplified_character():
    assert groups_of("体") == {"荠"}  # the Guangyun has a word 体 of 混 that nobody means
    assert groups_of("怜") == {"先"}
    assert groups_of("听") == {"青", "径"}


@pytest.mark.parametrize("same", VARIANTS.split())
def test_variants_of_one_word_sound_alike(same):
    first, second = same
    assert groups_of(first) == groups_of(second)


@pytest.mark.parametrize(
    ("character", "group"), [("涯", "麻"), ("佳", "麻"), ("强", "养"), ("打", "马"), ("凹", "肴"), ("你", "纸")]
)
def test_later_usage_is_there(character, group):
    assert group in groups_of(character)


# 词林正韵


def test_a_tune_rhymes_by_wider_parts():
    book = rhyme_book("cilin")
    assert book.rhyme("东", "钟") == {"第一部"}
    assert book.rhyme("天", "山", "元") == {"第七部"}
    assert book.rhyme("月", "雪") == {"第十八部"}
    assert rhyme_book("pingshui").rhyme("月", "雪") == set()


@pytest.mark.parametrize(
    ("character", "parts"),
    [
        ("灰", "第三部"),  # 灰 of 平水韵 is two rhymes of the Guangyun
        ("来", "第五部"),
        ("元", "第七部"),  # and so is 元
        ("魂", "第六部"),
        ("街", "第五部"),  # 佳, by the lips
        ("蛙", "第十部"),
        ("画", "第十部 第十七部"),
        ("派", "第五部"),
        ("最", "第三部"),  # 泰
        ("太", "第五部"),
        ("外", "第三部 第五部"),
        ("话", "第五部 第十部"),
        ("内", "第三部"),  # 队
        ("代", "第五部"),
    ],
)
def test_groups_that_tunes_divide_follow_the_rhyme_of_the_guangyun(character, parts):
    assert groups_of(character, "cilin") == set(parts.split())


def test_level_and_oblique_rhyme_only_where_a_tune_mixes_them():
    book = rhyme_book("cilin")
    assert book.rhyme("家", "马") == set()
    assert book.rhyme("家", "马", mixed=True) == {"第十部"}
    assert book.rhyme("马", "夜") == {"第十部"}  # rising and departing always do
    assert book.rhyme("竹", "无", mixed=True) == set()  # entering ones never


def test_rhyme_needs_one_group_for_all_and_a_reading_for_each():
    book = rhyme_book("pingshui")
    assert book.rhyme("东", "空", "风") == {"东"}
    assert book.rhyme("东", "冬") == set()
    assert book.rhyme("东", "ж") == set() == book.rhyme()
    assert book.rhyme("看", "难") == {"寒", "翰"}


# A user's own book


def written(folder: Path, text: str | bytes) -> str:
    path = folder / "own.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return str(path)


def test_a_file_is_a_book(tmp_path):
    text = (
        "\ufeff# title: my dialect\r\n# a remark\r\n\r\nang\t阴\t东光\r\nang\t去\t望\r\nang\t阳\t忘\r\nu\t入\t屋光\r\n"
    )
    book = rhyme_book(written(tmp_path, text))
    assert (book.name, book.title, book.groups) == ("own", "my dialect", ("ang", "u"))
    assert book.readings("光") == {Reading(True, "ang", "阴"), Reading(False, "u", "入")}
    assert book.members("ang") == set("东光望忘")
    assert book.rhyme("光", "忘") == {"ang"}
    assert "天" not in book
    assert book.readings("") == book.readings("东光") == frozenset()


def test_a_book_is_loaded_once():
    assert rhyme_book("cilin") is rhyme_book("cilin")
    assert len({rhyme_book("cilin"), rhyme_book("pingshui")}) == 2


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("东\t平\t东\n东 平 同\n", 2, "1 columns"),
        ("东\t平\n", 1, "2 columns"),
        ("东\t平\t东\t同\n", 1, "4 columns"),
        ("\t平\t东\n", 1, "an empty one"),
        ("# x\n\n东\t轻\t东\n", 3, "'轻' is no tone"),
        ("东\t平\t东、同\n", 1, "'、' is no character"),
        ("东\t平\t东 同\n", 1, "' ' is no character"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, text, place, said):
    name = written(tmp_path, text)
    with pytest.raises(TextError) as caught:
        rhyme_book(name)
    assert str(caught.value).startswith(f"{name}:{place}: ")
    assert said in str(caught.value)


def test_a_wrong_encoding_is_named_with_its_line_and_remedy(tmp_path):
    name = written(tmp_path, b"# title: x\n" + "东\t平\t东同\n".encode("gb18030"))
    with pytest.raises(TextError) as caught:
        rhyme_book(name)
    assert str(caught.value).startswith(f"{name}:2: is not UTF-8 text")
    assert "iconv -f gb18030 -t utf-8" in caught.value.hint


def test_an_empty_book_a_folder_and_a_missing_file_are_refused(tmp_path):
    for name, said in (
        (written(tmp_path, "# nothing\n"), "has no row"),
        (str(tmp_path), "Is a directory"),
        (str(tmp_path / "none.tsv"), "it is not there"),
        (str(tmp_path / ("long" * 99 + ".tsv")), "it is not there"),
        ("a\0b.tsv", "it is not there"),
    ):
        with pytest.raises(TextError, match=said):
            rhyme_book(name)


def test_a_misspelt_name_is_answered_with_the_likeliest():
    with pytest.raises(ConfigError) as caught:
        rhyme_book("pingshiu")
    assert caught.value.hint == "did you mean pingshui?"
    with pytest.raises(ConfigError, match="no rhyme group of 平水韵 is called '冻'"):
        rhyme_book("pingshui").members("冻")


# Readings that verse seldom uses


@pytest.mark.parametrize(
    ("character", "tones"), [("风", {True}), ("梦", {False}), ("敲", {True}), ("看", {True, False})]
)
def test_a_book_tells_the_tones_that_verse_uses(character, tones):
    for name in ("pingshui", "cilin"):
        book = rhyme_book(name)
        assert {reading.level for reading in book.readings(character)} == {True, False}
        assert {reading.level for reading in book.usual(character)} == tones


def test_a_seldom_tone_is_one_of_two_and_another_is_left():
    book = rhyme_book("pingshui")
    rows = files("charlm.poems").joinpath("tables", "seldom.tsv").read_text("utf-8").splitlines()[1:]
    for tone, characters in (row.split("\t") for row in rows):
        for character in characters:
            assert {reading.level for reading in book.readings(character)} == {True, False}
            assert {reading.level for reading in book.usual(character)} == {tone == "仄"}


def test_speech_of_today_and_books_of_a_user_have_no_seldom_readings(tmp_path):
    (tmp_path / "pingshui.tsv").write_text("东\t平\t风\n送\t去\t风\n", "utf-8")
    assert len(rhyme_book(str(tmp_path / "pingshui.tsv")).usual("风")) == 2
    assert all(rhyme_book("xinyun").usual(c) == rhyme_book("xinyun").readings(c) for c in "风梦看")


# Where the tables come from


@pytest.mark.parametrize("name", RHYME_BOOKS)
def test_every_table_has_a_page_of_provenance_and_is_sorted(name):
    folder = files("charlm.poems").joinpath("tables")
    page = folder.joinpath(f"{name}.md").read_text("utf-8")
    assert "tables/derive.py" in page
    assert "licence" in page
    for line in folder.joinpath(f"{name}.tsv").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            members = line.split("\t")[2]
            assert members == "".join(sorted(set(members)))


def script(name: str):
    """A module of `tables/`, which is no part of the package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tables" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def later() -> list[list[str]]:
    lines = (ROOT / "tables" / "later.tsv").read_text("utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def test_the_206_rhymes_are_each_in_one_group_and_one_part():
    merging = script("merging")
    verse = [rhyme for _, _, *names in merging.PINGSHUI for rhyme in names]
    tunes = [rhyme for _, _, *names in merging.CILIN for rhyme in names]
    assert len(verse) == len(set(verse)) == 206
    assert len(tunes) == len(set(tunes))
    assert {rhyme[0] for rhyme in tunes} | {"臻", "麥"} >= set(verse)
    assert {rhyme for series in merging.SERIES for rhyme in series} - {"·"} == {
        rhyme for _, tone, *names in merging.PINGSHUI if tone != "入" for rhyme in names
    }


def test_every_supplement_has_a_reason_and_stands_in_the_table():
    merging = script("merging")
    place = {rhyme: group for group, _, *names in merging.PINGSHUI for rhyme in names}
    characters = [character for character, _, _ in later()]
    assert len(characters) == len(set(characters))
    for character, changes, reason in later():
        assert reason.strip()
        for change in changes.replace("+", " +").replace("-", " -").split():
            name = "cilin" if change[1] == "第" else "pingshui"
            group = change[1:-1] if change[1] == "第" else place[change[1]]
            if change[0] == "+":
                assert group in groups_of(character, name), (character, change)


@pytest.mark.slow
def test_the_script_makes_these_tables_again(tmp_path, monkeypatch, capsys):
    for needed in ("Qieyun", "tshet_uinh", "opencc", "pypinyin"):
        pytest.importorskip(needed, reason="the tables are made with packages of their own: tables/README.md")
    monkeypatch.syspath_prepend(ROOT / "tables")
    import derive

    monkeypatch.setattr(derive, "TABLES", tmp_path)
    derive.main()
    for path in sorted((ROOT / "charlm" / "poems" / "tables").iterdir()):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


# Judged by tables of others and by human verse


@pytest.fixture(scope="module")
def measure(request):
    if not (DATA / "prosody" / "pingsheng.txt").exists():
        pytest.skip(f"prosody/ is not at {DATA}; set CHARLM_DATA to the folder of data sets")
    sys.path.insert(0, str(ROOT / "tables"))
    request.addfinalizer(lambda: sys.path.remove(str(ROOT / "tables")))
    return script("measure")


def test_tone_classes_meet_those_of_the_reference_for_995_of_1000_characters(measure):
    found = measure.agreement(rhyme_book("pingshui"), measure.reference(DATA))
    shared = len(found["shared"])
    assert shared > 15_000
    assert len(found["meet"]) / shared >= 0.995
    assert len(found["same"]) / shared >= 0.89


def test_errors_of_the_reference_that_verse_contradicts(measure):
    """It takes these as oblique too, has one line for 合 and 叶, and lacks 一."""
    ours, reference = rhyme_book("pingshui"), measure.reference(DATA)
    for character in "花知清庭其":
        assert {reading.level for reading in ours.readings(character)} == {True}
        assert measure.tones(reference, character) == {True, False}
    assert len(reference.groups) == 105
    assert reference.rhyme("合", "接")
    assert not ours.rhyme("合", "接")
    assert "一" in ours
    assert "一" not in reference


@pytest.mark.parametrize(
    ("name", "at_least"), [("ccpc_valid.json", 0.92), ("jueju5.valid.txt", 0.87), ("jueju7.valid.txt", 0.95)]
)
def test_people_rhyme_by_this_book(measure, name, at_least):
    ours, reference = rhyme_book("pingshui"), measure.reference(DATA)
    ends = [(poem[1][-1], poem[3][-1]) for poem in measure.quatrains(DATA, name)]
    both = [pair for pair in ends if all(end in ours and end in reference for end in pair)]
    chance = [(first, ends[place - 1][1]) for place, (first, _) in enumerate(ends)]
    assert measure.rhymed(ends, ours) >= at_least
    assert abs(measure.rhymed(both, ours) - measure.rhymed(both, reference)) < 0.01
    assert measure.rhymed(chance, ours) < 0.07
