//! What a statement says: its verb, its tables, what it sets, and where its WHERE stands.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, ObjectName, Spanned, Statement, TableFactor, Visit,
};

use super::Relations;
use super::body::{Body, delete_body, update_body};
use super::clause::{refuse_clauses, verb};
use super::insert::{Into, insert_body};
use super::join::{Joined, Tables, conjuncts};
use super::level::{Aggregated, Ordered};
use super::literal;
use super::pin::Clock;
use super::refusal::Refusal;
use super::source::{Source, statement, unreadable};
use super::survey::{Dated, Qualified, Read, Survey, identifiers};
use super::tree::{Main, Tree};
use super::warning::Warning;
use crate::db::{Dialect, Engine, TableName};

/// What a statement does to the rows of its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// INSERT … SELECT.
    Insert,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verb::Update => "UPDATE",
            Verb::Delete => "DELETE",
            Verb::Insert => "INSERT",
        })
    }
}

/// A function that a statement calls, or an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// Its name, as it was written.
    pub name: String,
    /// The name that it is looked for by, folded, where no schema says whose it is.
    pub bare: Option<String>,
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

/// An UPDATE or DELETE of one table, or an INSERT from one, in which each expression is known to depend
/// on its row and on other tables alone.
#[derive(Debug, Clone)]
pub struct Shape {
    pub(super) verb: Verb,
    /// The whole text as it was given.
    pub(super) sql: String,
    /// Whose key the batches go along: what it changes, or what it selects from.
    pub(super) target: TableName,
    pub(super) target_span: Option<Range<usize>>,
    pub(super) alias: Option<String>,
    pub(super) into: Option<Into>,
    pub(super) sets: Vec<SetColumn>,
    /// Tables beside it: FROM, USING, JOIN.
    pub(super) joined: Vec<Joined>,
    /// What holds of each row that it changes, and of the rows that this one meets.
    pub(super) conditions: Vec<Expr>,
    pub(super) reads: Vec<Read>,
    pub(super) qualified: Vec<Qualified>,
    pub(super) dated: Vec<Dated>,
    pub(super) calls: Vec<Call>,
    pub(super) warnings: Vec<Warning>,
    /// Where it calls what gives another answer at each call, but for what is assigned.
    pub(super) varying: Vec<Option<Range<usize>>>,
    pub(super) clocks: Vec<Clock>,
    pub(super) aggregated: Vec<Aggregated>,
    pub(super) ordered: Vec<Ordered>,
    /// The end of WHERE, the end of its condition, and the end of the text that means something.
    pub(super) where_end: Option<usize>,
    pub(super) body_end: usize,
    pub(super) end: usize,
    pub(super) statement: Statement,
}

impl Shape {
    /// UPDATE, DELETE or INSERT.
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
        let into = self.into.as_ref().map(|into| into.table.clone());
        Relations { target: self.target.clone(), into, read }
    }

    /// The target's alias.
    pub fn alias(&self) -> Option<&str> {
        self.alias.as_deref()
    }

    /// The columns that it sets, folded as the database folds them.
    pub fn set_columns(&self) -> impl Iterator<Item = &str> {
        self.sets.iter().map(|set| set.name.as_str())
    }

    /// The names of functions and operators that [`prove_reading`](super::prove_reading()) wants to
    /// know about.
    pub fn called(&self) -> Vec<String> {
        let names: BTreeSet<&String> =
            self.calls.iter().filter_map(|it| it.bare.as_ref()).collect();
        names.into_iter().cloned().collect()
    }

    /// What the statement calls its target.
    pub(super) fn known_as(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.target.name)
    }
}

