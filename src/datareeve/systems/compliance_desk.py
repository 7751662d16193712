"""What is written about subjects: the bundle of one's own data, and the proof of an erasure. A built-in system, `compliance`.

It follows the reference to a subject's key; nothing it answers holds the key itself. A bundle is a file for the subject alone, and the only
thing that holds values; a proof holds counts, digests and the signature of this project.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

from datareeve.core import clock
from datareeve.core.errors import BadInput, Failed
from datareeve.core.estate import ESTATE_FILE
from datareeve.core.value import canonical
from datareeve.systems import proof_page
from datareeve.systems.adapter import Adapter, effects, reads
from datareeve.systems.estate_file import EstateFile
from datareeve.systems.files import allowed_path, inside_path, replace_file
from datareeve.systems.keyed import Keyed
from datareeve.systems.secret_references import resolver
from datareeve.systems.subject_shapes import Sought, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from datareeve.core.ledger import Entry, Ledger
    from datareeve.core.operation import Systems

OWNER_ONLY = 0o600
LATEST = 1_000  # samples of a name, among which a run's own is looked for
ABOUT = "about.json"
BUNDLES = "data/subject-access"  # where bundles are written by default
PROOF_STEP = "write the proof"  # that ends an erasure
SHOWN = 12  # digits of a person's digest that the summary of a plan shows
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # a bundle of the same data is the same bytes


class ComplianceDesk(Adapter):
    """Bundles and proofs of one project."""

    kind = "compliance"

    def __init__(
        self, systems: Systems, ledger: Callable[[], Ledger], project: Path, allowed: tuple[str, ...]
    ) -> None:
        super().__init__("compliance")
        self._systems = systems
        self._ledger = ledger
        self._project = project.resolve()
        self._allowed = allowed
        self._keyed = Keyed(project)

    # -- the subject ---------------------------------------------------------------------------------------------------------------

    @reads
    def sought(self, subject: str, reference: str, names: list[str]) -> dict[str, Any]:
        """Who a reference leads to, as keyed digests. Errors: `BadInput` `secret.missing`, naming the reference."""
        key = resolver(self._project)(reference).reveal().strip()
        if not key:
            raise BadInput("secret.missing", f"Nothing is stored at {reference}.", "Put the subject's key there.")  # fmt: skip
        digest = self._keyed.subject(subject, key)
        found = Sought(
            subject=subject,
            digest=digest,
            reference=reference,
            traces=(self._keyed.key_trace(key, digest),),
            names=tuple(names),
        )
        return found.model_dump(mode="json")

    @reads
    def names_still(self, subject: str, reference: str, digest: str) -> bool:
        """Whether the reference leads to that subject."""
        return bool(self.sought(subject, reference, [])["digest"] == digest)

    @reads
    def holds_digest(self) -> str:
        """A digest of the legal holds of estate.yaml: whether one was placed, changed or ended since it was asked last."""
        return holds_digest(self._project)

    @reads
    def kept_figure(self, name: str, run: str) -> float | None:
        """A figure that a run kept of what it found; None where it kept none of that name."""
        kept = self._ledger().samples("compliance", name=name, limit=LATEST)
        return next((one.value for one in reversed(kept) if one.labels.get("run") == run), None)

    # -- the bundle ----------------------------------------------------------------------------------------------------------------

    @reads
    def bundle(self, path: str) -> dict[str, Any] | None:
        """What a bundle is of: {subject, datasets: {name: rows}, mode, bytes}; None where there is none; {} where another file stands there."""
        where = self._project / inside_path(self._project, path)
        if not where.is_file():
            return None
        try:
            with zipfile.ZipFile(where) as packed:
                about = json.loads(packed.read(ABOUT))
        except (zipfile.BadZipFile, KeyError, ValueError):
            return {}
        counts = {one["dataset"]: one["rows"] for one in about["datasets"]}
        found = where.stat()
        return {"subject": about["subject_digest"], "datasets": counts, "mode": f"{found.st_mode & 0o777:o}", "bytes": found.st_size}  # fmt: skip

    @reads
    def bundle_of(self, path: str) -> dict[str, Any] | None:
        """Of a bundle, what does not depend on how it is packed: {subject, datasets, mode}."""
        found = self.bundle(path)
        return {key: found[key] for key in ("subject", "datasets", "mode")} if found else found

    @effects
    def write_bundle(
        self, path: str, stores: list[dict[str, Any]], sought: dict[str, Any], about: dict[str, Any]
    ) -> dict[str, Any]:
        """Write a subject's own data into a file that only its owner reads. Gives {rows, bytes}."""
        where = self._project / allowed_path(self._project, path, self._allowed)
        one = Sought.model_validate(sought)
        counted, parts = [], {}
        for place in stores:
            store = Store.model_validate(place["store"])
            rows = self._systems[place["system"]].subject_rows(store, one)  # type: ignore[attr-defined]
            counted.append({**about["datasets"][store.dataset], "dataset": store.dataset, "rows": len(rows)})
            parts[store.dataset] = rows
        told = {**about, "datasets": counted, "subject_digest": one.digest}
        data = _packed(told, parts)
        where.parent.mkdir(parents=True, exist_ok=True)
        replace_file(where, data, OWNER_ONLY)
        return {"rows": sum(map(len, parts.values())), "bytes": len(data)}

    @reads
    def bundles(self, subject_digest: str) -> dict[str, str]:
        """The bundles of a subject that stand below the project, by their SHA-256: where they are written by default, and wherever an export wrote one."""
        paths = {one.relative_to(self._project).as_posix() for one in (self._project / BUNDLES).glob("*.zip")}
        for _, entries in self._runs_about(subject_digest):
            paths |= {
                call["arguments"]["path"] for call in _begun(entries) if call["action"] == "write_bundle"
            }
        mine = (path for path in sorted(paths) if (self.bundle(path) or {}).get("subject") == subject_digest)
        return {path: hashlib.sha256((self._project / path).read_bytes()).hexdigest() for path in mine}

    @effects
    def remove_bundles(self, subject_digest: str, bundles: dict[str, str]) -> dict[str, Any]:
        """Take the bundles of a subject away for good. Gives {bundles: {path: SHA-256}}."""
        standing = self.bundles(subject_digest)
        for path in bundles.keys() & standing.keys():
            (self._project / allowed_path(self._project, path, self._allowed)).unlink(missing_ok=True)
        return {"bundles": {path: standing[path] for path in sorted(bundles.keys() & standing.keys())}}

    @effects
    def remove_bundle(self, path: str) -> dict[str, Any]:
        """Take a bundle away; quiet where there is none."""
        (self._project / allowed_path(self._project, path, self._allowed)).unlink(missing_ok=True)
        return {}

    # -- the proof -----------------------------------------------------------------------------------------------------------------

    @reads
    def unproven(self, subject_digest: str) -> dict[str, Any]:
        """What runs began to erase of a subject since its last proof: {runs, rows: {dataset: as planned}, bundles, traces}."""
        told: dict[str, Any] = {"runs": [], "rows": {}, "bundles": {}, "traces": []}
        for run, entries in self._runs_about(subject_digest):
            calls = [call for call in _begun(entries) if _is_about(call, subject_digest)]
            if _proved(entries):
                told = {"runs": [], "rows": {}, "bundles": {}, "traces": []}
            elif calls:
                _gather(told, run, calls)
        return told

    def _runs_about(self, subject_digest: str) -> Iterator[tuple[str, list[Entry]]]:
        """The runs whose summary names a subject, oldest first, with their entries."""
        ledger = self._ledger()
        for entry in ledger.entries("run"):
            if entry.body.get("state") == "started" and subject_digest[:SHOWN] in entry.body.get(
                "summary", ""
            ):
                yield entry.run, ledger.entries(run=entry.run)

    @reads
    def proof_stands(self, path: str) -> bool:
        """Whether a proof is there, signed by this project, with nothing left anywhere, and the ledger still holds what it names."""
        where = self._project / inside_path(self._project, path)
        if not where.is_file():
            return False
        document = json.loads(where.read_text(encoding="utf-8"))
        signature = document.pop("signature", {}).get("value", "")
        if not self._keyed.is_signed(canonical(document), signature):
            return False
        clean = all(one["after"] == 0 for one in document["datasets"])
        runs = {one.get("run", document["run"]) for one in document["steps"]}
        known = {entry.seq: entry.hash for run in sorted(runs) for entry in self._ledger().entries(run=run)}
        return clean and all(known.get(one["entry"]) == one["hash"] for one in document["steps"])

    @effects
    def write_proof(self, path: str, about: dict[str, Any], stores: list[dict[str, Any]], sought: dict[str, Any], *, run: str) -> dict[str, Any]:  # fmt: skip
        """Search every store again, by digests alone, and write what was erased and found. Errors: `Failed` `erasure.left`."""
        where = self._project / allowed_path(self._project, path, self._allowed)
        found: dict[str, list[dict[str, Any]]] = {"datasets": [], "stays": [], "searched": []}
        for place in stores:
            found[place["part"]].append(self._searched(place, sought))
        if left := [one["dataset"] for one in (*found["datasets"], *found["searched"]) if one["after"]]:
            raise Failed("erasure.left", f"Rows of the subject are in {', '.join(left)} again.", "Something writes them: stop it, and plan again.")  # fmt: skip
        document = {
            **about,
            **self._from_ledger(run, about.get("former_runs", ())),
            **found,
            "written_at": clock.stamp(),
        }
        document["signature"] = {"algorithm": "HMAC-SHA-256", "by": "the key of this project, .datareeve/compliance.key", "value": self._keyed.signature(canonical(document))}  # fmt: skip
        text = json.dumps(document, indent=1, sort_keys=True) + "\n"
        page = proof_page.render(document, hashlib.sha256(text.encode()).hexdigest())
        try:
            where.parent.mkdir(parents=True, exist_ok=True)
            replace_file(where.with_suffix(".md"), page.encode(), OWNER_ONLY)
            replace_file(where, text.encode(), OWNER_ONLY)
        except OSError as error:
            raise Failed("erasure.proof", f"The proof cannot be written to {path}: {error.strerror}.", "Make room or rights there, and plan the erasure again: the proof is written then.") from None  # fmt: skip
        return {"proof": path, "bytes": len(text)}

    def _searched(self, place: dict[str, Any], sought: dict[str, Any]) -> dict[str, Any]:
        """A dataset with how many rows are left: found by digests, for the reference may be gone tomorrow."""
        alone = {**sought, "reference": None}
        counts = self._systems[place["system"]].read("subject_counts", stores=[place["store"]], sought=alone)
        return {**place["told"], "after": counts[place["store"]["dataset"]]}

    def _from_ledger(self, run: str, former: Iterable[str] = ()) -> dict[str, Any]:
        """Who allowed it, and what became of each step, with the entries of the hash chain that say so; also of runs that ended without a proof."""
        entries = self._ledger().entries(run=run)
        before = [e for one in former for e in self._ledger().entries(run=one)]
        undone = {(e.run, e.subject) for e in before if e.kind == "step" and e.body.get("moment") == "undone"}
        started = next((e.body for e in entries if e.kind == "run" and e.body.get("state") == "started"), {})
        done = [
            e
            for e in (*before, *entries)
            if e.kind == "step"
            and e.body.get("moment") == "outcome"
            and e.body["status"] == "done"
            and (e.run, e.subject) not in undone
        ]
        return {
            "run": run,
            "evidence": f"datareeve evidence {run} --recheck",
            "plan": started.get("plan", ""),
            "asked_by": started.get("by", ""),
            "allowed": started.get("allowed", ""),
            "steps": [{"step": e.body["step"], "at": e.at, "run": e.run, "entry": e.seq, "hash": e.hash, "result": e.body["result"]} for e in done],
        }  # fmt: skip


