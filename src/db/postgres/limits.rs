//! How long the statements of a transaction may take.

use std::time::Duration;

use crate::db::Statement;

/// What follows upon the `begin` of a transaction of these statements, of which the shortest limit is
/// everybody's; nothing where there is none. It goes with that in one text, whose statements have each their
/// own time, since a way to a server far away takes longer than they do.
///
/// A commit's wait for a standby must not be ended, and isn't: PostgreSQL stops the clock before it commits
/// (`finish_xact_command` in `postgres.c`).
pub fn set(statements: &[Statement]) -> String {
    let limits = statements.iter().filter_map(|statement| statement.limit);
    limits.min().map(within).unwrap_or_default()
}

fn within(limit: Duration) -> String {
    let millis = limit.as_millis().max(1);
    // The session's own, `0` for none, may be shorter.
    let own = "extract(epoch from current_setting('statement_timeout')::interval) * 1000";
    let shorter = format!("least(nullif({own}, 0), {millis})::integer::text");
    format!("; select set_config('statement_timeout', {shorter}, true)")
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
        assert_eq!(set(&[statement(None)]), "");
        let set = set(&[statement(Some(190)), statement(None), statement(Some(200))]);
        assert!(set.contains(" 190)"), "{set}");
    }
}
