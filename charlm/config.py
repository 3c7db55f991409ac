"""Every knob on one page.

A knob's default and its help sentence live here and nowhere else: the command line reads both from the
field. Precedence: preset < `--config` file < option. Checks speak in option names, and all mistakes of a
configuration are reported together.
"""

import dataclasses
import math
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from charlm import storage
from charlm.choices import Choices, closest
from charlm.errors import ConfigError

Reading = Literal["lines", "stream"]
Context = Literal["line", "carried"]
Level = Literal["char", "word", "spaced", "mixed"]
CellName = Literal["lstm", "gru", "rnn-tanh", "rnn-relu"]
Precision = Literal["auto", "float32", "bf16"]
# The entries of ngrams/smoothing.py; "arpa" is whatever made the ARPA file that a model was imported from.
Smoothing = Literal["modified-kneser-ney", "kneser-ney", "absolute", "witten-bell", "add-k", "ml", "arpa"]

LARGEST_ORDER = 20  # of n-grams

C = TypeVar("C")


def knob(default: Any, help: str) -> Any:
    """A dataclass field that carries its help sentence."""
    return dataclasses.field(default=default, metadata={"help": help})


def _refuse(mistakes: list[str], command: str = "train") -> None:
    if mistakes:
        raise ConfigError("; ".join(mistakes), hint=f"`charlm {command} --help` says what each option takes")


@dataclass(frozen=True)
class TextConfig:
    """How files become documents and documents become tokens."""

    reading: Reading = knob("lines", "lines: each line is a sentence or poem. stream: one continuous text.")
    context: Context | None = knob(
        None, "line: every line starts afresh. carried: the state goes on from line to line. [default: line]"
    )
    level: Level = knob("char", "char, word (jieba), spaced (already cut by white space) or mixed (Han by character).")
    encoding: str | None = knob(None, "Encoding of the text files. [default: UTF-8, else a guess that is reported]")
    field: str = knob("text", "The field that holds the text in JSON lines.")
    simplify: bool = knob(False, "Convert traditional to simplified characters (needs charlm[simplify]).")
    blank_lines: bool = knob(False, "Keep blank lines, as documents that hold nothing but their end.")
    user_dict: str | None = knob(None, "Words for jieba, one a line: WORD [FREQUENCY] [TAG].")
    min_count: int = knob(1, "Tokens seen less often become <UNK>.")
    max_size: int | None = knob(None, "Keep at most this many tokens, <EOS> and <UNK> included.")
    coverage: float | None = knob(None, "Keep the most frequent tokens until they cover this share of the text.")

    def __post_init__(self) -> None:
        mistakes = []
        if self.reading == "stream" and self.context == "line":
            mistakes.append("--reading stream has no lines, so it cannot go with --context line")
        if self.min_count < 1:
            mistakes.append(f"--min-count must be at least 1, not {self.min_count}")
        if self.max_size is not None and self.max_size < 3:
            mistakes.append(
                f"--max-size must leave room for <EOS>, <UNK> and a token, so at least 3, not {self.max_size}"
            )
        if self.coverage is not None and not 0 < self.coverage <= 1:
            mistakes.append(f"--coverage is a share between 0 and 1, not {self.coverage}")
        if self.user_dict is not None and self.level != "word":
            mistakes.append(f"--user-dict is for --level word, not {self.level}")
        _refuse(mistakes)

    @property
    def carries(self) -> bool:
        """Whether the state goes on from one line to the next."""
        return self.reading == "stream" or self.context == "carried"


@dataclass(frozen=True)
class RecurrentConfig:
    """A stacked recurrent network."""

    cell: CellName = knob("lstm", "The kind of recurrent cell: lstm, gru, rnn-tanh or rnn-relu.")
    layers: int = knob(2, "Layers of cells, one above the other.")
    hidden: int = knob(512, "Hidden units of each layer.")
    embedding: int = knob(384, "Size of the token vectors.")
    tied: bool = knob(True, "Use one matrix for reading and for predicting tokens (Press & Wolf 2017).")
    dropout: float = knob(0.3, "Share of units dropped, the same ones through a whole window (Gal & Ghahramani 2016).")
    learned_start: bool = knob(False, "Learn the state before the first token instead of starting from zeros.")

    def __post_init__(self) -> None:
        mistakes = [
            f"--{name} must be at least 1, not {value}"
            for name, value in (("layers", self.layers), ("hidden", self.hidden), ("embedding", self.embedding))
            if value < 1
        ]
        if not 0 <= self.dropout < 1:
            mistakes.append(f"--dropout must be at least 0 and below 1, not {self.dropout}")
        _refuse(mistakes)


