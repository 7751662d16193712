-- Tables of the gateway's store, one text for SQLite and PostgreSQL (schema `datareeve_gateway`). Times are Unix seconds, money is whole
-- micro-dollars. {table_options}: on SQLite a table with a key of several columns is kept in that key's order.

CREATE TABLE IF NOT EXISTS meta (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);

-- Keys of providers, sealed. `state`: active, draining, retired, revoked.
CREATE TABLE IF NOT EXISTS provider_keys (
    id TEXT PRIMARY KEY,
    provider TEXT NOT NULL,
    name TEXT NOT NULL,
    sealed TEXT NOT NULL,
    state TEXT NOT NULL,
    added_at DOUBLE PRECISION NOT NULL,
    changed_at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION,
    replaces TEXT NOT NULL,
    probed_at DOUBLE PRECISION,
    probe_ok BOOLEAN,
    probe_status BIGINT
);

-- What applications and people show: only the SHA-256 of its text is kept. `models` is a JSON list.
CREATE TABLE IF NOT EXISTS virtual_keys (
    id TEXT PRIMARY KEY,
    digest BYTEA NOT NULL,
    name TEXT NOT NULL,
    team TEXT NOT NULL,
    models TEXT NOT NULL,
    requests_per_minute BIGINT,
    tokens_per_minute BIGINT,
    max_parallel BIGINT,
    expires_at DOUBLE PRECISION,
    revoked_at DOUBLE PRECISION,
    cache BOOLEAN NOT NULL,
    admin BOOLEAN NOT NULL,
    added_at DOUBLE PRECISION NOT NULL
);

-- Gateway processes: which revision of the keys and which estate each works by, and how far behind its usage rows are.
CREATE TABLE IF NOT EXISTS instances (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    pid BIGINT NOT NULL,
    address TEXT NOT NULL,
    version TEXT NOT NULL,
    revision BIGINT NOT NULL,
    estate TEXT NOT NULL,
    behind BIGINT NOT NULL,
    detail TEXT NOT NULL,
    started_at DOUBLE PRECISION NOT NULL,
    beat_at DOUBLE PRECISION NOT NULL,
    stopped_at DOUBLE PRECISION
);

