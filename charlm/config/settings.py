"""Settings of a whole training: which names there are, and how a file gives them.

Precedence: preset < `--config` file < option.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charlm import jsonfiles, storage
from charlm.choices import closest
from charlm.config.knobs import fields_of
from charlm.config.models import MODELS
from charlm.config.text import TextConfig
from charlm.config.training import TrainingConfig
from charlm.errors import ConfigError

FILES = {"texts", "valid", "counts", "without", "more"}  # settings that name files

ANY_MODEL = {"seed", "device"}  # of the page of training, what every model may be given

# All pages of knobs, for whoever must know whether a name is one.
PAGES: tuple[type, ...] = (TextConfig, *(about.page for about in MODELS.values()), TrainingConfig)

LARGEST_WEIGHT = 1000  # of other text: steps of it for each step of the text


def refuse_unknown(knobs: Mapping[str, Any]) -> None:
    """Raise ConfigError for names that no page of knobs has."""
    known = sorted({name for page in PAGES for name in fields_of(page)})
    unknown = [f"{name!r}: {closest(name, known)}" for name in knobs if name not in known]
    if unknown:
        raise ConfigError(f"unknown knobs: {'; '.join(unknown)}", hint="`charlm train --help` lists them")


def foreign(model: str, knobs: Mapping[str, Any]) -> list[str]:
    """A sentence for every knob that was asked for and that does not belong to a model.

    >>> foreign("unigram", {"cell": "gru", "add_k": 0.5, "seed": 2})
    ['--cell is for --model recurrent, cloze, not for unigram']
    >>> foreign("unigram", {"window": 8})
    ['--window is for models that learn by gradient, not unigram']
    """
    about, told = MODELS[model], []
    own = {*fields_of(TextConfig), *fields_of(about.page), *ANY_MODEL}
    if about.learns == "gradient":
        own |= fields_of(TrainingConfig).keys()
    for name, value in knobs.items():
        if name in own or value is None:
            continue
        flag = "--" + name.replace("_", "-")
        if name in fields_of(TrainingConfig):
            told.append(f"{flag} is for models that learn by gradient, not {model}")
            continue
        owners = [other for other, page in MODELS.items() if name in fields_of(page.page)]
        trained = [other for other in owners if MODELS[other].learns != "mixing"]
        where = [f"--model {', '.join(trained)}"] if trained else []
        where += ["`charlm run mix`"] * (len(trained) < len(owners))
        if where:
            told.append(f"{flag} is for {' and '.join(where)}, not for {model}")
    return told


def read_file(path: Path) -> dict[str, Any]:
    """Read settings from TOML, or from the config.json of a run; tables only group them.

    Every unknown name of the file is reported in one ConfigError. `-` and `_` are the same.
    """

    def problem(reason: str) -> ConfigError:
        return ConfigError(reason, hint="a configuration is TOML, one `name = value` a line, or a run's config.json")

    if path.suffix == ".json":
        content = jsonfiles.read(path, error=problem)
    else:
        text = storage.read_text(path, error=problem)
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise problem(f"{path} is not TOML: {error}") from error
    if not isinstance(content, dict):
        raise problem(f"{path} holds no table of settings")
    flat: dict[str, Any] = {}
    for name, value in content.items():
        flat.update(value if isinstance(value, dict) else {name: value})
    known = {name for page in PAGES for name in fields_of(page)} | {*FILES, "model", "format"}
    settings = {str(name).replace("-", "_"): value for name, value in flat.items()}
    unknown = [f"{name!r}: {closest(name, sorted(known))}" for name in settings if name not in known]
    if unknown:
        raise ConfigError(f"{path}: unknown settings: {'; '.join(unknown)}", hint="`charlm train --help` lists them")
    for name in settings.keys() & FILES:
        names = [settings[name]] if isinstance(settings[name], str) else settings[name]
        if not isinstance(names, list) or not all(isinstance(file, str) for file in names):
            raise problem(f"{path}: {name} = {names!r}: expected a file name or a list of them")
        settings[name] = names
    if not isinstance(settings.get("model", ""), str):
        raise problem(f"{path}: model = {settings['model']!r}: expected a name")
    return settings


def weighed(given: str) -> tuple[str, float]:
    """FILE:WEIGHT as its two parts; 1 where no weight is given. Raises ConfigError for an impossible one."""
    name, colon, number = given.rpartition(":")
    try:
        weight = float(number) if colon else 1.0
    except ValueError:  # the name has a colon of its own
        return given, 1.0
    if not 0 < weight <= LARGEST_WEIGHT:
        raise ConfigError(
            f"--more {given}: a weight must be above 0 and at most {LARGEST_WEIGHT}, not {weight:g}",
            hint="how many steps of it are read for each step of TEXT at the beginning, for example song.txt:2",
        )
    return (name if colon else given), weight
