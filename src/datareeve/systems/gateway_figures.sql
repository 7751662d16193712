-- What a look at the gateway asks of its store. Parameters are written :name.

-- traffic: Requests since a moment, by what became of them.
SELECT coalesce(sum(requests), 0) AS requests,
       coalesce(sum(CASE WHEN status IN ('error', 'broken', 'interrupted') THEN requests ELSE 0 END), 0) AS failed,
       coalesce(sum(CASE WHEN status = 'refused' THEN requests ELSE 0 END), 0) AS refused,
       coalesce(sum(CASE WHEN error = 'gateway.rate-limit' OR http_status = 429 THEN requests ELSE 0 END), 0) AS throttled,
       coalesce(sum(CASE WHEN cached THEN requests ELSE 0 END), 0) AS cached,
       coalesce(sum(CASE WHEN price_version = '' AND output > 0 AND NOT cached THEN requests ELSE 0 END), 0) AS unpriced,
       coalesce(sum(CASE WHEN status = 'ok' AND NOT cached THEN requests ELSE 0 END), 0) AS answered
  FROM usage
 WHERE at >= :since

-- nth_slowest: The time that a whole answer took of which :place answers took longer, since a moment.
SELECT total_ms AS ms
  FROM usage
 WHERE at >= :since AND status = 'ok' AND NOT cached
 ORDER BY total_ms DESC
 LIMIT 1 OFFSET :place

-- spent: US micro-dollars by who spent them and on what, between two hours (Unix seconds of their beginning).
SELECT key_name, team, asked_model, provider, model, sum(cost_microusd) AS cost_microusd, sum(saved_microusd) AS saved_microusd
  FROM usage_hourly
 WHERE hour >= :since AND hour < :until
 GROUP BY key_name, team, asked_model, provider, model

-- first_hour: When the first request was counted.
SELECT min(hour) AS hour FROM usage_hourly
