use super::*;
use crate::deploy::facts::{Balancer, CodeDeploy, ContainerCheck, Controller, Reference, Strategy};
use crate::deploy::timeline::tests::story;
use crate::deploy::timeline::{Timeline, Verdict};

#[test]
fn s4_the_grace_that_is_recommended_lasts_until_enough_checks_have_passed() {
    let facts = story();
    let change = grace(&facts, 150.0).expect("a change");
    // 150 s and a tenth are 165 s; the unhealthy target needs two checks more, 15 s apart.
    assert_eq!((change.from, change.to), (Some(15), Some(195)));
    assert!(change.why.contains("165 s, and up to 30 s"), "{}", change.why);
    assert!(change.why.contains("stopped after 195 s, not after 50 s"), "{}", change.why);
    let timeline = Timeline::of(&apply(&facts, &[change]), 165.0);
    assert_eq!(timeline.verdict, Verdict::Survives);
}

#[test]
fn s4_the_checks_can_be_made_lenient_instead() {
    let facts = story();
    let changes = checks(&facts, 150.0).expect("changes");
    let to: Vec<_> = changes.iter().map(|change| change.to.expect("a value")).collect();
    assert_eq!(to, [20, 10]);
    let timeline = Timeline::of(&apply(&facts, &changes), 165.0);
    assert_eq!(timeline.verdict, Verdict::Survives);
    assert_eq!(timeline.courses[0].unhealthy, None);
}

#[test]
fn nothing_is_changed_where_all_tasks_live() {
    let mut facts = story();
    facts.service.grace = Some(200);
    assert_eq!(grace(&facts, 150.0), None);
    assert_eq!(start_period(&facts, 150.0), None);
    assert_eq!(
        checks(&facts, 150.0),
        Some(Vec::new()).filter(|list: &Vec<Change>| !list.is_empty())
    );
}

#[test]
fn after_any_recommended_change_every_task_lives() {
    let mut random = fastrand::Rng::with_seed(11);
    let (mut lenient, mut started) = (0, 0);
    for _ in 0..500 {
        let mut facts = story();
        let check = &mut facts.target_groups[0].check;
        check.interval = random.u64(5..=60);
        check.timeout = random.u64(2..check.interval.min(30));
        (check.healthy, check.unhealthy) = (random.u32(2..=10), random.u32(2..=10));
        if random.bool() {
            facts.target_groups[0].balancer = Balancer::Network;
        }
        if random.bool() {
            facts.service.strategy = Strategy::BlueGreen;
            let mut other = facts.target_groups[0].clone();
            (other.name, other.is_alternate) = ("other".to_owned(), true);
            facts.target_groups.push(other);
        }
        if random.u8(..) < 60 {
            facts.target_groups.clear();
        }
        if random.bool() {
            let (interval, start_period) = (random.u64(5..60), random.u64(0..200));
            facts.next.containers[0].check =
                Some(ContainerCheck { interval, start_period, ..Default::default() });
        }
        facts.service.grace = Some(random.u64(0..300));
        let startup = random.f64() * 600.0;
        if Timeline::of(&facts, startup).verdict == Verdict::Survives {
            continue;
        }
        let longer = grace(&facts, startup).expect("a grace always helps");
        assert_eq!(longer.to.map(|to| to % 5), Some(0));
        let lists = [Some(vec![longer]), checks(&facts, startup), start_period(&facts, startup)];
        lenient += u32::from(lists[1].is_some());
        started += u32::from(lists[2].is_some());
        for changes in lists.into_iter().flatten() {
            let after = apply(&facts, &changes);
            for startup in [startup, with_margin(startup)] {
                let verdict = Timeline::of(&after, startup).verdict;
                assert_eq!(verdict, Verdict::Survives, "{changes:?} {facts:?}");
            }
        }
    }
    assert!(lenient > 10 && started > 10, "{lenient} {started}");
}

fn change(facts: &Facts, setting: Setting, to: Option<u64>) -> Change {
    Change::new(facts, setting, to, String::new())
}

