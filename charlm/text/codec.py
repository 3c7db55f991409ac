"""Text to ids and back: a tokenizer, a vocabulary, and the closing `<EOS>`. The only such door.

With the reading `lines` every document is closed by `<EOS>`; with `stream` nothing is, and the line end is
a token like any other. Either way a model begins by reading `<EOS>`.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charlm import storage
from charlm.config.text import Level, Reading
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
class Encoded:
    """One document as ids.

    ids         token ids, the closing `<EOS>` included where there is one
    characters  code points that the ids spell, one for the line end that `<EOS>` predicts included
    unknown     the tokens that became `<UNK>`, in order
    """

    ids: list[int]
    characters: int
    unknown: list[str]


class Codec:
    """Encodes and decodes; picklable, so that it may travel to other processes."""

    def __init__(self, tokenizer: Tokenizer, vocab: Vocab, *, level: Level, reading: Reading = "lines") -> None:
        self.tokenizer = tokenizer
        self.vocab = vocab
        self.level = level
        self.reading = reading
        self._ids = {token: vocab.id(token) for token in vocab.tokens}
        self._foreign_spaces = self._find_foreign_spaces()

    @property
    def closing(self) -> bool:
        """Whether `<EOS>` closes each document."""
        return self.reading == "lines"

    def encode(self, document: str) -> Encoded:
        """The ids of a whole document.

        With the stream reading a document that stands alone is a line, and should bring its line end.
        """
        tokens = self.tokenizer.split(document)
        get = self._ids.get
        ids = [get(token, UNK) for token in tokens]
        unknown = [token for token, number in zip(tokens, ids, strict=True) if number == UNK] if UNK in ids else []
        if self.closing:
            ids.append(EOS)
        return Encoded(ids, len(document) + self.closing, unknown)

    def line(self, text: str) -> Encoded:
        """The ids of one line of text, its end included whatever the reading: what scoring a sentence needs."""
        return self.encode(text if self.closing else text + "\n")

    def prompt(self, text: str) -> tuple[list[int], list[str]]:
        """The ids of a text that a model shall continue, and the tokens of it that are unknown."""
        tokens = self.tokenizer.split(text)
        ids = [self._ids.get(token, UNK) for token in tokens]
        return ids, [token for token, number in zip(tokens, ids, strict=True) if number == UNK]

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
        """The text of some ids; `<EOS>` is silent, `<UNK>` shows as □."""
        tokens = self.vocab.tokens
        return self.tokenizer.join([UNKNOWN_SIGN if i == UNK else tokens[i] for i in ids if i != EOS])

    def fingerprint(self) -> str:
        """A hash of everything that decides how text becomes ids."""
        digest = hashlib.sha256(json.dumps(self._spec(), sort_keys=True).encode())
        digest.update("\0".join(self.vocab.tokens).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def _spec(self) -> dict[str, Any]:
        return {"format": 1, "level": self.level, "reading": self.reading, "options": self.tokenizer.spec()}

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and `vocab.tsv`."""
        storage.write_json(folder / TOKENIZER_FILE, self._spec())
        storage.write_text(folder / VOCAB_FILE, self.vocab.lines())

    @classmethod
    def load(cls, folder: Path) -> "Codec":
        """Read what `save` wrote; raises VocabError."""

        def problem(reason: str) -> VocabError:
            return VocabError(reason, hint="a folder made by `charlm vocab` holds tokenizer.json and vocab.tsv")

        spec = storage.read_json(folder / TOKENIZER_FILE, error=problem)
        if not isinstance(spec, dict) or spec.get("format") != 1:
            raise problem(f"{folder / TOKENIZER_FILE} is not a tokenizer of format 1; a newer charlm may have made it")
        level: Any = spec.get("level")
        reading: Any = spec.get("reading")
        options = spec.get("options")
        if level not in list(TOKENIZERS) or reading not in ("lines", "stream") or not isinstance(options, dict):
            raise problem(f"{folder / TOKENIZER_FILE}: level, reading or options are missing or unknown")
        try:
            tokenizer = TOKENIZERS[level](**options)
        except (TypeError, ValueError) as error:
            raise problem(f"{folder / TOKENIZER_FILE}: these options do not fit {level}: {error}") from error
        return cls(tokenizer, Vocab.read(folder / VOCAB_FILE), level=level, reading=reading)
