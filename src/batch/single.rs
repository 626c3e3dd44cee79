//! Statements of a single row: however large its table, there is nothing to batch.

use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, Expr};

use super::key::same_column;
use super::shape::Shape;
use super::walk::{Seen, walk};
use crate::db::{Engine, Table};

/// Whether the statement's WHERE spells out which rows it means: it equates all columns of a unique key
/// to constants, or has them in a list of some.
pub fn is_of_one_row(shape: &Shape, table: &Table, engine: Engine) -> bool {
    let is_fixed =
        |column: &String| shape.conditions.iter().any(|condition| fixes(engine, condition, column));
    table.unique.iter().any(|key| key.columns.iter().all(is_fixed))
}

fn fixes(engine: Engine, condition: &Expr, column: &str) -> bool {
    match condition {
        Expr::Nested(inner) => fixes(engine, inner, column),
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            is_column(engine, left, column) && is_constant(right)
                || is_column(engine, right, column) && is_constant(left)
        }
        Expr::InList { expr, list, negated: false } => {
            is_column(engine, expr, column) && list.iter().all(is_constant)
        }
        _ => false,
    }
}

fn is_column(engine: Engine, expr: &Expr, column: &str) -> bool {
    let ident = match expr {
        Expr::Identifier(ident) => Some(ident),
        Expr::CompoundIdentifier(parts) => parts.last(),
        _ => None,
    };
    ident.is_some_and(|ident| match ident.quote_style {
        None if engine == Engine::Postgres => ident.value.to_ascii_lowercase() == column,
        _ => same_column(engine, &ident.value, column),
    })
}

/// Without a column and without a subquery.
fn is_constant(expr: &Expr) -> bool {
    let walked = walk(expr, &mut |seen| match seen {
        Seen::Query | Seen::Expr(Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => {
            ControlFlow::Break(())
        }
        Seen::Expr(_) => ControlFlow::Continue(()),
    });
    walked.is_continue()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{facts, parse};
    use crate::db::Dialect;

    #[test]
    fn a_row_is_told_from_rows() {
        let table = facts::table(Dialect::POSTGRES, "t");
        for (sql, expected) in [
            ("UPDATE t SET a = 1 WHERE id = 5", true),
            ("UPDATE t SET a = 1 WHERE a = 2 AND (t.ID = -5)", true),
            ("DELETE FROM t WHERE id IN (1, 2, 3)", true),
            ("UPDATE t SET a = 1 WHERE id = a", false),
            ("UPDATE t SET a = 1 WHERE id > 5", false),
            ("UPDATE t SET a = 1 WHERE id = 5 OR a = 1", false),
            ("UPDATE t SET a = 1 WHERE id = (SELECT max(r.a) FROM r)", false),
            ("UPDATE t SET a = 1 WHERE id NOT IN (1)", false),
            ("UPDATE t SET a = 1 WHERE a = 5", false),
            ("UPDATE t SET a = 1", false),
        ] {
            let shape = parse(sql, Dialect::POSTGRES).expect(sql);
            assert_eq!(is_of_one_row(&shape, &table, Engine::Postgres), expected, "{sql}");
        }
    }
}
