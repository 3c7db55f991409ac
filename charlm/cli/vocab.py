"""`charlm vocab`: which tokens a text has, and which of them a model shall know."""

from pathlib import Path
from typing import Annotated, Any

import typer

from charlm import storage
from charlm.cli.console import Talk, emit, emit_json, table
from charlm.cli.options import AsJson, Quiet, ShardOption, page, shard_of, takes
from charlm.config.knobs import build
from charlm.config.text import TextConfig
from charlm.errors import VocabError
from charlm.jobs import vocab as vocab_job
from charlm.text import census
from charlm.text.vocab import Loss, escape


@takes(page(TextConfig, without="context reverse"))
def vocab(
    texts: Annotated[
        list[str],
        typer.Argument(metavar="TEXT...", help="Text files or folders, or vocabularies of shards to be added."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for tokenizer.json and vocab.tsv.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Count what this vocabulary or run does not know of TEXT.")
    ] = None,
    shard: ShardOption = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    **knobs: Any,
) -> None:
    """Count the tokens of TEXT and make a vocabulary.

    Says what is lost, and what is odd in the text.

    charlm vocab poems.txt -o vocab/ --level char --min-count 2
    """
    config = build(TextConfig, knobs, command="vocab")
    mine = shard_of(shard)
    if output is not None:
        storage.refuse_as_folder(output, "-o")
    if output is not None and storage.exists(output):
        raise VocabError(f"{output} exists already; nothing was changed", hint="choose another folder with -o")
    with Talk(quiet) as talk:
        if against is not None:
            _show_unknown(vocab_job.unknown_of(against, texts, config, shard=mine, note=talk.note), as_json)
            return
        made = vocab_job.of_files(texts, config, shard=mine, note=talk.note)
    if output is not None:
        with storage.whole_folder(output) as folder:
            made.codec.save(folder)
    _show(made, output, as_json)


def _show(made: census.Census, output: Path | None, as_json: bool) -> None:
    loss, survey, size = made.loss, made.survey, len(made.codec.vocab)
    if as_json:
        told = {
            "folder": str(output) if output else None,
            "size": size,
            "tokens": loss.of_tokens,
            "documents": made.codec.vocab.counts[0],
            "lost_types": loss.types,
            "lost_tokens": loss.tokens,
            "lost_rate": loss.rate,
            "lost_examples": dict(loss.examples),
            "findings": survey.findings(),
        }
        if output is None:  # what is printed instead of a folder; those of shards add
            told["counts"] = dict(zip(made.codec.vocab.tokens, made.codec.vocab.counts, strict=True))
        emit_json(told)
        return
    if output is None:
        emit(made.codec.vocab.lines().rstrip("\n"))
        return
    rows = [
        ("vocabulary", f"{size:,} tokens with <EOS> and <UNK>, in {output}"),
        ("text", f"{loss.of_tokens:,} tokens"),
    ]
    if survey.documents:
        rows.append(("documents", f"{survey.documents:,}, the longest has {survey.longest:,} characters"))
    if loss.types:
        rows.append(("lost", f"{loss.types:,} rarer tokens, {loss.rate:.3%} of the text, e.g. {_examples(loss)}"))
    rows += [("odd", finding) for finding in survey.findings()]
    table(rows)


def _examples(loss: Loss) -> str:
    return " ".join(f"{escape(token)}×{n}" for token, n in loss.examples)


def _show_unknown(found: tuple[Loss, dict[str, Loss]], as_json: bool) -> None:
    whole, scripts = found
    if as_json:
        record: dict[str, Any] = {"tokens": whole.of_tokens, "unknown": whole.tokens, "unknown_rate": whole.rate}
        record["examples"] = dict(whole.examples)
        record["by_script"] = {
            name: {"tokens": part.of_tokens, "unknown": part.tokens} for name, part in scripts.items()
        }
        emit_json(record)
        return
    rows = [("unknown", f"{whole.tokens:,} of {whole.of_tokens:,} tokens, {whole.rate:.3%}; {whole.types:,} different")]
    rows += [(f"  {name}", f"{part.tokens:,} of {part.of_tokens:,}, {part.rate:.3%}") for name, part in scripts.items()]
    if whole.examples:
        rows.append(("examples", _examples(whole)))
    table(rows)