-- One row a request. `requests` is 1 but where a full disk left only sums: then one row stands for so many.
CREATE TABLE IF NOT EXISTS usage (
    id TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    virtual_key TEXT NOT NULL,
    key_name TEXT NOT NULL,
    team TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    asked_model TEXT NOT NULL,
    provider TEXT NOT NULL,
    provider_key TEXT NOT NULL,
    model TEXT NOT NULL,
    status TEXT NOT NULL,
    http_status BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    stream BOOLEAN NOT NULL,
    cached BOOLEAN NOT NULL,
    input BIGINT NOT NULL,
    output BIGINT NOT NULL,
    cache_read BIGINT NOT NULL,
    cache_write BIGINT NOT NULL,
    cache_write_1h BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    estimated BOOLEAN NOT NULL,
    first_ms DOUBLE PRECISION,
    total_ms DOUBLE PRECISION NOT NULL,
    cost_microusd BIGINT NOT NULL,
    saved_microusd BIGINT NOT NULL,
    price_version TEXT NOT NULL,
    error TEXT NOT NULL,
    digest TEXT NOT NULL,
    prefix TEXT NOT NULL,
    prefix_tokens BIGINT NOT NULL,
    requests BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS usage_at_idx ON usage (at);
CREATE INDEX IF NOT EXISTS usage_id_idx ON usage (id);

-- Sums of `usage` by hour, kept when its rows are pruned. `endpoint` has `*` for ids; `asked_model` is '' where the request was refused:
-- anybody can invent names.
CREATE TABLE IF NOT EXISTS usage_hourly (
    hour BIGINT NOT NULL,
    virtual_key TEXT NOT NULL,
    key_name TEXT NOT NULL,
    team TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    asked_model TEXT NOT NULL,
    provider TEXT NOT NULL,
    provider_key TEXT NOT NULL,
    model TEXT NOT NULL,
    status TEXT NOT NULL,
    requests BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    streams BIGINT NOT NULL,
    cached BIGINT NOT NULL,
    estimated BIGINT NOT NULL,
    unpriced BIGINT NOT NULL,
    input BIGINT NOT NULL,
    output BIGINT NOT NULL,
    cache_read BIGINT NOT NULL,
    cache_write BIGINT NOT NULL,
    cache_write_1h BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    cost_microusd BIGINT NOT NULL,
    saved_microusd BIGINT NOT NULL,
    total_ms DOUBLE PRECISION NOT NULL,
    first_ms DOUBLE PRECISION NOT NULL,
    firsts BIGINT NOT NULL,
    PRIMARY KEY (hour, virtual_key, provider, model, status, endpoint, asked_model, provider_key, team, key_name)
){table_options};

-- How long answers took, counted by hour into classes whose bounds grow by a fifth: percentiles of any time without its rows.
-- `measure`: first (to the first token) or total; `up_to_ms`: the class's upper bound.
CREATE TABLE IF NOT EXISTS latency_hourly (
    hour BIGINT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    stream BOOLEAN NOT NULL,
    measure TEXT NOT NULL,
    up_to_ms DOUBLE PRECISION NOT NULL,
    requests BIGINT NOT NULL,
    PRIMARY KEY (hour, provider, model, stream, measure, up_to_ms)
){table_options};

-- How far each instance's spool of usage rows has come into `usage`: moved in the same transaction as the rows.
CREATE TABLE IF NOT EXISTS spools (
    instance TEXT PRIMARY KEY,
    frame BIGINT NOT NULL,
    closed BOOLEAN NOT NULL,
    moved_at DOUBLE PRECISION NOT NULL
);

-- Prompts and answers, where the estate asks for them to be kept: sealed, with an end.
CREATE TABLE IF NOT EXISTS prompts (
    id TEXT PRIMARY KEY,
    at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    sealed BYTEA NOT NULL
);
CREATE INDEX IF NOT EXISTS prompts_expires_idx ON prompts (expires_at);

-- Keys that seal contents (answers, prompts), sealed by the KEK as providers' keys are.
CREATE TABLE IF NOT EXISTS content_keys (
    id TEXT PRIMARY KEY,
    sealed TEXT NOT NULL,
    added_at DOUBLE PRECISION NOT NULL
);

-- Earlier answers, where the cache is kept in the store.
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY,
    at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    size BIGINT NOT NULL,
    body BYTEA NOT NULL
);
CREATE INDEX IF NOT EXISTS answers_expires_idx ON answers (expires_at);
CREATE INDEX IF NOT EXISTS answers_at_idx ON answers (at);

-- What a provider keeps for a client (files, batches): whose it is, where it lies, and whether what it used was counted.
CREATE TABLE IF NOT EXISTS objects (
    id TEXT PRIMARY KEY,
    virtual_key TEXT NOT NULL,
    team TEXT NOT NULL,
    provider TEXT NOT NULL,
    provider_key TEXT NOT NULL,
    microusd BIGINT NOT NULL,
    owed INTEGER NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    counted_at DOUBLE PRECISION,
    expires_at DOUBLE PRECISION
);

CREATE INDEX IF NOT EXISTS objects_expire ON objects (expires_at);

-- Batches on their way, and files that they are made of: which model they ask for, and what they may still cost (`held`, of `most` at first).
CREATE TABLE IF NOT EXISTS batches (
    id TEXT PRIMARY KEY,
    virtual_key TEXT NOT NULL,
    key_name TEXT NOT NULL,
    team TEXT NOT NULL,
    protocol TEXT NOT NULL,
    model TEXT NOT NULL,
    most BIGINT NOT NULL,
    held BIGINT NOT NULL,
    results TEXT NOT NULL,
    until DOUBLE PRECISION NOT NULL
);
CREATE INDEX IF NOT EXISTS batches_held_idx ON batches (until) WHERE held > 0;
CREATE INDEX IF NOT EXISTS batches_results_idx ON batches (results) WHERE results <> '';

INSERT INTO meta (name, value) VALUES ('revision', 0) ON CONFLICT DO NOTHING;
