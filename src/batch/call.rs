//! What is understood of a call, with or without parentheses: what isn't listed is refused.

use std::ops::{ControlFlow, Range};

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Spanned, Value,
};
use sqlparser::tokenizer::Span;

use super::function::{Nature, nature, nearest_safe, reads_now};
use super::literal;
use super::pin::{Clock, Tells};
use super::refusal::Refusal;
use super::shape::Call;
use super::survey::{Step, Survey, identifiers};
use super::walk::find;
use super::warning::Warning;
use crate::db::Engine;

const NEIGHBOURS: &str = "it looks at other rows of the table that it changes";

impl Survey<'_> {
    pub(super) fn function(&mut self, function: &Function) -> Step {
        let span = function.name.span();
        let parts = identifiers(&function.name);
        let name = match parts.as_slice() {
            [name] => Some(self.fold(name)),
            [schema, name] if self.engine == Engine::Postgres => {
                (self.fold(schema) == "pg_catalog").then(|| self.fold(name))
            }
            _ => None,
        };
        // The parser calls ARRAY(SELECT …) a function, too.
        let name = match self.engine {
            Engine::Postgres => name,
            _ => name.map(|name| name.to_ascii_lowercase()),
        };
        let arguments = match &function.args {
            FunctionArguments::None => 0,
            FunctionArguments::Subquery(_) => 1,
            FunctionArguments::List(list) => list.args.len(),
        };
        let brackets = match function.args {
            FunctionArguments::None => "",
            _ => "()",
        };
        let known =
            name.as_deref().map_or(Nature::Unknown, |name| nature(self.engine, name, arguments));
        let written = function.name.to_string();
        let bare = name.clone().filter(|_| parts.len() == 1);
        self.calls.push(Call { name: written.clone(), bare, span: self.source.bytes(span) });
        if function.uses_odbc_syntax || !matches!(function.parameters, FunctionArguments::None) {
            return self.later("a call in an unusual notation", span);
        }
        if function.over.is_some() && self.depth == 0 {
            return self.stop(NEIGHBOURS, span, "looks at neighbouring rows");
        }
        match known {
            Nature::RowLocal => self.now_argument(name.as_deref().unwrap_or_default(), function),
            Nature::Aggregate | Nature::Window if self.depth > 0 => {
                self.many_rows(name.as_deref().unwrap_or_default(), function);
                ControlFlow::Continue(())
            }
            Nature::Aggregate | Nature::Window => self.stop(NEIGHBOURS, span, "looks at many rows"),
            Nature::Clock => self.tell(name.as_deref().unwrap_or_default(), function, &written),
            Nature::Asker => {
                ControlFlow::Break(Box::new(self.asker(&format!("{written}{brackets}"), span)))
            }
            // In a subquery the whole statement may compute one value for all rows.
            Nature::Varying if self.depth == 0 => {
                self.varying.push(self.source.bytes(span));
                self.warnings.push(Warning::new(
                    format!(
                        "{written}() gives another answer for each row, so that no two runs leave \
                         the same"
                    ),
                    self.source.bytes(span),
                    "nothing, if that is meant: each row still gets one value, once",
                ));
                ControlFlow::Continue(())
            }
            Nature::Varying | Nature::Volatile => ControlFlow::Break(Box::new(
                self.refuse(
                    format_args!("{written}() gives another answer at each call"),
                    span,
                    "not a matter of the row alone",
                )
                .way("compute the value from the row's own columns"),
            )),
            Nature::Unknown => {
                let meant = name.and_then(|name| nearest_safe(self.engine, &name));
                ControlFlow::Break(Box::new(self.unknown_function(&written, meant, span)))
            }
            Nature::Absent => {
                let meant = name.and_then(|name| nearest_safe(self.engine, &name));
                ControlFlow::Break(Box::new(self.absent_function(&written, meant, span)))
            }
        }
    }

    /// A name that isn't on our lists may be misspelt, or a function of the user's own.
    fn unknown_function(&self, written: &str, meant: Option<&str>, span: Span) -> Refusal {
        let cause = format!("no function {written}() is known to be safe");
        match meant {
            Some(meant) => self
                .refuse(cause, span, &format!("did you mean `{meant}`?"))
                .way(format!("write `{meant}`, if that is meant")),
            None => self
                .refuse(cause, span, "could read the table, and see what earlier batches changed")
                .way("use built-in functions that are known, listed on the page on batching"),
        }
    }

    /// Whole, the statement would fail as well.
    pub(super) fn absent_function(
        &self,
        written: &str,
        meant: Option<&str>,
        span: Span,
    ) -> Refusal {
        let cause = format!("SQLite, as lockkeeper brings it, has no function {written}()");
        match meant {
            Some(meant) => self
                .refuse(cause, span, &format!("did you mean `{meant}`?"))
                .only_way(format!("write `{meant}`, if that is meant")),
            None => self.refuse(cause, span, "").only_way(
                "use functions that it has; those that can be batched are listed on the page on \
                 batching",
            ),
        }
    }

    /// The refusal of what tells the time in a way that can't be pinned.
    pub(super) fn clock(&self, written: &str, span: Span) -> Refusal {
        self.refuse(format_args!("{written} could differ from batch to batch"), span, "").way(
            "write CURRENT_TIMESTAMP or CURRENT_DATE, which are pinned to one time, or the value",
        )
    }

    fn asker(&self, written: &str, span: Span) -> Refusal {
        self.refuse(format_args!("{written} could differ from batch to batch"), span, "")
            .way("write the value as a literal")
    }

    /// A call that tells the time. One time is put in its place.
    fn tell(&mut self, name: &str, function: &Function, written: &str) -> Step {
        let span = function.name.span();
        let brackets = self.source.bytes(span).map(|name| self.source.call(name));
        let (Some(call), None) = (brackets, &function.over) else {
            return ControlFlow::Break(Box::new(self.clock(written, span)));
        };
        let digits = match &function.args {
            FunctionArguments::List(list) => match list.args.as_slice() {
                [] => Some(None),
                [digits] => digits.to_string().parse().ok().filter(|it| *it <= 6).map(Some),
                _ => None,
            },
            _ => Some(None),
        };
        let tells = digits.and_then(|digits| Tells::of(self.engine, name, digits));
        if let Some(tells) = tells {
            self.clocks.push(Clock { span: call, tells });
            return ControlFlow::Continue(());
        }
        // datetime(), or strftime('%s'): the time goes before the bracket.
        let comma =
            !matches!(&function.args, FunctionArguments::List(list) if list.args.is_empty());
        if self.engine == Engine::Sqlite && self.source.sql[..call.end].ends_with(')') {
            self.now_argument(name, function)?;
            let end = call.end - 1;
            self.clocks.push(Clock { span: end..end, tells: Tells::Argument { comma } });
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(Box::new(self.clock(&format!("{written}()"), span)))
    }

    /// SQLite's date functions take the text 'now' for the time. As an argument of its own it is
    /// pinned; written as a name, or from any depth below, it is refused. A 'subsec' in the place of
    /// the time means now as well.
    fn now_argument(&mut self, name: &str, function: &Function) -> Step {
        if !reads_now(self.engine, name) {
            return ControlFlow::Continue(());
        }
        let FunctionArguments::List(list) = &function.args else {
            return ControlFlow::Continue(());
        };
        let at = usize::from(name == "strftime");
        for (index, argument) in list.args.iter().enumerate() {
            let is_time = index == at || name == "timediff";
            if let (true, Some(span)) = (is_time, self.now(argument)) {
                self.clocks.push(Clock { span, tells: Tells::Argument { comma: false } });
                continue;
            }
            let words: &[&str] =
                if index == at { &["now", "subsec", "subsecond"] } else { &["now"] };
            let clock = find(argument, |expr| {
                let (text, span) = written(expr)?;
                let text = text.trim();
                let is_one = words.contains(&&*text.to_ascii_lowercase());
                is_one.then(|| self.clock(&format!("'{text}'"), span))
            });
            if let Some(refusal) = clock {
                return ControlFlow::Break(Box::new(refusal));
            }
        }
        ControlFlow::Continue(())
    }

    /// The place of an argument that is the literal 'now'.
    fn now(&self, argument: &FunctionArg) -> Option<Range<usize>> {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) = argument else {
            return None;
        };
        let Value::SingleQuotedString(text) = &value.value else { return None };
        let is_now = text.trim().eq_ignore_ascii_case("now");
        self.source.bytes(value.span).filter(|_| is_now)
    }

    /// Names that are calls without parentheses, where the parser doesn't know it.
    pub(super) fn bare_name(&mut self, ident: &Ident) -> Step {
        let lower = ident.value.to_ascii_lowercase();
        if lower.starts_with('@') {
            return ControlFlow::Break(Box::new(
                self.refuse("it uses a variable of the session", ident.span, "")
                    .way("write the value as a literal"),
            ));
        }
        if ident.quote_style.is_some() {
            return ControlFlow::Continue(());
        }
        if lower == "default" {
            return ControlFlow::Break(Box::new(
                self.refuse(
                    "a column's DEFAULT may be a sequence or a clock",
                    ident.span,
                    "could differ from batch to batch",
                )
                .way("write the value as a literal"),
            ));
        }
        let reserved: &[&str] = match self.engine {
            Engine::Postgres => &[
                "current_catalog",
                "current_date",
                "current_role",
                "current_schema",
                "current_time",
                "current_timestamp",
                "current_user",
                "localtime",
                "localtimestamp",
                "session_user",
                "system_user",
                "user",
            ],
            Engine::MySql => &[
                "current_date",
                "current_role",
                "current_time",
                "current_timestamp",
                "current_user",
                "localtime",
                "localtimestamp",
                "sysdate",
                "utc_date",
                "utc_time",
                "utc_timestamp",
            ],
            Engine::Sqlite => &["current_date", "current_time", "current_timestamp"],
        };
        if reserved.contains(&lower.as_str()) {
            let tells = Tells::of(self.engine, &lower, None);
            return match (tells, self.source.bytes(ident.span)) {
                (Some(tells), Some(span)) => {
                    self.clocks.push(Clock { span, tells });
                    ControlFlow::Continue(())
                }
                _ => ControlFlow::Break(Box::new(self.asker(&ident.value, ident.span))),
            };
        }
        ControlFlow::Continue(())
    }
}

/// The text that an expression is, be it a literal or a quoted name, which SQLite takes for one
/// where there is no such column.
pub(super) fn written(expr: &Expr) -> Option<(&str, Span)> {
    match expr {
        Expr::Value(value) => Some((literal::text(&value.value)?, value.span)),
        Expr::Identifier(ident) if ident.quote_style.is_some() => Some((&ident.value, ident.span)),
        _ => None,
    }
}
