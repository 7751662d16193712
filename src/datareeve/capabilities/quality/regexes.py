r"""One regex for all engines: read once, written for each, and replaced by string operations only where they are equal.

A contract's regex is Python's syntax, of which the engines share the greater part. It is parsed by Python's own parser and written out with
nothing left to an engine's taste: classes are spelled (`\d` is [0-9] everywhere), `.` is never a line break, `$` is the very end, case matters.
What an engine cannot do is said at plan time. A pattern that a backtracking engine may need exponential time for is not given to one.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from re import _constants as c  # type: ignore[attr-defined] # the parser of the language's own `re`
from re import _parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any, NamedTuple

from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from datareeve.capabilities.quality.engines.dialect import Dialect

LONGEST = 2000
MOST_REPEATS = 1000  # RE2's bound
ASCII_MOST = 0x7F
CLASSES = {
    c.CATEGORY_DIGIT: "0-9", c.CATEGORY_WORD: "A-Za-z0-9_", c.CATEGORY_SPACE: " \\t\\n\\r\\f\x0b",
}  # fmt: skip
NOT_CLASSES = {c.CATEGORY_NOT_DIGIT: c.CATEGORY_DIGIT, c.CATEGORY_NOT_WORD: c.CATEGORY_WORD, c.CATEGORY_NOT_SPACE: c.CATEGORY_SPACE}  # fmt: skip
SIGNS_OF = {
    c.CATEGORY_DIGIT: frozenset("0123456789"),
    c.CATEGORY_WORD: frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"),
    c.CATEGORY_SPACE: frozenset(" \t\n\r\f\v"),
}
SPECIAL = frozenset(r"\.^$*+?{}[]()|/-")
UNSHARED = (c.ASSERT, c.ASSERT_NOT, c.GROUPREF, c.GROUPREF_EXISTS, c.ATOMIC_GROUP, c.POSSESSIVE_REPEAT)


class Regex(NamedTuple):
    """A regex, read."""

    source: str
    tree: tuple[Any, ...]  # (opcode, argument) as `re._parser` gives them, lists all the way down
    lookaround: bool  # lookahead, lookbehind, back references, atomic groups
    exponential: bool  # a backtracking engine may need exponential time


@lru_cache(maxsize=1024)
def read(source: str) -> Regex:
    """Parse a contract's regex. Errors: `BadInput` `rule.regex`, without the regex itself."""
    try:
        if len(source) > LONGEST:
            raise BadInput(
                "rule.regex",
                f"A pattern is longer than {LONGEST} characters.",
                "Split it into several rules.",
            )
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            parsed = _parser.parse(source, re.ASCII)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        where = (
            f" at character {error.pos + 1}" if isinstance(error, re.error) and error.pos is not None else ""
        )
        raise BadInput("rule.regex", f"A pattern is not a regular expression{where}.", "Write it as Python's `re` takes it.") from None  # fmt: skip
    if parsed.state.flags & ~(re.ASCII | re.UNICODE | re.VERBOSE):
        raise BadInput(
            "rule.regex",
            "A pattern sets flags, which engines do not share.",
            "Spell both cases: [Aa]; any sign: [\\s\\S].",
        )
    tree = tuple(parsed)
    return Regex(source, tree, any(op in UNSHARED for op, _ in _all(tree)), _is_exponential(tree))


