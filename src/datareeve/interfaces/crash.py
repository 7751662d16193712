"""What nobody foresaw: one line for the person, the details in a file."""

from __future__ import annotations

import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from datareeve import __version__
from datareeve.core import clock
from datareeve.core.errors import Failed
from datareeve.core.estate import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence


def written_down(error: Exception, words: Sequence[str]) -> Failed:
    """The error to tell: its kind and the file that holds the traceback, which only we can read and which names the command alone."""
    folder = _project(words) / STATE_FOLDER
    name = f"crash-{clock.now():%Y%m%d-%H%M%S}-"
    where = folder if folder.is_dir() else None
    details = "".join(traceback.format_exception(error))
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=where, prefix=name, suffix=".txt", delete=False
    ) as file:
        file.write(
            f"datareeve {__version__}, Python {sys.version.split()[0]}, {words[0] if words else ''}\n\n{details}"
        )
    remedy = f"The details are in {file.name}. Read it before you pass it on: it may hold names or values."
    return Failed("internal", f"{type(error).__name__}, which should not happen.", remedy)


def _project(words: Sequence[str]) -> Path:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word.startswith("--project"):
            return Path(word.partition("=")[2] or following)
    return Path()
