"""`charlm ngram`: counts of token sequences, kept apart from any model."""

from pathlib import Path
from typing import Annotated, Any

import typer

from charlm.cli.console import Talk, emit_json, table
from charlm.cli.options import AsJson, PanelCommand, Quiet, ShardOption, page, shard_of, takes
from charlm.config.knobs import build
from charlm.config.models import NgramConfig
from charlm.config.text import TextConfig

app = typer.Typer(name="ngram", help="Count token sequences in shards.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Count token sequences in shards; `charlm train --counts DIR` adds them and learns from the sum."""


@app.command("count", cls=PanelCommand)
@takes(page(TextConfig, without="user_dict max_size coverage"), page(NgramConfig, only="order memory"))
def count(
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Text files or folders.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the counts and their vocabulary.")],
    vocab: Annotated[
        Path | None, typer.Option(help="Vocabulary made by `charlm vocab`; shards must share one.")
    ] = None,
    shard: ShardOption = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    **knobs: Any,
) -> None:
    """Count the n-grams of TEXT.

    charlm ngram count poems.txt --vocab vocab/ --shard 1/4 -o counts-1/
    """
    text = build(TextConfig, knobs, command="ngram count")
    ngram = build(NgramConfig, knobs, command="ngram count")
    from charlm.jobs.count import tally

    with Talk(quiet) as talk:
        told = tally(texts, text, ngram, output, vocab_folder=vocab, shard=shard_of(shard), note=talk.note)
    if as_json:
        emit_json(told)
        return
    rows = [("folder", told["folder"]), ("text", f"{told['documents']:,} documents, {told['tokens']:,} tokens")]
    rows += [(f"{n}-grams", f"{many:,}") for n, many in enumerate(told["ngrams"], 1)]
    table(rows)
