"""The pages of knobs about verse."""

from dataclasses import dataclass
from typing import Literal

from charlm.config.knobs import fields_of, knob, refuse

Strictness = Literal["strict", "common", "free"]
STRONGEST = 10  # of a theme, beyond which nothing else is said


@dataclass(frozen=True)
class CheckConfig:
    """By what verse is judged."""

    form: str | None = knob(
        None, "Form, such as 七绝, or a form file of your own. [default: the one that fits best]", panel="Verse"
    )
    rhyme_book: str | None = knob(
        None,
        "pingshui, cilin, xinyun, or a file. [default: pingshui, and cilin for tunes]",
        panel="Verse",
    )
    strictness: Strictness = knob(
        "common", "strict: as the form has it. common: with what is free or mended. free: length, rhyme.", panel="Verse"
    )


@dataclass(frozen=True)
class PoemConfig:
    """What a poem has to keep, and among how many the best is chosen."""

    form: str | None = knob(
        None, "Write verse of this form: 七绝, 如梦令, mine.toml; `charlm poem forms`.", panel="Verse"
    )
    strictness: Strictness = knob(
        "common", "strict: each slot; common: what custom leaves free is free; free: lengths and rhyme.", panel="Verse"
    )
    acrostic: str | None = knob(None, "A character for each line (藏头).", panel="Verse")
    column: int = knob(1, "Where in its line each stands: 1 is the head, -1 the tail (藏尾).", panel="Verse")
    rhyme: str | None = knob(None, "The rhyme group, such as 东. [default: the model's choice]", panel="Verse")
    rhyme_book: str | None = knob(None, "pingshui, cilin, xinyun or a file. [default: the form's own]", panel="Verse")
    first_line: str | None = knob(None, "How the poem begins: a line, or several.", panel="Verse")
    theme: str | None = knob(
        None,
        "What the poem shall be about, a word or two: 秋, 思乡, 春 江. Without --form for runs told themes.",
        panel="Verse",
    )
    theme_strength: float = knob(
        1.0, "How much the theme counts: 1 as in training, 0 not at all, 2 twice.", panel="Verse"
    )
    backward: str | None = knob(
        None, "A second run that ranks the candidates too, such as one of --reverse.", panel="Verse"
    )
    candidates: int = knob(16, "Poems drawn for each that is shown, the best of them.", panel="Verse")

    allow_quotes: bool = knob(False, "Let a line of the training text be said again.", panel="Verse")

    def __post_init__(self) -> None:
        mistakes = []
        if not 1 <= self.candidates <= 4096:
            mistakes.append(f"--candidates must be from 1 to 4096, not {self.candidates}")
        if self.acrostic is not None and not self.acrostic:
            mistakes.append("--acrostic is empty")
        if self.theme is not None and not self.theme.strip():
            mistakes.append("--theme is empty; give a word or two: 秋, 思乡")
        if self.theme is None and self.theme_strength != fields_of(PoemConfig)["theme_strength"].default:
            mistakes.append("--theme-strength is for --theme")
        if not 0 <= self.theme_strength <= STRONGEST:
            mistakes.append(f"--theme-strength must be from 0 to {STRONGEST}, not {self.theme_strength}")
        if self.form is None:
            given = {"acrostic": self.acrostic, "rhyme": self.rhyme, "rhyme-book": self.rhyme_book,
                     "first-line": self.first_line, "backward": self.backward}  # fmt: skip
            mistakes += [f"--{name} needs a --form" for name, value in given.items() if value is not None]
        refuse(mistakes, "sample")