def _begun(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """The calls of the steps that a run began and did not undo: what a lost connection left in doubt is among them."""
    steps = [e for e in entries if e.kind == "step"]
    undone = {e.subject for e in steps if e.body.get("moment") == "undone"}
    return [e.body["call"] for e in steps if e.body.get("moment") == "intent" and e.subject not in undone]


def _is_about(call: dict[str, Any], subject_digest: str) -> bool:
    given = call["arguments"]
    return subject_digest in (given.get("subject_digest"), (given.get("sought") or {}).get("digest"))


def _proved(entries: Iterable[Entry]) -> bool:
    return any(e.kind == "step" and e.body.get("moment") == "outcome" and e.body["step"] == PROOF_STEP and e.body["status"] == "done" for e in entries)  # fmt: skip


def _gather(told: dict[str, Any], run: str, calls: list[dict[str, Any]]) -> None:
    """Add what a run began to erase."""
    known = {one["digest"] for one in told["traces"]}
    for call in calls:
        given = call["arguments"]
        told["bundles"] |= given["bundles"] if call["action"] == "remove_bundles" else {}
        stores = (
            [given["store"]]
            if call["action"] == "erase_rows"
            else given["stores"]
            if call["action"] == "rewrite_files"
            else []
        )
        for store in stores:
            told["rows"][store["dataset"]] = max(
                store.get("expected") or 0, told["rows"].get(store["dataset"], 0)
            )
        more = [] if not stores else [one for one in given["sought"]["traces"] if one["digest"] not in known]
        known |= {one["digest"] for one in more}
        told["traces"] += more
    told["runs"].append(run)


def holds_digest(project: Path) -> str:
    """SHA-256 of the legal holds of a project's estate.yaml."""
    holds = EstateFile(project / ESTATE_FILE).get(["holds"])
    return hashlib.sha256(json.dumps(holds or {}, sort_keys=True, default=str).encode()).hexdigest()


def _packed(about: dict[str, Any], parts: dict[str, list[dict[str, Any]]]) -> bytes:
    """A ZIP of JSON and CSV, the same bytes for the same data."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:

        def add(name: str, text: str) -> None:
            entry = zipfile.ZipInfo(name, ZIP_EPOCH)
            entry.external_attr = OWNER_ONLY << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, text)

        add(ABOUT, json.dumps(about, indent=1, ensure_ascii=False, sort_keys=True))
        for name, rows in parts.items():
            safe = name.replace("/", "_").replace("\\", "_")
            add(f"{safe}.json", json.dumps(rows, indent=1, ensure_ascii=False, default=str))
            add(f"{safe}.csv", _as_csv(rows))
    return buffer.getvalue()


def _as_csv(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]) if rows else [], extrasaction="ignore")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {k: json.dumps(v, default=str) if isinstance(v, (dict, list)) else v for k, v in row.items()}
        )
    return out.getvalue()
