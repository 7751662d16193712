-- Tables of the quality store, one text for SQLite and PostgreSQL (schema `datareeve_quality`). Moments are ISO 8601 in UTC; `told` is JSON.
-- No value of a checked table is in it but keys of rows that break a rule, and those only of columns that are not personal.
CREATE TABLE IF NOT EXISTS meta (version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    run TEXT NOT NULL, contract TEXT NOT NULL, system TEXT NOT NULL, version TEXT NOT NULL, began TEXT NOT NULL, snapshot TEXT, seconds DOUBLE PRECISION,
    passed INTEGER NOT NULL, warned INTEGER NOT NULL, failed INTEGER NOT NULL, not_run INTEGER NOT NULL, down TEXT NOT NULL, partial INTEGER NOT NULL,
    PRIMARY KEY (run, contract, system)
);
CREATE INDEX IF NOT EXISTS runs_by_contract ON runs (contract, system, began);
CREATE TABLE IF NOT EXISTS verdicts (
    run TEXT NOT NULL, contract TEXT NOT NULL, system TEXT NOT NULL, rule TEXT NOT NULL, at TEXT NOT NULL, says TEXT NOT NULL,
    figure DOUBLE PRECISION, failing BIGINT, checked BIGINT, told TEXT NOT NULL,
    PRIMARY KEY (run, contract, system, rule)
);
CREATE INDEX IF NOT EXISTS verdicts_by_rule ON verdicts (contract, system, rule, at);
CREATE INDEX IF NOT EXISTS verdicts_by_age ON verdicts (at);
CREATE TABLE IF NOT EXISTS marks (
    contract TEXT NOT NULL, system TEXT NOT NULL, rule TEXT NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, why TEXT NOT NULL, by_whom TEXT NOT NULL, marked TEXT NOT NULL,
    PRIMARY KEY (contract, system, rule, at)
);
CREATE TABLE IF NOT EXISTS incidents (
    id TEXT PRIMARY KEY, contract TEXT NOT NULL, system TEXT NOT NULL, cause TEXT NOT NULL, subject TEXT NOT NULL, opened TEXT NOT NULL, last_seen TEXT NOT NULL,
    ended TEXT, told TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS incidents_open ON incidents (contract, system, ended);
CREATE TABLE IF NOT EXISTS documents (
    kind TEXT NOT NULL, id TEXT NOT NULL, run TEXT NOT NULL, at TEXT NOT NULL, subject TEXT NOT NULL, told TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX IF NOT EXISTS documents_by_run ON documents (kind, run);
