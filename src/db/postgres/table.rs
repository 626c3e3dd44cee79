//! What PostgreSQL's catalog says of a table.

mod tree;

use tree::Tree;

use crate::db::{
    Blocks, Column, DbError, Dialect, Row, Session, Statement, Table, TableKind, TableName,
    Trigger, UniqueKey,
};

const RELATION: &str = "
    select c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text,
           case when c.reltuples >= 0 and c.relpages > 0
                then (c.reltuples / c.relpages
                      * (pg_relation_size(c.oid) / current_setting('block_size')::int))::bigint
                when c.reltuples >= 0 and pg_relation_size(c.oid) = 0 then 0 end,
           c.relhasrules or c.relhassubclass, c.relhastriggers,
           row_security_active(c.oid),
           case when c.relkind = 'r' and m.amname = 'heap'
                then current_setting('server_version_num')::int end
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    left join pg_am m on m.oid = c.relam
    where c.oid = to_regclass($1)";

// The flags of pg_class may still say that there is what there no longer is.
const KIN: &str = "
    select exists (select 1 from pg_rewrite r
                   where r.ev_class = $1::bigint::oid and r.rulename <> '_RETURN'),
           exists (select 1 from pg_inherits i where i.inhparent = $1::bigint::oid)";

// A NOT NULL that is NOT VALID leaves the NULLs that are there.
const COLUMNS: &str = "
    select attname::text, format_type(atttypid, atttypmod),
           not attnotnull or exists (
               select 1 from pg_constraint n
               where n.conrelid = attrelid and n.contype = 'n' and not n.convalidated
                 and n.conkey = array[attnum]),
           attgenerated <> '',
           attcollation::text, coalesce(not c.collisdeterministic, false),
           case when attgenerated = '' then coalesce(
               pg_get_expr(d.adbin, d.adrelid), pg_get_expr(y.typdefaultbin, 0),
               case when attidentity <> '' then format(
                   'nextval(%L)', pg_get_serial_sequence(attrelid::regclass::text, attname)) end)
           end
    from pg_attribute left join pg_collation c on c.oid = attcollation
    left join pg_attrdef d on d.adrelid = attrelid and d.adnum = attnum
    left join pg_type y on y.oid = atttypid
    where attrelid = to_regclass($1) and attnum > 0 and not attisdropped
    order by attnum";

// What a generated column depends on stands at the column or at its expression, by the server's
// version; where it stands at neither, any column counts.
const COMPUTED: &str = "
    select distinct a.attname::text,
           (select string_agg(f.attname::text, e'\n') from pg_attribute f
            where f.attrelid = a.attrelid and f.attnum > 0
              and (s.columns is null or f.attnum = any (s.columns)))
    from pg_attribute a
    cross join lateral (
        select array_agg(d.refobjsubid) as columns from pg_depend d
        where d.refclassid = 'pg_class'::regclass and d.refobjid = a.attrelid
          and d.refobjsubid > 0 and d.refobjsubid <> a.attnum
          and ((d.classid = 'pg_class'::regclass and d.objid = a.attrelid
                and d.objsubid = a.attnum)
               or (d.classid = 'pg_attrdef'::regclass and d.objid in (
                   select oid from pg_attrdef
                   where adrelid = a.attrelid and adnum = a.attnum)))
    ) s
    where a.attrelid = any ($1::text::oid[]) and a.attgenerated <> ''";

// Expressions and predicates make no key of the rows; an invalid index proves nothing.
const UNIQUE: &str = "
    select i.indexrelid::bigint, i.indisprimary, not i.indimmediate, a.attname::text
    from pg_index i
    cross join lateral unnest(i.indkey::int2[]) with ordinality k(attnum, at)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = $1::bigint::oid and i.indisunique and i.indisvalid
      and i.indpred is null and i.indexprs is null and k.at <= i.indnkeyatts
    order by i.indisprimary desc, i.indexrelid, k.at";

// An invalid index forbids as well, and so does a unique one of a partition alone, which is no key of the whole. The columns in expressions and predicates stand in their trees, 0
// for the row as a whole; what is only included behind the key doesn't count.
const PARTLY_UNIQUE: &str = "
    select i.indexrelid::bigint, false, not i.indimmediate, a.attname::text
    from pg_index i
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum > 0 and not a.attisdropped
    join pg_class x on x.oid = i.indexrelid
    where i.indrelid = any ($1::text::oid[])
      and (i.indrelid = ($1::text::oid[])[1] or not x.relispartition)
      and (i.indisexclusion
           or i.indisunique
              and (i.indpred is not null or i.indexprs is not null or not i.indisvalid
                   or i.indrelid <> ($1::text::oid[])[1]))
      and (exists (select 1 from unnest(i.indkey::int2[]) with ordinality k(attnum, at)
                   where k.attnum = a.attnum and k.at <= i.indnkeyatts)
           or concat(i.indexprs::text, i.indpred::text)
              ~ concat(':varattno (0|', a.attnum, ') '))
    order by i.indexrelid, a.attnum";

