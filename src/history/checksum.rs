//! Refinery's checksum: SipHash-1-3 over name, version and text, as Rust's `Hash` feeds them.
//!
//! Ours, and not `refinery_core::Migration`'s, because refinery fixes the width of a version when
//! it is compiled, and we have to speak both. The tests compare it with refinery itself.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::migration::Migration;

/// How refinery was built to count versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// `i32`, its default.
    Int4,
    /// `i64`, with its feature `int8-versions`.
    Int8,
}

/// The text's line ends and BOM, as another machine's checkout may have them.
#[derive(Debug, Clone, Copy)]
enum Form {
    AsIs,
    Unix { bom: bool },
    Windows { bom: bool },
}

const BOM: &str = "\u{feff}";

/// What refinery would enter for this file.
pub fn of(migration: &Migration, width: Width) -> u64 {
    hash(migration, width, Form::AsIs)
}

/// Whether `found` is the checksum of this file, with whatever line ends, BOM and width.
pub fn accepts(migration: &Migration, width: Width, found: u64) -> bool {
    let forms = [
        Form::AsIs,
        Form::Unix { bom: false },
        Form::Windows { bom: false },
        Form::Unix { bom: true },
        Form::Windows { bom: true },
    ];
    let other = if width == Width::Int4 { Width::Int8 } else { Width::Int4 };
    [width, other]
        .into_iter()
        .any(|width| forms.into_iter().any(|form| hash(migration, width, form) == found))
}

fn hash(migration: &Migration, width: Width, form: Form) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(migration.name.as_bytes());
    hasher.write(&[0xff]);
    match (width, i32::try_from(migration.version)) {
        (Width::Int4, Ok(version)) => hasher.write(&version.to_le_bytes()),
        _ => hasher.write(&migration.version.to_le_bytes()),
    }
    feed(&mut hasher, &migration.text, form);
    hasher.write(&[0xff]);
    hasher.finish()
}

/// Line by line, so that a large file is never copied.
fn feed(hasher: &mut SipHasher13, text: &str, form: Form) {
    let (bom, end) = match form {
        Form::AsIs => return hasher.write(text.as_bytes()),
        Form::Unix { bom } => (bom, "\n"),
        Form::Windows { bom } => (bom, "\r\n"),
    };
    if bom {
        hasher.write(BOM.as_bytes());
    }
    for line in text.strip_prefix(BOM).unwrap_or(text).split_inclusive('\n') {
        match line.strip_suffix('\n') {
            Some(body) => {
                hasher.write(body.strip_suffix('\r').unwrap_or(body).as_bytes());
                hasher.write(end.as_bytes());
            }
            None => hasher.write(line.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Dialect;
    use crate::migration::FileName;

    fn migration(version: i64, text: &str) -> Migration {
        let file = FileName::parse(&format!("V{version}__add_column.sql")).unwrap();
        let path = "V7__add_column.sql".into();
        Migration::parse(path, file, text.into(), Dialect::POSTGRES).unwrap()
    }

    #[test]
    fn it_is_refinerys_own() {
        let text = "create table t (id int);\n";
        let theirs = refinery::Migration::unapplied("V7__add_column", text).unwrap();
        assert_eq!(of(&migration(7, text), Width::Int4), theirs.checksum());
    }

    #[test]
    fn line_ends_bom_and_width_do_not_count_but_text_does() {
        let unix = migration(7, "select 1;\nselect 2;\n");
        for text in ["select 1;\r\nselect 2;\r\n", "\u{feff}select 1;\nselect 2;\n"] {
            let other = migration(7, text);
            for width in [Width::Int4, Width::Int8] {
                assert!(accepts(&unix, Width::Int4, of(&other, width)), "{text:?} {width:?}");
                assert!(accepts(&other, Width::Int8, of(&unix, width)), "{text:?} {width:?}");
            }
        }
        let changed = migration(7, "select 1;\nselect 3;\n");
        assert!(!accepts(&changed, Width::Int4, of(&unix, Width::Int4)));
    }

    #[test]
    fn large_versions_are_hashed_wide() {
        let large = migration(20_261_122_010_203, "select 1");
        assert_eq!(of(&large, Width::Int4), of(&large, Width::Int8));
    }
}
