//! What a statement says: its verb, its tables, what it sets, and where its WHERE stands.

use std::fmt;
use std::ops::{ControlFlow, Range};

use sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, FromTable, ObjectName, Spanned, Statement, TableFactor,
    TableWithJoins, UpdateTableFromKind, Visit,
};

use super::Relations;
use super::clause::{ignores, many_tables, refuse_clauses, verb};
use super::literal;
use super::refusal::Refusal;
use super::source::{Source, statement, unreadable};
use super::survey::{Dated, Qualified, Read, Survey, identifiers};
use super::warning::Warning;
use crate::db::{Dialect, Engine, TableName};

/// What a statement does to the rows of its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verb::Update => "UPDATE",
            Verb::Delete => "DELETE",
        })
    }
}

/// A function that a statement calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its name, as it was written.
    pub name: String,
    /// Where, in bytes of the statement's text.
    pub span: Option<Range<usize>>,
}

/// A column that an UPDATE sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SetColumn {
    pub name: String,
    pub span: Option<Range<usize>>,
    /// Whether every row gets the same value, which stands in the text.
    pub constant: bool,
}

/// A plain UPDATE or DELETE of one table, in which each expression is known to depend on its row
/// and on other tables alone.
#[derive(Debug, Clone)]
pub struct Shape {
    pub(super) verb: Verb,
    /// The whole text as it was given.
    pub(super) sql: String,
    pub(super) target: TableName,
    pub(super) target_span: Option<Range<usize>>,
    pub(super) alias: Option<String>,
    pub(super) sets: Vec<SetColumn>,
    pub(super) reads: Vec<Read>,
    pub(super) qualified: Vec<Qualified>,
    pub(super) dated: Vec<Dated>,
    pub(super) calls: Vec<Call>,
    pub(super) warnings: Vec<Warning>,
    /// The end of WHERE, and the end of the text that means something.
    pub(super) where_end: Option<usize>,
    pub(super) end: usize,
    pub(super) statement: Statement,
}

impl Shape {
    /// UPDATE or DELETE.
    pub fn verb(&self) -> Verb {
        self.verb
    }

    /// The tables that it names. [`rewrite`](super::rewrite()) wants the facts of those in `read` in
    /// this order.
    pub fn relations(&self) -> Relations {
        let mut read: Vec<TableName> = Vec::new();
        for table in self.reads.iter().map(|read| &read.table) {
            if !read.contains(table) {
                read.push(table.clone());
            }
        }
        Relations { target: self.target.clone(), read }
    }

    /// The target's alias.
    pub fn alias(&self) -> Option<&str> {
        self.alias.as_deref()
    }

    /// The columns that it sets, folded as the database folds them.
    pub fn set_columns(&self) -> impl Iterator<Item = &str> {
        self.sets.iter().map(|set| set.name.as_str())
    }

    /// The functions that it calls, in the order of their places.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// What the statement calls its target.
    pub(super) fn known_as(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.target.name)
    }
}

