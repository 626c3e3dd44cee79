-- Each row by itself: UPDATE and DELETE of one table.

-- safe any
UPDATE t SET a = 1

-- safe any
UPDATE t SET a = coalesce(a, 0) + 1

-- safe any
UPDATE t SET a = b, b = 7 WHERE a IS NOT NULL

-- safe any
UPDATE t SET a = a + 1 WHERE b > 3 OR a IS NULL

-- safe any
UPDATE t SET c = CASE WHEN a > 4 THEN lower(trim(c)) ELSE concat(c, '-', b) END WHERE c IS NOT NULL

-- safe any
UPDATE t SET a = CASE b WHEN 1 THEN 10 WHEN 2 THEN 20 ELSE -1 END

-- safe any
UPDATE t SET c = substr(concat(c, 'xyz'), 1, 3), a = length(c) WHERE a BETWEEN 2 AND 7

-- safe any
UPDATE t AS x SET a = x.b WHERE x.c LIKE 'b%'

-- safe any
UPDATE t SET a = nullif(b, 3) WHERE c IN ('red', 'blue') AND NOT a = 4

-- safe any
UPDATE t SET tenant = 5 WHERE tenant = 99

-- safe any
DELETE FROM t

-- safe any
DELETE FROM t WHERE a < 5

-- safe any
DELETE FROM t WHERE c IS NULL OR b = 2 -- these

-- safe any
DELETE FROM t WHERE id > 40 AND id <= 90

-- safe postgres
UPDATE t SET a = extract(epoch FROM at)::bigint % 1000, c = to_char(at, 'YYYY-MM') WHERE at < '2026-01-01'::timestamptz - interval '1 day'

-- safe postgres
UPDATE t SET (a, b) = (b, a)

-- safe postgres
UPDATE t SET c = regexp_replace(c, 'e+', 'E', 'g') WHERE c ~ 'e' AND a IS DISTINCT FROM 3

-- safe postgres
UPDATE t SET c = jsonb_build_object('a', a)->>'a'

-- safe mysql
UPDATE t SET c = IF(a > 1, IFNULL(c, ''), DATE_FORMAT(at, '%Y')), a = b DIV 2

-- safe mysql
UPDATE t SET at = at + INTERVAL 1 DAY WHERE a % 2 = 1

-- safe sqlite
UPDATE t SET c = printf('%05d', a), at = datetime(at, '+1 day'), a = max(a, b)

-- safe sqlite
UPDATE t SET a = iif(c GLOB 'b*', 1, 0)

-- varying postgres: another answer for each row
UPDATE t SET a = random() * 100, b = nextval('numbers')

-- varying postgres: another answer for each row
DELETE FROM t WHERE random() < 0.5

-- varying mysql: another answer for each row
UPDATE t SET c = uuid()

-- varying sqlite: another answer for each row
UPDATE t SET a = random() % 10

-- unsafe any: batches go along
UPDATE t SET id = id + 1000

-- unsafe any: trade values
UPDATE t SET slug = concat(slug, 'x')

-- unsafe any: trade values
UPDATE t SET tenant = tenant + 1

-- unsafe any: looks at other rows
UPDATE t SET a = row_number() OVER (ORDER BY b)

-- unsafe any: looks at other rows
UPDATE t SET a = count(*)

-- unsafe mysql: LIMIT would count anew
UPDATE t SET a = 1 LIMIT 10

-- unsafe mysql: LIMIT would count anew
DELETE FROM t ORDER BY a LIMIT 10

-- unsafe mysql: ORDER BY would hold within each batch only
DELETE FROM t ORDER BY a

-- unsafe postgres,sqlite: RETURNING
UPDATE t SET a = 1 RETURNING id

-- unsafe postgres: follows a cursor
UPDATE t SET a = 1 WHERE CURRENT OF here

-- unsafe postgres: no function secret() is known
UPDATE t SET a = secret(b)

-- unsafe postgres: code of your own
UPDATE t SET c = b::positive

-- unsafe mysql: a variable
UPDATE t SET a = (@n := @n + 1)

-- unsafe mysql: another answer at each call
UPDATE t SET a = rand(7) * 100

-- unsafe postgres: another answer at each call
UPDATE t SET a = currval('numbers')

-- unsafe any: DEFAULT
UPDATE t SET a = DEFAULT

-- unsafe sqlite: OR IGNORE
UPDATE OR IGNORE t SET a = 1

-- unsafe mysql: IGNORE
UPDATE IGNORE t SET slug = 'x'

-- unsafe postgres: MERGE
MERGE INTO t USING r ON t.id = r.id WHEN MATCHED THEN DELETE

-- spared postgres: the operator
UPDATE t SET a = b OPERATOR(pg_catalog.+) 1

-- spared postgres: ONLY
UPDATE ONLY t SET a = 1

-- spared mysql: more than a name
UPDATE t PARTITION (p0) SET a = 1
