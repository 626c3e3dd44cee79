//! What holds requests off until a service is open.

use std::future::{Ready, ready};
use std::task::{Context, Poll};

use axum::http::Request;
use axum::response::{IntoResponse, Response};
use futures_util::future::Either;
use tower_layer::Layer;
use tower_service::Service;

use super::Readiness;

/// See [`Readiness::layer`].
#[derive(Debug, Clone)]
pub struct HoldOffLayer {
    readiness: Readiness,
}

impl HoldOffLayer {
    pub(super) fn new(readiness: Readiness) -> Self {
        HoldOffLayer { readiness }
    }
}

impl<S> Layer<S> for HoldOffLayer {
    type Service = HoldOff<S>;

    fn layer(&self, inner: S) -> HoldOff<S> {
        HoldOff { inner, readiness: self.readiness.clone() }
    }
}

/// A service behind a [`HoldOffLayer`].
#[derive(Debug, Clone)]
pub struct HoldOff<S> {
    inner: S,
    readiness: Readiness,
}

impl<S, B> Service<Request<B>> for HoldOff<S>
where
    S: Service<Request<B>, Response = Response>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // A service that starts is alive.
        if self.readiness.was_opened() || request.uri().path() == "/alive" {
            Either::Left(self.inner.call(request))
        } else {
            Either::Right(ready(Ok(self.readiness.answer().into_response())))
        }
    }
}
