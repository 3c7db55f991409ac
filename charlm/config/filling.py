"""The page of knobs about filling blanks."""

from dataclasses import dataclass

from charlm.config.knobs import knob, refuse
from charlm.config.networks import LARGEST_BLANK


@dataclass(frozen=True)
class FillConfig:
    """What is looked for in a blank."""

    top: int = knob(5, "Candidates that are shown of each text.")
    among: str | None = knob(None, "Choose among these candidates, of any lengths, commas between them: 我,你,他.")
    longest: int | None = knob(
        None, "Tokens of a blank of any length, at most. [default: as in training; 4 of a language model]"
    )
    candidates: int = knob(
        1000,
        "Whole sentences that a language model scores for each blank: those with the tokens likeliest after what stands"
        " before it; 0: all.",
    )

    def __post_init__(self) -> None:
        mistakes = []
        if not 1 <= self.top <= 1000:
            mistakes.append(f"--top must be from 1 to 1,000, not {self.top}")
        if self.longest is not None and not 1 <= self.longest <= LARGEST_BLANK:
            mistakes.append(f"--longest must be from 1 to {LARGEST_BLANK}, not {self.longest}")
        if self.candidates < 0:
            mistakes.append(f"--candidates must be at least 1, or 0 for all, not {self.candidates}")
        if self.among is not None and len(self.chosen) > 1000:
            mistakes.append(f"--among takes at most 1,000 candidates, not {len(self.chosen):,}")
        refuse(mistakes, "fill")

    @property
    def chosen(self) -> tuple[str, ...]:
        """The candidates of --among; Chinese commas part them as well."""
        if self.among is None:
            return ()
        return tuple(each.strip() for each in self.among.replace("，", ",").replace("、", ",").split(","))
