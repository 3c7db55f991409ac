"""Runs, lists and weights, as the commands about reranking take them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from charlm import storage
from charlm.cli.completion import completing, runs_and_texts_at
from charlm.errors import ConfigError
from charlm.nbest import NBEST_FORMATS
from charlm.reranking.weighing import Formula

if TYPE_CHECKING:
    from charlm.config.training import ReadPrecision
    from charlm.jobs.rerank import Reranker
    from charlm.jobs.treatment import Treatment

RunsAndLists: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN... LISTS",
        help="Run directories, or NAME=PATH, each a score of that name; then the lists; - is stdin.",
        autocompletion=runs_and_texts_at,
    ),
]
WeightsPath: TypeAlias = Annotated[
    Path | None,
    typer.Option("--weights", metavar="FILE", help="Weights that `nbest tune` wrote; without RUN, its runs too."),
]
AllowUnknown: TypeAlias = Annotated[
    bool, typer.Option("--allow-unknown", help="Score lists that are not written in the units of the model.")
]
ListFormat: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"auto, or one of {', '.join(NBEST_FORMATS)}.",
        autocompletion=completing(["auto", *NBEST_FORMATS]),
    ),
]
NAMES_WITH_OPTIONS = ("", "am", "lm", "length")


def runs_and_lists(given: list[str]) -> tuple[list[str], str]:
    """The runs, and the lists, which stand last; raises ConfigError where a run stands in their place."""
    *runs, lists = given
    if "" in given:
        raise ConfigError(
            "an empty name was given where a run or lists are wanted", hint="is a variable unset? `.` is this folder"
        )
    if storage.is_file(Path(lists) / "run.json"):
        raise ConfigError(
            f"{lists} is a run, and lists are wanted last", hint="for example: charlm score checkpoints/zh nbest.jsonl"
        )
    return runs, lists


def weights_named(given: list[str]) -> dict[str, float]:
    """Weights given as NAME=NUMBER; raises ConfigError for what is none."""
    found = {}
    for one in given:
        name, _, number = one.rpartition("=")
        try:
            found[name] = float(number)
        except ValueError:
            name = ""
        if name in NAMES_WITH_OPTIONS:
            raise ConfigError(
                f"--weight takes NAME=NUMBER for a score of the candidates, not {one!r}",
                hint="for example --weight asr=0.5; am, lm and length have options of their own",
            )
    return found


def reranker_of(
    given: list[str],
    weights: Path | None,
    *,
    treatment: "Treatment",
    lm_weight: float = 1.0,
    am_weight: float = 1.0,
    length_weight: float = 0.0,
    more: dict[str, float] | None = None,
    unknown: str = "charged",
    device: str = "cpu",
    precision: "ReadPrecision" = "float32",
    shard: tuple[int, int] = (1, 1),
) -> "Reranker":
    """What orders lists by several runs, or by a file of weights.

    Without a file every run has its part of the weight of the language model, unless `more` names it.
    """
    from charlm.jobs.named import NamedRuns, named_runs
    from charlm.jobs.rerank import Reranker
    from charlm.jobs.weights_file import WeightsFile
    from charlm.reranking.deciding import Decision
    from charlm.reranking.syllables import SOUNDS

    paths = named_runs(given)
    if weights is not None:
        file = WeightsFile.read(weights)
        runs = NamedRuns(file.paths(paths), file.unknown, device, treatment=treatment, precision=precision)
        return Reranker.of(file, runs, shard)
    shares = {name: lm_weight / len(paths) for name in paths}
    shown = dict.fromkeys(SOUNDS, 0.0) if treatment.sound else {}
    formula = Formula.exactly({"am": am_weight, **shares, "length": length_weight, **shown, **(more or {})})
    runs = NamedRuns(paths, unknown, device, treatment=treatment, precision=precision)
    return Reranker(runs, Decision(formula), shard=shard)
