//! The service of the story: two tasks, each a gate whose event streams are behind a load balancer.

use std::time::{Duration, Instant};

use lockkeeper::deploy::draining::Pace as Looking;
use lockkeeper::deploy::facts::{Balancer, Service, TargetCheck, TargetGroup};
use serde_json::json;

use super::follower::Crowd;
use crate::suite::ecs::{migrations, network, postgres, web_definition, web_service};
use crate::support::aws::{Aws, Pace, Scale};
use crate::support::{self, Database, Lockkeeper, Project};

/// The deregistration delay, in seconds of the fake.
pub const DELAY: u64 = 60;
/// The part of it that is the drain window.
pub const WINDOW: f64 = 0.75;
/// Migrations that are applied while a target drains, one after the other.
pub const MILESTONES: usize = 10;
/// All there are: with the last one missing, a gate goes on waiting.
pub const MIGRATIONS: usize = MILESTONES + 1;

const LOOK: Duration = Duration::from_millis(200);

/// How long one second of the fake is.
pub fn second() -> Duration {
    Duration::from_millis(if support::long() { 500 } else { 200 })
}

/// The service, and what it works with.
pub struct Shop {
    aws: Aws,
    group: String,
    project: Project,
    database: Database,
}

/// A task that was told to leave.
pub struct Leaving {
    /// Its id.
    pub task: String,
    /// When its target began to drain.
    pub at: Instant,
}

impl Shop {
    /// With a schema that is as it should be, so that the gates are open.
    pub async fn open(options: &[&str]) -> Self {
        let (project, database) = Shop::schema().await;
        Lockkeeper::up(&project, &database).run().await.expect(0);
        Shop::of(project, database, options).await
    }

    /// With a schema that isn't there yet.
    pub async fn waiting() -> Self {
        let (project, database) = Shop::schema().await;
        Shop::of(project, database, &[]).await
    }

    async fn schema() -> (Project, Database) {
        let files = (1..=MIGRATIONS).map(|version| {
            (format!("V{version}__t{version}.sql"), format!("CREATE TABLE t{version} (id int);\n"))
        });
        let files: Vec<_> = files.collect();
        let files = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        (Project::with(files), postgres().await)
    }

    async fn of(project: Project, database: Database, options: &[&str]) -> Self {
        let aws = Aws::at(Scale::Second(second()), Pace::immediate());
        aws.image("web:1", migrations(&project, &database));
        let group = aws.target_group(TargetGroup {
            name: "web".to_owned(),
            check: TargetCheck {
                path: Some("/alive".to_owned()),
                interval: 5,
                healthy: 2,
                ..TargetCheck::default()
            },
            deregistration_delay: Some(DELAY),
            ..TargetGroup::default()
        });
        let balancer = aws.balancer("shop", Balancer::Application);
        aws.listener(&balancer, 80, &[(&group, 1)]);
        // The gate takes the fake's seconds for its own: its margin is what leaves it the window.
        let window = second().mul_f64(WINDOW * DELAY as f64);
        let margin = Duration::from_secs(DELAY) - window - Looking::longest(LOOK);
        let (margin, look) =
            (format!("{}ms", margin.as_millis()), format!("{}ms", LOOK.as_millis()));
        // While the load balancer cuts, the gate still waits for it to notice.
        let notice = format!("{}ms", (15 * second()).as_millis());
        let gate = ["gate", "--listen", "{address}:9002", "--streams", "12000"];
        let gate = gate.into_iter().chain(["--drain-look", &look, "--drain-margin", &margin]);
        let gate = gate.chain(["--notice", &notice]).chain(options.iter().copied());
        let command: Vec<_> = gate.chain(["--", "sleep", "1000"]).collect();
        let mut web = web_definition("web:1", 9002, &command);
        web["containerDefinitions"][0]["stopTimeout"] = json!(120);
        aws.define(web);
        let service = Service { network: Some(network()), ..web_service(2, 9002) };
        aws.service(service, "web");
        aws.wait_for_steady("shop", "web").await;
        Shop { aws, group, project, database }
    }

    /// Clients, each with an open stream.
    pub async fn crowd(&self, count: usize) -> Crowd {
        Crowd::gather(self.aws.front(&self.group), count).await
    }

    /// Stops one of the tasks, as a deployment or a scale-in would.
    pub async fn remove_one(&self) -> Leaving {
        let task = self.aws.tasks_of("web")[0].id.clone();
        let stop = self.aws.ecs().stop_task().cluster("shop").task(&task);
        stop.send().await.expect("a task that stops");
        Leaving { task, at: Instant::now() }
    }

    /// Applies the milestones, evenly over the window.
    pub async fn migrate_meanwhile(&self) {
        let pause = second().mul_f64(WINDOW * DELAY as f64 / MILESTONES as f64);
        for version in 1..=MILESTONES {
            let next = tokio::time::Instant::now() + pause;
            let up = Lockkeeper::up(&self.project, &self.database);
            up.args(["--to", &version.to_string()]).run().await.expect(0);
            tokio::time::sleep_until(next).await;
        }
    }

    /// Waits for SIGTERM, or for when it came.
    pub async fn sigterm(&self, leaving: &Leaving) -> Instant {
        let task = &leaving.task;
        self.aws.wait_for("SIGTERM", |world| world.tasks[task].moments.terminated.is_some()).await;
        let moments = self.aws.task(task).moments;
        let after =
            moments.terminated.zip(moments.stopping).map(|(told, stopping)| told - stopping);
        leaving.at + second().mul_f64(after.expect("a task that was told to stop"))
    }
}
