//! File names, by refinery's rule: `V<version>__<name>.sql`.
//!
//! Refinery passes over some misfits in silence and fails or panics at others; here each is an
//! error that says how to rename the file.

/// What a migration's file name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName {
    /// The version.
    pub version: i64,
    /// The name: what stands between the two underscores and the ending.
    pub name: String,
    /// `U…` instead of `V…`: may be applied although later versions are.
    pub out_of_order: bool,
}

/// Why a name isn't a migration's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// An ending that isn't `.sql`, but nearly.
    #[error("the ending of `{file}` is not `.sql`")]
    Ending {
        /// The file's name.
        file: String,
    },
    /// A literal `|` as prefix: refinery's pattern lets it through, and then it panics.
    #[error("`{file}` begins with `|` instead of `V` or `U`")]
    Bar {
        /// The file's name.
        file: String,
    },
    /// `v` or `u`.
    #[error("`{file}` begins with a lower-case letter; refinery would pass it over in silence")]
    Lowercase {
        /// The file's name.
        file: String,
    },
    /// Any other prefix.
    #[error("`{file}` doesn't begin with `V` or `U` and a version")]
    Prefix {
        /// The file's name.
        file: String,
    },
    /// `V__name.sql`.
    #[error("`{file}` has no version")]
    NoVersion {
        /// The file's name.
        file: String,
    },
    /// `V1.2__name.sql`.
    #[error("the version of `{file}` has a dot; versions are whole numbers")]
    Dotted {
        /// The file's name.
        file: String,
    },
    /// A version that is no number.
    #[error("the version `{version}` of `{file}` is not a whole number")]
    NotANumber {
        /// The file's name.
        file: String,
        /// What stands for the version.
        version: String,
    },
    /// A version beyond 64 bits.
    #[error("the version of `{file}` is greater than {}", i64::MAX)]
    TooLarge {
        /// The file's name.
        file: String,
    },
    /// One underscore between version and name.
    #[error("`{file}` has one underscore between version and name instead of two")]
    SingleUnderscore {
        /// The file's name.
        file: String,
    },
    /// `V1.sql`, `V1__.sql`.
    #[error("`{file}` has no name behind its version")]
    NoName {
        /// The file's name.
        file: String,
    },
    /// A dash, a space, a dot, … in the name.
    #[error("the name of `{file}` contains {character:?}; refinery would pass it over in silence")]
    Character {
        /// The file's name.
        file: String,
        /// The first such character.
        character: char,
    },
    /// A name for a new migration with nothing in it.
    #[error("a migration needs a name")]
    Empty,
    /// A name for a new migration that no file name can carry.
    #[error("the name {name:?} contains {character:?}")]
    NewCharacter {
        /// The name.
        name: String,
        /// The first such character.
        character: char,
    },
    /// The greatest version is taken, so that no new one can follow.
    #[error("no version can follow {}", i64::MAX)]
    LastVersion,
}

impl FileName {
    /// Reads a file's name.
    ///
    /// # Errors
    /// What doesn't fit the rule.
    pub fn parse(file: &str) -> Result<Self, NameError> {
        let owned = || file.to_owned();
        let stem = file.strip_suffix(".sql").ok_or_else(|| NameError::Ending { file: owned() })?;
        let mut characters = stem.chars();
        let out_of_order = match characters.next() {
            Some('V') => false,
            Some('U') => true,
            Some('|') => return Err(NameError::Bar { file: owned() }),
            Some('v' | 'u') => return Err(NameError::Lowercase { file: owned() }),
            _ => return Err(NameError::Prefix { file: owned() }),
        };
        let rest = characters.as_str();
        let Some((version, name)) = rest.split_once("__") else {
            return Err(without_two_underscores(file, rest));
        };
        let version = parse_version(file, version)?;
        if name.is_empty() {
            return Err(NameError::NoName { file: owned() });
        }
        match name.chars().find(|character| !is_word(*character)) {
            Some(character) => Err(NameError::Character { file: owned(), character }),
            None => Ok(FileName { version, name: name.to_owned(), out_of_order }),
        }
    }

    /// Whether the name looks as if a migration was meant, however misspelt: `.sql` in any case,
    /// or a prefix with a version.
    pub(super) fn is_meant(file: &str) -> bool {
        if file.ends_with(".sql") {
            return true;
        }
        let lower = file.to_ascii_lowercase();
        let prefixed = lower
            .strip_prefix(['v', 'u', '|'])
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        lower.ends_with(".sql") || (prefixed && lower.contains('_'))
    }
}

