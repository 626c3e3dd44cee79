//! `/pause`, `/resume`, `/rate`, `/workers` and `/abort`: for who has the token, and for nobody where there is none.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use sha2::{Digest, Sha256};

use crate::db::Database;
use crate::runner::{Desk, DeskError, RowRate, WorkerCount};

/// Who may ask over HTTP, and where it is handed in.
#[derive(Clone)]
pub struct Operator {
    /// The token's digest: the token itself needn't stay in memory.
    token: [u8; 32],
    /// Known once it is connected.
    database: Arc<OnceLock<Arc<dyn Database>>>,
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operator").finish_non_exhaustive()
    }
}

impl Operator {
    /// Whoever has this token.
    pub fn with(token: &str) -> Self {
        let token = Sha256::digest(token.as_bytes()).into();
        Operator { token, database: Arc::default() }
    }

    /// The database that the run works on.
    pub fn connected(&self, database: &Arc<dyn Database>) {
        // A run has one.
        let _ = self.database.set(database.clone());
    }

    /// Digests are compared, and all of them: how long it takes says nothing of the token.
    fn knows(&self, token: &str) -> bool {
        let given: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        given.iter().zip(self.token).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }

    /// The desk, for who may stand there.
    async fn desk(&self, headers: &HeaderMap) -> Result<Desk, Response> {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some(token) = given.and_then(bearer) else {
            let asks = [(header::WWW_AUTHENTICATE, "Bearer")];
            return Err(
                (StatusCode::UNAUTHORIZED, asks, "a bearer token is needed\n").into_response()
            );
        };
        if !self.knows(token) {
            return Err((StatusCode::FORBIDDEN, "that isn't the token\n").into_response());
        }
        let Some(database) = self.database.get() else {
            let unready = "the database isn't reached yet\n";
            return Err((StatusCode::SERVICE_UNAVAILABLE, unready).into_response());
        };
        Desk::open(database.clone(), "somebody over HTTP".to_owned()).await.map_err(failed)
    }
}

/// The token of `Bearer TOKEN`, whose first word may be written in any case (RFC 7235, 2.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

pub(super) fn routes(operator: Operator) -> Router {
    Router::new()
        .route("/pause", post(pause))
        .route("/resume", post(resume))
        .route("/rate", post(rate))
        .route("/workers", post(workers))
        .route("/abort", post(abort))
        .with_state(operator)
}

async fn pause(State(operator): State<Operator>, headers: HeaderMap) -> Result<Response, Response> {
    operator.desk(&headers).await?.pause().await.map_err(failed)?;
    Ok(asked())
}

async fn resume(
    State(operator): State<Operator>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    operator.desk(&headers).await?.resume().await.map_err(failed)?;
    Ok(asked())
}

async fn rate(
    State(operator): State<Operator>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let mut desk = operator.desk(&headers).await?;
    let wrong = "say /rate?rows=5000 or /rate?rows=off\n";
    let rows = uri.query().and_then(|query| query.strip_prefix("rows="));
    let rows = rows.and_then(|rows| rows.parse::<RowRate>().ok());
    let rows = rows.ok_or_else(|| (StatusCode::BAD_REQUEST, wrong).into_response())?;
    desk.rate(rows).await.map_err(failed)?;
    Ok(asked())
}

async fn workers(
    State(operator): State<Operator>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let mut desk = operator.desk(&headers).await?;
    let wrong = "say /workers?count=4 or /workers?count=off\n";
    let count = uri.query().and_then(|query| query.strip_prefix("count="));
    let count = count.and_then(|count| count.parse::<WorkerCount>().ok());
    let count = count.ok_or_else(|| (StatusCode::BAD_REQUEST, wrong).into_response())?;
    desk.workers(count).await.map_err(failed)?;
    Ok(asked())
}

async fn abort(State(operator): State<Operator>, headers: HeaderMap) -> Result<Response, Response> {
    operator.desk(&headers).await?.abort().await.map_err(failed)?;
    Ok(asked())
}

/// It takes effect within a second.
fn asked() -> Response {
    (StatusCode::ACCEPTED, "asked\n").into_response()
}

/// For everybody to read: without the server's words.
fn failed(error: DeskError) -> Response {
    match error {
        DeskError::NoLedger
        | DeskError::NobodyAtWork
        | DeskError::OneWriter
        | DeskError::NotYetKnown => (StatusCode::CONFLICT, format!("{error}\n")).into_response(),
        DeskError::Run(error) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", error.outline())).into_response()
        }
    }
}
