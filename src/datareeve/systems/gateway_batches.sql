-- Batches on their way, and the files that they are made of. Parameters are written :name. `until`: Unix seconds, then it is forgotten.

-- add_batch: A batch that is being made, or a file of requests for one (which holds nothing).
INSERT INTO batches (id, virtual_key, key_name, team, protocol, model, most, held, results, until)
VALUES (:id, :virtual_key, :key_name, :team, :protocol, :model, :held, :held, '', :until) ON CONFLICT (id) DO NOTHING

-- name_batch: The provider has made it, and named it so.
UPDATE batches SET id = :name, until = :until WHERE id = :id

-- drop_batch: It was not made.
DELETE FROM batches WHERE id = :id

-- batch: By its own name, or that of the file with its results.
SELECT id, virtual_key, key_name, team, protocol, model, most, held, results FROM batches WHERE id = :name OR results = :name

-- end_batch: It is at its end: no more than that is still to be paid.
UPDATE batches SET held = CASE WHEN held < :held THEN held ELSE :held END, results = :results WHERE id = :id

-- close_batch: What it cost is counted, or it cost nothing: it holds nothing from that moment on.
UPDATE batches SET until = :until WHERE (id = :name OR results = :name) AND held > 0 AND until > :until

-- open_batches: Those that may still cost something.
SELECT id, virtual_key, key_name, team, protocol, model, most, held, results FROM batches WHERE held > 0 AND until > :now

-- forget_batches: Those whose time is over.
DELETE FROM batches WHERE until <= :now
