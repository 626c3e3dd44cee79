//! The same readiness in another Rust service, asked over real connections.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use lockkeeper::ready::Readiness;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// An answer.
struct Answer {
    status: u16,
    retry_after: Option<String>,
    cache_control: Option<String>,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Serves it until the test ends, and says where.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    format!("http://{address}")
}

async fn ask(server: &str, path: &str) -> Answer {
    let url = format!("{server}{path}");
    let asked = tokio::task::spawn_blocking(move || {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build();
        let mut response = ureq::Agent::from(agent).get(url).call().unwrap();
        let header = |name: &str| {
            response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        Answer {
            status: response.status().as_u16(),
            retry_after: header("retry-after"),
            cache_control: header("cache-control"),
            body: response.body_mut().read_to_string().unwrap(),
        }
    });
    asked.await.unwrap()
}

#[tokio::test]
async fn a_port_for_health_checks_follows_the_service() {
    let readiness = Readiness::new();
    let checks = serve(readiness.routes()).await;
    readiness.enter("joining the cluster");
    let unready = ask(&checks, "/ready").await;
    assert_eq!((unready.status, unready.retry_after.as_deref()), (503, Some("5")));
    assert_eq!(unready.cache_control.as_deref(), Some("no-store"));
    assert_eq!(
        unready.json(),
        json!({
            "ready": false, "state": "starting",
            "phase": "joining the cluster", "reason": "joining the cluster",
        })
    );
    let alive = ask(&checks, "/alive").await;
    assert_eq!((alive.status, alive.body.as_str()), (200, "ok\n"));

    readiness.open();
    let ready = ask(&checks, "/ready").await;
    assert_eq!((ready.status, ready.retry_after.as_deref()), (200, None));
    assert_eq!(ready.json(), json!({"ready": true, "state": "ready", "reason": null}));

    readiness.close("SIGTERM");
    let closed = ask(&checks, "/ready").await;
    assert_eq!((closed.status, closed.json()["state"].clone()), (503, "stopping".into()));
    assert_eq!(closed.json()["reason"], "SIGTERM");
    assert_eq!(ask(&checks, "/alive").await.status, 200);
}

/// Before it is open, no request reaches the application. What comes after the close does, for the
/// load balancer hasn't noticed it yet, and so does what is in flight then.
#[tokio::test]
async fn the_layer_holds_off_until_it_is_open_and_never_again() {
    let readiness = Readiness::new();
    let (reached, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (reached, go_on) = (reached.clone(), go_on.clone());
        get(move || async move {
            reached.notify_one();
            go_on.notified().await;
            "served\n"
        })
    };
    let application = Router::new()
        .route("/", get("served\n"))
        .route("/slow", slow)
        .merge(readiness.routes())
        .layer(readiness.layer());
    let server = serve(application).await;
    for path in ["/", "/slow", "/nowhere", "/ready"] {
        let held = ask(&server, path).await;
        assert_eq!((held.status, held.retry_after.as_deref()), (503, Some("5")), "{path}");
        assert_eq!(held.json()["reason"], "starting", "{path}");
    }
    assert_eq!(ask(&server, "/alive").await.status, 200);

    readiness.open();
    let in_flight = {
        let server = server.clone();
        tokio::spawn(async move { ask(&server, "/slow").await })
    };
    reached.notified().await;
    assert_eq!(ask(&server, "/").await.body, "served\n");
    assert_eq!(ask(&server, "/nowhere").await.status, 404);

    readiness.close("SIGTERM");
    assert_eq!(ask(&server, "/ready").await.status, 503);
    assert_eq!(ask(&server, "/").await.body, "served\n");
    go_on.notify_one();
    assert_eq!(in_flight.await.unwrap().body, "served\n");
}
