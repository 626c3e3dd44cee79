//! What information_schema says of a table.

use super::session::MySqlSession;
use crate::db::{
    Blocks, Column, DbError, Row, Statement, Table, TableKind, TableName, Trigger, UniqueKey, Value,
};

pub(super) async fn read(
    session: &mut MySqlSession,
    name: &TableName,
) -> Result<Option<Table>, DbError> {
    if session.server().remembers_statistics {
        let fresh = "set session information_schema_stats_expiry = 0";
        session.fetch(&Statement::script(fresh)).await?;
    }
    let found = rows(
        session,
        "select table_schema, table_name, table_type, coalesce(create_options, ''), \
         cast(table_rows as signed), table_schema = database(), engine, \
         (select if(max(transactions) = 'YES', 'YES', 'NO') from information_schema.engines \
         where engines.engine = tables.engine) \
         from information_schema.tables \
         where table_schema = coalesce(?, database()) and table_name = ?",
        vec![name.schema.as_deref().into(), name.name.as_str().into()],
    )
    .await?;
    // information_schema compares without regard to case, the server perhaps with it.
    let folds = session.server().folds_case;
    let is = |row: &Row, column, wanted| row.text(column).is_ok_and(|found| found == wanted);
    let exact = |row: &&Row| {
        is(row, 1, name.name.as_str())
            && name.schema.as_deref().is_none_or(|schema| is(row, 0, schema))
    };
    let Some(row) = found.iter().find(exact).or(found.first().filter(|_| folds)) else {
        return Ok(None);
    };
    let schema = row.text(0)?.to_owned();
    let kind = match row.text(2)? {
        "BASE TABLE" if row.text(3)?.contains("partitioned") => TableKind::Partitioned,
        "BASE TABLE" => TableKind::Ordinary,
        _ => TableKind::Other,
    };
    let here = row.int(5)? == 1;
    let resolved = TableName {
        schema: (name.schema.is_some() || !here).then(|| schema.clone()),
        name: row.text(1)?.to_owned(),
    };
    let estimated = row.optional_int(4)?.and_then(|rows| u64::try_from(rows).ok());
    let itself = vec![Value::from(schema.as_str()), Value::from(resolved.name.as_str())];
    let columns = columns(session, &itself).await?;
    let (unique, partly_unique) = unique(session, &itself, &columns).await?;
    let mut table = Table {
        name: resolved,
        kind,
        columns,
        unique,
        partly_unique,
        triggers: triggers(session, &itself).await?,
        has_rules: false,
        has_children: false,
        refers_to_itself: false,
        cascades_to: Vec::new(),
        // InnoDB makes an index for each foreign key.
        unindexed_children: Vec::new(),
        cascaded_trigger: None,
        engine_without_transactions: match row.text(7)? {
            "NO" => row.optional_text(6)?.map(str::to_owned),
            _ => None,
        },
        row_security: false,
        resolves_conflicts: false,
        blocks: Blocks::Unknown,
        partitions: None,
        estimated_rows: estimated,
    };
    foreign_keys(session, &mut table, &schema).await?;
    Ok(Some(table))
}

async fn rows(
    session: &mut MySqlSession,
    sql: &str,
    params: Vec<Value>,
) -> Result<Vec<Row>, DbError> {
    session.fetch(&Statement::new(sql, params)).await
}

async fn columns(session: &mut MySqlSession, table: &[Value]) -> Result<Vec<Column>, DbError> {
    let found = rows(
        session,
        "select column_name, column_type, is_nullable, coalesce(generation_expression, ''), \
         extra like '%on update%', collation_name, \
         if(version() like '%mariadb%' or extra like '%default_generated%' \
         or column_default like 'current_timestamp%', column_default, null) \
         from information_schema.columns \
         where table_schema = ? and table_name = ? order by ordinal_position",
        table.to_vec(),
    )
    .await?;
    let names: Vec<&str> = found.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?;
    let column = |row: &Row| {
        Ok(Column {
            name: row.text(0)?.to_owned(),
            type_name: row.text(1)?.to_owned(),
            nullable: row.text(2)? == "YES",
            computed_from: computed_from(&names, row.text(3)?, row.int(4)? != 0),
            collation: row.optional_text(5)?.map(str::to_owned),
            nondeterministic: false,
            default: row.optional_text(6)?.map(str::to_owned),
        })
    };
    found.iter().map(column).collect()
}

