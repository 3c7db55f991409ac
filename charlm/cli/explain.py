"""`charlm nbest explain`: why a list came out as it did."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.cells import cell_len

from charlm.cli.console import Talk, complain, emit, emit_json, figure
from charlm.cli.grid import WIDTH, columns, padded, wrapped
from charlm.cli.inputs import AllowUnknown, ListFormat, RunsAndLists, WeightsPath, reranker_of, runs_and_lists
from charlm.cli.options import AsJson, Beam, Device, KeepGoing, Quiet, References
from charlm.config.text import TextConfig
from charlm.text.files import some

if TYPE_CHECKING:
    from charlm.jobs.explain import Explained
    from charlm.reranking.comparing import Pair, Row

NARROWEST = 8  # cells of a token
MOST_CANDIDATES_SHOWN = 20


def explain(
    inputs: RunsAndLists,
    wanted: Annotated[str, typer.Option("--id", metavar="ID", help="The list to explain.")],
    weights: WeightsPath = None,
    format: ListFormat = "auto",
    references: References = None,
    beam: Beam = None,
    keep_going: KeepGoing = False,
    allow_unknown: AllowUnknown = False,
    encoding: Annotated[str | None, typer.Option(help="Encoding of the input.")] = None,
    device: Device = "cpu",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show why a list came out as it did.

    Every candidate with the parts of its sum, its alignment, and the surprise of each token.

    charlm nbest explain fwd kn5 test.jsonl --weights weights.toml --id utt-17
    """
    from charlm.jobs.explain import explain as explaining
    from charlm.jobs.lists import Refusals, lists_at
    from charlm.jobs.treatment import Treatment

    talk = Talk(quiet)
    given, source = runs_and_lists(inputs)
    reranker = reranker_of(given, weights, treatment=Treatment(allow_unknown=allow_unknown), device=device)
    refusals = Refusals(keep_going, lambda error: complain(str(error), error.hint))
    found = lists_at(source, format, TextConfig(encoding=encoding), refusals, beam=beam, note=talk.note)
    lists = some(found.utterances(refusals, references, talk.note), source, "lists")
    told = explaining(reranker, lists, wanted, source)
    if as_json:
        emit_json(told.to_json())
        return
    for line in shown(told, str(reranker.decision)):
        emit(line)


def shown(told: "Explained", decision: str) -> Iterator[str]:
    """A list explained, at 80 columns."""
    reference = told.utterance.reference
    yield from folded(f"{told.utterance.id} · reference: {'unknown' if reference is None else reference}", "  ")
    yield from wrapped(f"ordered by {decision}", "  ")
    yield ""
    names = list(dict.fromkeys(name for item in told.ranked.weighed for name in item.parts if name != "first"))
    rows = [["", "was", "total", "errors", "posterior", *names]]
    for place, (item, count) in enumerate(zip(told.ranked.weighed, told.errors, strict=True), 1):
        share = "–" if item.posterior is None else f"{item.posterior:.1%}"
        errors = "–" if count is None else str(count)
        parts = [figure(item.parts.get(name)) for name in names]
        rows.append([str(place), str(item.position + 1), figure(item.total), errors, share, *parts])
    candidates = [item.hypothesis.text for item in told.ranked.weighed][:MOST_CANDIDATES_SHOWN]
    rows = rows[: len(candidates) + 1]
    lines = list(_right(rows))
    apart = max(map(cell_len, lines)) > WIDTH  # too many scores for columns: they stand below
    if apart:
        lines = list(_right([row[: -len(names)] for row in rows]))
    for number, line in enumerate(lines):
        yield line
        if number and apart:
            parts = [f"{name} {value}" for name, value in zip(names, rows[number][-len(names) :], strict=True)]
            yield from wrapped("    " + " · ".join(parts), "    ")
        if number:
            yield from folded(f"    {candidates[number - 1] or '(nothing)'}", "    ")
    left = len(told.ranked.weighed) - len(candidates)
    if left:
        yield f"   and {left:,} more; --json has them all"
    beside = "said" if reference is not None else "chosen"
    for place, pairs in enumerate(told.alignments[: len(candidates)], 1):
        if any(pair.kind for pair in pairs):
            yield ""
            yield from alignment(pairs, beside, str(place), spaced=told.metric != "cer")
    yield from surprises(told)


