//! What SQLite's catalog says of a table.

use std::collections::BTreeSet;

use super::session::SqliteSession;
use super::trigger::{event, resolves_conflicts};
use crate::db::{
    Blocks, Column, DbError, Dialect, Row, Statement, Table, TableKind, TableName, Trigger,
    UniqueKey, Value,
};

/// Tables up to this span of row ids are counted, not estimated.
const COUNTED: u64 = 100_000;

pub(super) async fn read(
    session: &mut SqliteSession,
    name: &TableName,
) -> Result<Option<Table>, DbError> {
    let found = rows(
        session,
        "select schema, name, type, wr, strict from pragma_table_list \
         where name = ?1 collate nocase and schema = coalesce(?2, schema) collate nocase \
         order by schema = 'temp' desc, schema = 'main' desc limit 1",
        vec![name.name.as_str().into(), name.schema.as_deref().into()],
    )
    .await?;
    let Some(found) = found.first() else { return Ok(None) };
    let catalog = Catalog {
        schema: found.text(0)?.to_owned(),
        name: found.text(1)?.to_owned(),
        without_rowid: found.int(3)? != 0,
        strict: found.int(4)? != 0,
    };
    let is_table = found.text(2)? == "table";
    let mut table = Table {
        name: TableName {
            schema: name.schema.is_some().then(|| catalog.schema.clone()),
            name: catalog.name.clone(),
        },
        kind: if is_table { TableKind::Ordinary } else { TableKind::Other },
        columns: Vec::new(),
        unique: Vec::new(),
        partly_unique: Vec::new(),
        triggers: catalog.triggers(session).await?,
        has_rules: false,
        has_children: false,
        refers_to_itself: false,
        cascades_to: Vec::new(),
        unindexed_children: Vec::new(),
        cascaded_trigger: None,
        engine_without_transactions: None,
        row_security: false,
        resolves_conflicts: catalog.resolves_conflicts(session).await?,
        blocks: Blocks::Unknown,
        partitions: None,
        estimated_rows: None,
    };
    let primary = catalog.columns(session, &mut table).await?;
    if is_table {
        catalog.unique(session, &mut table, primary).await?;
        catalog.foreign_keys(session, &mut table).await?;
        table.estimated_rows = catalog.estimate(session).await?;
    }
    Ok(Some(table))
}

async fn rows(
    session: &mut SqliteSession,
    sql: impl Into<String>,
    params: Vec<Value>,
) -> Result<Vec<Row>, DbError> {
    session.fetch(&Statement::new(sql, params)).await
}

fn quote(name: &str) -> String {
    Dialect::SQLITE.quote(name)
}

struct Catalog {
    schema: String,
    name: String,
    without_rowid: bool,
    strict: bool,
}

impl Catalog {
    /// Parameters `?1` and `?2` of most queries.
    fn itself(&self) -> Vec<Value> {
        vec![self.name.as_str().into(), self.schema.as_str().into()]
    }

    fn quoted(&self) -> String {
        Dialect::SQLITE.qualified(Some(&self.schema), &self.name)
    }

    /// Fills in the columns and returns the primary key's.
    async fn columns(
        &self,
        session: &mut SqliteSession,
        table: &mut Table,
    ) -> Result<Vec<String>, DbError> {
        let found = rows(
            session,
            "select name, type, \"notnull\", pk, hidden, dflt_value from pragma_table_xinfo(?1, ?2) \
             where hidden <> 1 order by cid",
            self.itself(),
        )
        .await?;
        // No pragma tells from which: from any.
        let all: Vec<String> =
            found.iter().map(|row| row.text(0).map(str::to_owned)).collect::<Result<_, _>>()?;
        let mut primary = Vec::new();
        for row in &found {
            let key = row.int(3)?;
            if key > 0 {
                primary.push((key, row.text(0)?.to_owned()));
            }
            table.columns.push(Column {
                name: row.text(0)?.to_owned(),
                type_name: row.text(1)?.to_owned(),
                nullable: row.int(2)? == 0,
                computed_from: (row.int(4)? != 0).then(|| all.clone()),
                collation: None,
                nondeterministic: false,
                default: row.optional_text(5)?.map(str::to_owned),
            });
        }
        primary.sort();
        Ok(primary.into_iter().map(|(_, name)| name).collect())
    }

