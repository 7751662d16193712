"""Functions of numbers and texts that all engines have, and why those that are missing here are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from datareeve.capabilities.pipelines.models import casts, dates, kinds
from datareeve.capabilities.pipelines.models.kinds import BOOL, DOUBLE, INT4, INT8, TEXT
from datareeve.capabilities.pipelines.models.scopes import LOST, Scope, Term
from datareeve.capabilities.pipelines.models.words import SPACES

if TYPE_CHECKING:
    from datareeve.capabilities.pipelines.models.writer import Writer

LETTERS = "translate(x, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz'), with the other letters that matter"
OTHERWISE = (
    "it is not known to mean the same on DuckDB, PostgreSQL and Spark",
    "what docs/how-to/models.md lists, or leave the model on the engine whose dialect it is in",
)
RANDOM = ("each run makes others", "a column that is loaded, or md5 of the keys")
INEXACT = (
    "its last digits, or all of it, depend on the engine",
    "sums and counts of decimals, divided at the end",
)
ANY_ROW = (
    "it takes any row that comes first",
    "min(x) or max(x), or row_number() with an order that is unique",
)
LISTS = (
    "lists, structs and JSON are not the same types everywhere",
    "one row for each element, or text that string_agg makes in an order",
)
MATHS = ("mathematical libraries differ in the last digit", "decimals, or a rounded column that is loaded")
BYTES = ("it counts bytes or other units than characters", "length(x), left, right, substring of characters")
MATCHES = (
    "what a pattern matched first or longest differs between RE2, PostgreSQL and Java",
    "split_part, replace, substring, or a CASE over LIKE",
)
WHY: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("rand", "random", "uuid", "gen_random_uuid", "uuidv7", "uuidv4", "setseed", "monotonically_increasing_id", "randn"), RANDOM),
    **dict.fromkeys(("approx_distinct", "approx_count_distinct", "approx_quantile", "approx_top_k", "median", "percentile_cont", "percentile_disc", "quantile", "quantile_cont", "quantile_disc", "stddev", "stddev_pop", "stddev_samp", "variance", "variance_pop", "corr", "covar_pop", "covar_samp", "reservoir_quantile", "mode"), INEXACT),
    **dict.fromkeys(("any_value", "first", "last", "arbitrary", "arg_max", "arg_min", "max_by", "min_by", "ignore_nulls"), ANY_ROW),
    **dict.fromkeys(("array", "array_agg", "struct", "list", "map", "unnest", "explode", "json_object", "json_extract", "json_extract_scalar", "json_array", "parse_json", "array_length", "array_size", "dot", "bracket", "cardinality", "collect_list", "jsonb_build_object", "json_build_object", "to_json", "from_json", "string_to_array", "split"), LISTS),
    **dict.fromkeys(("pow", "power", "ln", "log", "exp", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "cbrt", "degrees", "radians"), MATHS),
    **dict.fromkeys(("lower", "upper", "initcap", "i_like", "ilike"), ("letters beyond ASCII have other upper and lower case by engine and locale", LETTERS)),
    **dict.fromkeys(("byte_length", "octet_length", "reverse", "ascii", "unicode", "chr", "bit_length", "strlen"), BYTES),
    **dict.fromkeys(("regexp_replace", "regexp_extract", "regexp_extract_all", "regexp_i_like", "regexp_ilike", "regexp_split", "regexp_count", "similar_to", "similarto", "regexpilike", "regexp_full_match"), MATCHES),
    **dict.fromkeys(("hash", "farm_fingerprint", "xxhash64", "hashtext", "crc32"), ("each engine hashes in its own way", "md5(text)")),
    **dict.fromkeys(("interval",), ("intervals are not the same type everywhere", "days as a whole number, or two columns of moments")),
    **dict.fromkeys(("qualify", "lateral"), ("it is not in all engines", "a subquery")),
}  # fmt: skip


# -- numbers -----------------------------------------------------------------------------------------------------------------------------


def _number(writer: Writer, node: exp.Expression, scope: Scope) -> Term:
    term = writer.value(node.this, scope)
    if term.known and not kinds.is_number(term.kind):
        return writer.refuse(
            node,
            "numeric" if term.kind == kinds.NUMERIC else "type",
            f"{term.kind.name} is not a number with the same digits everywhere",
            "a cast to a whole number, DECIMAL(p, s) or DOUBLE",
        )
    return term


def _absolute(writer: Writer, node: Any, scope: Scope) -> Term:
    term = _number(writer, node, scope)
    return writer.term(f"ABS({term.sql})", term.kind, term) if term.known else LOST


def _sign(writer: Writer, node: Any, scope: Scope) -> Term:
    term = _number(writer, node, scope)
    if not term.known:
        return LOST
    if writer.dialect != "duckdb" or term.kind == DOUBLE:
        return writer.refuse(
            node,
            "type",
            "its type differs between engines",
            "CASE WHEN x > 0 THEN 1 WHEN x < 0 THEN -1 ELSE 0 END",
        )
    return writer.term(writer.words.cast(f"SIGN({term.sql})", INT4), INT4, term)


def _root(writer: Writer, node: Any, scope: Scope) -> Term:
    term = _number(writer, node, scope)
    if not term.known:
        return LOST
    if writer.dialect == "spark" or (writer.dialect == "postgres" and term.kind.name == "decimal"):
        return writer.refuse(
            node,
            "root",
            "a root of a negative number, or of a numeric, differs between engines",
            "sqrt(CAST(x AS DOUBLE PRECISION)), in dialect postgres or duckdb",
        )
    of = casts.widen(writer, term, DOUBLE)
    inner = (
        f"(CASE WHEN {of.sql} < 0 THEN {writer.words.fail('root of a negative number')} ELSE {of.sql} END)"
        if writer.words.spark
        else of.sql
    )
    return writer.term(f"SQRT({inner})", DOUBLE, of)


def _round(writer: Writer, node: Any, scope: Scope) -> Term:
    term, places = _number(writer, node, scope), node.args.get("decimals")
    if not term.known:
        return LOST
    digits = (
        0
        if places is None
        else int(places.name)
        if isinstance(places, exp.Literal) and places.name.isdigit()
        else -1
    )
    if digits < 0 or digits > 15:  # noqa: PLR2004 - a double has no more
        return writer.refuse(
            node, "round", "places that are negative or not written out are not rounded alike", "round(x, 2)"
        )
    if term.kind.name == "decimal":
        to = kinds.decimal(
            term.kind.digits - term.kind.scale + min(digits, term.kind.scale) + 1,
            min(digits, term.kind.scale),
        )
        return writer.term(writer.words.cast(f"ROUND({term.sql}, {digits})", to), to, term)
    if term.kind.name == "int" and writer.dialect != "postgres":
        return term
    return _round_double(writer, node, casts.widen(writer, term, DOUBLE), digits)


def _round_double(writer: Writer, node: Any, term: Term, digits: int) -> Term:
    if writer.dialect == "postgres":
        if digits:
            return writer.unknown(node)
        return writer.term(writer.words.nearest(term.sql), DOUBLE, term)
    if writer.dialect == "spark" and digits:
        return writer.refuse(
            node,
            "round",
            "Spark rounds a double by its shortest digits, others by its bits",
            "round(CAST(x AS DECIMAL(18, 4)), 2), or dialect duckdb",
        )
    if not digits:
        return writer.term(casts.half_away(writer, term.sql), DOUBLE, term)
    if writer.words.duckdb:
        return writer.term(f"ROUND({term.sql}, {digits})", DOUBLE, term)
    unit = writer.double_literal(10**digits)
    return writer.term(f"({casts.half_away(writer, f'({term.sql} * {unit})')} / {unit})", DOUBLE, term)


def _whole(writer: Writer, node: Any, scope: Scope) -> Term:
    """Floor and ceil."""
    term, name = _number(writer, node, scope), "FLOOR" if isinstance(node, exp.Floor) else "CEIL"
    if not term.known:
        return LOST
    if node.args.get("decimals") is not None or (writer.dialect == "spark" and term.kind == DOUBLE):
        return writer.refuse(node, "round", "engines give other types for it", "floor of a decimal")
    if term.kind.name == "decimal":
        to = kinds.decimal(term.kind.digits - term.kind.scale + 1, 0)
        return writer.term(writer.words.cast(f"{name}({term.sql})", to), to, term)
    if term.kind.name == "int" and writer.dialect == "spark":
        return casts.widen(writer, term, INT8)
    of = casts.widen(writer, term, DOUBLE)
    if not writer.words.spark:
        return writer.term(f"{name}({of.sql})", DOUBLE, of)
    near, one, none = writer.words.nearest(of.sql), writer.double_literal(1), writer.double_literal(0)
    sign, beyond = ("-", ">") if name == "FLOOR" else ("+", "<")
    return writer.term(
        f"({near} {sign} CASE WHEN {near} {beyond} {of.sql} THEN {one} ELSE {none} END)", DOUBLE, of
    )


# -- texts -------------------------------------------------------------------------------------------------------------------------------


def _texts(writer: Writer, node: Any, scope: Scope, *parts: Any) -> list[Term] | None:
    """Parts as texts; None, and a refusal, where one is none."""
    terms = [writer.value(one, scope) for one in parts]
    if not all(term.known for term in terms):
        return None
    if not all(term.kind in (TEXT, kinds.NULL) for term in terms):
        writer.refuse(node, "type", "engines make other texts of what is none", "CAST(x AS VARCHAR)")
        return None
    return terms


def _written_out(node: Any, *, least: int = 0) -> bool:
    """Whether it is a whole number that is written out, of at least so much."""
    return (
        isinstance(node, exp.Literal)
        and not node.is_string
        and node.name.isdigit()
        and int(node.name) >= least
    )


def _some_text(node: Any) -> bool:
    """Whether it is a text in quotes, not an empty one."""
    return isinstance(node, exp.Literal) and node.is_string and bool(node.name)


def _length(writer: Writer, node: Any, scope: Scope) -> Term:
    made = _texts(writer, node, scope, node.this)
    if made is None:
        return LOST
    kind = INT8 if writer.dialect == "duckdb" else INT4
    return writer.term(
        writer.words.cast(f"{'CHAR_LENGTH' if not writer.words.duckdb else 'LENGTH'}({made[0].sql})", kind),
        kind,
        *made,
    )


def _substring(writer: Writer, node: Any, scope: Scope) -> Term:
    made, start, length = (
        _texts(writer, node, scope, node.this),
        node.args.get("start"),
        node.args.get("length"),
    )
    if made is None:
        return LOST
    if not _written_out(start, least=1) or not (length is None or _written_out(length)):
        return writer.refuse(
            node,
            "substring",
            "a start of 0 or less, and a negative length, mean other things by engine",
            "a start of 1 or more and a length, both written out; right(x, n) from the end",
        )
    rest = f", {length.name}" if length is not None else ""
    return writer.term(f"SUBSTRING({made[0].sql}, {start.name}{rest})", TEXT, *made)


def _end(writer: Writer, node: Any, scope: Scope) -> Term:
    """Left and right."""
    made = _texts(writer, node, scope, node.this)
    if made is None:
        return LOST
    if not _written_out(node.expression):
        return writer.refuse(
            node,
            "substring",
            "a negative number of characters means other things by engine",
            "a number of 0 or more, written out",
        )
    return writer.term(
        f"{'LEFT' if isinstance(node, exp.Left) else 'RIGHT'}({made[0].sql}, {node.expression.name})",
        TEXT,
        *made,
    )


def _trim(writer: Writer, node: Any, scope: Scope) -> Term:
    made, characters = _texts(writer, node, scope, node.this), node.expression
    if made is None:
        return LOST
    if characters is not None and not _some_text(characters):
        return writer.refuse(node, "trim", "characters that are not written out", "trim(x, ' ')")
    own = SPACES if writer.dialect == "duckdb" else " "
    text = characters.name if characters is not None else own
    return writer.term(
        writer.words.trimmed(made[0].sql, node.args.get("position") or "BOTH", text), TEXT, *made
    )


def _replace(writer: Writer, node: Any, scope: Scope) -> Term:
    parts = (node.this, node.expression, node.args.get("replacement"))
    made = _texts(writer, node, scope, *parts) if all(part is not None for part in parts) else None
    if made is None:
        return LOST if parts[2] is not None else writer.unknown(node)
    if not _some_text(node.expression):
        return writer.refuse(
            node,
            "replace",
            "an empty text is found nowhere or everywhere, by engine",
            "a text in quotes that is replaced",
        )
    return writer.term(f"REPLACE({', '.join(one.sql for one in made)})", TEXT, *made)


def _translate(writer: Writer, node: Any, scope: Scope) -> Term:
    pair = [node.args.get("from_"), node.args.get("to")]
    made = _texts(writer, node, scope, node.this, *pair)
    if made is None:
        return LOST
    if (
        not all(isinstance(one, exp.Literal) for one in pair)
        or len(set(pair[0].name)) != len(pair[0].name)
        or len(pair[1].name) > len(pair[0].name)
    ):
        return writer.refuse(
            node,
            "translate",
            "letters that are given twice, or have none to become",
            "letters in quotes, each once",
        )
    return writer.term(f"TRANSLATE({', '.join(one.sql for one in made)})", TEXT, *made)


def _position(writer: Writer, node: Any, scope: Scope) -> Term:
    made = _texts(writer, node, scope, node.this)
    if made is None:
        return LOST
    if not _some_text(node.args.get("substr")) or node.args.get("position") is not None:
        return writer.refuse(node, "position", "an empty text is at 0 or at 1, by engine", "a text in quotes")
    name, kind = "INSTR" if writer.words.spark else "STRPOS", INT8 if writer.dialect == "duckdb" else INT4
    found = f"{name}({made[0].sql}, {writer.words.text(node.args['substr'].name)})"
    return writer.term(writer.words.cast(found, kind), kind, *made)


def _starts(writer: Writer, node: Any, scope: Scope) -> Term:
    made = _texts(writer, node, scope, node.this)
    if made is None:
        return LOST
    if not _some_text(node.expression):
        return writer.refuse(node, "position", "what it begins with is not written out", "a text in quotes")
    text = node.expression.name
    start = f"LEFT({made[0].sql}, {len(text)})"
    return writer.term(f"({start} = {writer.words.text(text)})", BOOL, *made)


def _contains(writer: Writer, node: Any, scope: Scope) -> Term:
    made = _texts(writer, node, scope, node.this)
    if made is None:
        return LOST
    if not _some_text(node.expression):
        return writer.refuse(node, "position", "what it contains is not written out", "a text in quotes")
    name = "INSTR" if writer.words.spark else "STRPOS"
    return writer.term(f"({name}({made[0].sql}, {writer.words.text(node.expression.name)}) > 0)", BOOL, *made)


def _split_part(writer: Writer, node: Any, scope: Scope) -> Term:
    made = _texts(writer, node, scope, node.this)
    if made is None:
        return LOST
    place = node.args.get("part_index")
    if not _some_text(node.args.get("delimiter")) or not _written_out(place, least=1):
        return writer.refuse(
            node,
            "split",
            "an empty delimiter, and parts from the end, differ between engines",
            "split_part(x, '-', 1), both written out",
        )
    return writer.term(
        f"SPLIT_PART({made[0].sql}, {writer.words.text(node.args['delimiter'].name)}, {place.name})",
        TEXT,
        *made,
    )


def _pad(writer: Writer, node: Any, scope: Scope) -> Term:
    made, fill = _texts(writer, node, scope, node.this), node.args.get("fill_pattern")
    if made is None:
        return LOST
    if not _written_out(node.expression) or (fill is not None and not _some_text(fill)):
        return writer.refuse(node, "pad", "a length or filling that is not written out", "lpad(x, 10, '0')")
    text = writer.words.text(fill.name if fill is not None else " ")
    return writer.term(
        f"{'LPAD' if node.args.get('is_left') else 'RPAD'}({made[0].sql}, {node.expression.name}, {text})",
        TEXT,
        *made,
    )


def _joined(writer: Writer, node: Any, scope: Scope) -> Term:
    """concat_ws, which leaves NULL out everywhere."""
    first, *rest = node.expressions
    terms = [casts.as_text(writer, one, writer.value(one, scope)) for one in rest]
    if not (isinstance(first, exp.Literal) and first.is_string):
        return writer.refuse(node, "concat", "a separator that is not written out", "a text in quotes")
    if not all(term.known for term in terms):
        return LOST
    return writer.term(
        f"CONCAT_WS({', '.join([writer.words.text(first.name), *(one.sql for one in terms)])})", TEXT, *terms
    )


def _md5(writer: Writer, node: Any, scope: Scope) -> Term:
    made = _texts(writer, node, scope, node.this)
    return writer.term(f"MD5({made[0].sql})", TEXT, *made) if made else LOST


def _anonymous(writer: Writer, node: Any, scope: Scope) -> Term:
    handler = dates.CALLED.get(node.name.lower())
    return handler(writer, node, scope) if handler else writer.unknown(node)


HANDLERS: dict[type, Any] = {
    exp.Abs: _absolute,
    exp.Sign: _sign,
    exp.Sqrt: _root,
    exp.Round: _round,
    exp.Floor: _whole,
    exp.Ceil: _whole,
    exp.Length: _length,
    exp.Substring: _substring,
    exp.Left: _end,
    exp.Right: _end,
    exp.Trim: _trim,
    exp.Replace: _replace,
    exp.Translate: _translate,
    exp.StrPosition: _position,
    exp.StartsWith: _starts,
    exp.Contains: _contains,
    exp.SplitPart: _split_part,
    exp.Pad: _pad,
    exp.ConcatWs: _joined,
    exp.MD5: _md5,
    exp.Anonymous: _anonymous,
}
