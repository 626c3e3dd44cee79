-- Tables beside the one that is changed.

-- safe postgres,sqlite
UPDATE t SET a = r.a FROM r WHERE r.id = t.id

-- safe postgres,sqlite
UPDATE t SET a = r.a FROM r WHERE t.some_id = r.id AND r.b > 3

-- safe postgres,sqlite
UPDATE t AS x SET a = y.b, c = y.c FROM r AS y WHERE (y.id = x.some_id AND x.b IS NOT NULL)

-- safe postgres,sqlite
UPDATE t SET a = s.b FROM r JOIN s ON s.id = r.some_id WHERE r.id = t.some_id

-- safe postgres,sqlite
UPDATE t SET a = conflict.b FROM r JOIN s AS conflict ON conflict.id = r.some_id WHERE r.id = t.some_id

-- safe postgres,sqlite
UPDATE t SET a = coalesce(s.b, 0) FROM r LEFT JOIN s ON s.id = r.some_id AND s.a > 2 WHERE r.id = t.some_id

-- safe postgres,sqlite
UPDATE t SET a = r.b FROM r, s WHERE r.id = t.id AND s.id = r.id + 1

-- safe postgres,sqlite
UPDATE t SET c = r.c FROM r WHERE r.slug = t.slug

-- safe postgres,sqlite
UPDATE t SET a = r.a FROM r WHERE r.tenant = t.tenant AND r.pos = t.pos

-- safe postgres,sqlite
UPDATE t SET a = r.a FROM r WHERE r.id = 7

-- safe postgres,sqlite
UPDATE t SET a = x.m FROM (SELECT some_id, max(b) AS m FROM r GROUP BY some_id) AS x WHERE x.some_id = t.id

-- safe postgres,sqlite
UPDATE t SET a = x.n FROM (SELECT some_id, tenant, count(*) AS n FROM r GROUP BY 1, 2) AS x WHERE x.some_id = t.id AND x.tenant = t.tenant

-- safe postgres,sqlite
UPDATE t SET b = 1 FROM (SELECT DISTINCT some_id FROM r WHERE b > 1) AS x WHERE x.some_id = t.id

-- safe postgres,sqlite
WITH x AS (SELECT some_id, sum(b) AS n FROM r GROUP BY some_id) UPDATE t SET a = x.n FROM x WHERE x.some_id = t.id

-- safe postgres
UPDATE t SET a = r.a FROM r WHERE t.slug = r.slug

-- safe postgres
DELETE FROM t USING r WHERE r.some_id = t.id

-- safe postgres
DELETE FROM t AS x USING r, s WHERE r.some_id = x.id AND s.id = r.id AND s.b > 1

-- safe postgres
DELETE FROM t USING r LEFT JOIN s ON s.id = r.some_id WHERE r.a = t.a AND s.id IS NULL

-- safe postgres
WITH x AS (SELECT a FROM r WHERE b = 2) DELETE FROM t USING x WHERE x.a = t.a

-- safe mysql
UPDATE t JOIN r ON r.id = t.id SET t.a = r.a

-- safe mysql
UPDATE t JOIN r ON r.id = t.some_id LEFT JOIN s ON s.id = r.some_id SET t.a = s.b, t.c = r.c WHERE r.b > 2

-- safe mysql
UPDATE t LEFT JOIN r ON r.id = t.some_id SET t.a = coalesce(r.a, -1)

-- safe mysql
UPDATE r JOIN t ON r.id = t.some_id SET t.a = r.b + 1

-- safe mysql
UPDATE t AS x INNER JOIN r AS y USING (id) SET x.a = y.b

-- safe mysql
UPDATE t JOIN (SELECT some_id, max(b) AS m FROM r GROUP BY some_id) x ON x.some_id = t.id SET t.a = x.m

-- safe mysql
DELETE t FROM t JOIN r ON r.some_id = t.id

-- safe mysql
DELETE x FROM t AS x LEFT JOIN r ON r.some_id = x.id WHERE r.id IS NULL

-- safe mysql
DELETE FROM t USING t JOIN r ON r.some_id = t.id WHERE r.b > 4

-- varying postgres,sqlite: more than one row of r
UPDATE t SET a = r.a FROM r WHERE r.some_id = t.id

-- varying postgres,sqlite: more than one row of r
UPDATE t SET a = r.a FROM r WHERE r.id = t.id OR r.b = t.b

-- varying postgres,sqlite: more than one row of r
UPDATE t SET a = r.a FROM r WHERE r.tenant = t.tenant

-- varying sqlite: more than one row of r
UPDATE t SET a = r.a FROM r WHERE t.slug = r.slug

-- varying sqlite: more than one row of r
UPDATE t SET a = r.a FROM r WHERE r.slug = t.id

-- varying postgres,sqlite: more than one row of s
UPDATE t SET a = s.a FROM r LEFT JOIN s ON r.id = 5 WHERE r.id = t.id

-- varying mysql: more than one row of r
UPDATE t JOIN r ON r.some_id = t.id SET t.a = r.a

-- varying mysql: more than one row of r
UPDATE t JOIN r ON r.slug = t.id SET t.a = r.a

-- unsafe postgres,sqlite: reads the table that it changes
UPDATE t SET a = o.a FROM t AS o WHERE o.id = t.some_id

-- unsafe postgres: reads the table that it changes
DELETE FROM t USING t AS o WHERE o.slug = t.slug AND o.id < t.id

-- unsafe mysql: reads the table that it changes
DELETE x FROM t AS x JOIN t AS y ON y.some_id = x.some_id AND y.id < x.id

-- unsafe mysql: reads the table that it changes
UPDATE t JOIN t AS p ON p.id = t.some_id SET t.a = p.a

-- unsafe postgres: reads the table that it changes
WITH x AS (SELECT some_id, max(b) AS m FROM t GROUP BY some_id) UPDATE t SET a = x.m FROM x WHERE x.some_id = t.id

-- unsafe mysql: changes more than one table
UPDATE t JOIN r ON r.id = t.id SET t.a = 1, r.a = 2

-- unsafe mysql: more than one table
DELETE t, r FROM t JOIN r ON r.id = t.id

-- unsafe mysql: batches go along
UPDATE t JOIN r ON r.some_id = t.id SET t.id = r.id + 5000

-- spared mysql: a column of any of its tables
UPDATE t JOIN r ON r.some_id = t.id SET new_column = r.a

-- unsafe mysql: outer join
UPDATE r LEFT JOIN t ON t.id = r.id SET t.a = 1

-- spared mysql: with commas
UPDATE t, r SET t.a = r.a WHERE r.id = t.id

-- unsafe mysql: NATURAL
UPDATE t NATURAL JOIN r SET t.a = 1

-- spared postgres: no plain table or subquery
UPDATE t SET a = x.a FROM LATERAL (SELECT a FROM r WHERE r.id = t.id) AS x

-- unsafe mysql: two of its tables have the same name
UPDATE t JOIN other.t ON other.t.some_id = t.id SET t.a = 1
