//! What a release has for a database: the steps that are pending there, as a run would take them.

use crate::db::{Database, DbError, Engine, Purpose, Statement};
use crate::migration::Catalog;
use crate::runner::Settings;

use super::error::{EstimateError, Whose};
use super::meter::StepId;
use super::outline::Outline;
use super::rehearse::outline;

/// The steps that are pending on a database.
#[derive(Debug)]
pub struct Release {
    steps: Vec<Outline>,
}

/// What is of the whole server, and not of one database.
const OF_THE_SERVER: [&str; 9] = [
    "role",
    "user",
    "group",
    "database",
    "schema",
    "tablespace",
    "subscription",
    "system",
    "server",
];

impl Release {
    /// Reads it of one of the two, and writes nothing.
    ///
    /// # Errors
    /// Whatever a run would refuse before it writes.
    pub async fn pending(
        database: &dyn Database,
        catalog: &Catalog,
        settings: &Settings,
        whose: Whose,
    ) -> Result<Self, EstimateError> {
        let steps = outline(database, catalog, settings).await.map_err(|error| error.of(whose))?;
        Ok(Release { steps })
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether this step is pending.
    pub fn has(&self, step: StepId) -> bool {
        self.steps.iter().any(|one| (one.version, one.step) == step)
    }

    /// Refuses a copy that lacks steps of this one, which is production's.
    ///
    /// # Errors
    /// [`EstimateError::NotThere`].
    pub fn must_be_on(&self, copy: &Release) -> Result<(), EstimateError> {
        let is_there = |step: &&Outline| !copy.has((step.version, step.step));
        match self.steps.iter().find(is_there) {
            Some(step) => Err(EstimateError::NotThere { version: step.version, step: step.step }),
            None => Ok(()),
        }
    }

    /// Refuses what would reach beyond the copy, where it is on production's own server.
    ///
    /// # Errors
    /// [`EstimateError::ReachesBeyond`].
    pub async fn must_stay_in(
        &self,
        copy: &dyn Database,
        production: &dyn Database,
    ) -> Result<(), EstimateError> {
        let engine = copy.dialect().engine;
        if engine == Engine::Sqlite {
            return Ok(());
        }
        let failed = |source| EstimateError::Db { what: "production can't be read", source };
        let name = name(production).await.map_err(failed)?.to_lowercase();
        for step in &self.steps {
            let mut what = step.texts().iter().filter_map(|text| beyond(text, engine, &name));
            if let Some(what) = what.next() {
                let (version, step) = (step.version, step.step);
                return Err(EstimateError::ReachesBeyond { version, step, what });
            }
        }
        Ok(())
    }
}

async fn name(database: &dyn Database) -> Result<String, DbError> {
    let sql = match database.dialect().engine {
        Engine::Postgres => "select current_database()::text",
        Engine::MySql | Engine::Sqlite => "select database()",
    };
    let mut session = database.session(Purpose::Watch).await?;
    let rows = session.query(&Statement::new(sql, Vec::new())).await?;
    Ok(rows.first().map_or(Ok(""), |row| row.text(0))?.to_owned())
}

/// What a text names that isn't of its database alone.
fn beyond(text: &str, engine: Engine, production: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '.');
    let plain: String = lower.chars().filter(|c| !matches!(c, '`' | '"')).collect();
    let words: Vec<&str> = plain.split(|c| !is_part(c)).filter(|word| !word.is_empty()).collect();
    let makes = words.windows(2).find(|pair| {
        let of_server = match engine {
            // A schema is of its database.
            Engine::Postgres => OF_THE_SERVER.contains(&pair[1]) && pair[1] != "schema",
            _ => OF_THE_SERVER.contains(&pair[1]),
        };
        matches!(pair[0], "create" | "alter" | "drop") && of_server
    });
    if let Some(pair) = makes {
        return Some(pair.join(" "));
    }
    let elsewhere = |word: &&&str| match engine {
        Engine::MySql => {
            **word == "use"
                || word.strip_prefix(production).is_some_and(|rest| rest.starts_with('.'))
        }
        _ => word.starts_with("dblink"),
    };
    words.iter().find(elsewhere).map(|word| (*word).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_the_whole_server_is_told() {
        let of = |text, engine| beyond(text, engine, "shop");
        for text in ["CREATE ROLE app;", "alter  system set work_mem = 1", "DROP TABLESPACE x"] {
            assert!(of(text, Engine::Postgres).is_some(), "{text}");
        }
        for text in ["USE shop;", "ALTER TABLE shop.t ADD n int", "update `shop`.`t` set n = 1"] {
            assert!(of(text, Engine::MySql).is_some(), "{text}");
        }
        for text in ["CREATE TABLE shop (id int)", "ALTER TABLE t ADD role text", "create schema x"]
        {
            assert_eq!(of(text, Engine::Postgres), None, "{text}");
        }
        assert_eq!(of("ALTER TABLE workshop.t ADD n int", Engine::MySql), None);
    }
}
