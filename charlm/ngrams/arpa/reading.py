"""ARPA lines → n-grams. Strict unless told otherwise; what it takes for an error stands in `flaws.py`."""

import math
import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, islice, repeat
from typing import NoReturn

import numpy as np

from charlm.config.models import LARGEST_ORDER
from charlm.errors import ArpaError
from charlm.ngrams.arpa import flaws
from charlm.ngrams.arpa.flaws import LARGEST_COUNT, LONGEST_LINE
from charlm.ngrams.arpa.layout import LARGEST, NEVER, REVERSED, Arpa, ArpaOrder, Ints
from charlm.ngrams.arpa.lines import SPACES, Lines, shown
from charlm.ngrams.arpa.section import Contexts, Section
from charlm.text.decoding import Note, nobody

_GAP = re.compile(rb"[ \t\r\n]+")

_COUNT = re.compile(rb"ngram[ \t]+([0-9]+)[ \t]*=[ \t]*([0-9]+)")

_SECTION = re.compile(rb"\\([0-9]{1,9})-grams:")


def read(lines: Iterable[bytes], source: str, *, lenient: bool = False, note: Note = nobody) -> Arpa:
    """Read a model, or raise ArpaError with SOURCE:LINE. The caller cuts lines longer than `LONGEST_LINE`.

    lenient  repair what can be repaired
    note     receives a sentence for every kind of repair
    """
    reader = _Reader(lines, source, lenient)
    arpa = reader.arpa()
    for flaw, (times, line) in reader.repairs.items():
        often = "once" if times == 1 else f"{times:,} times"
        note(f"{source}: {flaw.repair} ({often}, {'first ' if times > 1 else ''}in line {line})")
    return arpa


