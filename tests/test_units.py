"""What units know: features of tokens, probes, and the pages that show them."""

import base64
import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from small import recurrent
from tiny_models import TINY

from charlm.errors import RunError, TextError
from charlm.inspecting import gates, neurons
from charlm.inspecting.features import Feature, features
from charlm.inspecting.pages import bars, gates_page, neurons_page, table
from charlm.inspecting.probes import probe, unit_probes
from charlm.poems.sounds import rhyme_book
from charlm.text.vocab import EOS

LINES = ["a(b)c,d.", 'e"fg"h.']


def told(documents, book=None) -> dict[str, list[float]]:
    many = [*documents] * 20
    length = sum(map(len, documents))
    return {one.name: one.values[:length].tolist() for one in features([list(text) for text in many], book)}


def test_places_in_lines_and_between_marks_are_counted_from_both_sides():
    found = told(LINES)
    assert found["position"] == [0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6]
    assert found["left"] == [8, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1]  # the line end that follows is a token too
    assert found["in clause"] == [0, 1, 2, 3, 4, 5, 0, 1, 0, 1, 2, 3, 4, 5, 6]
    assert found["to mark"] == [5, 4, 3, 2, 1, 0, 1, 0, 6, 5, 4, 3, 2, 1, 0]


def test_brackets_and_quotes_hold_what_is_inside_of_them():
    found = told(LINES)
    assert found["in brackets"] == [0, 1, 1, 0, 0, 0, 0, 0] + [0] * 7
    assert found["in quotes"] == [0] * 8 + [0, 1, 1, 1, 0, 0, 0]
    assert "in quotes" not in told(["abc."])
    assert told(["“甲《乙》”。", "（丙」）"])["in brackets"] == [0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0]


def test_lines_of_a_stream_end_with_their_line_ends():
    found = told(["ab\nc\n"])
    assert found["position"][:5] == [0, 1, 2, 0, 1] and found["left"][:5] == [2, 1, 0, 1, 0]


def test_tones_are_those_of_the_rhyme_book_where_it_knows_but_one():
    """春 is level, 月 oblique, 中 both; a mark has none."""
    values = told(["春月中。"], rhyme_book("pingshui"))["level tone"]
    assert values[:2] == [1, 0] and math.isnan(values[2]) and math.isnan(values[3])
    assert "level tone" not in told(LINES, rhyme_book("pingshui"))


def a_text(count: int = 2000, units: int = 6):
    draw = np.random.default_rng(2)
    return draw.normal(size=(count, units)).astype(np.float32), np.arange(count) % 2 == 0, draw


def test_a_probe_finds_a_weighted_sum_and_its_shuffled_twin_does_not():
    units, learns, draw = a_text()
    values = units @ np.array([2, -1, 0, 0, 0, 0.0]) + 1 + 0.5 * draw.normal(size=len(units))
    found = probe(units, Feature("x", values, False), learns, "1 hidden", seed=1)
    assert found.score == pytest.approx(5 / 5.25, abs=0.01) and abs(found.shuffled) < 0.02 and found.baseline == 0
    classes = Feature("x", (values > 2).astype(float), True)
    found = probe(units, classes, learns, "1 hidden", seed=1)
    assert found.score > 0.85 and abs(found.shuffled - found.baseline) < 0.03 and found.kind == "accuracy"


def test_a_probe_knows_nothing_of_what_was_held_out():
    units, learns, draw = a_text(60, 25)
    noise = Feature("x", draw.normal(size=60), False)
    assert probe(units, noise, learns, "1 hidden", seed=1).score < 0


def test_units_are_sorted_by_correlation_and_scored_alone_without_what_has_no_value():
    units, learns, _ = a_text()
    values = (-3 * units[:, 4] + units[:, 1]).astype(float)
    values[::7] = math.nan
    first, second, *others = unit_probes(units, Feature("x", values, False), learns, 4)
    assert (first.unit, second.unit, len(others)) == (4, 1, 2)
    assert first.correlation == pytest.approx(-3 / math.sqrt(10), abs=0.02)
    assert first.score == pytest.approx(0.9, abs=0.02) and second.score == pytest.approx(0.1, abs=0.03)


def texts(count: int = 40, length: int = 11):
    draw = torch.Generator().manual_seed(1)
    rows = [[EOS, *torch.randint(2, 7, (length,), generator=draw).tolist(), EOS] for _ in range(count)]
    return rows, [[*("ab,()"[token - 2] for token in row[1:-1]), "\n"] for row in rows]