/// The expression is a text: a column whose name stands in it, if only within another word, counts.
/// `ON UPDATE CURRENT_TIMESTAMP` and MariaDB's row versions change with any other column.
fn computed_from(names: &[&str], expression: &str, on_update: bool) -> Option<Vec<String>> {
    let lower = expression.to_lowercase();
    let any = on_update || lower.starts_with("row ");
    let named = names.iter().filter(|name| any || lower.contains(&name.to_lowercase()));
    (any || !expression.is_empty()).then(|| named.map(|name| (*name).to_owned()).collect())
}

/// The unique keys, and the unique indexes over expressions, over the beginnings of columns, and
/// MariaDB's hashes of long ones, which aren't keys that one can walk along.
async fn unique(
    session: &mut MySqlSession,
    table: &[Value],
    columns: &[Column],
) -> Result<(Vec<UniqueKey>, Vec<UniqueKey>), DbError> {
    let found = rows(
        session,
        "select index_name, column_name, \
         column_name is not null and sub_part is null and index_type <> 'HASH' \
         from information_schema.statistics \
         where table_schema = ? and table_name = ? and non_unique = 0 \
         order by index_name <> 'PRIMARY', index_name, seq_in_index",
        table.to_vec(),
    )
    .await?;
    let (mut whole, mut partly) = (Vec::new(), Vec::new());
    for index in found.chunk_by(|a, b| a.0.first() == b.0.first()) {
        let names: Option<Vec<_>> =
            index.iter().map(|row| Some(row.optional_text(1).ok()??.to_owned())).collect();
        // What an expression reads, only its text would say.
        let all = || columns.iter().map(|column| column.name.clone()).collect();
        let key = UniqueKey {
            columns: names.unwrap_or_else(all),
            primary: index[0].text(0)? == "PRIMARY",
            deferrable: false,
        };
        let is_whole = index.iter().all(|row| row.int(2).is_ok_and(|whole| whole == 1));
        if is_whole { whole.push(key) } else { partly.push(key) }
    }
    Ok((whole, partly))
}

/// All triggers are per row here. One who has no TRIGGER right on the table sees none.
async fn triggers(session: &mut MySqlSession, table: &[Value]) -> Result<Vec<Trigger>, DbError> {
    let found = rows(
        session,
        "select trigger_name, event_manipulation from information_schema.triggers \
         where event_object_schema = ? and event_object_table = ? order by trigger_name",
        table.to_vec(),
    )
    .await?;
    let trigger = |row: &Row| {
        Ok(Trigger {
            name: row.text(0)?.to_owned(),
            per_statement: false,
            // MariaDB lists several events of one trigger, from 12 on.
            on_insert: row.text(1)?.contains("INSERT"),
            on_update: row.text(1)?.contains("UPDATE"),
            on_delete: row.text(1)?.contains("DELETE"),
            deferrable: false,
        })
    };
    found.iter().map(trigger).collect()
}

async fn foreign_keys(
    session: &mut MySqlSession,
    table: &mut Table,
    schema: &str,
) -> Result<(), DbError> {
    let found = rows(
        session,
        "select constraint_schema, table_name, unique_constraint_schema, referenced_table_name, \
         update_rule in ('CASCADE', 'SET NULL', 'SET DEFAULT') \
         or delete_rule in ('CASCADE', 'SET NULL', 'SET DEFAULT'), \
         constraint_schema = database() \
         from information_schema.referential_constraints order by 1, 2",
        vec![],
    )
    .await?;
    let mut edges = Vec::new();
    for row in &found {
        let (child, parent) = ((row.text(0)?, row.text(1)?), (row.text(2)?, row.text(3)?));
        edges.push((child, parent, row.int(4)? == 1, row.int(5)? == 1));
    }
    let folds = session.server().folds_case;
    let same = |a: (&str, &str), b: (&str, &str)| {
        a == b || folds && a.0.eq_ignore_ascii_case(b.0) && a.1.eq_ignore_ascii_case(b.1)
    };
    let name = table.name.name.clone();
    let start = (schema, name.as_str());
    table.refers_to_itself = edges.iter().any(|edge| same(edge.0, start) && same(edge.1, start));
    let mut reached = Vec::new();
    let mut waiting = vec![start];
    while let Some(parent) = waiting.pop() {
        for (child, _, _, here) in edges.iter().filter(|edge| edge.2 && same(edge.1, parent)) {
            if !reached.contains(&(*child, *here)) {
                reached.push((*child, *here));
                waiting.push(*child);
            }
        }
    }
    let with_schema = table.name.schema.is_some();
    table.cascades_to = reached
        .into_iter()
        .map(|((schema, name), here)| TableName {
            schema: (with_schema || !here).then(|| schema.to_owned()),
            name: name.to_owned(),
        })
        .collect();
    Ok(())
}
