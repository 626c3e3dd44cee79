//! The servo against simulated tables.

use std::time::Duration;

use super::Servo;

/// What became of a run.
struct Run {
    rows: Vec<u64>,
    /// Milliseconds.
    took: Vec<f64>,
}

impl Run {
    /// The share of the batches from `from` on that took longer than `limit` milliseconds.
    fn over(&self, from: usize, limit: f64) -> f64 {
        let late = &self.took[from..];
        late.iter().filter(|&&took| took > limit).count() as f64 / late.len() as f64
    }

    fn mean_took(&self, from: usize) -> f64 {
        self.took[from..].iter().sum::<f64>() / (self.took.len() - from) as f64
    }

    /// How often the size changed.
    fn changes(&self, from: usize) -> usize {
        self.rows[from..].windows(2).filter(|pair| pair[0] != pair[1]).count()
    }

    fn extremes(&self, from: usize) -> (u64, u64) {
        let sizes = &self.rows[from..];
        (*sizes.iter().min().unwrap(), *sizes.iter().max().unwrap())
    }
}

/// Runs so many batches; `cost` tells the milliseconds of the n-th, of so many rows.
fn run(servo: &mut Servo, batches: usize, mut cost: impl FnMut(usize, u64) -> f64) -> Run {
    let mut run = Run { rows: Vec::new(), took: Vec::new() };
    for batch in 0..batches {
        let rows = servo.rows();
        let took = cost(batch, rows);
        run.rows.push(rows);
        run.took.push(took);
        servo.worked(rows, Duration::from_secs_f64(took / 1_000.0));
        while servo.doubts() {
            servo.probed(Duration::from_secs_f64(cost(batch, 0) / 1_000.0));
        }
    }
    run
}

#[test]
fn constant_cost_converges_and_then_stands_still() {
    for microseconds in [2.0, 10.0, 100.0, 1_000.0, 20_000.0] {
        let run = run(&mut Servo::default(), 60, |_, rows| rows as f64 * microseconds / 1_000.0);
        // From 2 000 rows to 90 000 it takes ten steps of one half more.
        let settled = 12;
        assert_eq!(run.changes(settled), 0, "{microseconds} µs: {:?}", run.rows);
        assert_eq!(run.over(settled, 200.0), 0.0, "{microseconds} µs: {:?}", run.took);
        assert!(run.mean_took(settled) > 140.0, "{microseconds} µs: {:?}", run.took);
    }
}

#[test]
fn a_large_table_of_tiny_rows_ends_at_the_clamp() {
    let run = run(&mut Servo::default(), 40, |_, rows| 1.0 + rows as f64 * 0.000_1);
    assert_eq!(*run.rows.last().unwrap(), 200_000);
    assert!(run.rows.windows(2).all(|pair| pair[1] as f64 <= pair[0] as f64 * 1.55));
}

#[test]
fn a_fixed_overhead_makes_the_batches_larger_not_smaller() {
    // 60 ms for each batch, whatever its size: 120 ms are left for rows of 20 µs.
    let run = run(&mut Servo::default(), 60, |_, rows| 60.0 + rows as f64 * 0.02);
    let (least, most) = run.extremes(25);
    assert!(least >= 4_500 && most <= 40_000, "{:?}", run.rows);
    assert_eq!(run.over(0, 200.0), 0.0, "{:?}", run.took);
}

#[test]
fn an_overhead_above_the_target_doesnt_make_it_crawl() {
    // Nothing can meet the target, a commit alone takes longer: small batches would help nobody.
    for overhead in [250.0, 900.0, 5_000.0] {
        let run = run(&mut Servo::default(), 200, |_, rows| overhead + rows as f64 * 0.02);
        let mean = run.rows.iter().sum::<u64>() / 200;
        assert!(mean >= 1_000, "{overhead} ms: {:?}", run.rows);
    }
    // When that is over, it is over.
    let run = run(&mut Servo::default(), 200, |batch, rows| {
        rows as f64 * 0.02 + if batch < 100 { 900.0 } else { 0.0 }
    });
    assert_eq!(run.over(110, 200.0), 0.0, "{:?}", run.took);
    assert!(run.mean_took(150) > 140.0, "{:?}", run.rows);
}

