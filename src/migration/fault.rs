//! What can be wrong in a file's text: one variant for each thing that a user can act on.

use std::fmt;
use std::ops::Range;

/// Something is wrong at a place in a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct FileError {
    /// What.
    pub fault: Fault,
    /// Where, in bytes of the file.
    pub span: Range<usize>,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file ends inside something.
    #[error("{what} is never closed")]
    Unclosed {
        /// Inside what.
        what: Opened,
    },
    /// A command for a client program, such as psql's `\i`.
    #[error("`{command}` is a command of {client}, not SQL")]
    ClientCommand {
        /// As it stands in the file.
        command: String,
        /// Whose it is.
        client: &'static str,
    },
    /// `COPY … FROM STDIN`, or `TO STDOUT`.
    #[error("COPY can't read from or write to the client in a migration")]
    CopyStdin,
    /// `DELIMITER` with nothing behind it, or with a backslash.
    #[error("DELIMITER names no usable delimiter")]
    BadDelimiter,
    /// A directive that doesn't exist.
    #[error("unknown directive `{word}`")]
    UnknownDirective {
        /// The word.
        word: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// A word behind a directive that doesn't belong there.
    #[error("`{directive}` knows no `{word}`")]
    UnknownWord {
        /// The directive.
        directive: &'static str,
        /// The word.
        word: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// Something that isn't a directive, but was surely meant as one.
    #[error("`{prefix}` doesn't begin a directive")]
    BadPrefix {
        /// How it begins.
        prefix: String,
    },
    /// The same word twice where once is all it can mean.
    #[error("`{word}` is said twice")]
    Twice {
        /// The word.
        word: &'static str,
    },
    /// A word that needs a value, or has one that it can't take.
    #[error("`{word}` {problem}")]
    BadValue {
        /// The word.
        word: &'static str,
        /// What is wrong with its value.
        problem: String,
        /// An example that would do.
        example: &'static str,
    },
    /// A directive between the words of a statement.
    #[error("a directive stands inside a statement")]
    InsideStatement,
    /// A directive between `/*` and `*/`.
    #[error("a directive stands in a block comment, where it has no effect")]
    InBlockComment {
        /// What it says, or an example if that is nothing that can be said.
        directive: String,
    },
    /// A directive for the whole file, behind its first statement.
    #[error("`{word}` is for the whole file, and stands behind its first statement")]
    BehindStatement {
        /// The directive.
        word: &'static str,
    },
    /// A directive behind something else on its line.
    #[error("a directive stands behind something else on its line")]
    NotOwnLine,
    /// A directive for the following statement, and none follows.
    #[error("no statement follows `{word}`")]
    NothingFollows {
        /// The directive.
        word: &'static str,
    },
    /// Two directives for one statement that exclude each other.
    #[error("`{first}` and `{second}` exclude each other")]
    Conflict {
        /// The one.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// `BEGIN`, `COMMIT` and their like.
    #[error("{words} in a migration: lockkeeper makes the transactions")]
    TransactionControl {
        /// The statement's first words.
        words: String,
    },
    /// PostgreSQL: `DISCARD ALL` and `DEALLOCATE ALL`.
    #[error("{words} in a migration: it takes lockkeeper's own prepared statements away, too")]
    Discards {
        /// The statement's first words.
        words: String,
    },
    /// PostgreSQL: `SET ROLE` outside a transaction.
    #[error(
        "{words} outside a transaction: a role holds to the end of its step, which is this \
         statement alone"
    )]
    RoleAlone {
        /// The statement's first words.
        words: String,
    },
    /// MySQL: `END IF` and the like, where a body was cut at its first semicolon.
    #[error("{words} without its beginning")]
    StrayEnd {
        /// The statement's first words.
        words: String,
    },
    /// `batch` before a statement that has no batches.
    #[error("`{directive}` stands before something that is no batchable statement")]
    NotBatchable {
        /// `batch` or `batch off`.
        directive: &'static str,
        /// The statement's first word.
        word: String,
    },
    /// Nothing but white space and comments.
    #[error("the file has no statement")]
    NoStatement,
}

/// What a file can end inside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// `'…'`.
    String,
    /// `"…"`, `` `…` `` or `[…]`.
    Identifier,
    /// `/* … */`.
    Comment,
    /// `$tag$ … $tag$`.
    DollarQuote,
    /// `BEGIN … END`.
    Body,
    /// `( … )`.
    Parenthesis,
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Opened::String => "a string",
            Opened::Identifier => "a quoted name",
            Opened::Comment => "a comment",
            Opened::DollarQuote => "a dollar quote",
            Opened::Body => "the body of a BEGIN … END",
            Opened::Parenthesis => "a parenthesis",
        })
    }
}

