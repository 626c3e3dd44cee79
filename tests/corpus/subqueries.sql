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

-- safe any
UPDATE t SET a = (SELECT count(1) FROM r WHERE r.some_id = t.id)

-- safe any
UPDATE t SET a = (SELECT sum(r.b + t.a) FROM r WHERE r.some_id = t.id)

-- safe any
UPDATE t SET a = (SELECT max(v) FROM (SELECT b AS v FROM r UNION ALL SELECT a FROM s) x)

-- safe any
UPDATE t SET a = (SELECT max(y.total) FROM (SELECT some_id, sum(b) AS total FROM r GROUP BY some_id) y)

-- safe any
DELETE FROM t WHERE EXISTS (SELECT 1 FROM r WHERE r.some_id = t.id LIMIT 1)

-- safe any
UPDATE t SET a = (SELECT r.b AS place FROM r WHERE r.some_id = t.a ORDER BY r.tenant, r.pos LIMIT 1 OFFSET 1)

-- safe any
UPDATE t SET a = (SELECT b FROM r GROUP BY b ORDER BY b DESC LIMIT 1)

-- safe any
UPDATE t SET a = (SELECT q.n FROM (SELECT id, dense_rank() OVER (ORDER BY b) AS n FROM r) q WHERE q.id = t.id)

-- safe any
UPDATE t SET a = (SELECT q.n FROM (SELECT id, sum(b) OVER (PARTITION BY tenant ORDER BY pos ROWS UNBOUNDED PRECEDING) AS n FROM r) q WHERE q.id = t.id)

-- safe postgres
UPDATE t SET a = (SELECT x.b FROM (SELECT DISTINCT ON (some_id) some_id, b FROM r ORDER BY some_id, id) x WHERE x.some_id = t.id)

-- unsafe any: rows of the statement itself
UPDATE t SET b = 1 WHERE a = (SELECT sum(t.b) FROM r)

-- unsafe any: rows of the statement itself
DELETE FROM t WHERE a = (SELECT max(t.b) FROM r WHERE r.id = 1)

-- unsafe any: rows of the statement itself
INSERT INTO archive (id, tenant, pos, slug, a) SELECT 1, 1000, 1, 'x', (SELECT sum(t.a)) FROM t

-- unsafe any: rows of the statement itself
INSERT INTO archive (id, tenant, pos, slug, a) SELECT 1, 1000, 1, 'x', (SELECT count(t.id) FROM r LIMIT 1) FROM t

-- unsafe any: rows of the statement itself
INSERT INTO archive (id, tenant, pos, slug, a) SELECT 1, 1000, 1, 'x', (SELECT sum(a) FROM (SELECT b FROM r) x) FROM t

-- unsafe any: rows of the statement itself
INSERT INTO archive (id, tenant, pos, slug, a) SELECT 1, 1000, 1, 'x', (SELECT q.m FROM r, (SELECT sum(a) AS m) q WHERE r.id = 1) FROM t

-- unsafe postgres,sqlite: rows of the statement itself
INSERT INTO archive (id, tenant, pos, slug, a) SELECT 1, 1000, 1, 'x', (SELECT count(*) FILTER (WHERE t.a > 2) FROM r) FROM t

-- unsafe postgres: rows of the statement itself
INSERT INTO archive (id, tenant, pos, slug, a) SELECT 1, 1000, 1, 'x', (SELECT rank(5) WITHIN GROUP (ORDER BY t.a) FROM r WHERE r.id = 1) FROM t

-- unsafe postgres: rows of the statement itself
INSERT INTO archive (id, tenant, pos, slug, a) SELECT 1, 1000, 1, 'x', (SELECT count(t.*) FROM r) FROM t

-- spared any: rows of the statement itself
UPDATE t SET a = (SELECT sum((SELECT s.a FROM s WHERE s.id = r.id)) FROM r)

-- varying any: an order that is left to the database
UPDATE t SET a = (SELECT b FROM r WHERE r.some_id = t.id ORDER BY b LIMIT 1)

