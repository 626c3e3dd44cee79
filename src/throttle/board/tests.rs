use super::super::Unit;
use super::*;
use crate::ledger::Request;

fn request(value: Option<i64>) -> Option<Request> {
    Some(Request {
        value,
        asked_by: "ops on desk".into(),
        asked_at: "2026-11-22T15:00:00Z".into(),
        met_epoch: None,
    })
}

fn lag(value: f64) -> Option<Reading> {
    let subject = Some("replica-1".into());
    Some(Reading { value, limit: 1.0, critical: 1.5, unit: Unit::Seconds, subject })
}

#[test]
fn a_pause_is_asked_for_before_it_is_met() {
    let mut board = Board::new(Requests { pause: request(None), ..Requests::default() });
    let now = Instant::now();
    let said = |verdict: Verdict| (verdict.pace, verdict.reason.unwrap());
    let (pace, reason) = said(board.verdict(now, 1));
    assert_eq!((pace, reason.split(' ').next()), (0.0, Some("pausing,")));
    let paused = "paused by ops on desk since 2026-11-22T15:00:00Z";
    assert_eq!(said(board.verdict(now, 0)), (0.0, paused.to_owned()));
    assert!(board.ask(Requests::default(), now));
    assert_eq!(board.verdict(now, 0), Verdict { pace: 1.0, own: 1.0, rate: None, reason: None });
}

#[test]
fn what_is_not_seen_holds() {
    let mut board = Board::new(Requests::default());
    let now = Instant::now();
    let later = |millis| now + Duration::from_millis(millis);
    assert_eq!(board.verdict(later(60_000), 0).pace, 1.0, "nobody watches");
    board.watch();
    let (interval, governor) = (Duration::from_millis(250), Governor::of_backlog(FRESH));
    let place = board.post("replica-lag", interval, governor, Some("--max-lag off"));
    assert_eq!(board.verdict(now, 0), Verdict { pace: 0.0, own: 0.0, rate: None, reason: None });
    board.ask(Requests::default(), later(3_000));
    board.fail(place, "no connection".into());
    let reason = board.verdict(later(3_100), 0).reason;
    let unknown = "replica-lag unknown for 3 s: no connection (`--max-lag off` leaves it out)";
    assert_eq!(reason.as_deref(), Some(unknown));
    board.read(place, None, later(3_100));
    assert_eq!(board.verdict(later(3_100), 0).pace, 1.0, "there is no replica");
    board.read(place, lag(1.8), later(3_200));
    let verdict = board.verdict(later(3_300), 0);
    assert_eq!(verdict.pace, 0.0);
    let late = "replica-lag 1.8 s ≥ 1.0 s on replica-1 (`--max-lag off` leaves it out)";
    assert_eq!(verdict.reason.as_deref(), Some(late));
    let verdict = board.verdict(later(6_500), 0);
    assert_eq!(verdict.reason.as_deref(), Some("control unknown for 3 s: no answer"));
}

#[test]
fn a_rate_is_told_where_nothing_slows_more() {
    let mut board = Board::new(Requests { rate: request(Some(500)), ..Requests::default() });
    let verdict = board.verdict(Instant::now(), 0);
    assert_eq!((verdict.pace, verdict.rate), (1.0, Some(500)));
    assert_eq!(verdict.reason.as_deref(), Some("rate 500 rows/s, asked for by ops on desk"));
}

/// What holds the work back isn't what the load allows.
#[test]
fn a_rate_teaches_no_pace_that_was_never_worked_at() {
    let paces = [None, request(Some(500))].map(|rate| {
        let now = Instant::now();
        let mut board = Board::new(Requests { rate, ..Requests::default() });
        let second = Duration::from_secs(1);
        let place = board.post("replica-lag", second, Governor::of_backlog(FRESH), None);
        for seconds in 0..60 {
            board.read(place, lag(0.0), now + seconds * second);
            board.verdict(now + seconds * second, 1);
            board.rested(second / 100, second);
        }
        // The rate is taken back.
        board.ask(Requests::default(), now + 60 * second);
        board.verdict(now + 60 * second, 1).pace
    });
    assert_eq!(paces[0], 1.0);
    assert!(paces[1] <= 0.06, "{}", paces[1]);
}

/// Two of four make half of the pace without pauses.
#[test]
fn fewer_workers_work_for_a_lower_pace() {
    let mut board = Board::new(Requests::default());
    let (now, second) = (Instant::now(), Duration::from_secs(1));
    board.begin(4, 32);
    let place = board.post("sessions", second, Governor::of_load(), None);
    assert_eq!(board.workers(now), 1, "nothing is known yet");
    board.read(place, lag(0.0), now);
    assert_eq!(board.workers(now), 4);
    let mut at = now;
    while board.verdict(at, 1).pace > 0.3 {
        at += second / 4;
        board.read(place, lag(1.2), at);
        board.workers(at);
    }
    board.workers(at);
    let workers = board.workers(at + second);
    let verdict = board.verdict(at + second, 1);
    assert!((1..=2).contains(&workers), "{workers} at {}", verdict.pace);
    assert!((verdict.own * f64::from(workers) / 4.0 - verdict.pace).abs() < 1e-9, "{verdict:?}");
    // An operator's word counts at once, up to what is possible.
    let asked = Requests { workers: request(Some(40)), ..Requests::default() };
    board.ask(asked, at + second);
    assert!(board.workers(at + second) > workers);
}

#[test]
fn a_rate_is_shared_by_all_processes() {
    let mut board = Board::new(Requests { rate: request(Some(900)), ..Requests::default() });
    board.share_with(2);
    let verdict = board.verdict(Instant::now(), 0);
    assert_eq!(verdict.rate, Some(300));
    assert_eq!(verdict.reason.as_deref(), Some("rate 900 rows/s, asked for by ops on desk"));
    board.share_with(10_000);
    assert_eq!(board.verdict(Instant::now(), 0).rate, Some(1));
}
