"""A report as one page: no files but itself, pictures drawn in it, every text escaped."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from charlm.cli.report import facts, rows_of

if TYPE_CHECKING:
    from charlm.jobs.explain import Explained
    from charlm.jobs.report import RerankingReport
    from charlm.reranking.comparing import Pair, Row

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.15rem .8rem;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child{text-align:left}.S{background:#ffe08a}.D{background:#ffb3b3}.I{background:#b3d9ff}
.unit{display:inline-block;text-align:center;padding:0 .15em;margin:0 1px}.unit i{display:block;font-style:normal}
svg{max-width:100%;height:auto}details{margin:.6rem 0;border-left:3px solid #ccc;padding-left:.8rem}
.note{color:#a00}code{background:#f3f3f3;padding:0 .2em}
"""
WIDE, HIGH = 640, 240
BAR = 26


def page(made: "RerankingReport") -> str:
    """The whole page."""
    figures = made.figures
    body = "\n".join([
        f"<h1>Reranking {escape(made.source)}</h1>",
        f"<p>{figures.lists:,} lists, {escape(figures.metric.upper())} of {figures.first.reference_units:,} units. "
        f"Ordered by <code>{escape(str(made.decision))}</code></p>",
        *(f'<p class="note">{escape(warning)}</p>' for warning in made.warnings),
        "<h2>Errors</h2>", _bars(made),
        _table(("", "rate", "95 %", "errors", "sub", "del", "ins"), rows_of(made)),
        _table(("", ""), facts(made)),
        "<h2>Posteriors</h2>", _calibration(made),
        "<h2>Confusions</h2>",
        _table(("said", "heard", "first", "reranked"), [
            (said or "·", heard or "·", f"{before:,}", f"{after:,}")
            for said, heard, before, after in figures.confusions
        ]),
        "<h2>Lists that gained most</h2>", *map(_list, made.gained),
        "<h2>Lists that lost most</h2>", *map(_list, made.lost),
    ])  # fmt: skip
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>Reranking {escape(made.source)}</title><style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    titles = "".join(f"<th>{escape(one)}</th>" for one in head)
    lines = "\n".join("<tr>" + "".join(f"<td>{escape(one)}</td>" for one in row) + "</tr>" for row in rows)
    return f"<table><tr>{titles}</tr>\n{lines}</table>"


def _bars(made: "RerankingReport") -> str:
    """Error rates as bars, with the intervals of the first and of the chosen."""
    figures = made.figures
    said = figures.first.reference_units
    if not said:
        return ""
    rows: list[tuple[str, float, tuple[float, float] | None]] = []
    bounds = {"first": figures.first_interval, "reranked": figures.reranked_interval}
    for row in rows_of(made):
        known = bounds.get(row[0])
        rows.append((row[0], int(row[3].replace(",", "")) / said, (known.low, known.high) if known else None))
    most = max([rate for _, rate, _ in rows] + [high for _, _, span in rows if span for high in span[1:]]) or 1.0
    room = WIDE - 240
    parts = []
    for number, (name, rate, span) in enumerate(rows):
        top = number * BAR + 4
        width = rate / most * room
        parts.append(f'<text x="150" y="{top + 14}" text-anchor="end">{escape(name)}</text>')
        colour = "#4477aa" if name in bounds else "#aabbcc"
        parts.append(f'<rect x="160" y="{top}" width="{width:.1f}" height="{BAR - 8}" fill="{colour}"/>')
        if span:
            low, high = (160 + one / most * room for one in span)
            parts.append(f'<path d="M{low:.1f} {top + 9}H{high:.1f}" stroke="#222" stroke-width="2"/>')
        right = 166 + (max(rate, span[1]) if span else rate) / most * room
        parts.append(f'<text x="{right:.1f}" y="{top + 14}">{rate:.2%}</text>')
    return _svg(WIDE, len(rows) * BAR + 8, parts, "Error rates")


def _calibration(made: "RerankingReport") -> str:
    """Posteriors against how often no candidate was better; the diagonal is honest."""
    bins = made.figures.bins
    if not bins:
        return "<p>There are none.</p>"
    side = HIGH - 40
    parts = [f'<path d="M40 {side + 10}L{40 + side} 10" stroke="#999" stroke-dasharray="4"/>']
    parts.append(f'<path d="M40 10V{side + 10}H{40 + side}" fill="none" stroke="#222"/>')
    most = max(one.lists for one in bins)
    for one in bins:
        x, y = 40 + one.mean * side, 10 + (1 - one.share) * side
        size = 3 + 7 * (one.lists / most) ** 0.5
        title = f"{one.lists:,} lists: posterior {one.mean:.1%}, none better {one.share:.1%}"
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}" fill="#4477aa" fill-opacity=".7">'
            f"<title>{escape(title)}</title></circle>"
        )
    parts.append(f'<text x="{40 + side / 2}" y="{HIGH - 4}" text-anchor="middle">posterior</text>')
    parts.append(f'<text x="{50 + side}" y="24">share of lists in which no candidate is better</text>')
    return _svg(WIDE, HIGH, parts, "Calibration")


def _svg(width: int, height: int, parts: Sequence[str], title: str) -> str:
    inner = "\n".join(parts)
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" font-size="13" '
        f'font-family="system-ui,sans-serif"><title>{escape(title)}</title>\n{inner}\n</svg>'
    )


def _list(told: "Explained") -> str:
    """One list, folded in: alignments of the first and the chosen candidate, and the surprise of each token."""
    chosen, other = told.compared
    places = {item.position: number for number, item in enumerate(told.ranked.weighed)}
    before, after = told.errors[places[0]], told.errors[places[chosen]]
    parts = [f"<summary>{escape(str(told.utterance.id))}: {before} → {after} errors</summary>"]
    for name, position in (("first", 0), ("chosen", chosen)):
        parts.append(f"<p>{name}<br>{_alignment(told.alignments[places[position]])}</p>")
    parts += _surprises(told, chosen, other)
    if told.differs:
        parts.append(f"<p>Models differ first at {escape(told.differs)}</p>")
    return f"<details>{''.join(parts)}</details>"


def _alignment(pairs: "Sequence[Pair]") -> str:
    return "".join(
        f'<span class="unit {pair.kind}"><i>{escape(pair.one) or "·"}</i><i>{escape(pair.other) or "·"}</i></span>'
        for pair in pairs
    )


def _surprises(told: "Explained", chosen: int, other: int) -> Iterator[str]:
    from charlm.reranking.comparing import side_by_side

    ones = {name: read[chosen] for name, read in told.readings.items()}
    others = {name: read[other] for name, read in told.readings.items()}
    for names, rows in side_by_side(ones, others):
        head = "".join(f"<th>{escape(name)}</th>" for name in names)
        lines = "".join(_row(row) for row in rows)
        yield f"<table><tr><th>chosen</th>{head}<th>first</th>{head}</tr>{lines}</table>"


def _row(row: "Row") -> str:
    def side(token: str, values: Sequence[float | None]) -> str:
        cells = "".join(f"<td>{'' if value is None else f'{value:.2f}'}</td>" for value in values)
        return f"<td>{escape(token) or '·'}</td>{cells}"

    return f'<tr class="{row.pair.kind}">{side(row.pair.one, row.one)}{side(row.pair.other, row.other)}</tr>'
