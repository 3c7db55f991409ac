"""`charlm sample`: let a model write."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from charlm import storage
from charlm.cli.console import Talk, emit, emit_json
from charlm.cli.options import AsJson, Device, OptionalRun, Quiet, page, takes
from charlm.cli.precision import DrawingPrecision, for_verse, settled
from charlm.config.knobs import build
from charlm.config.poems import PoemConfig
from charlm.config.sampling import SamplingConfig
from charlm.errors import ConfigError, TextError
from charlm.text.decoding import decoded_lines, nobody
from charlm.text.vocab import escape

if TYPE_CHECKING:
    from charlm.models.base import LanguageModel
    from charlm.runs.run import Run


@takes(page(SamplingConfig), page(PoemConfig))
def sample(
    run: OptionalRun = None,
    prompt: Annotated[
        str,
        typer.Option(help="How the text begins, or a backward model's ends; - reads prompts from stdin, one a line."),
    ] = "",
    prompt_file: Annotated[Path | None, typer.Option(help="Prompts from a file, one a line.")] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Samples for each prompt.")] = 1,
    batch_size: Annotated[
        int, typer.Option(min=1, max=4096, help="Samples drawn side by side; does not change them.")
    ] = 64,
    show_tones: Annotated[
        bool,
        typer.Option("--show-tones", help="Show tones, form and rhymes beside each line.", rich_help_panel="Verse"),
    ] = False,
    vertical: Annotated[
        bool,
        typer.Option("--vertical", help="Print lines from top to bottom, from right to left.", rich_help_panel="Verse"),
    ] = False,
    device: Device = "cpu",
    precision: DrawingPrecision = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    **knobs: Any,
) -> None:
    """Print texts that the model of RUN writes, or poems of a form.

    charlm sample checkpoints/tang --prompt 春江 --count 5 --seed 7
    charlm sample --form 七绝 --acrostic 春江花月
    charlm sample --form 五律 --theme 思乡 --show-tones
    """
    from charlm import sampling
    from charlm.jobs.sample import telling
    from charlm.runs.layout import run_or_own
    from charlm.runs.run import load as load_run

    config = build(SamplingConfig, knobs, command="sample")
    asked = build(PoemConfig, knobs, command="sample")
    if asked.form is not None:
        if prompt or prompt_file:
            raise ConfigError("--prompt and --form are rivals; give one", hint="--first-line begins a poem")
        shown = "json" if as_json else "tones" if show_tones else "vertical" if vertical else "lines"
        talk = Talk(quiet)
        loaded = load_run(run_or_own(run), device, for_verse(precision, device, talk))
        _poems(loaded, asked, config, count, shown, talk)
        return
    if show_tones or vertical:
        raise ConfigError("--show-tones and --vertical show verse", hint="choose its --form")
    prompts = _prompts(prompt, prompt_file)
    talk = Talk(quiet)
    loaded = load_run(run_or_own(run), device, settled(precision or "float32", device, talk))
    model, told = telling(loaded, asked)
    for text in prompts:
        ids, unknown = loaded.prompt(text)
        if unknown:
            shown = " ".join(map(escape, dict.fromkeys(unknown)))
            talk.note(f"the model does not know {shown}: read as unknown, kept in the text")
        if count == 1 and sys.stdout.isatty() and not as_json and not loaded.codec.reverse:
            _stream(loaded, text, ids, config, model, told)
            continue
        found = sampling.samples(
            model,
            ids,
            count,
            config,
            told=told,
            ends=loaded.codec.closing,
            controls=loaded.codec.vocab.controls,
            batch_size=batch_size,
        )
        for number, drawn in enumerate(found):
            whole = loaded.text_of(text, drawn.ids)
            if as_json:
                emit_json(
                    {
                        "text": whole,
                        "prompt": text,
                        "number": number,
                        "seed": config.seed,
                        "log_prob": drawn.log_prob,
                        "tokens": len(drawn.ids),
                        "ended": drawn.ended,
                    }
                )
            else:
                emit(whole)


def _poems(loaded: "Run", asked: PoemConfig, config: SamplingConfig, count: int, shown: str, talk: Talk) -> None:
    """Print poems, parted by an empty line: a couplet on each line, as columns, or with their tones."""
    from charlm.cli.grid import judged, vertical
    from charlm.composing.themes import recall
    from charlm.jobs.sample import poems
    from charlm.poems.checking import check

    for number, poem in enumerate(poems(loaded, asked, config, count, talk.note)):
        if shown == "json":
            facts = {"log_prob": poem.log_prob, "forced": poem.forced, "merit": poem.merit}
            told = {"text": poem.text, "form": asked.form, "lines": poem.lines, "number": number}
            if asked.theme is not None:
                facts["recall"] = recall(poem.text, asked.theme)
            emit_json({**told, "seed": config.seed, **facts})
            continue
        if number:
            emit("")
        if shown == "tones":
            for line in judged(check(poem.text, asked.form, asked.rhyme_book, asked.strictness)):
                emit(line)
        elif shown == "vertical":
            for line in vertical(poem.lines):
                emit(line)
        else:
            emit("\n".join(part + "。" for part in poem.text.split("。") if part))


def _stream(
    loaded: "Run", prompt: str, ids: list[int], config: SamplingConfig, model: "LanguageModel", told: Sequence[int]
) -> None:
    """Show a sample on the terminal while it is drawn."""
    from charlm import sampling

    shown = prompt
    said: list[int] = []
    sys.stdout.write(prompt)

    def on_token(_: int, token: int) -> None:
        nonlocal shown
        said.append(token)
        whole = loaded.text_of(prompt, said)
        sys.stdout.write(whole.removeprefix(shown))
        sys.stdout.flush()
        shown = whole

    ends, controls = loaded.codec.closing, loaded.codec.vocab.controls
    sampling.sample(model, ids, [0], config, told=told, ends=ends, controls=controls, on_token=on_token)
    sys.stdout.write("\n")


def _prompts(prompt: str, file: Path | None) -> list[str]:
    if file is not None and prompt:
        raise ConfigError(
            "--prompt and --prompt-file are rivals; give one", hint="one prompt a line goes into the file"
        )
    if file is not None and str(file) != "-":
        with storage.open_bytes(file) as raw:
            prompts = _lines(raw, str(file))
    elif prompt == "-" or file is not None:
        with storage.open_stdin() as raw:
            prompts = _lines(raw, "standard input")
    elif any("\ud800" <= character <= "\udfff" for character in prompt):  # how Python writes a byte that is not UTF-8
        raise TextError(f"--prompt {prompt!a} is not UTF-8 text", hint="is the terminal set to UTF-8?")
    else:
        return [prompt]
    if not prompts:
        raise TextError("there are no prompts in the input", hint="one prompt a line; leave --prompt out for none")
    return prompts


def _lines(raw: IO[bytes], name: str) -> list[str]:
    """Prompts in UTF-8, cut into lines as training text is; raises TextError with line and byte."""
    # In a named encoding nothing is guessed, so nothing is to be told.
    lines = (line.removesuffix("\n") for line in decoded_lines(raw, name, "utf-8", nobody))
    try:
        return [line for line in lines if line.strip()]
    except TextError as error:
        raise TextError(str(error), hint="prompts are UTF-8 text; `iconv -f gb18030` makes it from GBK") from error
