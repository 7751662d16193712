-- run_put: a contract's run on a system, with its counts
INSERT INTO runs (run, contract, system, version, began, snapshot, seconds, passed, warned, failed, not_run, down, partial)
VALUES (:run, :contract, :system, :version, :began, :snapshot, :seconds, :passed, :warned, :failed, :not_run, :down, :partial)
ON CONFLICT (run, contract, system) DO UPDATE SET version = excluded.version, began = excluded.began, snapshot = excluded.snapshot, seconds = excluded.seconds,
    passed = excluded.passed, warned = excluded.warned, failed = excluded.failed, not_run = excluded.not_run, down = excluded.down, partial = excluded.partial

-- verdict_put: what became of one rule
INSERT INTO verdicts (run, contract, system, rule, at, says, figure, failing, checked, told)
VALUES (:run, :contract, :system, :rule, :at, :says, :figure, :failing, :checked, :told)
ON CONFLICT (run, contract, system, rule) DO UPDATE SET at = excluded.at, says = excluded.says, figure = excluded.figure, failing = excluded.failing,
    checked = excluded.checked, told = excluded.told

-- runs: runs, newest first
SELECT run, contract, system, version, began, snapshot, seconds, passed, warned, failed, not_run, down, partial FROM runs
WHERE (CAST(:run AS text) IS NULL OR run = :run) AND (CAST(:contract AS text) IS NULL OR contract = :contract) AND (CAST(:system AS text) IS NULL OR system = :system)
      AND (CAST(:since AS text) IS NULL OR began >= :since)
ORDER BY began DESC, run DESC LIMIT :most

-- verdicts: those of one run
SELECT rule, at, says, told FROM verdicts WHERE run = :run AND contract = :contract AND system = :system ORDER BY rule

-- history: earlier figures of a rule, newest first
SELECT at, run, says, figure, failing, checked FROM verdicts
WHERE contract = :contract AND system = :system AND rule = :rule AND says <> 'not run' AND (CAST(:before AS text) IS NULL OR at < :before)
ORDER BY at DESC LIMIT :most

-- recent: the newest verdicts of every rule, for flapping and trends
SELECT rule, at, says, figure FROM (
    SELECT rule, at, says, figure, row_number() OVER (PARTITION BY rule ORDER BY at DESC) AS n FROM verdicts
    WHERE contract = :contract AND system = :system AND (CAST(:before AS text) IS NULL OR at < :before)
) AS numbered WHERE n <= :most ORDER BY rule, at DESC

-- mark_put: a person's word on a figure
INSERT INTO marks (contract, system, rule, at, kind, why, by_whom, marked) VALUES (:contract, :system, :rule, :at, :kind, :why, :by_whom, :marked)
ON CONFLICT (contract, system, rule, at) DO UPDATE SET kind = excluded.kind, why = excluded.why, by_whom = excluded.by_whom, marked = excluded.marked

-- mark_take: that word taken back
DELETE FROM marks WHERE contract = :contract AND system = :system AND rule = :rule AND at = :at

-- marks: of one rule, or of all
SELECT contract, system, rule, at, kind, why, by_whom, marked FROM marks
WHERE (CAST(:contract AS text) IS NULL OR contract = :contract) AND (CAST(:system AS text) IS NULL OR system = :system) AND (CAST(:rule AS text) IS NULL OR rule = :rule)
ORDER BY at

-- incident_put: an incident as it stands
INSERT INTO incidents (id, contract, system, cause, subject, opened, last_seen, ended, told) VALUES (:id, :contract, :system, :cause, :subject, :opened, :last_seen, :ended, :told)
ON CONFLICT (id) DO UPDATE SET last_seen = excluded.last_seen, ended = excluded.ended, told = excluded.told

-- incidents: newest first; with `open` only those that have not ended
SELECT id, contract, system, cause, subject, opened, last_seen, ended, told FROM incidents
WHERE (CAST(:contract AS text) IS NULL OR contract = :contract) AND (CAST(:system AS text) IS NULL OR system = :system) AND (:open = 0 OR ended IS NULL)
ORDER BY opened DESC, id LIMIT :most

-- document_put: a document of a kind that belongs to a run: an erasure's proof, a reconciliation, a scan
INSERT INTO documents (kind, id, run, at, subject, told) VALUES (:kind, :id, :run, :at, :subject, :told)
ON CONFLICT (kind, id) DO UPDATE SET run = excluded.run, at = excluded.at, subject = excluded.subject, told = excluded.told

-- documents: of a kind, newest first
SELECT kind, id, run, at, subject, told FROM documents
WHERE kind = :kind AND (CAST(:id AS text) IS NULL OR id = :id) AND (CAST(:run AS text) IS NULL OR run = :run) AND (CAST(:subject AS text) IS NULL OR subject = :subject)
ORDER BY at DESC, id LIMIT :most

-- document_take: a document taken back
DELETE FROM documents WHERE kind = :kind AND id = :id

-- forget_verdicts: what is older than it is kept, the oldest first
DELETE FROM verdicts WHERE at < :before AND at <= (SELECT max(at) FROM (SELECT at FROM verdicts WHERE at < :before ORDER BY at LIMIT :most) AS oldest)

-- forget_runs: as above
DELETE FROM runs WHERE began < :before

-- forget_incidents: those that are over
DELETE FROM incidents WHERE ended < :before
