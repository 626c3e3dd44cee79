//! How a container is known to migrate its database at its start.

use super::facts::{Container, TaskDefinition};

/// Words of a command that migrate, in their order: the well-known tools' own.
const TOOLS: [&[&str]; 20] = [
    &["db:migrate"],
    &["ecto.migrate"],
    &["bin/migrate"],
    &["ecto_sql.migrate"],
    &["alembic", "upgrade"],
    &["flask", "db", "upgrade"],
    &["manage.py", "migrate"],
    &["flyway", "migrate"],
    &["liquibase", "update"],
    &["prisma", "migrate"],
    &["knex", "migrate:latest"],
    &["sequelize", "db:migrate"],
    &["typeorm", "migration:run"],
    &["sqlx", "migrate"],
    &["diesel", "migration"],
    &["refinery", "migrate"],
    &["goose", "up"],
    &["dbmate", "up"],
    &["artisan", "migrate"],
    &["migrate", "up"],
];

/// Options of `lockkeeper up` that hardly any other program's `up` has.
const OPTIONS: [&str; 8] = [
    "--phase",
    "--dir",
    "--lock-wait",
    "--listen",
    "--linger",
    "--join",
    "--stop-timeout",
    "--database-url",
];

/// Why a container is taken for one that migrates when it starts; `None` for one that isn't.
pub fn migrates(container: &Container) -> Option<String> {
    let words = words(container);
    if has(&words, &["lockkeeper", "up"]) {
        return Some("its command is `lockkeeper up`".to_owned());
    }
    if has(&words, &["lockkeeper", "gate", "--migrate"]) {
        return Some("its command is `lockkeeper gate` with migrations".to_owned());
    }
    if let Some(sign) = starts_bare(container) {
        return Some(format!("its command is `up`, and {sign}"));
    }
    if let Some(tool) = TOOLS.iter().find(|tool| has(&words, tool)) {
        return Some(format!("its command has `{}`", tool.join(" ")));
    }
    // An image may start lockkeeper by itself; one that only waits or probes says so.
    let is_other = ["wait", "probe", "status", "plan"];
    let only_asks = is_other.iter().any(|command| has(&words, &["lockkeeper", command]));
    let variable = container.environment.iter().find(|name| name.starts_with("LOCKKEEPER_"));
    let variable = variable.filter(|_| !only_asks)?;
    Some(format!("its environment has {variable}"))
}

/// Whether a task migrates when it runs already, so that its checks and its grace period have begun: not where
/// another container waits for the one that does it.
pub fn migrates_at_start(task: &TaskDefinition) -> bool {
    let mut containers = task.containers.iter();
    containers.any(|one| migrates(one).is_some() && !task.waits_for(&one.name))
}

/// Whether the command is lockkeeper's subcommand alone, as where the image's entry point is
/// lockkeeper, and what says so: `up` is a word of other programs, too.
fn starts_bare(container: &Container) -> Option<String> {
    if !container.entry_point.is_empty() || container.command.first()? != "up" {
        return None;
    }
    let option = OPTIONS.iter().find(|option| {
        let is_it = |word: &String| word.split('=').next() == Some(option);
        container.command.iter().any(is_it)
    });
    if let Some(option) = option {
        return Some(format!("{option} is lockkeeper's"));
    }
    // `registry.example/shop-migrations:42`: of an image the last part, without what follows.
    let image = container.image.rsplit('/').next().unwrap_or_default();
    let names = [("container", container.name.as_str()), ("image", image)];
    let (what, name) = names.into_iter().find(|(_, name)| {
        let name = name.to_ascii_lowercase();
        name.contains("migrat") || name.contains("lockkeeper")
    })?;
    Some(format!("its {what} is called {name}"))
}

/// Entry point and command, split as a shell would; a path counts by its end.
fn words(container: &Container) -> Vec<&str> {
    let all = container.entry_point.iter().chain(&container.command);
    let breaks =
        |c: char| c.is_whitespace() || matches!(c, ';' | '&' | '|' | '(' | ')' | '"' | '\'');
    all.flat_map(|word| word.split(breaks)).filter(|word| !word.is_empty()).collect()
}

/// Whether the words hold these, in this order, others between them.
fn has(words: &[&str], wanted: &[&str]) -> bool {
    let mut words = words.iter();
    wanted
        .iter()
        .all(|wanted| words.any(|word| word == wanted || word.ends_with(&format!("/{wanted}"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::facts::{Condition, Dependency};

    fn container(command: &[&str], environment: &[&str]) -> Container {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Container { command: own(command), environment: own(environment), ..Container::default() }
    }

    #[test]
    fn commands_that_migrate_are_known() {
        for command in [
            &["lockkeeper", "up"][..],
            &["/usr/bin/lockkeeper", "--log", "json", "up"],
            &["lockkeeper", "gate", "--migrate", "--", "web"],
            &["sh", "-c", "bundle exec rails db:migrate && exec puma"],
            &["sh", "-c", "/app/bin/migrate; /app/bin/server"],
            &["mix", "ecto.migrate"],
            &["alembic", "upgrade", "head"],
            &["npx", "prisma", "migrate", "deploy"],
            &["goose", "postgres", "up"],
        ] {
            assert!(migrates(&container(command, &[])).is_some(), "{command:?}");
        }
        assert!(migrates(&container(&[], &["LOCKKEEPER_DIR"])).is_some());
    }

    #[test]
    fn a_bare_subcommand_is_known_by_its_options_or_by_the_names_around_it() {
        for command in [&["up", "--phase", "expand"][..], &["up", "--listen=0.0.0.0:9002"]] {
            assert!(migrates(&container(command, &[])).is_some(), "{command:?}");
        }
        let named = |name: &str, image: &str| Container {
            name: name.to_owned(),
            image: image.to_owned(),
            ..container(&["up"], &[])
        };
        let image = "registry.example/shop-migrations:42";
        let how = migrates(&named("first", image)).expect("an image of migrations");
        assert!(how.contains("shop-migrations:42"), "{how}");
        assert!(migrates(&named("migrate", "registry.example/shop:42")).is_some());
        assert_eq!(migrates(&named("web", "migrations.example/shop:42")), None);
        let compose =
            Container { entry_point: vec!["compose".to_owned()], ..named("migrate", image) };
        assert_eq!(migrates(&compose), None, "another program's `up`");
    }

    #[test]
    fn what_others_wait_for_is_done_before_the_task_runs() {
        let task = |condition| {
            let migrate =
                Container { name: "migrate".to_owned(), ..container(&["lockkeeper", "up"], &[]) };
            let wait = Dependency { container: "migrate".to_owned(), condition };
            let web = Container { depends_on: vec![wait], ..Container::default() };
            TaskDefinition { containers: vec![migrate, web], ..TaskDefinition::default() }
        };
        assert!(migrates_at_start(&task(Condition::Start)));
        for condition in [Condition::Success, Condition::Complete, Condition::Healthy] {
            assert!(!migrates_at_start(&task(condition)), "{condition:?}");
        }
    }

    #[test]
    fn others_are_not() {
        for command in
            [&["web"][..], &["lockkeeper", "wait", "--", "web"], &["up"], &["npm", "start"]]
        {
            assert_eq!(migrates(&container(command, &["DATABASE_URL"])), None, "{command:?}");
        }
        let waits = container(&["lockkeeper", "wait", "--", "web"], &["LOCKKEEPER_DIR"]);
        assert_eq!(migrates(&waits), None);
    }
}
