//! A partitioned table of PostgreSQL's and its partitions.

use super::table_name;
use crate::db::{DbError, Partitions, Session, Statement};

// Each level below, without what is just being detached (from version 14 on), and the rights to it. Without
// statistics, a block is taken to be half full of rows of a hundred bytes.
const TREE: &str = "
    with recursive tree(oid) as (
        select $1::bigint::oid
        union all
        select i.inhrelid from pg_inherits i join tree on i.inhparent = tree.oid
        where not coalesce((to_jsonb(i)->>'inhdetachpending')::boolean, false)
    )
    select t.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text,
           has_schema_privilege(c.relnamespace, 'USAGE') and has_table_privilege(t.oid, 'SELECT'),
           has_table_privilege(t.oid, 'UPDATE'), has_table_privilege(t.oid, 'DELETE'), c.relhasrules, row_security_active(t.oid),
           case when c.relkind <> 'r' then 0
                when c.reltuples >= 0 and c.relpages > 0
                then (c.reltuples / c.relpages
                      * (pg_relation_size(c.oid) / current_setting('block_size')::int))::bigint
                else pg_relation_size(c.oid) / current_setting('block_size')::int * 64 end,
           (select string_agg(a.attname::text, e'\n' order by a.attnum) from pg_attribute a
            where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped)
    from tree t join pg_class c on c.oid = t.oid join pg_namespace n on n.oid = c.relnamespace
    order by t.oid <> $1::bigint::oid, t.oid";

// The columns that rows are put into partitions by, in expressions as well.
const BY: &str = "
    select distinct a.attname::text
    from pg_partitioned_table p
    join pg_attribute a on a.attrelid = p.partrelid and a.attnum > 0 and not a.attisdropped
    where p.partrelid = any ($1::text::oid[])
      and (a.attnum = any (p.partattrs::int2[])
           or p.partexprs::text ~ concat(':varattno (0|', a.attnum, ') '))
    order by 1";

/// A partitioned table and all below it.
pub(super) struct Tree {
    oids: Vec<i64>,
    pub partitions: Partitions,
    pub has_rules: bool,
    pub row_security: bool,
    pub estimated_rows: Option<i64>,
}

impl Tree {
    /// Below the table of this number.
    pub async fn read(session: &mut dyn Session, number: i64) -> Result<Tree, DbError> {
        let rows = session.query(&Statement::new(TREE, vec![number.into()])).await?;
        let mut tree = Tree {
            oids: Vec::new(),
            partitions: Partitions { number, ..Partitions::default() },
            has_rules: false,
            row_security: false,
            estimated_rows: Some(0),
        };
        let layout = rows.first().map(|row| row.optional_text(10)).transpose()?.flatten();
        for row in &rows {
            let (oid, name) = (row.int(0)?, table_name(row, 1)?);
            tree.has_rules |= row.int(7)? != 0;
            tree.row_security |= row.int(8)? != 0;
            let rows = row.optional_int(9)?;
            tree.estimated_rows = tree.estimated_rows.zip(rows).map(|(sum, rows)| sum + rows);
            tree.oids.push(oid);
            match row.text(3)? {
                "p" => {
                    tree.partitions.inner.push(name);
                    continue;
                }
                "r" => {}
                _ => tree.partitions.foreign = Some(name.clone()),
            }
            if row.optional_text(10)? != layout {
                tree.partitions.reordered = Some(name.clone());
            }
            for (at, right) in [(4, "SELECT"), (5, "UPDATE"), (6, "DELETE")] {
                let is_new = tree.partitions.lacking.iter().all(|(lacking, _)| lacking != right);
                if row.int(at)? == 0 && is_new {
                    tree.partitions.lacking.push((right.to_owned(), name.clone()));
                }
            }
            tree.partitions.leaves.push((oid, name));
        }
        let by = session.query(&Statement::new(BY, vec![tree.oids().into()])).await?;
        let by = by.iter().map(|row| row.text(0).map(str::to_owned));
        tree.partitions.by = by.collect::<Result<_, _>>()?;
        Ok(tree)
    }

    /// The numbers of itself and of all partitions, as an array.
    pub fn oids(&self) -> String {
        let oids: Vec<_> = self.oids.iter().map(i64::to_string).collect();
        format!("{{{}}}", oids.join(","))
    }
}