// Bits of tgtype: 1 row, 4 insert, 8 delete, 16 update (src/include/catalog/pg_trigger.h). A foreign key that
// is checked at commit acts like a deferred trigger, and one for each row that sees the tables of its
// statement like one for each statement.
const TRIGGERS: &str = "
    select distinct tgname::text, tgtype & 1 = 0 or concat(tgoldtable, tgnewtable) <> '', tgtype & 16 <> 0, tgtype & 8 <> 0, tgdeferrable,
           tgtype & 4 <> 0
    from pg_trigger where tgrelid = any ($1::text::oid[]) and not tgisinternal and tgenabled <> 'D'
    union all
    select distinct conname::text, false, true, true, true, true
    from pg_constraint
    where contype = 'f' and condeferred and (conrelid = any ($1::text::oid[]) or confrelid = any ($1::text::oid[]))
    order by 1";

const SELF: &str = "
    select exists (select 1 from pg_constraint f where f.contype = 'f'
                   and f.conrelid = any ($1::text::oid[])
                   and (f.confrelid = any ($1::text::oid[])
                        or f.confrelid in (select relid from unnest($1::text::oid[]) o, pg_partition_ancestors(o))))";

const UNINDEXED: &str = "
    select distinct n.nspname::text, c.relname::text
    from pg_constraint f join pg_class c on c.oid = f.conrelid
    join pg_namespace n on n.oid = c.relnamespace
    where f.contype = 'f' and f.confrelid = any ($1::text::oid[])
      and not exists (
          select 1 from pg_index i
          where i.indrelid = f.conrelid and i.indisvalid and i.indpred is null
            and (i.indkey::int2[])[0:cardinality(f.conkey) - 1] @> f.conkey)
    order by 1, 2";

const CASCADES: &str = "
    with recursive reached(oid) as (
        select conrelid from pg_constraint
        where contype = 'f' and confrelid = any ($1::text::oid[])
          and (confdeltype in ('c', 'n', 'd') or confupdtype in ('c', 'n', 'd'))
        union
        select f.conrelid from pg_constraint f join reached r on f.confrelid = r.oid
        where f.contype = 'f' and (f.confdeltype in ('c', 'n', 'd') or f.confupdtype in ('c', 'n', 'd'))
    )
    select n.nspname::text, c.relname::text,
           (select min(t.tgname::text) from pg_trigger t
            where t.tgrelid = r.oid and not t.tgisinternal and t.tgenabled <> 'D'
              and t.tgtype & 24 <> 0)
    from reached r join pg_class c on c.oid = r.oid join pg_namespace n on n.oid = c.relnamespace
    order by 1, 2";

