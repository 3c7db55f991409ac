"""What a poem is: its form by the rules of whoever writes verse, its tune by its title, its rhyme by the book."""

from pathlib import Path

import pytest

from charlm.composing.annotating import Annotation, Annotator
from charlm.composing.novelty import clauses
from charlm.composing.telling import names_of, prefix, theme_ids
from charlm.composing.themes import characters_of, recall, tellable
from charlm.config.text import TextConfig
from charlm.errors import ConfigError
from charlm.jobs.annotate import annotate, tune_in
from charlm.poems.checking import check
from charlm.poems.sounds import rhyme_book
from charlm.text.files import described, documents
from charlm.text.vocab import Vocab

CORPORA = Path(__file__).resolve().parent.parent / "corpora"
ANNOTATOR = Annotator()
DREAM = "常记溪亭日暮，沉醉不知归路。兴尽晚回舟，误入藕花深处。争渡，争渡，惊起一滩鸥鹭。"


@pytest.mark.parametrize(
    ("text", "tune", "annotation"),
    [
        ("白日依山尽，黄河入海流。欲穷千里目，更上一层楼。", "", Annotation("五绝", "", "尤")),
        ("朝辞白帝彩云间，千里江陵一日还。两岸猿声啼不住，轻舟已过万重山。", "", Annotation("七绝", "", "删")),
        ("春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。", "", Annotation("古绝", "", "筱")),
        (DREAM, "如梦令", Annotation("如梦令", "如梦令", "第四部")),
        (DREAM, "忆仙姿", Annotation("如梦令", "如梦令", "第四部")),  # another name of the tune
        (DREAM, "", Annotation("如梦令", "", "第四部")),
        # A tune that we have no pattern of is told by its name alone.
        ("东风吹绿。几处残红", "莺啼序", Annotation("", "莺啼序", "")),
        # A title of a tune above another shape is not believed.
        ("白日依山尽，黄河入海流。欲穷千里目，更上一层楼。", "如梦令", Annotation("五绝", "", "尤")),
        ("", "", Annotation()),
        ("we read the poem aloud", "", Annotation()),
        # Of no form that we have, and rhymed: six lines of five.
        ("白日依山尽，黄河入海流。欲穷千里目，更上一层楼。欲穷千里目，更上一层楼。", "", Annotation("", "", "尤")),
        # Lines that do not rhyme have no form.
        ("白日依山尽，黄河入海东。欲穷千里目，更上一层楼。", "", Annotation()),
    ],
)
def test_poems_are_known_by_their_form_tune_and_rhyme(text, tune, annotation):
    assert ANNOTATOR.annotate(text, tune) == annotation


def test_a_poem_of_eight_lines_of_five_is_no_tune_unless_its_title_says_so():
    text = "关山魂梦长，鱼雁音尘少。两鬓可怜青，只为相思老。归梦碧纱窗，说与人人道。真个别离难，不似相逢好。"
    assert ANNOTATOR.annotate(text, "生查子").form == "生查子"
    assert ANNOTATOR.annotate(text).form == ""


def test_the_forms_that_are_told_are_those_of_the_checker():
    poems = (CORPORA / "quatrains.txt").read_text("utf-8").splitlines()
    told = [ANNOTATOR.annotate(poem) for poem in poems]
    assert sum(bool(one.form) for one in told) > 0.9 * len(poems)
    for poem, one in zip(poems, told, strict=True):
        if one.form:
            assert check(poem, one.form).conforms, poem
            ends = [clause[-1] for clause in clauses(poem)[1::2]]
            assert one.rhyme in rhyme_book("pingshui").rhyme(*ends)


def test_a_collection_names_the_tune_of_its_poems():
    assert tune_in({"rhythmic": "如梦令", "text": DREAM}) == "如梦令"
    assert tune_in({"rhythmic": "十二时", "alias": "忆少年"}) == "十二时"
    assert tune_in({"title": "如梦令·昨夜雨疏风骤"}) == "如梦令"
    assert tune_in({"title": "静夜思"}) == tune_in({"rhythmic": 3}) == tune_in(None) == ""


def test_documents_are_read_with_the_object_that_they_stand_in(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"rhythmic": "如梦令", "text": "争渡，争渡"}\n{"text": " "}\n', "utf-8")
    (tmp_path / "b.txt").write_text("白日依山尽\n\n黄河入海流\n", "utf-8")
    files = [str(tmp_path / "a.jsonl"), str(tmp_path / "b.txt")]
    found = list(described(files, TextConfig()))
    assert found == [
        ("争渡，争渡", {"rhythmic": "如梦令", "text": "争渡，争渡"}),
        ("白日依山尽", None),
        ("黄河入海流", None),
    ]
    assert [text for text, _ in found] == list(documents(files, TextConfig()))


def test_annotations_are_counted_and_have_a_key():
    found = annotate([(DREAM, {"rhythmic": "如梦令"}), ("无诗", None)], ("form", "tune", "theme"))
    assert found.kinds == ("form", "tune")
    assert found.counts == {"<form:如梦令>": 1, "<tune:如梦令>": 1}
    assert found.codes.tolist() == [[1, 2], [0, 0]]
    assert found.key != annotate([(DREAM, None), ("无诗", None)], ("form", "tune")).key
    assert annotate([("无诗", None)], ("theme",)).codes.shape == (1, 0)


# ── telling ─────────────────────────────────────────────────────────────────────────────────────

VOCAB = Vocab(["<EOS>", "<UNK>", "，", "秋", "思", "乡", "不"], [1] * 7)
TOLD = VOCAB.with_controls(["<form:七绝>", "<rhyme:东>", "<theme>", "</theme>"])


def test_a_prefix_tells_what_the_run_knows_and_names_the_rest():
    found = prefix(TOLD, Annotation("七绝", "", "冬"), "思乡")
    assert [TOLD.tokens[number] for number in found.ids] == ["<form:七绝>", "<theme>", "思", "乡", "</theme>"]
    assert found.unmet == ("<rhyme:冬>",)
    assert prefix(TOLD, Annotation()) == prefix(VOCAB, Annotation())
    assert prefix(VOCAB, Annotation("七绝"), "秋").unmet == ("<form:七绝>", "<theme>")
    assert names_of(Annotation("七绝", "", "东"), ("form", "rhyme")) == ("<form:七绝>", "<rhyme:东>")


@pytest.mark.parametrize(
    ("theme", "why"),
    [
        ("鑫", "does not know 鑫"),
        ("abc", "'a' is no Chinese character"),
        (" ", "--theme is empty"),
        ("春夏秋冬四", "has 5 characters; at most 4"),
    ],
)
def test_a_theme_that_cannot_be_told_is_refused(theme, why):
    for vocab in (VOCAB, TOLD):
        with pytest.raises(ConfigError, match=why):
            prefix(vocab, Annotation(), theme)


def test_a_theme_for_a_run_without_themes_is_refused_where_it_must_be_told():
    assert theme_ids(VOCAB, "") == []
    with pytest.raises(ConfigError, match="trained with no themes"):
        theme_ids(VOCAB, "秋")


def test_a_theme_is_its_characters_and_a_poem_says_a_share_of_them():
    assert characters_of("春、 江") == "春江"
    assert recall("秋风吹不尽", "秋") == 1
    assert recall("秋风吹不尽", "秋 月") == 0.5
    assert recall("春风", "思乡") == 0
    assert recall("春风", "春春") == 1
    assert tellable(VOCAB.tokens).tolist() == [False, False, False, True, True, True, False]
