//! What the timeline foretells against what happens, over random settings and phases.

use lockkeeper::deploy::doctor::{Diagnosis, Question, Startup};
use lockkeeper::deploy::remedy::apply;
use lockkeeper::deploy::report::text;
use lockkeeper::deploy::timeline::{Checker, Span, Timeline, Verdict};

use super::setting::{Chance, Setting};
use crate::support::aws::clock::seconds;
use crate::support::aws::deployment::State;
use crate::support::aws::{Task, World};
use crate::support::random;

/// So many settings, and each in so many phases.
const SETTINGS: usize = 300;
const PHASES: usize = 4;

/// The fake counts in milliseconds; there is no other slack, and none of a whole interval.
const ROUNDING: f64 = 0.002;

/// A setting, played once.
struct Play<'a> {
    setting: &'a Setting,
    chance: &'a Chance,
    timeline: &'a Timeline,
    world: World,
}

impl Play<'_> {
    /// Tasks of the second revision, the oldest first.
    fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.world.tasks.values().filter(|task| task.revision == 2)
    }

    fn failed(&self) -> impl Iterator<Item = &Task> {
        self.tasks().filter(|task| {
            task.stop.as_ref().is_some_and(|stop| stop.reason.starts_with("Task failed"))
        })
    }

    fn fail(&self, what: &str) -> ! {
        panic!(
            "{what}\n{:#?}\n{:#?}\n{:#?}\n{}",
            self.setting,
            self.chance,
            self.timeline,
            self.world.report()
        )
    }

    /// A moment after a task's start lies where it was foretold. `None` hasn't come to pass.
    fn lies_in(&self, task: &Task, moment: Option<f64>, span: Option<Span>, what: &str) {
        let (Some(moment), Some(running)) = (moment, task.moments.running) else { return };
        let moment = moment - running;
        let is_in = span.is_some_and(|span| {
            span.earliest - ROUNDING <= moment && moment <= span.latest + ROUNDING
        });
        if !is_in {
            self.fail(&format!("{what} at {moment} s, not in {span:?}"));
        }
    }

    fn moments(&self) {
        let timeline = self.timeline;
        let is_group = |by: &Checker| matches!(by, Checker::TargetGroup(_));
        let course = timeline.courses.iter().find(|course| is_group(&course.by)).expect("a course");
        for task in self.tasks() {
            let moments = &task.moments;
            let first = course.failing.first().copied();
            self.lies_in(task, moments.first_failed_check, first, "the first failing check");
            self.lies_in(task, moments.unhealthy, course.unhealthy, "unhealthy");
            // One that is taken back by the circuit breaker first doesn't get that far.
            self.lies_in(task, moments.healthy, timeline.healthy, "healthy");
        }
        for task in self.failed() {
            self.lies_in(task, task.moments.stopping, timeline.stop, "stopped");
            let terminated = task.moments.terminated;
            self.lies_in(task, terminated, timeline.terminate, "told to stop");
        }
    }

    fn verdict(&self) {
        let failed = self.failed().count();
        let healthy = self.tasks().filter(|task| task.moments.healthy.is_some()).count();
        let desired = self.setting.facts.service.desired as usize;
        match self.timeline.verdict {
            Verdict::Survives if failed > 0 || healthy < desired => {
                self.fail(&format!("{failed} of {healthy} healthy tasks were stopped"));
            }
            Verdict::Fails if healthy > 0 || failed == 0 => {
                self.fail(&format!("{healthy} got healthy, {failed} were stopped"));
            }
            _ => {}
        }
    }

    /// When the circuit breaker gave up, after the start of the first task.
    fn breaker(&self) {
        let Some(give_up) = self.timeline.give_up else { return };
        let deployments = &self.world.services["shop/web"].deployments;
        let failed = deployments.iter().find(|one| one.state == State::Failed);
        let Some(failed) = failed else { self.fail("the circuit breaker didn't give up") };
        if failed.failed != give_up.tasks {
            self.fail(&format!("it gave up after {} tasks", failed.failed));
        }
        let first = self.tasks().find(|task| task.moments.running.is_some()).expect("a first task");
        let at = seconds(failed.updated);
        self.lies_in(first, Some(at), Some(give_up.moment), "the circuit breaker");
    }

    /// Until nothing more can come of it, as far as it was foretold.
    fn run(&mut self) {
        let timeline = self.timeline;
        let wanted = timeline.healthy.map_or(0.0, |span| span.latest);
        let stopped = timeline.stop.map_or(0.0, |span| span.latest);
        let last = timeline.give_up.map_or(0.0, |give_up| give_up.moment.latest);
        // Waves wait for each other: of four tasks at most four, and each for the drain of an old one.
        let end = last.max(4.0 * (wanted + stopped + 300.0));
        self.world.advance(end);
    }
}

