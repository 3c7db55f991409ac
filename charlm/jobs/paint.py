"""A poem as a small page: columns from right to left, with title, seal and tone marks where they are wanted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charlm import storage
from charlm.config.poems import CheckConfig
from charlm.config.text import TextConfig
from charlm.errors import ConfigError, FontError, MissingExtra
from charlm.jobs.poem import poems_of, shown_name
from charlm.poems import checking
from charlm.poems.form import find_form
from charlm.poems.judgement import Judgement
from charlm.poems.sounds import rhyme_book
from charlm.text.decoding import Note

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.font_manager import FontProperties

# Handwriting first, then book faces, then what is on most machines.
FAMILIES = (
    "LXGW WenKai", "Kaiti SC", "STKaiti", "KaiTi", "AR PL UKai CN", "FangSong", "STFangsong", "Source Han Serif SC",
    "Noto Serif CJK SC", "Noto Serif CJK JP", "Noto Serif SC", "Songti SC", "STSong", "SimSun", "AR PL UMing CN",
    "Source Han Sans SC", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "PingFang SC", "Microsoft YaHei",
    "SimHei", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei",
)  # fmt: skip
PAPER, INK, RED, FAINT = "#f8f3e6", "#22201c", "#b3261e", "#c9bda3"
COLUMN, ROW, STANZA = 1.6, 1.16, 0.8  # widths and heights of characters: from one to the next, and between stanzas
MARGIN = 1.5
SMALL = 0.62  # of the title's characters and of those of the seal
BASE = 0.12  # of the em square below the base line
LONGEST_TITLE, LONGEST_SEAL = 24, 4
FONT_HINT = "name one with --font FILE; free ones: LXGW WenKai, Noto Serif CJK, Source Han Serif"


@dataclass(frozen=True)
class Page:
    """What a page shows.

    title, seal  empty for none
    tones        whether each character has its tone beside it: ○ level, ● oblique, a ring of red where it rhymes
    pixels       of a character's height
    """

    title: str = ""
    seal: str = ""
    tones: bool = False
    pixels: int = 64


def poem_for(name: str, number: int | None, config: CheckConfig, text: TextConfig, *, note: Note) -> Judgement:
    """One poem of a file beside its form, which tells stanzas and tones.

    number  which of several, from 1
    Raises ConfigError where the file has several and none was chosen, or not so many.
    """
    form = find_form(config.form) if config.form is not None else None
    found = poems_of(name, text, form, note=note)
    if number is None and len(found) > 1:
        raise ConfigError(f"{shown_name(name)} holds {len(found):,} poems, and a page shows one",
                          hint="choose one, for example --number 1")  # fmt: skip
    if number is not None and number > len(found):
        raise ConfigError(f"there is no poem {number}: {shown_name(name)} holds {len(found):,}",
                          hint=f"--number 1 to {len(found)}")  # fmt: skip
    book = rhyme_book(config.rhyme_book) if config.rhyme_book is not None else None
    return checking.check(found[(number or 1) - 1], form, book, config.strictness)


def paint(judgement: Judgement, page: Page, output: Path, font: Path | None = None) -> str:
    """Write a PNG, whole or not at all; the name of the font that was taken.

    Raises MissingExtra without matplotlib, FontError where no font has the characters, ConfigError for a title or
    seal that is too long.
    """
    if len(page.title) > LONGEST_TITLE:
        raise ConfigError(f"a title of {len(page.title)} characters is too long for a page", hint="give a shorter one")
    if len(page.seal) > LONGEST_SEAL:
        raise ConfigError(
            f"a seal has {LONGEST_SEAL} characters at most, not {len(page.seal)}", hint="for example 听雨"
        )
    wanted = "".join(line.text for line in judgement.lines) + page.title.replace(" ", "") + page.seal
    try:
        chosen = font_with(wanted, font)
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "plot", "a page") from error
    columns = list(_columns(judgement))
    height = max([len(line.text) for line in judgement.lines] + [len(page.title) * SMALL + 1]) * ROW
    width = columns[-1] + 1 + (COLUMN if page.title else 0) + (COLUMN if page.seal else 0)
    size = (width + 2 * MARGIN, height + 2 * MARGIN)
    figure = Figure(figsize=size, dpi=page.pixels, facecolor=PAPER)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, size[0])
    axes.set_ylim(0, size[1])
    axes.axis("off")
    _frame(axes, size)
    right = size[0] - MARGIN - 0.5
    if page.title:
        _title(axes, page.title, right, size[1] - MARGIN, chosen)
        right -= COLUMN
    for line, offset in zip(judgement.lines, columns, strict=True):
        for row, character in enumerate(line.text):
            x, y = right - offset, size[1] - MARGIN - 0.5 - row * ROW
            _character(axes, character, x, y, 1.0, chosen, INK)
            if page.tones:
                rhymes = bool(line.rhyme) and row == len(line.text) - 1
                _tone(axes, line.tones[row] if row < len(line.tones) else "？", rhymes, x + 0.68, y)
    if page.seal:
        _seal(axes, page.seal, MARGIN - 0.2, MARGIN, chosen)
    with storage.whole_file(output) as temporary, temporary.open("wb") as handle:
        figure.savefig(handle, format="png", facecolor=PAPER)
    return str(chosen.get_name())


def _columns(judgement: Judgement) -> Iterator[float]:
    """How far to the left of the first line each one stands; stanzas stand apart."""
    ends, offset = set(), 0.0
    count = 0
    for stanza in judgement.variant.stanzas:
        count += len(stanza)
        ends.add(count)
    for number in range(len(judgement.lines)):
        yield offset
        offset += COLUMN + (STANZA if number + 1 in ends else 0.0)


def _frame(axes: "Axes", size: tuple[float, float]) -> None:
    from matplotlib.patches import Rectangle

    for inset, line in ((0.35, 1.2), (0.47, 0.5)):
        corner, extent = (inset, inset), (size[0] - 2 * inset, size[1] - 2 * inset)
        axes.add_patch(Rectangle(corner, *extent, fill=False, edgecolor=FAINT, linewidth=line))


def _title(axes: "Axes", title: str, x: float, top: float, font: "FontProperties") -> None:
    for row, character in enumerate(title):
        _character(axes, character, x, top - 0.5 - row * ROW * SMALL, SMALL, font, INK)


def _seal(axes: "Axes", seal: str, left: float, bottom: float, font: "FontProperties") -> None:
    """White characters on red, from top to bottom and from right to left."""
    from matplotlib.patches import FancyBboxPatch

    across = 2 if len(seal) > 2 else 1
    down = -(-len(seal) // across)
    shape = "round,pad=0.06,rounding_size=0.08"
    box = FancyBboxPatch((left, bottom), across * SMALL, down * SMALL, boxstyle=shape, facecolor=RED, edgecolor=RED)
    axes.add_patch(box)
    for number, character in enumerate(seal):
        column, row = divmod(number, down)
        x, y = left + (across - column - 0.5) * SMALL, bottom + (down - row - 0.5) * SMALL
        _character(axes, character, x, y, SMALL * 0.92, font, PAPER)


def _tone(axes: "Axes", tone: str, rhymes: bool, x: float, y: float) -> None:
    from matplotlib.patches import Circle

    if tone not in "平仄通":
        return
    colour = RED if rhymes else INK
    axes.add_patch(Circle((x, y), 0.085, facecolor=colour if tone == "仄" else PAPER, edgecolor=colour, linewidth=0.9))
    if tone == "通":  # either: half of the ring is filled
        from matplotlib.patches import Wedge

        axes.add_patch(Wedge((x, y), 0.085, 90, 270, facecolor=colour, edgecolor="none"))


def _character(axes: "Axes", character: str, x: float, y: float, size: float, font: Any, colour: str) -> None:
    """The outline of a character in its square: a font's own measures, so that 一 stands where it should."""
    from matplotlib.patches import PathPatch
    from matplotlib.textpath import TextPath

    if character.isspace():
        return
    path = TextPath((x - size / 2, y - size * (0.5 - BASE)), character, size=size, prop=font)
    axes.add_patch(PathPatch(path, facecolor=colour, edgecolor="none"))


