//! Columns that are named by what computes them: another name, where a clock is pinned.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArguments, Query, SelectItem, SetExpr, Spanned, visit_expressions,
};

use super::call::written;
use super::function::{Nature, nature, reads_now};
use super::refusal::Refusal;
use super::survey::{Survey, identifiers};
use crate::db::Engine;

impl Survey<'_> {
    /// Refuses a clock in a column that has no name of its own, of a subquery in FROM or a WITH: what
    /// calls it by the clock's name would mean nothing, or another column, when the clock is pinned.
    pub(super) fn named_clocks(&self, query: &Query) -> Result<(), Refusal> {
        let mut body = &*query.body;
        loop {
            body = match body {
                SetExpr::SetOperation { left, .. } => left,
                SetExpr::Query(query) => &query.body,
                SetExpr::Select(select) => {
                    let mut unnamed = select.projection.iter().filter_map(|item| match item {
                        SelectItem::UnnamedExpr(expr) => Some(expr),
                        _ => None,
                    });
                    return unnamed.try_for_each(|expr| self.no_clock(expr));
                }
                _ => return Ok(()),
            };
        }
    }

    fn no_clock(&self, expr: &Expr) -> Result<(), Refusal> {
        let clock = visit_expressions(expr, |part| match tells_time(self.engine, part) {
            true => ControlFlow::Break(part.span()),
            false => ControlFlow::Continue(()),
        });
        match clock {
            ControlFlow::Break(span) => Err(self
                .refuse("a column that tells the time has no name of its own", span, "")
                .way("give it a name: `now() AS told`")),
            ControlFlow::Continue(()) => Ok(()),
        }
    }
}

/// Whether an expression by itself tells the time.
pub(super) fn tells_time(engine: Engine, expr: &Expr) -> bool {
    let is_clock = |name: &str, arguments| {
        nature(engine, &name.to_ascii_lowercase(), arguments) == Nature::Clock
    };
    match expr {
        Expr::Identifier(ident) => ident.quote_style.is_none() && is_clock(&ident.value, 1),
        Expr::Function(function) => {
            let Some(name) = identifiers(&function.name).pop() else { return false };
            let FunctionArguments::List(list) = &function.args else {
                return is_clock(&name.value, 0);
            };
            let reads = reads_now(engine, &name.value.to_ascii_lowercase());
            let tells = visit_expressions(&list.args, |part| match written(part) {
                Some((text, _)) if text.trim().eq_ignore_ascii_case("now") => {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            });
            is_clock(&name.value, list.args.len()) || reads && tells.is_break()
        }
        _ => false,
    }
}
