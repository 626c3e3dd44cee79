//! Whether an UPDATE excludes what it has done: whether its WHERE is surely not true of a row once the
//! row is changed. It is enough that this holds of one condition that must be true.
//!
//! Only what PostgreSQL's own types make certain counts: what a column gives back must be what it was
//! set to. A `varchar(3)` drops blanks at the end, a `numeric(5, 1)` rounds, a float may compare
//! otherwise than it is written, and under some collations texts that differ are equal.

use std::collections::BTreeMap;

use sqlparser::ast::{
    AssignmentTarget, BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, UnaryOperator, Value,
};

use super::shape::Shape;
use super::survey::identifiers;
use super::tree::{Main, Tree};
use crate::db::{Column, Table};

pub(super) fn excludes_itself(shape: &Shape, target: &Table) -> bool {
    let Ok(Tree { main: Main::Update(update), .. }) = Tree::of(&shape.statement) else {
        return false;
    };
    let mut set = BTreeMap::new();
    for assignment in &update.assignments {
        if let AssignmentTarget::ColumnName(name) = &assignment.target
            && let [column] = identifiers(name)[..]
        {
            set.insert(folded(column), &assignment.value);
        }
    }
    let row = Row { shape, target, set };
    shape.conditions.iter().any(|condition| row.is_never(condition))
}

/// A row of the table, once the UPDATE has changed it.
struct Row<'s> {
    shape: &'s Shape,
    target: &'s Table,
    /// What it sets, by column.
    set: BTreeMap<String, &'s Expr>,
}

/// Values of these types come back as they were given, and compare as they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Integers; `numeric` without limits among them.
    Integer,
    Text,
    Boolean,
    /// Equal where they are written alike; nothing is known where they aren't.
    Written,
}

/// What stands in the text, as a value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Known {
    Null,
    Integer(i128),
    Text(String),
    Boolean(bool),
    Written(String),
    /// What another column of the row has, which the UPDATE leaves alone.
    Column(String),
}

/// How two values compare, where that is certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    Equal,
    Greater,
    /// Either less or greater.
    Other,
}

