use std::time::Duration;

use super::{What, read};
use crate::db::Engine::{MySql, Postgres};
use crate::migration::fault::Fault;
use crate::migration::{BatchDirective, Phase, step};

fn what(text: &str) -> Option<What> {
    let directive = read(text, 0..text.len(), Postgres);
    directive.unwrap_or_else(|error| panic!("{text}: {error}")).map(|directive| directive.what)
}

#[test]
fn directives_are_read() {
    let batch = |batch: BatchDirective, text: &str| {
        Some(What::Batch(BatchDirective { span: 0..text.trim_end().len(), ..batch }))
    };
    assert_eq!(what("-- lockkeeper: phase=expand"), Some(What::Phase(Phase::Expand)));
    assert_eq!(what("--lockkeeper:phase=contract\r"), Some(What::Phase(Phase::Contract)));
    assert_eq!(what("--  lockkeeper:  no-transaction  "), Some(What::NoTransaction));
    let timeout = |ms| Some(What::LockTimeout(Duration::from_millis(ms)));
    assert_eq!(what("-- lockkeeper: lock-timeout=2s"), timeout(2_000));
    assert_eq!(what("-- lockkeeper: lock-timeout=250ms"), timeout(250));
    assert_eq!(what("-- lockkeeper: lock-timeout=3m"), timeout(180_000));
    assert_eq!(what("-- lockkeeper: batch off"), Some(What::BatchOff));
    let text = "-- lockkeeper: batch";
    assert_eq!(what(text), batch(BatchDirective::default(), text));
    let text = "-- lockkeeper: batch workers=4 key=a,b\ttarget=200ms trust-triggers rows=5000 trust-per-batch ";
    let expected = BatchDirective {
        key: Some(vec!["a".to_owned(), "b".to_owned()]),
        rows: Some(5000),
        target: Some(Duration::from_millis(200)),
        workers: Some(4),
        trust_triggers: true,
        trust_per_batch: true,
        auto: false,
        span: 0..0,
    };
    assert_eq!(what(text), batch(expected, text));
}

#[test]
fn prose_is_left_alone() {
    for text in [
        "--",
        "-- a comment",
        "-- lock the table",
        "-- lockkeeper",
        "-- lockkeeper runs this before the rollout",
        "-- lockkeeper batch updates are slow here",
        "-- bookkeeper: totals by month",
        "-- lockkeeping: an art",
        "-- see lockkeeper: batch",
        "-- -- lockkeeper: batch",
        "-- locomotive: batch",
        "-- lockkeeper batches",
        "-- lockkeeper batch rows are counted by key",
        "-- lockkeeper no-transactions are steps of their own",
        "-- lockkeeper patch",
        "-- lockkeeper's no-transaction is of no use here",
        "-- lockkeeper phase two",
        "-- lockkeeper - batch sizes are its own affair",
        "-- lock keeper: the person at the lock",
        "-- as `lockkeeper: batch` would have it",
        "-- \"lockkeeper: batch\" is left out on purpose",
        "-- (lockkeeper: batch)",
        "/**/",
        "/* lock the table */",
        "/* see lockkeeper: batch */",
        "/* lockkeeper batch updates are slow here */",
        "/*\n * Written for\n * lockkeeper 0.1, in batches.\n */",
        "/* `lockkeeper: batch` would lose rows here */",
        "/*\n-- lockkeeper: batch\nUPDATE t SET a = 1;\n*/",
        "/* -- lockkeeper: batch\n# lockkeeper: batch off\r\nUPDATE t SET a = 1; */",
    ] {
        assert_eq!(what(text), None, "{text}");
    }
}

