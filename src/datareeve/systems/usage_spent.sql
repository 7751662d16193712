-- spent: What was spent since an hour, of one key, team or model where these are given.
SELECT coalesce(sum(cost_microusd), 0) AS microusd
  FROM usage_hourly
 WHERE hour >= :hour
   AND (:virtual_key = '' OR virtual_key = :virtual_key)
   AND (:key = '' OR key_name = :key OR virtual_key = :key)
   AND (:team = '' OR team = :team)
   AND (:model = '' OR asked_model = :model OR provider || '/' || model = :model)
