"""The page of knobs about checking verse."""

from dataclasses import dataclass
from typing import Literal

from charlm.config.knobs import knob

Strictness = Literal["strict", "common", "free"]


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
