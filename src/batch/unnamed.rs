//! Columns that are named by what computes them: another name, where a clock is pinned.

use sqlparser::ast::{Expr, FunctionArguments, Query, SelectItem, SetExpr, Spanned};

use super::call::written;
use super::function::{Nature, nature, reads_now};
use super::refusal::Refusal;
use super::survey::{Survey, identifiers};
use super::walk::find;
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
        let clock = find(expr, |part| tells_time(self.engine, part).then(|| part.span()));
        match clock {
            Some(span) => Err(self
                .refuse("a column that tells the time has no name of its own", span, "")
                .way("give it a name: `now() AS told`")),
            None => Ok(()),
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
            let tells = find(&list.args, |part| {
                written(part).filter(|(text, _)| text.trim().eq_ignore_ascii_case("now")).map(drop)
            });
            is_clock(&name.value, list.args.len()) || reads && tells.is_some()
        }
        _ => false,
    }
}
