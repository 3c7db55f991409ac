"""Whole commands, run in this process in an empty folder: exit code, stdout, stderr, files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from charlm.cli.app import app

CORPORA = Path(__file__).resolve().parent.parent.parent / "corpora"
TINY = ("--hidden", "16", "--embedding", "8", "--layers", "1", "--batch-size", "4", "--window", "16", "--quiet")


@dataclass
class Ended:
    code: int
    out: str
    err: str

    def refused(self, *words: str, code: int = 1) -> None:
        """The error names the words, gives a hint, shows no traceback, and puts nothing on stdout."""
        said = " ".join(self.err.split())
        assert self.code == code, self.err
        assert "error: " in said and "hint: " in said and "Traceback" not in said
        assert self.out == ""
        for word in words:
            assert word in said, said


Charlm = Callable[..., Ended]


@pytest.fixture
def charlm(tmp_path, monkeypatch) -> Charlm:
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: object, stdin: str | bytes | None = None) -> Ended:
        result = CliRunner().invoke(app, [str(a) for a in arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def shared_run(tmp_path_factory) -> Path:
    """A small trained run that tests only read."""
    folder = tmp_path_factory.mktemp("shared")
    arguments = ["train", CORPORA / "everyday.zh.txt", *TINY, "--epochs", "1", "--run", folder / "run"]
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.stderr
    return folder / "run"


@pytest.fixture(scope="session")
def english_run(tmp_path_factory) -> Path:
    """Counts of English text, which know no Chinese."""
    run = tmp_path_factory.mktemp("english") / "run"
    arguments = ["train", CORPORA / "village.en.txt", "--model", "ngram", "--order", "2", "--run", run]
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.stderr
    return run


@pytest.fixture(scope="session")
def counts_of_verse(tmp_path_factory) -> Path:
    """Counts of our own quatrains, which write verse."""
    run = tmp_path_factory.mktemp("verse") / "run"
    arguments = ["train", CORPORA / "quatrains.txt", "--model", "ngram", "--order", "3", "--quiet", "--run", run]
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.stderr
    return run


@pytest.fixture
def run_dir(shared_run, tmp_path) -> Path:
    """A copy of that run, to be damaged."""
    import shutil

    return Path(shutil.copytree(shared_run, tmp_path / "run"))
