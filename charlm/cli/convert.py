"""`charlm nbest convert`: lists of candidates in another format."""

from pathlib import Path
from typing import Annotated

import typer

from charlm.cli.completion import completing
from charlm.cli.console import Stdout, Talk, complain, emit
from charlm.cli.options import Beam, Force, KeepGoing, PanelCommand, Quiet, References, refuse_overwriting
from charlm.config.text import TextConfig
from charlm.errors import ConfigError
from charlm.nbest import NBEST_FORMATS
from charlm.text.files import some

app = typer.Typer(
    name="nbest", help="Lists of candidates of speech recognisers.", no_args_is_help=True, rich_markup_mode=None
)

NAMES = ", ".join(NBEST_FORMATS)


@app.command("convert", cls=PanelCommand)
def convert(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="A file or folder of lists; - is stdin.")],
    from_: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="NAME",
            help=f"auto, or one of {NAMES}.",
            autocompletion=completing(["auto", *NBEST_FORMATS]),
        ),
    ] = "auto",
    to: Annotated[
        str,
        typer.Option(metavar="NAME", help="What to write, one of the same.", autocompletion=completing(NBEST_FORMATS)),
    ] = "jsonl",
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="PATH", help="File, or folder for formats of several files; - is stdout."
        ),
    ] = "-",
    references: References = None,
    beam: Beam = None,
    keep_going: KeepGoing = False,
    encoding: Annotated[str | None, typer.Option(help="Encoding of the input.")] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Write lists of candidates in another format.

    A folder is written for kaldi and espnet, and a file for each list for srilm and decipher if PATH ends in /.

    charlm nbest convert exp/nbest --to jsonl --ref data/text -o nbest.jsonl
    """
    from charlm.jobs import convert as converting
    from charlm.jobs.lists import Refusals, lists_at

    format = NBEST_FORMATS[to]
    as_folder = bool(format.files) or (format.folders and output.endswith("/"))
    if not output:
        raise ConfigError("an empty name was given for --output", hint="is a variable unset?")
    if as_folder and output == "-":
        raise ConfigError(f"{to} spans several files, and stdout is one", hint="name a folder for them with -o")
    if as_folder:
        converting.refuse_folder(Path(output))
    elif output != "-":
        refuse_overwriting(Path(output), "-o", force)
    talk = Talk(quiet)
    refusals = Refusals(keep_going, lambda error: complain(str(error), error.hint))
    found = lists_at(source, from_, TextConfig(encoding=encoding), refusals, beam=beam, note=talk.note)
    if found.format == "text":
        raise ConfigError(
            f"{source} holds lines of text, or lists in no format that is known",
            hint=f"say what they are: --from NAME, with one of {NAMES}",
        )
    left_out = converting.LeftOut(to, format)
    utterances = left_out.watching(some(found.utterances(refusals, references, talk.note), source, "lists"))
    if as_folder:
        converting.write_folder(utterances, format, Path(output))
    elif output == "-":
        format.render(utterances, Stdout())
    else:
        converting.write_file(utterances, format, Path(output))
    for sentence in left_out.sentences(as_folder=as_folder):
        talk.note(sentence)
    how = ", recognised" if found.guessed else ""
    talk.note(f"{left_out.lists:,} lists, {left_out.candidates:,} candidates: {found.format}{how} → {to}")
    refusals.finish()
    if output != "-":
        emit(output)
