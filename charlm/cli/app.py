"""The Typer app, and the one place where errors reach the user."""

import errno
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import charlm
from charlm.cli import count as ngram
from charlm.cli import evaluate, run, sample, train, vocab
from charlm.cli import rescore as score
from charlm.cli.console import complain, writing_output
from charlm.errors import CharlmError


class FriendlyGroup(TyperGroup):
    """Shows a CharlmError as two lines; lets every other exception through, since that is a bug."""

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
        except OSError as error:
            # Help is written by the library, so that a full disk behind it is first met here. It names no file.
            if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            complain(f"cannot write the output: {error.strerror}", "is the disk full?")
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from error


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
app.command("vocab")(vocab.vocab)
app.command("train")(train.train)
app.command("eval")(evaluate.evaluate)
app.command("sample")(sample.sample)
app.command("score")(score.score)
app.add_typer(run.app, name="run")
app.add_typer(ngram.app, name="ngram")


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
    for stream in (sys.stdout, sys.stderr):
        # Windows would otherwise write Chinese in its own code page, or fail to.
        if hasattr(stream, "reconfigure") and (stream.encoding or "").lower() != "utf-8":
            stream.reconfigure(encoding="utf-8", errors="replace")
    app()
