"""N-best lists of mlm-scoring, as ESPnet's older recipes make them: a JSON object with a member for each utterance.

    {"u1": {"hyp_1": {"score": -12.4, "text": "做做业"}, "hyp_2": {"score": -13.0, "text": "做作业"}, "ref": "做作业"}}

`hyp_1` is the recogniser's best. `score` is its natural logarithm, weighted sums included, and becomes `scores.am`;
other numbers of a candidate are scores of their names. Members of an utterance that are neither candidates nor `ref`
are passed through.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from charlm.errors import NBestError
from charlm.nbest.base import Hypothesis, Misfit, Source, Target, Utterance
from charlm.nbest.elements import Element, elements
from charlm.nbest.jsonl import kind, line_of, number_of, reference_of, string_of, value_of, without
from charlm.nbest.rows import MOST_CANDIDATES, lossy

EXAMPLE = '"u1": {"hyp_1": {"score": -12.4, "text": "做作业"}, "ref": "做作业"}'
_HYPOTHESIS = re.compile(r"hyp_(\d+)")


class MLMScoring:
    """A member for each list."""

    files: tuple[str, ...] = ()
    folders = False
    scores = ".*"
    references = True
    ids = True
    about = "mlm-scoring's JSON of hyp_1, hyp_2, … and ref; natural logarithms"

    def recognises(self, head: Sequence[str]) -> bool:
        """A first member that has candidates called hyp_1 and so on."""
        for element in elements(Source.of(head, "", refuse=lambda _: None), members=True):
            try:
                value = json.loads(element.text)
            except ValueError:
                return False
            return element.key is not None and isinstance(value, dict) and any(map(_HYPOTHESIS.fullmatch, value))
        return False

    def parse(self, source: Source) -> Iterator[Utterance]:
        for element in elements(source, members=True):
            try:
                yield _utterance(element, source)
            except NBestError as error:
                source.refuse(error)

    def render(self, utterances: Iterable[Utterance], target: Target) -> None:
        empty = True
        for utterance in utterances:
            member = line_of({str(utterance.id): _record(utterance)})
            target.write(("{" if empty else ",") + member.removeprefix("{").removesuffix("}"))
            empty = False
        if not empty:
            target.write("}")


def _utterance(element: Element, source: Source) -> Utterance:
    misfit = source.misfit(element.number, f"{element.key or ''}: {element.text}")
    if element.key is None:
        raise misfit(f"an object with members like {EXAMPLE}")
    name = string_of(value_of(element.key, misfit, "a string as the name of an utterance"), "id", misfit)
    record = value_of(element.text, misfit, f"a member like {EXAMPLE}")
    if not isinstance(record, dict):
        raise misfit(f"a member like {EXAMPLE}, not {kind(record)}")
    ranks = sorted((int(match[1]), key) for key in record if (match := _HYPOTHESIS.fullmatch(key)))
    if len(ranks) > MOST_CANDIDATES:
        raise misfit(f"at most {MOST_CANDIDATES:,} candidates in one list, not {len(ranks):,}")
    return Utterance(
        name,
        tuple(_candidate(record[key], key, misfit) for _, key in ranks),
        reference_of(record, "ref", misfit),
        without(record, {"ref", *(key for _, key in ranks)}),
        f"{source.place()}:{element.number}",
    )


def _candidate(record: Any, place: str, misfit: Misfit) -> Hypothesis:
    if not isinstance(record, dict):
        raise misfit(f'an object like {{"score": -12.4, "text": "做作业"}} as {place}, not {kind(record)}')
    scores, extra = {}, {}
    for name, value in record.items():
        if name == "score" and value is not None:
            scores["am"] = number_of(value, f"{place}.score", misfit)
        elif type(value) in (int, float):
            scores[name] = number_of(value, f"{place}.{name}", misfit)
        elif name not in ("text", "score"):
            extra[name] = value
    return Hypothesis(string_of(record.get("text"), f"{place}.text", misfit), scores, extra)


def _record(utterance: Utterance) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for rank, candidate in enumerate(utterance.hypotheses, 1):
        if taken := {"score", "text"}.intersection(candidate.scores):
            raise lossy("mlm", f"a score called {min(taken)!r}")
        scores = {"score" if name == "am" else name: value for name, value in candidate.scores.items()}
        record[f"hyp_{rank}"] = scores | {"text": candidate.text} | without(candidate.extra, {"text", *scores})
    reference = {} if utterance.reference is None else {"ref": utterance.reference}
    return record | reference | without(utterance.extra, {"ref", *record})
