-- A million rows in each, from ten digits crossed with themselves six times.
CREATE TABLE digit (n int PRIMARY KEY);
INSERT INTO digit (n) VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9);

INSERT INTO some_table (id, name)
SELECT 1 + a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n + 100000 * f.n, 'an item of the shop'
FROM digit a, digit b, digit c, digit d, digit e, digit f;

INSERT INTO refered_table (id, some_id, refered_column)
SELECT id, id, 7 * id FROM some_table;

DROP TABLE digit;