impl Row<'_> {
    /// Whether the condition is surely not true of it: false, or NULL.
    fn is_never(&self, condition: &Expr) -> bool {
        match condition {
            Expr::Nested(inner) => self.is_never(inner),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.is_never(left) || self.is_never(right)
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                self.is_never(left) && self.is_never(right)
            }
            Expr::BinaryOp { left, op, right } => self.compares_never(left, op, right),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => self.is_always(expr),
            Expr::IsNull(expr) => self.is_filled(expr),
            Expr::IsNotNull(expr) => self.known(expr) == Some(Known::Null),
            Expr::IsTrue(expr) => self.is_bool(expr, &[Some(false), None]),
            Expr::IsNotTrue(expr) => self.is_bool(expr, &[Some(true)]),
            Expr::IsFalse(expr) => self.is_bool(expr, &[Some(true), None]),
            Expr::IsNotFalse(expr) => self.is_bool(expr, &[Some(false)]),
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                self.is_bool(condition, &[Some(false), None])
            }
            Expr::IsDistinctFrom(left, right) => match self.sides(left, right) {
                Some((Known::Null, Known::Null)) => true,
                Some((one, other)) => self.compared(&one, &other) == Some(Comparison::Equal),
                None => false,
            },
            Expr::IsNotDistinctFrom(left, right) => match self.sides(left, right) {
                Some((Known::Null, other) | (other, Known::Null)) => {
                    !matches!(other, Known::Null | Known::Column(_))
                }
                Some((one, other)) => {
                    self.compared(&one, &other).is_some_and(|it| it != Comparison::Equal)
                }
                None => false,
            },
            Expr::InList { expr, list, negated: false } => {
                list.iter().all(|item| self.compares_never(expr, &BinaryOperator::Eq, item))
            }
            Expr::InList { expr, list, negated: true } => {
                list.iter().any(|item| self.compares_never(expr, &BinaryOperator::NotEq, item))
            }
            _ => false,
        }
    }

    /// Whether NOT of it is surely not true: whether it is true, or NULL.
    fn is_always(&self, condition: &Expr) -> bool {
        match condition {
            Expr::Nested(inner) => self.is_always(inner),
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                self.is_bool(condition, &[Some(true), None])
            }
            Expr::IsNotNull(expr) => self.is_filled(expr),
            Expr::IsNull(expr) => self.known(expr) == Some(Known::Null),
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                self.compares_never(left, &BinaryOperator::NotEq, right)
            }
            _ => false,
        }
    }

    fn compares_never(&self, left: &Expr, op: &BinaryOperator, right: &Expr) -> bool {
        use Comparison::{Equal, Greater, Less};
        let allowed: &[Comparison] = match op {
            BinaryOperator::Eq => &[Equal],
            BinaryOperator::NotEq => &[Less, Greater, Comparison::Other],
            BinaryOperator::Lt => &[Less],
            BinaryOperator::LtEq => &[Less, Equal],
            BinaryOperator::Gt => &[Greater],
            BinaryOperator::GtEq => &[Greater, Equal],
            _ => return false,
        };
        match self.sides(left, right) {
            // Comparisons are strict: with NULL they give NULL.
            Some((Known::Null, _) | (_, Known::Null)) => true,
            Some((one, other)) => match self.compared(&one, &other) {
                // It may be either side.
                Some(Comparison::Other) => matches!(op, BinaryOperator::Eq),
                Some(comparison) => !allowed.contains(&comparison),
                None => false,
            },
            None => false,
        }
    }

    /// Both sides of a comparison, as values of the type of the column that is one of them.
    fn sides(&self, left: &Expr, right: &Expr) -> Option<(Known, Known)> {
        if let Some(column) = self.column(left)
            && let Some(left) = self.known(left)
        {
            return Some((left, self.beside(column, right)?));
        }
        let column = self.column(right)?;
        Some((self.beside(column, left)?, self.known(right)?))
    }

    /// What a column of it has that the UPDATE sets.
    fn known(&self, expr: &Expr) -> Option<Known> {
        let column = self.column(expr)?;
        let value = self.set.get(&column.name)?;
        let known = self.beside(column, value)?;
        // PostgreSQL takes blanks off a text that would be too long without them.
        let is_cut = matches!(&known, Known::Text(text) if text.ends_with(' '));
        (!is_cut).then_some(known)
    }

    /// What stands beside a column, or is assigned to it.
    fn beside(&self, column: &Column, expr: &Expr) -> Option<Known> {
        match strip(expr) {
            Expr::Value(value) => match (&value.value, kind(column)?) {
                (Value::Null, _) => Some(Known::Null),
                (Value::Boolean(value), Kind::Boolean) => Some(Known::Boolean(*value)),
                (Value::Number(digits, _), Kind::Integer) => integer(digits).map(Known::Integer),
                (Value::SingleQuotedString(text), Kind::Text) => Some(Known::Text(text.clone())),
                // Also of a number: equal texts are equal numbers.
                (Value::SingleQuotedString(text), Kind::Written | Kind::Integer) => {
                    Some(Known::Written(text.clone()))
                }
                _ => None,
            },
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match self.beside(column, expr)? {
                Known::Integer(number) => Some(Known::Integer(-number)),
                _ => None,
            },
            other => {
                let other = self.column(other)?;
                let stays = !self.set.contains_key(&other.name)
                    && !self.shape.sets.iter().any(|set| set.name == other.name)
                    && other.computed_from.is_none();
                let is_alike = other.type_name == column.type_name && is_plain(&other.type_name);
                (stays && is_alike).then(|| Known::Column(other.name.clone()))
            }
        }
    }

    fn compared(&self, one: &Known, other: &Known) -> Option<Comparison> {
        match (one, other) {
            (Known::Integer(one), Known::Integer(other)) => Some(match one.cmp(other) {
                std::cmp::Ordering::Less => Comparison::Less,
                std::cmp::Ordering::Equal => Comparison::Equal,
                std::cmp::Ordering::Greater => Comparison::Greater,
            }),
            (one, other) if one == other && *one != Known::Null => Some(Comparison::Equal),
            (Known::Boolean(_), Known::Boolean(_)) => Some(Comparison::Other),
            (Known::Text(_), Known::Text(_)) => {
                let is_sure = self.target.columns.iter().all(|column| !column.nondeterministic);
                is_sure.then_some(Comparison::Other)
            }
            _ => None,
        }
    }

    /// Whether it is a boolean column that is surely one of these, where `None` is NULL.
    fn is_bool(&self, expr: &Expr, any: &[Option<bool>]) -> bool {
        match self.known(strip(expr)) {
            Some(Known::Boolean(value)) => any.contains(&Some(value)),
            Some(Known::Null) => any.contains(&None),
            _ => false,
        }
    }

    /// Whether it is a column that the UPDATE surely doesn't leave NULL.
    fn is_filled(&self, expr: &Expr) -> bool {
        let column = self.column(strip(expr)).filter(|column| is_plain(&column.type_name));
        let value = column.and_then(|column| self.set.get(&column.name));
        value.is_some_and(|value| self.is_something(value))
    }

    /// Whether an expression is surely not NULL.
    fn is_something(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => {
                self.is_something(inner)
            }
            Expr::Value(value) => !matches!(value.value, Value::Null | Value::Placeholder(_)),
            Expr::TypedString(_) => true,
            // Some casts make NULL of something, of JSON's null in PostgreSQL 18: only what is surely of
            // another type is followed through one.
            Expr::Cast { expr, data_type, .. } => {
                let is_known = matches!(strip(expr), Expr::Value(_) | Expr::TypedString(_))
                    || self.column(expr).is_some();
                !hides(data_type) && is_known && self.is_something(expr)
            }
            Expr::Case { conditions, else_result: Some(otherwise), .. } => {
                let results = conditions.iter().map(|when| &when.result);
                results.chain([&**otherwise]).all(|result| self.is_something(result))
            }
            Expr::BinaryOp { left, op, right } => {
                let is_strict = matches!(
                    op,
                    BinaryOperator::Plus
                        | BinaryOperator::Minus
                        | BinaryOperator::Multiply
                        | BinaryOperator::Divide
                        | BinaryOperator::Modulo
                        | BinaryOperator::StringConcat
                );
                is_strict && self.is_something(left) && self.is_something(right)
            }
            Expr::Function(function) => self.gives_something(function),
            _ => self.column(expr).is_some_and(|column| {
                let is_json = column.type_name.starts_with("json");
                !column.nullable && !is_json && is_plain(&column.type_name)
            }),
        }
    }

    fn gives_something(&self, function: &Function) -> bool {
        let name = match identifiers(&function.name)[..] {
            [name] => folded(name),
            [schema, name] if folded(schema) == "pg_catalog" => folded(name),
            _ => return false,
        };
        if function.over.is_some() || function.filter.is_some() {
            return false;
        }
        let list = match &function.args {
            FunctionArguments::None => return is_clock(&name),
            FunctionArguments::List(list) if list.clauses.is_empty() => &list.args,
            _ => return false,
        };
        let mut arguments = list.iter().map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => self.is_something(expr),
            _ => false,
        });
        match name.as_str() {
            "coalesce" | "greatest" | "least" => arguments.any(|is_something| is_something),
            "concat" | "gen_random_uuid" | "nextval" | "random" | "clock_timestamp" => true,
            "abs" | "btrim" | "char_length" | "length" | "ltrim" | "md5" | "replace" | "rtrim" => {
                arguments.all(|is_something| is_something)
            }
            // The bounds of a range that has none are NULL.
            "lower" | "upper" => {
                let is_text = |argument: &FunctionArg| match argument {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => self.is_text(expr),
                    _ => false,
                };
                list.iter().all(is_text) && arguments.all(|is_something| is_something)
            }
            name => is_clock(name),
        }
    }

    /// Whether an expression is surely a text.
    fn is_text(&self, expr: &Expr) -> bool {
        match strip(expr) {
            Expr::Value(value) => matches!(value.value, Value::SingleQuotedString(_)),
            Expr::Function(function) => match (&identifiers(&function.name)[..], &function.args) {
                ([name], FunctionArguments::List(list)) if folded(name) == "coalesce" => {
                    list.args.iter().all(|argument| match argument {
                        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => self.is_text(expr),
                        _ => false,
                    })
                }
                _ => false,
            },
            other => self.column(other).and_then(kind) == Some(Kind::Text),
        }
    }

    /// The column of the table that an expression is.
    fn column(&self, expr: &Expr) -> Option<&Column> {
        let name = match strip(expr) {
            Expr::Identifier(ident) => ident,
            Expr::CompoundIdentifier(parts) => match &parts[..] {
                [table, column] if folded(table) == self.shape.known_as() => column,
                _ => return None,
            },
            _ => return None,
        };
        // One of another table by the same name would be an error.
        self.target.column(&folded(name))
    }
}

