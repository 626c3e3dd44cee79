-- A table of a shop that has grown for years, and one that refers to it.
CREATE TABLE some_table (
    id integer primary key,
    name text NOT NULL
);

CREATE TABLE refered_table (
    id integer primary key,
    some_id bigint NOT NULL UNIQUE,
    refered_column bigint NOT NULL
);
