//! SQLite's scenarios.

use crate::scenario::{CORRELATED, DELETE, FILL, INDEX, Scenario, Twist};
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
    let same = |name, setup, migration| Scenario::new(Kind::Sqlite, name, setup, migration);
    vec![
        same("SQLite: plain fill", plain, FILL),
        same("SQLite: an index on what changes", one_index, FILL),
        same("SQLite: correlated subselect", two_tables, CORRELATED),
        same("SQLite: index build", plain, INDEX),
        same("SQLite: half deleted", plain, DELETE),
        same("SQLite: a tenth of the rows", plain, FILL).with(Twist::Tenth),
    ]
}
