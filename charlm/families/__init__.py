"""CHOICE: families of models, one file each: how it is made, trained, kept and tried. Loaded by name.

Nothing outside this room asks what type a model has; what a family cannot do is a part that it lacks.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module

from charlm.config.models import MODELS
from charlm.families.base import CONFIG_FILE, MEMBERS_FOLDER, WEIGHTS_FILE, Family, Job

__all__ = ["CONFIG_FILE", "FAMILIES", "MEMBERS_FOLDER", "WEIGHTS_FILE", "Family", "Job"]


class _Families(Mapping[str, Family]):
    """The families of MODELS, each imported when it is first asked for; ConfigError for a name that is not there."""

    def __getitem__(self, name: str) -> Family:
        family: Family = import_module(MODELS[name].home).FAMILY
        return family

    def __iter__(self) -> Iterator[str]:
        return iter(MODELS)

    def __len__(self) -> int:
        return len(MODELS)


FAMILIES: Mapping[str, Family] = _Families()
