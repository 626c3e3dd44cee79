//! Whether what stands in a subquery is answered by that subquery alone, and the same each time that it
//! is asked.

use sqlparser::ast::{Expr, Value};

use super::super::join::Rows;
use super::super::key::same_column;
use super::super::level::{Aggregated, From, Named, Ordered};
use super::super::refusal::Refusal;
use super::super::shape::Shape;
use super::super::survey::Read;
use super::super::warning::Warning;
use super::comparable::{Class, same_values};
use crate::db::{Column, Engine, Table, TableName};

/// Columns that no catalog lists.
const HIDDEN: [&str; 9] =
    ["rowid", "oid", "_rowid_", "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

struct Levels<'a> {
    engine: Engine,
    /// The tables of the statement itself, by their names there.
    outer: Vec<(&'a str, Option<&'a Table>)>,
    reads: &'a [(&'a Read, &'a Table)],
}

/// Refuses aggregates that may belong to the statement itself, and warns of what is taken by an order
/// that is left to the database: each batch asks anew.
pub(super) fn levels(
    shape: &Shape,
    target: &Table,
    reads: &[(&Read, &Table)],
    engine: Engine,
) -> Result<Vec<Warning>, Refusal> {
    let facts = |name: &TableName| reads.iter().find(|it| it.0.table == *name).map(|it| it.1);
    let mut outer = vec![(shape.known_as(), Some(target))];
    outer.extend(shape.joined.iter().map(|joined| match &joined.rows {
        Rows::Table(name) => (joined.known_as.as_str(), facts(name)),
        Rows::Query(_) => (joined.known_as.as_str(), None),
    }));
    let levels = Levels { engine, outer, reads };
    if let Some(stray) = shape.aggregated.iter().find(|it| !levels.is_inner(it)) {
        return Err(Refusal::of(
            shape.verb,
            format_args!(
                "{}() may look at the rows of the statement itself, not at those of its subquery",
                stray.call
            ),
        )
        .at(stray.span.clone(), "whose rows it looks at depends on whose columns these are")
        .way("write each column with the name of its table: `sum(other.n)`"));
    }
    let loose = shape.ordered.iter().filter(|it| !levels.is_complete(it));
    let warning = |it: &Ordered| {
        Warning::new(
            format!(
                "what {} gives depends on an order that is left to the database, and each batch asks \
                 anew",
                it.what
            ),
            it.span.clone(),
            "order it by a unique key of the one table that it reads; or put what it gives into a \
             table first",
        )
    };
    Ok(loose.map(warning).collect())
}

impl Levels<'_> {
    fn same(&self, one: &str, other: &str) -> bool {
        same_column(self.engine, one, other)
    }

    fn table(&self, from: &From) -> Option<&Table> {
        let name = from.table.as_ref()?;
        self.reads.iter().find(|it| it.0.table == *name).map(|it| it.1)
    }

    fn has(&self, table: &Table, name: &str) -> bool {
        table.columns.iter().any(|column| self.same(&column.name, name))
    }

    /// Whether an aggregate is its subquery's, or one's around that: one of its columns surely is, or
    /// it has none.
    fn is_inner(&self, aggregated: &Aggregated) -> bool {
        let Some(names) = &aggregated.names else { return false };
        names.is_empty() || names.iter().any(|name| self.is_inner_column(name, &aggregated.from))
    }

    fn is_inner_column(&self, name: &Named, from: &[From]) -> bool {
        let known = |from: &From| {
            let of = name.table.as_ref().is_none_or(|table| self.same(table, &from.known_as));
            of && self.table(from).is_some_and(|table| self.has(table, &name.column))
        };
        if from.iter().any(known) {
            return true;
        }
        match &name.table {
            // What no table of the statement is called.
            Some(table) => {
                from.iter().any(|from| self.same(table, &from.known_as))
                    && !self.outer.iter().any(|(outer, _)| outer.eq_ignore_ascii_case(table))
            }
            // What no table of the statement has.
            None => {
                let may_have = |(known_as, table): &(&str, Option<&Table>)| {
                    known_as.eq_ignore_ascii_case(&name.column)
                        || table.is_none_or(|table| self.has(table, &name.column))
                };
                !self.outer.iter().any(may_have)
                    && !HIDDEN.iter().any(|hidden| hidden.eq_ignore_ascii_case(&name.column))
            }
        }
    }

    /// Whether no two rows are equal to the order: it has all columns of a key of the one table, but
    /// for those of which WHERE leaves one value.
    fn is_complete(&self, ordered: &Ordered) -> bool {
        let [from] = ordered.level.from.as_slice() else { return false };
        let Some(table) = self.table(from) else { return false };
        let is = |named: &Named, column: &Column| {
            named.table.as_ref().is_none_or(|table| self.same(table, &from.known_as))
                && self.same(&named.column, &column.name)
        };
        let is_settled = |name: &String| {
            table.column(name).is_some_and(|column| {
                !column.nullable && ordered.by.iter().any(|named| is(named, column))
                    || ordered.level.equated.iter().any(|it| {
                        is(&it.column, column)
                            && self.class(&it.to, from, table).is_some_and(|class| {
                                same_values(self.engine, column, &class, it.first)
                            })
                    })
            })
        };
        table.unique.iter().any(|key| key.columns.iter().all(is_settled))
    }

    /// What values an expression has, if it is the same for all rows of a subquery's table.
    fn class(&self, expr: &Expr, inner: &From, table: &Table) -> Option<Class> {
        let column = |table: &Table, name: &str| {
            let found = table.columns.iter().find(|column| self.same(&column.name, name));
            found.map(|column| Class::of(self.engine, column))
        };
        match expr {
            Expr::Nested(expr) => self.class(expr, inner, table),
            Expr::Value(value) => match &value.value {
                Value::Number(number, _) if number.bytes().all(|b| b.is_ascii_digit()) => {
                    Some(Class::Number)
                }
                Value::SingleQuotedString(_) => Some(Class::Literal),
                _ => None,
            },
            Expr::CompoundIdentifier(parts) => {
                let [.., of, name] = parts.as_slice() else { return None };
                if of.value.eq_ignore_ascii_case(&inner.known_as) {
                    return None;
                }
                let is_it = |outer: &&(&str, _)| outer.0.eq_ignore_ascii_case(&of.value);
                column(self.outer.iter().find(is_it)?.1?, &name.value)
            }
            Expr::Identifier(name) if column(table, &name.value).is_none() => {
                let all: Option<Vec<_>> = self.outer.iter().map(|(_, table)| *table).collect();
                let mut classes = all?.into_iter().filter_map(|table| column(table, &name.value));
                classes.next().filter(|_| classes.next().is_none())
            }
            _ => None,
        }
    }
}
