//! A statement's tree taken apart: what changes rows, and what WITH stands before it.

use sqlparser::ast::{Delete, Expr, Insert, Query, SetExpr, Statement, Update, With};

use super::refusal::Refusal;
use super::source::unreadable;

/// What changes rows.
pub(super) enum Main<'s> {
    Update(&'s Update),
    Delete(&'s Delete),
    Insert(&'s Insert),
}

/// A statement's tree.
pub(super) struct Tree<'s> {
    pub with: Option<&'s With>,
    pub main: Main<'s>,
}

impl<'s> Tree<'s> {
    pub fn of(statement: &'s Statement) -> Result<Self, Refusal> {
        match statement {
            Statement::Update(update) => Ok(Tree { with: None, main: Main::Update(update) }),
            Statement::Delete(delete) => Ok(Tree { with: None, main: Main::Delete(delete) }),
            Statement::Insert(insert) => Ok(Tree { with: None, main: Main::Insert(insert) }),
            Statement::Query(query) => Tree::behind(query),
            _ => Err(unreadable("no statement that changes rows")),
        }
    }

    /// The parser has a query around what stands behind a WITH.
    fn behind(query: &'s Query) -> Result<Self, Refusal> {
        let (SetExpr::Update(inner) | SetExpr::Delete(inner) | SetExpr::Insert(inner)) =
            &*query.body
        else {
            return Err(unreadable("no statement that changes rows"));
        };
        let tree = Tree::of(inner)?;
        Ok(Tree { with: query.with.as_ref(), ..tree })
    }
}

/// A statement without its condition, and the condition.
pub(super) fn apart(mut statement: Statement) -> (Statement, Option<Expr>) {
    let condition = selection(&mut statement).and_then(Option::take);
    (statement, condition)
}

fn selection(statement: &mut Statement) -> Option<&mut Option<Expr>> {
    match statement {
        Statement::Update(update) => Some(&mut update.selection),
        Statement::Delete(delete) => Some(&mut delete.selection),
        Statement::Query(query) => match &mut *query.body {
            SetExpr::Update(inner) | SetExpr::Delete(inner) | SetExpr::Insert(inner) => {
                selection(inner)
            }
            _ => None,
        },
        Statement::Insert(insert) => match &mut *insert.source.as_mut()?.body {
            SetExpr::Select(select) => Some(&mut select.selection),
            _ => None,
        },
        _ => None,
    }
}
