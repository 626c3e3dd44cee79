//! What is understood of an expression: each kind of it, each operator. What isn't listed is
//! refused.

use std::ops::ControlFlow;

use sqlparser::ast::{AccessExpr, BinaryOperator, Expr, Spanned, UnaryOperator};

use super::literal;
use super::shape::Call;
use super::survey::{Qualified, Step, Survey};
use crate::db::Engine;

impl Survey<'_> {
    /// Judges an expression by itself; its parts are visited on their own.
    pub(super) fn expression(&mut self, expr: &Expr) -> Step {
        match expr {
            Expr::Identifier(ident) => self.bare_name(ident),
            // @@session.sql_mode.
            Expr::CompoundIdentifier(parts) if parts[0].value.starts_with('@') => {
                self.bare_name(&parts[0])
            }
            Expr::CompoundIdentifier(parts) => {
                if let [.., table, column] = parts.as_slice() {
                    // Oracle's spelling, which MariaDB takes in its Oracle mode.
                    let lower = column.value.to_ascii_lowercase();
                    if self.engine == Engine::MySql && matches!(&*lower, "nextval" | "currval") {
                        return self.later("a sequence", column.span);
                    }
                    self.qualified.push(Qualified {
                        has_schema: parts.len() > 2,
                        table: self.fold(table),
                        column: self.fold(column),
                        span: self.source.bytes(expr.span()),
                    });
                }
                ControlFlow::Continue(())
            }
            Expr::Function(function) => self.function(function),
            Expr::Exists { .. } => {
                self.only_asks = true;
                ControlFlow::Continue(())
            }
            // Functions that the parser has kinds of expression of their own for.
            Expr::Ceil { .. } | Expr::Floor { .. } if self.engine == Engine::Sqlite => {
                let name = if matches!(expr, Expr::Ceil { .. }) { "ceil" } else { "floor" };
                ControlFlow::Break(Box::new(self.absent_function(name, None, expr.span())))
            }
            Expr::Cast { data_type, expr: inner, .. } => {
                if literal::is_built_in(data_type) || literal::is_constant(inner) {
                    return ControlFlow::Continue(());
                }
                ControlFlow::Break(Box::new(
                    self.refuse(
                        format_args!("a cast to {data_type} may run code of your own"),
                        expr.span(),
                        "not known to depend on the row alone",
                    )
                    .way("cast to a built-in type"),
                ))
            }
            Expr::TypedString(typed)
                if literal::text(&typed.value.value).is_some_and(literal::moves_with_time) =>
            {
                ControlFlow::Break(Box::new(
                    self.clock(&typed.value.value.to_string(), typed.value.span),
                ))
            }
            Expr::Ceil { .. } => self.called("ceil", expr),
            Expr::Floor { .. } => self.called("floor", expr),
            // With FROM it is the standard's, and no function of the user's.
            Expr::Substring { special: true, shorthand, .. } => {
                self.called(if *shorthand { "substr" } else { "substring" }, expr)
            }
            // What PostgreSQL makes operators of.
            Expr::Like { negated, .. } => self.called(if *negated { "!~~" } else { "~~" }, expr),
            Expr::ILike { negated, .. } => self.called(if *negated { "!~~*" } else { "~~*" }, expr),
            Expr::SimilarTo { negated, .. } => self.called(if *negated { "!~" } else { "~" }, expr),
            Expr::Between { .. } => {
                ["<", "<=", ">", ">="].iter().try_for_each(|name| self.called(name, expr))
            }
            Expr::InList { .. }
            | Expr::InSubquery { .. }
            | Expr::Case { operand: Some(_), .. }
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..) => {
                ["=", "<>"].iter().try_for_each(|name| self.called(name, expr))
            }
            Expr::BinaryOp { op, .. } => self.operator(op, expr),
            Expr::AnyOp { compare_op, .. } | Expr::AllOp { compare_op, .. } => {
                self.operator(compare_op, expr)
            }
            Expr::UnaryOp { op, .. } => match op {
                UnaryOperator::Plus
                | UnaryOperator::Minus
                | UnaryOperator::Not
                | UnaryOperator::BangNot
                | UnaryOperator::BitwiseNot
                | UnaryOperator::PGAbs
                | UnaryOperator::PGSquareRoot
                | UnaryOperator::PGCubeRoot => self.called(op.to_string().trim(), expr),
                other => self.later(&format!("the operator `{other}`"), expr.span()),
            },
            // `(t).f` calls the function f where t has no such column.
            Expr::CompoundFieldAccess { access_chain, .. }
                if access_chain.iter().any(|access| matches!(access, AccessExpr::Dot(_))) =>
            {
                self.later("a field access (it may be a function's call)", expr.span())
            }
            Expr::CompoundFieldAccess { .. }
            | Expr::JsonAccess { .. }
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::IsJson { .. }
            | Expr::IsNormalized { .. }
            | Expr::RLike { .. }
            | Expr::Convert { .. }
            | Expr::AtTimeZone { .. }
            | Expr::Extract { .. }
            | Expr::Position { .. }
            | Expr::Substring { .. }
            | Expr::Trim { .. }
            | Expr::Overlay { .. }
            | Expr::Collate { .. }
            | Expr::Nested(_)
            | Expr::Value(_)
            | Expr::Prefixed { .. }
            | Expr::TypedString(_)
            | Expr::Case { .. }
            | Expr::Subquery(_)
            | Expr::Tuple(_)
            | Expr::Array(_)
            | Expr::Interval(_)
            | Expr::Wildcard(_)
            | Expr::QualifiedWildcard(..)
            | Expr::MemberOf(_) => ControlFlow::Continue(()),
            other => self.later("an expression that it doesn't know", other.span()),
        }
    }

    /// Notes what is called without being written as a call.
    fn called(&mut self, name: &str, expr: &Expr) -> Step {
        let span = self.source.bytes(expr.span());
        self.calls.push(Call { name: name.to_owned(), bare: Some(name.to_owned()), span });
        ControlFlow::Continue(())
    }

    fn operator(&mut self, operator: &BinaryOperator, expr: &Expr) -> Step {
        match operator {
            BinaryOperator::Assignment => self.later("an assignment to a variable", expr.span()),
            BinaryOperator::Custom(_)
            | BinaryOperator::PGCustomBinaryOperator(_)
            | BinaryOperator::Match
            | BinaryOperator::DuckIntegerDivide => {
                self.later(&format!("the operator `{operator}`"), expr.span())
            }
            _ => self.called(&operator.to_string(), expr),
        }
    }
}
