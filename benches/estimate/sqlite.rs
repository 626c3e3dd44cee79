//! SQLite's scenarios.

use crate::scenario::{Scenario, Twist};
use crate::support::Kind;

fn plain(rows: u64) -> String {
    format!(
        "create table t (id integer primary key, name text not null, n int not null, kind int not null);
         insert into t with recursive i(i) as (select 1 union all select i + 1 from i where i < {rows})
         select i, 'an item of the shop ' || i, i % 1000, i % 97 from i;"
    )
}

fn one_index(rows: u64) -> String {
    format!("{}create index t_n on t (n);", plain(rows))
}

fn two_tables(rows: u64) -> String {
    format!(
        "{}create table other (id integer primary key, t bigint not null unique, amount int not null);
         insert into other select id, id, n from t;",
        plain(rows)
    )
}

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, setup, migration, twist| Scenario {
        name,
        kind: Kind::Sqlite,
        setup,
        migration,
        twist,
    };
    let same =
        |name, setup: fn(u64) -> String, migration| scenario(name, setup, migration, Twist::None);
    let fill = "-- lockkeeper: batch\nUPDATE t SET n = n + 1;\n";
    vec![
        same("SQLite: plain fill", plain, fill),
        same("SQLite: an index on what changes", one_index, fill),
        same(
            "SQLite: correlated subselect",
            two_tables,
            "ALTER TABLE t ADD COLUMN amount int;\n-- lockkeeper: batch\n\
             UPDATE t SET amount = (SELECT amount FROM other WHERE t.id = other.t);\n",
        ),
        same("SQLite: index build", plain, "CREATE INDEX t_name ON t (name);\n"),
        same(
            "SQLite: half deleted",
            plain,
            "-- lockkeeper: batch\nDELETE FROM t WHERE kind < 48;\n",
        ),
        scenario("SQLite: a tenth of the rows", plain, fill, Twist::Tenth),
    ]
}
