"""What can go wrong, and what to do about it.

    CharlmError            a problem with a remedy                    exit code 1
    ├── ConfigError        knobs that do not fit together             exit code 2
    ├── TextError          a text that cannot be read
    ├── VocabError         a vocabulary that cannot be used
    ├── RunError           a run directory that cannot be used
    ├── StorageError       a file that could not be written whole
    ├── NBestError         a line of an n-best list that does not fit
    ├── FormError          a form of verse that cannot be read
    ├── VerseError         a poem that does not keep its form
    ├── FontError          a font that is not there, or lacks characters
    ├── ArpaError          an ARPA file that cannot be read
    ├── VectorsError       word vectors that cannot be read, or a word that has none
    ├── TrainingError      training that cannot go on
    ├── MissingExtra       an optional library that is not installed
    ├── Stopped            stopped by a signal, with nothing to keep   exit code 128 + signal
    └── Interrupted        stopped by a signal, with everything saved  exit code 128 + signal

`cli/app.py` catches the base class once. A bug is not a CharlmError: it keeps its traceback.
"""

from typing import ClassVar


class CharlmError(Exception):
    """A problem with a remedy. The command line prints both, without a traceback.

    message  what happened, quoting the value that was seen
    hint     the next thing to try, best of all a command to paste
    """

    exit_code: int = 1

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(CharlmError):
    """Options or settings that are impossible, alone or together."""

    exit_code: int = 2


class TextError(CharlmError):
    """A text that is missing, empty, not text, or in another encoding."""


class VocabError(CharlmError):
    """A vocabulary or tokenizer that cannot be read or does not fit."""


class RunError(CharlmError):
    """A run directory that is missing, damaged, foreign or newer than this program."""


class StorageError(CharlmError):
    """A file that could not be written; whatever stood in its place still stands there."""


class NBestError(CharlmError):
    """A line of an n-best list that does not fit its format; `line` is what stands there."""

    def __init__(self, source: str, line_number: int, line: str, *, expected: str) -> None:
        self.line = line
        super().__init__(
            f"{source}:{line_number}: cannot read {line[:60]!r}",
            hint=f"expected {expected}; docs/nbest.md shows the formats",
        )


class FormError(CharlmError):
    """A file that describes a form of verse, and cannot be read as one."""


class VerseError(CharlmError):
    """Poems that do not keep their form, or that can be judged by none."""


class FontError(CharlmError):
    """A font that is not there, cannot be read, or lacks characters."""


class ArpaError(CharlmError):
    """An ARPA file that cannot be read."""


class VectorsError(CharlmError):
    """A file of word vectors that cannot be read, or a word that has no vector."""


class TrainingError(CharlmError):
    """Training that cannot start or cannot go on."""


class MissingExtra(CharlmError):
    """An optional library that is not installed."""

    def __init__(self, library: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {library}, which is not installed",
            hint=f"pip install 'charlm[{extra}]'",
        )


class Stopped(CharlmError):
    """Work stopped by a signal that keeps nothing of what it had begun."""

    def __init__(self, signal_number: int) -> None:
        name = Interrupted.names.get(signal_number, f"signal {signal_number}")
        super().__init__(f"stopped by {name}; nothing was written", hint="give the command again to begin anew")
        self.exit_code = 128 + signal_number


class Interrupted(CharlmError):
    """Training stopped by a signal after its step was finished and everything was saved."""

    names: ClassVar[dict[int, str]] = {2: "Ctrl-C", 15: "SIGTERM"}

    def __init__(self, signal_number: int, step: int, resume_command: str) -> None:
        super().__init__(
            f"stopped by {self.names.get(signal_number, f'signal {signal_number}')} after step {step}; all is saved",
            hint=f"to go on: {resume_command}",
        )
        self.exit_code = 128 + signal_number
