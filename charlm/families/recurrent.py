"""Recurrent networks."""

from charlm.config.networks import RecurrentConfig
from charlm.families.network import family_of, options_of
from charlm.models.recurrent import Recurrent


def shape_of_stack(config: RecurrentConfig) -> dict[str, str]:
    """What two networks of stacked cells must share."""
    told = options_of(config, "cell", "layers", "hidden", "embedding")
    if looking := config.of_cell.get("peepholes"):
        told["cell"] += f" --peepholes {looking} --{'full' if config.of_cell['full'] else 'diagonal'}-peepholes"
    told["learned_start"] = "--learned-start" if config.learned_start else "--zero-start"
    told["skips"] = "--skips" if config.skips else "--no-skips"
    return told


FAMILY = family_of(Recurrent, "recurrent", shape_of_stack)