class _Reader:
    """Reads one file from top to bottom."""

    def __init__(self, lines: Iterable[bytes], source: str, lenient: bool) -> None:
        self.lines, self.source, self.lenient = Lines(lines, self._refuse_blank), source, lenient
        self.repairs: dict[flaws.Flaw, tuple[int, int]] = {}  # times, and the line of the first
        self.declared: list[int] = []
        self.n = 0  # the order that is read
        self.reverse = False
        self.is_open = False  # between \data\ and \end\
        self.has_line_ends = False
        self.top_line = 0  # where the last section begins
        self.ids: dict[bytes, int] = {}
        self.begin = self.end = -2  # indices of <s> and </s>; -1 is any word that is not there
        self.contexts = Contexts()

    def arpa(self) -> Arpa:
        self._find_data()
        self._read_declarations()
        orders = []
        while self._open_section():
            orders.append(self._read_section(Section(self.n)))
        if not self.ids:  # lenient reading may leave nothing
            self._refuse(flaws.NO_WORDS, self.lines.number, "none that can be read")
        # Only now is it certain which order is the highest, whatever was declared. Strict reading finds none here.
        if useless := int(np.count_nonzero(orders[-1].backoffs)):
            self._flaw(flaws.USELESS_BACKOFF, self.top_line, "some", useless)
            orders[-1] = replace(orders[-1], backoffs=np.zeros_like(orders[-1].backoffs))
        return Arpa([word.decode() for word in self.ids], orders, self.reverse)

    def _refuse_blank(self) -> None:
        self._refuse(flaws.BLANK, self.lines.number + 1, "blank lines without an end")

    def _refuse(self, flaw: flaws.Flaw, number: int, found: str) -> NoReturn:
        expected = flaw.expected.replace("{n}", str(self.n))
        raise ArpaError(f"{self.source}:{number}: expected {expected}, found {found}", hint=flaw.hint)

    def _flaw(self, flaw: flaws.Flaw, number: int, found: str, times: int = 1) -> None:
        """Refuse a flaw, or count its repair."""
        if self.lenient and flaw.repair:
            before, first = self.repairs.get(flaw, (0, number))
            self.repairs[flaw] = before + times, first
            return
        # Whatever is wrong with the very last line, the reason is that it is the last.
        if self.is_open and number >= self.lines.number and self.lines.peek() is None:
            number = self.lines.number
            self._refuse(flaws.CUT_SHORT, number, f"the end of the file: it was cut short after line {number}")
        self._refuse(flaw, number, found)

    def _next(self) -> bytes | None:
        """The next line that is not blank, without the space around it. It is not taken yet."""
        while (line := self.lines.peek()) is not None:
            if len(line) > LONGEST_LINE:
                self._refuse(flaws.TOO_LONG, self.lines.number + 1, "a line too long for an ARPA file")
            if text := line.strip(SPACES):
                return text
            self.lines.take()
        return None

    # The header

    def _find_data(self) -> None:
        start = self.lines.peek()
        if start is None:
            self._refuse(replace(flaws.NO_DATA, hint=flaws.CUT_SHORT.hint), 1, "an empty file")
        self._refuse_other_formats(start, 1)
        self.lines.block[0] = start.removeprefix(b"\xef\xbb\xbf")
        found = "only blank lines"
        while (text := self._next()) != b"\\data\\":
            if text is None:
                self._refuse(flaws.NO_DATA, max(self.lines.number, 1), found)
            if text == REVERSED.encode():
                self.reverse = True
                self.lines.take()
                continue
            if found == "only blank lines":
                found = f"text that begins with {shown(text)}"
                self._refuse_other_formats(text, self.lines.number + 1)
            self._flaw(flaws.PREAMBLE, self.lines.number + 1, shown(text))
            self.lines.take()
        self.has_line_ends = self.lines.block[self.lines.place].endswith(b"\n")
        self.lines.take()
        self.is_open = True

    def _refuse_other_formats(self, text: bytes, number: int) -> None:
        for magic, (what, cure) in flaws.OTHER_FORMATS.items():
            if text.startswith(magic):
                self._refuse(replace(flaws.NO_DATA, hint=f"this is {what}; {cure}"), number, what)

    def _read_declarations(self) -> None:
        while (text := self._next()) is not None and not text.startswith(b"\\"):
            self.lines.take()
            number = self.lines.number
            match = _COUNT.fullmatch(text)
            if match is None:
                self._flaw(flaws.DECLARATION, number, shown(text))
                continue
            n, count = (int(digits) if len(digits) <= 10 else LARGEST_COUNT + 1 for digits in match.groups())
            if count > LARGEST_COUNT:
                self._refuse(flaws.TOO_MANY, number, shown(text))
            if n > LARGEST_ORDER:
                self._refuse(flaws.TOO_HIGH, number, shown(text))
            if n != len(self.declared) + 1:
                self._flaw(flaws.CONSECUTIVE, number, shown(text))
            self.declared.append(count)
        if not self.declared:
            self._flaw(flaws.DECLARATION, self.lines.number + 1, shown(text or b""))

    def _open_section(self) -> bool:
        r"""Take the header of the next section; False at \end\ or where the file breaks off."""
        text = self._next()
        number = self.lines.number + 1
        self.n += 1
        if text is None:
            self._flaw(flaws.CUT_SHORT, number - 1, "the end of the file")
            return False
        self.lines.take()
        if text == b"\\end\\":
            self.is_open = False
            if self.n <= len(self.declared):
                self._flaw(flaws.UNOPENED, number, "\\end\\", len(self.declared) - self.n + 1)
            self._skip_trailing()
            return False
        match = _SECTION.fullmatch(text)
        if match is None or int(match[1]) != self.n:
            if self.lenient and match is None and self._next() is None:
                self._flaw(flaws.CUT_SHORT, number, shown(text))
                return False
            self._flaw(flaws.HEADER, number, shown(text))
        if self.n > LARGEST_ORDER:
            self._refuse(flaws.TOO_HIGH, number, shown(text))
        if self.n > len(self.declared):
            self._flaw(flaws.UNDECLARED, number, shown(text))
        self.top_line = number
        return True

    def _skip_trailing(self) -> None:
        while (text := self._next()) is not None:
            self.lines.take()
            self._flaw(flaws.TRAILING, self.lines.number, f"the trailing line {shown(text)}")

    # The sections

    def _read_section(self, section: Section) -> ArpaOrder:
        while block := self.lines.take_entries():
            first = self.lines.number - len(block) + 1
            if self.lenient and self.has_line_ends and not block[-1].endswith(b"\n") and self.lines.peek() is None:
                # Half a number or half a word may look like a whole one.
                self._flaw(flaws.CUT_LINE, self.lines.number, shown(block.pop()))
            if not self._take_all(block, first, section):
                for number, line in enumerate(block, first):
                    self._take_one(line, number, section)
        if self.lines.peek() is None and not self.lenient:
            self._flaw(flaws.CUT_SHORT, self.lines.number, "the end of the file")
        if self.n <= len(self.declared) and section.seen != (declared := self.declared[self.n - 1]):
            found = f"{section.seen:,} where {declared:,} are declared"
            self._flaw(flaws.MISCOUNTED, self.lines.number, found)
        if self.n == 1:
            for word, flaw in ((b"<s>", flaws.NO_BEGIN), (b"</s>", flaws.NO_END)):
                if word not in self.ids:
                    self._flaw(flaw, self.lines.number, f"{len(self.ids):,} words without it")
            self.begin, self.end = self.ids.get(b"<s>", -2), self.ids.get(b"</s>", -2)
            section.grams.extend(range(len(self.ids)))
            return section.order()
        return self._checked(section.order(), section)

    def _take_all(self, block: list[bytes], first: int, section: Section) -> bool:
        """Take lines at once if they are as they should be; this is what makes reading fast."""
        n, ids = section.n, self.ids
        text = b"".join(block)
        # `split` also cuts at these two, which are no gaps here.
        if not block or b"\v" in text or b"\f" in text or max(map(len, block)) > LONGEST_LINE:
            return False
        rows = [line.split(None, n + 2) for line in block]
        widths = set(map(len, rows))
        if not widths <= {n + 1, n + 2}:
            while rows and not rows[-1]:  # blank lines end a section
                rows.pop()
            widths = set(map(len, rows))
            if not rows or not widths <= {n + 1, n + 2}:
                return False
        if len(widths) == 2:
            for row in rows:
                if len(row) == n + 1:
                    row.append(b"0")
        width = max(widths)
        fields = list(chain.from_iterable(rows))
        numbers = fields[::width] + (fields[n + 1 :: width] if width == n + 2 else [])
        try:
            values = np.array(list(map(float, numbers)))
        except ValueError:
            return False
        log_probs, backoffs = values[: len(rows)], values[len(rows) :]
        if not (log_probs <= 0).all() or not (np.abs(values) <= LARGEST).all() or b"_" in b"".join(numbers):
            return False
        if not backoffs.size:
            backoffs = np.zeros(len(rows))
        elif not self.lenient and n == len(self.declared) and backoffs.any():
            return False
        if n == 1:
            grams = np.empty(0, dtype=np.int64)
            words = dict(zip(fields[1::width], range(len(ids), len(ids) + len(rows)), strict=True))
            if len(words) < len(rows) or not ids.keys().isdisjoint(words):
                return False
            try:
                text.decode()
            except UnicodeDecodeError:
                return False
            ids.update(words)
        else:
            columns = [list(map(ids.get, fields[place::width], repeat(-1))) for place in range(1, n + 1)]
            grams = np.array(columns, dtype=np.int64).T
            if (grams < 0).any() or self._has_misplaced(grams):
                return False
        section.add(grams, log_probs, backoffs, first)
        return True

    def _has_misplaced(self, grams: Ints) -> bool:
        return bool(((grams[:, 1:] == self.begin) | (grams[:, :-1] == self.end)).any())

    def _take_one(self, line: bytes, number: int, section: Section) -> None:
        """Take one line that may have any flaw."""
        if len(line) > LONGEST_LINE:
            self._refuse(flaws.TOO_LONG, number, "a line too long for an ARPA file")
        text = line.strip(SPACES)
        if not text:
            return
        section.seen += 1
        n = section.n
        fields = _GAP.split(text, n + 2)
        if len(fields) not in (n + 1, n + 2):
            return self._flaw(flaws.FIELDS, number, shown(text))
        log_prob = self._number(fields[0], number)
        backoff = self._number(fields[n + 1], number) if len(fields) > n + 1 else 0.0
        if log_prob is None or backoff is None:
            return
        if backoff and n == len(self.declared) and not self.lenient:
            self._flaw(flaws.USELESS_BACKOFF, number, shown(fields[n + 1]))
        if log_prob > 0:
            if log_prob > flaws.LARGEST_ROUNDING:
                self._refuse(flaws.COSTS, number, shown(fields[0]))
            self._flaw(flaws.POSITIVE, number, shown(fields[0]))
            log_prob = 0.0
        if n == 1:
            word = fields[1]
            try:
                word.decode()
            except UnicodeDecodeError as error:
                place = line.index(word, line.index(fields[0]) + len(fields[0])) + error.start
                return self._flaw(
                    flaws.NOT_UTF8, number, f"{shown(word)}: byte {place} of the line is 0x{line[place]:02x}"
                )
            if word in self.ids:
                return self._flaw(flaws.TWICE, number, f"{shown(word)} again")
            self.ids[word] = len(self.ids)
        else:
            gram = [self.ids.get(word, -1) for word in fields[1 : n + 1]]
            if -1 in gram:
                return self._flaw(flaws.FOREIGN_WORD, number, shown(fields[1 + gram.index(-1)]))
            if self._has_misplaced(np.array([gram])):
                return self._flaw(flaws.MISPLACED, number, shown(b" ".join(fields[1 : n + 1])))
            section.grams.extend(gram)
        section.log_probs.append(log_prob)
        section.backoffs.append(backoff)
        section.line_numbers.append(number)

    def _number(self, field: bytes, number: int) -> float | None:
        try:
            value = float(field.replace(b"_", b"?"))  # Python would read 1_0 as ten
        except ValueError:
            self._flaw(flaws.UNREADABLE, number, shown(field))
            return None
        if math.isnan(value) or value > LARGEST:
            self._flaw(flaws.UNBOUNDED, number, shown(field))
        if value < -LARGEST:
            self._flaw(flaws.MINUS_INFINITY, number, shown(field))
            return NEVER
        return value

    def _checked(self, order: ArpaOrder, section: Section) -> ArpaOrder:
        """Refuse or leave out n-grams without a context, and those that stand twice."""
        self.contexts.size = len(self.ids)
        numbers = self.contexts.numbers(order.grams)
        kept = numbers >= 0
        if not kept.all():
            first = int(np.argmin(kept))
            found = f"{self._spelled(order.grams[first])} without its context"
            self._flaw(flaws.NO_CONTEXT, section.line_numbers[first], found, int(np.count_nonzero(~kept)))
        known = np.sort(numbers[kept])
        if (known[1:] == known[:-1]).any():
            known, firsts = np.unique(numbers, return_index=True)
            known, firsts = known[known >= 0], firsts[known >= 0]
            is_first = np.zeros(len(numbers), dtype=bool)
            is_first[firsts] = True
            again = int(np.argmax(kept & ~is_first))
            found = f"{self._spelled(order.grams[again])} again"
            self._flaw(flaws.TWICE, section.line_numbers[again], found, int(np.count_nonzero(kept & ~is_first)))
            kept = is_first
        self.contexts.add(known)
        if kept.all():
            return order
        return ArpaOrder(order.grams[kept], order.log_probs[kept], order.backoffs[kept])

    def _spelled(self, gram: Ints) -> str:
        words = list(islice(self.ids, int(gram.max()) + 1))
        return shown(b" ".join(words[i] for i in gram))