def _all(tree: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    for op, argument in tree:
        yield op, argument
        for part in _parts(op, argument):
            yield from _all(part)


def _parts(op: Any, argument: Any) -> list[Any]:
    """The sequences within one node."""
    if op in (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT):
        return [argument[2]]
    if op is c.SUBPATTERN:
        return [argument[3]]
    if op is c.BRANCH:
        return list(argument[1])
    if op in (c.ASSERT, c.ASSERT_NOT):
        return [argument[1]]
    if op is c.ATOMIC_GROUP:
        return [argument]
    return [part for part in argument[1:] if part] if op is c.GROUPREF_EXISTS else []


# -- exponential time ------------------------------------------------------------------------------------------------------------------


def _is_exponential(tree: Iterable[Any]) -> bool:
    """Whether something unbounded is repeated without bound and what repeats can be parted in more than one way.

    It errs on the side of calling a pattern exponential: `(a+b)+` is told from `(a+)+` because b must come between.
    """
    return any(
        op in (c.MAX_REPEAT, c.MIN_REPEAT) and _many(arg) and _ambiguous(_flat(arg[2]))
        for op, arg in _all(tree)
    )


def _flat(sequence: Iterable[Any]) -> list[Any]:
    """A sequence without the groups around parts of it."""
    return [node for op, arg in sequence for node in (_flat(arg[3]) if op is c.SUBPATTERN else [(op, arg)])]


def _many(argument: Any) -> bool:
    return argument[1] is c.MAXREPEAT or argument[1] > 10  # noqa: PLR2004 - 2^10 is still quick


def _ambiguous(body: list[Any]) -> bool:
    """Whether what is repeated begins with what an unbounded part of it may end with."""
    inner = [arg for op, arg in _all(body) if op in (c.MAX_REPEAT, c.MIN_REPEAT) and _many(arg)]
    branches = [arg[1] for op, arg in _all(body) if op is c.BRANCH]
    if (not _least(body) and _first(body)) or any(
        _overlap(list(arg[2]), list(arg[2])) and _may_touch(body, arg) for arg in inner
    ):
        return True
    # The parser moves what alternatives begin with before them, which may leave one of them empty: then the next round follows at once.
    after = _first(body)
    return any(
        _overlap(_flat(a), _flat(b), after)
        for parts in branches
        for n, a in enumerate(parts)
        for b in parts[:n]
    )


def _may_touch(body: list[Any], inner: Any) -> bool:
    """Whether two rounds of the outer repeat can put two runs of `inner` side by side: nothing else must stand between them."""
    signs = _first(list(inner[2]))
    return not any(
        _least([node]) > 0 and not (_first([node]) & signs)
        for node in body
        if inner not in [arg for _, arg in _all([node])]
    )


def _overlap(a: list[Any], b: list[Any], after: frozenset[str] = frozenset()) -> bool:
    """Whether a text may begin as both do; `after`: the signs that may follow them."""
    for one, other in zip(a, b, strict=False):
        if not _first([one]) & _first([other]):
            return False
        if one[0] not in SINGLE or other[0] not in SINGLE:
            return True
    rest = a[len(b) :] or b[len(a) :]
    return not rest or bool(_first(rest) & after) or not _least(rest)


SINGLE = (c.LITERAL, c.NOT_LITERAL, c.IN, c.ANY)
BEYOND = "\u0080"  # stands for all that is not ASCII
EVERY = frozenset(map(chr, range(128))) | {BEYOND}


def _first(sequence: list[Any]) -> frozenset[str]:
    """The signs that a sequence may begin with."""
    found: frozenset[str] = frozenset()
    for op, argument in sequence:
        found |= _first_of(op, argument)
        if _least([(op, argument)]):
            break
    return found


def _first_of(op: Any, argument: Any) -> frozenset[str]:
    if op in (c.LITERAL, c.NOT_LITERAL, c.IN, c.ANY):
        return signs(op, argument)
    parts = _parts(op, argument)
    return frozenset().union(*(_first(list(part)) for part in parts)) if parts else frozenset()


def _least(sequence: list[Any]) -> int:
    """The fewest signs it takes."""
    total = 0
    for op, argument in sequence:
        if op in (c.LITERAL, c.NOT_LITERAL, c.IN, c.ANY):
            total += 1
        elif op in (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT):
            total += argument[0] * _least(list(argument[2]))
        elif op is c.BRANCH:
            total += min(_least(list(part)) for part in argument[1])
        elif op is c.SUBPATTERN:
            total += _least(list(argument[3]))
    return total


def signs(op: Any, argument: Any) -> frozenset[str]:
    """The signs that one place of a pattern takes; all that are not ASCII are one sign, U+0080."""
    if op is c.LITERAL:
        return frozenset((_sign(argument),))
    if op is c.NOT_LITERAL:
        return EVERY - {_sign(argument)} | {BEYOND}
    if op is c.ANY:
        return EVERY - {"\n"}
    found: frozenset[str] = frozenset()
    for kind, value in argument:
        if kind is c.LITERAL:
            found |= {_sign(value)}
        elif kind is c.RANGE:
            low, high = (min(end, ASCII_MOST + 1) for end in value)
            found |= {_sign(n) for n in range(low, high + 1)}
        elif kind is c.CATEGORY:
            found |= SIGNS_OF[value] if value in SIGNS_OF else EVERY - SIGNS_OF[NOT_CLASSES[value]]
    return EVERY - found | {BEYOND} if argument[0][0] is c.NEGATE else found


def _sign(code: int) -> str:
    return chr(code) if code <= ASCII_MOST else BEYOND


# -- writing ---------------------------------------------------------------------------------------------------------------------------


class Syntax(NamedTuple):
    """How an engine's regex says the little that differs."""

    end: str = r"\z"
    start: str = r"\A"
    any: str = r"[^\n]"
    lookaround: bool = True
    hexadecimal: Callable[[int], str] = "\\x{{{:x}}}".format  # a sign by its code
    prefix: str = ""
    vertical_tab: str = r"\v"


def by_u(code: int) -> str:
    r"""A sign by its code, as \u00e9 or \U0001f600: PostgreSQL, Python."""
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - what four digits hold


def written(regex: Regex, syntax: Syntax) -> str:
    """The regex in an engine's words."""
    # Java, PCRE and ICU read \\v as every vertical space.
    return syntax.prefix + _sequence(regex.tree, syntax).replace("\x0b", syntax.vertical_tab)


def _sequence(tree: Iterable[Any], syntax: Syntax) -> str:
    return "".join(_node(op, argument, syntax) for op, argument in tree)


def _node(op: Any, argument: Any, syntax: Syntax) -> str:  # noqa: PLR0911 - one kind a line
    if op is c.LITERAL:
        return _literal(argument)
    if op is c.NOT_LITERAL:
        return f"[^{_literal(argument)}]"
    if op is c.ANY:
        return syntax.any
    if op is c.IN:
        return _class(argument, syntax)
    if op is c.BRANCH:
        return "(?:" + "|".join(_sequence(part, syntax) for part in argument[1]) + ")"
    if op is c.SUBPATTERN:
        if argument[1] or argument[2]:
            raise BadInput("rule.regex", "A pattern changes its flags within.", "Spell both cases: [Aa].")
        return f"(?:{_sequence(argument[3], syntax)})"
    if op in (c.MAX_REPEAT, c.MIN_REPEAT):
        return _repeat(op, argument, syntax)
    if op is c.AT:
        return _anchor(argument, syntax)
    return _looking(op, argument, syntax)


def _literal(code: int) -> str:
    named = {9: r"\t", 10: r"\n", 11: "\x0b", 12: r"\f", 13: r"\r"}
    if code in named:
        return named[code]
    sign = chr(code)
    if code == 0:
        raise BadInput("rule.regex", "A pattern holds a NUL character.", "No text of a database has one.")
    return f"\\{sign}" if sign in SPECIAL and sign not in "/-" else sign


def _class(parts: list[Any], syntax: Syntax) -> str:
    negated = parts[0][0] is c.NEGATE
    inside = "".join(_member(kind, value, syntax) for kind, value in parts[negated:])
    return f"[{'^' if negated else ''}{inside}]"


def _member(kind: Any, value: Any, syntax: Syntax) -> str:
    if kind is c.LITERAL:
        return r"\-" if value == ord("-") else _literal(value)
    if kind is c.RANGE:
        return f"{_member(c.LITERAL, value[0], syntax)}-{_member(c.LITERAL, value[1], syntax)}"
    if value in CLASSES:
        return CLASSES[value]
    return "".join(_complement(SIGNS_OF[NOT_CLASSES[value]], syntax))


def _complement(signs_of: frozenset[str], syntax: Syntax) -> Iterator[str]:
    """All but some ASCII signs, as ranges, within a class."""
    codes, start = sorted(map(ord, signs_of)), 1
    for code in [*codes, 0x10FFFF + 1]:
        if code > start:
            yield _range(start, code - 1, syntax)
        start = code + 1


def _range(low: int, high: int, syntax: Syntax) -> str:
    def said(code: int) -> str:
        return (
            syntax.hexadecimal(code)
            if not 32 <= code < ASCII_MOST  # noqa: PLR2004 - a control character, or beyond ASCII
            else _member(c.LITERAL, code, syntax)
        )

    return said(low) if low == high else f"{said(low)}-{said(high)}"


def _repeat(op: Any, argument: Any, syntax: Syntax) -> str:
    least, most, body = argument
    if least > MOST_REPEATS or (most is not c.MAXREPEAT and most > MOST_REPEATS):
        raise BadInput(
            "rule.regex",
            f"A pattern repeats something more than {MOST_REPEATS} times.",
            "Use a rule about the length.",
        )
    what = _sequence(body, syntax)
    single = len(body) == 1 and body[0][0] in (c.LITERAL, c.NOT_LITERAL, c.IN, c.ANY, c.SUBPATTERN, c.BRANCH)
    what = what if single else f"(?:{what})"
    times = {(0, c.MAXREPEAT): "*", (1, c.MAXREPEAT): "+", (0, 1): "?"}.get((least, most))
    upper = "" if most is c.MAXREPEAT else most
    times = times or "{" + (f"{least}" if least == most else f"{least},{upper}") + "}"
    return what + times + ("?" if op is c.MIN_REPEAT else "")


def _anchor(place: Any, syntax: Syntax) -> str:
    if place in (c.AT_BEGINNING, c.AT_BEGINNING_STRING):
        return syntax.start
    if place in (c.AT_END, c.AT_END_STRING):
        return syntax.end
    raise BadInput(
        "rule.regex",
        "A pattern asks for a word boundary, which engines draw differently.",
        "Spell what may stand before and after.",
    )


def _looking(op: Any, argument: Any, syntax: Syntax) -> str:
    if not syntax.lookaround or op not in (c.ASSERT, c.ASSERT_NOT):
        raise BadInput("rule.regex", "A pattern has lookaround, a back reference or an atomic group, which this engine does not know.", "Write it without.")  # fmt: skip
    direction, body = argument
    sign = {(c.ASSERT, 1): "?=", (c.ASSERT_NOT, 1): "?!", (c.ASSERT, -1): "?<=", (c.ASSERT_NOT, -1): "?<!"}[
        op, direction
    ]
    return f"({sign}{_sequence(body, syntax)})"


# -- as string operations --------------------------------------------------------------------------------------------------------------


def condition(dialect: Dialect, column: str, source: str, syntax: Syntax) -> str:
    """The SQL condition that a text has the pattern in it. Errors: `BadInput` `rule.regex` where this engine cannot."""
    regex = read(source)
    if not regex.lookaround:
        regex = regex._replace(tree=tuple(_trimmed(list(regex.tree))))
    equal = _as_strings(dialect, column, list(regex.tree))
    if equal:
        return equal
    if regex.exponential and dialect.backtracks:
        raise BadInput("rule.regex", "A pattern may take exponential time on this engine, which backtracks.", "Write it without a repeat within a repeat: [ab]+ for (a|b+)+.")  # fmt: skip
    return dialect.matches(column, written(regex, syntax))


def _as_strings(dialect: Dialect, column: str, tree: list[Any]) -> str:
    """The same as comparisons of strings; '' where none is known to be equal.

    `$` is Python's end: of the string, as everywhere here (`written` says so too). Text is compared by code point.
    """
    at_start = bool(tree) and tree[0] in ((c.AT, c.AT_BEGINNING), (c.AT, c.AT_BEGINNING_STRING))
    at_end = bool(tree) and tree[-1] in ((c.AT, c.AT_END), (c.AT, c.AT_END_STRING))
    middle = tree[at_start : len(tree) - at_end]
    text = column
    if all(op is c.LITERAL and argument for op, argument in middle):
        return _literals(
            dialect, text, "".join(chr(argument) for _, argument in middle), start=at_start, end=at_end
        )
    if not (at_start and at_end):
        return ""
    return (
        _alternatives(dialect, text, middle)
        or _run_of_one_class(dialect, text, middle)
        or _fixed(dialect, text, middle)
    )


def _literals(dialect: Dialect, text: str, word: str, *, start: bool, end: bool) -> str:
    if start and end:
        return dialect.equal(text, word)
    if not word:
        return f"{text} = {text}"  # of NULL it is neither true nor false
    asked = dialect.starts if start else dialect.ends if end else dialect.contains
    return asked(text, word)


def _alternatives(dialect: Dialect, text: str, middle: list[Any]) -> str:
    """^(?:a|b|c)$: a set."""
    while len(middle) == 1 and middle[0][0] is c.SUBPATTERN and not (middle[0][1][1] or middle[0][1][2]):
        middle = list(middle[0][1][3])
    words = _words(middle)
    return dialect.among(text, sorted(words)) if words else ""


MOST_WORDS = 200


def _words(sequence: list[Any]) -> set[str]:
    """Every text that a sequence stands for, where they are few; the parser has moved common beginnings out of alternatives."""
    found = {""}
    for op, argument in sequence:
        if op is c.LITERAL:
            some = {chr(argument)}
        elif op is c.IN and argument[0][0] is not c.NEGATE and BEYOND not in signs(op, argument):
            some = set(signs(op, argument))
        elif op is c.BRANCH:
            parts = [_words(list(part)) if part else {""} for part in argument[1]]
            some = set().union(*parts) if all(parts) else set()
        elif op is c.SUBPATTERN and not (argument[1] or argument[2]):
            some = _words(list(argument[3]))
        else:
            return set()
        found = {before + after for before in found for after in some}
        if not some or len(found) > MOST_WORDS:
            return set()
    return found


def _run_of_one_class(dialect: Dialect, text: str, middle: list[Any]) -> str:
    """^[class]{m,n}$: so many signs, of one class."""
    if len(middle) != 1 or middle[0][0] not in (c.MAX_REPEAT, c.MIN_REPEAT):
        return ""
    least, most, body = middle[0][1]
    if len(body) != 1 or body[0][0] not in (c.LITERAL, c.IN):
        return ""
    taken = signs(*body[0])
    if BEYOND in taken or "\0" in taken:
        return ""
    made = dialect.only_of(
        text, "".join(sorted(taken)), int(least), None if most is c.MAXREPEAT else int(most)
    )
    return f"({made})" if made else ""


def _fixed(dialect: Dialect, text: str, middle: list[Any]) -> str:
    """^N[0-9]{3}[A-Z]{2,3}$: the signs of each place, for each of the few lengths that there are."""
    forms: list[list[frozenset[str]]] = [[]]
    for op, argument in middle:
        repeat = op in (c.MAX_REPEAT, c.MIN_REPEAT)
        least, most, body = argument if repeat else (1, 1, [(op, argument)])
        if len(body) != 1 or body[0][0] not in (c.LITERAL, c.IN) or most is c.MAXREPEAT:
            return ""
        taken = signs(*body[0])
        if (
            BEYOND in taken
            or "\0" in taken
            or (most - least + 1) * len(forms) > MOST_FORMS
            or most > MOST_WORDS
        ):
            return ""
        forms = [[*form, *[taken] * times] for form in forms for times in range(least, most + 1)]
    made = [dialect.of_places(text, form) for form in forms]
    return f"({' OR '.join(made)})" if all(made) else ""


MOST_FORMS = 4  # lengths, each of which is asked apart


def _trimmed(tree: list[Any]) -> list[Any]:
    """The same for whether there is a match: at an end that is not anchored, x{m,n} is x{m}, x+ is x, and x* is nothing."""
    parts = list(tree)
    for end in (0, -1):
        while parts and parts[end][0] in (c.MAX_REPEAT, c.MIN_REPEAT):
            op, (least, most, body) = parts[end]
            if least:
                parts[end] = (op, (least, least, body)) if most != least else parts[end]
                break
            parts.pop(end)
    return parts
