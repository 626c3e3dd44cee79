//! Whether a row meets at most one row of each table that is joined to it.
//!
//! It does where a unique key of that table is equated, column by column, to what is the same for the
//! row: its own columns, constants, and the columns of tables of which it meets at most one row.

use sqlparser::ast::{BinaryOperator, Expr, Value};

use super::super::join::{Joined, Rows};
use super::super::key::same_column;
use super::super::shape::{Shape, Verb};
use super::super::survey::Read;
use super::super::warning::Warning;
use super::comparable::{Class, same_values};
use crate::db::{Column, Engine, Table};

pub(super) fn joins(
    shape: &Shape,
    target: &Table,
    reads: &[(&Read, &Table)],
    engine: Engine,
) -> Option<Warning> {
    // Whether a row goes doesn't depend on how many it meets, and each of them is inserted.
    if shape.verb != Verb::Update {
        return None;
    }
    let many = Meeting::new(shape, target, reads, engine).many()?;
    let name = &many.known_as;
    Some(Warning::new(
        format!(
            "a row of {} may meet more than one row of {name}, and which one it takes is left to \
             the database, in the whole statement as well",
            target.name.name
        ),
        many.span.clone(),
        format!("equate each column of a unique key of {name} with AND, in the type that it has"),
    ))
}

/// The tables that meet.
struct Meeting<'a> {
    engine: Engine,
    conditions: &'a [Expr],
    /// What the target is called, and the target.
    target: (&'a str, &'a Table),
    joined: Vec<(&'a Joined, Option<&'a Table>)>,
    /// Of which of those a row meets at most one row.
    fixed: Vec<bool>,
}

/// Whose column it is.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Target,
    Joined(usize),
}

impl<'a> Meeting<'a> {
    fn new(
        shape: &'a Shape,
        target: &'a Table,
        reads: &[(&Read, &'a Table)],
        engine: Engine,
    ) -> Self {
        let facts = |joined: &'a Joined| {
            let name = match &joined.rows {
                Rows::Table(name) => name,
                Rows::Query(grouped) => &grouped.as_ref()?.table,
            };
            reads.iter().find(|(read, _)| read.table == *name).map(|(_, table)| *table)
        };
        let joined: Vec<_> = shape.joined.iter().map(|it| (it, facts(it))).collect();
        let fixed = vec![false; joined.len()];
        let target = (shape.known_as(), target);
        Meeting { engine, conditions: &shape.conditions, target, joined, fixed }
    }

    /// A table of which a row may meet several rows.
    fn many(mut self) -> Option<&'a Joined> {
        loop {
            let next = (0..self.joined.len()).find(|at| !self.fixed[*at] && self.is_fixed(*at));
            match next {
                Some(at) => self.fixed[at] = true,
                None => break,
            }
        }
        self.fixed.iter().position(|fixed| !fixed).map(|at| self.joined[at].0)
    }

    fn is_fixed(&self, at: usize) -> bool {
        let (joined, table) = self.joined[at];
        let Some(table) = table else { return false };
        match &joined.rows {
            Rows::Query(grouped) => grouped.as_ref().is_some_and(|grouped| {
                grouped.columns.iter().all(|(name, column)| self.equated(at, name, table, column))
            }),
            Rows::Table(_) => table
                .unique
                .iter()
                .any(|key| key.columns.iter().all(|name| self.equated(at, name, table, name))),
        }
    }

    /// Whether the column `name` of a joined table, which is `column` of `table`, is equated to what is
    /// fixed.
    fn equated(&self, at: usize, name: &str, table: &Table, column: &str) -> bool {
        let Some(column) =
            table.columns.iter().find(|it| same_column(self.engine, &it.name, column))
        else {
            return false;
        };
        let is_it = |expr: &Expr| {
            self.column(expr).is_some_and(|(of, found)| {
                of == Of::Joined(at) && same_column(self.engine, &found, name)
            })
        };
        self.conditions.iter().chain(&self.joined[at].0.on).any(|condition| {
            let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition else {
                return false;
            };
            let fits = |other: &Expr, first: bool| {
                self.class(other)
                    .is_some_and(|class| same_values(self.engine, column, &class, first))
            };
            is_it(left) && fits(right, true) || is_it(right) && fits(left, false)
        })
    }

    /// Whose column an expression is, and its name. A name without its table counts where only one of
    /// the tables can have it.
    fn column(&self, expr: &Expr) -> Option<(Of, String)> {
        let same = |one: &str, other: &str| same_column(self.engine, one, other);
        match expr {
            Expr::Nested(inner) => self.column(inner),
            Expr::CompoundIdentifier(parts) => {
                let [.., table, column] = parts.as_slice() else { return None };
                let (table, column) = (fold(self.engine, table), fold(self.engine, column));
                if same(&table, self.target.0) {
                    return Some((Of::Target, column));
                }
                let at = self.joined.iter().position(|(it, _)| same(&it.known_as, &table))?;
                Some((Of::Joined(at), column))
            }
            Expr::Identifier(ident) => {
                let column = fold(self.engine, ident);
                let has = |table: &Table| table.columns.iter().any(|it| same(&it.name, &column));
                let mut owners: Vec<_> =
                    has(self.target.1).then_some(Of::Target).into_iter().collect();
                for (at, (joined, table)) in self.joined.iter().enumerate() {
                    match (&joined.rows, table) {
                        (Rows::Table(_), Some(table)) => {
                            owners.extend(has(table).then_some(Of::Joined(at)));
                        }
                        _ => return None,
                    }
                }
                match owners[..] {
                    [owner] => Some((owner, column)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// What values an expression has, if it is the same for the row.
    fn class(&self, expr: &Expr) -> Option<Class> {
        if let Some((of, name)) = self.column(expr) {
            return self.facts(of, &name).map(|column| Class::of(self.engine, column));
        }
        match expr {
            Expr::Nested(inner) => self.class(inner),
            Expr::Value(value) => match &value.value {
                Value::Number(number, _) if number.bytes().all(|b| b.is_ascii_digit()) => {
                    Some(Class::Number)
                }
                Value::SingleQuotedString(_) => Some(Class::Literal),
                _ => None,
            },
            Expr::BinaryOp {
                left,
                op: BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply,
                right,
            } => match (self.class(left)?, self.class(right)?) {
                (Class::Number, Class::Number) => Some(Class::Number),
                _ => None,
            },
            _ => None,
        }
    }

    /// The column, where it is the same for the row.
    fn facts(&self, of: Of, name: &str) -> Option<&'a Column> {
        let (table, name) = match of {
            Of::Target => (self.target.1, name),
            Of::Joined(at) if self.fixed[at] => {
                let (joined, table) = self.joined[at];
                match &joined.rows {
                    Rows::Table(_) => (table?, name),
                    Rows::Query(grouped) => {
                        let columns = &grouped.as_ref()?.columns;
                        let same = |one: &str| same_column(self.engine, one, name);
                        (table?, columns.iter().find(|(it, _)| same(it))?.1.as_str())
                    }
                }
            }
            Of::Joined(_) => return None,
        };
        table.columns.iter().find(|column| same_column(self.engine, &column.name, name))
    }
}

fn fold(engine: Engine, ident: &sqlparser::ast::Ident) -> String {
    match engine {
        Engine::Postgres if ident.quote_style.is_none() => ident.value.to_ascii_lowercase(),
        _ => ident.value.clone(),
    }
}
