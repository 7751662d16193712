-- What bills, advice and status ask of usage. Parameters are written :name; {braces} hold our own words, never a value.

-- usage: Sums of hours of requests, by what is asked for. Times are the beginnings of hours, in Unix seconds.
SELECT {dimensions}
       coalesce(sum(requests), 0) AS requests,
       coalesce(sum(CASE WHEN status IN ('error', 'broken') THEN requests ELSE 0 END), 0) AS failed,
       coalesce(sum(CASE WHEN status = 'interrupted' THEN requests ELSE 0 END), 0) AS interrupted,
       coalesce(sum(CASE WHEN status = 'interrupted' THEN cost_microusd ELSE 0 END), 0) AS interrupted_microusd,
       coalesce(sum(CASE WHEN status = 'refused' THEN requests ELSE 0 END), 0) AS refused,
       coalesce(sum(attempts), 0) AS attempts, coalesce(sum(streams), 0) AS streams, coalesce(sum(cached), 0) AS cached,
       coalesce(sum(estimated), 0) AS estimated, coalesce(sum(unpriced), 0) AS unpriced,
       coalesce(sum(input), 0) AS input, coalesce(sum(output), 0) AS output, coalesce(sum(cache_read), 0) AS cache_read,
       coalesce(sum(cache_write), 0) AS cache_write, coalesce(sum(cache_write_1h), 0) AS cache_write_1h,
       coalesce(sum(reasoning), 0) AS reasoning, coalesce(sum(cost_microusd), 0) AS cost_microusd,
       coalesce(sum(saved_microusd), 0) AS saved_microusd, coalesce(sum(total_ms), 0) AS total_ms,
       coalesce(sum(first_ms), 0) AS first_ms, coalesce(sum(firsts), 0) AS firsts
  FROM usage_hourly
 WHERE hour >= :since AND hour < :until{where}
{group}

-- span: The first and the last hour that is counted.
SELECT min(hour) AS first, max(hour) AS last FROM usage_hourly

-- estimated: What was spent on requests whose tokens are our estimate.
SELECT coalesce(sum(requests), 0) AS requests, coalesce(sum(cost_microusd), 0) AS cost_microusd
  FROM usage
 WHERE at >= :since AND at < :until AND estimated AND (:provider = '' OR provider = :provider)

-- dear: Questions of equal meaning that a team asked more than once and was charged for each time, the dearest first.
SELECT digest, team, sum(cost_microusd) - max(cost_microusd) AS again_microusd
  FROM {usage}
 WHERE at >= :since AND at < :until AND digest <> '' AND status = 'ok' AND NOT cached AND requests = 1 AND cost_microusd > 0
 GROUP BY digest, team
HAVING count(*) > 1
 ORDER BY sum(cost_microusd) - max(cost_microusd) DESC, digest
 LIMIT :most

-- dear_again: The same, looked for once.
CREATE TEMP TABLE dear_again AS {dear}

-- repeats: What these questions are, and what they cost.
SELECT u.digest, u.team, max(u.asked_model) AS asked_model, max(u.provider) AS provider, max(u.model) AS model,
       max(u.endpoint) AS endpoint, sum(u.requests) AS requests, sum(u.cost_microusd) AS cost_microusd,
       count(DISTINCT u.virtual_key) AS keys, max(u.key_name) AS key_name
  FROM {usage} u JOIN {dear} d ON d.digest = u.digest AND d.team = u.team
 WHERE u.at >= :since AND u.at < :until AND u.status = 'ok' AND NOT u.cached AND u.requests = 1 AND u.cost_microusd > 0
 GROUP BY u.digest, u.team, d.again_microusd
 ORDER BY d.again_microusd DESC, u.digest

-- repeated_at: When these questions were asked, how long the answer took, and what each cost.
SELECT u.digest, u.team, u.at, u.total_ms, u.cost_microusd
  FROM {usage} u JOIN {dear} d ON d.digest = u.digest AND d.team = u.team
 WHERE u.at >= :since AND u.at < :until AND u.status = 'ok' AND NOT u.cached AND u.requests = 1 AND u.cost_microusd > 0
 ORDER BY u.at
 LIMIT :moments

