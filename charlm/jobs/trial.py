"""What a training would take on this machine_for, before it is begun: `charlm train --dry-run`."""

from pathlib import Path

from charlm.config.models import MODELS
from charlm.errors import ConfigError
from charlm.families import FAMILIES
from charlm.jobs.prepare import prepare
from charlm.jobs.settle import NOT_TRAINED
from charlm.jobs.train import job_of, machine_for
from charlm.jobs.watching import UNWATCHED, Watcher
from charlm.runs.layout import RunConfig
from charlm.training.journal import MemoryJournal
from charlm.training.trial import Estimate


def estimate(config: RunConfig, *, vocab_folder: Path | None = None, watcher: Watcher = UNWATCHED) -> Estimate:
    """Prepare the text, and let the family try a few steps.

    Raises ConfigError for a model that has nothing to try.
    """
    family = FAMILIES[config.model]
    if family.trial is None or family.fresh is None:
        if family.fit is None:
            raise ConfigError(f"a {config.model} is not trained but mixed", hint=NOT_TRAINED)
        learns = MODELS[config.model].learns
        raise ConfigError(
            f"--dry-run is for what learns by gradient; --model {config.model} learns by {learns}, in seconds",
            hint="just train it",
        )
    prepared = prepare(config, vocab_folder, watcher.note)
    model = family.fresh(config.family, prepared.codec.vocab, config.training.seed)
    machine = machine_for(config.training, model)
    return family.trial(model, job_of(config, prepared, MemoryJournal(), machine, watcher.report))
