//! CloudWatch Logs, page by page.

use serde_json::json;

use super::definition;
use crate::support::aws::{Aws, Scale, Script};

#[tokio::test]
async fn a_log_is_read_by_pages_and_doesnt_exist_before_its_container() {
    let aws = Aws::start(Scale::Virtual);
    aws.cluster("shop");
    let log = (0..5).map(|at| (f64::from(at), format!("line {at}"))).collect();
    aws.image("work", Script { log, ..Script::mute() });
    aws.define(definition("work", "work", &[]));
    let request = json!({ "cluster": "shop", "taskDefinition": "work" });
    aws.with(|world| world.answer("RunTask", &request).unwrap());
    let stream = format!("ecs/work/{}", aws.tasks()[0].id);
    let ask = aws.logs().get_log_events().log_group_name("/shop").log_stream_name(stream);
    let ask = ask.start_from_head(true).limit(3);
    let error = ask.clone().send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_not_found_exception(), "{error:?}");

    aws.advance(30.0);
    let (mut lines, mut token, mut turns) = (vec![], None, 0);
    loop {
        let page = ask.clone().set_next_token(token.clone()).send().await.unwrap();
        lines.extend(page.events().iter().map(|event| event.message().unwrap().to_owned()));
        turns += 1;
        // The end is where the token stays the same.
        if token.as_deref() == page.next_forward_token() {
            break;
        }
        token = page.next_forward_token().map(str::to_owned);
    }
    assert_eq!(lines, ["line 0", "line 1", "line 2", "line 3", "line 4"]);
    assert_eq!(turns, 3);
}