#[test]
fn mistakes_are_pointed_at() {
    let table = [
        // (comment, the offending word, part of the message, part of label or remedy)
        ("-- lockkeeper: bacth", "bacth", "unknown directive `bacth`", "did you mean `batch`?"),
        ("-- lockkeeper: Batch", "Batch", "unknown directive", "did you mean `batch`?"),
        ("-- lockkeeper: no_transaction", "no_transaction", "unknown", "`no-transaction`?"),
        ("-- lockkeeper: frobnicate", "frobnicate", "unknown directive", "`lock-timeout=`"),
        ("-- lockkeeper:", "-- lockkeeper:", "unknown directive", "the directives are"),
        ("-- lockkeeper phase=contract", "-- lockkeeper", "begin", "with the colon"),
        ("-- lockkeeper no-transaction", "-- lockkeeper", "begin", "with the colon"),
        ("-- lockkeeper batch key=id", "-- lockkeeper", "begin", "with the colon"),
        ("-- lockkeeper : batch", "-- lockkeeper :", "begin", "with the colon"),
        ("-- LOCKKEEPER: batch", "-- LOCKKEEPER:", "begin", "lower case"),
        ("-- Lockkeeper: anything", "-- Lockkeeper:", "begin", "lower case"),
        ("-- lockeeper: batch", "-- lockeeper:", "begin", "exactly"),
        ("-- lockkeper phase=contract", "-- lockkeper", "begin", "exactly"),
        ("--- lockkeeper: batch", "--- lockkeeper:", "begin", "exactly"),
        ("# lockkeeper: batch", "# lockkeeper:", "begin", "exactly"),
        ("-- lockkeeper batch", "-- lockkeeper", "begin", "with the colon"),
        ("-- lockkeeper batch trust-triggers", "-- lockkeeper", "begin", "with the colon"),
        ("-- lockkeeper phase contract", "-- lockkeeper", "begin", "with the colon"),
        ("-- lockkeeper lock-timeout 2s", "-- lockkeeper", "begin", "with the colon"),
        ("-- LOCKKEEPER BATCH", "-- LOCKKEEPER", "begin", "lower case"),
        ("-- lockkeeper batch trust-triggers rows=5", "-- lockkeeper", "begin", "with the colon"),
        ("-- lockkeper: batch trust-trigger", "-- lockkeper:", "begin", "exactly"),
        ("-- LOCKKEEPER BATCH OFF", "-- LOCKKEEPER", "begin", "lower case"),
        ("-- Lockkeeper Phase Contract", "-- Lockkeeper", "begin", "lower case"),
        ("-- lockkeeper no_transaction", "-- lockkeeper", "begin", "with the colon"),
        ("-- lockkeeper = batch", "-- lockkeeper", "begin", "with the colon"),
        ("-- lockkeeper=batch", "-- lockkeeper", "begin", "with the colon"),
        ("-- lockkeeper; batch", "-- lockkeeper", "begin", "with the colon"),
        ("-- lockkeeper-batch", "-- lockkeeper", "begin", "with the colon"),
        ("-- lockkeper: bacth rows=5", "-- lockkeper:", "begin", "exactly"),
        ("-- lock keeper: batch", "-- lock keeper:", "begin", "exactly"),
        ("-- Lock-Keeper: batch off", "-- Lock-Keeper:", "begin", "exactly"),
        ("-- +lockkeeper batch", "-- +lockkeeper", "begin", "exactly"),
        ("--! lockkeeper: batch", "--! lockkeeper:", "begin", "exactly"),
        ("-- @lockkeeper:batch", "-- @lockkeeper:", "begin", "exactly"),
        ("-- \u{feff}lockkeeper: batch", "-- \u{feff}lockkeeper:", "begin", "exactly"),
        ("-- lockkeeper:: batch", ":", "unknown directive", "the directives are"),
        ("-- lockkeeper: phase", "phase", "needs a value", "phase=contract"),
        ("-- lockkeeper: phase=after", "phase=after", "not `after`", "phase=contract"),
        ("-- lockkeeper: phase=expand contract", "contract", "knows no", "line of its own"),
        ("-- lockkeeper: no-transaction batch", "batch", "knows no", "line of its own"),
        ("-- lockkeeper: no-transaction=1", "no-transaction=1", "takes no value", "such as"),
        ("-- lockkeeper: lock-timeout=2", "lock-timeout=2", "needs a unit", "lock-timeout=2s"),
        ("-- lockkeeper: lock-timeout=", "lock-timeout=", "needs a value", "lock-timeout=2s"),
        ("-- lockkeeper: lock-timeout=0s", "lock-timeout=0s", "longer than nothing", "=2s"),
        ("-- lockkeeper: lock-timeout=s", "lock-timeout=s", "not `s`", "=2s"),
        ("-- lockkeeper: lock-timeout=-1s", "lock-timeout=-1s", "not `-1s`", "=2s"),
        ("-- lockkeeper: lock-timeout=1.5s", "lock-timeout=1.5s", "not `1.5s`", "=2s"),
        ("-- lockkeeper: lock-timeout=9999h", "lock-timeout=9999h", "as long as", "=2s"),
        ("-- lockkeeper: batch row=5", "row=5", "knows no `row`", "did you mean `rows`?"),
        ("-- lockkeeper: batch id", "id", "knows no `id`", "`key=`"),
        ("-- lockkeeper: batch key=a, b", "key=a,", "empty part", "key=id"),
        ("-- lockkeeper: batch key=a,,b", "key=a,,b", "empty part", "key=id"),
        ("-- lockkeeper: batch key=", "key=", "needs a value", "key=id"),
        ("-- lockkeeper: batch key=\"Id\"", "key=\"Id\"", "without quotes", "key=id"),
        ("-- lockkeeper: batch key=a,b,a", "key=a,b,a", "names `a` twice", "key=id"),
        ("-- lockkeeper: batch rows=0", "rows=0", "at least 1", "rows=5000"),
        ("-- lockkeeper: batch rows=5k", "rows=5k", "whole number", "rows=5000"),
        (
            "-- lockkeeper: batch rows=99999999999999999999",
            "rows=99999999999999999999",
            "large",
            "",
        ),
        ("-- lockkeeper: batch workers=0", "workers=0", "at least 1", "workers=2"),
        ("-- lockkeeper: batch workers=33", "workers=33", "more than 32", "workers=2"),
        ("-- lockkeeper: batch workers=4294967296", "workers=4294967296", "large", "workers=2"),
        ("-- lockkeeper: batch workers=1 workers=1", "workers=1", "twice", "keep one"),
        ("-- lockkeeper: batch target=1", "target=1", "needs a unit", "target=200ms"),
        ("-- lockkeeper: batch trust-trigger", "trust-trigger", "knows no", "`trust-triggers`?"),
        ("-- lockkeeper: batch trust-triggers=1", "trust-triggers=1", "takes no value", "such as"),
        ("-- lockkeeper: batch trust-triggers trust-triggers", "trust-triggers", "twice", "keep"),
        ("-- lockkeeper: batch off trust-triggers", "trust-triggers", "exclude", "keep one"),
        ("-- lockkeeper: batch rows=1 rows=1", "rows=1", "twice", "keep one"),
        ("-- lockkeeper: batch off rows=1", "rows=1", "exclude each other", "keep one"),
        ("-- lockkeeper: batch off off", "off", "twice", "keep one"),
    ];
    for (text, word, message, help) in table {
        let error = read(text, 0..text.len(), Postgres).expect_err(text);
        assert_eq!(&text[error.span.clone()], word, "{text}");
        assert!(error.to_string().contains(message), "{text}: {error}");
        let said = format!("{} {}", error.fault.label(), error.fault.next());
        assert!(said.contains(help), "{text}: {said}");
    }
}

