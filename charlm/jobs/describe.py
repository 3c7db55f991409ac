"""What a run is, how it was made, and how good it is: `charlm run info`."""

from typing import Any

from charlm.runs.run import Run


def describe(run: Run) -> dict[str, Any]:
    """What a run is, how it was made, and how good it is: `charlm run info`."""
    best = {key: value for key, value in run.best.items() if key not in ("codec", "is_best")}
    return {"path": str(run.path), **run.facts, "context": "carried" if run.carried else "line", "best": best,
            "reading": run.codec.reading, "level": run.codec.level, "knobs": run.config.to_json()}  # fmt: skip
