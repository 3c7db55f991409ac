"""stdout is data, stderr is talk.

Colour and moving bars only on a terminal; NO_COLOR is obeyed (by rich); nothing here is told to the library,
which calls back instead of printing.
"""

import contextlib
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from charlm import jsonfiles, storage
from charlm.errors import StorageError

if TYPE_CHECKING:
    from charlm.training.journal import Event

MANY_DIGITS = 1e15  # from here on a number is told by its power of ten
CENTURY = 100 * 365.25 * 86400.0  # seconds
PLAIN_SECONDS = 30.0  # between progress lines where there is no terminal


def complain(message: str, hint: str) -> None:
    """An error and its remedy, as two lines on stderr. Text, not markup: `[b]` may be data."""
    console = Console(stderr=True, soft_wrap=True)
    console.print(Text.assemble(("error: ", "bold red"), message))
    console.print(Text.assemble(("hint:  ", "bold cyan"), hint))


def emit(line: str) -> None:
    """One line of data."""
    with writing_output():
        try:
            sys.stdout.write(line + "\n")
        except UnicodeEncodeError:  # half a surrogate pair: no text, yet it must be shown
            sys.stdout.write(line.encode("utf-8", "backslashreplace").decode() + "\n")


class Stdout:
    """Stdout where lists of candidates are written to one file."""

    def write(self, line: str, file: str = "") -> None:  # noqa: ARG002 (a protocol's)
        """One line of data."""
        emit(line)


@contextlib.contextmanager
def writing_output() -> Iterator[None]:
    """Turn what stdout refuses into a StorageError; an OSError from elsewhere is none of its business."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        with contextlib.suppress(OSError):  # what is still buffered must not fail again at the exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise StorageError(f"cannot write the output: {storage.reason_of(error)}", hint="is the disk full?") from error


def emit_name(output: Path) -> None:
    """Say where a file was written, but not into what may be the same pipe as the data."""
    if not storage.is_stream(output):
        emit(str(output))


def emit_json(record: Mapping[str, Any]) -> None:
    """One JSON object on one line; what is not a number is null."""
    emit(jsonfiles.to_text(record))


def table(rows: Iterable[tuple[str, str]]) -> None:
    """Names and values in two columns."""
    listed = list(rows)
    width = max((len(name) for name, _ in listed), default=0)
    for name, value in listed:
        emit(f"{name:<{width}}  {value}".rstrip())


def figure(value: float | None, places: int = 2) -> str:
    """A number for people; a dash where there is none.

    >>> figure(1234.5), figure(None), figure(math.inf), figure(1e60)
    ('1,234.50', '–', 'infinite', '1.00e+60')
    """
    if value is None or math.isnan(value):
        return "–"
    if MANY_DIGITS <= abs(value) < math.inf:
        return f"{value:.2e}"
    # Rounded first: what is next to nothing has no sign.
    return f"{round(value, places) + 0.0:,.{places}f}" if math.isfinite(value) else "infinite"


def clock(seconds: float | None) -> str:
    """A duration for people.

    >>> clock(75), clock(3700), clock(None), clock(1e308)
    ('1:15', '1:01:40', '–', '100 years or more')
    """
    if seconds is None or math.isnan(seconds):
        return "–"
    if seconds > CENTURY:
        return "100 years or more"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Talk:
    """Sentences, progress bars and training reports on stderr."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.pseudo = False  # what trainings measure: pseudo-perplexities of a cloze model
        self.console = Console(stderr=True, soft_wrap=True, highlight=False)
        self.bar: Progress | None = None
        self.told = 0.0

    def note(self, sentence: str) -> None:
        """One sentence."""
        if not self.quiet:
            self.console.print(Text(sentence))

    def counter(self, what: str, of: str = "tokens") -> "Counter":
        """A progress report of how many tokens, or other things, are done."""
        return Counter(self, what, of)

    def stage(self, what: str) -> None:
        """What is being done, on a terminal."""
        if self.bar is not None:
            self.bar.update(self.task, description=what)

    def __enter__(self) -> "Talk":
        if self.console.is_terminal and not self.quiet:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[facts]}"),
                TimeElapsedColumn(),
            )
            self.bar = Progress(*columns, console=self.console, transient=True)
            self.bar.start()
            self.task = self.bar.add_task("reading the text", total=None, facts="")
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def training(self, event: "Event") -> None:
        """Show one event of a training."""
        from charlm.training.journal import Measured, Notice
        from charlm.training.journal import Progress as Step

        if self.quiet:
            return
        if isinstance(event, Step):
            speed, left = f"{event.tokens_per_second:,.0f} tokens/s", clock(event.seconds_left)
            facts = f"loss {figure(event.loss, 3)} · {speed} · {left} left"
            what = f"epoch {event.place.epoch + 1} · step {event.place.step:,}"
            if self.bar is not None:
                self.bar.update(self.task, description=what, total=1.0, completed=event.share, facts=facts)
            elif time.monotonic() - self.told > PLAIN_SECONDS:
                self.told = time.monotonic()
                self.note(f"{event.share:4.0%} · {what} · {facts}")
        elif isinstance(event, Measured):
            self.told = time.monotonic()
            self.note(measured_line(event, pseudo=self.pseudo))
        elif isinstance(event, Notice):
            self.note(event.message)


def measured_line(event: Any, *, pseudo: bool = False) -> str:
    """One validation as a line: nats of training and validation, perplexity, bits per character.

    pseudo  of each token given all the others: no perplexity, and no bits
    """
    from charlm.scoring import perplexity_of

    parts = [f"epoch {event.epoch:.2f}", f"step {event.step:,}", clock(event.seconds)]
    if event.train_nats is not None:
        parts.append(f"train {figure(event.train_nats, 3)} nats")
    if event.valid_nats is not None:
        parts.append(f"valid {figure(event.valid_nats, 3)} nats")
        parts.append(f"{'pseudo-' * pseudo}perplexity {figure(perplexity_of(event.valid_nats))}")
        if not pseudo:
            parts.append(f"{figure(event.valid_bits_per_char, 3)} bits/char")
        parts.append("best so far" if event.is_best else "not better")
    return " · ".join(parts)


def told_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """How well a run foretells its validation text when it is told of each poem; nothing where it never is."""
    from charlm.scoring import perplexity_of

    told = facts.get("told") or {}
    if not told.get("tokens") or "nats" not in told:
        return []
    said = figure(perplexity_of(told["nats"] / told["tokens"]))
    if "nats_with_theme" in told:
        themed = figure(perplexity_of(told["nats_with_theme"] / told["tokens"]))
        said += f"; {themed} with a theme, which is of the poem's own words"
    return [("perplexity when told", said)]


class Counter:
    """Counts tokens on a terminal, silently elsewhere."""

    def __init__(self, talk: Talk, what: str, of: str) -> None:
        self.talk, self.what, self.of, self.done = talk, what, of, 0

    def __call__(self, more: int) -> None:
        self.done += more
        if self.talk.bar is not None:
            self.talk.bar.update(self.talk.task, description=self.what, facts=f"{self.done:,} {self.of}")
