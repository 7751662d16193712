-- What the gateway's store is asked, one statement a name, in the SQL that SQLite and PostgreSQL share. Parameters are written :name.

-- schema_version: Which version of the tables is there.
SELECT value FROM meta WHERE name = 'schema'

-- set_schema_version: The tables are of this version.
INSERT INTO meta (name, value) VALUES ('schema', :version) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- revision: It grows with each change of a key.
SELECT value FROM meta WHERE name = 'revision'

-- bump: A key was changed.
UPDATE meta SET value = value + 1 WHERE name = 'revision'

-- add_provider_key: A provider's key, once.
INSERT INTO provider_keys (id, provider, name, sealed, state, added_at, changed_at, expires_at, replaces)
VALUES (:id, :provider, :name, :sealed, :state, :added_at, :added_at, :expires_at, :replaces)
    ON CONFLICT (id) DO NOTHING

-- provider_keys: All keys, or those of one provider; the oldest first.
SELECT * FROM provider_keys WHERE :provider = '' OR provider = :provider ORDER BY added_at, id

-- set_key_state: Only from a state that was expected, where one is.
UPDATE provider_keys SET state = :state, changed_at = :at
 WHERE id = :id AND state <> :state AND (:expected = '' OR state = :expected)

-- set_key_expiry: When the provider's key ends.
UPDATE provider_keys SET expires_at = :expires_at WHERE id = :id

-- rewrap_provider_key: The same key under another sealing key; not where it was changed meanwhile.
UPDATE provider_keys SET sealed = :sealed WHERE id = :id AND sealed = :before

-- remove_provider_key: As if it had never been added.
DELETE FROM provider_keys WHERE id = :id

-- note_probe: What a probe of a key said; no change of the key.
UPDATE provider_keys SET probed_at = :at, probe_ok = :ok, probe_status = :status WHERE id = :id

-- add_virtual_key: A virtual key, once.
INSERT INTO virtual_keys (id, digest, name, team, models, requests_per_minute, tokens_per_minute, max_parallel, expires_at, revoked_at,
                          cache, admin, added_at)
VALUES (:id, :digest, :name, :team, :models, :requests_per_minute, :tokens_per_minute, :max_parallel, :expires_at, NULL,
        :cache, :admin, :added_at)
    ON CONFLICT (id) DO NOTHING

-- virtual_keys: All of them, revoked ones too; the oldest first.
SELECT * FROM virtual_keys ORDER BY added_at, id

-- change_virtual_key: Its limits; the text stays the same.
UPDATE virtual_keys
   SET models = :models, requests_per_minute = :requests_per_minute, tokens_per_minute = :tokens_per_minute, max_parallel = :max_parallel,
       expires_at = :expires_at, cache = :cache, admin = :admin, team = :team, name = :name
 WHERE id = :id

-- revoke_virtual_key: From now on it opens nothing.
UPDATE virtual_keys SET revoked_at = :at WHERE id = :id AND revoked_at IS NULL

-- restore_virtual_key: A revocation is taken back.
UPDATE virtual_keys SET revoked_at = NULL WHERE id = :id AND revoked_at IS NOT NULL

-- remove_virtual_key: As if it had never been issued.
DELETE FROM virtual_keys WHERE id = :id

-- heartbeat: A gateway process is alive, and says by what it works.
INSERT INTO instances (id, host, pid, address, version, revision, estate, behind, detail, started_at, beat_at, stopped_at)
VALUES (:id, :host, :pid, :address, :version, :revision, :estate, :behind, :detail, :started_at, :at, NULL)
    ON CONFLICT (id) DO UPDATE
   SET address = excluded.address, revision = excluded.revision, estate = excluded.estate, behind = excluded.behind,
       detail = excluded.detail, beat_at = excluded.beat_at, stopped_at = NULL

-- instance_stopped: It ended in order.
UPDATE instances SET stopped_at = :at, behind = :behind WHERE id = :id

-- instances: Those heard of since a moment; the oldest first.
SELECT * FROM instances WHERE beat_at >= :since AND (:stopped OR stopped_at IS NULL) ORDER BY started_at, id

-- forget_instances: Those not heard of since long.
DELETE FROM instances WHERE beat_at < :before

-- spool: How far an instance's spool has come.
SELECT frame, closed FROM spools WHERE instance = :instance

-- move_spool: The rows up to this frame are in; not where another has moved it meanwhile.
INSERT INTO spools (instance, frame, closed, moved_at) VALUES (:instance, :frame, :closed, :at)
    ON CONFLICT (instance) DO UPDATE SET frame = excluded.frame, closed = excluded.closed, moved_at = excluded.moved_at
 WHERE spools.frame = :expected AND NOT spools.closed

-- forget_spools: Closed long ago, their files gone.
DELETE FROM spools WHERE closed AND moved_at < :before

-- prune_usage: Rows of requests before a moment; their sums stay.
DELETE FROM usage WHERE {row} IN (SELECT {row} FROM usage WHERE at < :before ORDER BY at LIMIT :most)

-- keep_prompt: A sealed prompt, until its end.
INSERT INTO prompts (id, at, expires_at, sealed) VALUES (:id, :at, :expires_at, :sealed) ON CONFLICT (id) DO NOTHING

-- prompts: Sealed prompts of a time, the newest first.
SELECT id, at, expires_at, sealed FROM prompts WHERE at >= :since AND expires_at > :now ORDER BY at DESC LIMIT :most

-- prune_prompts: Those whose end has come.
DELETE FROM prompts WHERE expires_at <= :now

-- add_object: A client had a provider keep something.
INSERT INTO objects (id, virtual_key, team, provider, provider_key, microusd, owed, at, expires_at)
VALUES (:id, :virtual_key, :team, :provider, :provider_key, :microusd, :owed, :at, :expires_at) ON CONFLICT (id) DO NOTHING

-- object: Whose it is.
SELECT id, virtual_key, team, provider, provider_key, microusd, owed, expires_at FROM objects WHERE id = :id

-- count_object: What it used is counted, by whoever is first.
UPDATE objects SET counted_at = :at WHERE id = :id AND counted_at IS NULL

-- forget_objects: The provider has forgotten them too.
DELETE FROM objects WHERE expires_at <= :now

-- answer: An earlier answer that is still good.
SELECT body, expires_at FROM answers WHERE key = :key AND expires_at > :now

-- keep_answer: An answer for the next equal question.
INSERT INTO answers (key, at, expires_at, size, body) VALUES (:key, :at, :expires_at, :size, :body)
    ON CONFLICT (key) DO UPDATE SET at = excluded.at, expires_at = excluded.expires_at, size = excluded.size, body = excluded.body

-- prune_answers: Those whose time is over.
DELETE FROM answers WHERE expires_at <= :now

-- size_of_answers: All that is kept, in bytes.
SELECT coalesce(sum(size), 0) AS bytes FROM answers

-- drop_oldest_answers: Make room.
DELETE FROM answers WHERE key IN (SELECT key FROM answers ORDER BY at LIMIT :most)
