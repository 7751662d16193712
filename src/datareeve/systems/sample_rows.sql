-- Synthetic passengers and bookings, the same on every machine: plain arithmetic, no random numbers.

-- 20,000 people who do not exist: addresses below example.com, numbers from the range kept for fiction.
INSERT INTO passengers (full_name, email, phone, created_at)
SELECT given || ' ' || family, lower(given) || '.' || lower(family) || n || '@example.com', '+1-202-555-01' || lpad((n % 100)::text, 2, '0'),
       timestamptz '2012-01-01 00:00Z' + n * interval '25 minutes'
  FROM (SELECT n,
               (ARRAY['Ada','Ben','Cleo','Dana','Emil','Fay','Gus','Hana','Ivo','June','Kai','Lena','Milo','Nora','Otto','Pia'])[1 + n % 16] AS given,
               (ARRAY['Ash','Birch','Cedar','Dogwood','Elm','Fir','Hazel','Juniper','Larch','Maple','Oak','Pine','Rowan'])[1 + n % 13] AS family
          FROM generate_series(1, 20000) AS n) AS people;

-- One booking for every sixth flight, made 30 days before it leaves.
INSERT INTO bookings (passenger_id, carrier, flight, time_hour, seat, fare, status, booked_at)
SELECT 1 + (n / 6 * 7919) % 20000, carrier, flight, time_hour, (1 + n % 30)::text || (ARRAY['A','B','C','D','E','F'])[1 + n / 6 % 6],
       round((49 + distance * 0.11 + n % 40)::numeric, 2), (ARRAY['flown','flown','flown','cancelled'])[1 + n / 6 % 4], time_hour - interval '30 days'
  FROM (SELECT carrier, flight, time_hour, distance, row_number() OVER (ORDER BY time_hour, carrier, flight) AS n FROM flights) AS numbered
 WHERE n % 6 = 0;
