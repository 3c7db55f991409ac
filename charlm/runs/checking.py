"""Every file of a run looked at: `charlm run check`."""

from collections.abc import Callable
from pathlib import Path

from charlm import jsonfiles, storage, tensorfiles
from charlm.composing.novelty import NOVELTY_FILE, Novelty
from charlm.errors import CharlmError
from charlm.families import CONFIG_FILE, MEMBERS_FOLDER, WEIGHTS_FILE
from charlm.runs.cloze import ClozeRun, load_any
from charlm.runs.layout import (
    CHECKPOINT_FILE,
    HISTORY_FILE,
    RUN_FILE,
    history,
    problem,
    read_config,
    read_facts,
)
from charlm.runs.run import Run
from charlm.text.codec import TOKENIZER_FILE, VOCAB_FILE, Codec
from charlm.training.standing import FACTS


def check(path: Path) -> list[tuple[str, str | None]]:
    """Look at every file of a run: (what, None if it is sound, else what is wrong). Never raises CharlmError."""
    found: list[tuple[str, str | None]] = []

    def look(what: str, how: Callable[[], object]) -> None:
        try:
            how()
            found.append((what, None))
        except CharlmError as error:
            found.append((what, str(error)))

    look(RUN_FILE, lambda: read_facts(path))
    if found[0][1] is not None:
        return found
    look(CONFIG_FILE, lambda: read_config(path))
    look(f"{TOKENIZER_FILE}, {VOCAB_FILE}", lambda: Codec.load(path))
    look(f"{WEIGHTS_FILE} and all together", lambda: look_inside(load_any(path)))
    if (path / MEMBERS_FOLDER).is_dir():
        look(f"{MEMBERS_FOLDER}, whole and as they were", lambda: _look_at_members(path))
    if (path / CHECKPOINT_FILE).is_file():
        look(str(CHECKPOINT_FILE), lambda: _look_at_checkpoint(path))
    if (path / NOVELTY_FILE).is_file():
        look(NOVELTY_FILE, lambda: Novelty.load(path / NOVELTY_FILE))
    look(HISTORY_FILE, lambda: history(path))
    return found


def look_inside(run: Run | ClozeRun) -> None:
    """What loading does not look at, since it would have to read everything."""
    thorough = getattr(run.model, "check", None)
    wrong = thorough() if thorough is not None else None
    if wrong is not None:
        raise problem(run.path)(f"{run.path / WEIGHTS_FILE}: {wrong}")


def _look_at_checkpoint(path: Path) -> None:
    _, facts = tensorfiles.read(path / CHECKPOINT_FILE)
    if wrong := jsonfiles.misfit(FACTS, facts):
        raise problem(path)(f"{path / CHECKPOINT_FILE}: {wrong}")


def _look_at_members(path: Path) -> None:
    told = read_facts(path).get("members")
    if told is None:
        raise problem(path)(f"{path / RUN_FILE} does not say what its members were")
    for name, digests in ((member["name"], member["hashes"]) for member in told):
        folder = path / MEMBERS_FOLDER / name
        changed = [file for file, digest in digests.items() if _hash(folder / file) != digest]
        if changed:
            raise problem(path)(f"{folder}: {', '.join(changed)} is not what was mixed")
        look_inside(load_any(folder))
        if (folder / MEMBERS_FOLDER).is_dir():
            _look_at_members(folder)


def _hash(path: Path) -> str | None:
    return storage.sha256_of(path) if path.is_file() else None
