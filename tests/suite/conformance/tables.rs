//! What the catalog says.

use lockkeeper::db::{TableKind, TableName};

use super::Subject;

fn name(name: &str) -> TableName {
    TableName { schema: None, name: name.to_owned() }
}

pub async fn the_catalog_tells_facts(subject: &Subject) {
    let trigger = subject.pick(
        "create function f() returns trigger language plpgsql as 'begin return new; end'; \
         create trigger touched before update on parent for each row execute function f()",
        "create trigger touched before update on parent for each row set new.note = 'x'",
        "create trigger touched after update on parent begin delete from loose; end",
    );
    let on_child = subject.pick(
        "create trigger noted after delete on grandchild for each statement execute function f()",
        "create trigger noted after delete on grandchild for each row set @gone = 1",
        "create trigger noted after delete on grandchild begin delete from loose; end",
    );
    for sql in [
        "create table parent (id bigint not null, code varchar(20) not null, note varchar(30), \
         boss bigint, primary key (id))",
        "create unique index by_code on parent (code, id)",
        "create index by_note on parent (note)",
        "create table child (id bigint not null primary key, parent bigint, \
         foreign key (parent) references parent (id) on delete cascade)",
        "create table grandchild (id bigint not null primary key, child bigint, \
         foreign key (child) references child (id) on delete set null)",
        "create table loose (id bigint not null primary key, parent bigint, \
         foreign key (parent) references parent (id))",
        "create table own (id bigint not null primary key, boss bigint, \
         foreign key (boss) references own (id))",
        trigger,
        on_child,
        "insert into parent values (1, 'a', null, 1), (2, 'b', null, 1)",
    ] {
        subject.home.execute(sql).await;
    }
    subject.home.execute(subject.pick("analyze parent", "analyze table parent", "analyze")).await;
    let mut session = subject.session().await;
    let parent = session.table(&name("parent")).await.unwrap().unwrap();
    assert_eq!(parent.kind, TableKind::Ordinary);
    assert_eq!(parent.name.name, "parent");
    let columns: Vec<_> = parent.columns.iter().map(|c| (c.name.as_str(), c.nullable)).collect();
    assert_eq!(columns, [("id", false), ("code", false), ("note", true), ("boss", true)]);
    let varchar = subject.pick("character varying(20)", "varchar(20)", "varchar(20)");
    assert_eq!(parent.column("code").unwrap().type_name, varchar);
    assert_eq!(parent.primary_key(), Some(&["id".to_owned()][..]));
    assert_eq!(parent.unique.len(), 2, "{:?}", parent.unique);
    assert_eq!(parent.unique[1].columns, ["code", "id"]);
    assert!(!parent.unique[1].primary);
    let triggers = &parent.triggers;
    assert_eq!(triggers.len(), 1);
    assert_eq!(triggers[0].name, "touched");
    assert!(triggers[0].on_update && !triggers[0].on_delete && !triggers[0].per_statement);
    assert!(!parent.refers_to_itself && !parent.has_children && !parent.has_rules);
    let mut cascades: Vec<_> = parent.cascades_to.iter().map(|table| &table.name).collect();
    cascades.sort();
    assert_eq!(cascades, ["child", "grandchild"]);
    let unindexed: Vec<_> = parent.unindexed_children.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(unindexed, subject.pick(vec!["child", "loose"], vec![], vec!["child", "loose"]));
    let beyond = parent.cascaded_trigger.map(|(trigger, of)| (trigger, of.name));
    let noted = Some(("noted".to_owned(), "grandchild".to_owned()));
    // MySQL's actions fire no triggers.
    assert_eq!(beyond, subject.pick(noted.clone(), None, noted));
    assert_eq!(parent.estimated_rows, Some(2));

    let child = session.table(&name("child")).await.unwrap().unwrap();
    assert_eq!(child.cascades_to.len(), 1);
    let own = session.table(&name("own")).await.unwrap().unwrap();
    assert!(own.refers_to_itself && own.cascades_to.is_empty() && own.triggers.is_empty());
}

/// A key that the database computes moves its rows.
pub async fn computed_columns_tell_from_what(subject: &Subject) {
    let sql = subject.pick(
        "create table t (a bigint not null, b bigint not null, \
         c bigint generated always as (a * 100) stored primary key, d timestamp)",
        "create table t (a bigint not null, b bigint not null, \
         c bigint generated always as (a * 100) stored, d timestamp on update current_timestamp, \
         unique (c))",
        "create table t (a bigint not null, b bigint not null, \
         c bigint generated always as (a * 100) stored unique, d text)",
    );
    subject.home.execute(sql).await;
    let mut session = subject.session().await;
    let table = session.table(&name("t")).await.unwrap().unwrap();
    let from = |column: &str| {
        let from = table.column(column).unwrap().computed_from.clone();
        from.map(|names| names.join(","))
    };
    assert_eq!((from("a"), from("b")), (None, None));
    // SQLite's catalog doesn't say, so that any may count.
    assert_eq!(from("c").as_deref(), Some(subject.pick("a", "a", "a,b,c,d")));
    assert_eq!(from("d").as_deref(), subject.pick(None, Some("a,b,c,d"), None));
}

/// Unique indexes that are no keys, with what they look at.
pub async fn uniqueness_in_part_is_told(subject: &Subject) {
    let index = subject.pick(
        "create unique index part on t ((a + b)) include (d) where c > 0; \
         alter table t add constraint apart exclude using btree (d with =); \
         create unique index live on t (a) where t is not null",
        "create unique index part on t (e(3))",
        "create unique index part on t (a) where c > 0",
    );
    let table = "create table t (id bigint not null primary key, a bigint, b bigint, c bigint, \
                 d bigint, e varchar(30))";
    subject.home.execute(table).await;
    subject.home.execute(index).await;
    let mut session = subject.session().await;
    let table = session.table(&name("t")).await.unwrap().unwrap();
    assert_eq!(table.unique.len(), 1, "{:?}", table.unique);
    let columns: Vec<_> = table.partly_unique.iter().map(|key| key.columns.join(",")).collect();
    // SQLite says it in the index's text alone, where other words have letters, too.
    let expected = subject.pick(vec!["a,b,c", "d", "id,a,b,c,d,e"], vec!["e"], vec!["a,c,d,e"]);
    assert_eq!(columns, expected);
}

pub async fn unknown_tables_and_views(subject: &Subject) {
    subject.home.execute("create table t (id bigint)").await;
    subject.home.execute("create view v as select id from t").await;
    let mut session = subject.session().await;
    assert_eq!(session.table(&name("nothing")).await.unwrap(), None);
    assert_eq!(session.table(&name("it's \"odd\" `too`")).await.unwrap(), None);
    let view = session.table(&name("v")).await.unwrap().unwrap();
    assert_eq!(view.kind, TableKind::Other);
    assert_eq!(view.columns.len(), 1);
    let plain = session.table(&name("t")).await.unwrap().unwrap();
    assert_eq!(plain.primary_key(), None);
    assert!(plain.unique.is_empty() && plain.columns[0].nullable);
}