/// How the settings fell out, and how many tasks were stopped.
#[derive(Debug, Default)]
struct Count {
    survives: usize,
    tight: usize,
    fails: usize,
    stopped: f64,
    foretold: f64,
    variance: f64,
}

impl Count {
    fn setting(&mut self, timeline: &Timeline) {
        match timeline.verdict {
            Verdict::Survives => self.survives += 1,
            Verdict::Tight { .. } => self.tight += 1,
            Verdict::Fails => self.fails += 1,
        }
    }

    fn play(&mut self, play: &Play<'_>) {
        let share = play.timeline.verdict.share();
        let first = play.tasks().next().expect("a task of the second revision");
        let is_stopped = play.failed().any(|one| one.id == first.id);
        self.stopped += f64::from(u8::from(is_stopped));
        self.foretold += share;
        self.variance += share * (1.0 - share);
    }

    /// Shares are right on the whole, within what chance does once in a hundred million times. An
    /// NLB's are a mean of what isn't known, and so allowed to miss a little more.
    fn check(&self) {
        let least = SETTINGS / 20;
        let is_mixed = [self.survives, self.tight, self.fails].iter().all(|count| *count >= least);
        assert!(is_mixed, "all three verdicts are drawn: {self:?}");
        let off = (self.stopped - self.foretold).abs();
        assert!(off < 6.0 * self.variance.sqrt() + 10.0, "the shares are wrong: {self:?}");
    }
}

/// Whether each line fits, but for one that is a single long word.
fn fits(text: &str, width: usize) -> bool {
    let is_one_word = |line: &str| line.split_whitespace().count() <= 2;
    text.lines().all(|line| console::measure_text_width(line) <= width || is_one_word(line))
}

#[test]
fn with_the_recommended_changes_and_with_their_alternatives_every_task_lives() {
    let mut random = random();
    let mut mended = 0;
    for _ in 0..SETTINGS {
        let setting = Setting::draw(&mut random);
        let startup = Some(Startup::told(setting.startup));
        let question = Question { startup, ..Question::default() };
        let diagnosis = Diagnosis::of(&setting.facts, &question);
        let text = text(&diagnosis, 80);
        assert!(fits(&text, 80), "{text}");
        let mut ways = vec![diagnosis.changes.clone()];
        let deadly = diagnosis.findings.iter().filter(|one| !one.changes.is_empty());
        // Where two things are wrong, an alternative mends one of them.
        if let [only] = deadly.collect::<Vec<_>>().as_slice()
            && !only.alternatives.is_empty()
        {
            ways.push(only.alternatives.clone());
        }
        for changes in ways.into_iter().filter(|way| !way.is_empty()) {
            let setting =
                Setting { facts: apply(&setting.facts, &changes), startup: setting.startup };
            let timeline = Timeline::of(&setting.facts, setting.startup);
            assert_eq!(timeline.verdict, Verdict::Survives, "{changes:#?}\n{setting:#?}");
            let chance = setting.chance(&mut random);
            let world = setting.world(&chance);
            let mut play = Play { setting: &setting, chance: &chance, timeline: &timeline, world };
            play.run();
            play.verdict();
            mended += 1;
        }
    }
    assert!(mended > SETTINGS / 5, "{mended} were mended");
}

#[test]
fn what_is_foretold_happens_in_random_settings_and_phases() {
    let mut random = random();
    let mut count = Count::default();
    for _ in 0..SETTINGS {
        let setting = Setting::draw(&mut random);
        let timeline = Timeline::of(&setting.facts, setting.startup);
        count.setting(&timeline);
        for _ in 0..PHASES {
            let chance = setting.chance(&mut random);
            let world = setting.world(&chance);
            let mut play = Play { setting: &setting, chance: &chance, timeline: &timeline, world };
            play.run();
            play.moments();
            play.verdict();
            play.breaker();
            count.play(&play);
        }
    }
    println!("{count:?}");
    count.check();
}
