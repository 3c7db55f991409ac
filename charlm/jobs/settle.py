"""Options, a preset and a file to every knob of a run."""

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from charlm.config.knobs import Mistakes, build
from charlm.config.models import MODELS
from charlm.config.settings import foreign, read_file, refuse_unknown, weighed
from charlm.config.text import TextConfig
from charlm.config.training import BUDGETS, PRESETS, ByPrecision, TrainingConfig, suited
from charlm.errors import ConfigError
from charlm.families import FAMILIES
from charlm.jobs.count import settle_text
from charlm.runs.layout import RunConfig

NOT_TRAINED = "charlm run mix RUN RUN --tune TEXT --run DIR"


def settle(
    texts: Iterable[str],
    valid: Iterable[str] = (),
    *,
    counts: Iterable[str] = (),
    without: Iterable[str] = (),
    more: Iterable[str] = (),
    model: str | None = None,
    preset: str | None = None,
    file: Path | None = None,
    knobs: Mapping[str, Any] | None = None,
) -> RunConfig:
    """Every knob of a run: preset < file < knobs; a budget given later replaces an earlier one of any kind.

    counts   folders of n-gram counts to learn from instead of texts
    without  folders of counts that are among those, and shall not be learned from
    more     other text of the kind, FILE or FILE:WEIGHT, read besides the texts at first
    Raises one ConfigError for all unknown names, impossible values, and knobs that are not for this model.
    """
    knobs = knobs or {}
    from_file = read_file(file) if file is not None else {}
    texts, counts = tuple(texts), tuple(counts)
    files = texts or (() if counts else tuple(from_file.get("texts", ())))
    held_out = tuple(valid) or tuple(from_file.get("valid", ()))
    folders = counts or (() if texts else tuple(from_file.get("counts", ())))
    taken = tuple(without) or tuple(from_file.get("without", ()))
    others = tuple(more) or (() if folders else tuple(from_file.get("more", ())))
    mistakes = Mistakes()
    with mistakes.noted():
        others = tuple(f"{absolute(file)}:{weight:g}" for file, weight in map(weighed, others))
    if not files and not folders:
        mistakes.add("no text was given", "charlm train poems.txt, or --resume RUN")
    if files and folders:
        mistakes.add("both a text and --counts were given", "count the text too: charlm ngram count TEXT")
    if taken and not folders:
        mistakes.add("--without takes counts away from --counts, which were not given", "give both")
    if any(budget in knobs for budget in BUDGETS):
        from_file = {name: value for name, value in from_file.items() if name not in BUDGETS}
    name = model if model is not None else from_file.get("model", "ngram" if folders else "recurrent")
    with mistakes.noted():
        refuse_unknown(knobs)
    preset_knobs: Mapping[str, Any] = {}
    if preset is not None:
        with mistakes.noted():
            preset_knobs = _of_preset(preset, _given(from_file, knobs))
    page: type | None = None
    with mistakes.noted():
        page = MODELS[name].page
        with mistakes.noted():
            _refuse_model(name, bool(folders))
        if preset_knobs and foreign(name, preset_knobs):
            owners = [other for other in MODELS if not foreign(other, preset_knobs)]
            mistakes.add(f"--preset {preset} is for --model {', '.join(owners)}, not for {name}", "leave --preset out")
        # The config.json of a run holds all pages, whatever its model had to do with them.
        asked = knobs if "format" in from_file else {**from_file, **knobs}
        for sentence in foreign(name, asked):
            mistakes.add(sentence, f"leave it out; `charlm train --help` says what a {name} model takes")
    layers = [preset_knobs, from_file, knobs]
    if folders and not mistakes.found:
        counted = settle_text(folders)
        if knobs.get("reverse") and not counted["reverse"]:
            mistakes.add(f"--reverse: {folders[0]} was counted forwards", "charlm ngram count TEXT --reverse")
        layers.append(counted)
    text: Any = None
    family: Any = None
    training: Any = None
    with mistakes.noted():
        text = build(TextConfig, *layers)
    with mistakes.noted():
        family = build(page, *layers) if page is not None else None
    with mistakes.noted():
        training = build(TrainingConfig, *layers)
    if text is not None and training is not None:
        _refuse_together(name if page is not None else None, text, training, bool(others), bool(folders), mistakes)
    mistakes.refuse()
    return RunConfig(
        texts=tuple(map(absolute, files)),
        valid=tuple(map(absolute, held_out)),
        model=name,
        text=text,
        family=family,
        training=training,
        counts=tuple(map(absolute, folders)),
        without=tuple(map(absolute, taken)),
        more=others,
    )


