"""The Typer app, and the one place where errors reach the user."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TextIO, cast

import typer
from typer.core import TyperGroup

import charlm
from charlm import storage
from charlm.cli.commands import commands
from charlm.cli.console import complain, writing_output
from charlm.errors import CharlmError


class FriendlyGroup(TyperGroup):
    """Shows a CharlmError as two lines; lets every other exception through, since that is a bug."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = cast(Any, commands())

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            with writing_output():  # a full disk behind stdout must be noticed here
                sys.stdout.flush()
            return result
        except CharlmError as error:
            complain(str(error), error.hint)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt:
            complain("stopped by Ctrl-C", "nothing was left half-written")
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # The reader of our output has left, as `head` does: not an error of ours.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None


app = typer.Typer(
    cls=FriendlyGroup,
    name="charlm",
    help="Train, measure and use recurrent language models of characters and words.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"charlm {charlm.__version__}\n")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Train, measure and use recurrent language models of characters and words."""


def main() -> None:
    """What the `charlm` command runs."""
    closed = sys.stdout is None
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        # Windows would otherwise write Chinese in its own code page, or fail to.
        if hasattr(stream, "reconfigure") and (stream.encoding or "").lower() != "utf-8":
            stream.reconfigure(encoding="utf-8", errors="replace")
    sys.stderr = cast(TextIO, Unheard(sys.stderr))
    if os.name == "posix" and hasattr(sys.stdout, "reconfigure") and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="surrogateescape")  # a file's name that is not UTF-8 leaves as it came
    if closed:
        complain("stdout is closed, so there is nowhere to write to", "give it a file: charlm … > FILE, or > /dev/null")
        raise SystemExit(1)
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except OSError as error:
        # `--help` and `--version` are answered before any command; only a write has no file's name.
        if error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise SystemExit(0) from None
        complain(f"cannot write the output: {storage.reason_of(error)}", "is the disk full?")
        raise SystemExit(1) from None


class Unheard:
    """stderr, where what cannot be written stops no work: its reader may leave, its disk may be full."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write, or be silent from now on."""
        with self._or_silence():
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Hand on what was written, or be silent from now on."""
        with self._or_silence():
            self.stream.flush()

    @contextlib.contextmanager
    def _or_silence(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())


def _open_what_is_closed() -> None:
    """Occupy the numbers of closed standard streams, which the next file to be opened would get otherwise."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 (it stays open)
