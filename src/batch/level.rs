//! Which SELECT a part of a subquery belongs to, and whether the order that it relies on is complete:
//! gathered here, and judged by what the catalog says of the tables.

use std::ops::{ControlFlow, Range};

use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, LimitClause, Query, Select, SetExpr, Spanned, TableFactor, WindowFrameUnits,
    WindowType,
};

use super::join::{conjuncts, known_as};
use super::order::{grouping, order};
use super::survey::{Survey, identifiers};
use super::walk::{Seen, walk};
use crate::db::TableName;

/// What stands in the FROM of a SELECT: a table whose columns have their own names, or rows of which
/// only the name is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct From {
    pub known_as: String,
    pub table: Option<TableName>,
}

/// A column as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub table: Option<String>,
    pub column: String,
}

/// A column of what a SELECT keeps, which its WHERE equates to something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Equated {
    pub column: Named,
    pub to: Expr,
    /// Whether the column stands left of the `=`.
    pub first: bool,
}

/// What a SELECT selects from, and what its WHERE equates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Level {
    pub from: Vec<From>,
    pub equated: Vec<Equated>,
}

/// An aggregate in a subquery. It belongs to the innermost SELECT that one of its columns is of, which
/// need not be the one that it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Aggregated {
    pub call: String,
    /// Its columns; `None` where a subquery stands among its arguments.
    pub names: Option<Vec<Named>>,
    pub from: Vec<From>,
    pub span: Option<Range<usize>>,
}

/// What a subquery takes by an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ordered {
    pub what: String,
    pub by: Vec<Named>,
    pub level: Level,
    pub span: Option<Range<usize>>,
}

/// Functions whose answer depends on the order of rows that are equal to ORDER BY.
const BY_ORDER: &str = "
    row_number ntile lag lead first_value last_value nth_value
    any_value array_agg group_concat json_agg json_arrayagg json_group_array json_group_object
    json_object_agg json_objectagg jsonb_agg jsonb_group_array jsonb_group_object jsonb_object_agg
    string_agg
";

