"""Feed-forward networks of the last tokens."""

from charlm.config.networks import WindowConfig
from charlm.families.network import family_of, options_of
from charlm.models.delays import Window


def _shape(config: WindowConfig) -> dict[str, str]:
    return options_of(config, "layers", "hidden", "embedding", "taps")


FAMILY = family_of(Window, "window", _shape)
