"""`charlm embed`: word vectors, learned from a text, asked, drawn, and taken out of networks."""

import math
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from charlm.cli.console import Talk, clock, emit, emit_json, emit_name, figure, table
from charlm.cli.options import AsJson, Force, PanelCommand, Quiet, RunPath, page, refuse_overwriting, takes
from charlm.config.embedding import EmbeddingConfig
from charlm.config.knobs import build
from charlm.config.text import TextConfig
from charlm.text.vocab import escape

app = typer.Typer(name="embed", help="Word vectors.", no_args_is_help=True, rich_markup_mode=None)
OWN = "level min_count"  # knobs of a text whose defaults are others here

VectorsPath: TypeAlias = Annotated[
    Path,
    typer.Argument(metavar="VECTORS", help="Word vectors in word2vec's text format, or .bin; or a run of a network."),
]
Output: TypeAlias = Annotated[
    Path, typer.Option("--output", "-o", help="File to write, in word2vec's text format, or in binary: NAME.bin.")
]
Count: TypeAlias = Annotated[int, typer.Option("--count", "-n", min=1, help="Words that are shown.")]


@app.callback()
def group() -> None:
    """Word vectors: learn them from a text, ask for neighbours and analogies, draw them, take them out of networks."""


@app.command("train", cls=PanelCommand)
@takes(page(EmbeddingConfig), page(TextConfig, without=f"context reverse {OWN}"))
def train(
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Text files or folders.")],
    output: Output,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    **knobs: Any,
) -> None:
    """Learn vectors of the words of TEXT by skip-gram.

    Ctrl-C stops without writing anything.

    charlm embed train zh.txt -o vectors.txt --minutes 5
    """
    from charlm.cli.train import Signals
    from charlm.jobs import embed

    config = build(EmbeddingConfig, knobs, command="embed train")
    own = {"level": config.level, "min_count": config.min_count}
    text = build(TextConfig, knobs, own, command="embed train")
    refuse_overwriting(output, "-o", force)
    from charlm.jobs.watching import Watcher

    with Signals() as signals, Talk(quiet) as talk:
        made = embed.train(texts, text, config, Watcher(report=talk.training, note=talk.note, signal=signals))
    embed.write(made.vectors, output)
    speed = made.words_read / made.seconds if made.seconds else math.nan
    if as_json:
        told = {"vectors": str(output), "words": len(made.vectors), "size": made.vectors.size}
        took = {"words_read": made.words_read, "seconds": made.seconds, "words_per_second": speed, "loss": made.loss}
        emit_json({**told, **took, "threads": made.threads, "method": made.method, "seed": config.seed})
        return
    threads = "1 thread" if made.threads == 1 else f"{made.threads} threads"
    table(
        [
            ("vectors", f"{len(made.vectors):,} of {made.vectors.size} numbers, in {output}"),
            ("time", f"{clock(made.seconds)}, {speed:,.0f} words/s; {made.method}, {threads}"),
            ("loss", f"{figure(made.loss, 3)} nats for each neighbour at the end"),
        ]
    )


@app.command("near", cls=PanelCommand)
def near(
    vectors: VectorsPath,
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help="A word; of several, what is near them all.")],
    count: Count = 10,
    as_json: AsJson = False,
) -> None:
    """Show the words nearest to WORD, by cosine.

    charlm embed near vectors.txt 老师
    """
    from charlm.embedding import neighbours
    from charlm.jobs import embed

    _show_ranked(neighbours.nearest(embed.read(vectors), words, count), as_json)


@app.command("analogy", cls=PanelCommand)
def analogy(
    vectors: VectorsPath,
    first: Annotated[str, typer.Argument(metavar="A", help="A is to B …")],
    second: Annotated[str, typer.Argument(metavar="B", help="… what is its own …")],
    third: Annotated[str, typer.Argument(metavar="C", help="… as C is to the words that are shown.")],
    count: Count = 10,
    as_json: AsJson = False,
) -> None:
    """Show what is to C as B is to A: the words nearest to B - A + C.

    charlm embed analogy vectors.txt 北京 中国 东京
    """
    from charlm.embedding import neighbours
    from charlm.jobs import embed

    _show_ranked(neighbours.analogy(embed.read(vectors), first, second, third, count), as_json)


def _show_ranked(found: list[tuple[str, float]], as_json: bool) -> None:
    for word, cosine in found:
        if as_json:
            emit_json({"word": word, "cosine": cosine})
        else:
            emit(f"{figure(cosine, 4)}  {escape(word)}")


@app.command("map", cls=PanelCommand)
def map_(
    vectors: VectorsPath,
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help="Two words or more.")],
    plot: Annotated[Path | None, typer.Option(metavar="PNG", help="Draw them (needs charlm[plot]).")] = None,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Lay words out in two dimensions, by principal components.

    charlm embed map vectors.txt 北京 中国 东京 日本 --plot capitals.png
    """
    from charlm.jobs import embed

    if plot is not None:
        refuse_overwriting(plot, "--plot", force)
    points, share, remark = embed.draw(embed.read(vectors), words, plot)
    talk = Talk(quiet)
    talk.note(f"two dimensions show {share:.0%} of the variance")
    if remark is not None:
        talk.note(remark)
    for point in points:
        if as_json:
            emit_json(point)
        else:
            emit(f"{point['x']:8.4f} {point['y']:8.4f}  {escape(point['word'])}")
    if plot is not None and not as_json:
        emit_name(plot)


@app.command("export", cls=PanelCommand)
def export(
    run: RunPath,
    output: Output,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Write the vectors by which the network of RUN reads its tokens.

    charlm embed export checkpoints/tang -o vectors.txt
    """
    from charlm.jobs import embed

    refuse_overwriting(output, "-o", force)
    vectors = embed.of_run(run)
    embed.write(vectors, output)
    Talk(quiet).note(f"wrote {len(vectors):,} vectors of {vectors.size} numbers; gensim and word2vec read them")
    emit_name(output)
