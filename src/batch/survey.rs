//! A walk over all expressions of a statement: gathers what the proof needs, and stops at the
//! first thing that can't be proved. What isn't listed here as understood is refused.

use std::ops::{ControlFlow, Range};

use sqlparser::ast::{
    Expr, Ident, ObjectName, Query, Select, SetExpr, Spanned, TableFactor, Value, ValueWithSpan,
    Visitor,
};
use sqlparser::tokenizer::Span;

use super::common::Common;
use super::level::{Aggregated, Level, Ordered};
use super::literal;
use super::pin::Clock;
use super::refusal::Refusal;
use super::shape::{Call, Verb};
use super::source::Source;
use super::warning::Warning;
use crate::db::{Engine, TableName};

/// A table that a subquery reads, at one of its places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    pub table: TableName,
    /// What the subquery calls it: its alias, or its own name.
    pub known_as: String,
    /// Names that an alias gives to its columns.
    pub columns: Vec<String>,
    pub span: Option<Range<usize>>,
}

/// A column written with its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Qualified {
    /// Whether the table has its schema before it.
    pub has_schema: bool,
    pub table: String,
    pub column: String,
    pub span: Option<Range<usize>>,
}

/// A text that PostgreSQL would read relative to now, if it reads it as a date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dated {
    /// The column that it is assigned to as it stands.
    pub column: Option<String>,
    pub span: Option<Range<usize>>,
}

/// What the walk gathered.
#[derive(Debug)]
pub(super) struct Survey<'a> {
    pub source: &'a Source<'a>,
    pub engine: Engine,
    pub verb: Verb,
    pub reads: Vec<Read>,
    pub qualified: Vec<Qualified>,
    pub dated: Vec<Dated>,
    pub calls: Vec<Call>,
    pub warnings: Vec<Warning>,
    /// Where it calls what gives another answer at each call, but for what is assigned.
    pub varying: Vec<Option<Range<usize>>>,
    pub clocks: Vec<Clock>,
    pub aggregated: Vec<Aggregated>,
    pub ordered: Vec<Ordered>,
    /// The open SELECTs.
    pub selects: Vec<Level>,
    /// Whether the query that comes next is only asked whether it has a row.
    pub only_asks: bool,
    /// The names that each open WITH gives.
    pub scopes: Vec<Vec<Common>>,
    /// How many subqueries are open.
    pub depth: usize,
}

/// One step of the walk.
pub(super) type Step = ControlFlow<Box<Refusal>>;

impl<'a> Survey<'a> {
    pub fn new(source: &'a Source<'a>, engine: Engine, verb: Verb) -> Self {
        Survey {
            source,
            engine,
            verb,
            reads: Vec::new(),
            qualified: Vec::new(),
            dated: Vec::new(),
            calls: Vec::new(),
            warnings: Vec::new(),
            varying: Vec::new(),
            clocks: Vec::new(),
            aggregated: Vec::new(),
            ordered: Vec::new(),
            selects: Vec::new(),
            only_asks: false,
            scopes: Vec::new(),
            depth: 0,
        }
    }

    /// Walks over a part of the statement.
    pub fn walk(&mut self, visit: impl FnOnce(&mut Self) -> Step) -> Result<(), Refusal> {
        match visit(self) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(refusal) => Err(*refusal),
        }
    }

    /// An identifier as the database folds it.
    pub fn fold(&self, ident: &Ident) -> String {
        match self.engine {
            // PostgreSQL folds ASCII only in a multi-byte encoding.
            Engine::Postgres if ident.quote_style.is_none() => ident.value.to_ascii_lowercase(),
            _ => ident.value.clone(),
        }
    }

    /// A table's name.
    pub fn table_name(&self, name: &ObjectName) -> Result<TableName, Refusal> {
        let parts = identifiers(name);
        let (schema, table) = match parts.as_slice() {
            [table] => (None, *table),
            [schema, table] => (Some(*schema), *table),
            _ => {
                return Err(self
                    .refuse(format_args!("it spells a table's name as {name}"), name.span(), "")
                    .way("write it as `table` or `schema.table`"));
            }
        };
        // The parser takes PostgreSQL's ONLY for a table, and the table for its alias.
        if self.engine == Engine::Postgres
            && schema.is_none()
            && table.quote_style.is_none()
            && table.value.eq_ignore_ascii_case("only")
        {
            return Err(self
                .refuse("it says ONLY, which a later release understands", name.span(), "")
                .way("leave ONLY out: without child tables it changes nothing"));
        }
        Ok(TableName { schema: schema.map(|ident| self.fold(ident)), name: self.fold(table) })
    }

    pub fn refuse(&self, cause: impl std::fmt::Display, span: Span, label: &str) -> Refusal {
        // The parser has no place for some of its nodes: the verb's stands in.
        let verb = || self.source.spots.first().map(|spot| spot.span.clone());
        Refusal::of(self.verb, cause).at(self.source.bytes(span).or_else(verb), label)
    }

    pub fn stop(&self, cause: impl std::fmt::Display, span: Span, label: &str) -> Step {
        ControlFlow::Break(Box::new(self.refuse(cause, span, label)))
    }

    pub fn later(&self, what: &str, span: Span) -> Step {
        self.stop(
            format_args!("it has {what}, which this release can't prove to be safe"),
            span,
            "",
        )
    }
}

