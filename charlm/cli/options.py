"""Options made from the config pages: a knob's type, default, help and panel are written once, at its field."""

import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

from charlm import storage
from charlm.cli.completion import completing, forms_at, runs_at
from charlm.config.knobs import fields_of, help_of
from charlm.errors import ConfigError, StorageError

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="JSON on stdout, one object a line; keys are stable.")]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="No talk on stderr, only errors.")]
Force: TypeAlias = Annotated[bool, typer.Option("--force", help="Overwrite an output file that exists.")]
Device: TypeAlias = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps, or auto.")]
ShardOption: TypeAlias = Annotated[
    str | None, typer.Option("--shard", metavar="K/N", help="Only every N-th document or list, from the K-th.")
]

References: TypeAlias = Annotated[
    Path | None, typer.Option("--ref", metavar="FILE", help="What was really said: Kaldi's text, .trn, or a manifest.")
]
Beam: TypeAlias = Annotated[
    int | None, typer.Option("--beam", metavar="N", help="Candidates of each list, for NeMo's beams.")
]
KeepGoing: TypeAlias = Annotated[
    bool, typer.Option("--keep-going", help="Leave out lists that do not fit, name them, and fail at the end.")
]

METAVARS = {bool: "", int: "INTEGER", float: "NUMBER", Path: "PATH", str: "TEXT"}

RunPath: TypeAlias = Annotated[
    Path,
    typer.Argument(metavar="RUN", help="Run directory written by `charlm train`.", autocompletion=runs_at),
]

OptionalRun: TypeAlias = Annotated[
    Path | None,
    typer.Argument(
        metavar="RUN", help="Run directory. [default: the one of verse that charlm brings]", show_default=False,
        autocompletion=runs_at,
    ),
]  # fmt: skip

OFFERED = {"form": forms_at}  # by a shell, after options whose values are no fixed set

_kinds = functools.cache(typing.get_type_hints)  # asked for every knob, and slow to answer


class PanelCommand(TyperCommand):
    """A command whose help shows its options in groups, with a value's kind in capitals."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Refuse an empty name where a path is wanted: as a path it would be the current folder."""
        given: dict[str, Any] = {}
        if not ctx.resilient_parsing:  # a shell that completes a half-typed line
            given, _, _ = self.make_parser(ctx).parse_args(list(args))
        for param in self.get_params(ctx):
            values = given.get(param.name)
            many = values if isinstance(values, list | tuple) else [values]
            if "" in many and _is_path(param):
                name = param.opts[-1] if isinstance(param, TyperOption) else (param.metavar or "").upper()
                raise ConfigError(
                    f"an empty name was given for {name}", hint="is a variable unset? `.` is the current folder"
                )
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, then the options without a panel, then a group for each panel."""
        panels: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            if isinstance(param, TyperOption):
                if not param.is_flag and param.metavar is None:
                    param.metavar = _metavar(param.type_descriptor.annotation)
                record = param.get_help_record(ctx)
                panel = param.rich_help_panel or "Options"
            else:
                assert isinstance(param, TyperArgument)
                name = param.metavar or (param.name or "").upper()
                record, panel = (name, param.help or ""), "Arguments"
            if record is not None:
                panels.setdefault(panel, []).append((record[0], _unbroken(record[1])))
        for panel, records in panels.items():
            if records:
                with formatter.section(panel):
                    formatter.write_dl(records)
        formatter.buffer = [piece.translate(_AS_WRITTEN) for piece in formatter.buffer]

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The arguments as the help names them: in capitals, in brackets where they may be left out."""
        pieces = ["[OPTIONS]"]
        for param in self.get_params(ctx):
            if isinstance(param, TyperArgument):
                name = param.metavar or (param.name or "").upper()
                pieces.append(name if param.required else f"[{name}]")
        return pieces


def _is_path(param: Any) -> bool:
    kind = param.type_descriptor.annotation
    return Path in (kind, *typing.get_args(kind))


# While lines are filled, these stand for a hyphen and a space at which no line may end.
_HYPHEN, _SPACE = "\u2011", "\u00a0"
_AS_WRITTEN = {ord(_HYPHEN): "-", ord(_SPACE): " "}


def _unbroken(sentence: str) -> str:
    """A help sentence that no line breaks inside a name or before a default's value, with bounds in words."""
    sentence = re.sub(r" +\[", " [", sentence)  # typer sets two spaces before the defaults that it shows
    sentence = re.sub(r"; (\d+)<=x<=(\d+)\]", r"; \1 to \2]", sentence)
    sentence = re.sub(r"(; |\[)x>=(\d+)\]", r"\1at least \2]", sentence)
    sentence = sentence.replace("[default: ", f"[default:{_SPACE}")
    return re.sub(r"(?<=\w)-(?=\w)", _HYPHEN, sentence)


