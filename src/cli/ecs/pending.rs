//! What a database lacks of the release, for the doctor.

use std::path::Path;

use crate::cli::connection::Connection;
use crate::db::Purpose;
use crate::deploy::doctor::Pending;
use crate::deploy::facts::Unknown;
use crate::error::Error;
use crate::history::History;
use crate::migration::{Catalog, CatalogError, Phase};
use crate::runner::SurveyError;

/// Counts what is pending, where a database and migrations are given. One that can't be asked is unknown,
/// and no reason not to judge the rest.
///
/// # Errors
/// Where the files or the options are wrong.
pub async fn pending(
    connection: &Connection,
    dir: &Path,
    unknown: &mut Vec<Unknown>,
) -> Result<Option<Pending>, Error> {
    let options = match connection.options() {
        Err(Error::NoDatabase) => return Ok(None),
        options => options?,
    };
    let catalog = match Catalog::read(dir, options.engine.dialect()) {
        // A database may be named for other commands.
        Err(CatalogError::NoDirectory { .. }) => return Ok(None),
        catalog => catalog?,
    };
    match count(connection, &catalog).await {
        Ok(pending) => Ok(Some(pending)),
        Err(error) => {
            unknown.push(Unknown {
                what: "the pending migrations".to_owned(),
                why: error.outline(),
                permission: None,
            });
            Ok(None)
        }
    }
}

async fn count(connection: &Connection, catalog: &Catalog) -> Result<Pending, Error> {
    let database = connection.connect_once(connection.one_attempt()).await?;
    let mut session = database.session(Purpose::Watch).await?;
    let history = History::read(database.as_ref(), session.as_mut(), catalog).await;
    let history = history.map_err(SurveyError::from)?;
    let of = |phase| {
        let missing = catalog.migrations.iter().filter(|one| history.find(one.version).is_none());
        missing.filter(|one| one.phase == phase).count()
    };
    Ok(Pending { expand: of(Phase::Expand), contract: of(Phase::Contract) })
}