def font_with(characters: str, named: Path | None = None) -> "FontProperties":
    """A font that has all of some characters: the one that is named, else the first of `FAMILIES`, else any.

    Raises FontError where there is none, ImportError without matplotlib.
    """
    from matplotlib.font_manager import FontProperties, fontManager

    if named is not None:
        if missing := _missing(named, characters):
            shown = " ".join(list(dict.fromkeys(missing))[:10])
            raise FontError(f"the font {named} lacks {shown}", hint="choose one that has all characters of the poem")
        return FontProperties(fname=str(named))
    # One face has a box for every character there is, so that nothing is ever missing.
    faces = [entry for entry in fontManager.ttflist if not entry.name.startswith("Last Resort")]
    known = {entry.name: entry.fname for entry in faces}
    first = [known[name] for name in FAMILIES if name in known]
    tried = dict.fromkeys([*first, *(entry.fname for entry in faces)])
    for path in tried:
        try:
            if not _missing(Path(path), characters):
                return FontProperties(fname=path)
        except FontError:  # a file of the system that cannot be read is none of the user's business
            continue
    what = "has Chinese characters" if not first else "has all characters of the poem"
    raise FontError(f"none of {len(tried)} fonts on this machine {what}", hint=FONT_HINT)


def _missing(path: Path, characters: Sequence[str]) -> list[str]:
    """The characters that a font lacks; raises FontError for a file that is none."""
    from matplotlib.ft2font import FT2Font

    if not storage.is_file(path):
        raise FontError(f"no such font: {path}", hint="check the spelling")
    try:
        known = FT2Font(str(path)).get_charmap()
    except (RuntimeError, OSError) as error:
        raise FontError(f"{path} is no font that can be read: {error}", hint=FONT_HINT) from error
    return [character for character in characters if ord(character) not in known]