/// Reads one statement, with or without its closing semicolon.
///
/// # Errors
/// When it isn't an UPDATE or DELETE of one table or an INSERT from one, or has an expression that isn't
/// known to depend on the row, and on other tables, alone.
pub fn parse(sql: &str, dialect: Dialect) -> Result<Shape, Refusal> {
    let engine = dialect.engine;
    let source = Source::read(sql, engine)?;
    let verb = verb(&source)?;
    refuse_clauses(&source, verb, engine)?;
    let statement = statement(&source, engine)?;
    let mut survey = Survey::new(&source, engine, verb);

    let tree = Tree::of(&statement)?;
    if let Some(with) = tree.with {
        survey.with(with)?;
    }
    let (body, into) = match tree.main {
        Main::Update(update) => (update_body(&mut survey, update)?, None),
        Main::Delete(delete) => (delete_body(&mut survey, delete)?, None),
        Main::Insert(insert) => {
            let (body, into) = insert_body(&mut survey, insert)?;
            (body, Some(into))
        }
    };
    let Body { target: Target { table: target, span: target_span, alias }, sets, .. } = body;
    let Body { tables: Tables { joined, mut conditions, .. }, selection, .. } = body;
    not_common(&survey, &target, target_span.clone())?;
    if let Some(into) = &into {
        not_common(&survey, &into.table, into.span.clone())?;
    }
    if let Some(selection) = selection {
        survey.walk(|survey| selection.visit(survey))?;
        conjuncts(selection, &mut conditions);
    }

    let has_conflicts = matches!(&tree.main, Main::Insert(insert) if insert.on.is_some());
    let body_end = if has_conflicts {
        let last = source.on_conflict().and_then(|at| at.checked_sub(1));
        last.map(|last| source.spots[last].span.end)
            .ok_or_else(|| unreadable("the place of its ON CONFLICT got lost"))?
    } else {
        source.end()
    };
    let where_end = source.clause("where").map(|index| source.spots[index].span.end);
    if where_end.is_some() != selection.is_some() || where_end.is_some_and(|at| at > body_end) {
        return Err(unreadable("the place of its WHERE got lost"));
    }
    let Survey { reads, qualified, dated, calls, warnings, varying, .. } = survey;
    let Survey { clocks, aggregated, ordered, .. } = survey;
    Ok(Shape {
        verb,
        sql: sql.to_owned(),
        target,
        target_span,
        alias,
        into,
        sets,
        joined,
        conditions,
        reads,
        qualified,
        dated,
        calls,
        warnings,
        varying,
        clocks,
        aggregated,
        ordered,
        where_end,
        body_end,
        end: source.end(),
        statement,
    })
}

/// A table that is changed, as the statement names it.
#[derive(Debug)]
pub(super) struct Target {
    pub table: TableName,
    pub span: Option<Range<usize>>,
    pub alias: Option<String>,
}

/// The table of that name is changed; what is read under the name is something else.
fn not_common(
    survey: &Survey<'_>,
    target: &TableName,
    span: Option<Range<usize>>,
) -> Result<(), Refusal> {
    let mut names = survey.scopes.iter().flatten().map(|common| &common.name);
    if target.schema.is_none() && names.any(|name| name.eq_ignore_ascii_case(&target.name)) {
        let cause = format_args!("{target} is the name of its table and of its WITH");
        return Err(Refusal::of(survey.verb, cause).at(span, "").way("give the WITH another name"));
    }
    Ok(())
}

pub(super) fn target(survey: &Survey<'_>, factor: &TableFactor) -> Result<Target, Refusal> {
    let bytes = |span| survey.source.bytes(span);
    match factor {
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
            Ok(Target { table, span: bytes(name.span()), alias })
        }
        other => {
            Err(Refusal::of(survey.verb, "it names its table with more than a name and an alias")
                .at(bytes(other.span()), "")
                .way("name the table plainly"))
        }
    }
}

pub(super) fn assigned(
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
    let (before, varying) = (survey.dated.len(), survey.varying.len());
    survey.walk(|survey| assignment.value.visit(survey))?;
    survey.varying.truncate(varying);
    // A text that is assigned as it stands is a date only if the column is one.
    if single
        && matches!(assignment.value, Expr::Value(_))
        && let Some(dated) = survey.dated.get_mut(before)
    {
        dated.column = sets.last().map(|set| set.name.clone());
    }
    Ok(())
}
