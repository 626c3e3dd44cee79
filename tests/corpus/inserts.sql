-- INSERT … SELECT, along the key of what is selected from.

-- safe any
INSERT INTO archive SELECT id + 100000, tenant + 1000, pos, concat('n', slug), a, b, c, at, some_id FROM t

-- safe any
INSERT INTO archive (slug, id, tenant, pos, a) SELECT concat('n', x.slug), x.id + 100000, 1000, x.id, x.b FROM t AS x WHERE x.a > 3 OR x.c IS NULL

-- safe any
INSERT INTO archive (id, tenant, pos, slug, a, b) SELECT t.id + 100000, 1000, t.id, concat('n', t.slug), r.a, s.b FROM t JOIN r ON r.id = t.some_id LEFT JOIN s ON s.id = r.some_id WHERE r.b IS NOT NULL

-- safe any
INSERT INTO archive (id, tenant, pos, slug) SELECT t.id * 1000 + r.id, t.id + 1000, r.id, concat(t.slug, '-', r.slug) FROM t JOIN r ON r.a = t.a WHERE t.b = 2

-- safe any
INSERT INTO archive (id, tenant, pos, slug) SELECT t.id * 1000 + r.id, t.id + 1000, r.id, concat(t.slug, '-', r.slug) FROM t, r WHERE r.some_id = t.id

-- safe any
INSERT INTO archive (id, tenant, pos, slug, a) SELECT t.id + 100000, 1000, t.id, concat('n', t.slug), (SELECT max(r.b) FROM r WHERE r.some_id = t.id) FROM t WHERE EXISTS (SELECT 1 FROM s WHERE s.a = t.a)

-- safe any
INSERT INTO archive (id, tenant, pos, slug, a) SELECT t.id + 100000, 1000, t.id, concat('n', t.slug), p.a FROM t JOIN t AS p ON p.id = t.id - 1

-- safe any
INSERT INTO archive (id, tenant, pos, slug, a) WITH x AS (SELECT some_id, count(*) AS n FROM r GROUP BY some_id) SELECT t.id + 100000, 1000, t.id, concat('n', t.slug), x.n FROM t LEFT JOIN x ON x.some_id = t.id

-- safe any
INSERT INTO archive (id, tenant, pos, slug, a) SELECT t.id + 100000, 1000, t.id, concat('n', t.slug), x.m FROM t JOIN (SELECT some_id, max(b) AS m FROM r GROUP BY some_id) x ON x.some_id = t.id

-- safe any
INSERT INTO archive (id, tenant, pos, slug, a) SELECT id + 100000, 1000, id, concat('n', slug), CASE WHEN at < CURRENT_TIMESTAMP THEN 1 END FROM t WHERE t.id > 5

-- safe postgres,sqlite
WITH x AS (SELECT a FROM r WHERE b > 5) INSERT INTO archive (id, tenant, pos, slug) SELECT id + 100000, 1000, id, concat('n', slug) FROM t WHERE a IN (SELECT a FROM x)

-- safe postgres
INSERT INTO archive AS q (id, tenant, pos, slug, c) SELECT t.id + 100000, 1000, t.id, 'n' || t.slug, to_char(t.at, 'YYYY') FROM public.t

-- warned postgres,sqlite: conflict with each other
INSERT INTO archive SELECT * FROM t WHERE t.a < 8 ON CONFLICT DO NOTHING

-- warned postgres,sqlite: conflict with each other
INSERT INTO archive (id, tenant, pos, slug) SELECT id, tenant + 1000, pos, concat('n', slug) FROM t WHERE true ON CONFLICT (id) DO NOTHING

-- safe any
INSERT INTO archive (id, tenant, pos, slug, a) SELECT t.id + 100000, 1000, t.id, concat('n', t.slug), duplicate.a FROM t JOIN r AS duplicate ON duplicate.id = t.id WHERE t.id > 5

