-- What the pool of shared limits is asked, one statement a name, in the SQL that SQLite and PostgreSQL share. Parameters are written :name.

-- counters: What is counted; `spent` is what those that are gone have spent of the period.
CREATE TABLE IF NOT EXISTS lease_counters (
    counter TEXT NOT NULL,
    period TEXT NOT NULL,
    ends_at DOUBLE PRECISION,
    spent BIGINT NOT NULL,
    PRIMARY KEY (counter, period)
)

-- holders: Processes that hold shares; `reaped` ones were not heard of for too long, and their shares went back.
CREATE TABLE IF NOT EXISTS lease_holders (
    instance TEXT PRIMARY KEY,
    turn BIGINT NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    reaped BIGINT NOT NULL
)

-- shares: What each process holds of each counter, what of it is used and settled, and what it still needs.
CREATE TABLE IF NOT EXISTS lease_shares (
    counter TEXT NOT NULL,
    period TEXT NOT NULL,
    instance TEXT NOT NULL,
    held BIGINT NOT NULL,
    used BIGINT NOT NULL,
    settled BIGINT NOT NULL,
    need BIGINT NOT NULL,
    PRIMARY KEY (counter, period, instance)
)

-- shares_by_instance: To find what a process holds.
CREATE INDEX IF NOT EXISTS lease_shares_instance_idx ON lease_shares (instance)

-- shares_needed: To find, among many, the few that somebody needs more of.
CREATE INDEX IF NOT EXISTS lease_shares_need_idx ON lease_shares (counter, period) WHERE need > 0

-- beat: This process lives. No row: it is new, was reaped, or this message is late.
UPDATE lease_holders SET expires_at = :expires_at, turn = :turn
 WHERE instance = :instance AND turn < :turn AND reaped = 0

-- holder: One process.
SELECT turn, reaped FROM lease_holders WHERE instance = :instance

-- arrive: This process is new here, or is again.
INSERT INTO lease_holders (instance, turn, expires_at, reaped) VALUES (:instance, :turn, :expires_at, 0)
    ON CONFLICT (instance) DO UPDATE SET turn = excluded.turn, expires_at = excluded.expires_at, reaped = 0

-- living: How many processes are heard of.
SELECT count(*) AS n FROM lease_holders WHERE expires_at > :now

-- open_counter: A counter is begun once, with what was spent of its period before.
INSERT INTO lease_counters (counter, period, ends_at, spent) VALUES (:counter, :period, :ends_at, :spent)
    ON CONFLICT (counter, period) DO NOTHING

-- spent: What those that are gone have spent, of some counters ({keys}: VALUES lists); in PostgreSQL locked in one order.
SELECT counter, period, spent FROM lease_counters WHERE (counter, period) IN ({keys}) ORDER BY counter, period

-- shares_of: Who else holds what of some counters; who is not heard of needs nothing.
SELECT s.counter, s.period, s.held, s.used, s.settled, CASE WHEN h.expires_at > :now THEN s.need ELSE 0 END AS need
  FROM lease_shares s LEFT JOIN lease_holders h ON h.instance = s.instance
 WHERE (s.counter, s.period) IN ({keys}) AND s.instance <> :instance

-- set_share: What this process holds now.
INSERT INTO lease_shares (counter, period, instance, held, used, settled, need)
VALUES (:counter, :period, :instance, :held, :used, :settled, :need)
    ON CONFLICT (counter, period, instance)
    DO UPDATE SET held = excluded.held, used = excluded.used, settled = excluded.settled, need = excluded.need

-- drop_share: It holds nothing of it any more.
DELETE FROM lease_shares WHERE counter = :counter AND period = :period AND instance = :instance

-- wanted: Counters that this process holds a share of and a living one needs more of.
SELECT DISTINCT s.counter, s.period FROM lease_shares s JOIN lease_holders h ON h.instance = s.instance
 WHERE s.need > 0 AND s.instance <> :instance AND h.expires_at > :now
   AND EXISTS (SELECT 1 FROM lease_shares mine WHERE mine.counter = s.counter AND mine.period = s.period
                  AND mine.instance = :instance AND mine.held > 0)

-- dead: Processes whose shares go back.
SELECT instance FROM lease_holders WHERE reaped = 0 AND expires_at <= :before ORDER BY instance

-- still_dead: One of them, unless it has come back meanwhile.
UPDATE lease_holders SET reaped = 1 WHERE instance = :instance AND reaped = 0 AND expires_at <= :before

-- forget_holders: Long gone.
DELETE FROM lease_holders WHERE reaped = 1 AND expires_at <= :before

-- gone: One process leaves; what it took of windows that slide is kept until they have moved on.
UPDATE lease_holders SET turn = :turn, expires_at = :now WHERE instance = :instance AND turn < :turn

-- held_by: What a process has used of each counter.
SELECT counter, period, used FROM lease_shares WHERE instance = :instance ORDER BY counter, period

-- closed: Shares of periods that ended long ago.
SELECT s.counter, s.period, s.instance, s.used FROM lease_shares s
  JOIN lease_counters c ON c.counter = s.counter AND c.period = s.period
 WHERE c.ends_at <= :before ORDER BY s.counter, s.period, s.instance

-- add_spent: What a process that is gone has spent stays counted.
UPDATE lease_counters SET spent = spent + :used WHERE counter = :counter AND period = :period

-- old_counters: What nobody asks for any more.
DELETE FROM lease_counters WHERE ends_at <= :before