impl Survey<'_> {
    /// What a SELECT selects from, and what its WHERE equates.
    pub(super) fn level(&self, select: &Select) -> Level {
        let mut level = Level::default();
        for item in &select.from {
            self.source(&item.relation, &mut level.from);
            item.joins.iter().for_each(|join| self.source(&join.relation, &mut level.from));
        }
        let mut conditions = Vec::new();
        select.selection.iter().for_each(|selection| conjuncts(selection, &mut conditions));
        for condition in conditions {
            let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = condition else {
                continue;
            };
            let equated = |one: &Expr, to: &Expr, first| {
                Some(Equated { column: self.named(one)?, to: to.clone(), first })
            };
            level.equated.extend(equated(&left, &right, true));
            level.equated.extend(equated(&right, &left, false));
        }
        level
    }

    fn source(&self, factor: &TableFactor, found: &mut Vec<From>) {
        if let TableFactor::NestedJoin { table_with_joins, alias: None } = factor {
            self.source(&table_with_joins.relation, found);
            let joins = table_with_joins.joins.iter();
            return joins.for_each(|join| self.source(&join.relation, found));
        }
        let table = match factor {
            TableFactor::Table { name, alias, .. }
                if alias.as_ref().is_none_or(|alias| alias.columns.is_empty())
                    && self.common(name).is_ok_and(|common| common.is_none()) =>
            {
                self.table_name(name).ok()
            }
            _ => None,
        };
        found.push(From { known_as: known_as(self, factor).unwrap_or_default(), table });
    }

    /// Notes an aggregate, or a window function, of a subquery.
    pub(super) fn many_rows(&mut self, name: &str, function: &Function) {
        let level = self.selects.last().cloned().unwrap_or_default();
        let span = self.source.bytes(function.name.span());
        let call = function.name.to_string();
        if let Some(by) = self.order_of(name, function) {
            let what = format!("{call}()");
            self.ordered.push(Ordered { what, by, level: level.clone(), span: span.clone() });
        }
        // With OVER it is its own SELECT's.
        if function.over.is_none() {
            let names = self.names(function);
            self.aggregated.push(Aggregated { call, names, from: level.from, span });
        }
    }

    /// The columns of an aggregate. Those of its conditions and its order count: they decide as well.
    fn names(&self, function: &Function) -> Option<Vec<Named>> {
        let mut found = Vec::new();
        if let FunctionArguments::List(list) = &function.args {
            for argument in &list.args {
                let (FunctionArg::Unnamed(argument)
                | FunctionArg::Named { arg: argument, .. }
                | FunctionArg::ExprNamed { arg: argument, .. }) = argument;
                // PostgreSQL's whole row.
                if let FunctionArgExpr::QualifiedWildcard(name) = argument {
                    let table = identifiers(name).last().map(|ident| self.fold(ident));
                    found.push(Named { table, column: "*".to_owned() });
                }
            }
        }
        // Not those of a subquery in it.
        let mut look = |seen: Seen<'_>| {
            let Seen::Expr(expr) = seen else { return ControlFlow::Break(()) };
            found.extend(self.named(expr));
            ControlFlow::Continue(())
        };
        let walked = walk(&function.args, &mut look).is_continue()
            && walk(&function.within_group, &mut look).is_continue()
            && walk(&function.filter, &mut look).is_continue();
        walked.then_some(found)
    }

    /// The columns that the order is made by which a function's answer depends on; `None` for one that
    /// doesn't depend on any.
    fn order_of(&self, name: &str, function: &Function) -> Option<Vec<Named>> {
        let by_order = BY_ORDER.split_ascii_whitespace().any(|word| word == name);
        match &function.over {
            Some(WindowType::NamedWindow(_)) => Some(Vec::new()),
            Some(WindowType::WindowSpec(window)) => {
                let frame = window.window_frame.as_ref().map(|frame| frame.units);
                let rows = frame == Some(WindowFrameUnits::Rows);
                (by_order || rows).then(|| {
                    let order = window.order_by.iter().map(|order| &order.expr);
                    self.columns(window.partition_by.iter().chain(order))
                })
            }
            None if by_order => {
                let FunctionArguments::List(list) = &function.args else { return None };
                let order = list.clauses.iter().find_map(|clause| match clause {
                    FunctionArgumentClause::OrderBy(order) => Some(order.as_slice()),
                    _ => None,
                });
                Some(self.columns(order.unwrap_or_default().iter().map(|order| &order.expr)))
            }
            None => None,
        }
    }

    /// Notes what a subquery takes of its rows. Whether there is one at all doesn't depend on their
    /// order.
    pub(super) fn taken(&mut self, query: &Query, only_asks: bool) {
        let SetExpr::Select(select) = &*query.body else {
            if query.limit_clause.is_some() || query.fetch.is_some() {
                self.takes("LIMIT", Vec::new(), self.limit_span(query));
            }
            return;
        };
        let order = order(query, select);
        if let Some(Distinct::On(on)) = &select.distinct {
            let span = on.first().and_then(|expr| self.source.bytes(expr.span()));
            self.takes("DISTINCT ON", self.columns(order.iter()), span);
        }
        let word = if query.fetch.is_some() { "FETCH" } else { "LIMIT" };
        let (limits, skips) = match &query.limit_clause {
            None => (query.fetch.is_some(), false),
            Some(LimitClause::LimitOffset { offset, .. }) => (true, offset.is_some()),
            Some(LimitClause::OffsetCommaLimit { .. }) => (true, true),
        };
        if !limits || only_asks && !skips {
            return;
        }
        let by = match grouping(select) {
            Some(groups) if groups.iter().all(|group| order.contains(group)) => return,
            Some(_) => Vec::new(),
            None => self.columns(order.iter()),
        };
        self.takes(word, by, self.limit_span(query));
    }

    fn takes(&mut self, what: &str, by: Vec<Named>, span: Option<Range<usize>>) {
        let level = self.selects.last().cloned().unwrap_or_default();
        self.ordered.push(Ordered { what: what.to_owned(), by, level, span });
    }

    fn limit_span(&self, query: &Query) -> Option<Range<usize>> {
        let number = match query.limit_clause.as_ref()? {
            LimitClause::LimitOffset { limit, offset, .. } => {
                limit.as_ref().or(offset.as_ref().map(|offset| &offset.value))?
            }
            LimitClause::OffsetCommaLimit { offset, .. } => offset,
        };
        self.source.bytes(number.span())
    }

    fn columns<'e>(&self, exprs: impl Iterator<Item = &'e Expr>) -> Vec<Named> {
        exprs.filter_map(|expr| self.named(expr)).collect()
    }

    fn named(&self, expr: &Expr) -> Option<Named> {
        match expr {
            Expr::Identifier(ident) => Some(Named { table: None, column: self.fold(ident) }),
            Expr::CompoundIdentifier(parts) => {
                let [.., table, column] = parts.as_slice() else { return None };
                Some(Named { table: Some(self.fold(table)), column: self.fold(column) })
            }
            _ => None,
        }
    }
}