#[test]
fn noise_neither_makes_it_oscillate_nor_miss_the_target() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let run = run(&mut Servo::default(), 500, |_, rows| {
            rows as f64 * 0.01 * (0.7 + 0.6 * random.f64())
        });
        let (least, most) = run.extremes(30);
        assert!(most <= least * 2, "seed {seed}: {least}..{most}");
        assert!(run.changes(30) < 200, "seed {seed}: {} changes", run.changes(30));
        assert!(run.over(30, 200.0) <= 0.01, "seed {seed}: {}", run.over(30, 200.0));
        assert!(run.mean_took(30) > 100.0, "seed {seed}: {}", run.mean_took(30));
    }
}

#[test]
fn skewed_rows_make_it_careful() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        // One row in a thousand costs as much as a thousand others; they come in clumps.
        let run = run(&mut Servo::default(), 500, |_, rows| {
            let wide = (0..rows / 100).filter(|_| random.f64() < 0.1).count() as f64;
            rows as f64 * 0.01 + wide * 10.0
        });
        assert!(run.over(30, 200.0) <= 0.04, "seed {seed}: {}", run.over(30, 200.0));
        assert!(run.mean_took(30) > 60.0, "seed {seed}: {}", run.mean_took(30));
    }
}

#[test]
fn a_stall_is_forgotten_soon() {
    let mut servo = Servo::default();
    let run = run(&mut servo, 80, |batch, rows| {
        rows as f64 * 0.01 + if batch == 40 { 3_000.0 } else { 0.0 }
    });
    let before = run.rows[40];
    assert!(run.rows[41] <= before / 5, "{:?}", run.rows);
    let back = run.rows[41..].iter().position(|&rows| rows * 10 >= before * 9).unwrap();
    assert!(back <= 8, "back after {back}: {:?}", run.rows);
    assert_eq!(run.over(41, 200.0), 0.0);
}

#[test]
fn rows_that_become_dear_are_answered_at_once() {
    for factor in [2.0, 4.0, 20.0, 500.0] {
        let run = run(&mut Servo::default(), 120, |batch, rows| {
            rows as f64 * 0.01 * if batch < 40 { 1.0 } else { factor }
        });
        let missed = run.took[40..].iter().filter(|&&took| took > 200.0).count();
        assert!(missed <= 8, "×{factor}: {missed}: {:?}", &run.took[40..]);
        assert!(run.mean_took(90) > 100.0, "×{factor}: {:?}", &run.took[90..]);
    }
}

#[test]
fn failures_halve_and_pause_the_growth() {
    let mut servo = Servo::default();
    run(&mut servo, 30, |_, rows| rows as f64 * 0.01);
    let before = servo.rows();
    servo.failed();
    assert_eq!(servo.rows(), before / 2);
    run(&mut servo, 3, |_, rows| rows as f64 * 0.01);
    assert_eq!(servo.rows(), before / 2);
    run(&mut servo, 4, |_, rows| rows as f64 * 0.01);
    assert!(servo.rows() > before / 2);
    (0..100).for_each(|_| servo.failed());
    assert_eq!(servo.rows(), 1);
}

#[test]
fn odd_input_does_no_harm() {
    let mut servo = Servo::new(0, Duration::ZERO, Servo::MOST);
    assert_eq!(servo.rows(), 1);
    servo.worked(0, Duration::from_secs(1));
    servo.worked(1, Duration::ZERO);
    servo.worked(u64::MAX, Duration::from_nanos(1));
    servo.worked(1, Duration::from_secs(1_000_000));
    assert!((1..=200_000).contains(&servo.rows()));
    assert_eq!(Servo::new(u64::MAX, Servo::TARGET, u64::MAX).rows(), Servo::MOST);
    let mut servo = Servo::new(Servo::FIRST, Servo::TARGET, 7_777);
    let run = run(&mut servo, 20, |_, rows| rows as f64 * 0.001);
    assert_eq!(run.extremes(5), (7_777, 7_777));
}

