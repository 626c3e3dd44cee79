-- What tells the time: pinned to one time for the step. Two runs are at two times, so that what can be
-- compared depends on the time but little.

-- safe any
UPDATE t SET a = CASE WHEN at < CURRENT_TIMESTAMP THEN 1 ELSE 0 END

-- safe any
DELETE FROM t WHERE at < CURRENT_DATE AND b > 4

-- safe postgres
UPDATE t SET a = 1 WHERE at < now() - interval '1 hour' AND now() = statement_timestamp()

-- safe postgres
UPDATE t SET a = extract(century FROM localtimestamp(3)) WHERE current_time = transaction_timestamp()::timetz

-- safe postgres
UPDATE t SET a = (SELECT count(*) FROM r WHERE r.at < current_date AND localtime(0) = localtime(0))

-- safe mysql
UPDATE t SET a = 1, b = NOW(3) > at WHERE at < NOW() - INTERVAL 1 HOUR AND CURDATE() = CURRENT_DATE

-- safe mysql
UPDATE t SET a = UNIX_TIMESTAMP() > 5, b = UTC_TIMESTAMP(6) > '2020-01-01', c = UTC_DATE() > '2020-01-01' WHERE CURTIME() = CURRENT_TIME

-- safe sqlite
UPDATE t SET a = 1 WHERE at < datetime('now', '-1 hour') AND strftime('%Y') = strftime('%Y', 'now')

-- safe sqlite
UPDATE t SET a = julianday() > 5, b = date() > '2020-01-01', c = typeof(CURRENT_TIME)

-- varying postgres: another answer for each row
UPDATE t SET at = clock_timestamp()

-- varying mysql: another answer for each row
UPDATE t SET at = SYSDATE()

-- unsafe postgres: could differ from batch to batch
UPDATE t SET c = current_user

-- unsafe postgres: could differ from batch to batch
UPDATE t SET at = 'now'

-- unsafe postgres: could differ from batch to batch
UPDATE t SET at = 'yesterday'::timestamptz

-- unsafe postgres: could differ from batch to batch
UPDATE t SET at = 'today 12:00 Japan'

-- unsafe postgres: could differ from batch to batch
UPDATE t SET a = 1 WHERE at < timestamptz 'tomorrow Singapore'

-- safe mysql
UPDATE t SET a = (SELECT count(*) FROM r GROUP BY UNIX_TIMESTAMP())

-- safe sqlite
UPDATE t SET a = datetime('now', 'utc') > '2020-01-01'

-- unsafe mysql: could differ from batch to batch
UPDATE t SET c = current_user()

-- unsafe sqlite: could differ from batch to batch
UPDATE t SET at = datetime(coalesce(c, 'now'))

-- unsafe sqlite: could differ from batch to batch
UPDATE t SET a = unixepoch('subsec')

-- spared postgres: could differ from batch to batch
UPDATE t SET a = extract(year FROM age(at))

-- safe any
UPDATE t SET a = (SELECT count(*) FROM (SELECT CURRENT_TIMESTAMP AS told, at FROM r) x WHERE x.at < x.told)

-- safe postgres
UPDATE t SET a = (SELECT count(*) FROM (SELECT now(), r.at FROM r) AS x (told, at) WHERE x.at < x.told)

-- safe sqlite
UPDATE t SET a = (SELECT count(*) FROM (SELECT date(at) FROM r) x)

-- safe any
DELETE FROM t WHERE at < (SELECT CURRENT_TIMESTAMP)

-- unsafe postgres: has no name of its own
UPDATE t SET a = (SELECT count(*) FROM (SELECT now(), at FROM r) x WHERE x.at < now)

-- unsafe postgres: has no name of its own
WITH x AS (SELECT current_date::timestamptz UNION SELECT at FROM r) UPDATE t SET a = (SELECT count(*) FROM x)

-- unsafe mysql: has no name of its own
UPDATE t SET a = (SELECT count(*) FROM (SELECT now() + 1, at FROM r) x WHERE x.at < `now() + 1`)

-- unsafe sqlite: has no name of its own
UPDATE t SET a = (SELECT count(*) FROM (SELECT datetime('now'), at FROM r) x WHERE x.at < "datetime('now')")
