//! WITH: which names mean a common table expression, and which a table.

use std::ops::Range;

use sqlparser::ast::{Cte, ObjectName, Spanned, Visit, With};

use super::grouped::Grouped;
use super::refusal::Refusal;
use super::source::unreadable;
use super::survey::{Survey, identifiers};
use crate::db::Engine;

/// A common table expression.
#[derive(Debug, Clone)]
pub(super) struct Common {
    pub name: String,
    /// From its name to the bracket that closes it.
    span: Range<usize>,
    recursive: bool,
    /// What its rows are unique by, if that is known.
    pub grouped: Option<Grouped>,
}

impl Survey<'_> {
    /// The WITH that stands before the statement: its names hold to the end.
    pub fn with(&mut self, with: &With) -> Result<(), Refusal> {
        let scope = self.scope(with)?;
        self.scopes.push(scope);
        self.walk(|survey| with.visit(survey))
    }

    /// The names of one WITH.
    pub(super) fn scope(&self, with: &With) -> Result<Vec<Common>, Refusal> {
        let common = |cte: &Cte| {
            if cte.alias.columns.is_empty() {
                self.named_clocks(&cte.query)?;
            }
            let span = self.source.bytes(cte.alias.name.span);
            let end = self.source.bytes(cte.closing_paren_token.0.span);
            let (Some(span), Some(end)) = (span, end) else {
                return Err(unreadable("the place of its WITH got lost"));
            };
            Ok(Common {
                name: self.fold(&cte.alias.name),
                span: span.start..end.end,
                recursive: with.recursive,
                grouped: Grouped::of(self, &cte.query, &cte.alias),
            })
        };
        with.cte_tables.iter().map(common).collect()
    }

    /// The common table expression that a name means. Where the databases differ in whether it means
    /// one or a table, it is refused.
    pub(super) fn common(&self, name: &ObjectName) -> Result<Option<&Common>, Refusal> {
        let [ident] = identifiers(name)[..] else { return Ok(None) };
        let folded = self.fold(ident);
        let ambiguous = || {
            self.refuse(
                format_args!("{ident} may mean its WITH, or a table"),
                name.span(),
                "databases differ in when the name holds",
            )
            .way("give the WITH a name that no table has, and use it only behind its definition")
        };
        for common in self.scopes.iter().rev().flatten() {
            let same = match self.engine {
                Engine::Postgres => common.name == folded,
                Engine::MySql | Engine::Sqlite => common.name.eq_ignore_ascii_case(&folded),
            };
            if !same {
                continue;
            }
            if self.engine == Engine::MySql && common.name != folded {
                return Err(ambiguous());
            }
            let at = self.source.bytes(name.span()).map_or(0, |span| span.start);
            let inside = common.span.contains(&at) && common.recursive;
            if at >= common.span.end || inside {
                return Ok(Some(common));
            }
            return Err(ambiguous());
        }
        Ok(None)
    }
}