@dataclass(frozen=True)
class UnigramConfig:
    """Token frequencies, whatever came before."""

    add_k: float = knob(1.0, "Added to every count, so that no token is impossible.")

    def __post_init__(self) -> None:
        if not 0 < self.add_k < math.inf:
            raise ConfigError(f"--add-k must be above 0 and finite, not {self.add_k}", hint="try --add-k 0.5")


@dataclass(frozen=True)
class NgramConfig:
    """Counts of token sequences, smoothed."""

    order: int = knob(5, "Tokens of the longest sequences that are counted.")
    smoothing: Smoothing = knob(
        "modified-kneser-ney", "modified-kneser-ney, kneser-ney, absolute, witten-bell, add-k or ml (count ratios)."
    )
    add_k: float = knob(1.0, "What add-k adds to every count.")
    cutoffs: str = knob("0", "Leave out n-grams seen so often or less, for orders 1,2,…; the last holds on: 0,0,1.")
    prune: float = knob(0.0, "Leave out n-grams whose loss raises the perplexity by less than this share: 1e-8.")
    quantize: int | None = knob(None, "Store probabilities in 8 or 16 bits. [default: 32, exact]")
    memory: str = knob("1G", "Memory that counting may hold, with K, M or G; what does not fit goes to the disk.")

    def __post_init__(self) -> None:
        mistakes = []
        if not 1 <= self.order <= LARGEST_ORDER:
            mistakes.append(f"--order must be from 1 to {LARGEST_ORDER}, not {self.order}")
        if not 0 < self.add_k < math.inf:
            mistakes.append(f"--add-k must be above 0 and finite, not {self.add_k}")
        if not 0 <= self.prune < math.inf:
            mistakes.append(f"--prune must be 0 or more and finite, not {self.prune}")
        if self.quantize not in (None, 8, 16):
            mistakes.append(f"--quantize must be 8 or 16, not {self.quantize}")
        if not re.fullmatch(r"\d{1,4}(,\d{1,4})*", self.cutoffs, re.ASCII):
            mistakes.append(f"--cutoffs must be whole numbers with commas between them, not {self.cutoffs!r}")
        elif self.cutoff_counts[0] or list(self.cutoff_counts) != sorted(self.cutoff_counts):
            mistakes.append(f"--cutoffs must begin with 0, since every token stays, and never fall: {self.cutoffs!r}")
        if not re.fullmatch(r"\d{1,9}(\.\d{1,3})?[KMG]?", self.memory, re.ASCII):
            mistakes.append(f"--memory must be a number with K, M or G, not {self.memory!r}")
        if self.prune and self.smoothing == "add-k":
            mistakes.append("--prune does not go with --smoothing add-k, which never asks the shorter context")
        _refuse(mistakes)

    @property
    def cutoff_counts(self) -> tuple[int, ...]:
        """The cut-offs of orders 1, 2, …"""
        return tuple(int(number) for number in self.cutoffs.split(","))

    @property
    def memory_bytes(self) -> int:
        """The budget in bytes."""
        unit = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(self.memory[-1], 1)
        return int(float(self.memory.rstrip("KMG")) * unit)


@dataclass(frozen=True)
class MixtureConfig:
    """A weighted sum of models over one vocabulary."""

    by_context: bool = knob(True, "Weights for each class of contexts, told apart by the first n-gram member.")
    cache: int = knob(0, "Add a unigram cache of so many tokens.")
    cache_decay: float = knob(0.995, "How much less each token of the cache counts than the one after it.")
    neural_cache: int = knob(0, "Give recurrent members a neural cache of so many tokens (Grave et al. 2017).")

    def __post_init__(self) -> None:
        mistakes = [
            f"--{name} must be from 0 to 1,000,000, not {value}"
            for name, value in (("cache", self.cache), ("neural-cache", self.neural_cache))
            if not 0 <= value <= 1_000_000
        ]
        if not 0 < self.cache_decay <= 1:
            mistakes.append(f"--cache-decay must be above 0 and at most 1, not {self.cache_decay}")
        _refuse(mistakes, "run mix")


