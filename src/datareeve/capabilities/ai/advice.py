"""Commands in advice, written so that they can be pasted into a shell as they stand, whatever the names in them are.

Names of models come from clients and names of keys from people: what a shell would take for more than a word is quoted.
"""

from __future__ import annotations

import shlex
from typing import Any

UNSAFE = frozenset('"$`\\!')  # what a shell reads within double quotes


def command(operation: str, **fields: Any) -> str:
    """`datareeve run OPERATION --field value ...`: True and False are flags, a list several values."""
    words = [
        word
        for name, value in fields.items()
        for word in (f"--{'no-' if value is False else ''}{name.replace('_', '-')}", *_values(value))
    ]
    return " ".join(("datareeve run", operation, *words))


def shell(text: str) -> str:
    """One word of a command; in double quotes where these are enough, for SQL is full of single ones."""
    plain = shlex.quote(text)
    return f'"{text}"' if plain != text and "'" in text and UNSAFE.isdisjoint(text) else plain


def _values(value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ()
    return tuple(shell(str(one)) for one in (value if isinstance(value, (list, tuple)) else (value,)))