fn strip(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => strip(inner),
        other => other,
    }
}

fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        None => ident.value.to_ascii_lowercase(),
        Some(_) => ident.value.clone(),
    }
}

fn integer(digits: &str) -> Option<i128> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn kind(column: &Column) -> Option<Kind> {
    let name = column.type_name.as_str();
    match name {
        "smallint" | "integer" | "bigint" | "numeric" => Some(Kind::Integer),
        "boolean" => Some(Kind::Boolean),
        "date" | "uuid" => Some(Kind::Written),
        "text" | "character varying" => Some(Kind::Text),
        _ if name.starts_with("character varying(") => Some(Kind::Text),
        _ => None,
    }
}

/// Types of PostgreSQL's own of which no value but NULL is NULL, unlike a row of NULLs.
fn is_plain(type_name: &str) -> bool {
    let base = type_name.split(['(', ' ']).next().unwrap_or(type_name);
    const PLAIN: [&str; 20] = [
        "smallint",
        "integer",
        "bigint",
        "numeric",
        "real",
        "double",
        "text",
        "character",
        "boolean",
        "date",
        "time",
        "timestamp",
        "interval",
        "uuid",
        "bytea",
        "json",
        "jsonb",
        "inet",
        "oid",
        "bit",
    ];
    PLAIN.contains(&base) && !type_name.contains('[')
}

/// Whether what isn't NULL may hold a nothing of its own, which becomes NULL on the way out: JSON's null,
/// the bounds of a range.
fn hides(data_type: &DataType) -> bool {
    let name = data_type.to_string().to_ascii_lowercase();
    name.starts_with("json") || name.contains("range")
}

fn is_clock(name: &str) -> bool {
    matches!(
        name,
        "now"
            | "current_timestamp"
            | "current_date"
            | "current_time"
            | "localtimestamp"
            | "localtime"
            | "transaction_timestamp"
            | "statement_timestamp"
    )
}

#[cfg(test)]
mod tests;
