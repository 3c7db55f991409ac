"""A run to a small copy of it that can be handed on: `charlm run pack`."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charlm import jsonfiles, storage, tensorfiles
from charlm.config.networks import Stored
from charlm.families import CONFIG_FILE, FAMILIES, MEMBERS_FOLDER, WEIGHTS_FILE
from charlm.families.rounding import restored
from charlm.runs.cloze import load_any
from charlm.runs.layout import RUN_FILE, hashes, problem, read_config, read_facts
from charlm.runs.writing import copy_run, name_taken, refuse_name
from charlm.text.decoding import Note

FOLDERS = re.compile(r"[^\s=:'\"]*[/\\](?=[^/\\\s])")  # before the name of a file, in a command too


@dataclass(frozen=True)
class Packed:
    """What became of a run.

    before, after  bytes on the disk
    weights        how they are kept; None where the model is no network, whose numbers stay as they are
    """

    before: int
    after: int
    weights: Stored | None


def pack(path: Path, output: Path, weights: Stored, note: Note) -> Packed:
    """Copy a run without what only its training needs, with weights in fewer bits, and no word of where texts stood.

    Raises RunError where it is damaged or `output` exists, StorageError where the disk refuses.
    """
    refuse_name(output)
    storage.refuse_as_folder(output, "--run")
    if storage.exists(output):
        raise name_taken(output)
    load_any(path)
    with storage.whole_folder(output) as folder:
        copy_run(path, folder)
        kept = _pack_inside(folder, weights)
        load_any(folder)
        if kept is None and weights != "float32":
            note(f"{path} holds no network: only weights of networks are rounded; n-grams have train --quantize")
        return Packed(_size_of(path), _size_of(folder), kept)


def _pack_inside(folder: Path, weights: Stored) -> Stored | None:
    """Round the weights of a copied run and of its members; None where there was nothing to be rounded."""
    kept = None
    facts = _bare(read_facts(folder))
    for member in facts.get("members", []):
        inside = folder / MEMBERS_FOLDER / member["name"]
        kept = _pack_inside(inside, weights) or kept
        member["hashes"] = hashes(inside)
    jsonfiles.write(folder / CONFIG_FILE, _bare(jsonfiles.read(folder / CONFIG_FILE, error=problem(folder))))
    rounding = FAMILIES[read_config(folder).model].rounded
    if rounding is not None:
        tensors, figures = tensorfiles.read(folder / WEIGHTS_FILE)
        whole = restored(tensors, folder / WEIGHTS_FILE)
        tensorfiles.write(folder / WEIGHTS_FILE, rounding(whole, weights), figures)
        facts["weights"] = kept = weights
    jsonfiles.write(folder / RUN_FILE, facts)
    return kept


def _bare(told: Any) -> Any:
    """What is told, with the names of files and without those of the folders that they stood in.

    >>> _bare({"command": "charlm train /home/me/a.txt --more ../b.txt:2 --run runs/a", "texts": ["/home/me/a.txt"]})
    {'command': 'charlm train a.txt --more b.txt:2 --run a', 'texts': ['a.txt']}
    """
    if isinstance(told, dict):
        return {key: _bare(value) for key, value in told.items()}
    if isinstance(told, list):
        return [_bare(value) for value in told]
    return FOLDERS.sub("", told) if isinstance(told, str) else told


def _size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
