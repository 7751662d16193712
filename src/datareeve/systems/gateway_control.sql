-- What the control plane asks of usage. Parameters are written :name.

-- provider_key_use: How much each provider key was used since a moment, and in which hour (its beginning, Unix seconds) the last time.
SELECT provider_key AS key, sum(requests) AS requests, sum(cost_microusd) AS cost_microusd, max(hour) AS last_hour,
       sum(CASE WHEN status IN ('error', 'broken') THEN requests ELSE 0 END) AS failed
  FROM usage_hourly
 WHERE provider_key <> '' AND hour >= :since
 GROUP BY provider_key

-- virtual_key_use: The same of virtual keys.
SELECT virtual_key AS key, sum(requests) AS requests, sum(cost_microusd) AS cost_microusd, max(hour) AS last_hour,
       sum(CASE WHEN status IN ('error', 'broken') THEN requests ELSE 0 END) AS failed
  FROM usage_hourly
 WHERE virtual_key <> '' AND hour >= :since
 GROUP BY virtual_key
