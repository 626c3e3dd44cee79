//! The one integration test binary: linking sqlx for each file would cost more than the tests.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what fails by failing")]

mod floors;

#[allow(dead_code, unused_imports, reason = "the harness offers more than today's tests use")]
mod support;

mod suite {
    mod auto;
    mod bad;
    mod bad_clock;
    mod bad_connection;
    mod bad_disk;
    mod bad_files;
    mod bad_history;
    mod bad_options;
    mod bad_rights;
    mod bad_sql;
    mod bad_state;
    mod bare;
    mod commands;
    mod concurrency;
    mod conformance;
    mod contract;
    mod crash;
    mod differential;
    mod docs;
    mod durability;
    #[cfg(feature = "ecs")]
    mod ecs;
    mod embedded;
    mod estimate;
    mod eta;
    mod example;
    mod exec;
    mod faces;
    mod failover;
    #[cfg(feature = "ecs")]
    mod fake_aws;
    mod fence;
    mod follower;
    mod gate;
    mod halves;
    mod held;
    mod history;
    mod init;
    mod join;
    mod keyless;
    mod kill;
    mod lost_file;
    mod mariadb;
    mod operator;
    mod overrun;
    mod own_key;
    mod partitions;
    mod pinned;
    mod pooled;
    mod ready;
    mod refinery;
    mod replica;
    mod s1;
    mod secrets;
    mod session;
    mod severed;
    mod signals;
    mod sparse;
    mod sqlite;
    mod stop;
    mod support;
    mod terminal;
    mod throttle;
    mod triggers;
    mod unproved;
    mod workers;
}