def _metavar(kind: Any) -> str:
    while typing.get_origin(kind) in (list, typing.Union, types.UnionType):
        kind = typing.get_args(kind)[0]
    return METAVARS.get(kind, "TEXT")


def knob(config: type, name: str, *flags: str) -> Any:
    """A Typer option for one knob: left out, it is None, which means "not asked for"."""
    field = fields_of(config)[name]
    sentence = help_of(config, name)
    kind = _kind(config, name)
    flag = "--" + name.replace("_", "-")
    # Flags are always said: left to itself, typer would add a --no-… to every switch.
    declared = flags or (field.metadata["switch"] or flag,)
    if kind is bool and "/" in declared[0]:
        shown = declared[0].split("/")[0 if field.default else 1]
        sentence += f" [default: {shown.strip('-')}]"
    elif kind is bool:
        sentence += " [default: off]"
    elif field.default is not None:
        sentence += f" [default: {field.default}]"
    values = _values(config, name)
    return typer.Option(
        *declared,
        help=sentence,
        show_default=False,
        rich_help_panel=field.metadata["panel"] or None,
        metavar="NAME" if values else None,
        autocompletion=completing(values) if values else OFFERED.get(name),
    )


def _kind(config: type, name: str) -> Any:
    """The type that the command line reads: int, float, str or bool."""
    kind = _kinds(config)[name]
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        kind = next(option for option in typing.get_args(kind) if option is not type(None))
    return str if typing.get_origin(kind) is Literal else kind


def _values(config: type, name: str) -> list[str]:
    choices = fields_of(config)[name].metadata["choices"]
    if choices is not None:
        return list(choices)
    kind = _kinds(config)[name]
    kinds = [kind, *typing.get_args(kind)]
    return next((list(typing.get_args(k)) for k in kinds if typing.get_origin(k) is Literal), [])


def page(config: type, *, only: str = "", without: str = "") -> Iterator[tuple[str, type]]:
    """The knobs of a page that a command takes: all, only those named, or all without those named."""
    chosen = only.split() or [name for name in fields_of(config) if name not in without.split()]
    return ((name, config) for name in chosen)


def takes(*pages: Iterable[tuple[str, type]]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of these pages, instead of its `**knobs`; it is handed those that were asked for.

    A knob that stands on two pages is one option.
    """
    knobs: dict[str, type] = {}
    for part in pages:
        for name, config in part:
            knobs.setdefault(name, config)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def called(**options: Any) -> None:
            fixed = {name: value for name, value in options.items() if name not in knobs}
            command(**fixed, **given(**{name: options[name] for name in knobs if name in options}))

        signature = inspect.signature(command)
        own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        made = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[_kind(config, name) | None, knob(config, name)],
            )
            for name, config in knobs.items()
        ]
        called.__signature__ = signature.replace(parameters=[*own, *made])  # type: ignore[attr-defined]
        return called

    return decorate


def refuse_overwriting(output: Path, option: str, force: bool, flag: str = "--force") -> None:
    """Raise StorageError where a file would be lost that nobody said may be; pipes and devices hold nothing to lose.

    flag  how the command calls `force`
    """
    if str(output) == "-":
        raise ConfigError(f"{option} - names no file, and stdout is for the data", hint="give it a name of its own")
    if storage.is_folder(output):
        raise StorageError(f"{option} {output} is a folder, and a file is wanted", hint="name a file, in it if wanted")
    if not force and storage.exists(output) and not storage.is_stream(output):
        raise StorageError(
            f"{option} {output} exists already; nothing was changed",
            hint=f"choose another name, or give {flag} to overwrite it",
        )


def shard_of(text: str | None) -> tuple[int, int]:
    """K/N as numbers, 1/1 where nothing was asked for; raises ConfigError.

    >>> shard_of("2/3"), shard_of(None)
    ((2, 3), (1, 1))
    """
    if text is None:
        return 1, 1
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise ConfigError(f"--shard {text!r} is no part like 1/4", hint="K/N with 1 ≤ K ≤ N")
    return int(found[1]), int(found[2])


def given(**options: Any) -> dict[str, Any]:
    """The options that were asked for."""
    return {name: value for name, value in options.items() if value is not None}