-- prefixes: Beginnings of prompts (system and tools) that are sent again and again, those with most tokens first; `writes`: how often a cache
-- that keeps them for :kept seconds from the last use would have been written.
SELECT provider, model, prefix, max(key_name) AS key_name, max(asked_model) AS asked_model, sum(requests) AS requests,
       max(prefix_tokens) AS prefix_tokens, sum(cache_read) AS cache_read, sum(cache_write + cache_write_1h) AS cache_write,
       sum(CASE WHEN at - before <= :kept THEN 0 ELSE 1 END) AS writes
  FROM (SELECT usage.*, lag(at) OVER (PARTITION BY provider, model, prefix ORDER BY at) AS before
          FROM usage
         WHERE at >= :since AND at < :until AND prefix <> '' AND status = 'ok' AND NOT cached AND model <> '' AND requests = 1) AS sent
 GROUP BY provider, model, prefix
HAVING count(*) > 1
 ORDER BY sum(prefix_tokens) - sum(cache_read) DESC, prefix
 LIMIT :most

-- prefix_sums: On SQLite, which sorts all rows to group them: a small table of sums, to which the rows are added in the order of time.
CREATE TEMP TABLE prefix_sums (
    provider TEXT, model TEXT, prefix TEXT, key_name TEXT, asked_model TEXT, requests INTEGER, prefix_tokens INTEGER, tokens INTEGER,
    cache_read INTEGER, cache_write INTEGER, writes INTEGER, last REAL,
    PRIMARY KEY (prefix, model, provider)
) WITHOUT ROWID

-- add_prefixes: The rows, each to its sums.
INSERT INTO prefix_sums
SELECT provider, model, prefix, key_name, asked_model, 1, prefix_tokens, prefix_tokens, cache_read, cache_write + cache_write_1h, 1, at
  FROM usage
 WHERE at >= :since AND at < :until AND prefix <> '' AND status = 'ok' AND NOT cached AND model <> '' AND requests = 1
 ORDER BY at
    ON CONFLICT DO UPDATE
   SET key_name = max(key_name, excluded.key_name), asked_model = max(asked_model, excluded.asked_model), requests = requests + 1,
       prefix_tokens = max(prefix_tokens, excluded.prefix_tokens), tokens = tokens + excluded.tokens,
       cache_read = cache_read + excluded.cache_read, cache_write = cache_write + excluded.cache_write,
       writes = writes + (excluded.last - last > :kept), last = excluded.last

-- summed_prefixes: As `prefixes` gives them.
SELECT provider, model, prefix, key_name, asked_model, requests, prefix_tokens, cache_read, cache_write, writes
  FROM prefix_sums
 WHERE requests > 1
 ORDER BY tokens - cache_read DESC, prefix
 LIMIT :most

-- often: On SQLite: the digests that came more than once. What is unique, and that is most, is sorted once and no more.
CREATE TEMP TABLE often AS
SELECT digest, count(*) AS times FROM usage NOT INDEXED
 WHERE at >= :since AND at < :until AND digest <> '' AND requests = 1
 GROUP BY digest HAVING count(*) > 1

-- again: Their rows, for `repeats`, `loops` and `failing`.
CREATE TEMP TABLE again AS
SELECT digest, team, virtual_key, key_name, asked_model, provider, model, endpoint, at, total_ms, cost_microusd, status, http_status, error,
       attempts, cached, requests
  FROM usage NOT INDEXED
 WHERE at >= :since AND at < :until AND requests = 1 AND digest IN (SELECT digest FROM often)

-- bulk: Requests that nobody waits for by the look of it: not streamed, in minutes in which one key sent at least :crowd of a kind.
SELECT key_name, team, provider, model, endpoint, sum(requests) AS requests, count(*) AS minutes, sum(cost_microusd) AS cost_microusd,
       sum(input) AS input, sum(output) AS output, sum(cache_read) AS cache_read, sum(cache_write) AS cache_write,
       sum(cache_write_1h) AS cache_write_1h, sum(reasoning) AS reasoning
  FROM (SELECT key_name, team, provider, model, endpoint, floor(at / 60) AS minute, sum(requests) AS requests,
               sum(cost_microusd) AS cost_microusd, sum(input) AS input, sum(output) AS output, sum(cache_read) AS cache_read,
               sum(cache_write) AS cache_write, sum(cache_write_1h) AS cache_write_1h, sum(reasoning) AS reasoning
          FROM usage
         WHERE at >= :since AND at < :until AND NOT stream AND NOT cached AND status = 'ok' AND cost_microusd > 0
           AND (key_name, floor(at / 60)) IN (
               SELECT key_name, floor(at / 60)
                 FROM usage
                WHERE at >= :since AND at < :until AND NOT stream AND NOT cached AND status = 'ok' AND cost_microusd > 0
                GROUP BY key_name, floor(at / 60)
               HAVING sum(requests) >= :crowd)
           AND endpoint IN ('/v1/chat/completions', '/v1/completions', '/v1/responses', '/v1/embeddings', '/v1/messages')
         GROUP BY key_name, team, provider, model, endpoint, floor(at / 60)
        HAVING sum(requests) >= :crowd) AS minutes
 GROUP BY key_name, team, provider, model, endpoint
 ORDER BY sum(cost_microusd) DESC, key_name
 LIMIT :most

