//! INSERT … SELECT: the batches go along the key of the table that it selects from.
//!
//! Without grouping, sorting and limits, each row of the answer stems from one row of the first table
//! in FROM, however many rows of other tables that one meets. So the answers for ranges of its key are
//! together the answer for all of them.

use std::ops::Range;

use sqlparser::ast::{
    GroupByExpr, Insert, OnConflictAction, OnInsert, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Spanned, TableObject, Visit,
};

use super::body::Body;
use super::clause::ignores;
use super::join::{Tables, known_as};
use super::refusal::Refusal;
use super::source::unreadable;
use super::survey::{Survey, identifiers};
use super::warning::Warning;
use crate::db::TableName;

/// The table that rows are inserted into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Into {
    pub table: TableName,
    pub span: Option<Range<usize>>,
    /// The columns that it names.
    pub columns: Vec<String>,
    /// What it selects.
    pub items: Vec<Item>,
}

/// One of the things that are selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    One,
    /// All columns of the table of this name, or of every table.
    All(Option<String>),
}

pub(super) fn insert_body<'s>(
    survey: &mut Survey<'_>,
    insert: &'s Insert,
) -> Result<(Body<'s>, Into), Refusal> {
    plain(survey, insert)?;
    let TableObject::TableName(name) = &insert.table else {
        return Err(survey.refuse("it inserts into no plain table", insert.table.span(), ""));
    };
    let columns = insert.columns.iter().filter_map(|name| identifiers(name).pop());
    let mut into = Into {
        table: survey.table_name(name)?,
        span: survey.source.bytes(name.span()),
        columns: columns.map(|column| survey.fold(column)).collect(),
        items: Vec::new(),
    };
    conflicts(survey, insert)?;
    let Some(query) = &insert.source else {
        return Err(no_select(survey));
    };
    if let Some(with) = &query.with {
        survey.with(with)?;
    }
    let select = select(survey, query)?;
    let Some(first) = select.from.first() else { return Err(no_select(survey)) };
    let name = known_as(survey, &first.relation);
    let mut tables = Tables::read(survey, &select.from, name.as_deref())?;
    let Some(target) = tables.target.take() else {
        return Err(survey
            .refuse("it doesn't select from a plain table first", first.span(), "")
            .way("name the table whose rows it goes through first in FROM"));
    };
    for item in &select.projection {
        survey.walk(|survey| item.visit(survey))?;
        into.items.push(match item {
            SelectItem::Wildcard(_) => Item::All(None),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                Item::All(identifiers(name).pop().map(|name| survey.fold(name)))
            }
            _ => Item::One,
        });
    }
    let selection = select.selection.as_ref();
    Ok((Body { target, tables, sets: Vec::new(), selection }, into))
}

fn no_select(survey: &Survey<'_>) -> Refusal {
    Refusal::of(survey.verb, "it doesn't select from a table")
        .at(survey.source.span(0, 0), "")
        .only_way("remove the `batch` directive: there is nothing to go through")
}

/// Refuses what changes how rows are inserted.
fn plain(survey: &Survey<'_>, insert: &Insert) -> Result<(), Refusal> {
    if let Some(or) = &insert.or {
        return Err(ignores(survey.verb, &or.to_string()).at(survey.source.span(1, 2), ""));
    }
    if let Some(priority) = &insert.priority {
        return Err(ignores(survey.verb, &priority.to_string()));
    }
    if insert.ignore {
        return Err(ignores(survey.verb, "IGNORE"));
    }
    let unusual = insert.overwrite
        || insert.replace_into
        || insert.has_table_keyword
        || !insert.assignments.is_empty()
        || insert.partitioned.is_some()
        || !insert.after_columns.is_empty()
        || insert.output.is_some()
        || insert.insert_alias.is_some()
        || insert.settings.is_some()
        || insert.format_clause.is_some()
        || insert.multi_table_insert_type.is_some();
    if unusual { Err(unreadable("an unusual INSERT")) } else { Ok(()) }
}

/// What becomes of rows that are there already.
fn conflicts(survey: &mut Survey<'_>, insert: &Insert) -> Result<(), Refusal> {
    let place = || {
        let at = survey.source.on_conflict()?;
        survey.source.span(at, at + 1)
    };
    match &insert.on {
        None => Ok(()),
        Some(OnInsert::OnConflict(conflict))
            if matches!(conflict.action, OnConflictAction::DoNothing) =>
        {
            let warning = Warning::new(
                "of selected rows that conflict with each other, the one with the lowest key stays; \
                 the whole statement may keep another one",
                place(),
                "nothing, if they conflict only with rows that are there already",
            );
            survey.warnings.push(warning);
            Ok(())
        }
        Some(_) => Err(Refusal::of(
            survey.verb,
            "it updates rows that are there already, and they may be its own of earlier batches",
        )
        .at(place(), "")
        .way("update them by a statement of their own, and insert with ON CONFLICT DO NOTHING")),
    }
}

/// The SELECT whose every row stems from one row of its first table.
fn select<'s>(survey: &mut Survey<'_>, query: &'s Query) -> Result<&'s Select, Refusal> {
    let refuse = |clause: &str, cause: &str, way: &str| {
        Err(Refusal::of(survey.verb, format_args!("{clause} {cause}"))
            .at(survey.source.clause(clause).and_then(|at| survey.source.span(at, at)), "")
            .way(way))
    };
    let one = "makes one row of rows that may be of different batches";
    let group = "put the answer into a table of its own first, and insert from there";
    if query.order_by.is_some() || query.limit_clause.is_some() || query.fetch.is_some() {
        return refuse(
            "FETCH",
            "would count anew in each batch",
            "say with WHERE which rows you mean",
        );
    }
    if !query.locks.is_empty()
        || query.for_clause.is_some()
        || query.settings.is_some()
        || query.format_clause.is_some()
        || !query.pipe_operators.is_empty()
    {
        return Err(unreadable("an unusual SELECT"));
    }
    let select = match &*query.body {
        SetExpr::Select(select) => select,
        SetExpr::SetOperation { op, .. } => {
            return refuse(
                &op.to_string(),
                "has no one table to go through",
                "write one INSERT for each of its SELECTs, if they may give the same row twice",
            );
        }
        SetExpr::Query(_) => return Err(unreadable("a SELECT in brackets")),
        _ => return Err(no_select(survey)),
    };
    if select.distinct.is_some() {
        return refuse("DISTINCT", one, group);
    }
    let groups = !matches!(&select.group_by,
        GroupByExpr::Expressions(by, modifiers) if by.is_empty() && modifiers.is_empty());
    if groups {
        return refuse("GROUP", one, group);
    }
    if select.having.is_some() {
        return refuse("HAVING", one, group);
    }
    if !select.named_window.is_empty() {
        return refuse("WINDOW", "looks at neighbouring rows", group);
    }
    survey.walk(|survey| survey.plain_select(select))?;
    Ok(select)
}
