"""A training's journal in a run directory: what the loop must not lose, written whole or not at all."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from charlm import jsonfiles, storage, tensorfiles
from charlm.families import CONFIG_FILE, WEIGHTS_FILE
from charlm.runs.layout import CHECKPOINT_FILE, HISTORY_FILE, RUN_FILE, RunConfig, history, problem
from charlm.runs.writing import name_taken, owned
from charlm.text.codec import Codec
from charlm.training.journal import Checkpoint, Measured, Weights


class RunJournal:
    """Keeps a training in its run directory. The directory comes into being with the first checkpoint.

    signal  says which signal, if any, has asked to stop
    """

    def __init__(
        self, path: Path, config: RunConfig, codec: Codec, facts: dict[str, Any], signal: Callable[[], int | None]
    ) -> None:
        self.path, self.config, self.codec, self.facts, self.signal = path, config, codec, facts, signal
        self.codec_hash = codec.fingerprint()
        self.held = ExitStack()

    def own(self) -> None:
        """Keep other processes from writing the run until `close`; raises RunError where one writes it."""
        self.held.enter_context(owned(self.path))

    def close(self) -> None:
        """Let others write the run."""
        self.held.close()

    def create(self) -> None:
        """Make the directory with everything but weights; raises RunError where it exists."""
        if storage.exists(self.path):
            raise name_taken(self.path)
        with storage.whole_folder(self.path) as folder:
            self.codec.save(folder)
            jsonfiles.write(folder / CONFIG_FILE, self.config.to_json())
            jsonfiles.write(folder / RUN_FILE, self.facts)
        self.own()  # in time: without a checkpoint nobody can go on with it

    def restore(self) -> Checkpoint | None:
        if not (self.path / CHECKPOINT_FILE).is_file():
            return None
        tensors, facts = tensorfiles.read(self.path / CHECKPOINT_FILE)
        place = facts.get("place")
        if not isinstance(place, dict) or not isinstance(place.get("step"), int):
            raise problem(self.path)(f"{self.path / CHECKPOINT_FILE} does not say where the training stood")
        self._forget_after(place["step"])
        if not (self.path / WEIGHTS_FILE).is_file():
            facts["best"] = None  # so that the next weights are kept, however good the lost ones were
        return Checkpoint(tensors, facts)

    def save(self, checkpoint: Checkpoint) -> None:
        if not self.path.is_dir():
            self.create()
        tensorfiles.write(self.path / CHECKPOINT_FILE, checkpoint.tensors, checkpoint.facts)

    def keep(self, weights: Weights, measured: Measured) -> None:
        if not self.path.is_dir():
            self.create()
        tensorfiles.write(self.path / WEIGHTS_FILE, weights, {**asdict(measured), "codec": self.codec_hash})

    def record(self, measured: Measured) -> None:
        storage.append_line(self.path / HISTORY_FILE, jsonfiles.to_text(asdict(measured)))

    def stop_signal(self) -> int | None:
        return self.signal()

    def finish(self, changes: dict[str, Any]) -> None:
        """Note how the training ended in run.json."""
        self.facts |= changes
        jsonfiles.write(self.path / RUN_FILE, self.facts)

    def _forget_after(self, step: int) -> None:
        """Leave out what the history says of steps that will be taken again, and a line cut short by a crash."""
        kept = [entry for entry in history(self.path) if entry["step"] <= step]
        if (self.path / HISTORY_FILE).is_file():
            storage.write_text(self.path / HISTORY_FILE, "".join(jsonfiles.to_text(entry) + "\n" for entry in kept))