def folded(text: str, indent: str, width: int = WIDTH) -> Iterator[str]:
    """A text in lines of so many cells, all but the first indented; nothing is added or left out."""
    line, cells = "", 0
    for char in text:
        size = cell_len(char)
        if cells + size > width:
            yield line
            line, cells = indent, cell_len(indent)
        line, cells = line + char, cells + size
    yield line.rstrip()


def surprises(told: "Explained") -> Iterator[str]:
    """What each token of two candidates costs each model, side by side."""
    from charlm.reranking.comparing import side_by_side

    chosen, other = told.compared
    if chosen == other or not told.readings:
        return
    ones = {name: read[chosen] for name, read in told.readings.items()}
    others = {name: read[other] for name, read in told.readings.items()}
    for names, rows in side_by_side(ones, others):
        yield ""
        yield from wrapped(
            f"surprise in nats, chosen beside {'the first' if other == 0 else f'candidate {other + 1}'}: "
            f"{', '.join(names)}", "  "
        )  # fmt: skip
        yield from _rows(names, rows)
    if told.differs:
        yield ""
        yield from wrapped(f"models differ first at {told.differs}", "  ")


def _rows(names: Sequence[str], rows: "Sequence[Row]") -> Iterator[str]:
    grid = [["", "chosen", *(name[:NARROWEST] for name in names), "", *(name[:NARROWEST] for name in names)]]
    for row in rows:
        left = [_nats(value) for value in row.one]
        right = [_nats(value) for value in row.other]
        grid.append([row.pair.kind or "", row.pair.one or "·", *left, row.pair.other or "·", *right])
    totals = [[sum(value or 0.0 for value in column) for column in zip(*side, strict=True)]
              for side in ([row.one for row in rows], [row.other for row in rows])]  # fmt: skip
    grid.append(["", "sum", *map(_nats, totals[0]), "", *map(_nats, totals[1])])
    yield from columns(grid)


def _nats(value: float | None) -> str:
    return "" if value is None else f"{value:6.2f}"


def _right(rows: list[list[str]]) -> Iterator[str]:
    """Columns of numbers, set to the right."""
    widths = [max(cell_len(row[number]) for row in rows) for number in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(" " * (width - cell_len(text)) + text for text, width in zip(row, widths, strict=True))


def alignment(pairs: "Sequence[Pair]", above: str, below: str, *, spaced: bool) -> Iterator[str]:
    """Two texts below each other, unit by unit, with the kinds of the errors; wrapped at 80 columns.

    above, below  what the two lines are called
    """
    gap = " " if spaced else ""
    head = max(cell_len(above), cell_len(below), 3) + 2
    lines = ["", "", ""]
    for pair in pairs:
        width = max(cell_len(pair.one), cell_len(pair.other), 1)
        cells = [padded(pair.one or "*" * width, width), padded(pair.other or "*" * width, width)]
        cells.append(padded(pair.kind, width))
        if cell_len(lines[0]) + width + head + len(gap) > WIDTH and lines[0]:
            yield from _named_lines(lines, (above, below, ""), head)
            lines = ["", "", ""]
        lines = [line + (gap if line else "") + cell for line, cell in zip(lines, cells, strict=True)]
    yield from _named_lines(lines, (above, below, ""), head)


def _named_lines(lines: Sequence[str], names: Sequence[str], head: int) -> Iterator[str]:
    for name, line in zip(names, lines, strict=True):
        yield (padded(name, head) + line).rstrip()
