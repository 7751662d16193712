-- A few rows of every TPC-H table.
INSERT INTO region
  SELECT n, (ARRAY['AFRICA','AMERICA','ASIA','EUROPE','MIDDLE EAST'])[n + 1], 'c' FROM generate_series(0, 4) n;
INSERT INTO nation
  SELECT n, (ARRAY['FRANCE','GERMANY','BRAZIL','SAUDI ARABIA','CANADA'])[1 + n % 5], n % 5, 'c' FROM generate_series(0, 24) n;
INSERT INTO part SELECT n, (ARRAY['forest','green','blue'])[1 + n % 3] || ' part ' || n, 'Manufacturer#1', 'Brand#' || 10 + n % 40, (ARRAY['STANDARD','PROMO','MEDIUM POLISHED'])[1 + n % 3] || ' ' || (ARRAY['BRASS','TIN'])[1 + n % 2], 1 + n % 50, (ARRAY['SM CASE','MED BOX','LG CASE'])[1 + n % 3], 900 + n, 'c' FROM generate_series(1, 400) n;
INSERT INTO supplier SELECT n, 'Supplier#' || n, 'a', n % 25, 10 + n % 25 || '-555', n, CASE n % 9 WHEN 0 THEN 'Customer Complaints' ELSE 'x' END FROM generate_series(1, 40) n;
INSERT INTO partsupp SELECT p, 1 + (p + s) % 40, 100 + p, 10 + s + p % 7, 'c' FROM generate_series(1, 400) p, generate_series(0, 3) s;
INSERT INTO customer SELECT n, 'Customer#' || n, 'a', n % 25, 10 + n % 25 || '-555-' || n, n % 900, (ARRAY['BUILDING','AUTOMOBILE','MACHINERY'])[1 + n % 3], 'c' FROM generate_series(1, 300) n;
INSERT INTO orders SELECT n, 1 + n % 200, (ARRAY['F','O','P'])[1 + n % 3], 1000 + n, date '1992-01-01' + n % 2400, (ARRAY['1-URGENT','2-HIGH','5-LOW'])[1 + n % 3], 'Clerk#1', 0, CASE n % 7 WHEN 0 THEN 'special asks requests' ELSE 'plain' END FROM generate_series(1, 3000) n;
INSERT INTO lineitem SELECT o, 1 + (o * 7 + l) % 400, 1 + (o + l) % 40, l, 1 + (o + l) % 50, 1000 + o, (o % 11) / 100.0, (o % 9) / 100.0, (ARRAY['A','N','R'])[1 + o % 3], (ARRAY['F','O'])[1 + o % 2], date '1992-01-05' + o % 2400, date '1992-01-20' + o % 2400, date '1992-01-10' + o % 2430, (ARRAY['DELIVER IN PERSON','NONE'])[1 + l % 2], (ARRAY['AIR','MAIL','SHIP','AIR REG'])[1 + (o + l) % 4], 'c' FROM generate_series(1, 3000) o, generate_series(1, 3) l;
ANALYZE;
