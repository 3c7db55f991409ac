"""`charlm poem eval`: figures of a run's poems beside those of people."""

import json

import pytest
from rich.cells import cell_len

from .conftest import CORPORA

FEW = ("--form", "五绝", "--count", 24, "--candidates", 2)


@pytest.fixture
def human(tmp_path):
    lines = (CORPORA / "quatrains.txt").read_text("utf-8").splitlines()
    (tmp_path / "human.txt").write_text("\n".join(lines[:200]) + "\n", "utf-8")
    return sum(len(line) == 24 for line in lines[:200]), sum(len(line) != 24 for line in lines[:200])


def test_all_figures_stand_beside_those_of_people(charlm, counts_of_verse, human):
    options = (*FEW, "--against", "human.txt", "--judge", counts_of_verse, "--json")
    ended = charlm("poem", "eval", counts_of_verse, *options)
    told = json.loads(ended.out)
    taken, other = human
    assert ended.code == 0 and f"{other} poems have another shape than 五绝 and are left out" in ended.err
    form, quality = told["form_figures"], told["quality_figures"]
    assert list(form) == list(quality) == ["ours", "free", "human", "shuffled"]
    assert [form[name]["poems"] for name in form] == [24, 24, taken, taken] and told["other_shape"] == other
    assert form["ours"]["valid"] == 1.0 and form["human"]["valid"] > 0.9 > 0.2 > form["shuffled"]["valid"]
    assert quality["ours"]["quoted"] == 0.0 and quality["human"]["quoted"] > 0.9  # the run was trained on these
    assert quality["human"]["perplexity"] < quality["ours"]["perplexity"]
    assert quality["human"]["distinct_1"] > 0 and told["distinct_of_poems"] == 24
    assert {"auc", "low", "high", "poems"} == set(quality["ours"]["told_apart"]) and quality["ours"]["theme"] is None
    assert (told["form"], told["theme"], told["theme_strength"], told["rhyme"]) == ("五绝", None, 1.0, None)
    assert told["cost"]["nats"] > 0 and told["cost"]["poems"] == 24 and told["cost"]["millis"] > 0


def test_the_same_seed_gives_the_same_figures_but_for_the_time(charlm, counts_of_verse):
    first, again, other = (
        json.loads(charlm("poem", "eval", counts_of_verse, *FEW, "--json", "--seed", seed).out) for seed in (1, 1, 2)
    )
    for told in (first, again, other):
        del told["cost"]["millis"]
    assert first == again != other
    assert first["against"] is first["judge"] is None and list(first["form_figures"]) == ["ours", "free"]


def test_form_and_quality_are_two_tables(charlm, counts_of_verse, human):
    out = charlm("poem", "eval", counts_of_verse, *FEW, "--against", "human.txt").out
    assert out.splitlines()[0].startswith("24 poems of 五绝 (common), each the best of 2; seed 1")
    assert max(map(cell_len, out.splitlines())) <= 80
    form, quality = out.split("\n\n")[1:3]
    assert "keep the form" in form and "no 失粘" in form and "distinct" not in form
    assert "distinct pairs, 24 poems" in quality and "told from human poems (AUC)" in quality
    assert "perplexity" not in quality and "theme" not in quality  # nobody was asked


def test_what_cannot_be_measured_is_refused(charlm, counts_of_verse, shared_run, human):
    charlm("poem", "eval", counts_of_verse).refused("no form was given", code=2)
    charlm("poem", "eval", counts_of_verse, *FEW, "--judge", shared_run).refused("is a recurrent model", code=2)
    charlm("poem", "eval", counts_of_verse, "--form", "七律", "--against", "human.txt").refused(
        "has no poem of the shape of 七律; 200 have another"
    )
    charlm("poem", "eval", counts_of_verse, *FEW, "--against", "none.txt").refused("none.txt")
    charlm("poem", "eval", counts_of_verse, "--form", "五绝", "--rhyme", "屋").refused("cannot rhyme in 屋", code=2)
