"""`charlm ngram`: counts of token sequences, kept apart from any model."""

from pathlib import Path
from typing import Annotated

import typer

from charlm.cli.console import Talk, emit_json, table
from charlm.cli.options import AsJson, Quiet, given, knob
from charlm.cli.vocab import shard_of
from charlm.config.knobs import build
from charlm.config.models import NgramConfig
from charlm.config.text import TextConfig

app = typer.Typer(name="ngram", help="Count token sequences in shards.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Count token sequences in shards; `charlm train --counts DIR` adds them and learns from the sum."""


@app.command("count")
def count(
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Text files or folders.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the counts and their vocabulary.")],
    vocab: Annotated[
        Path | None, typer.Option(help="Vocabulary made by `charlm vocab`; shards must share one.")
    ] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="K/N", help="Count every N-th document only, from the K-th.")
    ] = None,
    order: Annotated[int | None, knob(NgramConfig, "order")] = None,
    memory: Annotated[str | None, knob(NgramConfig, "memory")] = None,
    reading: Annotated[str | None, knob(TextConfig, "reading")] = None,
    context: Annotated[str | None, knob(TextConfig, "context")] = None,
    level: Annotated[str | None, knob(TextConfig, "level")] = None,
    encoding: Annotated[str | None, knob(TextConfig, "encoding")] = None,
    field: Annotated[str | None, knob(TextConfig, "field")] = None,
    simplify: Annotated[bool | None, knob(TextConfig, "simplify", "--simplify")] = None,
    blank_lines: Annotated[bool | None, knob(TextConfig, "blank_lines", "--blank-lines")] = None,
    min_count: Annotated[int | None, knob(TextConfig, "min_count")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Count the n-grams of TEXT.

    charlm ngram count poems.txt --vocab vocab/ --shard 1/4 -o counts-1/
    """
    knobs = given(
        reading=reading,
        context=context,
        level=level,
        encoding=encoding,
        field=field,
        simplify=simplify,
        blank_lines=blank_lines,
        min_count=min_count,
    )
    text = build(TextConfig, knobs)
    ngram = build(NgramConfig, given(order=order, memory=memory))
    from charlm.jobs import count as tallying

    with Talk(quiet) as talk:
        told = tallying.tally(texts, text, ngram, output, vocab_folder=vocab, shard=shard_of(shard), note=talk.note)
    if as_json:
        emit_json(told)
        return
    rows = [("folder", told["folder"]), ("text", f"{told['documents']:,} documents, {told['tokens']:,} tokens")]
    rows += [(f"{n}-grams", f"{many:,}") for n, many in enumerate(told["ngrams"], 1)]
    table(rows)
