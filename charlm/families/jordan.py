"""Networks that hear the mean of their outputs."""

from charlm.config.networks import JordanConfig
from charlm.families.network import family_of, options_of
from charlm.models.delays import Jordan


def _shape(config: JordanConfig) -> dict[str, str]:
    return options_of(config, "layers", "hidden", "embedding")


FAMILY = family_of(Jordan, "jordan", _shape)
