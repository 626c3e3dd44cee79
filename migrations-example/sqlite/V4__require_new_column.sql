-- Only the new release writes the column, so this waits until the old one is gone.
-- lockkeeper: phase=contract

-- SQLite can't add NOT NULL to a column: the table is made anew (sqlite.org/lang_altertable.html).
CREATE TABLE some_table_new (
    id integer primary key,
    name text NOT NULL,
    new_column bigint NOT NULL
);
INSERT INTO some_table_new (id, name, new_column) SELECT id, name, new_column FROM some_table;
DROP TABLE some_table;
ALTER TABLE some_table_new RENAME TO some_table;