-- safe postgres,sqlite
INSERT INTO archive (id, tenant, pos, slug, a) SELECT t.id + 100000, 1000, t.id, concat('n', t.slug), conflict.a FROM t JOIN r AS conflict ON conflict.id = t.id

-- warned postgres,sqlite: conflict with each other
INSERT INTO archive (id, tenant, pos, slug, a) SELECT t.id + 100000, 1000, t.id, concat('n', t.slug), conflict.a FROM t JOIN r AS conflict ON conflict.id = t.id WHERE true ON CONFLICT (id) DO NOTHING

-- varying postgres: another answer for each row
INSERT INTO archive (id, tenant, pos, slug) SELECT nextval('numbers'), 1000, id, gen_random_uuid()::text FROM t

-- unsafe any: reads the table that it inserts into
INSERT INTO t (id, tenant, pos, slug) SELECT id + 100000, tenant, pos + 1000, concat('n', slug) FROM t

-- unsafe any: reads the table that it inserts into
INSERT INTO archive SELECT * FROM t WHERE NOT EXISTS (SELECT 1 FROM archive q WHERE q.id = t.id)

-- unsafe any: reads the table that it inserts into
INSERT INTO archive SELECT t.* FROM t LEFT JOIN archive q ON q.id = t.id WHERE q.id IS NULL

-- unsafe any: DISTINCT makes one row of rows
INSERT INTO archive (id, tenant, pos, slug) SELECT DISTINCT a, 1000, a, c FROM t

-- unsafe any: GROUP makes one row of rows
INSERT INTO archive (id, tenant, pos, slug, b) SELECT a, 1000, a, 'x', count(*) FROM t GROUP BY a

-- unsafe any: other rows
INSERT INTO archive (id, tenant, pos, slug, b) SELECT max(id), 1000, 1, 'x', count(*) FROM t

-- unsafe any: other rows
INSERT INTO archive (id, tenant, pos, slug) SELECT row_number() OVER (ORDER BY id), 1000, id, slug FROM t

-- unsafe any: UNION
INSERT INTO archive SELECT * FROM r UNION SELECT * FROM t

-- unsafe any: LIMIT would count anew
INSERT INTO archive SELECT * FROM t LIMIT 10

-- unsafe any: ORDER BY would hold within each batch only
INSERT INTO archive SELECT * FROM t ORDER BY a

-- unsafe postgres,sqlite: updates rows that are there already
INSERT INTO archive SELECT * FROM t WHERE true ON CONFLICT (id) DO UPDATE SET a = archive.a + 1

-- unsafe mysql: updates rows that are there already
INSERT INTO archive SELECT * FROM t ON DUPLICATE KEY UPDATE a = archive.a + 1

-- unsafe mysql: IGNORE changes
INSERT IGNORE INTO archive SELECT * FROM t

-- unsafe mysql: it deletes rows
REPLACE INTO archive SELECT * FROM t

-- unsafe sqlite: it deletes rows
REPLACE INTO archive SELECT * FROM t

-- unsafe sqlite: OR REPLACE changes
INSERT OR REPLACE INTO archive SELECT * FROM t

-- unsafe postgres,sqlite: RETURNING
INSERT INTO archive SELECT * FROM t RETURNING id

-- unsafe postgres,mysql: outer join
INSERT INTO archive SELECT r.* FROM t RIGHT JOIN r ON r.id = t.id

-- unsafe any: doesn't select from a table
INSERT INTO archive (id, tenant, pos, slug) VALUES (1, 1, 1, 'x')

-- unsafe any: doesn't select from a table
INSERT INTO archive (id, tenant, pos, slug) SELECT 1, 1, 1, 'x'

-- spared any: more than a name
INSERT INTO archive SELECT x.* FROM (SELECT * FROM t) x

-- spared postgres,sqlite: the name of its table and of its WITH
WITH x AS (SELECT * FROM t) INSERT INTO archive SELECT * FROM x