@dataclass(frozen=True)
class TrainingConfig:
    """How a network learns: its budget, its steps, its safety."""

    epochs: float | None = knob(None, "Budget: passes over the text. [default: 10, if no other budget is given]")
    steps: int | None = knob(None, "Budget: steps of the optimizer.")
    minutes: float | None = knob(None, "Budget: minutes on this machine; the schedule follows the clock.")
    batch_size: int = knob(32, "Texts or stripes read side by side; a step reads about batch size × window tokens.")
    window: int = knob(64, "Tokens that a gradient travels back (truncated back-propagation through time).")
    learning_rate: float = knob(4e-3, "Highest learning rate, after the warm-up.")
    warmup: float = knob(0.02, "Share of the budget in which the learning rate rises.")
    final_rate: float = knob(0.01, "Share of the highest learning rate that is left at the end of the cosine.")
    weight_decay: float = knob(0.01, "Decoupled weight decay of AdamW, on matrices only.")
    beta2: float = knob(0.99, "Memory of AdamW for squared gradients.")
    clip: float = knob(1.0, "Longest gradient; longer ones are scaled down to it.")
    validations: int | None = knob(
        None, "How often the validation text is measured. [default: each epoch, else 8 times]"
    )
    patience: int | None = knob(None, "Stop after this many validations in a row without a new best. [default: never]")
    save_minutes: float = knob(5.0, "How often everything needed to go on is saved, besides at each validation.")
    seed: int = knob(1, "Seed of everything random.")
    precision: Precision = knob("auto", "float32, bf16, or auto: bf16 where it is faster.")
    device: str = knob("auto", "cpu, cuda, cuda:1, mps, or auto.")

    def __post_init__(self) -> None:
        budgets = {"--epochs": self.epochs, "--steps": self.steps, "--minutes": self.minutes}
        given = {name: value for name, value in budgets.items() if value is not None}
        mistakes = []
        if len(given) > 1:
            mistakes.append(f"{' and '.join(given)} are rival budgets; give one")
        mistakes += [
            f"{name} must be above 0 and finite, not {value}"
            for name, value in given.items()
            if not 0 < value < math.inf
        ]
        for name, count in (("batch-size", self.batch_size), ("window", self.window)):
            if count < 1:
                mistakes.append(f"--{name} must be at least 1, not {count}")
        if not 0 < self.learning_rate < math.inf:
            mistakes.append(f"--learning-rate must be above 0 and finite, not {self.learning_rate}")
        for name, above in (("clip", self.clip), ("save-minutes", self.save_minutes)):  # inf is never
            if not above > 0:
                mistakes.append(f"--{name} must be above 0, not {above}")
        for name, share in (("warmup", self.warmup), ("final-rate", self.final_rate), ("beta2", self.beta2)):
            if not 0 <= share < 1:
                mistakes.append(f"--{name} must be at least 0 and below 1, not {share}")
        if not 0 <= self.weight_decay < math.inf:
            mistakes.append(f"--weight-decay must be 0 or more and finite, not {self.weight_decay}")
        if not 0 <= self.seed < 1 << 32:  # torch's generator on the CPU reads 32 bits of a seed
            mistakes.append(f"--seed must be at least 0 and below 2^32, not {self.seed}")
        for name, times in (("validations", self.validations), ("patience", self.patience)):
            if times is not None and times < 1:
                mistakes.append(f"--{name} must be at least 1, not {times}")
        _refuse(mistakes)


