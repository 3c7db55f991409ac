"""The page of knobs about text: how files become documents, and documents tokens."""

from dataclasses import dataclass
from typing import Literal

from charlm.config.knobs import knob, refuse

TextReading = Literal["lines", "stream"]

Context = Literal["line", "carried"]

Level = Literal["char", "word", "spaced", "mixed"]


@dataclass(frozen=True)
class TextConfig:
    """How files become documents and documents become tokens."""

    reading: TextReading = knob(
        "lines", "lines: each line is a sentence or poem. stream: one continuous text.", panel="Text"
    )
    context: Context | None = knob(
        None,
        "line: every line starts afresh. carried: the state goes on from line to line. [default: line]",
        panel="Text",
    )
    reverse: bool = knob(
        False,
        "Read every line backwards, from its last token to its first: a backward model, for reranking.",
        panel="Text",
        switch="--reverse",
    )
    level: Level = knob(
        "char", "char, word (jieba), spaced (already cut by white space) or mixed (Han by character).", panel="Text"
    )
    encoding: str | None = knob(
        None, "Encoding of the text files. [default: UTF-8, else a guess that is reported]", panel="Text"
    )
    field: str = knob("text", "The field that holds the text in JSON lines.", panel="Text")
    simplify: bool = knob(
        False,
        "Convert traditional to simplified characters (needs charlm[simplify]).",
        panel="Text",
        switch="--simplify",
    )
    blank_lines: bool = knob(
        False, "Keep blank lines, as documents that hold nothing but their end.", panel="Text", switch="--blank-lines"
    )
    user_dict: str | None = knob(None, "Words for jieba, one a line: WORD [FREQUENCY] [TAG].", panel="Text")
    min_count: int = knob(1, "Tokens seen less often become <UNK>.", panel="Vocabulary")
    max_size: int | None = knob(None, "Keep at most this many tokens, <EOS> and <UNK> included.", panel="Vocabulary")
    coverage: float | None = knob(
        None, "Keep the most frequent tokens until they cover this share of the text.", panel="Vocabulary"
    )

    def __post_init__(self) -> None:
        mistakes = []
        if self.reading == "stream" and self.context == "line":
            mistakes.append("--reading stream has no lines, so it cannot go with --context line")
        if self.reverse and self.carries:
            how = "--reading stream" if self.reading == "stream" else "--context carried"
            mistakes.append(f"--reverse turns each line by itself, so it cannot go with {how}")
        if self.min_count < 1:
            mistakes.append(f"--min-count must be at least 1, not {self.min_count}")
        if self.max_size is not None and self.max_size < 3:
            mistakes.append(
                f"--max-size must leave room for <EOS>, <UNK> and a token, so at least 3, not {self.max_size}"
            )
        if self.coverage is not None and not 0 < self.coverage <= 1:
            mistakes.append(f"--coverage is a share between 0 and 1, not {self.coverage}")
        if self.user_dict is not None and self.level != "word":
            mistakes.append(f"--user-dict is for --level word, not {self.level}")
        refuse(mistakes)

    @property
    def carries(self) -> bool:
        """Whether the state goes on from one line to the next."""
        return self.reading == "stream" or self.context == "carried"
