-- Keys of contents: what the gateway seals answers and prompts with.

-- content_keys: All of them, the newest first.
SELECT id, sealed, added_at FROM content_keys ORDER BY added_at DESC, id

-- add_content_key: A new one, sealed.
INSERT INTO content_keys (id, sealed, added_at) VALUES (:id, :sealed, :added_at)

-- rewrap_content_key: Sealed by another KEK, unless somebody was first.
UPDATE content_keys SET sealed = :sealed WHERE id = :id AND sealed = :before

-- prune_content_keys: Those that nothing kept can be sealed with any more.
DELETE FROM content_keys
 WHERE added_at < :before AND added_at < coalesce((SELECT min(at) FROM prompts), :before) - 172800
   AND added_at < coalesce((SELECT min(at) FROM answers), :before) - 172800
