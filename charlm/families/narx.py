"""Networks that hear their last outputs and inputs."""

from charlm.config.networks import NarxConfig
from charlm.families.network import family_of, options_of
from charlm.models.delays import Narx


def _shape(config: NarxConfig) -> dict[str, str]:
    return options_of(config, "layers", "hidden", "embedding", "taps", "output_taps")


FAMILY = family_of(Narx, "narx", _shape)
