"""What nobody foresaw: one line for the person, the details in a file. Nothing here raises, whatever cannot be written."""

from __future__ import annotations

import errno
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from datareeve import __version__
from datareeve.core import clock
from datareeve.core.errors import BadInput, Failed
from datareeve.core.estate import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.core.errors import DatareeveError

NOT_ALLOWED = (errno.EROFS, errno.EACCES, errno.EPERM)
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def told(error: Exception, words: Sequence[str]) -> DatareeveError:
    """The error to tell: the file that may not be used, or has no room; else that nobody foresaw it, with where the details are."""
    if isinstance(error, OSError) and error.filename and error.errno in NOT_ALLOWED:
        return BadInput(
            "file.not-allowed",
            f"{error.filename} cannot be used: {error.strerror}.",
            "Mend its rights or how its disk is mounted, then again.",
        )
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return Failed("file.no-space", "The disk is full.", "Free space, then `datareeve runs`.")
    return written_down(error, words)


def written_down(error: Exception, words: Sequence[str]) -> Failed:
    """The error's kind and the file that holds the traceback, which only we can read and which names the command alone."""
    details = "".join(traceback.format_exception(error))
    head = f"datareeve {__version__}, Python {sys.version.split()[0]}, {words[0] if words else ''}"
    folder = _project(words) / STATE_FOLDER
    file = _kept(f"{head}\n\n{details}", folder) or _kept(f"{head}\n\n{details}", None)
    remedy = (
        f"The details are in {file}. Read it before you pass it on: it may hold names or values."
        if file
        else f"The details could not be written anywhere; it came up in {_place(error)}."
    )
    return Failed("internal", f"{type(error).__name__}, which should not happen.", remedy)


def _kept(text: str, folder: Path | None) -> str:
    """The file that the text is in now; empty where it could not be written."""
    name = f"crash-{clock.now():%Y%m%d-%H%M%S}-"
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", errors="backslashreplace", dir=folder, prefix=name, suffix=".txt", delete=False
        ) as file:  # fmt: skip
            file.write(text)
    except (OSError, ValueError):  # a folder that is not there, or cannot be one
        return ""
    return file.name


def _place(error: Exception) -> str:
    """Where it came up, without a value: file and line."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "no place that is known"


def _project(words: Sequence[str]) -> Path:
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word.startswith("--project"):
            return Path(word.partition("=")[2] or following)
    return Path()