/// A change of each kind, and what they are of.
fn all() -> (Facts, Vec<Change>) {
    let mut facts = story();
    facts.service.controller = Controller::CodeDeploy(CodeDeploy {
        application: Some("shop".to_owned()),
        wait: Some(0),
        terminate_wait: Some(300),
        ..CodeDeploy::default()
    });
    let listener = "arn:aws:elasticloadbalancing:eu-west-1:1:listener/net/shop/50dc/f2f7";
    facts.target_groups[0].references = vec![Reference {
        listener: listener.to_owned(),
        port: Some(443),
        rule: None,
        weight: None,
    }];
    facts.next.containers[0].start_timeout = Some(90);
    facts.next.containers[0].check = Some(ContainerCheck::default());
    let group = || "web-8080".to_owned();
    let app = || "app".to_owned();
    let settings = [
        (Setting::Grace, Some(195)),
        (Setting::MaximumPercent, Some(150)),
        (Setting::CheckInterval { target_group: group() }, Some(20)),
        (Setting::UnhealthyThreshold { target_group: group() }, Some(10)),
        (Setting::DeregistrationDelay { target_group: group() }, Some(600)),
        (Setting::DummyListener { target_group: group() }, Some(10080)),
        (Setting::StopTimeout { container: app() }, Some(60)),
        (Setting::StartTimeout { container: app() }, None),
        (Setting::StartPeriod { container: app() }, Some(120)),
        (Setting::CodeDeployWait, Some(300)),
    ];
    let changes = settings.map(|(setting, to)| change(&facts, setting, to)).to_vec();
    (facts, changes)
}

#[test]
fn every_change_can_be_made_and_read_back() {
    let (facts, changes) = all();
    let after = apply(&facts, &changes);
    for change in &changes {
        let is_listener = matches!(change.setting, Setting::DummyListener { .. });
        assert!(is_listener || change.setting.value(&after) == change.to, "{change:?}");
    }
    assert_eq!(after.target_groups[0].references.len(), 2);
}

#[test]
fn changes_as_calls_of_the_aws_cli() {
    let (facts, changes) = all();
    let text = render(&facts, &changes, Format::Cli);
    for part in [
        "aws ecs update-service --cluster shop --service web \\\n  --health-check-grace-period-seconds 195\n",
        "jq '.maximumPercent = 150' > deployment-configuration.json",
        "--deployment-configuration file://deployment-configuration.json",
        "--names web-8080",
        "--health-check-interval-seconds 20 --unhealthy-threshold-count 10",
        "Key=deregistration_delay.timeout_seconds,Value=600",
        "--load-balancer-arn arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/net/shop/50dc ",
        "--protocol TCP --port 10080",
        "(.containerDefinitions[] | select(.name == \"app\")).stopTimeout = 60",
        "del((.containerDefinitions[] | select(.name == \"app\")).startTimeout)",
        "healthCheck.startPeriod = 120",
        "--application-name shop",
        "\"${DEPLOYMENT_GROUP:?}\"",
        "\"waitTimeInMinutes\":10",
    ] {
        assert!(text.contains(part), "no {part} in:\n{text}");
    }
    let mut child = std::process::Command::new("bash").arg("-n").arg("-c").arg(&text).spawn();
    assert!(child.as_mut().expect("bash").wait().expect("an end").success(), "{text}");
}

#[test]
fn of_another_controller_a_new_revision_is_not_deployed_by_update_service() {
    let (mut facts, _) = all();
    let stop = change(&facts, Setting::StopTimeout { container: "app".to_owned() }, Some(60));
    let printed = |facts: &Facts| render(facts, std::slice::from_ref(&stop), Format::Cli);
    facts.service.controller = Controller::Ecs;
    assert!(printed(&facts).contains("aws ecs update-service"), "{}", printed(&facts));
    for (controller, next) in [
        (Controller::CodeDeploy(CodeDeploy::default()), "AppSpec"),
        (Controller::External, "next task set"),
    ] {
        facts.service.controller = controller;
        let text = printed(&facts);
        assert!(text.contains("register-task-definition") && text.contains(next), "{text}");
        assert!(!text.contains("update-service"), "{text}");
    }
}

#[test]
fn a_new_task_that_never_answers_is_stopped_when_the_price_says() {
    let mut facts = story();
    facts.target_groups.clear();
    let check = ContainerCheck { interval: 10, start_period: 60, ..ContainerCheck::default() };
    facts.next.containers[0].check = Some(check);
    let change = grace(&facts, 150.0).expect("a change");
    // 60 s don't count, then three checks fail, each 15 s after the one before where they hang.
    assert!(change.why.contains("not after 110 s"), "{}", change.why);
}

