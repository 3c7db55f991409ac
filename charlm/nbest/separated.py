"""N-best lists of one line each: the id, and the candidates between | or tabs.

    u1 做做业|坐坐业|做作业

They lie beside a Kaldi `text` of references, which --ref names. The first white space ends the id. There are no
scores; the order is the recogniser's.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from charlm.nbest.base import Hypothesis, Source, Target, Utterance, numbered
from charlm.nbest.rows import MOST_CANDIDATES, is_number, lossy, one_line, some_of, too_many, word


class Separated:
    """Candidates between one separator."""

    files: tuple[str, ...] = ()
    folders = False
    scores = ""
    references = False
    ids = True

    def __init__(self, name: str, separator: str) -> None:
        self.name, self.separator = name, separator
        self.about = f"id, and the candidates between {'tabs' if separator == chr(9) else separator}; no scores"

    def recognises(self, head: Sequence[str]) -> bool:
        """A new id with a digit in it on every line, and candidates that are not all scores of the last one."""
        lines = [line.split(None, 1) for line in head]
        ids = [parts[0] for parts in lines if len(parts) == 2 and re.search(r"\d", parts[0])]
        if len(set(ids)) < len(lines) or any(self.separator in name for name in ids):
            return False
        table = [parts[1].split(self.separator) for parts in lines]
        scored = all(all(map(is_number, row[:-1])) and not is_number(row[-1]) for row in table)
        return any(len(row) > 1 for row in table) and not scored and not any("||" in line for line in head)

    def parse(self, source: Source) -> Iterator[Utterance]:
        for number, line in numbered(source.lines()):
            if not line.strip():
                continue
            found = re.match(r"(\S+)(?:\s(.*))?$", line, re.DOTALL)
            if found is None or self.separator in found[1]:
                expected = f"an id, white space, and candidates between {self.separator!r}"
                source.refuse(source.misfit(number, line)(expected))
                continue
            texts = (found[2] or "").split(self.separator)
            if len(texts) > MOST_CANDIDATES:
                source.refuse(too_many(source, number, line))
                continue
            candidates = tuple(Hypothesis(text.strip(" \t")) for text in texts)
            yield Utterance(found[1], candidates, place=f"{source.place()}:{number}")

    def render(self, utterances: Iterable[Utterance], target: Target) -> None:
        for utterance in utterances:
            key = word(utterance.id, self.name)
            if self.separator in key:
                raise lossy(self.name, f"the id {key!r}")
            texts = [one_line(one.text, key, self.name, self.separator) for one in some_of(utterance, self.name)]
            target.write(f"{key} {self.separator.join(texts)}")
