"""HTML pages in one file: no script, style, font or picture comes from elsewhere, and every text is escaped.

What a page shows lies in it as JSON, in which no `<` is left, so that no text can end the element or begin another one;
the script puts it into the page as text, never as HTML.
"""

import base64
import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from charlm import jsonfiles
from charlm.inspecting.gates import BINS, GateUse, Insides, Lasting
from charlm.inspecting.neurons import Knowledge

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem auto; max-width: 62rem; padding: 0 1rem; color: #222; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 1.5rem; } .quiet { color: #666; }
table { border-collapse: collapse; } td, th { padding: .15rem .6rem; text-align: right; } th { font-weight: 600; }
td:first-child, th:first-child { text-align: left; }
svg { background: #f6f6f6; } svg rect { fill: #4a78b5; }
#panel { display: flex; gap: 1rem; flex-wrap: wrap; align-items: baseline; position: sticky; top: 0; background: #fff;
  padding: .4rem 0; border-bottom: 1px solid #ccc; }
#text { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 17px; line-height: 1.9; margin-top: 1rem; }
#text span { border-radius: 2px; } select { font: inherit; max-width: 30rem; }
.key { display: inline-block; width: 6rem; height: .8rem;
  background: linear-gradient(90deg, rgb(58,110,190), #fff, rgb(214,88,58)); vertical-align: middle; }
"""

SCRIPT = """
const data = JSON.parse(document.getElementById('data').textContent);
const bytes = Uint8Array.from(atob(data.seen), c => c.charCodeAt(0));
const feature = document.getElementById('feature'), unit = document.getElementById('unit');
const text = document.getElementById('text'), said = document.getElementById('said'), width = data.units.length;
const spans = data.tokens.map(token => {
  const span = document.createElement('span');
  span.textContent = token; text.append(span); return span;
});
function option(select, value, name) {
  const made = document.createElement('option');
  made.value = value; made.textContent = name; select.append(made);
}
data.features.forEach((one, number) => option(feature, number, one.name));
option(feature, -1, 'all units on this page');
function list() {
  unit.replaceChildren();
  const chosen = data.features[feature.value];
  if (chosen) chosen.units.forEach(one => option(unit, one.place, one.label));
  else data.units.forEach((name, place) => option(unit, place, name));
  said.textContent = chosen ? chosen.said : '';
  paint();
}
function paint() {
  const place = Number(unit.value), scale = data.scales[place];
  spans.forEach((span, token) => {
    const part = (bytes[token * width + place] - 128) / 127;
    const colour = part < 0 ? '58,110,190' : '214,88,58';
    span.style.background = `rgba(${colour},${Math.min(1, Math.abs(part)).toFixed(2)})`;
    span.title = (part * scale).toFixed(3);
  });
}
feature.addEventListener('change', list); unit.addEventListener('change', paint); list();
"""


def page(title: str, body: str, *, script: str = "", data: Any = None) -> str:
    """A whole HTML document; `body` is HTML, `title` and `data` are not."""
    held = ""
    if data is not None:
        told = jsonfiles.to_text(data).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
        held = f'<script type="application/json" id="data">{told}</script>\n<script>{script}</script>\n'
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{html.escape(title)}</h1>\n{body}\n{held}</body>\n</html>\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An HTML table of texts."""
    lines = ["<tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def bars(counts: Sequence[int], label: str) -> str:
    """A histogram as an SVG."""
    most, width = max(counts, default=0) or 1, 240 / max(1, len(counts))
    drawn = "".join(
        f'<rect x="{number * width:.1f}" y="{50 - 48 * count / most:.1f}" width="{width - 1:.1f}" '
        f'height="{48 * count / most:.1f}"><title>{count}</title></rect>'
        for number, count in enumerate(counts)
    )
    return f'<svg width="240" height="50" role="img" aria-label="{html.escape(label, quote=True)}">{drawn}</svg>'


def gates_page(insides: Insides, name: str) -> str:
    """What gates do, as a page."""
    parts = [f'<p class="quiet">{insides.tokens:,} tokens were read. A gate is a number from 0 to 1.</p>']
    if insides.gates:
        rows = [
            (f"{use.layer} {use.gate}", f"{use.mean:.3f}", f"{use.closed:.1%}", f"{use.open:.1%}")
            for use in insides.gates
        ]
        parts += ["<h2>Gates</h2>", table(("layer, gate", "mean", "below 0.1", "above 0.9"), rows)]
        parts += [_histogram(use) for use in insides.gates]
    for lasting in insides.lasting:
        parts += [_octaves(lasting)]
    rows_ = [(f"{one.layer} {one.vector}", f"{one.share:.1%}") for one in insides.saturation]
    parts += ["<h2>Saturation</h2>", table(("layer, vector", "beyond ±0.9"), rows_)]
    return page(f"The gates of {name}", "\n".join(parts))


def _histogram(use: GateUse) -> str:
    label = f"values of the {use.gate} gate of layer {use.layer} from 0 to 1, in {BINS} parts"
    return f"<p>{html.escape(label)}<br>{bars(use.histogram, label)}</p>"


def _octaves(lasting: Lasting) -> str:
    label = f"gates of layer {lasting.layer} by time constant: below 1 token, below 2, below 4, and so on"
    median = float(np.median(lasting.units))
    told = f"the median unit, {median:.1f} tokens" if math.isfinite(median) else "the median unit never forgets"
    return (
        f"<h2>Time constants, layer {lasting.layer}</h2>\n"
        f"<p>{html.escape(label)}: {told}<br>{bars(lasting.values, label)}</p>"
    )


def neurons_page(findings: Knowledge, name: str, *, shown: int) -> str:
    """A text coloured by one unit at a time, chosen from lists: a page.

    shown  tokens of the text that are shown, from its beginning
    """
    places = {unit: place for place, unit in enumerate(dict.fromkeys(one.unit for one in findings.best))}
    chosen = list(places)
    seen = findings.seen[:shown][:, chosen]
    scales = np.abs(seen).max(0, initial=0.0) + 1e-9
    coded = np.rint(seen / scales * 127 + 128).astype(np.uint8)
    tokens: list[str] = []
    for document in findings.tokens:
        tokens += [*document[:-1], *(f"{last}\n" if not last.endswith("\n") else last for last in document[-1:])]
    features: dict[str, dict[str, Any]] = {}
    for one in findings.best:
        label = f"{findings.units[one.unit]}: r {one.correlation:+.2f}, held out {one.score:.3f}"
        entry = features.setdefault(one.feature, {"name": one.feature, "units": [], "said": ""})
        entry["units"].append({"place": places[one.unit], "label": label})
    for each in findings.probes:
        kind = "R²" if each.kind == "r2" else each.kind
        features[each.feature]["said"] += (
            f"All of {each.layer} together: {kind} {each.score:.3f}, shuffled {each.shuffled:.3f}. "
        )
    rows = [
        (
            p.feature,
            p.layer,
            "R²" if p.kind == "r2" else p.kind,
            *(f"{n:.3f}" for n in (p.score, p.shuffled, p.baseline)),
        )
        for p in findings.probes
    ]
    body = (
        f'<p class="quiet">{len(findings.seen):,} tokens were read; '
        f"{min(shown, len(findings.seen)):,} are shown. A token is coloured by what the unit holds after it: "
        'negative <span class="key"></span> positive, of the largest value on this page.</p>\n'
        '<div id="panel"><label>goes with <select id="feature"></select></label> '
        '<label>unit <select id="unit"></select></label> <span id="said" class="quiet"></span></div>\n'
        '<div id="text"></div>\n<h2>What can be read off each layer</h2>\n'
        + table(("feature", "layer", "figure", "held out", "shuffled", "commoner class or mean"), rows)
    )
    data = {
        "tokens": tokens[:shown],
        "units": [findings.units[unit] for unit in chosen],
        "scales": [float(scale) for scale in scales],
        "seen": base64.b64encode(coded.tobytes()).decode("ascii"),
        "features": list(features.values()),
    }
    return page(f"The units of {name}", body, script=SCRIPT, data=data)