    async fn unique(
        &self,
        session: &mut SqliteSession,
        table: &mut Table,
        primary: Vec<String>,
    ) -> Result<(), DbError> {
        let indexes = rows(
            session,
            format!(
                "select i.name, origin, partial, sql \
                 from pragma_index_list(?1, ?2) i left join {}.sqlite_master m \
                 on m.type = 'index' and m.name = i.name \
                 where \"unique\" = 1 order by origin = 'pk' desc, seq desc",
                quote(&self.schema)
            ),
            self.itself(),
        )
        .await?;
        let has_index = indexes.iter().any(|index| index.text(1).is_ok_and(|o| o == "pk"));
        // A primary key without an index of its own is the row's number itself, never NULL. Any
        // other may hold NULLs in SQLite, but in a STRICT table or one WITHOUT ROWID.
        let is_rowid = !primary.is_empty() && !has_index && !self.without_rowid;
        if is_rowid || self.without_rowid || self.strict {
            for column in &mut table.columns {
                column.nullable &= !primary.contains(&column.name);
            }
        }
        if is_rowid {
            table.unique.push(UniqueKey { columns: primary, primary: true, deferrable: false });
        }
        for index in &indexes {
            let columns = rows(
                session,
                "select name, coll from pragma_index_xinfo(?1, ?2) where key = 1 order by seqno",
                vec![index.text(0)?.into(), self.schema.as_str().into()],
            )
            .await?;
            let mut names = Vec::new();
            let mut fits = index.int(2)? == 0;
            for column in &columns {
                let Some(name) = column.optional_text(0)? else {
                    fits = false;
                    continue;
                };
                fits &= self.is_unique_as_compared(session, name, column.text(1)?).await?;
                names.push(name.to_owned());
            }
            let primary = index.text(1)? == "pk";
            if fits {
                table.unique.push(UniqueKey { columns: names, primary, deferrable: false });
                continue;
            }
            // A column whose name stands in an expression or a predicate, if only within another
            // word, counts.
            let text = index.optional_text(3)?.unwrap_or_default().to_lowercase();
            let counts = |name: &str| text.contains(&name.to_lowercase());
            let named = table.columns.iter().map(|column| column.name.clone());
            let columns = named.filter(|name| names.contains(name) || counts(name)).collect();
            table.partly_unique.push(UniqueKey { columns, primary, deferrable: false });
        }
        Ok(())
    }

    /// Whether values that differ to an index of collation `index` differ to `>` and `=` as well:
    /// these use the column's own collation, which no pragma tells, so that it is tried out.
    async fn is_unique_as_compared(
        &self,
        session: &mut SqliteSession,
        column: &str,
        index: &str,
    ) -> Result<bool, DbError> {
        let probe = format!(
            "select sum(x = 'a'), sum(x = 'A ') from \
             (select {} as x from {} where 0 union all select 'A')",
            quote(column),
            self.quoted()
        );
        let probe = rows(session, probe, vec![]).await?;
        let equal = |at| probe.first().and_then(|row| row.int(at).ok()) == Some(1);
        Ok(match (equal(0), equal(1)) {
            (false, false) => true,
            (true, false) => index.eq_ignore_ascii_case("nocase"),
            (false, true) => index.eq_ignore_ascii_case("rtrim"),
            (true, true) => false,
        })
    }

    async fn resolves_conflicts(&self, session: &mut SqliteSession) -> Result<bool, DbError> {
        let found = rows(
            session,
            format!(
                "select coalesce(sql, '') from {}.sqlite_master where type = 'table' and name = ?1",
                quote(&self.schema)
            ),
            vec![self.name.as_str().into()],
        )
        .await?;
        Ok(found.first().map(|row| row.text(0)).transpose()?.is_some_and(resolves_conflicts))
    }

    async fn triggers(&self, session: &mut SqliteSession) -> Result<Vec<Trigger>, DbError> {
        let found = rows(
            session,
            format!(
                "select name, sql from {}.sqlite_master \
                 where type = 'trigger' and tbl_name = ?1 collate nocase \
                 union select name, sql from temp.sqlite_master \
                 where type = 'trigger' and tbl_name = ?1 collate nocase order by name",
                quote(&self.schema)
            ),
            vec![self.name.as_str().into()],
        )
        .await?;
        let trigger = |row: &Row| {
            let event = event(row.text(1)?);
            Ok(Trigger {
                name: row.text(0)?.to_owned(),
                per_statement: false,
                // What can't be read may be anything.
                on_insert: event.is_none_or(|event| event == "INSERT"),
                on_update: event.is_none_or(|event| event == "UPDATE"),
                on_delete: event.is_none_or(|event| event == "DELETE"),
                deferrable: false,
            })
        };
        found.iter().map(trigger).collect()
    }