pub async fn read(session: &mut dyn Session, name: &TableName) -> Result<Option<Table>, DbError> {
    let named = |sql: &str| Statement::new(sql, vec![spelled(name).into()]);
    let found = session.query(&named(RELATION)).await?;
    let Some(relation) = found.first() else { return Ok(None) };
    let oid = relation.int(0)?;
    let kind = match relation.text(3)? {
        "r" => TableKind::Ordinary,
        "p" => TableKind::Partitioned,
        _ => TableKind::Other,
    };
    let tree = match kind {
        TableKind::Partitioned => Some(Tree::read(session, oid).await?),
        _ => None,
    };
    let ask = |sql: &str| Statement::new(sql, vec![oid.into()]);
    // Itself first, and all partitions.
    let oids = tree.as_ref().map_or_else(|| format!("{{{oid}}}"), Tree::oids);
    let ask_all = |sql: &str| Statement::new(sql, vec![oids.as_str().into()]);
    let mut columns = Vec::new();
    let mut any_computed = false;
    for row in session.query(&named(COLUMNS)).await? {
        columns.push(column(&row)?);
        any_computed |= row.int(3)? != 0;
    }
    if any_computed {
        for row in session.query(&ask_all(COMPUTED)).await? {
            let name = row.text(0)?;
            let from = row.text(1)?.split('\n').map(str::to_owned);
            if let Some(column) = columns.iter_mut().find(|column| column.name == name) {
                // Each partition may compute it in a way of its own.
                column.computed_from.get_or_insert_default().extend(from);
            }
        }
    }
    let unique = session.query(&ask(UNIQUE)).await?;
    let partly_unique = session.query(&ask_all(PARTLY_UNIQUE)).await?;
    // Half the time of a start would be questions about tables without any of this, such as ours.
    // Foreign keys act by triggers on both of their tables.
    let (mut has_rules, mut has_children, mut refers_to_itself) = (false, false, false);
    let (mut triggers, mut cascades, mut unindexed) = (Vec::new(), Vec::new(), Vec::new());
    let yes = |row: &Row, at: usize| row.int(at).map(|yes| yes != 0);
    let mut row_security = yes(relation, 7)?;
    if yes(relation, 5)?
        && let Some(kin) = session.query(&ask(KIN)).await?.first()
    {
        (has_rules, has_children) = (yes(kin, 0)?, yes(kin, 1)?);
    }
    if yes(relation, 6)? || tree.is_some() {
        let rows = session.query(&ask_all(SELF)).await?;
        refers_to_itself = rows.first().map_or(Ok(false), |row| yes(row, 0))?;
        triggers = session.query(&ask_all(TRIGGERS)).await?;
        cascades = session.query(&ask_all(CASCADES)).await?;
        unindexed = session.query(&ask_all(UNINDEXED)).await?;
    }
    let (mut partitions, mut estimated_rows) = (None, relation.optional_int(4)?);
    if let Some(tree) = tree {
        estimated_rows = tree.estimated_rows;
        has_rules |= tree.has_rules;
        row_security |= tree.row_security;
        partitions = Some(tree.partitions);
    }
    Ok(Some(Table {
        name: table_name(relation, 1)?,
        kind,
        columns,
        unique: unique_keys(&unique)?,
        partly_unique: unique_keys(&partly_unique)?,
        triggers: triggers.iter().map(trigger).collect::<Result<_, _>>()?,
        has_rules,
        has_children: kind == TableKind::Ordinary && has_children,
        refers_to_itself,
        cascaded_trigger: cascades.iter().find_map(cascaded_trigger).transpose()?,
        cascades_to: cascades.iter().map(|row| table_name(row, 0)).collect::<Result<_, _>>()?,
        unindexed_children: unindexed
            .iter()
            .map(|row| table_name(row, 0))
            .collect::<Result<_, _>>()?,
        engine_without_transactions: None,
        row_security,
        resolves_conflicts: false,
        // "TID Range Scan" came with 14.
        blocks: match relation.optional_int(8)? {
            Some(140_000..) => Blocks::Ranges,
            Some(_) => Blocks::TooOld,
            None => Blocks::Unknown,
        },
        partitions,
        estimated_rows: estimated_rows.map(|rows| rows.max(0) as u64),
    }))
}

pub async fn columns(session: &mut dyn Session, name: &TableName) -> Result<Vec<Column>, DbError> {
    let rows = session.query(&Statement::new(COLUMNS, vec![spelled(name).into()])).await?;
    rows.iter().map(column).collect()
}

pub async fn exists(session: &mut dyn Session, name: &TableName) -> Result<bool, DbError> {
    let sql = "select 1 where to_regclass($1) is not null";
    let rows = session.query(&Statement::new(sql, vec![spelled(name).into()])).await?;
    Ok(!rows.is_empty())
}

/// As `to_regclass` reads it.
fn spelled(name: &TableName) -> String {
    Dialect::POSTGRES.qualified(name.schema.as_deref(), &name.name)
}

fn table_name(row: &Row, at: usize) -> Result<TableName, DbError> {
    Ok(TableName { schema: Some(row.text(at)?.to_owned()), name: row.text(at + 1)?.to_owned() })
}

fn cascaded_trigger(row: &Row) -> Option<Result<(String, TableName), DbError>> {
    let trigger = row.optional_text(2).transpose()?;
    Some(trigger.and_then(|trigger| Ok((trigger.to_owned(), table_name(row, 0)?))))
}

fn column(row: &Row) -> Result<Column, DbError> {
    Ok(Column {
        name: row.text(0)?.to_owned(),
        type_name: row.text(1)?.to_owned(),
        nullable: row.int(2)? != 0,
        computed_from: None,
        collation: row.optional_text(4)?.map(str::to_owned),
        nondeterministic: row.int(5)? != 0,
        default: row.optional_text(6)?.map(str::to_owned),
    })
}

fn trigger(row: &Row) -> Result<Trigger, DbError> {
    Ok(Trigger {
        name: row.text(0)?.to_owned(),
        per_statement: row.int(1)? != 0,
        on_update: row.int(2)? != 0,
        on_delete: row.int(3)? != 0,
        deferrable: row.int(4)? != 0,
        on_insert: row.int(5)? != 0,
    })
}

/// Rows come a column each, those of one index together.
fn unique_keys(rows: &[Row]) -> Result<Vec<UniqueKey>, DbError> {
    let mut keys: Vec<(i64, UniqueKey)> = Vec::new();
    for row in rows {
        let index = row.int(0)?;
        if keys.last().is_none_or(|(last, _)| *last != index) {
            let key = UniqueKey {
                columns: Vec::new(),
                primary: row.int(1)? != 0,
                deferrable: row.int(2)? != 0,
            };
            keys.push((index, key));
        }
        if let Some((_, key)) = keys.last_mut() {
            key.columns.push(row.text(3)?.to_owned());
        }
    }
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}