-- loops: One question of one key, over and over within ten minutes.
SELECT virtual_key, key_name, digest, max(asked_model) AS asked_model, floor(at / 600) * 600 AS since, sum(requests) AS requests,
       sum(cost_microusd) AS cost_microusd, sum(CASE WHEN cached THEN requests ELSE 0 END) AS cached
  FROM {usage}
 WHERE at >= :since AND at < :until AND digest <> '' AND requests = 1 {often}
 GROUP BY virtual_key, key_name, digest, floor(at / 600)
HAVING count(*) >= :crowd
 ORDER BY count(*) DESC, digest
 LIMIT :most

-- failing: The same refused or failing question, sent again and again by one key.
SELECT virtual_key, key_name, digest, max(asked_model) AS asked_model, max(error) AS error, max(http_status) AS http_status,
       sum(requests) AS requests, sum(attempts) AS attempts, sum(cost_microusd) AS cost_microusd
  FROM {usage}
 WHERE at >= :since AND at < :until AND digest <> '' AND status IN ('error', 'refused') AND requests = 1
   AND http_status BETWEEN 400 AND 499 AND http_status NOT IN (408, 409, 429)
 GROUP BY virtual_key, key_name, digest
HAVING count(*) >= :crowd
 ORDER BY count(*) DESC, digest
 LIMIT :most

-- outages: Requests that a provider did not answer, by provider: neither the caller's own fault nor the gateway's.
SELECT provider, coalesce(sum(requests), 0) AS requests
  FROM usage
 WHERE at >= :since AND at < :until AND error NOT IN ('gateway.internal', 'gateway.stopped', 'gateway.client-left')
   AND (status = 'broken'
        OR (status = 'error' AND (http_status < 400 OR http_status >= 500 OR http_status IN (401, 403, 408, 429))))
 GROUP BY provider

-- excused: Requests whose end says nothing of their provider: the gateway's own faults (`own`), and clients that left.
SELECT provider, coalesce(sum(requests), 0) AS requests,
       coalesce(sum(CASE WHEN status = 'disconnected' OR error = 'gateway.client-left' THEN 0 ELSE requests END), 0) AS own
  FROM usage
 WHERE at >= :since AND at < :until
   AND (status IN ('interrupted', 'disconnected')
        OR error IN ('gateway.internal', 'gateway.stopped', 'gateway.client-left'))
 GROUP BY provider

-- latencies: How many answers of each provider fell into each class of latency.
SELECT provider, measure, up_to_ms, sum(requests) AS requests
  FROM latency_hourly
 WHERE hour >= :since AND hour < :until
 GROUP BY provider, measure, up_to_ms
 ORDER BY provider, measure, up_to_ms

-- busiest_minute: The most requests and tokens that each provider's key had in one minute.
SELECT provider, provider_key, max(requests) AS requests, max(tokens) AS tokens
  FROM (SELECT provider, provider_key, floor(at / 60) AS minute, sum(attempts) AS requests, sum(input + output) AS tokens
          FROM usage
         WHERE at >= :since AND at < :until AND model <> '' AND NOT cached
         GROUP BY provider, provider_key, floor(at / 60)) AS minutes
 GROUP BY provider, provider_key

-- kept_prompts: Recorded prompts by what they asked for, with what they used.
SELECT u.asked_model, u.provider, u.model, u.endpoint, count(*) AS prompts, sum(u.input) AS input, sum(u.output) AS output,
       sum(u.cost_microusd) AS cost_microusd, max(p.at) AS latest
  FROM prompts p JOIN usage u ON u.id = p.id
 WHERE p.at >= :since AND p.expires_at > :now AND u.status = 'ok'
 GROUP BY u.asked_model, u.provider, u.model, u.endpoint
 ORDER BY count(*) DESC, u.asked_model
