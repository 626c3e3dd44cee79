use super::*;
use crate::deploy::doctor::{Question, Startup};
use crate::deploy::facts::Facts;
use crate::deploy::remedy::Format;
use crate::deploy::timeline::tests::story;

fn diagnosis(facts: &Facts, seconds: f64) -> Diagnosis {
    let startup = Some(Startup::observed(seconds));
    Diagnosis::of(facts, &Question { startup, ..Question::default() })
}

#[test]
fn s4_reads_as_the_page_of_the_doctor_shows_it() {
    let text = text(&diagnosis(&story(), 150.0), 80);
    let page = include_str!("../../../docs/doctor.md");
    assert!(page.contains(&format!("```text\n{text}```\n")), "{text}");
}

#[test]
fn a_narrow_terminal_has_a_line_for_each_moment() {
    let expected = "
    0 s ├ start
   15 s ┼ grace ends
30–50 s ┤ unhealthy: stopped, 3 failures in a row
  150 s ┊ would be ready, 100–120 s too late
then: ";
    let text = text(&diagnosis(&story(), 150.0), 50);
    assert!(text.contains(expected), "{text}");
}

#[test]
fn where_nothing_checks_a_task_nobody_says_that_it_is_healthy() {
    let mut facts = story();
    facts.target_groups.clear();
    let text = text(&diagnosis(&facts, 100.0), 200);
    for part in ["taken for good", "ECS takes it for good 40 s", "before it answers at 100 s"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn without_a_startup_time_it_says_so() {
    let text = text(&Diagnosis::of(&story(), &Question::default()), 80);
    assert!(text.contains("\n? not known whether it survives: nobody says how long"), "{text}");
    assert!(text.contains("--startup") && text.contains("--estimate"), "{text}");
    assert!(!text.contains("first good answer after"), "{text}");
}

/// Settings of all kinds: S4's service with other figures.
fn random(random: &mut fastrand::Rng) -> (Facts, f64) {
    let mut facts = story();
    facts.service.grace = Some(random.u64(0..300));
    facts.service.desired = random.u32(1..9);
    let check = &mut facts.target_groups[0].check;
    check.interval = random.u64(5..=60);
    (check.healthy, check.unhealthy) = (random.u32(2..=10), random.u32(2..=10));
    (facts, random.f64() * 400.0)
}

/// Where the words of a line that stand apart begin: labels are two spaces apart.
fn labels(line: &str) -> Vec<usize> {
    let letters: Vec<char> = line.chars().collect();
    let begins = |at: &usize| {
        letters[*at] != ' '
            && (*at == 0 || (*at > 1 && letters[at - 1] == ' ' && letters[at - 2] == ' '))
    };
    (0..letters.len()).filter(begins).collect()
}

#[test]
fn whatever_the_settings_labels_stand_apart_under_their_times_and_lines_fit() {
    let mut rng = fastrand::Rng::with_seed(3);
    let mut axes = 0;
    for _ in 0..500 {
        let (facts, startup) = random(&mut rng);
        let width = rng.u16(50..120);
        let diagnosis = diagnosis(&facts, startup);
        let text = text(&diagnosis, width);
        let too_long = text.lines().find(|line| line.chars().count() > width.into());
        assert_eq!(too_long, None, "{text}");
        let timeline = diagnosis.timeline.expect("a timeline");
        let art = art::art(&timeline, width.into());
        let lines: Vec<_> = art.lines().collect();
        if lines[0].contains('├') {
            continue;
        }
        axes += 1;
        // Each label has its own time over it and its own sign between them.
        let (times, names) = (labels(lines[0]), labels(lines[2]));
        assert_eq!(times, names, "{art}");
        let axis: Vec<char> = lines[1].chars().collect();
        assert!(times.iter().all(|at| "├┼┤┊".contains(axis[*at])), "{art}");
    }
    assert!(axes > 100, "{axes}");
}

/// A foreign name with everything that could do harm.
fn hostile() -> Diagnosis {
    let mut facts = story();
    facts.service.name = "<script>alert('x')</script>\x1b[2J```\n@everyone|".to_owned();
    facts.target_groups[0].name.clone_from(&facts.service.name);
    diagnosis(&facts, 150.0)
}

#[test]
fn a_foreign_name_can_neither_steer_a_terminal_nor_be_html_nor_markdown() {
    let (diagnosis, facts) = (hostile(), story());
    assert!(!text(&diagnosis, 80).contains('\x1b'));
    let page = html(&diagnosis, &facts);
    assert!(!page.contains("<script") && !page.contains('\x1b'), "{page}");
    let comment = markdown(&diagnosis, &facts);
    for harm in ["<script", "\x1b", "```\n@", "@everyone"] {
        assert!(!comment.contains(harm), "{harm:?} in {comment}");
    }
}

#[test]
fn a_fence_holds_every_text() {
    let mut facts = story();
    facts.target_groups[0].check.path = Some("/```\n".to_owned());
    facts.service.name = "a````b".to_owned();
    let comment = markdown(&diagnosis(&facts, 150.0), &facts);
    assert!(comment.contains("`````sh\naws ecs update-service --cluster shop --service 'a````b'"));
}

/// The begin and the end tags of a text are nested, and its attributes quoted.
fn is_nested(text: &str) -> bool {
    let mut open: Vec<&str> = Vec::new();
    for tag in text.split('<').skip(1) {
        let Some((tag, _)) = tag.split_once('>') else { return false };
        let name = tag.split([' ', '/']).find(|word| !word.is_empty()).unwrap_or_default();
        if tag.starts_with('/') {
            if open.pop() != Some(name) {
                return false;
            }
        } else if !tag.ends_with('/') && !tag.starts_with('!') && name != "meta" {
            open.push(name);
        }
    }
    open.is_empty()
}

#[test]
fn picture_and_page_are_whole_stay_within_their_bounds_and_fetch_nothing() {
    let mut rng = fastrand::Rng::with_seed(4);
    for _ in 0..100 {
        let (facts, startup) = random(&mut rng);
        let diagnosis = diagnosis(&facts, startup);
        let picture = svg(&diagnosis).expect("a picture");
        let titled = picture.contains("<title>shop/web: ") && picture.contains("survive");
        assert!(titled, "{picture}");
        let page = html(&diagnosis, &facts);
        assert!(is_nested(&picture), "{picture}");
        assert!(is_nested(&page), "{page}");
        assert!(picture.contains("prefers-color-scheme:dark"));
        for fetch in ["href", "src=", "url(", "@import", "http-equiv"] {
            assert!(!page.contains(fetch), "{fetch}");
        }
        for bar in picture.split("<rect class=\"").skip(2) {
            let number = |name: &str| -> f64 {
                let value = bar.split(&format!(" {name}=\"")).nth(1).expect(name);
                value.split('"').next().expect(name).parse().expect(name)
            };
            let (x, width) = (number("x"), number("width"));
            assert!(x >= 228.0 && width >= 4.0 && x + width <= 692.1, "{bar}");
        }
    }
}

#[test]
fn json_has_stable_names() {
    let value = json(&diagnosis(&story(), 150.0));
    for path in [
        "/survives",
        "/subject/service",
        "/startup/source/kind",
        "/timeline/verdict/kind",
        "/timeline/stop/earliest",
        "/timeline/give_up/moment/latest",
        "/timeline/courses/0/by/name",
        "/timeline/courses/0/failing/0/latest",
        "/findings/0/code",
        "/findings/0/severity",
        "/findings/0/changes/0/setting",
        "/findings/0/alternatives/0/target_group",
        "/changes/0/to",
    ] {
        assert!(value.pointer(path).is_some_and(|value| !value.is_null()), "{path} in {value:#}");
    }
    assert_eq!(value["survives"], false);
    let unknown = json(&Diagnosis::of(&story(), &Question::default()));
    assert!(unknown["survives"].is_null() && unknown["timeline"].is_null());
}

#[test]
fn the_changes_of_a_diagnosis_can_be_printed_in_each_format() {
    let facts = story();
    let diagnosis = diagnosis(&facts, 150.0);
    for (format, part) in [
        (Format::Terraform, "health_check_grace_period_seconds = 195"),
        (Format::Copilot, "grace_period: 195s"),
        (Format::Cli, "--health-check-grace-period-seconds 195"),
    ] {
        let text = crate::deploy::remedy::render(&facts, &diagnosis.changes, format);
        assert!(text.contains(part), "{text}");
    }
}
