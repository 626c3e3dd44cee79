//! `exec`: other migration tools under the run lock, on real servers.

mod alembic;
mod gate;
mod killed;
mod lock;
mod mariadb;
mod page;
pub mod scene;
mod sentinel;
mod sqlx_cli;
mod stop;
