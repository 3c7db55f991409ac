"""Words: jieba for Chinese; the words, spaces and marks of everything else as they stand.

jieba is imported on first use, as a private and silent instance with its cache in the user's cache
folder. Its cut depends on its dictionary, so the dictionary's hash travels with the run.
"""

import copy
import functools
import hashlib
import logging
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from charlm import storage
from charlm.errors import VocabError
from charlm.tokenizers.mixed import HAN, NOT_HAN

RUN = re.compile(rf"[{HAN}]+|{NOT_HAN}|.", re.DOTALL)
LONGEST_RUN = 1000  # characters that jieba is given at once
MOST_DIGITS = 15  # of a frequency: what is longer is no count, and jieba adds them up as floats
HAN_WORD = re.compile(f"[{HAN}]+")
STARTS_HAN = re.compile(f"[{HAN}]")

UserWord = tuple[str, int | None, str | None]


@functools.cache
def jieba_itself() -> tuple[Any, Any]:
    """jieba with nobody's words added, which reads its dictionary when it first cuts, and the SHA-256 of that.

    All tokenizers of a process share it: to read the dictionary takes seconds, also from jieba's cache.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pkg_resources and invalid escapes inside jieba
        import jieba
    jieba.setLogLevel(logging.CRITICAL)  # a cache that cannot be written is only slower
    cutter = jieba.Tokenizer()
    try:
        folder = storage.cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # not to be made, or no home at all: jieba then keeps no cache
        folder = Path(os.devnull)  # a folder that never is one; without any, jieba would share /tmp
    cutter.tmp_dir, cutter.cache_file = str(folder), "jieba.cache"
    with cutter.get_dict_file() as handle:
        return cutter, hashlib.sha256(handle.read())


def read_user_dict(path: Path) -> tuple[list[UserWord], list[str]]:
    """Read `WORD [FREQUENCY] [TAG]` lines: the words, and what is to be said of the lines that give none.

    Raises VocabError where no line gives a word, or the file cannot be read.
    """

    def problem(reason: str) -> VocabError:
        return VocabError(reason, hint="a user dictionary is UTF-8 text, one WORD [FREQUENCY] [TAG] a line")

    words: list[UserWord] = []
    left_out: list[str] = []
    for number, line in enumerate(storage.read_text(path, error=problem).split("\n"), 1):
        fields = line.lstrip("\ufeff").split()
        if not fields or fields[0].startswith("#"):
            continue
        word, *rest = fields
        frequency: int | None = None
        if rest and rest[0].isdecimal() and len(rest[0]) <= MOST_DIGITS:
            frequency = int(rest.pop(0))
        if len(rest) > 1 or (rest and not (rest[0].isascii() and rest[0].isalpha())):
            left_out.append(f"{path}:{number}: cannot read {line[:60]!r}")
        elif HAN_WORD.fullmatch(word) is None:
            left_out.append(f"{path}:{number}: {word[:60]!r} is not one word; only unbroken Han words can be added")
        else:
            words.append((word, frequency, rest[0] if rest else None))
    if left_out and not words:
        raise problem(left_out[0])
    if left_out:
        lines = "1 line" if len(left_out) == 1 else f"{len(left_out):,} lines"
        return words, [f"{lines} of the user dictionary left out, e.g. {left_out[0]}"]
    return words, []


class Words:
    """Chinese cut by jieba; other text by words, single spaces and single marks, so that it comes back exactly.

    user_words         added to jieba's dictionary
    dictionary_sha256  of the dictionary a model was trained with; a different one is refused on first use
    remarks            what is to be said of the user dictionary that was read
    """

    def __init__(
        self, user_words: Sequence[Sequence[Any]] = (), dictionary_sha256: str | None = None, path: str | None = None
    ) -> None:
        self.remarks: list[str] = []
        if path is not None:
            user_words, self.remarks = read_user_dict(Path(path))
        self.user_words: list[UserWord] = [(str(word), frequency, tag) for word, frequency, tag in user_words]
        self.dictionary_sha256 = dictionary_sha256
        self._jieba: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_jieba": None}  # made again where it is needed

    def _cutter(self) -> Any:
        if self._jieba is None:
            cutter, digest = jieba_itself()
            if self.user_words:
                digest = digest.copy()
                digest.update(repr(self.user_words).encode())
            found = digest.hexdigest()
            if self.dictionary_sha256 not in (None, found):
                raise VocabError(
                    f"this jieba has another dictionary (sha256 {found[:12]}…) than the model was trained with "
                    f"({str(self.dictionary_sha256)[:12]}…): words would be cut differently",
                    hint="install the jieba version of the training, see `charlm run info`",
                )
            self.dictionary_sha256 = found
            cutter.initialize()
            if self.user_words:
                cutter = copy.copy(cutter)
                cutter.FREQ, cutter.user_word_tag_tab = dict(cutter.FREQ), dict(cutter.user_word_tag_tab)
            for word, frequency, tag in self.user_words:
                cutter.add_word(word, frequency, tag)
            self._jieba = cutter
        return self._jieba

    def split(self, text: str) -> list[str]:
        tokens: list[str] = []
        for run in RUN.findall(text):
            if STARTS_HAN.match(run):
                tokens += self._words_of(run)
            else:
                tokens.append(run)
        return tokens

    def _words_of(self, run: str) -> list[str]:
        """Cut Han in pieces, since jieba's time grows with the square of what stands between two marks."""
        cut = self._cutter().lcut
        words: list[str] = []
        start = 0
        while len(run) - start > LONGEST_RUN:
            piece: list[str] = cut(run[start : start + LONGEST_RUN])
            if len(piece[-1]) < LONGEST_RUN // 2:
                piece.pop()  # it may go on behind the edge: the next piece begins with it
            words += piece
            start += sum(map(len, piece))
        words += cut(run[start:])
        return words

    def join(self, tokens: Sequence[str]) -> str:
        return "".join(tokens)

    def spec(self) -> dict[str, Any]:
        self._cutter()
        return {"user_words": [list(word) for word in self.user_words], "dictionary_sha256": self.dictionary_sha256}
