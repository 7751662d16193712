"""The pipelines of a project: where they lie, and the one that is meant, read and checked against what is around it."""

from __future__ import annotations

import difflib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from datareeve.capabilities.pipelines import spec_checks, spec_errors, spec_python
from datareeve.capabilities.pipelines.spec import Pipeline
from datareeve.capabilities.pipelines.spec_errors import Problem
from datareeve.core.errors import BadInput, DatareeveError
from datareeve.core.value import Value, fingerprint
from datareeve.core.yaml_text import Document, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from datareeve.capabilities.pipelines.spec import Load, Model
    from datareeve.core.operation import Systems

PYTHON = ".py"
NAME = r"letters, digits, _ and -"
UNBUILT = {  # what changes nothing of what is built: who owns it, when it runs, what it must keep, how fast it goes
    "description", "owner", "contract", "change_budget", "schedule", "environments",
}  # fmt: skip
UNBUILT_LOAD = {"parallel", "rows_per_second", "to"}
UNBUILT_MODEL = {"sql", "query", "unit_tests", "to"}


class LoadedPipeline(Value):
    """A pipeline as it stands."""

    name: str
    path: str
    pipeline: Pipeline
    sql: dict[str, str]  # by model: its SELECT, wherever it is written
    digest: str  # of all that changes what is built
    warnings: tuple[str, ...] = ()  # with their places


def paths(systems: Systems) -> dict[str, str]:
    """The project's pipelines by name, with their paths. Errors: `BadInput` `pipelines.two` for two of one name."""
    code = systems["pipeline-code"]
    found: dict[str, str] = {}
    for path in systems["files"].read("named", patterns=code.read("settings")["files"]):
        if path.endswith(PYTHON) and not _says_a_pipeline(systems, path):
            continue
        name = PurePosixPath(path).stem
        if name in found:
            raise BadInput(
                "pipelines.two", f"{found[name]} and {path} are pipelines of one name.", "Rename one of them."
            )
        found[name] = path
    return found


def load(systems: Systems, name: str) -> LoadedPipeline:
    """A pipeline by its name or path, read and checked.

    Errors: `BadInput` `pipelines.unknown` with the nearest, `pipelines.name`, `pipelines.two`, `pipelines.syntax`, `pipelines.python`, and
    `pipelines.invalid` with every mistake, each with its place.
    """
    known = paths(systems)
    path = _path_of(systems, name, known)
    name = PurePosixPath(path).stem
    if not name.replace("-", "_").isidentifier() and not name.replace("-", "_").isalnum():
        raise BadInput("pipelines.name", f"{path}: a pipeline is named by its file, with {NAME}.", "Rename the file.")  # fmt: skip
    document = _document(systems, path)
    pipeline, texts, problems = checked(systems, path, document, known)
    spec_errors.refuse(path, problems, document)
    if pipeline is None:
        raise BadInput("pipelines.invalid", f"{path} cannot be read as a pipeline.", "Compare it with docs/how-to/pipelines.md.")  # fmt: skip
    return LoadedPipeline(
        name=name,
        path=path,
        pipeline=pipeline,
        sql=texts,
        digest=digest(pipeline, texts, _code(systems, path, pipeline)),
        warnings=tuple(spec_errors.told(path, problems, document)),
    )


def checked(
    systems: Systems, path: str, document: Document, known: Mapping[str, str]
) -> tuple[Pipeline | None, dict[str, str], list[Problem]]:
    """A pipeline as far as it can be read, the SELECTs of its models, and all that is wrong; `known` are the others, by name."""
    pipeline, problems = spec_errors.read(document.data)
    if pipeline is None:
        return None, {}, problems
    name = PurePosixPath(path).stem
    texts, missing = _texts(systems, path, pipeline)
    around = _around(systems, known, name, pipeline)
    return pipeline, texts, [*problems, *missing, *spec_checks.problems(name, pipeline, around)]


def digest(pipeline: Pipeline, texts: Mapping[str, str], code: Mapping[str, str] | None = None) -> str:
    """Of everything that changes what is built: the same however the pipeline is written, and whoever owns it."""
    said = pipeline.model_dump(mode="json", by_alias=True, exclude=UNBUILT)
    for name, one in said["loads"].items():
        said["loads"][name] = {key: value for key, value in one.items() if key not in UNBUILT_LOAD}
        said["loads"][name]["to"] = one["to"] or name
    for name, one in said["models"].items():
        said["models"][name] = {key: value for key, value in one.items() if key not in UNBUILT_MODEL}
        said["models"][name] |= {"to": one["to"] or name, "select": texts.get(name, "")}
    return fingerprint({"pipeline": said, "code": dict(code or {})})


# -- files ------------------------------------------------------------------------------------------------------------------------------


def _path_of(systems: Systems, name: str, known: Mapping[str, str]) -> str:
    if name in known or name in known.values():
        return known.get(name, name)
    modules = systems["files"].read("named", patterns=systems["pipeline-code"].read("settings")["files"])
    module = next((one for one in modules if name in (one, PurePosixPath(one).stem)), None)
    if module is not None:
        raise BadInput("pipelines.unknown", f"{module} says no pipeline.", "Write `pipeline = Pipeline(...)` in it.")  # fmt: skip
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    there = (
        f"There are: {', '.join(known)}."
        if known
        else "There are none yet: `datareeve run pipelines.new` writes one from a source that it has looked at."
    )
    raise BadInput("pipelines.unknown", f"There is no pipeline {name[:100]!r}.{hint}", there)


