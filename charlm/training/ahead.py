"""Batches made beside the training, and already on its device when it asks for them.

A GPU reads a window in the time in which a processor makes the next one. So a thread makes them ahead, in memory that
the device may copy from while it computes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Event, Thread

import torch

from charlm.training.batches import Batch
from charlm.training.feeding import Steps

DEPTH = 4  # batches that wait
PATIENCE = 0.1  # seconds between two looks at whether anybody still wants batches


@dataclass(frozen=True)
class Ahead:
    """The same steps as `source`, on a device."""

    source: Steps
    device: torch.device

    def batches(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """The steps of one epoch, the first `skip` left out. What goes wrong in making them is raised here."""
        made: Queue[Batch | BaseException | None] = Queue(DEPTH)
        unwanted = Event()

        def offer(thing: Batch | BaseException | None) -> None:
            while not unwanted.is_set():
                try:
                    return made.put(thing, timeout=PATIENCE)
                except Full:
                    continue

        def make() -> None:
            try:
                for batch in self.source.batches(epoch, skip):
                    offer(batch.on(self.device))
                    if unwanted.is_set():
                        return
                offer(None)
            except BaseException as error:
                offer(error)

        thread = Thread(target=make, name="batches", daemon=True)
        thread.start()
        try:
            while (thing := made.get()) is not None:
                if isinstance(thing, BaseException):
                    raise thing
                yield thing
        finally:
            unwanted.set()
            while not made.empty():
                try:
                    made.get_nowait()
                except Empty:
                    break
            thread.join()
