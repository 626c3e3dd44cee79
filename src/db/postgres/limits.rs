//! How long the statements of a transaction may take.

use std::time::Duration;

use crate::db::Statement;

/// What sets a limit for the open transaction behind its `begin`, and what lifts it before its `commit`;
/// nothing where there is none. They go with these in one text, whose statements have each their own time,
/// since a way to a server far away takes longer than they do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub set: String,
    /// A commit may wait for a standby: one whose wait is ended is told done.
    pub lift: &'static str,
}

impl Limits {
    /// Those of a list of statements: the shortest is everybody's.
    pub fn of(statements: &[Statement]) -> Limits {
        let limits = statements.iter().filter_map(|statement| statement.limit);
        limits.min().map(Limits::within).unwrap_or_default()
    }

    fn within(limit: Duration) -> Limits {
        let millis = limit.as_millis().max(1);
        // The session's own, `0` for none, may be shorter.
        let own = "extract(epoch from current_setting('statement_timeout')::interval) * 1000";
        let shorter = format!("least(nullif({own}, 0), {millis})::integer::text");
        Limits {
            set: format!("; select set_config('statement_timeout', {shorter}, true)"),
            lift: "select set_config('statement_timeout', '0', true); ",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_is_everybodys() {
        let statement = |millis| {
            let limit = Option::map(millis, Duration::from_millis);
            Statement::new("select 1", Vec::new()).within(limit)
        };
        assert_eq!(Limits::of(&[statement(None)]), Limits::default());
        let limits = Limits::of(&[statement(Some(190)), statement(None), statement(Some(200))]);
        assert!(limits.set.contains(" 190)"), "{}", limits.set);
        assert!(limits.lift.ends_with("; "));
    }
}