@dataclass(frozen=True)
class SamplingConfig:
    """How text is drawn. Filters apply in this order: repetition, temperature, top-k, top-p, min-p."""

    temperature: float = knob(1.0, "Below 1 is safer, above 1 is wilder; 0 always takes the likeliest token.")
    top_k: int | None = knob(None, "Draw from the k likeliest tokens only.")
    top_p: float | None = knob(None, "Draw from the likeliest tokens that together reach this probability.")
    min_p: float | None = knob(None, "Draw from tokens at least this many times as likely as the likeliest.")
    repetition: float = knob(1.0, "Divide the probability of tokens already said by this; 1 is off.")
    max_tokens: int = knob(200, "Stop a sample after this many tokens.")
    seed: int = knob(1, "Sample i depends on the seed and on i alone.")

    def __post_init__(self) -> None:
        mistakes = []
        if not 0 <= self.temperature < math.inf:
            mistakes.append(f"--temperature must be 0 (greedy) or more, not {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            mistakes.append(f"--top-k must be at least 1, not {self.top_k}")
        for name, share in (("top-p", self.top_p), ("min-p", self.min_p)):
            if share is not None and not 0 < share <= 1:
                mistakes.append(f"--{name} must be above 0 and at most 1, not {share}")
        if not 1 <= self.repetition < math.inf:
            mistakes.append(f"--repetition must be at least 1 (which is off), not {self.repetition}")
        if self.max_tokens < 1:
            mistakes.append(f"--max-tokens must be at least 1, not {self.max_tokens}")
        _refuse(mistakes, "sample")


FILES = {"texts", "valid", "counts", "without"}  # settings that name files
BUDGETS = ("epochs", "steps", "minutes")

# One preset is a set of knobs; what it costs and reaches on a named corpus stands in the README and docs/log.md.
PRESETS: Choices[Mapping[str, Any]] = Choices(
    "preset",
    {
        "tiny": {"hidden": 128, "embedding": 96, "layers": 1, "dropout": 0.1, "window": 32},
        "small": {"hidden": 256, "embedding": 192, "layers": 2, "dropout": 0.1},
        "base": {"hidden": 512, "embedding": 384, "layers": 2, "dropout": 0.1},
    },
)


# All pages of knobs, for whoever must know whether a name is one.
PAGES: tuple[type, ...] = (TextConfig, RecurrentConfig, NgramConfig, UnigramConfig, MixtureConfig, TrainingConfig)


def refuse_unknown(knobs: Mapping[str, Any]) -> None:
    """Raise ConfigError for names that no page of knobs has."""
    known = sorted({name for page in PAGES for name in _fields(page)})
    unknown = [f"{name!r}: {closest(name, known)}" for name in knobs if name not in known]
    if unknown:
        raise ConfigError(f"unknown knobs: {'; '.join(unknown)}", hint="`charlm train --help` lists them")


def help_of(config: type, name: str) -> str:
    """The help sentence of a knob, for the command line."""
    return str(_fields(config)[name].metadata["help"])


def _fields(config: type) -> dict[str, dataclasses.Field[Any]]:
    return {field.name: field for field in dataclasses.fields(config)}


def build(config: type[C], *layers: Mapping[str, Any]) -> C:
    """Build `config` from layers of settings, later ones winning; None means "not asked for".

    Settings that belong to other configs are passed over: `read_file` has already refused unknown names.
    Raises ConfigError for values of the wrong type.
    """
    known = _fields(config)
    kinds = typing.get_type_hints(config)
    values: dict[str, Any] = {}
    mistakes = []
    for layer in layers:
        for name, value in layer.items():
            if name not in known or value is None:
                continue
            if problem := _misfit(kinds[name], value):
                mistakes.append(f"{name} = {value!r}: {problem}")
            values[name] = value
    _refuse(mistakes)
    return config(**values)


def _misfit(kind: Any, value: Any) -> str | None:
    """Why `value` is not of the annotated kind, or None."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(kind) if option is not type(None)]
        return _misfit(options[0], value)
    if origin is Literal:
        names = [str(name) for name in typing.get_args(kind)]
        return None if value in names else closest(str(value), names)
    if kind is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    elif kind is int:
        fits = isinstance(value, int) and not isinstance(value, bool)
    else:
        fits = isinstance(value, kind)
    return None if fits else f"expected {kind.__name__}"


def read_file(path: Path) -> dict[str, Any]:
    """Read settings from TOML, or from the config.json of a run; tables only group them.

    Every unknown name of the file is reported in one ConfigError. `-` and `_` are the same.
    """

    def problem(reason: str) -> ConfigError:
        return ConfigError(reason, hint="a configuration is TOML, one `name = value` a line, or a run's config.json")

    if path.suffix == ".json":
        content = storage.read_json(path, error=problem)
    else:
        text = storage.read_text(path, error=problem)
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise problem(f"{path} is not TOML: {error}") from error
    if not isinstance(content, dict):
        raise problem(f"{path} holds no table of settings")
    flat: dict[str, Any] = {}
    for name, value in content.items():
        flat.update(value if isinstance(value, dict) else {name: value})
    known = {name for page in PAGES for name in _fields(page)} | {*FILES, "model", "format"}
    settings = {str(name).replace("-", "_"): value for name, value in flat.items()}
    unknown = [f"{name!r}: {closest(name, sorted(known))}" for name in settings if name not in known]
    if unknown:
        raise ConfigError(f"{path}: unknown settings: {'; '.join(unknown)}", hint="`charlm train --help` lists them")
    for name in settings.keys() & FILES:
        names = [settings[name]] if isinstance(settings[name], str) else settings[name]
        if not isinstance(names, list) or not all(isinstance(file, str) for file in names):
            raise problem(f"{path}: {name} = {names!r}: expected a file name or a list of them")
        settings[name] = names
    if not isinstance(settings.get("model", ""), str):
        raise problem(f"{path}: model = {settings['model']!r}: expected a name")
    return settings
