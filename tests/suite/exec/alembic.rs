//! Alembic under the lock.

use super::scene::{INDEX, Scene, UPDATE, tool, watch_index, watch_update};

const ENVIRONMENT: &str = "
import os
from alembic import context
from sqlalchemy import create_engine

engine = create_engine(os.environ['DATABASE_URL'].replace('postgres:', 'postgresql+psycopg:', 1))
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
";

fn revision(scene: &Scene, number: u32, sql: &str) {
    let before = if number > 1 { format!("'{}'", number - 1) } else { "None".to_owned() };
    let text = format!(
        "from alembic import op\nrevision = '{number}'\ndown_revision = {before}\n\n\
         def upgrade():\n    op.execute({sql:?})\n"
    );
    std::fs::write(scene.project.path().join(format!("alembic/versions/{number}.py")), text)
        .unwrap();
}

/// A project of Alembic's with these statements.
pub fn project(scene: &Scene, statements: &[&str]) {
    let folder = scene.project.path();
    std::fs::create_dir_all(folder.join("alembic/versions")).unwrap();
    std::fs::write(folder.join("alembic.ini"), "[alembic]\nscript_location = alembic\n").unwrap();
    std::fs::write(folder.join("alembic/env.py"), ENVIRONMENT).unwrap();
    (1..).zip(statements).for_each(|(number, sql)| revision(scene, number, sql));
}

pub fn command() -> [String; 3] {
    [&tool("alembic/bin/alembic"), "upgrade", "head"].map(str::to_owned)
}

#[tokio::test]
async fn it_is_seen_at_work() {
    let mut scene = Scene::new().await;
    project(&scene, &[UPDATE, INDEX]);
    let blocker = scene.blocker().await;
    let command = command();
    let command = command.each_ref().map(String::as_str);
    let served = scene.serve(&[], &command).await;
    watch_update(&mut scene, &served, blocker).await;
    watch_index(&mut scene, &served).await;
    let output = served.running.wait().await.expect(0);
    output.expect_text("ready: alembic ended with exit code 0 after ");
    assert_eq!(scene.database.query_text("select version_num from alembic_version").await, "2");
    // Once more, and it finds nothing to do.
    scene.exec(&[], &command).run().await.expect(0);
}

#[tokio::test]
async fn its_exit_code_is_passed_on() {
    let scene = Scene::new().await;
    project(&scene, &["select nothing"]);
    let command = command();
    let output = scene.exec(&[], &command.each_ref().map(String::as_str)).run().await.expect(1);
    output.expect_text("alembic ended with exit code 1 after ");
}
