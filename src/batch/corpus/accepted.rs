//! Statements that are batched, a line each.

use super::{ALL, LITE, MY, PG};
use crate::db::Dialect;

/// Dialects, what the statement calls its table, the statement, and what becomes of it.
pub(super) type Accepted = (&'static [Dialect], &'static str, &'static str, &'static str);

#[rustfmt::skip]
pub(super) const ACCEPTED: &[Accepted] = &[
    // S1
    (ALL, "some_table", "UPDATE some_table SET new_column = (SELECT refered_column FROM refered_table WHERE some_table.id = refered_table.some_id)", "UPDATE some_table SET new_column = (SELECT refered_column FROM refered_table WHERE some_table.id = refered_table.some_id)\nWHERE <range>"),
    (ALL, "t", "UPDATE t SET a = 1", "UPDATE t SET a = 1\nWHERE <range>"),
    (ALL, "t", "UPDATE t SET a = a + 1;", "UPDATE t SET a = a + 1\nWHERE <range>"),
    (ALL, "t", "update t set a = 1 where b = 2 or b = 3 ;  ", "update t set a = 1 where (\nb = 2 or b = 3\n) AND <range>"),
    (ALL, "t", "DELETE FROM t", "DELETE FROM t\nWHERE <range>"),
    (ALL, "t", "DELETE FROM t WHERE a < 5", "DELETE FROM t WHERE (\na < 5\n) AND <range>"),
    (ALL, "t", "DELETE FROM t WHERE NOT EXISTS (SELECT 1 FROM r WHERE r.id = t.a)", "DELETE FROM t WHERE (\nNOT EXISTS (SELECT 1 FROM r WHERE r.id = t.a)\n) AND <range>"),
    (ALL, "t", "DELETE FROM t WHERE a = (SELECT id FROM r WHERE b > 3 ORDER BY b, id LIMIT 1)", "DELETE FROM t WHERE (\na = (SELECT id FROM r WHERE b > 3 ORDER BY b, id LIMIT 1)\n) AND <range>"),
    (ALL, "t", "UPDATE t SET a = (SELECT count(*) FROM r WHERE r.some_id = t.id), b = coalesce(b, 0)", "UPDATE t SET a = (SELECT count(*) FROM r WHERE r.some_id = t.id), b = coalesce(b, 0)\nWHERE <range>"),
    (ALL, "t", "UPDATE t SET a = (SELECT x.m FROM (SELECT max(r.b) AS m FROM r JOIN s ON r.id = s.some_id) x)", "UPDATE t SET a = (SELECT x.m FROM (SELECT max(r.b) AS m FROM r JOIN s ON r.id = s.some_id) x)\nWHERE <range>"),
    (ALL, "t", "UPDATE t SET c = CASE WHEN a > 1 THEN lower(trim(c)) ELSE concat(c, '-', b) END WHERE c IS NOT NULL", "UPDATE t SET c = CASE WHEN a > 1 THEN lower(trim(c)) ELSE concat(c, '-', b) END WHERE (\nc IS NOT NULL\n) AND <range>"),
    (ALL, "t", "UPDATE t SET a = (SELECT b FROM r WHERE r.id = t.id UNION SELECT b FROM s WHERE s.id = t.id)", "UPDATE t SET a = (SELECT b FROM r WHERE r.id = t.id UNION SELECT b FROM s WHERE s.id = t.id)\nWHERE <range>"),
    (ALL, "t", "UPDATE t SET a = (SELECT q.n FROM (SELECT id, row_number() OVER (ORDER BY b, id) AS n FROM r) q WHERE q.id = t.id)", "UPDATE t SET a = (SELECT q.n FROM (SELECT id, row_number() OVER (ORDER BY b, id) AS n FROM r) q WHERE q.id = t.id)\nWHERE <range>"),
    // Comments, strings and names that look like something else
    (ALL, "t", "-- first WHERE\nUPDATE t SET a = 1 -- last WHERE", "-- first WHERE\nUPDATE t SET a = 1\nWHERE <range>"),
    (ALL, "t", "UPDATE t SET c = ' WHERE ; -- ' WHERE c = 'it''s' -- and no more", "UPDATE t SET c = ' WHERE ; -- ' WHERE (\nc = 'it''s'\n) AND <range>"),
    (ALL, "t", "UPDATE t /* WHERE */ SET a = 1\nWHERE -- which\n  b = 2 -- these\n  AND a = 3", "UPDATE t /* WHERE */ SET a = 1\nWHERE (\n-- which\n  b = 2 -- these\n  AND a = 3\n) AND <range>"),
    (ALL, "t", "UPDATE t SET a = CASE WHEN (SELECT 1 FROM r WHERE r.id = t.id) = 1 THEN 1 END", "UPDATE t SET a = CASE WHEN (SELECT 1 FROM r WHERE r.id = t.id) = 1 THEN 1 END\nWHERE <range>"),
    (&[Dialect::POSTGRES, Dialect::SQLITE], "t", "UPDATE t SET \"where\" = 'x' WHERE \"where\" IS NULL", "UPDATE t SET \"where\" = 'x' WHERE (\n\"where\" IS NULL\n) AND <range>"),
    (MY, "t", "UPDATE `t` SET `where` = 'it\\'s WHERE' WHERE `where` IS NULL # WHERE", "UPDATE `t` SET `where` = 'it\\'s WHERE' WHERE (\n`where` IS NULL\n) AND <range>"),
    (PG, "t", "UPDATE t SET c = $q$ WHERE $q$ || E'\\' WHERE' /* /* nested */ WHERE */ WHERE t.where = U&'\\0041'", "UPDATE t SET c = $q$ WHERE $q$ || E'\\' WHERE' /* /* nested */ WHERE */ WHERE (\nt.where = U&'\\0041'\n) AND <range>"),
    (ALL, "t", "UPDATE t\r\nSET a = 1\r\nWHERE b = 2\r\n", "UPDATE t\r\nSET a = 1\r\nWHERE (\nb = 2\n) AND <range>"),
    (ALL, "t", "UPDATE t SET c = 'äöü 中' WHERE c = 'é'", "UPDATE t SET c = 'äöü 中' WHERE (\nc = 'é'\n) AND <range>"),
    // Aliases and schemas
    (ALL, "x", "UPDATE t AS x SET a = 1 WHERE x.b = 2", "UPDATE t AS x SET a = 1 WHERE (\nx.b = 2\n) AND <range>"),
    (PG, "x", "DELETE FROM public.t x WHERE x.b = 2", "DELETE FROM public.t x WHERE (\nx.b = 2\n) AND <range>"),
    (PG, "t", "UPDATE Public.T SET A = 1", "UPDATE Public.T SET A = 1\nWHERE <range>"),
    (PG, "T", "UPDATE \"T\" SET a = 1", "UPDATE \"T\" SET a = 1\nWHERE <range>"),
    (MY, "t", "UPDATE shop.t SET t.a = 1", "UPDATE shop.t SET t.a = 1\nWHERE <range>"),
    (LITE, "t", "UPDATE main.[t] SET [a] = `b`", "UPDATE main.[t] SET [a] = `b`\nWHERE <range>"),
    // PostgreSQL's own
    (PG, "t", "UPDATE t SET (a, b) = (SELECT r.a, r.b FROM r WHERE r.id = t.id)", "UPDATE t SET (a, b) = (SELECT r.a, r.b FROM r WHERE r.id = t.id)\nWHERE <range>"),
    (PG, "t", "UPDATE t SET c = jsonb_build_object('a', a)->>'a', a = extract(epoch FROM at)::bigint WHERE c IS DISTINCT FROM 'x' AND at < '2026-01-01'::timestamptz - interval '1 day'", "UPDATE t SET c = jsonb_build_object('a', a)->>'a', a = extract(epoch FROM at)::bigint WHERE (\nc IS DISTINCT FROM 'x' AND at < '2026-01-01'::timestamptz - interval '1 day'\n) AND <range>"),
    (PG, "t", "UPDATE t SET c = (SELECT string_agg(r.c, ',' ORDER BY r.id) FILTER (WHERE r.a > 0) FROM r WHERE r.some_id = t.id), a = cardinality(ARRAY(SELECT id FROM s))", "UPDATE t SET c = (SELECT string_agg(r.c, ',' ORDER BY r.id) FILTER (WHERE r.a > 0) FROM r WHERE r.some_id = t.id), a = cardinality(ARRAY(SELECT id FROM s))\nWHERE <range>"),
    (PG, "t", "UPDATE t SET c = 'now'", "UPDATE t SET c = 'now'\nWHERE <range>"),
    (PG, "t", "UPDATE t SET c = pg_catalog.lower(c)", "UPDATE t SET c = pg_catalog.lower(c)\nWHERE <range>"),
    (PG, "t", "UPDATE t SET c = 'new'::mood", "UPDATE t SET c = 'new'::mood\nWHERE <range>"),
    (PG, "t", "UPDATE t SET c = regexp_replace(c, '\\s+', ' ', 'g') WHERE c ~ '\\s\\s'", "UPDATE t SET c = regexp_replace(c, '\\s+', ' ', 'g') WHERE (\nc ~ '\\s\\s'\n) AND <range>"),
    (PG, "t", "UPDATE t SET a = b WHERE t.ctid IS NOT NULL", "UPDATE t SET a = b WHERE (\nt.ctid IS NOT NULL\n) AND <range>"),
    // MySQL's own
    (MY, "t", "UPDATE t SET c = IF(a > 1, IFNULL(c, ''), DATE_FORMAT(at, '%Y'))", "UPDATE t SET c = IF(a > 1, IFNULL(c, ''), DATE_FORMAT(at, '%Y'))\nWHERE <range>"),
    (MY, "t", "UPDATE t SET at = at + INTERVAL 1 DAY, a = 5--3 WHERE a DIV 2 = 1", "UPDATE t SET at = at + INTERVAL 1 DAY, a = 5--3 WHERE (\na DIV 2 = 1\n) AND <range>"),
    (MY, "t", "UPDATE t SET c = (SELECT GROUP_CONCAT(c ORDER BY id SEPARATOR ',') FROM r WHERE r.some_id = t.id)", "UPDATE t SET c = (SELECT GROUP_CONCAT(c ORDER BY id SEPARATOR ',') FROM r WHERE r.some_id = t.id)\nWHERE <range>"),
    // SQLite's own
    (LITE, "t", "UPDATE t SET c = printf('%d', a), at = datetime(at, '+1 day', 'subsec'), a = max(a, b)", "UPDATE t SET c = printf('%d', a), at = datetime(at, '+1 day', 'subsec'), a = max(a, b)\nWHERE <range>"),
    (LITE, "t", "UPDATE t SET a = 1 WHERE c GLOB 'x*'", "UPDATE t SET a = 1 WHERE (\nc GLOB 'x*'\n) AND <range>"),
    // A constant in a unique key
    (ALL, "t", "UPDATE t SET tenant = 5 WHERE tenant = 4", "UPDATE t SET tenant = 5 WHERE (\ntenant = 4\n) AND <range>"),
];
