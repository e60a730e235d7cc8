//! What becomes of polls that go wrong, are refused, or meet each other.

use serde_json::json;

use super::{Watched, channel, condition, events, k3os_node};
use crate::harness::Corner;
use crate::resolve::server::{Say, Seen, say};
use crate::rollouts::holds;

#[test]
fn whatever_a_server_answers_the_last_answer_stands_and_nobody_else_is_disturbed() {
    let watched = Watched::new(Corner::new("answers"));
    let corner = &watched.corner;
    k3os_node(corner, "0", "v1.2.0");
    let url = watched.server.url("/channels/stable");
    watched.answers(|_| say(302, &[("location", "/release/v1.2.0")], ""));
    corner.create(&channel(corner, "stable", json!({"url": url})));
    assert_eq!(watched.settle().code, 0);
    assert_eq!(watched.status("stable")["latestVersion"], "v1.2.0");

    for code in [301, 302, 303, 307, 308] {
        watched.answers(move |_| say(code, &[("location", "https://elsewhere.example/release/v1.2.0")], ""));
        watched.is_due("stable");
        watched.round();
        let status = watched.status("stable");
        let polled = condition(&status, "Polled");
        assert_eq!((&polled["status"], &polled["reason"]), (&json!("True"), &json!("Answered")), "{code}: {status:#}");
        assert_ne!(status["lastPolled"], "2026-01-01T00:00:00Z", "{code}");
    }
    type Bad = (&'static str, fn(&Seen) -> Say);
    let bad: [Bad; 9] = [
        ("Malformed", |seen| say(if seen.header("if-none-match").is_empty() { 304 } else { 500 }, &[], "")),
        ("RateLimited", |_| say(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "4102444800")], "")),
        ("NotFound", |_| say(404, &[], "")),
        ("ServerError", |_| say(500, &[], "oops")),
        ("Malformed", |_| say(200, &[], "<html>login</html>")),
        ("Malformed", |_| say(302, &[("location", "/login")], "")),
        ("TooLarge", |_| Say::Flood(10 << 20)),
        ("TimedOut", |_| Say::Nothing),
        ("TimedOut", |_| Say::Half("v1")),
    ];
    for (index, (reason, answer)) in bad.into_iter().enumerate() {
        watched.answers(answer);
        watched.is_due("stable");
        let asked = watched.server.seen().len();
        // Something else that is to be done in the same rounds.
        let op = format!("op-{index}");
        corner.create(&corner.nodeop(&op, json!({})));
        #[expect(clippy::disallowed_methods, reason = "how long a round takes is told by the clock on the wall")]
        let begun = std::time::Instant::now();
        watched.round();
        assert!(begun.elapsed().as_secs() < 60, "{reason}: it took {:?}", begun.elapsed());
        let status = watched.status("stable");
        let polled = condition(&status, "Polled");
        assert_eq!((&polled["status"], &polled["reason"]), (&json!("False"), &json!(reason)), "{status:#}");
        assert!(polled["message"].as_str().unwrap().contains(&watched.server.host), "{status:#}");
        // What is known stays, and so does what the nodes say.
        assert_eq!((&status["latestVersion"], &status["phase"]), (&json!("v1.2.0"), &json!("Current")), "{status:#}");
        assert_eq!(condition(&status, "Ready")["status"], "True");
        assert!(status["polling"].is_null() && status["failedPolls"].as_u64() == Some(index as u64 + 1), "{status:#}");
        assert!(!corner.status(&op)["nodeStatuses"]["answers-0"].is_null(), "{reason} kept an operation from beginning");
        // Not again before its time.
        watched.round();
        assert_eq!(watched.server.seen().len(), asked + 1, "{reason}");
        corner.kubectl(&["-n", &corner.name, "delete", "nodeops.operator.kairos.io", &op]);
        corner.rounds_until("the node is free again", || {
            corner.get("node", "answers-0")["metadata"]["annotations"]["operator.kairos.io/operation"].is_null()
        });
    }
    let text = watched.rounds(&["status", "stable"]).out;
    assert!(text.contains("TimedOut"), "{text}");
    // However often it was asked in vain, it was told once.
    assert_eq!(events(corner, "stable"), ["PollFailed", "VersionFound"]);
}

#[test]
fn addresses_of_the_cluster_itself_are_not_asked_unless_a_flag_says_so() {
    let watched = Watched::new(Corner::new("inward"));
    let corner = &watched.corner;
    corner.create(&channel(corner, "local", json!({"url": watched.server.url("/channels/stable")})));
    let printed = corner.rounds(&["run", "--until-settled"]);
    assert_eq!(printed.code, 3, "{printed:#?}");
    let status = watched.status("local");
    assert_eq!(condition(&status, "Polled")["reason"], "Refused", "{status:#}");
    assert!(watched.server.seen().is_empty());
}

#[test]
fn rounds_that_overlap_poll_once_and_start_nothing_twice() {
    let watched = Watched::new(Corner::new("both"));
    let corner = &watched.corner;
    k3os_node(corner, "0", "v1.0.0");
    // It takes its time, so that the others come while it is being asked.
    watched.answers(|_| {
        std::thread::sleep(std::time::Duration::from_millis(1500));
        say(302, &[("location", "/v1.1.0")], "")
    });
    corner.create(&channel(corner, "stable", json!({"url": watched.server.url("/channels/stable")})));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| watched.rounds(&["run"]));
        }
    });
    assert_eq!(watched.server.seen().len(), 1, "the slot is taken by compare-and-swap");
    assert_eq!(watched.settle().code, 0);
    assert_eq!((watched.server.seen().len(), &watched.status("stable")["progress"]), (1, &json!("1/1")));
    assert_eq!(holds(&corner.writes()).len(), 1);
}
