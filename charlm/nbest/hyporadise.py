"""N-best lists of HyPoradise and of the corpora like it: a JSON array of objects with `input` and `output`.

    [{"input": ["做做业", "做作业"], "output": "做作业"}]

`input` has the candidates, best first, as texts or as pairs of a text and a score (`scores.am`, a natural logarithm);
`output` is the reference. A list is called by its `id`, else by its number, from 1. Other fields are passed through.
The objects may as well stand one after another, without an array.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from charlm.errors import NBestError
from charlm.nbest.base import Hypothesis, Misfit, Source, Target, Utterance
from charlm.nbest.elements import elements
from charlm.nbest.jsonl import id_of, kind, line_of, number_of, reference_of, string_of, value_of, without
from charlm.nbest.rows import MOST_CANDIDATES

EXAMPLE = '{"input": ["做做业", "做作业"], "output": "做作业"}'
FIELDS = {"id", "input", "output"}


class HyPoradise:
    """An object for each list."""

    files: tuple[str, ...] = ()
    folders = False
    scores = "am"
    references = True
    ids = True
    about = "HyPoradise's JSON of input and output; scores, where there are any, natural logarithms"

    def recognises(self, head: Sequence[str]) -> bool:
        """A first object whose input is an array."""
        first = first_object(head)
        return first is not None and isinstance(first.get("input"), list)

    def parse(self, source: Source) -> Iterator[Utterance]:
        for count, (record, misfit, place) in enumerate(objects(source, EXAMPLE), 1):
            try:
                candidates = record.get("input")
                if not isinstance(candidates, list) or len(candidates) > MOST_CANDIDATES:
                    raise misfit(f"an array of at most {MOST_CANDIDATES:,} candidates as input, not {kind(candidates)}")
                yield Utterance(
                    id_of(record, "id", str(count), misfit),
                    tuple(_candidate(one, f"input[{number}]", misfit) for number, one in enumerate(candidates)),
                    reference_of(record, "output", misfit),
                    without(record, FIELDS),
                    place,
                )
            except NBestError as error:
                source.refuse(error)

    def render(self, utterances: Iterable[Utterance], target: Target) -> None:
        write_array((_record(utterance) for utterance in utterances), target)


def _candidate(value: Any, place: str, misfit: Misfit) -> Hypothesis:
    if isinstance(value, list) and len(value) == 2:
        return Hypothesis(string_of(value[0], place, misfit), {"am": number_of(value[1], place, misfit)})
    return Hypothesis(string_of(value, place, misfit))


def _record(utterance: Utterance) -> dict[str, Any]:
    candidates = [
        [candidate.text, candidate.scores["am"]] if "am" in candidate.scores else candidate.text
        for candidate in utterance.hypotheses
    ]
    reference = {} if utterance.reference is None else {"output": utterance.reference}
    return {"id": utterance.id, "input": candidates} | reference | without(utterance.extra, FIELDS)


def first_object(head: Sequence[str]) -> dict[str, Any] | None:
    """The first object of an array, or that stands alone; None where these lines have not the whole of one."""
    for element in elements(Source.of(head, "", refuse=lambda _: None)):
        try:
            record = json.loads(element.text)
        except ValueError:
            return None
        return record if isinstance(record, dict) else None
    return None


def objects(source: Source, example: str) -> Iterator[tuple[dict[str, Any], Misfit, str]]:
    """Every object of a file, what makes an error of it, and its place; what is none goes to `source.refuse`."""
    for element in elements(source):
        misfit = source.misfit(element.number, element.text)
        try:
            record = value_of(element.text, misfit, f"an object like {example}")
            if not isinstance(record, dict):
                raise misfit(f"an object like {example}, not {kind(record)}")
        except NBestError as error:
            source.refuse(error)
            continue
        yield record, misfit, f"{source.place()}:{element.number}"


def write_array(records: Iterable[dict[str, Any]], target: Target) -> None:
    """Records as a JSON array, each written before the next one is taken; nothing where there are none."""
    empty = True
    for record in records:
        target.write(("[" if empty else ",") + line_of(record))
        empty = False
    if not empty:
        target.write("]")
