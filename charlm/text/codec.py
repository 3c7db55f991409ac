"""Text to ids and back: a tokenizer, a vocabulary, and the closing `<EOS>`. The only such door.

With the reading `lines` every document is closed by `<EOS>`; with `stream` nothing is, and the line end is
a token like any other. Either way a model begins by reading `<EOS>`, and then the control tokens of a document.

A codec that is turned reads each line from its last token to its first, for a backward model: text is cut into tokens
as it is written, and their order is turned afterwards; `<EOS>` begins and closes as ever.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from charlm import jsonfiles, storage
from charlm.config.text import Level, TextReading
from charlm.errors import VocabError
from charlm.text.vocab import EOS, UNK, Vocab
from charlm.tokenizers import TOKENIZERS, Tokenizer

TOKENIZER_FILE, VOCAB_FILE = "tokenizer.json", "vocab.tsv"
UNKNOWN_SIGN = "□"  # how an unknown token is shown; Chinese editions mark a lost character so

# Scripts that are written without spaces, with the marks between them; the full-width space is none of them.
_UNSPACED = (
    "\u2e80-\u2fff\u3001-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uffee\U00020000-\U0003ffff"
)
_GAP = re.compile(rf"(?<=[{_UNSPACED}])\s+(?=[{_UNSPACED}])")
RARE_SPACE = 0.02  # a space less frequent than this, per Han character, is no habit of the training text


@dataclass(frozen=True)
class Controlled:
    """A document, and the names of the control tokens that are read before it."""

    text: str
    controls: tuple[str, ...]


Document: TypeAlias = str | Controlled


@dataclass(frozen=True)
class Encoded:
    """One document as ids.

    ids         token ids, control tokens first, the closing `<EOS>` included where there is one
    characters  code points that the ids spell, one for the line end that `<EOS>` predicts included
    unknown     the tokens that became `<UNK>`, in the order of the ids
    controls    how many of the ids, the first ones, are control tokens: read, and no targets that count
    """

    ids: list[int]
    characters: int
    unknown: list[str]
    controls: int = 0

    @property
    def targets(self) -> list[int]:
        """The ids that a model predicts."""
        return self.ids[self.controls :]


class Codec:
    """Encodes and decodes; picklable, so that it may travel to other processes.

    reverse  whether the tokens of a line are read from the last to the first
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        vocab: Vocab,
        *,
        level: Level,
        reading: TextReading = "lines",
        reverse: bool = False,
    ) -> None:
        self.tokenizer = tokenizer
        self.vocab = vocab
        self.level = level
        self.reading = reading
        self.reverse = reverse
        self._ids = {token: vocab.id(token) for token in vocab.tokens}
        self._foreign_spaces = self._find_foreign_spaces()

    @property
    def closing(self) -> bool:
        """Whether `<EOS>` closes each document."""
        return self.reading == "lines"

    def with_controls(self, names: Iterable[str]) -> "Codec":
        """The same codec with further control tokens; raises VocabError for a name that cannot be."""
        return self.over(self.vocab.with_controls(names))

    def over(self, vocab: Vocab) -> "Codec":
        """The same codec of another vocabulary."""
        return Codec(self.tokenizer, vocab, level=self.level, reading=self.reading, reverse=self.reverse)

    def turned(self, reverse: bool) -> "Codec":
        """The same tokens, read backwards or as they are written."""
        return Codec(self.tokenizer, self.vocab, level=self.level, reading=self.reading, reverse=reverse)

    def _tokens(self, text: str) -> list[str]:
        """The tokens of a text in the order in which they are read."""
        tokens = self.tokenizer.split(text)
        return tokens[::-1] if self.reverse else tokens

    def encode(self, document: Document, controls: Sequence[str] = ()) -> Encoded:
        """The ids of a whole document, behind those of its control tokens.

        With the stream reading a document that stands alone is a line, and should bring its line end.
        Raises VocabError for a control token that the vocabulary does not have.
        """
        if isinstance(document, Controlled):
            controls = [*_names(document.controls), *_names(controls)]
            document = document.text
        tokens = self._tokens(document)
        get = self._ids.get
        ids = [get(token, UNK) for token in tokens]
        unknown = [token for token, number in zip(tokens, ids, strict=True) if number == UNK] if UNK in ids else []
        if self.closing:
            ids.append(EOS)
        if controls:
            ids = [*map(self.vocab.control, _names(controls)), *ids]
        return Encoded(ids, len(document) + self.closing, unknown, len(controls))

    def line(self, text: str, controls: Sequence[str] = ()) -> Encoded:
        """The ids of one line of text, its end included whatever the reading: what scoring a sentence needs."""
        return self.encode(text if self.closing else text + "\n", controls)

    def prompt(self, text: str, controls: Sequence[str] = ()) -> tuple[list[int], list[str]]:
        """The ids of a text that a model shall continue, control tokens first, and the tokens that are unknown.

        A model that reads backwards continues it to the front: the text is how a line ends.
        """
        tokens = self._tokens(text)
        ids = [self._ids.get(token, UNK) for token in tokens]
        unknown = [token for token, number in zip(tokens, ids, strict=True) if number == UNK]
        return [*map(self.vocab.control, _names(controls)), *ids], unknown

    def habitual(self, text: str) -> str:
        """The text without spaces between Han characters, where the training text knows no such spaces.

        Recognisers print words apart that a text writes together: 今天 天气 很 好. Spaces beside words of other
        scripts stay, and so does everything where tokens are cut by white space (`spaced`).
        """
        if self.level == "spaced":
            return text
        return _GAP.sub(lambda gap: "" if all(map(self._is_foreign_space, gap[0])) else gap[0], text)

    def _is_foreign_space(self, space: str) -> bool:
        return space not in self._ids or space in self._foreign_spaces

    def _find_foreign_spaces(self) -> frozenset[str]:
        """Spaces that the vocabulary has, but so rarely that the text did not set its words apart by them."""
        tokens, counts = self.vocab.tokens, self.vocab.counts
        han = sum(count * len(token) for token, count in zip(tokens, counts, strict=True) if token >= "\u3400")
        spaces = {
            token: count for token, count in zip(tokens, counts, strict=True) if len(token) == 1 and token.isspace()
        }
        return frozenset(space for space, count in spaces.items() if count < RARE_SPACE * han)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids, as it is written; `<EOS>` and control tokens are silent, `<UNK>` shows as □."""
        tokens, silent = self.vocab.tokens, {EOS, *self.vocab.control_ids}
        said = [UNKNOWN_SIGN if i == UNK else tokens[i] for i in ids if i not in silent]
        return self.tokenizer.join(said[::-1] if self.reverse else said)

    def fingerprint(self) -> str:
        """A hash of everything that decides how text becomes ids."""
        digest = hashlib.sha256(json.dumps(self._spec(), sort_keys=True).encode())
        digest.update("\0".join(self.vocab.tokens).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def _spec(self) -> dict[str, Any]:
        spec = {"format": 1, "level": self.level, "reading": self.reading, "options": self.tokenizer.spec()}
        # Other formats, since who does not know control tokens would take them for tokens of the text, and who does
        # not know of the turned order would read in the other.
        spec |= {"format": 2, "controls": self.vocab.controls} if self.vocab.controls else {}
        return {**spec, "format": 3, "reverse": True} if self.reverse else spec

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and `vocab.tsv`."""
        jsonfiles.write(folder / TOKENIZER_FILE, self._spec())
        storage.write_text(folder / VOCAB_FILE, self.vocab.lines())

    @classmethod
    def load(cls, folder: Path) -> "Codec":
        """Read what `save` wrote; raises VocabError."""

        def problem(reason: str) -> VocabError:
            return VocabError(reason, hint="a folder made by `charlm vocab` holds tokenizer.json and vocab.tsv")

        spec = jsonfiles.read(folder / TOKENIZER_FILE, error=problem)
        controls: Any = spec.get("controls", 0) if isinstance(spec, dict) else 0
        reverse = isinstance(spec, dict) and "reverse" in spec
        known = 3 if reverse else 2 if controls else 1
        if not isinstance(spec, dict) or spec.get("format") != known:
            raise problem(
                f"{folder / TOKENIZER_FILE} is not a tokenizer of format {known}; a newer charlm may have made it"
            )
        if type(controls) is not int:
            raise problem(f"{folder / TOKENIZER_FILE}: controls is no number of control tokens")
        level: Any = spec.get("level")
        reading: Any = spec.get("reading")
        options = spec.get("options")
        if reverse and spec["reverse"] is not True:
            raise problem(f"{folder / TOKENIZER_FILE}: reverse is true, or is not there")
        if level not in list(TOKENIZERS) or reading not in ("lines", "stream") or not isinstance(options, dict):
            raise problem(f"{folder / TOKENIZER_FILE}: level, reading or options are missing or unknown")
        try:
            tokenizer = TOKENIZERS[level](**options)
        except (TypeError, ValueError) as error:
            raise problem(f"{folder / TOKENIZER_FILE}: these options do not fit {level}: {error}") from error
        vocab = Vocab.read(folder / VOCAB_FILE, controls=controls)
        return cls(tokenizer, vocab, level=level, reading=reading, reverse=reverse)


def _names(controls: Sequence[str]) -> Sequence[str]:
    """Names of control tokens; raises VocabError for one string, whose characters would pass for names."""
    if isinstance(controls, str):
        raise VocabError(f"one name, {controls!r}, where a list is meant", hint="give a list of control tokens")
    return controls
