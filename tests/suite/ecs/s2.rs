//! Scenario S2: a load balancer cuts all connections of a target 8 seconds after SIGTERM. Who only waits for
//! SIGTERM loses all event streams in one burst; who watches for draining has ended them one by one by then.

mod course;
mod follower;
mod plot;
mod shop;

use course::Course;
use shop::{MILESTONES, Shop};

use crate::support;

/// Streams that are open when the target begins to drain: half of them there, and half at another one.
fn streams() -> usize {
    let wanted = if support::long() { 10_000 } else { 500 };
    lockkeeper::http::make_room(wanted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_watch_streams_end_one_by_one_before_sigterm_and_lose_nothing() {
    let streams = streams();
    let without = without_the_watch(streams).await;
    let with = with_the_watch(streams).await;
    if let Some(folder) = std::env::var_os("LOCKKEEPER_S2_PLOT") {
        let path = std::path::Path::new(&folder).join("s2-draining.svg");
        std::fs::write(path, plot::plot(&without, &with)).expect("a plot");
    }
}

/// The gates are open, and wait for SIGTERM.
async fn without_the_watch(streams: usize) -> Course {
    let shop = Shop::open(&["--drain-watch", "off"]).await;
    let crowd = shop.crowd(streams).await;
    let leaving = shop.remove_one().await;
    let terminated = shop.sigterm(&leaving).await;
    let course = crowd.until_all_left(&leaving.task, leaving.at, terminated).await;
    println!("SIGTERM alone: {course}");
    assert!(course.closed.len() >= streams / 3, "{course}");
    assert_eq!(course.cut, course.closed.len(), "{course}");
    assert!(course.first() - course.terminated >= 7.5, "{course}");
    assert_eq!(course.most_within(course.window() / 10.0), course.closed.len(), "{course}");
    course
}

/// The gates wait for a schema that makes progress while one of them drains.
async fn with_the_watch(streams: usize) -> Course {
    let shop = Shop::waiting().await;
    let crowd = shop.crowd(streams).await;
    let leaving = shop.remove_one().await;
    shop.migrate_meanwhile().await;
    let terminated = shop.sigterm(&leaving).await;
    let course = crowd.until_all_left(&leaving.task, leaving.at, terminated).await;
    println!("with the watch: {course}");
    let resumed = crowd.end_with(MILESTONES).await;
    println!("{resumed}");
    assert!(course.closed.len() >= streams / 3, "{course}");
    assert_eq!(course.cut, 0, "{course}");
    assert!(course.last() < course.terminated, "{course}");
    let even = course.closed.len() as f64 / 10.0;
    let most = course.most_within(course.window() / 10.0) as f64;
    assert!(most <= 1.5 * even, "{most} in a tenth of the window: {course}");
    assert!(course.last() - course.first() >= 0.8 * course.window(), "{course}");
    resumed.assert_nothing_lost(streams, MILESTONES);
    course
}