impl NameError {
    /// How to rename the file.
    pub fn next(&self) -> String {
        match self {
            NameError::Ending { file } => match file.rsplit_once('.') {
                Some((stem, ending)) if !ending.eq_ignore_ascii_case("sql") => {
                    format!("lockkeeper reads SQL files only, such as `{stem}.sql`")
                }
                Some((stem, _)) => format!("rename it to `{stem}.sql`"),
                None => format!("rename it to `{file}.sql`"),
            },
            NameError::Bar { file } => format!("rename it to `V{}`", &file[1..]),
            NameError::Lowercase { file } => {
                format!("rename it to `{}{}`", file[..1].to_ascii_uppercase(), &file[1..])
            }
            NameError::SingleUnderscore { file } => {
                format!("rename it to `{}`", file.replacen('_', "__", 1))
            }
            NameError::Dotted { .. } => {
                "give it a whole number as version, greater than that of the file before, and \
                 renumber those after it that aren't applied yet"
                    .to_owned()
            }
            NameError::TooLarge { .. } => "give it a smaller version".to_owned(),
            NameError::NoName { file } => {
                let stem = file.trim_end_matches(".sql").trim_end_matches('_');
                format!("rename it to `{stem}__what_it_does.sql`")
            }
            NameError::Character { file, .. } => format!("rename it to `{}`", mend(file)),
            NameError::Empty => {
                "say in a few words what it does: `lockkeeper new add_users`".to_owned()
            }
            NameError::NewCharacter { .. } => {
                "use letters, digits and underscores; spaces and dashes become underscores"
                    .to_owned()
            }
            NameError::LastVersion => "renumber the last file".to_owned(),
            NameError::Prefix { .. }
            | NameError::NoVersion { .. }
            | NameError::NotANumber { .. } => {
                "rename it after the pattern `V<number>__<what_it_does>.sql`, such as \
                 `V1__create_users.sql`"
                    .to_owned()
            }
        }
    }
}

/// A name for a new file, from a user's words: spaces and dashes become underscores.
pub(super) fn snake(words: &str) -> Result<String, NameError> {
    let mut name = String::with_capacity(words.len());
    for character in words.trim().chars() {
        match character {
            ' ' | '\t' | '-' | '_' => {
                if !name.ends_with('_') {
                    name.push('_');
                }
            }
            _ if is_word(character) => name.extend(character.to_lowercase()),
            _ => return Err(NameError::NewCharacter { name: words.to_owned(), character }),
        }
    }
    match name.trim_matches('_') {
        "" => Err(NameError::Empty),
        name => Ok(name.to_owned()),
    }
}

fn parse_version(file: &str, version: &str) -> Result<i64, NameError> {
    let file = file.to_owned();
    if version.is_empty() {
        return Err(NameError::NoVersion { file });
    }
    if version.bytes().all(|byte| byte.is_ascii_digit()) {
        // All digits, so it can only be too large.
        return version.parse().map_err(|_| NameError::TooLarge { file });
    }
    let dotted = version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if dotted && version.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(NameError::Dotted { file });
    }
    if version.contains('_') && version.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(NameError::SingleUnderscore { file });
    }
    Err(NameError::NotANumber { file, version: version.to_owned() })
}

fn without_two_underscores(file: &str, rest: &str) -> NameError {
    let file = file.to_owned();
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    match rest.as_bytes().get(digits) {
        _ if digits == 0 => NameError::Prefix { file },
        None => NameError::NoName { file },
        Some(b'_') if rest.len() == digits + 1 => NameError::NoName { file },
        Some(b'_') => NameError::SingleUnderscore { file },
        Some(b'.') => NameError::Dotted { file },
        Some(_) => NameError::Prefix { file },
    }
}

/// The file's name with an underscore for every character that can't stand in it.
fn mend(file: &str) -> String {
    let stem = file.trim_end_matches(".sql");
    let mended = stem.replace(|character| !is_word(character), "_");
    format!("{mended}.sql")
}