impl Fault {
    /// The fault at its place.
    pub(super) fn at(self, span: Range<usize>) -> FileError {
        FileError { fault: self, span }
    }

    /// What there is to say about the spot; may be empty.
    pub fn label(&self) -> String {
        match self {
            Fault::Unclosed { .. } => "opened here".to_owned(),
            Fault::UnknownDirective { nearest, .. } | Fault::UnknownWord { nearest, .. } => {
                nearest.map_or_else(String::new, |word| format!("did you mean `{word}`?"))
            }
            Fault::BadValue { example, .. } => format!("for example `{example}`"),
            Fault::NotBatchable { word, .. } => format!("the statement begins with {word}"),
            _ => String::new(),
        }
    }

    /// The way out.
    pub fn next(&self) -> String {
        match self {
            Fault::Unclosed { what } => match what {
                Opened::Body => "close it with END and a semicolon".to_owned(),
                _ => "close it; what follows was read as part of it".to_owned(),
            },
            Fault::ClientCommand { .. } => {
                "write SQL instead, or run that part with its own client, outside of the migration"
                    .to_owned()
            }
            Fault::CopyStdin => "use INSERT, or load the data with psql's \\copy outside of the \
                                 migration"
                .to_owned(),
            Fault::BadDelimiter => "name one without a backslash, such as `DELIMITER //`".to_owned(),
            Fault::UnknownDirective { .. } => {
                "the directives are `phase=`, `no-transaction`, `lock-timeout=`, `batch` and \
                 `batch off`"
                    .to_owned()
            }
            Fault::UnknownWord { directive: "batch", .. } => {
                "`batch` takes `key=`, `rows=`, `target=`, `workers=`, `trust-triggers` and \
                 `trust-per-batch`, or `off` alone; any other directive needs a line of its own"
                    .to_owned()
            }
            Fault::UnknownWord { directive, .. } => {
                format!("`{directive}` stands alone; any other directive needs a line of its own")
            }
            Fault::BadPrefix { .. } => {
                "a directive begins with exactly `-- lockkeeper: `, in lower case and with the \
                 colon; a remark about lockkeeper is best worded in another way"
                    .to_owned()
            }
            Fault::Twice { word } => format!("keep one `{word}` and delete the other"),
            Fault::BadValue { word, example, .. } => {
                format!("give `{word}` a value that it can take, such as `{example}`")
            }
            Fault::InsideStatement => {
                "move the directive to a line of its own above the statement, which ends at its \
                 semicolon"
                    .to_owned()
            }
            Fault::NotOwnLine => {
                "move the directive to a line of its own above the statement that it is for"
                    .to_owned()
            }
            Fault::InBlockComment { directive } => {
                format!(
                    "write it as `-- lockkeeper: {directive}` on a line of its own above the \
                     statement, or delete it; a remark about lockkeeper is best worded in another \
                     way"
                )
            }
            Fault::BehindStatement { word } => {
                format!("move `{word}` to the top of the file, above the first statement")
            }
            Fault::NothingFollows { .. } => {
                "put the directive above the statement that it is for, or delete it".to_owned()
            }
            Fault::Conflict { .. } => "keep one of the two".to_owned(),
            Fault::TransactionControl { .. } => {
                "delete the line; what must not share a transaction with its neighbours goes into \
                 a file of its own, or under `-- lockkeeper: no-transaction`"
                    .to_owned()
            }
            Fault::Discards { .. } => {
                "name what is to go (`DEALLOCATE name`, `RESET ALL`, `DISCARD TEMP`), or delete the \
                 line: the next file begins with a new session anyway"
                    .to_owned()
            }
            Fault::RoleAlone { .. } => {
                "put it, with the statements that it is for, into a file without `no-transaction`, \
                 or let lockkeeper connect as that role"
                    .to_owned()
            }
            Fault::StrayEnd { .. } => {
                "put the whole body between BEGIN and END, or set a DELIMITER around it".to_owned()
            }
            Fault::NotBatchable { .. } => {
                "put the directive right above the UPDATE, DELETE or INSERT that it is for, or delete it"
                    .to_owned()
            }
            Fault::NoStatement => "write a statement, or delete the file".to_owned(),
        }
    }
}
