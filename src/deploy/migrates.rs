//! How a container is known to migrate its database at its start.

use super::facts::Container;

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

/// Why a container is taken for one that migrates when it starts; `None` for one that isn't.
pub fn migrates(container: &Container) -> Option<String> {
    let words = words(container);
    if has(&words, &["lockkeeper", "up"]) {
        return Some("its command is `lockkeeper up`".to_owned());
    }
    if has(&words, &["lockkeeper", "gate", "--migrate"]) {
        return Some("its command is `lockkeeper gate` with migrations".to_owned());
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
