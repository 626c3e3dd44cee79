//! How event streams are taken up again, and how they end while a server drains.

use super::*;

/// Named as a browser does.
fn resumed_from(id: &str) -> String {
    format!("Last-Event-ID: {id}\r\n")
}

impl Events {
    fn names(&self) -> Vec<String> {
        let name = |line: &str| line.strip_prefix("id: ").map(str::to_owned);
        self.text.lines().filter_map(name).collect()
    }
}

#[tokio::test]
async fn who_has_the_latest_state_gets_it_no_second_time() {
    let served = Served::migrating().await;
    let mut events = served.events().await;
    events.until("data: ").await;
    let name = events.names()[0].clone();
    // Only the clock has moved.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let mut again = served.events_with(&resumed_from(&name)).await;
    again.until("\r\n\r\n").await;
    served.batch();
    again.until("data: ").await;
    again.until("\"rows_done\":36000").await;
    assert!(!again.names().contains(&name), "{}", again.text);
    served.shutdown.cancel();
    assert!(again.until("never").await);
    assert_eq!(again.names().len(), 1, "{}", again.text);
}

#[tokio::test]
async fn an_older_id_or_another_servers_brings_the_whole_state_at_once() {
    let (served, other) = (Served::migrating().await, Served::migrating().await);
    let mut events = served.events().await;
    events.until("data: ").await;
    let older = events.names()[0].clone();
    served.batch();
    let mut foreign = other.events().await;
    foreign.until("data: ").await;
    let (server, number) = older.split_once('-').unwrap();
    assert_ne!(foreign.names()[0].split_once('-').unwrap().0, server);
    let next = format!("{server}-{}", number.parse::<u64>().unwrap() + 7);
    for id in [older.as_str(), &foreign.names()[0], &next, "7", "", "x-y"] {
        let mut again = served.events_with(&resumed_from(id)).await;
        again.until("\"rows_done\":36000").await;
        assert_eq!(again.names().len(), 1, "{id}");
    }
}

#[tokio::test]
async fn at_draining_streams_end_one_after_the_other_with_the_last_state() {
    const WINDOW: Duration = Duration::from_secs(2);
    let served = Served::migrating().await;
    let mut open = Vec::new();
    for _ in 0..20 {
        let mut events = served.events().await;
        events.until("data: ").await;
        open.push(events);
    }
    let began = Instant::now();
    let streams = served.streams.clone();
    let drained = tokio::spawn(async move { streams.drain(WINDOW).await });
    served.reporter.emit(Event::Finished);
    let mut ends = Vec::new();
    let mut closing = tokio::task::JoinSet::new();
    for mut events in open {
        closing.spawn(async move {
            assert!(events.until("never").await);
            assert!(events.text.contains("\"state\":\"ready\""), "{}", events.text);
            assert!(events.text.contains("connection: close"), "{}", events.text);
            began.elapsed()
        });
    }
    while let Some(end) = closing.join_next().await {
        ends.push(end.unwrap());
    }
    drained.await.unwrap();
    for quarter in 0..4 {
        let (from, to) = (WINDOW / 4 * quarter, WINDOW / 4 * (quarter + 1));
        let within = ends.iter().filter(|end| (from..to).contains(*end)).count();
        assert!((3..=7).contains(&within), "{ends:?}");
    }
    // Once is enough.
    timeout(WINDOW / 4, served.streams.drain(WINDOW)).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_comes_while_it_drains_has_its_end_within_the_rest() {
    const WINDOW: Duration = Duration::from_secs(1);
    let served = Served::migrating().await;
    let (streams, began) = (served.streams.clone(), Instant::now());
    let drained = tokio::spawn(async move { streams.drain(WINDOW).await });
    tokio::task::yield_now().await;
    for late in [false, true] {
        let mut events = served.events().await;
        events.until("data: ").await;
        assert!(events.until("never").await);
        if !late {
            assert!(began.elapsed() < WINDOW + Duration::from_millis(500));
            tokio::time::sleep_until((began + WINDOW).into()).await;
        }
    }
    // What comes after it gets the state, and goes.
    assert!(began.elapsed() < WINDOW + Duration::from_secs(1), "{:?}", began.elapsed());
    drained.await.unwrap();
    assert_eq!(served.streams.open(), 0);
}