impl Visitor for Survey<'_> {
    type Break = Box<Refusal>;

    fn pre_visit_query(&mut self, query: &Query) -> Step {
        self.depth += 1;
        let only_asks = std::mem::take(&mut self.only_asks);
        let span = query.span();
        match query.with.as_ref().map(|with| self.scope(with)).transpose() {
            Ok(scope) => self.scopes.push(scope.unwrap_or_default()),
            Err(refusal) => return ControlFlow::Break(Box::new(refusal)),
        }
        // Its ORDER BY is no part of the SELECT.
        let level = match &*query.body {
            SetExpr::Select(select) => self.level(select),
            _ => Level::default(),
        };
        self.selects.push(level);
        self.taken(query, only_asks);
        if !query.locks.is_empty() {
            return self.later("a locking clause in a subquery", span);
        }
        if query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty()
        {
            return self.later("an unusual subquery", span);
        }
        self.set_expression(&query.body, span)
    }

    fn post_visit_query(&mut self, _: &Query) -> Step {
        self.depth -= 1;
        self.scopes.pop();
        self.selects.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> Step {
        self.selects.push(self.level(select));
        self.plain_select(select)
    }

    fn post_visit_select(&mut self, _: &Select) -> Step {
        self.selects.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Step {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                with_hints,
                version: None,
                with_ordinality: false,
                partitions,
                json_path: None,
                sample: None,
                index_hints: _,
            } if with_hints.is_empty() && partitions.is_empty() => {
                match self.common(name) {
                    Ok(Some(_)) => return ControlFlow::Continue(()),
                    Ok(None) => {}
                    Err(refusal) => return ControlFlow::Break(Box::new(refusal)),
                }
                let table = match self.table_name(name) {
                    Ok(table) => table,
                    Err(refusal) => return ControlFlow::Break(Box::new(refusal)),
                };
                let known_as = match alias {
                    Some(alias) => self.fold(&alias.name),
                    None => table.name.clone(),
                };
                let columns = alias.iter().flat_map(|alias| &alias.columns);
                let columns = columns.map(|column| self.fold(&column.name)).collect();
                let span = self.source.bytes(name.span());
                // MySQL's name for no table at all.
                if self.engine == Engine::MySql
                    && table.schema.is_none()
                    && table.name.eq_ignore_ascii_case("dual")
                {
                    return ControlFlow::Continue(());
                }
                self.reads.push(Read { table, known_as, columns, span });
                ControlFlow::Continue(())
            }
            TableFactor::Table { args: Some(_), name, .. } => {
                self.later("a function in FROM", name.span())
            }
            TableFactor::Table { name, .. } => {
                self.later("a sample, a version or a partition of a table", name.span())
            }
            TableFactor::Derived { sample: None, subquery, alias, .. } => {
                let is_named = alias.as_ref().is_some_and(|alias| !alias.columns.is_empty());
                match self.named_clocks(subquery) {
                    Err(refusal) if !is_named => ControlFlow::Break(Box::new(refusal)),
                    _ => ControlFlow::Continue(()),
                }
            }
            TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            other => self.later("a function in FROM", other.span()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Step {
        self.expression(expr)
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> Step {
        if let Value::Placeholder(name) = &value.value {
            return self.stop(
                format_args!("it has a placeholder, {name}, and there is nothing to fill it with"),
                value.span,
                "",
            );
        }
        if self.engine == Engine::Postgres
            && literal::text(&value.value).is_some_and(literal::moves_with_time)
        {
            self.dated.push(Dated { column: None, span: self.source.bytes(value.span) });
        }
        ControlFlow::Continue(())
    }
}

impl Survey<'_> {
    pub(super) fn plain_select(&self, select: &Select) -> Step {
        let unusual = select.top.is_some()
            || select.exclude.is_some()
            || select.into.is_some()
            || !select.lateral_views.is_empty()
            || select.prewhere.is_some()
            || !select.connect_by.is_empty()
            || !select.cluster_by.is_empty()
            || !select.distribute_by.is_empty()
            || !select.sort_by.is_empty()
            || select.qualify.is_some()
            || select.value_table_mode.is_some();
        if unusual {
            return self.later("an unusual SELECT", select.span());
        }
        ControlFlow::Continue(())
    }

    fn set_expression(&self, body: &SetExpr, span: Span) -> Step {
        match body {
            // A nested query is visited as a query of its own.
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => {
                ControlFlow::Continue(())
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.set_expression(left, span)?;
                self.set_expression(right, span)
            }
            // The walk doesn't see the table of `TABLE t`.
            SetExpr::Table(_) => self.later("a TABLE command in a subquery", span),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                ControlFlow::Break(Box::new(
                    self.refuse(
                        "a WITH or a subquery of it writes",
                        span,
                        "it would write in each batch",
                    )
                    .way("write it as statements of their own"),
                ))
            }
        }
    }
}

/// The identifiers of a name; nothing when one of its parts is computed.
pub(super) fn identifiers(name: &ObjectName) -> Vec<&Ident> {
    name.0.iter().map(|part| part.as_ident()).collect::<Option<_>>().unwrap_or_default()
}
