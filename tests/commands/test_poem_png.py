"""`charlm poem png`: a poem as a page, in a font that the test makes."""

from itertools import pairwise
from pathlib import Path

import pytest

from charlm.jobs.paint import font_with

KEPT = "雪化溪声涨，柴门昼未关。一鸠啼不住，青到屋前山。"
pytest.importorskip("matplotlib")


@pytest.fixture
def font(tmp_path):
    """A font whose every character is a square."""
    builder_of = pytest.importorskip("fontTools.fontBuilder").FontBuilder
    pen_of = pytest.importorskip("fontTools.pens.ttGlyphPen").TTGlyphPen
    pen = pen_of(None)
    pen.moveTo((100, -20))
    for corner in ((100, 780), (900, 780), (900, -20)):
        pen.lineTo(corner)
    pen.closePath()
    square = pen.glyph()
    builder = builder_of(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "square"])
    builder.setupCharacterMap({ord(c): "square" for c in KEPT + "春日听雨楼主"})
    builder.setupGlyf({".notdef": square, "square": square})
    builder.setupHorizontalMetrics({".notdef": (1000, 100), "square": (1000, 100)})
    builder.setupHorizontalHeader(ascent=880, descent=-120)
    builder.setupNameTable({"familyName": "Squares", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "squares.ttf")
    return "squares.ttf"


def pixels(path):
    from matplotlib.image import imread

    return imread(path)


def test_columns_stand_from_right_to_left(charlm, font):
    Path("poem.txt").write_text(KEPT, "utf-8")
    ended = charlm("poem", "png", "poem.txt", "-o", "page.png", "--font", font, "--pixels", 20)
    assert ended.code == 0 and ended.out == "page.png\n" and "Squares" in ended.err
    dark = pixels("page.png")[:, :, 0] < 0.5
    columns = dark.any(0)
    starts = [x for x in range(1, len(columns)) if columns[x] and not columns[x - 1]]
    assert len(starts) == 4 and {b - a for a, b in pairwise(starts)} == {32}  # 1.6 characters
    rows = dark[:, starts[0] : starts[0] + 10].any(1)
    assert sum(rows[y] and not rows[y - 1] for y in range(1, len(rows))) == 5


def test_title_seal_and_tones_take_their_places(charlm, font):
    text = f"春日\n{KEPT}\n"
    options = ("--font", font, "--pixels", 20, "--force")
    charlm("poem", "png", "-", "-o", "bare.png", "--title", "", *options, stdin=text)
    charlm("poem", "png", "-", "-o", "titled.png", *options, stdin=text)
    charlm("poem", "png", "-", "-o", "sealed.png", "--seal", "听雨楼主", "--show-tones", *options, stdin=text)
    bare, titled, sealed = (pixels(f"{name}.png") for name in ("bare", "titled", "sealed"))
    assert bare.shape[1] < titled.shape[1] < sealed.shape[1] and bare.shape[0] == titled.shape[0]
    red = (sealed[:, :, 0] > 0.6) & (sealed[:, :, 1] < 0.3)
    height, width = red.shape
    assert red[height // 2 :, : width // 4].sum() > 200 and not red[: height // 2].any()
    reds = (titled[:, :, 0] > 0.6) & (titled[:, :, 1] < 0.3)
    assert not reds.any()


def test_what_is_missing_is_told_and_no_file_is_left(charlm, font):
    text = "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。"
    charlm("poem", "png", "-", "-o", "p.png", "--font", font, stdin=text).refused("squares.ttf lacks 白")
    charlm("poem", "png", "-", "-o", "p.png", "--font", "gone.ttf", stdin=KEPT).refused("no such font: gone.ttf")
    Path("no.ttf").write_text("no font", "utf-8")
    charlm("poem", "png", "-", "-o", "p.png", "--font", "no.ttf", stdin=KEPT).refused("no.ttf is no font")
    charlm("poem", "png", "-", "-o", "p.png", "--font", font, stdin=f"{KEPT}\n{KEPT}\n{KEPT}\n").refused(
        "holds 3 poems", "--number 1", code=2
    )
    long = ("--seal", "听雨楼主人")
    charlm("poem", "png", "-", "-o", "p.png", "--font", font, *long, stdin=KEPT).refused("4 characters at", code=2)
    assert not list(Path().glob("*.png"))
    ended = charlm("poem", "png", "-", "-o", "p.png", "--font", font, "--number", 2, stdin=f"{KEPT}\n{KEPT}\n{KEPT}\n")
    assert ended.code == 0
    charlm("poem", "png", "-", "-o", "p.png", "--font", font, stdin=KEPT).refused("p.png exists already")


def test_a_machine_without_a_chinese_font_says_so(charlm, monkeypatch):
    from matplotlib.font_manager import fontManager

    latin = [entry for entry in fontManager.ttflist if entry.name.startswith("DejaVu") or "Last Resort" in entry.name]
    monkeypatch.setattr(fontManager, "ttflist", latin)
    charlm("poem", "png", "-", "-o", "p.png", stdin=KEPT).refused("has Chinese characters", "--font FILE")
    assert font_with("abc").get_name().startswith("DejaVu")


def test_without_matplotlib_the_extra_is_named(charlm, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.font_manager", None)
    charlm("poem", "png", "-", "-o", "p.png", stdin=KEPT).refused("needs matplotlib", "charlm[plot]")
