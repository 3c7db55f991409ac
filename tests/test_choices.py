from collections.abc import Mapping

import pytest

from charlm.choices import Choices, closest
from charlm.errors import ConfigError

CELLS = Choices("cell", {"lstm": 1, "gru": 2})


def test_a_table_is_a_mapping_in_the_order_it_was_written():
    assert isinstance(CELLS, Mapping)
    assert (CELLS["gru"], list(CELLS), len(CELLS)) == (2, ["lstm", "gru"], 2)
    assert dict(CELLS) == {"lstm": 1, "gru": 2}


def test_asking_whether_a_name_is_there_raises_nothing():
    assert "lstm" in CELLS
    assert "lsmt" not in CELLS
    assert None not in CELLS


@pytest.mark.parametrize(
    ("name", "hint"),
    [("lsmt", "did you mean lstm?"), ("transformer", "choose from lstm, gru"), ("", "choose from lstm, gru")],
)
def test_a_missing_name_is_refused_with_the_likeliest_alternative(name, hint):
    with pytest.raises(ConfigError) as caught:
        CELLS[name]
    assert str(caught.value) == f"no cell is called {name!r}"
    assert caught.value.hint == hint


def test_a_table_cannot_be_changed_from_outside():
    source = {"a": 1}
    table = Choices("letter", source)
    source["b"] = 2
    assert list(table) == ["a"]
    with pytest.raises(TypeError):
        table["b"] = 2


def test_the_closest_name_or_all_of_them():
    assert closest("hiden", ["hidden", "layers"]) == "did you mean hidden?"
    assert closest("zzz", ["hidden", "layers"]) == "choose from hidden, layers"
