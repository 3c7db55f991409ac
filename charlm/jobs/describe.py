"""What a run is, how it was made, and how good it is: `charlm run info`."""

from typing import Any

from torch import nn

from charlm.composing.telling import things_told
from charlm.config.models import MODELS
from charlm.runs.cloze import ClozeRun
from charlm.runs.run import Run


def describe(run: Run | ClozeRun) -> dict[str, Any]:
    """What a run is, how it was made, and how good it is: `charlm run info`."""
    kind = MODELS[run.config.model].kind
    best = {key: value for key, value in run.best.items() if key not in ("codec", "is_best")}
    if kind == "cloze":  # what is measured of it is no perplexity, and must not pass for one
        del best["valid_bits_per_char"]
        best["valid_pseudo_nats"] = best.pop("valid_nats")
    return {
        "path": str(run.path),
        **run.facts,
        "kind": kind,
        "parameters_of": _parameters(run.model),
        "entries_of": getattr(run.model, "entries", []),
        "context": "carried" if run.carried else "line",
        "best": best,
        "can_be_told": things_told(run.codec.vocab),
        "reading": run.codec.reading,
        "reverse": run.codec.reverse,
        "level": run.codec.level,
        "knobs": run.config.to_json(),
    }


def _parameters(model: object) -> dict[str, int]:
    """How many parameters each part of a network has; nothing of a model that is none."""
    if not isinstance(model, nn.Module):
        return {}
    counts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        part = name.partition(".")[0]
        counts[part] = counts.get(part, 0) + parameter.numel()
    return counts
