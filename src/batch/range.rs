//! SQL for a half-open range of keys, `(after, through]`.

use super::key::KeyColumn;
use crate::db::{Dialect, Value};

/// Collects parameters in the order of their use, which MySQL's nameless placeholders need.
#[derive(Debug)]
pub(super) struct Binder<'k> {
    dialect: Dialect,
    key: &'k [KeyColumn],
    pub params: Vec<Value>,
}

/// A side of the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// `> after`
    After,
    /// `<= through`
    Through,
}

impl<'k> Binder<'k> {
    pub fn new(dialect: Dialect, key: &'k [KeyColumn]) -> Self {
        Binder { dialect, key, params: Vec::new() }
    }

    /// The condition on `columns`, the key's columns in the spelling of the query.
    pub fn range(
        &mut self,
        columns: &[String],
        after: Option<&[String]>,
        through: &[String],
    ) -> String {
        let mut range = String::new();
        if let Some(after) = after {
            range.push_str(&self.side(columns, after, Side::After));
            range.push_str(" AND ");
        }
        range.push_str(&self.side(columns, through, Side::Through));
        range
    }

    fn side(&mut self, columns: &[String], values: &[String], side: Side) -> String {
        // A shorter cursor would silently mean another range. The ledger checks what it loads.
        assert_eq!(values.len(), self.key.len(), "a cursor has a value for each key column");
        let last = match side {
            Side::After => ">",
            Side::Through => "<=",
        };
        if let [column] = columns {
            return format!("{column} {last} {}", self.bind(0, &values[0]));
        }
        if self.dialect.row_comparison {
            let bound: Vec<_> =
                values.iter().enumerate().map(|(index, value)| self.bind(index, value)).collect();
            return format!("({}) {last} ({})", columns.join(", "), bound.join(", "));
        }
        // The bound on the first column is redundant; it gives the optimizer one plain range.
        let outer = match side {
            Side::After => ">=",
            Side::Through => "<=",
        };
        let first = format!("{} {outer} {}", columns[0], self.bind(0, &values[0]));
        format!("{first} AND {}", self.expanded(columns, values, 0, side))
    }

    /// `(a > x OR (a = x AND (b > y OR …)))`
    fn expanded(
        &mut self,
        columns: &[String],
        values: &[String],
        index: usize,
        side: Side,
    ) -> String {
        let (strict, last) = match side {
            Side::After => (">", ">"),
            Side::Through => ("<", "<="),
        };
        let column = &columns[index];
        if index + 1 == columns.len() {
            return format!("{column} {last} {}", self.bind(index, &values[index]));
        }
        let beyond = format!("{column} {strict} {}", self.bind(index, &values[index]));
        let equal = format!("{column} = {}", self.bind(index, &values[index]));
        let rest = self.expanded(columns, values, index + 1, side);
        format!("({beyond} OR ({equal} AND {rest}))")
    }

    fn bind(&mut self, index: usize, value: &str) -> String {
        self.params.push(Value::Text(value.to_owned()));
        let placeholder = self.dialect.placeholder(self.params.len());
        // The key was chosen among types that can be cast; a bare placeholder compares as text.
        self.dialect.key_in(&placeholder, &self.key[index].type_name).unwrap_or(placeholder)
    }
}
