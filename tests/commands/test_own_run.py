"""The run of verse that charlm brings: what is used where no run is named."""

import pytest

from charlm.runs import layout

COMMANDS = {
    "sample": ("sample", "--form", "五绝", "--candidates", 2),
    "poem write": ("poem", "write", "--form", "五绝"),
    "poem fix": ("poem", "fix", "poem.txt"),
    "poem eval": ("poem", "eval", "--form", "五绝", "--count", 1, "--candidates", 1),
    "run info": ("run", "info"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_name_the_run_that_charlm_brings_is_used(charlm, counts_of_verse, monkeypatch, tmp_path, command):
    monkeypatch.setattr(layout, "OWN_RUN", counts_of_verse)
    (tmp_path / "poem.txt").write_text("白日依山尽，黄河入海流。欲穷千里目，更上一层楼。\n", "utf-8")
    ended = charlm(*COMMANDS[command], stdin="q\n")
    assert ended.code == 0, ended.err


@pytest.mark.parametrize("command", COMMANDS)
def test_where_it_was_not_installed_that_is_said(charlm, monkeypatch, tmp_path, command):
    monkeypatch.setattr(layout, "OWN_RUN", tmp_path / "gone")
    (tmp_path / "poem.txt").write_text("白日依山尽，黄河入海流。欲穷千里目，更上一层楼。\n", "utf-8")
    charlm(*COMMANDS[command]).refused("no run was named", "install charlm again")