#[test]
fn a_block_comment_is_no_directive_and_may_not_look_like_one() {
    let table = [
        // (comment, the offending line, what is advised)
        ("/* lockkeeper: batch */", "lockkeeper: batch", "`-- lockkeeper: batch` on a line"),
        ("/*lockkeeper:batch key=id*/", "lockkeeper:batch key=id", "`-- lockkeeper: batch key=id`"),
        ("/* lockkeeper: bacth */", "lockkeeper: bacth", "`-- lockkeeper: batch`"),
        ("/* Lockkeeper: batch off */", "Lockkeeper: batch off", "`-- lockkeeper: batch off`"),
        ("/* lockkeeper batch */", "lockkeeper batch", "`-- lockkeeper: batch`"),
        ("/* lockeeper: batch */", "lockeeper: batch", "`-- lockkeeper: batch`"),
        ("/** lockkeeper: phase=contract */", "lockkeeper: phase=contract", "phase=contract`"),
        ("/*\n * Long.\r\n * lockkeeper: batch\r\n */", "lockkeeper: batch", "`-- lockkeeper: b"),
        ("/* lockkeeper: batch\n   UPDATE t */", "lockkeeper: batch", "`-- lockkeeper: batch`"),
        ("/* -- lockkeeper: batch */", "lockkeeper: batch", "`-- lockkeeper: batch`"),
        ("/*\n-- lockkeeper: batch\n*/", "lockkeeper: batch", "or delete it"),
    ];
    for (text, line, advice) in table {
        let error = read(text, 0..text.len(), Postgres).expect_err(text);
        assert!(matches!(error.fault, Fault::InBlockComment { .. }), "{text}: {error}");
        assert_eq!(&text[error.span], line, "{text}");
        assert!(error.fault.next().contains(advice), "{text}: {}", error.fault.next());
    }
}

#[test]
fn mysql_needs_the_space_that_makes_it_a_comment() {
    for text in ["--lockkeeper: batch", "--Lockkeeper:batch"] {
        let error = read(text, 0..text.len(), MySql).expect_err(text);
        assert!(matches!(error.fault, Fault::BadPrefix { .. }), "{text}");
        // Else the server would be asked what two minus signs in front of it mean.
        let error = step::read(&format!("{text}\nupdate t set a = 1;"), MySql).expect_err(text);
        assert_eq!(error.span.start, 0, "{text}");
        assert!(matches!(error.fault, Fault::BadPrefix { .. }), "{text}");
    }
}