#[test]
fn a_price_that_nobody_pays_is_not_named() {
    let mut facts = story();
    facts.target_groups.clear();
    facts.service.grace = None;
    let check = ContainerCheck { interval: 10, ..ContainerCheck::default() };
    facts.next.containers[0].check = Some(check);
    // Checks that hang fail at 15, 30 and 45 s: a grace of 45 s makes that no later.
    let change = grace(&facts, 35.0).expect("a change");
    assert_eq!(change.to, Some(45));
    assert!(!change.why.contains("the price"), "{}", change.why);
}

#[test]
fn new_resources_of_terraform_stand_apart_from_the_overrides() {
    let (facts, changes) = all();
    let is_listener = |one: &&Change| matches!(one.setting, Setting::DummyListener { .. });
    let listeners: Vec<_> = changes.iter().filter(is_listener).cloned().collect();
    let alone = render(&facts, &listeners, Format::Terraform);
    assert!(!alone.contains("_override.tf") && alone.contains("# lockkeeper.tf"), "{alone}");
    let both = render(&facts, &changes, Format::Terraform);
    let (overrides, new) = both.split_once("# lockkeeper.tf").expect("both files");
    assert!(overrides.contains("_override.tf") && !overrides.contains("aws_lb_listener"), "{both}");
    assert!(new.contains("resource \"aws_lb_listener\""), "{both}");
}

#[test]
fn changes_as_terraform() {
    let (facts, changes) = all();
    let text = render(&facts, &changes, Format::Terraform);
    for part in [
        "\n  health_check_grace_period_seconds = 195\n  deployment_maximum_percent        = 150\n}",
        "resource \"aws_lb_target_group\" \"web_8080\" {\n  deregistration_delay = 600\n",
        "    interval            = 20\n",
        "    unhealthy_threshold = 10\n",
        "    path                = \"/api/health-check\"\n",
        "load_balancer_arn = \"arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/net/shop/50dc\"",
        "target_group_arn = aws_lb_target_group.web_8080.arn",
        "container \"app\":\n#   stopTimeout = 60",
        "#   leave out startTimeout",
        "wait_time_in_minutes = 10",
    ] {
        assert!(text.contains(part), "no {part} in:\n{text}");
    }
    assert_eq!(text.matches('{').count(), text.matches('}').count());
}

#[test]
fn changes_as_a_manifest_of_copilot() {
    let (facts, changes) = all();
    let text = render(&facts, &changes, Format::Copilot);
    let manifest: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
    let check = &manifest["http"]["healthcheck"];
    assert_eq!(check["grace_period"], "195s");
    assert_eq!((&check["interval"], &check["unhealthy_threshold"]), (&"20s".into(), &10.into()));
    assert_eq!(check["path"], "/api/health-check");
    assert_eq!(manifest["http"]["deregistration_delay"], "600s");
    assert_eq!(manifest["image"]["healthcheck"]["start_period"], "120s");
    let stop = &manifest["taskdef_overrides"][0];
    assert_eq!(
        (&stop["path"], &stop["value"]),
        (&"ContainerDefinitions[0].StopTimeout".into(), &60.into())
    );
    for remark in ["dummy listener", "startTimeout", "rerouted", "deployment_maximum_percent"] {
        assert!(text.lines().any(|line| line.starts_with("# ") && line.contains(remark)), "{text}");
    }
}

#[test]
fn a_foreign_name_can_neither_run_nor_be_interpolated() {
    let mut facts = story();
    facts.service.name = "$(reboot)'; reboot #".to_owned();
    facts.target_groups[0].check.path = Some("/${file(\"x\")}\"\n".to_owned());
    let interval = Setting::CheckInterval { target_group: "web-8080".to_owned() };
    let changes = [change(&facts, Setting::Grace, Some(20)), change(&facts, interval, Some(20))];
    let text = render(&facts, &changes, Format::Cli);
    assert!(text.contains(r"--service '$(reboot)'\''; reboot #'"), "{text}");
    let text = render(&facts, &changes, Format::Terraform);
    assert!(text.contains(r#""/$${file(\"x\")}\"\n""#), "{text}");
}
