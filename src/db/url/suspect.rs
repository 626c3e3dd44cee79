//! What may hold a password although none belongs there.

/// Names that other tools give to a password within a connection string.
const NAMES: [&str; 3] = ["password", "passwd", "pwd"];

/// Whether a text looks like a whole URL, like another tool's way to write one
/// (`host=h password=p`, `user:p@tcp(h)/d`), or like the JSON of a secret. Such a text is given by
/// mistake where a path, a name or a number belongs, and an error that quotes it would bring the
/// password into a log.
pub fn may_hold_password(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let assigned = |rest: &str| rest.trim_start_matches(['"', '\'', ' ']).starts_with(['=', ':']);
    let named = |name: &&str| lower.split(*name).skip(1).any(assigned);
    let user = text.find(':').zip(text.rfind('@')).is_some_and(|(colon, at)| colon < at);
    // Quotes may be lost on the way through a shell; braces stay.
    text.contains(['{', '"']) || text.contains("://") || user || NAMES.iter().any(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_from_names() {
        for text in [
            r#"{"host":"h","password":"p"}"#,
            "{host:h,password:p}",
            "postgres://h/d?user=u&password=p",
            "host=h Password = p",
            "Server=h;Pwd=p",
            "u:p@tcp(h)/d",
            "u:p@h/d",
        ] {
            assert!(may_hold_password(text), "{text}");
        }
        for text in [
            "migrations",
            "./db/@scope/migrations",
            "C:\\x",
            "password",
            "reset-password/sql",
            "::1",
        ] {
            assert!(!may_hold_password(text), "{text}");
        }
    }
}