#[test]
fn noisy_commits_dont_make_it_crawl() {
    // A slow disk or a replica far away: a commit takes from a tenth of the target to ten of them,
    // give or take a half, now and then four times as much.
    for overhead in [20.0, 60.0, 100.0, 150.0, 200.0, 300.0, 1_000.0, 2_000.0] {
        for seed in 0..20 {
            let mut random = fastrand::Rng::with_seed(seed);
            let run = run(&mut Servo::default(), 400, |_, rows| {
                let tail = if random.f64() < 0.03 { 4.0 } else { 1.0 };
                let commit = overhead * (0.5 + random.f64()) * tail;
                commit + rows as f64 * 0.02 * (0.8 + 0.4 * random.f64())
            });
            // Without noise these would be 3 000 and more, without any overhead nearly 10 000.
            let mean = run.rows[200..].iter().sum::<u64>() / 200;
            assert!(mean >= 500, "{overhead} ms, seed {seed}: {:?}", run.rows);
            let longest = run.extremes(20).1 as f64 * 0.02;
            assert!(longest <= 3.0 * (200.0 + overhead), "{overhead} ms, seed {seed}: {longest}");
        }
    }
}

/// Goes along so many keys; `cost` tells the milliseconds of a key, `commit` those of any batch, and what
/// takes too long is ended. Returns the times of what was not, and how many were.
fn run_limited(servo: &mut Servo, keys: u64, commit: f64, cost: impl Fn(u64) -> f64) -> (Run, u32) {
    let mut run = Run { rows: Vec::new(), took: Vec::new() };
    let (mut at, mut ended) = (0, 0);
    while at < keys {
        let rows = servo.rows().min(keys - at);
        let took: f64 = (at..at + rows).map(&cost).sum();
        let longest = servo.longest();
        if took > longest.as_secs_f64() * 1_000.0 && rows > 1 {
            servo.overran(rows as f64 / servo.rows() as f64);
            ended += 1;
            continue;
        }
        at += rows;
        run.rows.push(rows);
        run.took.push(commit + took);
        servo.worked(rows, Duration::from_secs_f64((commit + took) / 1_000.0));
        while servo.doubts() {
            servo.probed(Duration::from_secs_f64(commit / 1_000.0));
        }
    }
    (run, ended)
}

#[test]
fn rows_a_hundred_times_as_dear_end_few_batches() {
    let wide = 300_000..306_000;
    let cost = |key| if wide.contains(&key) { 2.0 } else { 0.02 };
    let (run, ended) = run_limited(&mut Servo::default(), 1_000_000, 0.0, cost);
    assert!(ended <= 8, "{ended} of {}", run.rows.len());
    assert_eq!(run.over(0, 190.0), 0.0, "{:?}", run.took);
    assert!(run.rows.iter().rev().any(|rows| *rows > 7_000), "it grows again: {:?}", run.rows);
}

/// They are given as much as the commit calls for, and no larger batch is tried again and again.
#[test]
fn dear_rows_beside_a_slow_commit_end_few_batches() {
    for (commit, cost) in
        [(300.0, 120.0), (300.0, 110.0), (300.0, 42.0), (1_000.0, 380.0), (1_000.0, 140.0)]
    {
        let (run, ended) = run_limited(&mut Servo::default(), 400, commit, |_| cost);
        assert!(ended <= 14, "{commit} ms, {cost} ms: {ended} of {}", run.rows.len());
    }
}

#[test]
fn rows_that_each_take_half_of_the_limit_go_one_by_one() {
    let (run, ended) = run_limited(&mut Servo::default(), 60, 0.0, |_| 150.0);
    assert_eq!(run.rows, vec![1; 60]);
    assert!(ended <= 8, "{ended}");
}

/// The rows are given more time than the target there, and are not ended for it.
#[test]
fn slow_commits_end_no_batches() {
    for (target, commit) in [(200, 1_000.0), (50, 200.0), (20, 60.0), (200, 100.0)] {
        let mut servo = Servo::new(Servo::FIRST, Duration::from_millis(target), Servo::MOST);
        let (run, ended) = run_limited(&mut servo, 5_000_000, commit, |_| 0.02);
        let batches = run.rows.len();
        assert!(ended as usize * 50 <= batches, "{target} ms, {commit} ms: {ended} of {batches}");
        let seconds = run.took.iter().sum::<f64>() / 1_000.0;
        assert!(5_000_000.0 / seconds > 12_000.0, "{target} ms, {commit} ms: {seconds} s");
    }
}
