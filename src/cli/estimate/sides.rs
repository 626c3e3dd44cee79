//! Copy and production, and what is read of both before anything is measured.

use std::sync::Arc;

use crate::db::{Database, DbError, Purpose};
use crate::error::Error;
use crate::estimate::{Correction, EstimateError, Facts, Relation, Release, Speed, Whose, compare};
use crate::ledger::Ledger;
use crate::migration::Catalog;
use crate::runner::{RunError, Settings};

/// Where it is measured, and what for.
pub struct Sides {
    pub copy: Arc<dyn Database>,
    pub facts: Facts,
    pub production: Option<Production>,
}

/// What it is for, where that is known.
pub struct Production {
    database: Arc<dyn Database>,
    pub facts: Facts,
    relation: Relation,
}

impl Sides {
    /// Nobody says what it is a copy of.
    pub async fn of_copy(copy: Arc<dyn Database>) -> Result<Self, Error> {
        let facts = facts(&copy, Whose::Copy).await?;
        Ok(Sides { copy, facts, production: None })
    }

    pub async fn of(
        copy: Arc<dyn Database>,
        database: Arc<dyn Database>,
        relation: Relation,
    ) -> Result<Self, Error> {
        let there = facts(&database, Whose::Production).await?;
        let facts = facts(&copy, Whose::Copy).await?;
        Ok(Sides { copy, facts, production: Some(Production { database, facts: there, relation }) })
    }

    /// What is pending in production, where that is known: all of it must be so on the copy.
    pub async fn compare(
        &self,
        catalog: &Catalog,
        settings: &Settings,
    ) -> Result<Option<Release>, Error> {
        let Some(production) = &self.production else { return Ok(None) };
        let (copy, database) = (self.copy.as_ref(), production.database.as_ref());
        let here = Release::pending(copy, catalog, settings, Whose::Copy).await?;
        let there = Release::pending(database, catalog, settings, Whose::Production).await?;
        there.must_be_on(&here)?;
        if production.relation == Relation::OneServer {
            here.must_stay_in(copy, database).await?;
        }
        Ok(Some(there))
    }

    /// How fast production is beside the copy, where that is known.
    pub async fn speed(&self) -> Result<Option<Speed>, Error> {
        let Some(production) = &self.production else { return Ok(None) };
        if production.relation == Relation::OneServer {
            return Ok(Some(Speed::same()));
        }
        let copy = (self.copy.as_ref(), &self.facts);
        let speed = compare(copy, (production.database.as_ref(), &production.facts)).await;
        let failed = |source| EstimateError::Db { what: "the speeds can't be compared", source };
        Ok(Some(speed.map_err(failed)?))
    }

    /// What the estimates of the past teach: those of production. Where nobody says which that is, its copy has
    /// them, too, before the rehearsal.
    pub async fn learned(&self) -> Result<Correction, Error> {
        let (database, whose) = match &self.production {
            Some(production) => (production.database.as_ref(), Whose::Production),
            None => (self.copy.as_ref(), Whose::Copy),
        };
        let mut session = database.session(Purpose::Watch).await.map_err(unread(whose))?;
        let records = Ledger::of(database).estimates(session.as_mut()).await;
        let failed = |error| EstimateError::from(RunError::from(error)).of(whose);
        Ok(Correction::of(&records.map_err(failed)?))
    }
}

async fn facts(database: &Arc<dyn Database>, whose: Whose) -> Result<Facts, Error> {
    Ok(Facts::read(database.as_ref()).await.map_err(unread(whose))?)
}

fn unread(whose: Whose) -> impl Fn(DbError) -> EstimateError {
    move |source| {
        let what = match whose {
            Whose::Copy => "the copy's catalog can't be read",
            Whose::Production => "production's catalog can't be read",
        };
        EstimateError::Db { what, source }
    }
}
