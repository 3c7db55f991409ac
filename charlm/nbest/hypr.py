"""N-best lists in the manner of HypR: JSON objects with `hyps` as an array of texts, and arrays of scores beside it.

    [{"id": "u1", "ref": "做作业", "hyps": ["做做业", "做作业"], "am_score": [-12.4, -13.0], "ctc_score": [-3.5, -3.1]}]

Every array of numbers that is as long as `hyps` is a score of its name; `am_score` is `scores.am`. The numbers are
taken as they are: natural logarithms, larger is better, is what charlm weighs. A list is called by its `id`, `utt_id`
or `name`, else by its number, from 1. Other fields are passed through. The objects stand in an array, or one after
another.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from charlm.errors import NBestError
from charlm.nbest.base import Hypothesis, Misfit, Source, Target, Utterance
from charlm.nbest.hyporadise import first_object, objects, write_array
from charlm.nbest.jsonl import id_of, kind, number_of, reference_of, string_of, without
from charlm.nbest.rows import MOST_CANDIDATES, lossy

EXAMPLE = '{"id": "u1", "ref": "做作业", "hyps": ["做做业", "做作业"], "am_score": [-12.4, -13.0]}'
ID_NAMES = ("id", "utt_id", "name")
FIELDS = {"hyps", "ref"}


class HypR:
    """An object for each list, an array for each score."""

    files: tuple[str, ...] = ()
    folders = False
    scores = ".*"
    references = True
    ids = True
    about = "HypR's JSON of hyps, ref and arrays of scores; scores as they are (nats)"

    def recognises(self, head: Sequence[str]) -> bool:
        """A first object whose hyps are texts."""
        first = first_object(head)
        candidates = first.get("hyps") if first else None
        return isinstance(candidates, list) and any(isinstance(one, str) for one in candidates)

    def parse(self, source: Source) -> Iterator[Utterance]:
        for count, (record, misfit, place) in enumerate(objects(source, EXAMPLE), 1):
            try:
                yield _utterance(record, str(count), misfit, place)
            except NBestError as error:
                source.refuse(error)

    def render(self, utterances: Iterable[Utterance], target: Target) -> None:
        write_array((_record(utterance) for utterance in utterances), target)


def _utterance(record: dict[str, Any], count: str, misfit: Misfit, place: str) -> Utterance:
    texts = record.get("hyps")
    if not isinstance(texts, list) or len(texts) > MOST_CANDIDATES:
        raise misfit(f"an array of at most {MOST_CANDIDATES:,} texts as hyps, not {kind(texts)}")
    columns = {
        name: [None if value is None else number_of(value, name, misfit) for value in values]
        for name, values in record.items()
        if name not in FIELDS and isinstance(values, list) and texts and _are_scores(values, len(texts))
    }
    if wrong := [name for name, values in record.items() if name.endswith("score") and isinstance(values, list)]:
        for name in wrong:
            if texts and name not in columns:
                raise misfit(f"{len(texts)} numbers as {name}, one for each of the hyps")
    called = next((name for name in ID_NAMES if record.get(name) is not None), "id")
    candidates = []
    for number, text in enumerate(texts):
        scores = {
            "am" if name == "am_score" else name: value
            for name, values in columns.items()
            if (value := values[number]) is not None
        }
        candidates.append(Hypothesis(string_of(text, f"hyps[{number}]", misfit), scores))
    return Utterance(
        id_of(record, called, count, misfit),
        tuple(candidates),
        reference_of(record, "ref", misfit),
        without(record, {*FIELDS, *columns, called}),
        place,
    )


def _are_scores(values: list[Any], wanted: int) -> bool:
    numbers = [value for value in values if value is not None]
    return len(values) == wanted and bool(numbers) and all(type(value) in (int, float) for value in numbers)


def _record(utterance: Utterance) -> dict[str, Any]:
    names = dict.fromkeys(name for candidate in utterance.hypotheses for name in candidate.scores)
    if taken := [name for name in names if name in (*FIELDS, *ID_NAMES, "am_score") or name in utterance.extra]:
        raise lossy("hypr", f"a score called {taken[0]!r}")
    columns = {
        "am_score" if name == "am" else name: [candidate.scores.get(name) for candidate in utterance.hypotheses]
        for name in names
    }
    reference = {} if utterance.reference is None else {"ref": utterance.reference}
    texts = {"hyps": [candidate.text for candidate in utterance.hypotheses]}
    return {"id": utterance.id} | reference | texts | columns | without(utterance.extra, {*FIELDS, *ID_NAMES})