def _given(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for, later layers first; None is not asked for."""
    return {name: value for layer in layers for name, value in layer.items() if value is not None}


def _of_preset(name: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """The knobs of a preset, in the precision that is asked for or that the device will be found to train in.

    Several processes share the rows of a step and must agree on them, where each might find another precision: by
    `auto` they take the knobs of bf16.
    """
    knobs = PRESETS[name]
    hanging = {knob for knob, value in knobs.items() if isinstance(value, ByPrecision)}
    precision = asked.get("precision", "auto")
    if precision != "auto" or hanging <= asked.keys():
        return suited(knobs, precision)
    from charlm.training.devices import choose_device, choose_precision
    from charlm.training.ranks import started_by_torchrun

    if started_by_torchrun()[1] > 1:
        return suited(knobs, "bf16")
    return suited(knobs, choose_precision("auto", choose_device(str(asked.get("device", "auto")))))


def _refuse_together(
    name: str | None, text: TextConfig, training: TrainingConfig, more: bool, folders: bool, mistakes: Mistakes
) -> None:
    """Knobs that do not go together; without a name the model is not known, and what hangs on it is not judged."""
    model = MODELS[name] if name is not None else None
    fills = model is not None and model.kind == "cloze"
    if more and model is not None and (folders or model.learns != "gradient"):
        mistakes.add("--more is for models that learn by gradient, from a text", "give all files as TEXT")
    if more and text.carries:
        mistakes.add("--more goes with lines that are read afresh, and not with carried text", "--context line")
    if fills and text.context == "carried":
        mistakes.add(
            f"--context carried is for models that read on; a {name} model reads each line with its end",
            "leave it out, or --reading stream for a text that is one",
        )
    if fills and text.reverse:
        mistakes.add(
            f"--reverse is for models that read in one direction; a {name} model reads each line in both",
            "leave it out",
        )
    if training.partial_shuffle and not text.carries:
        mistakes.add(
            "--partial-shuffle is for carried text; lines that are read afresh are shuffled anyway", "leave it out"
        )
    # What is told of a poem is read before it, so each must begin anew; and it is read by character.
    if training.control and text.carries:
        mistakes.add("--control goes with lines that are read afresh, and not with carried text", "--context line")
    if training.control and text.level != "char":
        mistakes.add(f"--control is for verse, which is read by character, not --level {text.level}", "--level char")
    if training.control and fills:
        mistakes.add(f"--control is for models that write, and a {name} model fills blanks", "leave it out")


def _refuse_model(name: str, from_counts: bool) -> None:
    if FAMILIES[name].fit is None:
        raise ConfigError(f"a {name} is not trained but mixed", hint=NOT_TRAINED)
    if from_counts and not FAMILIES[name].takes_counts:
        able = ", ".join(other for other in FAMILIES if FAMILIES[other].takes_counts)
        raise ConfigError(f"--model {name} cannot learn from counts", hint=f"only --model {able} can; give it the text")


def absolute(name: str) -> str:
    """A file's name from anywhere, since the run may be resumed there; that of a pipe, and an empty one, as it is."""
    with contextlib.suppress(OSError):  # too long a name is refused where it is opened
        if name in ("", "-") or Path(name).is_fifo():
            return name
    return str(Path(name).resolve())