def _text(systems: Systems, path: str) -> str:
    text: str | None = systems["pipeline-code"].read("text", path=path)
    if text is None:
        raise BadInput(
            "pipelines.unknown", f"{path} has vanished.", "Look whether something is at work in that folder."
        )
    return text


def _says_a_pipeline(systems: Systems, path: str) -> bool:
    try:
        return spec_python.is_pipeline(_text(systems, path))
    except BadInput:
        return True  # what is wrong with it is told where it is asked for


def _document(systems: Systems, path: str) -> Document:
    text = _text(systems, path)
    if path.endswith(PYTHON):
        return spec_python.read(systems, path, text)
    return parse(text, path, "pipelines.syntax")


def _texts(systems: Systems, path: str, pipeline: Pipeline) -> tuple[dict[str, str], list[Problem]]:
    """The SELECT of each model, and the files that are not there."""
    found, problems = {}, []
    for name, model in pipeline.models.items():
        text, why = (
            (model.query or "", "is empty") if model.sql is None else _beside(systems, path, model.sql)
        )
        found[name] = text
        if not text.strip():
            problems.append(Problem(("models", name, "query" if model.sql is None else "sql"), why))
    return found, problems


def _beside(systems: Systems, path: str, sql: str) -> tuple[str, str]:
    """A file beside the pipeline's, and why there is nothing in it."""
    parts = PurePosixPath(sql).parts
    if sql.startswith("/") or ".." in parts or "\\" in sql or not parts:
        return "", f"{sql[:100]!r} leads elsewhere: name a file beside the pipeline, without `..`"
    folder = PurePosixPath(path).parent
    where = str(folder / sql)
    try:
        text = systems["pipeline-code"].read("text", path=where)
    except BadInput as error:
        return "", error.what.rstrip(".")
    if text is None:
        there = (PurePosixPath(one).name for one in systems["files"].read("named", patterns=[str(folder / "*.sql")]))  # fmt: skip
        return "", f"there is no {where}{spec_errors.nearest(sql, there)}"
    return text, f"{where} is empty"


def _code(systems: Systems, path: str, pipeline: Pipeline) -> dict[str, str]:
    """The digests of the project's own code that rows come from."""
    files, found = systems["files"], {}
    for name, one in pipeline.loads.items():
        reference = one.source.python or (one.source.dlt.source if one.source.dlt else "")
        for file in spec_python.code_files(reference, path) if reference else ():
            seen = files.read("digest", path=file)
            if seen is not None:
                found[name] = seen
                break
    return found


# -- what is around it ------------------------------------------------------------------------------------------------------------------


def _around(systems: Systems, known: Mapping[str, str], name: str, pipeline: Pipeline) -> spec_checks.Around:
    settings = systems["pipeline-code"].read("settings")
    contracts = systems["files"].read("named", patterns=settings["contracts"]) if pipeline.contract else []
    return spec_checks.Around(
        systems=settings["systems"],
        pipelines=_others(systems, known, name, pipeline),
        contracts=[*contracts, *(PurePosixPath(one).stem for one in contracts)],
        pools=tuple(settings["pools"]),
    )


def _others(
    systems: Systems, known: Mapping[str, str], name: str, pipeline: Pipeline
) -> dict[str, spec_checks.Written]:
    """The other pipelines, read as far as this one must know them: those that it runs after, and those that name a table of its own."""
    found = dict.fromkeys(known, spec_checks.Written())
    wanted = list(pipeline.schedule.after) if pipeline.schedule else []
    read: set[str] = {name}
    found[name] = spec_checks.Written(after=tuple(wanted), tables=spec_checks.tables_of(pipeline))
    while wanted:
        one = wanted.pop()
        if one in known and one not in read:
            read.add(one)
            found[one] = _written(systems, known[one])
            wanted += found[one].after
    for one in _naming(
        systems, {other: path for other, path in known.items() if other not in read}, pipeline
    ):
        found[one] = _written(systems, known[one])
    return found


def _naming(systems: Systems, others: Mapping[str, str], pipeline: Pipeline) -> Iterator[str]:
    """Those whose text has the target and a table of this one: reading all of them in full takes long."""
    parts: dict[str, Load | Model] = {**pipeline.loads, **pipeline.models}
    tables = [(part.to or name).rpartition(".")[2].casefold() for name, part in parts.items()]
    system = pipeline.target.system.casefold()
    for other, path in others.items():
        try:
            text = _text(systems, path).casefold()
        except BadInput:
            continue
        if system in text and any(table in text for table in tables):
            yield other


def _written(systems: Systems, path: str) -> spec_checks.Written:
    """What another pipeline publishes, and after whom it runs; nothing where it cannot be read: that is told where it is asked for itself."""
    try:
        data: Any = _document(systems, path).data
        pipeline = Pipeline.model_validate(data)
    except (DatareeveError, ValidationError):
        return spec_checks.Written()
    after = pipeline.schedule.after if pipeline.schedule else ()
    return spec_checks.Written(after=after, tables=spec_checks.tables_of(pipeline))