/// Reads one statement, with or without its closing semicolon.
///
/// # Errors
/// When it isn't a plain UPDATE or DELETE of one table, or has an expression that isn't known to
/// depend on the row, and on other tables, alone.
pub fn parse(sql: &str, dialect: Dialect) -> Result<Shape, Refusal> {
    let engine = dialect.engine;
    let source = Source::read(sql, engine)?;
    let verb = verb(&source)?;
    refuse_clauses(&source, verb, engine)?;
    let statement = statement(&source, engine)?;
    let mut survey = Survey::new(&source, engine, verb);

    let (relation, assignments, selection) = match &statement {
        Statement::Update(update) => {
            if let Some(from) = &update.from {
                let (UpdateTableFromKind::BeforeSet(tables)
                | UpdateTableFromKind::AfterSet(tables)) = from;
                let span = tables.first().and_then(|table| source.bytes(table.span()));
                return Err(many_tables(verb, "FROM").at(span, "a join"));
            }
            if update.or.is_some() {
                let span = source.span(1, 2);
                let words = span.clone().map_or("OR", |span| &sql[span]);
                return Err(ignores(verb, words).at(span, ""));
            }
            (&update.table, update.assignments.as_slice(), &update.selection)
        }
        Statement::Delete(delete) => {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
            let [relation] = from.as_slice() else {
                return Err(many_tables(verb, "more than one table"));
            };
            if !delete.tables.is_empty() {
                return Err(many_tables(verb, "more than one table").at(source.span(1, 1), ""));
            }
            (relation, [].as_slice(), &delete.selection)
        }
        _ => return Err(unreadable("not an UPDATE or DELETE")),
    };
    let (target, target_span, alias) = target(&survey, relation)?;

    let mut sets = Vec::new();
    for assignment in assignments {
        assigned(&mut survey, &mut sets, assignment)?;
    }
    if let Some(selection) = selection {
        walk(&mut survey, selection)?;
    }

    let where_end = source.clause("where").map(|index| source.spots[index].span.end);
    if where_end.is_some() != selection.is_some() {
        return Err(unreadable("the place of its WHERE got lost"));
    }
    let (reads, qualified, dated, calls, warnings) =
        (survey.reads, survey.qualified, survey.dated, survey.calls, survey.warnings);
    Ok(Shape {
        verb,
        sql: sql.to_owned(),
        target,
        target_span,
        alias,
        sets,
        reads,
        qualified,
        dated,
        calls,
        warnings,
        where_end,
        end: source.end(),
        statement,
    })
}

type Target = (TableName, Option<Range<usize>>, Option<String>);

fn target(survey: &Survey<'_>, relation: &TableWithJoins) -> Result<Target, Refusal> {
    let bytes = |span| survey.source.bytes(span);
    if let Some(join) = relation.joins.first() {
        return Err(many_tables(survey.verb, "JOIN").at(bytes(join.span()), "a join"));
    }
    match &relation.relation {
        TableFactor::Table {
            name,
            alias,
            args: None,
            with_hints,
            version: None,
            with_ordinality: false,
            partitions,
            json_path: None,
            sample: None,
            index_hints,
        } if with_hints.is_empty()
            && partitions.is_empty()
            && index_hints.is_empty()
            && alias.as_ref().is_none_or(|alias| alias.columns.is_empty()) =>
        {
            let table = survey.table_name(name)?;
            let alias = alias.as_ref().map(|alias| survey.fold(&alias.name));
            Ok((table, bytes(name.span()), alias))
        }
        other => {
            Err(Refusal::of(survey.verb, "it names its table with more than a name and an alias")
                .at(bytes(other.span()), "")
                .way("name the table plainly"))
        }
    }
}

fn walk(survey: &mut Survey<'_>, expr: &Expr) -> Result<(), Refusal> {
    match expr.visit(survey) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(refusal) => Err(*refusal),
    }
}

fn assigned(
    survey: &mut Survey<'_>,
    sets: &mut Vec<SetColumn>,
    assignment: &Assignment,
) -> Result<(), Refusal> {
    let (names, single): (&[ObjectName], bool) = match &assignment.target {
        AssignmentTarget::ColumnName(name) => (std::slice::from_ref(name), true),
        AssignmentTarget::Tuple(names) => (names, false),
    };
    let constant = single && literal::is_constant(&assignment.value);
    for name in names {
        let parts = identifiers(name);
        // PostgreSQL's `a.b` is the field b of the column a; elsewhere it is the column b of a.
        let column = match survey.engine {
            Engine::Postgres => parts.first(),
            _ => parts.last(),
        };
        let span = survey.source.bytes(name.span());
        let Some(column) = column else {
            return Err(
                Refusal::of(survey.verb, "it sets a column without a plain name").at(span, "")
            );
        };
        sets.push(SetColumn { name: survey.fold(column), span, constant });
    }
    let before = survey.dated.len();
    walk(survey, &assignment.value)?;
    // A text that is assigned as it stands is a date only if the column is one.
    if single
        && matches!(assignment.value, Expr::Value(_))
        && let Some(dated) = survey.dated.get_mut(before)
    {
        dated.column = sets.last().map(|set| set.name.clone());
    }
    Ok(())
}
