-- A ledger of the newest revision, as the migrations make it in an empty file: a test compares the two.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE chain (
	name TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	hash TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "chain" VALUES('entries',0,'0000000000000000000000000000000000000000000000000000000000000000');
INSERT INTO "chain" VALUES('samples',0,'0000000000000000000000000000000000000000000000000000000000000000');
CREATE TABLE entries (
	run TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	at TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	body TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	PRIMARY KEY (run, seq)
)
 WITHOUT ROWID

;
CREATE TABLE leases (
	resource TEXT NOT NULL, 
	holder TEXT NOT NULL, 
	run TEXT NOT NULL, 
	token BIGINT NOT NULL, 
	expires_at FLOAT NOT NULL, 
	PRIMARY KEY (resource)
);
CREATE TABLE samples (
	seq BIGINT NOT NULL, 
	at TEXT NOT NULL, 
	system TEXT NOT NULL, 
	name TEXT NOT NULL, 
	value FLOAT NOT NULL, 
	labels TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
CREATE TABLE snapshots (
	system TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	at TEXT NOT NULL, 
	run TEXT NOT NULL, 
	body BLOB NOT NULL, 
	PRIMARY KEY (system, kind, at)
);
CREATE INDEX entries_kind_idx ON entries (kind, subject, seq) WHERE kind NOT IN ('step', 'check', 'part');
CREATE INDEX samples_name_idx ON samples (system, name, at);
CREATE TRIGGER entries_no_UPDATE BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entries_no_DELETE BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER samples_no_UPDATE BEFORE UPDATE ON samples BEGIN SELECT RAISE(ABORT, 'samples are append-only'); END;
CREATE TRIGGER samples_no_DELETE BEFORE DELETE ON samples BEGIN SELECT RAISE(ABORT, 'samples are append-only'); END;
CREATE TRIGGER entries_chain AFTER INSERT ON entries BEGIN UPDATE chain SET seq = NEW.seq, hash = NEW.hash WHERE name = 'entries'; END;
COMMIT;
