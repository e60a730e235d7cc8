//! At rest nothing is written, and nobody is in anybody's way.

use serde_json::json;

use crate::harness::Corner;

#[test]
fn an_idle_round_writes_nothing_and_repeated_applies_change_nothing() {
    let corner = Corner::new("idle");
    corner.nodes(2, 0);
    let done = corner.nodeop("done", json!({"cordon": true}));
    let parked = corner.nodeop("parked", json!({"rollout": {"suspend": true}}));
    corner.apply(&done);
    corner.apply(&parked);
    assert_eq!(corner.settle().code, 0);
    let writes = corner.writes().len();
    let versions = || ["done", "parked"].map(|name| corner.get("nodeops.operator.kairos.io", name)["metadata"]["resourceVersion"].clone());
    let before = versions();
    for _ in 0..5 {
        corner.round();
        for manifest in [&done, &parked] {
            corner.apply(manifest);
        }
    }
    assert_eq!(corner.writes().len(), writes, "{:#?}", &corner.writes()[writes..]);
    assert_eq!(versions(), before);
}

#[test]
fn kubectl_wait_works_on_conditions_and_phase() {
    let corner = Corner::new("waits");
    corner.nodes(1, 0);
    corner.apply(&corner.nodeop("good", json!({})));
    corner.apply(&corner.nodeop("bad", json!({"command": ["fail"], "backoffLimit": 0})));
    let mut runner = corner.command(&["run", "--until-settled", "--timeout", "300s"]).spawn().expect("the binary starts");
    for (condition, name) in [
        ("--for=condition=Ready", "good"),
        ("--for=jsonpath={.status.phase}=Completed", "good"),
        ("--for=condition=Stalled", "bad"),
        ("--for=jsonpath={.status.phase}=Failed", "bad"),
    ] {
        corner.kubectl(&["-n", "waits", "wait", condition, &format!("nodeops.operator.kairos.io/{name}"), "--timeout=240s"]);
    }
    runner.wait().expect("it ends");
}

#[test]
fn a_new_object_counts_as_not_observed_until_a_round_has_seen_it() {
    let corner = Corner::new("fresh");
    corner.create(&corner.nodeop("op", json!({})));
    assert_eq!(corner.status("op"), json!({"observedGeneration": -1}));
    corner.round();
    assert_eq!(corner.status("op")["observedGeneration"], 1);
}

#[test]
fn events_tell_what_happened_at_most_twice_per_node() {
    let corner = Corner::new("events");
    corner.nodes(2, 0);
    corner.create(&corner.nodeop("op", json!({"cordon": true, "drainOptions": {"enabled": true}})));
    assert_eq!(corner.settle().code, 0);
    let events: Vec<_> = corner.list("events.events.k8s.io").into_iter().filter(|event| event["reportingController"] == "rounds").collect();
    assert_eq!(events.len(), 2, "{events:#?}");
    for event in events {
        assert_eq!((&event["reason"], &event["type"], &event["regarding"]["name"]), (&json!("Succeeded"), &json!("Normal"), &json!("op")));
    }
}
