-- On tables without a key, by the blocks that rows lie in: DELETE, and an UPDATE that excludes what it has done.

-- safe postgres
DELETE FROM t

-- safe postgres
DELETE FROM t WHERE a = 1 AND c LIKE 'b%'

-- safe postgres
DELETE FROM t USING r WHERE r.id = t.some_id AND r.a > 4

-- safe postgres
DELETE FROM t AS x WHERE NOT EXISTS (SELECT 1 FROM r WHERE r.id = x.some_id)

-- safe postgres
UPDATE t SET a = 10 WHERE a IS NULL

-- safe postgres
UPDATE t SET a = b, c = 'taken' WHERE c IS NULL

-- safe postgres
UPDATE t SET a = a + 10, c = 'taken' WHERE b > 4 AND c = 'red'

-- safe postgres
UPDATE t AS x SET c = x.slug || '!' WHERE x.c IS NULL

-- safe postgres
UPDATE t SET c = lower(slug), b = tenant * 2 + pos WHERE (b IS NULL)

-- safe postgres
UPDATE t SET c = coalesce(c, slug, 'none'), b = coalesce(b, 7) WHERE b IS NULL AND a < 8

-- safe postgres
UPDATE t SET b = CASE WHEN a > 4 THEN 20 ELSE pos END WHERE b IS NULL

-- safe postgres
UPDATE t SET a = 5 WHERE a <> 5

-- safe postgres
UPDATE t SET a = 5 WHERE a IS DISTINCT FROM 5

-- safe postgres
UPDATE t SET a = 5 WHERE a <> 5 OR a IS NULL

-- safe postgres
UPDATE t SET a = -5 WHERE a >= 0

-- safe postgres
UPDATE t SET a = 50 WHERE a < 9

-- safe postgres
UPDATE t SET a = 50 WHERE 9 > a

-- safe postgres
UPDATE t SET a = 11, b = b + 1 WHERE a IN (1, 2, 3)

-- safe postgres
UPDATE t SET a = 3 WHERE a NOT IN (3, 4)

-- safe postgres
UPDATE t SET a = NULL WHERE a IS NOT NULL

-- safe postgres
UPDATE t SET a = NULL WHERE a > 5

-- safe postgres
UPDATE t SET c = 'green' WHERE c <> 'green'

-- safe postgres
UPDATE t SET c = 'blue' WHERE c > 'blue'

-- safe postgres
UPDATE t SET c = 'green' WHERE c IN ('red', 'blue') AND NOT a = 4

-- safe postgres
UPDATE t SET a = 4 WHERE NOT a = 4

-- safe postgres
UPDATE t SET a = b WHERE a IS DISTINCT FROM b

-- safe postgres
UPDATE t SET a = t.b WHERE t.b <> t.a

-- safe postgres
UPDATE t SET a = r.a, c = 'met' FROM r WHERE r.id = t.some_id AND t.c IS DISTINCT FROM 'met'

-- safe postgres
UPDATE t SET b = 77 FROM r WHERE r.id = t.id AND (t.b IS NULL OR t.b < 5)

-- unsafe postgres: nothing in its WHERE is sure
UPDATE t SET a = 1

-- unsafe postgres: nothing in its WHERE is sure
UPDATE t SET a = a + 1 WHERE a < 5

-- unsafe postgres: nothing in its WHERE is sure
UPDATE t SET a = 1 WHERE a = 1

-- unsafe postgres: nothing in its WHERE is sure
UPDATE t SET a = 1 WHERE b IS NULL

-- unsafe postgres: nothing in its WHERE is sure
UPDATE t SET a = b WHERE a IS NULL

-- unsafe postgres: nothing in its WHERE is sure
UPDATE t SET a = nullif(pos, 3) WHERE a IS NULL

-- unsafe postgres: nothing in its WHERE is sure
UPDATE t SET a = (SELECT max(r.a) FROM r) WHERE a IS NULL

-- unsafe postgres: nothing in its WHERE is sure
UPDATE t SET a = NULL WHERE a IS NULL

-- unsafe postgres: nothing in its WHERE is sure
UPDATE t SET a = NULL WHERE a IS DISTINCT FROM 5

-- unsafe postgres: nothing in its WHERE is sure
UPDATE t SET a = 5 WHERE a <> 5 OR b = 3

-- unsafe postgres: nothing in its WHERE is sure
UPDATE t SET a = 3 WHERE a NOT IN (4, 5)

-- unsafe postgres: nothing in its WHERE is sure
UPDATE t SET a = 3 WHERE a IN (2, 3)

-- unsafe postgres: nothing in its WHERE is sure
UPDATE t SET a = 5 WHERE a <= 5

-- unsafe postgres: nothing in its WHERE is sure
UPDATE t SET a = b, b = 3 WHERE a IS DISTINCT FROM b

-- unsafe postgres: nothing in its WHERE is sure
UPDATE t SET c = 'blank ' WHERE c <> 'blank '

-- unsafe postgres: nothing in its WHERE is sure
UPDATE t SET c = lower(c) WHERE c <> lower(c)

-- unsafe postgres: nothing in its WHERE is sure
UPDATE t SET c = 'b' WHERE c > 'a'

-- unsafe postgres: nothing in its WHERE is sure
UPDATE t SET c = upper(c) WHERE c = 'red'

-- unsafe postgres: nothing in its WHERE is sure
UPDATE t SET (a, b) = (1, 2) WHERE a IS NULL

-- unsafe postgres: nothing in its WHERE is sure
UPDATE t SET a = 1 FROM r LEFT JOIN s ON s.id = r.id AND t.a IS NULL WHERE r.id = t.some_id

-- unsafe postgres: gives another answer each time
DELETE FROM t WHERE random() < 0.5

-- unsafe postgres: gives another answer each time
UPDATE t SET a = 1 WHERE a IS NULL AND random() < 0.5

-- unsafe postgres: could be copied twice
INSERT INTO archive (id, tenant, pos, slug) SELECT id, tenant, pos, slug FROM t

-- unsafe mysql,sqlite: no primary key
DELETE FROM t WHERE a = 1
