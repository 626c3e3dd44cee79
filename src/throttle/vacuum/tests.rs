use super::*;

const PATIENCE: Duration = Duration::from_secs(300);

/// A table of 1000 rows, of which autovacuum clears away more than 200 dead ones.
fn heap(dead: i64) -> Heap {
    Heap {
        is_toast: false,
        dead,
        rows: 1000,
        threshold: 200,
        is_automatic: true,
        ended: 7,
        is_vacuumed: false,
    }
}

/// What is said of it so many seconds after the begin, and at which pace that is.
fn said(vacuum: &mut Vacuum, begin: Instant, seconds: u64, heap: Heap) -> Option<(String, f64)> {
    let table = TableName { schema: Some("public".into()), name: "t".into() };
    let now = begin + Duration::from_secs(seconds);
    let reading = vacuum.judge(&table, heap, PATIENCE, now)?;
    Some((reading.to_string(), Governor::room(&reading)))
}

#[test]
fn a_vacuum_gets_room_and_is_waited_for_at_the_limit() {
    let (mut vacuum, begin) = (Vacuum::new(0.25, &Site::default()), Instant::now());
    assert_eq!(said(&mut vacuum, begin, 0, heap(240)), None, "nobody is at the disk");
    let at_work = |dead| Heap { is_vacuumed: true, ..heap(dead) };
    let (text, pace) = said(&mut vacuum, begin, 1, at_work(50)).unwrap();
    assert_eq!((text.as_str(), pace), ("5.0 % of 25 % on public.t, being vacuumed", 0.5));
    let (_, pace) = said(&mut vacuum, begin, 2, at_work(200)).unwrap();
    assert!((0.19..0.21).contains(&pace), "what is left of the limit: {pace}");
    let (text, pace) = said(&mut vacuum, begin, 3, at_work(260)).unwrap();
    assert_eq!((text.as_str(), pace), ("26 % ≥ 25 % on public.t, being vacuumed", 0.0));
    let cleared = Heap { ended: 8, ..heap(10) };
    assert_eq!(said(&mut vacuum, begin, 4, cleared), None);
    let (text, pace) = said(&mut vacuum, begin, 5, Heap { ended: 8, ..heap(260) }).unwrap();
    assert_eq!((text.as_str(), pace), ("26 % ≥ 25 % on public.t, waiting for autovacuum", 0.0));
    let toast = Heap { is_toast: true, ..heap(300) };
    let (text, _) = said(&mut vacuum, begin, 6, toast).unwrap();
    let wanted = "30 % ≥ 25 % on public.t, its long values (TOAST), waiting for autovacuum";
    assert_eq!(text, wanted);
}

#[test]
fn nobody_waits_for_what_does_not_come() {
    let (mut vacuum, begin) = (Vacuum::new(0.1, &Site::default()), Instant::now());
    let mut at = |seconds, heap| said(&mut vacuum, begin, seconds, heap);
    assert_eq!(at(0, heap(150)), None, "autovacuum comes later than the limit");
    let (text, pace) = at(1, Heap { is_automatic: false, ..heap(300) }).unwrap();
    assert_eq!((text.as_str(), pace), ("30 % ≥ 10 % on public.t, where autovacuum is off", 0.5));
    assert_eq!(at(2, heap(300)).unwrap().1, 0.0);
    assert_eq!(at(301, heap(300)).unwrap().1, 0.0);
    let (text, pace) = at(302, heap(300)).unwrap();
    assert_eq!((text.as_str(), pace), ("30 % ≥ 10 % on public.t, where no vacuum comes", 0.5));
    // It has come after all, and is waited for; but what it leaves, it leaves.
    assert_eq!(at(303, Heap { is_vacuumed: true, ..heap(300) }).unwrap().1, 0.0);
    assert_eq!(at(304, heap(300)).unwrap().1, 0.0);
    let (text, pace) = at(305, Heap { ended: 8, ..heap(300) }).unwrap();
    let wanted = "30 % ≥ 10 % on public.t, which the last vacuum couldn't clear";
    assert_eq!((text.as_str(), pace), (wanted, 0.5));
    let again = Heap { is_vacuumed: true, ended: 8, ..heap(300) };
    assert_eq!(at(306, again).unwrap().1, 0.5, "it may be as much in vain");
    assert_eq!(at(307, Heap { ended: 9, ..heap(50) }), None);
    assert_eq!(at(308, Heap { ended: 9, ..heap(300) }).unwrap().1, 0.0, "all is new");
}
