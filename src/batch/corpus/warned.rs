//! Statements that are batched with a warning, a line each.

use super::{LITE, MY, PG};
use crate::db::Dialect;

/// Dialects, a word of the cause, the statement, and what the place points at.
pub(super) type Warned = (&'static [Dialect], &'static str, &'static str, &'static str);

#[rustfmt::skip]
pub(super) const WARNED: &[Warned] = &[
    (PG, "another answer for each row", "UPDATE t SET a = random()", "random"),
    (LITE, "another answer for each row", "UPDATE t SET a = random()", "random"),
    (PG, "another answer for each row", "UPDATE t SET c = gen_random_uuid()", "gen_random_uuid"),
    (PG, "another answer for each row", "UPDATE t SET a = nextval('s')", "nextval"),
    (PG, "another answer for each row", "UPDATE t SET at = clock_timestamp()", "clock_timestamp"),
    (PG, "another answer for each row", "DELETE FROM t WHERE a = 1 AND random() < 0.5", "random"),
    (MY, "another answer for each row", "UPDATE t SET c = UUID()", "UUID"),
    (MY, "another answer for each row", "UPDATE t SET at = SYSDATE(6)", "SYSDATE"),
    (MY, "another answer for each row", "DELETE FROM t WHERE RAND() < 0.5", "RAND"),
];
