//! What a statement says behind its WITH: the table that it changes, those beside it, what it sets.

use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, Spanned, TableWithJoins, Update,
    UpdateTableFromKind,
};

use super::clause::ignores;
use super::join::{Tables, known_as};
use super::refusal::Refusal;
use super::shape::{SetColumn, Target, assigned, target};
use super::source::unreadable;
use super::survey::{Survey, identifiers};
use crate::db::Engine;

/// What a statement says behind its WITH.
pub(super) struct Body<'s> {
    pub target: Target,
    pub tables: Tables,
    pub sets: Vec<SetColumn>,
    pub selection: Option<&'s Expr>,
}

pub(super) fn update_body<'s>(
    survey: &mut Survey<'_>,
    update: &'s Update,
) -> Result<Body<'s>, Refusal> {
    let source = survey.source;
    if update.or.is_some() {
        let span = source.clause("or").and_then(|at| source.span(at, at + 1));
        let words = span.clone().map_or("OR", |span| &source.sql[span]);
        return Err(ignores(survey.verb, words).at(span, ""));
    }
    let mut sets = Vec::new();
    let (target, tables) = if update.table.joins.is_empty() {
        let target = target(survey, &update.table.relation)?;
        (Some(target), None)
    } else {
        let name = changed(survey, &update.assignments, &update.table)?;
        let mut tables = Tables::read(survey, std::slice::from_ref(&update.table), Some(&name))?;
        (tables.target.take(), Some(tables))
    };
    let target = target.ok_or_else(|| unreadable("the table that it changes got lost"))?;
    for assignment in &update.assignments {
        assigned(survey, &mut sets, assignment)?;
    }
    let tables = match (&update.from, tables) {
        (Some(UpdateTableFromKind::AfterSet(from)), None) => Tables::read(survey, from, None)?,
        (None, tables) => tables.unwrap_or_default(),
        _ => return Err(unreadable("FROM beside JOIN")),
    };
    Ok(Body { target, tables, sets, selection: update.selection.as_ref() })
}

pub(super) fn delete_body<'s>(
    survey: &mut Survey<'_>,
    delete: &'s Delete,
) -> Result<Body<'s>, Refusal> {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let several = || {
        Refusal::of(survey.verb, "it deletes from more than one table")
            .way("write one DELETE for each table")
    };
    let selection = delete.selection.as_ref();
    // MySQL: DELETE t FROM t JOIN …, or DELETE FROM t USING t JOIN …
    let (name, list) = match (delete.tables.as_slice(), &delete.using, from.as_slice()) {
        ([], None, [only]) if only.joins.is_empty() => {
            let target = target(survey, &only.relation)?;
            return Ok(Body { target, tables: Tables::default(), sets: Vec::new(), selection });
        }
        ([], Some(using), [only]) if survey.engine != Engine::MySql && only.joins.is_empty() => {
            let target = target(survey, &only.relation)?;
            let tables = Tables::read(survey, using, None)?;
            return Ok(Body { target, tables, sets: Vec::new(), selection });
        }
        ([name], None, from) => (identifiers(name).last().map(|ident| survey.fold(ident)), from),
        ([], Some(using), [only]) if only.joins.is_empty() => {
            (known_as(survey, &only.relation), using.as_slice())
        }
        _ => return Err(several()),
    };
    let mut tables = Tables::read(survey, list, name.as_deref())?;
    let target = tables.target.take();
    let target = target.ok_or_else(|| unreadable("the table that it deletes from got lost"))?;
    Ok(Body { target, tables, sets: Vec::new(), selection })
}

/// What the one table is called that MySQL's UPDATE of joined tables changes.
fn changed(
    survey: &Survey<'_>,
    assignments: &[Assignment],
    tables: &TableWithJoins,
) -> Result<String, Refusal> {
    let mut found: Option<String> = None;
    for assignment in assignments {
        let AssignmentTarget::ColumnName(name) = &assignment.target else {
            return Err(unreadable("a row is assigned"));
        };
        let [.., table, _] = identifiers(name)[..] else {
            return Err(survey
                .refuse(
                    format_args!("{name} may be a column of any of its tables"),
                    name.span(),
                    "",
                )
                .way(format!("say of which table: SET t.{name} = …")));
        };
        let table = survey.fold(table);
        if found.as_ref().is_some_and(|found| *found != table) {
            return Err(survey
                .refuse("it changes more than one table", name.span(), "")
                .way("write one UPDATE for each table"));
        }
        found = Some(table);
    }
    found.ok_or_else(|| survey.refuse("it sets nothing", tables.span(), ""))
}
