"""CHOICE: families of models, one file each: how it is made, trained, kept and tried. Loaded by name.

Nothing outside this room asks what type a model has; what a family cannot do is a part that it lacks. There are two
kinds, and whoever uses a model asks for one: `causal_family` for a language model, `cloze_family` for what is missing.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from charlm.choices import Loaded
from charlm.config.models import MODELS
from charlm.errors import ConfigError
from charlm.families.base import CONFIG_FILE, MEMBERS_FOLDER, WEIGHTS_FILE, Family, Job
from charlm.models.base import LanguageModel
from charlm.models.cloze import ClozeModel

__all__ = [
    "CONFIG_FILE",
    "FAMILIES",
    "MEMBERS_FOLDER",
    "WEIGHTS_FILE",
    "Family",
    "Job",
    "causal_family",
    "cloze_family",
]


def _family(name: str) -> Family[Any]:
    family: Family[Any] = import_module(MODELS[name].home).FAMILY
    return family


# The families of MODELS, each imported when it is asked for; ConfigError for a name that is not there.
FAMILIES: Mapping[str, Family[Any]] = Loaded(MODELS, _family)


def causal_family(name: str) -> Family[LanguageModel]:
    """A family of language models; ConfigError for one of the other kind."""
    if MODELS[name].kind != "causal":
        raise ConfigError(
            f"--model {name} fills blanks: it knows both sides of a word, and so foretells none",
            hint="charlm fill RUN TEXT, with __ where a word is missing",
        )
    return FAMILIES[name]


def cloze_family(name: str) -> Family[ClozeModel]:
    """A family of models that say what is missing; ConfigError for one of the other kind."""
    if MODELS[name].kind != "cloze":
        able = ", ".join(other for other in MODELS if MODELS[other].kind == "cloze")
        raise ConfigError(
            f"--model {name} reads from one side alone, so it has no judgement of both",
            hint=f"train one of --model {able}",
        )
    return FAMILIES[name]