    async fn foreign_keys(
        &self,
        session: &mut SqliteSession,
        table: &mut Table,
    ) -> Result<(), DbError> {
        let found = rows(
            session,
            format!(
                "select lower(t.name), t.name, lower(f.\"table\"), \
                 f.on_update in ('CASCADE', 'SET NULL', 'SET DEFAULT') \
                 or f.on_delete in ('CASCADE', 'SET NULL', 'SET DEFAULT') \
                 from {}.sqlite_master t, pragma_foreign_key_list(t.name, ?1) f \
                 where t.type = 'table' group by 1, 2, 3, 4",
                quote(&self.schema)
            ),
            vec![self.schema.as_str().into()],
        )
        .await?;
        let mut edges = Vec::new();
        for row in &found {
            edges.push((row.text(0)?, row.text(1)?, row.text(2)?, row.int(3)? != 0));
        }
        let start = self.name.to_lowercase();
        table.refers_to_itself = edges.iter().any(|edge| edge.0 == start && edge.2 == start);
        let mut reached = BTreeSet::new();
        let mut waiting = vec![start.as_str()];
        while let Some(parent) = waiting.pop() {
            for (child, name, _, _) in edges.iter().filter(|edge| edge.2 == parent && edge.3) {
                if reached.insert(*name) {
                    waiting.push(child);
                }
            }
        }
        let named = |name: &str| TableName { schema: table.name.schema.clone(), name: name.into() };
        let triggers = rows(
            session,
            format!(
                "select tbl_name, name, sql from {}.sqlite_master where type = 'trigger' \
                 union select tbl_name, name, sql from temp.sqlite_master where type = 'trigger' \
                 order by 1, 2",
                quote(&self.schema)
            ),
            vec![],
        )
        .await?;
        for row in &triggers {
            let of = reached
                .iter()
                .find(|name| row.text(0).is_ok_and(|table| table.eq_ignore_ascii_case(name)));
            if let (Some(of), None) = (of, &table.cascaded_trigger)
                && event(row.text(2)?) != Some("INSERT")
            {
                table.cascaded_trigger = Some((row.text(1)?.to_owned(), named(of)));
            }
        }
        table.cascades_to = reached.into_iter().map(named).collect();
        // An index serves that begins with the foreign key's first column.
        let unindexed = rows(
            session,
            format!(
                "select distinct t.name from {}.sqlite_master t, pragma_foreign_key_list(t.name, ?1) f \
                 where t.type = 'table' and f.\"table\" = ?2 collate nocase and f.seq = 0 \
                 and not exists (select 1 from pragma_index_list(t.name, ?1) l, \
                 pragma_index_info(l.name, ?1) x \
                 where not l.partial and x.seqno = 0 and x.name = f.\"from\" collate nocase) \
                 and not exists (select 1 from pragma_table_info(t.name, ?1) p \
                 where p.pk = 1 and p.name = f.\"from\" collate nocase) order by 1",
                quote(&self.schema)
            ),
            vec![self.schema.as_str().into(), self.name.as_str().into()],
        )
        .await?;
        for row in &unindexed {
            table.unindexed_children.push(named(row.text(0)?));
        }
        Ok(())
    }

    /// Counts what is small; of the rest, ANALYZE's count, or the span of the row numbers.
    async fn estimate(&self, session: &mut SqliteSession) -> Result<Option<u64>, DbError> {
        let quoted = self.quoted();
        let mut span = None;
        if !self.without_rowid {
            let sql = format!("select max(rowid) - min(rowid) + 1 from {quoted}");
            // A column may be called `rowid` and hold anything.
            let found = rows(session, sql, vec![]).await.unwrap_or_default();
            let number = found.first().and_then(|row| row.optional_int(0).ok());
            span = number.map(|span| u64::try_from(span.unwrap_or(0)).unwrap_or(u64::MAX));
        }
        if span.is_none_or(|span| span > COUNTED) {
            let sql = format!(
                "select max(cast(stat as integer)) from {}.sqlite_stat1 where tbl = ?1",
                quote(&self.schema)
            );
            // The table is there only after an ANALYZE.
            let found = rows(session, sql, vec![self.name.as_str().into()]).await;
            let analysed = found.ok().and_then(|rows| rows.first()?.optional_int(0).ok()?);
            let analysed = analysed.and_then(|rows| u64::try_from(rows).ok());
            if analysed.or(span).is_some() {
                return Ok(analysed.or(span));
            }
        }
        let counted = rows(session, format!("select count(*) from {quoted}"), vec![]).await?;
        let counted = counted.first().map(|row| row.int(0)).transpose()?;
        Ok(counted.and_then(|rows| u64::try_from(rows).ok()))
    }
}
