"""Who is told what a job does, and who may ask it to stop."""

from collections.abc import Callable
from dataclasses import dataclass

from charlm.text.decoding import Note, nobody
from charlm.training.journal import OnEvent


def _no_signal() -> int | None:
    """Nobody asks to stop."""
    return None


@dataclass(frozen=True)
class Watcher:
    """Who is told what happens, and who may ask to stop.

    report  events of the training
    note    single sentences about choices and findings
    signal  the signal that asks to stop, if one came
    """

    report: OnEvent = nobody
    note: Note = nobody
    signal: Callable[[], int | None] = _no_signal


UNWATCHED = Watcher()
