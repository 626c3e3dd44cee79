//! MariaDB's scenarios.

use crate::scenario::{Scenario, Twist};
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
    let scenario = |name, setup, migration, twist| Scenario {
        name,
        kind: Kind::MariaDb,
        setup,
        migration,
        twist,
    };
    let same =
        |name, setup: fn(u64) -> String, migration| scenario(name, setup, migration, Twist::None);
    let fill = "-- lockkeeper: batch\nUPDATE t SET n = n + 1;\n";
    vec![
        same("MariaDB: plain fill", plain, fill),
        same("MariaDB: an index on what changes", one_index, fill),
        same(
            "MariaDB: correlated subselect",
            two_tables,
            "ALTER TABLE t ADD COLUMN amount int;\n-- lockkeeper: batch\n\
             UPDATE t SET amount = (SELECT amount FROM other WHERE t.id = other.t);\n",
        ),
        same("MariaDB: index build", plain, "CREATE INDEX t_name ON t (name);\n"),
        same("MariaDB: rewriting ALTER", plain, "ALTER TABLE t MODIFY COLUMN n bigint not null;\n"),
        scenario("MariaDB: a tenth of the rows", plain, fill, Twist::Tenth),
    ]
}
