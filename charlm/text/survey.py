"""What is odd in a corpus: what to read before training on it.

Flat memory: repeats are counted exactly up to `SAMPLE` different documents, and beyond that from a sample of
the documents chosen by hash (Wegman's adaptive sampling, Flajolet 1990), so that a gigabyte needs no more
room than a page.
"""

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

SAMPLE = 1 << 18
LONG_LINE = 1000  # characters

LOST = re.compile("[□○■●\ufffd]")
PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010fffd]")
# How tools spell the edges of a sentence, padding and the like: as words of a text they are easily foretold, and
# flatter its figure. `<unk>` is not among them: it is read as an unknown token.
MARKS = re.compile(r"</?(?:s|eos|bos|sos|pad)>|<\|(?:endoftext|startoftext|im_start|im_end)\|>", re.IGNORECASE)
BRACKETS = re.compile("[\\[\\](){}<>（）［］【】〔〕《》〈〉「」『』]")


@dataclass
class Repeats:
    """How many documents are repeats of an earlier one, estimated in flat memory."""

    seen: dict[int, int] = field(default_factory=dict)
    shift: int = 0  # only hashes whose lowest `shift` bits are zero are watched

    def add(self, document: str) -> None:
        """Watch one more document."""
        data = document.encode("utf-8", "surrogatepass")
        number = zlib.crc32(data) << 32 | zlib.adler32(data)
        # crc32 stands in the upper half; its lowest bits choose the sample.
        if (number >> 32) & ((1 << self.shift) - 1):
            return
        self.seen[number] = self.seen.get(number, 0) + 1
        while len(self.seen) > SAMPLE:
            self.shift += 1
            mask = (1 << self.shift) - 1
            self.seen = {n: times for n, times in self.seen.items() if not (n >> 32) & mask}

    @property
    def count(self) -> int:
        """Documents beyond the first of their kind; an estimate once `shift` is above 0."""
        return sum(times - 1 for times in self.seen.values()) << self.shift

    @property
    def is_exact(self) -> bool:
        """Whether every document was watched."""
        return self.shift == 0


@dataclass
class Survey:
    """Counts of what is odd, with the first example of each kind."""

    documents: int = 0
    characters: int = 0
    longest: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    repeats: Repeats = field(default_factory=Repeats)
    remarks: list[str] = field(default_factory=list)  # of others, told after what was found in the text

    def add(self, document: str) -> None:
        """Look at one document."""
        self.documents += 1
        self.characters += len(document)
        self.longest = max(self.longest, len(document))
        if not document.endswith("\n"):  # the lines of a stream repeat by nature: blank ones, refrains, names
            self.repeats.add(document)
        if len(document) > LONG_LINE:
            self._note("more than 1,000 characters", document)
        self._look_for_marks(document)
        if document.isascii():  # nothing of what follows can be there, and brackets are ordinary
            return
        if LOST.search(document):
            self._note("signs of a lost character (□ ○ \ufffd)", document)
        if PRIVATE.search(document):
            self._note("private-use characters", document)
        if BRACKETS.search(document):
            self._note("brackets or title marks", document)

    def _look_for_marks(self, document: str) -> None:
        if "<" in document and MARKS.search(document):
            self._note("marks of a tool for words (<s>, </s>, <eos>)", document)

    def watch_marks(self, documents: Iterable[str]) -> Iterator[str]:
        """Pass documents on, looking for marks alone: where a text is measured, they flatter the figure."""
        for document in documents:
            self._look_for_marks(document)
            yield document

    def _note(self, kind: str, document: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.examples.setdefault(kind, document.strip()[:40])

    def watch(self, documents: Iterable[str]) -> Iterator[str]:
        """Pass documents on, looking at each."""
        for document in documents:
            self.add(document)
            yield document

    def findings(self) -> list[str]:
        """One sentence for each kind of oddity."""
        found = [f"{_documents(n)} with {kind}, e.g. {self.examples[kind]!r}" for kind, n in self.counts.items()]
        if repeats := self.repeats.count:
            about = "" if self.repeats.is_exact else "about "
            found.insert(0, f"{about}{_documents(repeats)} that stood there before")
        return found + self.remarks


def _documents(number: int) -> str:
    return f"{number:,} document{'' if number == 1 else 's'}"


class Overlap:
    """How many held-out documents also stand in the training text: room for the held-out ones only."""

    def __init__(self, held_out: Iterable[str]) -> None:
        self.held_out = Counter(hash(document) for document in held_out)
        self.found: set[int] = set()

    def watch(self, documents: Iterable[str]) -> Iterator[str]:
        """Pass training documents on, looking at each."""
        for document in documents:
            if (number := hash(document)) in self.held_out:
                self.found.add(number)
            yield document

    @property
    def count(self) -> int:
        """Held-out documents that were met."""
        return sum(self.held_out[number] for number in self.found)
