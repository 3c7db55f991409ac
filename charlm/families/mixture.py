"""Mixtures: members that are whole runs, and the weights of their sum. Made by `charlm run mix`, not trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from charlm import jsonfiles, tensorfiles
from charlm.config.knobs import build
from charlm.config.models import MODELS, MixtureConfig
from charlm.errors import CharlmError, ConfigError, RunError
from charlm.families import causal_family
from charlm.families.base import CONFIG_FILE, MEMBERS_FOLDER, WEIGHTS_FILE, Family
from charlm.models.base import LanguageModel
from charlm.models.caches import NeuralCache, Traced, UnigramCache
from charlm.models.mixture import Mixture
from charlm.models.tempered import Tempered


def build_mixture(
    members: Sequence[LanguageModel],
    vocab_size: int,
    config: MixtureConfig,
    neural: npt.NDArray[np.float64],
    temperatures: npt.NDArray[np.float64],
) -> list[LanguageModel]:
    """What a mixture adds up: its members, tempered and with a neural cache where they have one, and a unigram cache.

    neural        (members, 2)  theta and weight of each member's neural cache; weight 0 where it has none
    temperatures  (members,)    of each member; 1 leaves it as it is
    """
    parts: list[LanguageModel] = []
    for own, (theta, weight), temperature in zip(members, neural.tolist(), temperatures.tolist(), strict=True):
        member = own if temperature == 1 else Tempered(own, temperature)
        wrapped = config.neural_cache and weight > 0
        parts.append(
            NeuralCache(cast(Traced, member), theta=theta, weight=weight, window=config.neural_cache)
            if wrapped
            else member
        )
    if config.cache:
        parts.append(UnigramCache(vocab_size, window=config.cache, decay=config.cache_decay))
    return parts


def guide_of(parts: Sequence[LanguageModel], config: MixtureConfig) -> int | None:
    """Which part tells contexts apart; None where none can, or none shall."""
    guides = [number for number, part in enumerate(parts) if hasattr(part, "classes")]
    return guides[0] if guides and config.by_context else None


def load(config: MixtureConfig, vocab_size: int, folder: Path) -> Mixture:
    """A mixture from its directory, its members from theirs."""
    tensors, facts = tensorfiles.read(folder / WEIGHTS_FILE)

    def problem(reason: str) -> RunError:
        return RunError(reason, hint=f"`charlm run check {folder}` looks at every file; restore what is damaged")

    inside = folder / MEMBERS_FOLDER
    folders = (
        sorted((p for p in inside.iterdir() if p.is_dir() and p.name[0] != "."), key=_number) if inside.is_dir() else []
    )
    members: list[LanguageModel] = []
    for member in folders:
        content = jsonfiles.read(member / CONFIG_FILE, error=problem, shape={"model": str})
        name = content["model"]
        if wrong := jsonfiles.misfit({name: dict}, content):
            raise problem(f"{member / CONFIG_FILE}: {wrong}")
        try:
            family = causal_family(name)
            page: Any = build(MODELS[name].page, content[name])
        except CharlmError as error:
            raise problem(f"{member / CONFIG_FILE} does not describe a model: {error}") from error
        if tensorfiles.read_facts(member / WEIGHTS_FILE).get("codec") != facts.get("codec"):
            raise problem(f"{member} has another vocabulary than the mixture")
        members.append(family.load(page, vocab_size, member))
    weights, neural = tensors.get("weights"), tensors.get("neural")
    temperatures = tensors.get("temperatures", torch.ones(len(members)))  # which older mixtures do not have
    shapes = [() if tensor is None else tuple(tensor.shape) for tensor in (neural, temperatures)]
    if weights is None or neural is None or not members or shapes != [(len(members), 2), (len(members),)]:
        raise problem(f"{folder}: its weights are not those of the {len(members)} members that are there")
    try:
        numbers = neural.double().numpy(), temperatures.double().numpy()
        parts = build_mixture(members, vocab_size, config, *numbers)
        return Mixture(parts, weights, guide=guide_of(parts, config))
    except ConfigError as error:
        raise problem(f"{folder / WEIGHTS_FILE} does not fit its members: {error}") from error


def _number(member: Path) -> tuple[int, str]:
    head = member.name.partition("-")[0]
    return (int(head) if head.isdecimal() else 0, member.name)


FAMILY = Family(load=load)
