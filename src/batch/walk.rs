//! Walks over a part of a statement. One kind of visitor for all of them: the parser's walk is compiled
//! anew for each, and each time it is a quarter of a megabyte.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Query, Visit, Visitor};

/// What one comes by.
pub(super) enum Seen<'a> {
    /// An expression, before its parts.
    Expr(&'a Expr),
    /// A subquery, before what is in it.
    Query,
}

struct Walker<'f>(&'f mut dyn FnMut(Seen<'_>) -> ControlFlow<()>);

impl Visitor for Walker<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        (self.0)(Seen::Query)
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        (self.0)(Seen::Expr(expr))
    }
}

/// Shows every part to `look`, until it breaks off.
pub(super) fn walk(
    node: &impl Visit,
    look: &mut dyn FnMut(Seen<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    node.visit(&mut Walker(look))
}

/// The first thing that is found in an expression, also in one of a subquery.
pub(super) fn find<T>(node: &impl Visit, look: impl Fn(&Expr) -> Option<T>) -> Option<T> {
    let mut found = None;
    let _ = walk(node, &mut |seen| {
        let Seen::Expr(expr) = seen else { return ControlFlow::Continue(()) };
        found = look(expr);
        if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    found
}
