"""MariaDB's and MySQL's lexical rules, as far as they matter for what may be sent and what may be shown.

The server's own READ ONLY transaction and statement time limit come first, and the account's grants before them. What those let through
and a reader must not do is refused here by word: files (`INTO OUTFILE`, `LOAD_FILE`), locks, and functions that only wait or burn time.
What is judged is what is sent: comments, which the server may execute (`/*! ... */`), are taken out before both.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from datareeve.core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

LEXER = re.compile(
    r"""
    (?P<string>(?:[bBxXnN]|_[A-Za-z0-9]+\s*)?'(?:[^'\\]|\\.|'')*(?:'|\Z)|"(?:[^"\\]|\\.|"")*(?:"|\Z))
  | (?P<name>`(?:[^`]|``)*(?:`|\Z))
  | (?P<comment>\#[^\n]*|--(?=[\x00-\x20]|\Z)[^\n]*|/\*.*?(?:\*/|\Z))
  | (?P<word>[^\W\d][\w$]*)
  | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\w*)
  | (?P<given>%\(\w+\)s|%s|\?|:[A-Za-z_]\w*)
  | (?P<end>;)
    """,
    re.VERBOSE | re.DOTALL,
)
FIRST = {"SELECT", "WITH", "VALUES", "TABLE", "SHOW", "DESCRIBE", "DESC", "EXPLAIN"}
NEVER = {"INTO", "OUTFILE", "DUMPFILE", "PROCEDURE"}  # of SHOW PROCEDURE STATUS nobody has need here
FUNCTIONS = re.compile(
    r"\b(load_file|sleep|benchmark|get_lock|release_lock|release_all_locks|is_free_lock|is_used_lock|master_pos_wait|source_pos_wait"
    r"|master_gtid_wait|wait_for_executed_gtid_set|wait_until_sql_thread_after_gtids|nextval|setval|lastval|sys_eval|sys_exec|sys_set"
    r"|lib_mysqludf_sys_info)\s*\(",
    re.IGNORECASE,
)
LOCKS = re.compile(
    r"\bfor\s+(update|share)\b|\block\s+in\s+share\s+mode\b|\bnext\s+value\s+for\b|\bprevious\s+value\s+for\b|:=",
    re.IGNORECASE,
)
EXECUTES = re.compile(r"^\s*(?:explain|desc|describe)\s+(?:\w+\s*=\s*\w+\s+)?analyze\b", re.IGNORECASE)


def only_reading(sql: str) -> str:
    """The statement without its comments, where it is one statement that only reads.

    Errors: `Refused` `mysql.not-a-read`, `mysql.several-statements`.
    """
    if "/*!" in sql or "/*M!" in sql:
        raise _refused("a comment that the server executes")
    text = LEXER.sub(lambda t: " " if t.lastgroup == "comment" else t[0], sql).strip()
    bare = LEXER.sub(_bare, text).strip().rstrip("; \n\t")
    if ";" in bare:
        raise Refused(
            "mysql.several-statements", "More than one statement was given.", "Give one statement at a time."
        )
    words = {word.upper() for word in re.findall(r"[^\W\d]\w*", bare)}
    first = bare.lstrip("( \n\t").split("(")[0].split(maxsplit=1)
    if not first or first[0].upper() not in FIRST or EXECUTES.match(bare):
        raise _refused("not a SELECT")
    # SHOW PROCEDURE and SHOW ... INTO do not occur; a column may be called `into` only in backticks, which `_bare` leaves unseen.
    for wrong in sorted(NEVER & words):
        raise _refused(wrong)
    unquoted = LEXER.sub(lambda t: _inner(t[0]) if t.lastgroup == "name" else _bare(t), text)
    if found := FUNCTIONS.search(unquoted) or LOCKS.search(bare):
        raise _refused(found[0].rstrip("( ").upper())
    return text.rstrip("; \n\t")


def _bare(token: re.Match[str]) -> str:
    if token.lastgroup == "string":
        return " '' "
    return " `` " if token.lastgroup == "name" else " " if token.lastgroup == "comment" else token[0]


def _inner(quoted: str) -> str:
    return f" {quoted[1:-1]} " if quoted[1:-1].isidentifier() else " `` "


def _refused(what: str) -> Refused:
    return Refused(
        "mysql.not-a-read",
        f"This is not only reading ({what}); nothing was sent to the server.",
        "Give one SELECT without locks, files or waiting.",
    )


def without_values(text: str) -> str:
    """The statement with `?` for every value and parameter, comments and runs of space as one space."""
    bare = LEXER.sub(_shown, text)
    bare = re.sub(r"\?(?: \?)+", "?", " ".join(bare.split()))
    bare = re.sub(r"\b(in) ?\( ?\?(?: ?, ?\?)* ?\)", r"\1 (?)", bare, flags=re.IGNORECASE)
    return re.sub(r"\b(values ?\([^()]*\))(?: ?, ?\([^()]*\))+", r"\1", bare, flags=re.IGNORECASE).strip(" ;")


def _shown(token: re.Match[str]) -> str:
    if token.lastgroup in {"string", "number", "given"}:
        return "? "
    return " " if token.lastgroup == "comment" else token[0]


def statements(text: str) -> Iterator[str]:
    """The statements of a file, split at semicolons outside strings, names and comments."""
    start = 0
    for token in LEXER.finditer(text):
        if token.lastgroup == "end":
            yield text[start : token.start()]
            start = token.end()
    yield text[start:]