-- varying any: an order that is left to the database
DELETE FROM t WHERE id IN (SELECT some_id FROM r LIMIT 5)

-- varying any: what LIMIT gives
UPDATE t SET a = (SELECT r.b FROM r JOIN s ON s.a = r.a ORDER BY r.id LIMIT 1)

-- varying any: what LIMIT gives
UPDATE t SET a = (SELECT b AS id FROM r ORDER BY id LIMIT 1 OFFSET 3)

-- varying any: what row_number() gives
UPDATE t SET a = (SELECT q.n FROM (SELECT id, row_number() OVER (ORDER BY b) AS n FROM r) q WHERE q.id = t.id)

-- varying any: what lag() gives
UPDATE t SET a = (SELECT q.n FROM (SELECT id, lag(b) OVER (PARTITION BY tenant ORDER BY a) AS n FROM r) q WHERE q.id = t.id)

-- varying any: what sum() gives
UPDATE t SET a = (SELECT q.n FROM (SELECT id, sum(b) OVER (ORDER BY a ROWS 1 PRECEDING) AS n FROM r) q WHERE q.id = t.id)

-- varying any: what first_value() gives
UPDATE t SET a = (SELECT q.n FROM (SELECT id, first_value(b) OVER w AS n FROM r WINDOW w AS (ORDER BY id)) q WHERE q.id = t.id)

-- varying postgres: what DISTINCT ON gives
UPDATE t SET a = (SELECT x.b FROM (SELECT DISTINCT ON (some_id) some_id, b FROM r ORDER BY some_id, b) x WHERE x.some_id = t.id)

-- varying postgres: what string_agg() gives
UPDATE t SET c = (SELECT string_agg(r.c, ',') FROM r WHERE r.some_id = t.id)

-- varying postgres: what FETCH gives
UPDATE t SET a = (SELECT b FROM r ORDER BY b FETCH FIRST 1 ROW ONLY)

-- varying mysql,sqlite: what GROUP_CONCAT() gives
UPDATE t SET c = (SELECT GROUP_CONCAT(r.c) FROM r WHERE r.some_id = t.id)

-- unsafe mysql: a variable of the session
UPDATE t SET a = @@session.auto_increment_increment

-- unsafe mysql: a variable of the session
DELETE FROM t WHERE a < @@global.max_connections

-- unsafe mysql: a variable of the session
UPDATE t SET a = @@local.sql_safe_updates

-- safe any
UPDATE t SET a = (SELECT b FROM r WHERE r.id = t.some_id LIMIT 1)

-- safe any
UPDATE t SET a = (SELECT b FROM r WHERE t.tenant = r.tenant AND r.b IS NOT NULL ORDER BY pos DESC LIMIT 1)

-- safe any
UPDATE t SET a = (SELECT b FROM r WHERE r.tenant = 5 AND r.b IS NOT NULL ORDER BY pos LIMIT 1)

-- safe postgres
UPDATE t SET c = (SELECT string_agg(r.c, ',' ORDER BY pos) FROM r WHERE r.tenant = t.tenant)

-- safe mysql
UPDATE t SET c = (SELECT GROUP_CONCAT(r.c ORDER BY pos) FROM r WHERE r.tenant = t.tenant)

-- varying any: what LIMIT gives
UPDATE t SET a = (SELECT b FROM r WHERE r.tenant > t.tenant ORDER BY pos LIMIT 1)

-- varying any: what LIMIT gives
UPDATE t SET a = (SELECT b FROM r WHERE r.tenant = r.a ORDER BY pos LIMIT 1)

-- varying any: what LIMIT gives
UPDATE t SET a = (SELECT b FROM r WHERE r.tenant = t.tenant OR r.b = 1 ORDER BY pos LIMIT 1)

-- varying mysql: what LIMIT gives
UPDATE t SET a = (SELECT b FROM r WHERE r.slug = t.id LIMIT 1)
