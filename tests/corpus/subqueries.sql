-- Other tables, read in subqueries and in WITH.

-- safe any
UPDATE t SET a = (SELECT r.b FROM r WHERE r.id = t.id)

-- safe any
UPDATE t SET a = (SELECT count(*) FROM r WHERE r.some_id = t.id), b = coalesce(b, 0)

-- safe any
UPDATE t SET a = (SELECT max(r.a) FROM r) WHERE EXISTS (SELECT 1 FROM s WHERE s.some_id = t.id)

-- safe any
UPDATE t SET a = (SELECT sum(r.b) FROM r JOIN s ON s.id = r.some_id WHERE s.some_id = t.a)

-- safe any
UPDATE t SET a = (SELECT q.n FROM (SELECT id, row_number() OVER (ORDER BY b, id) AS n FROM r) q WHERE q.id = t.id)

-- safe any
UPDATE t SET a = (SELECT b FROM r WHERE r.some_id = t.id ORDER BY b, id LIMIT 1)

-- safe any
UPDATE t SET a = (SELECT max(x.v) FROM (SELECT b AS v FROM r UNION ALL SELECT a FROM s) x)

-- safe any
DELETE FROM t WHERE NOT EXISTS (SELECT 1 FROM r WHERE r.some_id = t.id)

-- safe any
DELETE FROM t WHERE a IN (SELECT b FROM r WHERE c = 'red')

-- safe any
DELETE FROM t WHERE a = (SELECT min(b) FROM r) OR b > (SELECT avg(b) FROM s)

-- safe any
UPDATE t SET a = (WITH x AS (SELECT max(a) AS m FROM r) SELECT m FROM x)

-- safe any
UPDATE t SET a = (WITH x AS (SELECT id, b FROM r WHERE b > 2), y AS (SELECT id, b FROM x WHERE b < 8) SELECT y.b FROM y WHERE y.id = t.id)

-- safe any
DELETE FROM t WHERE id IN (WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 3 FROM n WHERE i < 60) SELECT i FROM n)

-- safe postgres,mysql,sqlite
WITH x AS (SELECT some_id, b FROM r WHERE b > 2) UPDATE t SET a = (SELECT max(x.b) FROM x WHERE x.some_id = t.id)

-- safe postgres,mysql,sqlite
WITH x AS (SELECT a FROM r), y AS (SELECT a FROM x UNION SELECT b FROM s) DELETE FROM t WHERE a IN (SELECT y.a FROM y)

-- safe postgres,sqlite
WITH RECURSIVE up AS (SELECT id, some_id FROM r WHERE id < 20 UNION SELECT r.id, r.some_id FROM r JOIN up ON r.id = up.some_id) DELETE FROM t WHERE EXISTS (SELECT 1 FROM up WHERE up.id = t.id)

-- safe postgres
WITH x AS MATERIALIZED (SELECT avg(b) AS m FROM r) UPDATE t SET a = (SELECT m FROM x) WHERE b > (SELECT m FROM x)

-- safe postgres
UPDATE t SET (a, b) = (SELECT r.a, r.b FROM r WHERE r.id = t.id)

-- safe postgres
UPDATE t SET c = (SELECT string_agg(r.c, ',' ORDER BY r.id) FILTER (WHERE r.a > 3) FROM r WHERE r.some_id = t.id)

-- safe mysql
UPDATE t SET c = (SELECT GROUP_CONCAT(c ORDER BY id SEPARATOR ',') FROM r WHERE r.some_id = t.id)

-- unsafe any: reads the table that it changes
UPDATE t SET a = (SELECT count(*) FROM t p WHERE p.b > t.b)

-- unsafe any: reads the table that it changes
DELETE FROM t WHERE b IN (SELECT y.b FROM r JOIN t AS y ON y.a = r.a)

-- unsafe any: reads the table that it changes
UPDATE t SET a = (WITH x AS (SELECT max(a) AS m FROM t) SELECT m FROM x)

-- unsafe any: reads the table that it changes
WITH x AS (SELECT max(a) AS m FROM t) UPDATE t SET a = (SELECT m FROM x)

-- unsafe any: the name of its table and of its WITH
WITH t AS (SELECT * FROM r) UPDATE t SET a = 1

-- unsafe any: may mean its WITH, or a table
WITH x AS (SELECT a FROM x) DELETE FROM t WHERE a IN (SELECT a FROM x)

-- unsafe any: may mean its WITH, or a table
WITH x AS (SELECT a FROM y), y AS (SELECT a FROM r) DELETE FROM t WHERE a IN (SELECT a FROM x)

-- unsafe postgres: writes
WITH gone AS (DELETE FROM r RETURNING id) UPDATE t SET a = 1 WHERE id IN (SELECT id FROM gone)

-- unsafe postgres: writes
WITH new AS (INSERT INTO r (id) VALUES (1) RETURNING id) DELETE FROM t WHERE id IN (SELECT id FROM new)

-- unsafe postgres: writes
WITH x AS (UPDATE r SET a = 1 RETURNING id) DELETE FROM t WHERE id IN (SELECT id FROM x)

-- unsafe postgres,sqlite: another answer at each call
UPDATE t SET a = (SELECT random())

-- unsafe postgres,sqlite: another answer at each call
WITH x AS (SELECT random() AS r) UPDATE t SET c = (SELECT r FROM x)

-- unsafe postgres: a locking clause
UPDATE t SET a = (SELECT a FROM r WHERE r.id = t.id FOR UPDATE)

-- unsafe any: begins with SELECT
WITH x AS (SELECT 1) SELECT * FROM x

-- spared postgres: a function in FROM
UPDATE t SET a = (SELECT count(*) FROM generate_series(1, t.b))

-- spared postgres: can't read it
DELETE FROM t WHERE a IN (SELECT b FROM r WHERE a = 1 UNION TABLE numbers)

-- unsafe postgres: a sample
UPDATE t SET a = (SELECT max(a) FROM r TABLESAMPLE system (10))