def test_activations_are_those_after_each_token():
    model, (rows, tokens) = recurrent(9, cell="lstm"), texts()
    found = neurons.look(model, rows, tokens, "x", book=None, most=3, seed=1)
    assert len(found.units) == found.seen.shape[1] == 2 * 2 * 5 and len(found.seen) == 40 * 11
    with torch.no_grad():
        traced = model.trace(torch.tensor([rows[7][:-1]]), model.initial_state(1))
    own = found.seen[77:88]
    hidden = found.units.index("2 hidden 0")
    np.testing.assert_allclose(own[:, hidden : hidden + 5], traced["hidden"][0, 1:, 1].numpy(), rtol=1e-5)
    memory = found.units.index("1 memory 0")
    np.testing.assert_allclose(own[:, memory : memory + 5], traced["memory"][0, 1:, 0].tanh().numpy(), rtol=1e-5)
    assert {one.feature for one in found.best} == {one.feature for one in found.probes} >= {"position", "in brackets"}
    assert json.loads(json.dumps(found.to_json()))["tokens"] == 440


def test_networks_without_cells_have_units_and_counts_have_none():
    rows, tokens = texts()
    for name in ("window", "jordan", "narx"):
        assert neurons.look(TINY[name](9), rows, tokens, "x", book=None, most=2, seed=1).units[0] == "1 hidden 0"
    with pytest.raises(RunError, match="x has no units"):
        neurons.look(TINY["ngram"](9), rows, tokens, "x", book=None, most=2, seed=1)
    with pytest.raises(TextError, match="has 22 tokens"):
        neurons.look(TINY["window"](9), rows[:2], tokens[:2], "x", book=None, most=2, seed=1)


# ── pages ───────────────────────────────────────────────────────────────────────────────────────


class Seen(HTMLParser):
    """Elements, and the text of each script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.scripts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.elements and self.elements[-1][0] == "script":
            self.scripts += [data] * bool(data.strip())


HOSTILE = ["</script>", "<img src=x onerror=alert(1)>", "&amp;", '"', "\u2028", "春"]


def stands_alone(page: str) -> Seen:
    """A page that asks for nothing from elsewhere, and in which no text became an element."""
    seen = Seen(page)
    assert not [e for e in seen.elements if e[0] in ("link", "img", "iframe", "base", "object", "embed")]
    assert not [e for e in seen.elements if {"src", "href", "onerror", "onload"} & set(e[1])]
    assert not re.search(r"https?:|@import|url\(", page)
    return seen


def test_a_page_of_units_stands_alone_and_its_text_stays_text():
    rows, _ = texts()
    tokens = [[HOSTILE[t - 2] for t in row[1:-1]] + ["\n"] for row in rows]
    found = neurons.look(recurrent(9), rows, tokens, "x", book=None, most=3, seed=1)
    page = neurons_page(found, "<b>runs/x</b>", shown=100)
    seen = stands_alone(page)
    assert "<b>" not in page and len(seen.scripts) == 2
    data = json.loads(seen.scripts[0])
    shown = [token for document in found.tokens for token in [*document[:-1], document[-1] + "\n"]][:100]
    assert data["tokens"] == shown and "</script>" in shown
    codes = np.frombuffer(base64.b64decode(data["seen"]), np.uint8).reshape(100, len(data["units"]))
    back = (codes.astype(float) - 128) / 127 * np.array(data["scales"])
    chosen = [found.units.index(unit) for unit in data["units"]]
    np.testing.assert_allclose(back, found.seen[:100][:, chosen], atol=max(data["scales"]) / 127)
    assert [feature["name"] for feature in data["features"]] == list(dict.fromkeys(p.feature for p in found.probes))


def test_a_page_of_gates_stands_alone():
    insides = gates.look(recurrent(9, cell="lstm"), texts()[0], "x")
    page = gates_page(insides, "<i>x</i>")
    seen = stands_alone(page)
    assert "<i>" not in page and page.count("<svg") == 2 * 3 + 2
    assert sum(tag == "rect" for tag, _ in seen.elements) == 6 * 20 + 2 * 11
    assert "<svg" not in gates_page(gates.look(recurrent(9, cell="rnn-tanh"), texts()[0], "x"), "x")


def test_tables_and_bars_escape_what_they_are_given():
    assert "&lt;x&gt;" in table(["<x>"], [["<x>"]]) and "<x>" not in table(["<x>"], [["<x>"]])
    assert 'aria-label="&quot;"' in bars([0, 0], '"')
