"""Recurrent networks."""

from charlm.config.models import RecurrentConfig
from charlm.families.network import family_of, options_of
from charlm.models.recurrent import Recurrent


def _shape(config: RecurrentConfig) -> dict[str, str]:
    told = options_of(config, "cell", "layers", "hidden", "embedding")
    told["learned_start"] = "--learned-start" if config.learned_start else "--zero-start"
    looking = config.of_cell.get("peepholes", "")
    told["peepholes"] = f"--peepholes {looking}" if looking else "no --peepholes"
    if looking:
        told["peepholes"] += " --full-peepholes" if config.of_cell["full"] else " --diagonal-peepholes"
    return told


FAMILY = family_of(Recurrent, "recurrent", _shape)