/// `\w` as refinery's regex has it, as far as the standard library knows it. The combining marks
/// are for names that macOS has decomposed.
fn is_word(character: char) -> bool {
    character == '_'
        || character.is_ascii_digit()
        || character.is_alphabetic()
        || ('\u{300}'..='\u{36f}').contains(&character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_are_read() {
        let table = [
            ("V1__create.sql", 1, "create", false),
            ("U42__late_fix.sql", 42, "late_fix", true),
            ("V007__bond.sql", 7, "bond", false),
            ("V0__zero.sql", 0, "zero", false),
            ("V20261120094500__ts.sql", 20_261_120_094_500, "ts", false),
            ("V9223372036854775807__max.sql", i64::MAX, "max", false),
            ("V1__a__b.sql", 1, "a__b", false),
            ("V1___x.sql", 1, "_x", false),
            ("V1__größe_2.sql", 1, "größe_2", false),
            ("V1__gro\u{308}ße.sql", 1, "gro\u{308}ße", false),
        ];
        for (file, version, name, out_of_order) in table {
            let expected = FileName { version, name: name.to_owned(), out_of_order };
            assert_eq!(FileName::parse(file), Ok(expected), "{file}");
        }
    }

    #[test]
    fn every_misfit_is_told_apart_and_says_how_to_rename() {
        let table = [
            ("V1__add-foo.sql", "contains '-'", "`V1__add_foo.sql`"),
            ("V1__add foo.bar.sql", "contains ' '", "`V1__add_foo_bar.sql`"),
            ("V1__m².sql", "contains '²'", "`V1__m_.sql`"),
            ("V1.2__x.sql", "has a dot", "whole number"),
            ("V1.2_x.sql", "has a dot", "whole number"),
            ("|1__x.sql", "begins with `|`", "`V1__x.sql`"),
            ("V1_x.sql", "one underscore", "`V1__x.sql`"),
            ("V1_x__y.sql", "one underscore", "`V1__x__y.sql`"),
            ("v1__x.sql", "lower-case", "`V1__x.sql`"),
            ("u1__x.sql", "lower-case", "`U1__x.sql`"),
            ("V9223372036854775808__x.sql", "greater than 9223372036854775807", "smaller"),
            ("V1__.sql", "no name", "`V1__what_it_does.sql`"),
            ("V1_.sql", "no name", "`V1__what_it_does.sql`"),
            ("V1.sql", "no name", "`V1__what_it_does.sql`"),
            ("V__x.sql", "no version", "V1__create_users"),
            ("V-1__x.sql", "not a whole number", "V1__create_users"),
            ("Vx1__x.sql", "not a whole number", "V1__create_users"),
            ("R__views.sql", "doesn't begin", "V1__create_users"),
            ("schema.sql", "doesn't begin", "V1__create_users"),
            ("Views.sql", "doesn't begin", "V1__create_users"),
            (".sql", "doesn't begin", "V1__create_users"),
            ("V1__x.SQL", "ending", "`V1__x.sql`"),
            ("V1__x.rs", "ending", "SQL files only"),
            ("V1__x", "ending", "`V1__x.sql`"),
        ];
        for (file, message, next) in table {
            let error = FileName::parse(file).expect_err(file);
            assert!(error.to_string().contains(message), "{file}: {error}");
            assert!(error.next().contains(next), "{file}: {}", error.next());
        }
    }

    #[test]
    fn renaming_as_advised_mends() {
        for file in ["V1__add-foo.sql", "|1__x.sql", "V1_x.sql", "v1__x.sql", "V1__x.SQL", "V3.sql"]
        {
            let error = FileName::parse(file).expect_err(file);
            let next = error.next();
            let advised = next.split('`').nth(1).expect("an advice");
            assert!(FileName::parse(advised).is_ok(), "{file} → {advised}");
        }
    }

    #[test]
    fn strangers_are_told_from_misspelt_migrations() {
        for file in ["V1__x.rs", "v1_x.txt", "anything.sql", "X.SQL", "|1__x", "V1__x"] {
            assert!(FileName::is_meant(file), "{file}");
        }
        for file in ["notes.txt", "v1", "users.csv", "Vfoo_bar", "docker-compose.yml"] {
            assert!(!FileName::is_meant(file), "{file}");
        }
    }

    #[test]
    fn new_names_are_snake_case() {
        assert_eq!(snake("Add Foo-bar  baz_"), Ok("add_foo_bar_baz".to_owned()));
        assert_eq!(snake(" - "), Err(NameError::Empty));
        assert_eq!(
            snake("a/b"),
            Err(NameError::NewCharacter { name: "a/b".to_owned(), character: '/' })
        );
    }
}
