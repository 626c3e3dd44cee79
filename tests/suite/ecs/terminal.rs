//! A one-off task, followed on a terminal.

use super::{aws, definition, ecs, fill, migrations, postgres};
use crate::support::{Lockkeeper, Terminal};

#[tokio::test]
async fn the_tasks_progress_is_a_bar_and_its_log_stays_above() {
    let (aws, database, project) = (aws(), postgres().await, fill(60_000));
    aws.cluster("shop");
    let listen = ("LOCKKEEPER_LISTEN", "{address}:9002");
    aws.image("migrate", migrations(&project, &database).env(listen.0, listen.1));
    aws.define(definition("migrate", "migrate", "migrate:1", &["up"]));
    Lockkeeper::up(&project, &database).args(["--to", "1"]).run().await.expect(0);
    let rate = |rows: &str| Lockkeeper::new(["rate", rows]).project(&project).database(&database);
    rate("15000").run().await.expect(0);
    let run = ["run", "--task-definition", "migrate", "--subnets", "subnet-1", "--", "up"];
    let mut terminal = Terminal::start(&ecs(&aws, &run), 24, 110);
    let has_bar = |screen: &str| screen.contains('━') && screen.contains(" %");
    let screen = terminal.shows_that("a bar", has_bar).await;
    assert!(screen.contains("2 fill"), "{screen}");
    assert!(screen.contains("lock taken · 1 pending"), "{screen}");
    assert!(screen.contains("RUNNING"), "{screen}");
    rate("off").run().await.expect(0);
    assert_eq!(terminal.wait().await, 0);
    let end = terminal.screen();
    assert!(end.contains("2 fill applied"), "{end}");
    assert!(!end.contains('━'), "no bar is left\n{end}");
    assert!(!terminal.hides_cursor());
    println!("{screen}\n-----\n{end}");
}
