"""Feed-forward networks on the tokens of both sides, for missing words."""

from charlm.config.networks import SurroundingConfig
from charlm.families.cloze import blanks
from charlm.families.network import family_of, options_of
from charlm.models.surrounding import Surrounding


def _shape(config: SurroundingConfig) -> dict[str, str]:
    return options_of(config, "layers", "hidden", "embedding", "taps")


FAMILY = family_of(Surrounding, "cloze-window", _shape, blanks)
