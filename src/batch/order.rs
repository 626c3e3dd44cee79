//! By what a query orders and groups its rows.

use sqlparser::ast::{
    Expr, GroupByExpr, OrderByExpr, OrderByKind, Query, Select, SelectItem, Value,
};

/// By what a query orders its rows: where it names a column of its answer, what that one is.
pub(super) fn order(query: &Query, select: &Select) -> Vec<Expr> {
    let Some(OrderByKind::Expressions(list)) = query.order_by.as_ref().map(|order| &order.kind)
    else {
        return Vec::new();
    };
    let item = |expr: &Expr| match expr {
        Expr::Value(value) => {
            let Value::Number(number, _) = &value.value else { return None };
            let at = number.parse::<usize>().ok()?.checked_sub(1)?;
            selected(select.projection.get(at)?)
        }
        Expr::Identifier(name) => select.projection.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias }
                if alias.value.eq_ignore_ascii_case(&name.value) =>
            {
                Some(expr)
            }
            _ => None,
        }),
        _ => None,
    };
    let order = |by: &OrderByExpr| item(&by.expr).unwrap_or(&by.expr).clone();
    list.iter().map(order).collect()
}

fn selected(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// What a SELECT makes one row of each of; `None` where it leaves rows as they are.
pub(super) fn grouping(select: &Select) -> Option<Vec<Expr>> {
    if select.distinct.is_some() {
        let items = select.projection.iter().map(|item| selected(item).cloned());
        // Without all of its columns, no order is complete: an expression that no order has.
        return Some(items.collect::<Option<_>>().unwrap_or(vec![Expr::value(Value::Null)]));
    }
    match &select.group_by {
        GroupByExpr::Expressions(by, modifiers) if modifiers.is_empty() => {
            (!by.is_empty()).then(|| by.clone())
        }
        _ => Some(vec![Expr::value(Value::Null)]),
    }
}
