//! MariaDB's scenarios.

use crate::scenario::{CORRELATED, FILL, INDEX, Scenario, Twist};
use crate::support::Kind;

fn plain(rows: u64) -> String {
    format!(
        "create table t (id bigint primary key, name varchar(100) not null, n int not null, kind int not null);
         insert into t select seq, concat('an item of the shop ', seq), mod(seq, 1000), mod(seq, 97)
         from seq_1_to_{rows};"
    )
}

fn one_index(rows: u64) -> String {
    format!("{}create index t_n on t (n);", plain(rows))
}

fn two_tables(rows: u64) -> String {
    format!(
        "{}create table other (id bigint primary key, t bigint not null unique, amount int not null);
         insert into other select seq, seq, mod(seq, 1000) from seq_1_to_{rows};",
        plain(rows)
    )
}

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    let same = |name, setup, migration| Scenario::new(Kind::MariaDb, name, setup, migration);
    vec![
        same("MariaDB: plain fill", plain, FILL),
        same("MariaDB: an index on what changes", one_index, FILL),
        same("MariaDB: correlated subselect", two_tables, CORRELATED),
        same("MariaDB: index build", plain, INDEX),
        same("MariaDB: rewriting ALTER", plain, "ALTER TABLE t MODIFY COLUMN n bigint not null;\n"),
        same("MariaDB: a tenth of the rows", plain, FILL).with(Twist::Tenth),
    ]
}
