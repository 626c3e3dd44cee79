//! What the rows of a subquery in FROM are unique by: the columns of its GROUP BY or DISTINCT.

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Query, Select, SelectItem, SetExpr, TableAlias, TableFactor, Value,
};

use super::key::same_column;
use super::survey::Survey;
use crate::db::TableName;

/// The rows of a query over one table are unique by these columns of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grouped {
    /// The name that the query gives to each, and its name in the table.
    pub columns: Vec<(String, String)>,
    pub table: TableName,
}

/// A column of the query's answer: its name, and the table's column if it is one.
struct Output {
    name: Option<String>,
    column: Option<String>,
}

impl Grouped {
    /// Of what `alias` names.
    pub fn of(survey: &Survey<'_>, query: &Query, alias: &TableAlias) -> Option<Grouped> {
        let SetExpr::Select(select) = &*query.body else { return None };
        let table = only_table(survey, select)?;
        let mut outputs: Vec<Output> =
            select.projection.iter().map(|item| output(survey, item)).collect::<Option<_>>()?;
        let columns = unique_by(survey, select, &outputs)?;
        for (output, name) in outputs.iter_mut().zip(&alias.columns) {
            output.name = Some(survey.fold(&name.name));
        }
        let named = |index: usize| {
            let output = &outputs[index];
            Some((output.name.clone()?, output.column.clone()?))
        };
        Some(Grouped { columns: columns.into_iter().map(named).collect::<Option<_>>()?, table })
    }
}

fn only_table(survey: &Survey<'_>, select: &Select) -> Option<TableName> {
    let [from] = select.from.as_slice() else { return None };
    let TableFactor::Table { name, args: None, .. } = &from.relation else { return None };
    let is_table = from.joins.is_empty() && survey.common(name).ok()?.is_none();
    if is_table { survey.table_name(name).ok() } else { None }
}

fn output(survey: &Survey<'_>, item: &SelectItem) -> Option<Output> {
    match item {
        SelectItem::UnnamedExpr(expr) => {
            let column = column(survey, expr);
            Some(Output { name: column.clone(), column })
        }
        SelectItem::ExprWithAlias { expr, alias } => {
            Some(Output { name: Some(survey.fold(alias)), column: column(survey, expr) })
        }
        _ => None,
    }
}

fn column(survey: &Survey<'_>, expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(survey.fold(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(|ident| survey.fold(ident)),
        _ => None,
    }
}

/// The places of the columns that no two rows share.
fn unique_by(survey: &Survey<'_>, select: &Select, outputs: &[Output]) -> Option<Vec<usize>> {
    let GroupByExpr::Expressions(grouping, modifiers) = &select.group_by else { return None };
    if !modifiers.is_empty() {
        return None;
    }
    match (&select.distinct, grouping.is_empty()) {
        (Some(Distinct::Distinct), true) => Some((0..outputs.len()).collect()),
        (None, false) => grouping.iter().map(|expr| place(survey, expr, outputs)).collect(),
        _ => None,
    }
}

fn place(survey: &Survey<'_>, expr: &Expr, outputs: &[Output]) -> Option<usize> {
    if let Expr::Value(value) = expr {
        let Value::Number(number, _) = &value.value else { return None };
        return number.parse::<usize>().ok()?.checked_sub(1).filter(|at| *at < outputs.len());
    }
    let wanted = column(survey, expr)?;
    let is = |name: &Option<String>| {
        name.as_ref().is_some_and(|name| same_column(survey.engine, name, &wanted))
    };
    // A name may mean what the query calls so, or what the table does.
    let agree = outputs.iter().all(|output| !is(&output.name) || is(&output.column));
    outputs.iter().position(|output| is(&output.column)).filter(|_| agree)
}
