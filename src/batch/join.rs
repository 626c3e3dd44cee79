//! Tables beside the one that is changed: FROM, USING and JOIN.

use std::ops::Range;

use sqlparser::ast::{
    BinaryOperator, Expr, Ident, JoinConstraint, JoinOperator, Spanned, TableFactor,
    TableWithJoins, Visit,
};

use super::grouped::Grouped;
use super::refusal::Refusal;
use super::shape::{Target, target};
use super::survey::{Survey, identifiers};
use crate::db::TableName;

/// A table beside the one that is changed, or a subquery in its place.
#[derive(Debug, Clone)]
pub(super) struct Joined {
    pub known_as: String,
    pub rows: Rows,
    pub span: Option<Range<usize>>,
    /// What holds of its rows alone: the condition of an outer join.
    pub on: Vec<Expr>,
}

/// What stands there.
#[derive(Debug, Clone)]
pub(super) enum Rows {
    Table(TableName),
    Query(Option<Grouped>),
}

/// All that stands in FROM.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// The one that is changed, if it stands among them.
    pub target: Option<Target>,
    pub joined: Vec<Joined>,
    /// What holds of all rows.
    pub conditions: Vec<Expr>,
}

impl Tables {
    /// Reads a list of tables. `name` is what the one that is changed is called among them.
    pub fn read(
        survey: &mut Survey<'_>,
        list: &[TableWithJoins],
        name: Option<&str>,
    ) -> Result<Self, Refusal> {
        let mut tables = Tables::default();
        for item in list {
            tables.table(survey, &item.relation, name)?;
            for (at, join) in item.joins.iter().enumerate() {
                let before = known_as(survey, &item.relation).filter(|_| at == 0);
                let is_target = tables.table(survey, &join.relation, name)?;
                tables.constrain(survey, &join.join_operator, before.as_deref(), is_target)?;
            }
        }
        Ok(tables)
    }

    /// Whether it is the one that is changed.
    fn table(
        &mut self,
        survey: &mut Survey<'_>,
        factor: &TableFactor,
        name: Option<&str>,
    ) -> Result<bool, Refusal> {
        let called = known_as(survey, factor);
        if name.is_some() && called.as_deref() == name {
            if self.target.is_some() {
                return Err(survey
                    .refuse("two of its tables have the same name", factor.span(), "")
                    .way("give one of them an alias"));
            }
            self.target = Some(target(survey, factor)?);
            return Ok(true);
        }
        let rows = match factor {
            TableFactor::Table { name, alias, .. } => match survey.common(name)? {
                Some(common) => Rows::Query(common.grouped.clone()),
                // Other names for its columns.
                None if alias.as_ref().is_some_and(|alias| !alias.columns.is_empty()) => {
                    Rows::Query(None)
                }
                None => Rows::Table(survey.table_name(name)?),
            },
            TableFactor::Derived { lateral: false, subquery, alias: Some(alias), .. } => {
                Rows::Query(Grouped::of(survey, subquery, alias))
            }
            other => {
                return Err(survey
                    .refuse("it joins what is no plain table or subquery", other.span(), "")
                    .way("join plain tables and subqueries, without LATERAL and brackets"));
            }
        };
        survey.walk(|survey| factor.visit(survey))?;
        let span = survey.source.bytes(factor.span());
        let known_as = called.unwrap_or_default();
        self.joined.push(Joined { known_as, rows, span, on: Vec::new() });
        Ok(false)
    }

    /// Reads how the last table is joined. `before` is the one table that stands before it.
    fn constrain(
        &mut self,
        survey: &mut Survey<'_>,
        operator: &JoinOperator,
        before: Option<&str>,
        is_target: bool,
    ) -> Result<(), Refusal> {
        let (constraint, outer) = match operator {
            JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::CrossJoin(constraint)
            | JoinOperator::StraightJoin(constraint) => (constraint, false),
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) if !is_target => {
                (constraint, true)
            }
            _ => {
                return Err(survey
                    .refuse(
                        "it has an outer join that may leave its own table without a row",
                        operator.span(),
                        "",
                    )
                    .way("write it with JOIN, or with LEFT JOIN behind the table itself"));
            }
        };
        let mut found = Vec::new();
        match constraint {
            JoinConstraint::None => {}
            JoinConstraint::On(condition) => {
                survey.walk(|survey| condition.visit(survey))?;
                conjuncts(condition, &mut found);
            }
            JoinConstraint::Using(names) => {
                let last = self.joined.last().filter(|_| !is_target);
                for (last, before) in last.iter().zip(before) {
                    let names = names.iter().filter_map(|name| identifiers(name).pop());
                    found.extend(names.map(|name| equal(&last.known_as, before, name)));
                }
            }
            JoinConstraint::Natural => {
                return Err(survey
                    .refuse(
                        "what NATURAL joins by depends on which columns there are",
                        operator.span(),
                        "",
                    )
                    .way("write the condition with ON"));
            }
        }
        match self.joined.last_mut() {
            Some(last) if outer => last.on = found,
            _ => self.conditions.extend(found),
        }
        Ok(())
    }
}

/// What a table is called.
pub(super) fn known_as(survey: &Survey<'_>, factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. } => Some(survey.fold(&alias.name)),
        TableFactor::Table { name, .. } => identifiers(name).last().map(|ident| survey.fold(ident)),
        _ => None,
    }
}

/// What must hold together.
pub(super) fn conjuncts(expr: &Expr, found: &mut Vec<Expr>) {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            conjuncts(left, found);
            conjuncts(right, found);
        }
        Expr::Nested(inner) => conjuncts(inner, found),
        other => found.push(other.clone()),
    }
}

fn equal(one: &str, other: &str, column: &Ident) -> Expr {
    let of = |table: &str| {
        Box::new(Expr::CompoundIdentifier(vec![Ident::with_quote('"', table), column.clone()]))
    };
    Expr::BinaryOp { left: of(one), op: BinaryOperator::Eq, right: of(other) }
}
