"""Numbered lines of an ARPA file, looked at before they are taken, many at a time."""

from collections.abc import Callable, Iterable
from itertools import islice

SPACES = b" \t\r\n"  # a word may hold any other white space of ASCII or Unicode
MOST_BLANK = 8  # blocks

_BLOCK = 1 << 10  # lines; 64 MB if all are as long as they may be


def shown(data: bytes) -> str:
    """The beginning of a line or word, for a message."""
    return repr(data[:240].decode("utf-8", "replace")[:60])


class Lines:
    """Numbered lines that can be looked at before they are taken.

    refuse_blank  raises, where blank lines go on and on
    """

    def __init__(self, lines: Iterable[bytes], refuse_blank: Callable[[], None]) -> None:
        self.lines, self.refuse_blank = iter(lines), refuse_blank
        self.block: list[bytes] = []
        self.place = 0  # in the block, of the next line
        self.before = 0  # lines before the block
        self.blank = 0  # blocks in a row that were all blank

    @property
    def number(self) -> int:
        """Number of the line taken last, from 1."""
        return self.before + self.place

    def peek(self) -> bytes | None:
        """The next line, None after the last."""
        if self.place == len(self.block):
            self.before += self.place
            self.block, self.place = list(islice(self.lines, _BLOCK)), 0
            blank = self.block and not self.block[0].strip(SPACES) and not b"".join(self.block).strip(SPACES)
            self.blank = self.blank + 1 if blank else 0
            if self.blank > MOST_BLANK:
                self.refuse_blank()
        return self.block[self.place] if self.block else None

    def take(self) -> None:
        """Go on by one line."""
        self.place += 1

    def take_entries(self) -> list[bytes]:
        """The lines before the next that begins with a backslash, as many as are at hand; none where it is next."""
        if self.peek() is None:
            return []
        taken = self.block[self.place :]
        starts = [line[:1] for line in taken]
        if b"\\" in starts:
            del taken[starts.index(b"\\") :]
        self.place += len(taken)
        return taken
