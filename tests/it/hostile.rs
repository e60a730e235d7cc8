//! Hostile input. Whoever may only create NodeOps in one namespace is root on nodes, for that is what NodeOps are for; but
//! they must not have Rounds touch what is others': objects in other namespaces, other operations' locks and Jobs, its own
//! permissions. The audit log is the witness. And whatever they write, it is carried out as written or named as wrong.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Corner, Entry, wait_for};
use crate::rollouts::{assert_all_given_back, started};

const LOCK: &str = "/metadata/annotations/operator.kairos.io~1operation";

/// What could steer a terminal: everything but line breaks between lines of ours.
fn steers(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c))
}

fn object(corner: &Corner, name: &str) -> Value {
    let mut object = corner.nodeop(name, json!({"command": ["succeed"]}));
    object["spec"].as_object_mut().unwrap().remove("nodeSelector");
    object
}

/// NodeOps of somebody who may create them and nothing else, with whatever could point at the victim.
fn attacks(corner: &Corner, victim: &Value) -> Vec<Value> {
    let uid = &victim["metadata"]["uid"];
    let same_name = object(corner, victim["metadata"]["name"].as_str().unwrap());
    let long_name = object(corner, &"x".repeat(253));
    let mut forged = object(corner, "forged-metadata");
    let holder = format!("hostile/victim@{}", uid.as_str().unwrap());
    forged["metadata"]["labels"] = json!({
        "kairos.io/nodeop": "victim", "kairos.io/node": "hostile-0", "operator.kairos.io/owner-uid": uid, "operator.kairos.io/run": "1",
        "argocd.argoproj.io/instance": "prune-me",
    });
    forged["metadata"]["annotations"] = json!({
        "operator.kairos.io/operation": holder, "operator.kairos.io/cordoned-by": holder, "operator.kairos.io/node": "hostile-0",
        "operator.kairos.io/rerun": format!("\u{1b}[2J\n{}", "r".repeat(100_000)),
    });
    forged["metadata"]["ownerReferences"] = json!([
        {"apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOp", "name": "victim", "uid": uid, "controller": true},
        {"apiVersion": "v1", "kind": "Node", "name": "hostile-0", "uid": "00000000-0000-0000-0000-000000000000"},
    ]);
    let mut believed = object(corner, "forged-status");
    believed["status"] = json!({
        "phase": "Running", "specHash": "x", "run": 9,
        "nodeStatuses": {"hostile-0": {"phase": "Running", "step": "Releasing", "jobName": "victim", "jobUID": uid, "run": 9}},
    });
    let mut clinging = object(corner, "clinging");
    clinging["metadata"]["finalizers"] = json!(["mallory.example/never"]);
    let mut odd = object(corner, "odd-spec");
    odd["spec"]["hostMountPath"] = json!("/host/../../etc/..");
    odd["spec"]["imagePullSecrets"] = json!([{"name": "../../kube-system/token"}, {"name": "\u{1b}[31m"}]);
    odd["spec"]["image"] = json!("\u{202e}evil\u{7}:latest");
    odd["spec"]["rollout"] = json!({"nodeTimeoutSeconds": 3});
    let mut huge_numbers = object(corner, "huge-numbers");
    huge_numbers["spec"]["backoffLimit"] = json!(99_999_999_999_u64);
    huge_numbers["spec"]["concurrency"] = json!(2_147_483_648_u64);
    vec![same_name, long_name, forged, believed, clinging, odd, huge_numbers]
}

/// Everything that the runner wrote on a node: the two annotations and the cordon, each for one of the living operations.
fn assert_only_locks(write: &Entry) {
    let fields = |value: &Value| value.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    assert_eq!(write.verb, "patch", "{write:?}");
    assert!(fields(&write.body).iter().all(|key| ["apiVersion", "kind", "metadata", "spec"].contains(&key.as_str())), "{write:?}");
    let metadata = &write.body["metadata"];
    assert!(fields(metadata).iter().all(|key| ["name", "uid", "resourceVersion", "annotations"].contains(&key.as_str())), "{write:?}");
    let ours = ["operator.kairos.io/operation", "operator.kairos.io/cordoned-by"];
    assert!(fields(&metadata["annotations"]).iter().all(|key| ours.contains(&key.as_str())), "{write:?}");
    assert!(fields(&write.body["spec"]).iter().all(|key| key == "unschedulable"), "{write:?}");
}

#[test]
fn a_person_who_may_only_create_nodeops_reaches_nothing_of_others() {
    let corner = Corner::alone("hostile");
    corner.nodes(2, 0);
    let mut victim = corner.nodeop("victim", json!({"cordon": true, "command": ["hang"]}));
    victim["spec"]["nodeSelector"] = json!({"matchLabels": {"kubernetes.io/hostname": "hostile-0"}});
    corner.create(&victim);
    corner.rounds_until("the victim runs", || corner.status("victim")["nodeStatuses"]["hostile-0"]["step"] == "Running");
    let victim = corner.get("nop", "victim");
    let seen = || {
        let jobs = corner.list("jobs").into_iter().map(|job| (job["metadata"]["uid"].clone(), job["spec"].clone()));
        (corner.get("node", "hostile-0")["metadata"]["annotations"].clone(), jobs.collect::<Vec<_>>(), corner.list("pods").len())
    };
    let before = seen();
    let begun = corner.writes().len();

    let mallory = corner.beside("mallory");
    corner.kubectl(&["-n", "mallory", "create", "role", "nodeops", "--verb=create", "--resource=nodeops.operator.kairos.io"]);
    corner.kubectl(&["-n", "mallory", "create", "rolebinding", "nodeops", "--role=nodeops", "--user=person-00"]);
    for attack in attacks(&mallory, &victim) {
        let output = corner.kubectl_with(&["create", "--as=person-00", "--validate=false", "-f", "-"], Some(&attack.to_string()));
        let (name, error) = (&attack["metadata"]["name"], String::from_utf8_lossy(&output.stderr).into_owned());
        let refused = name == "odd-spec" || name == "huge-numbers";
        assert!(output.status.success() || refused, "{name}: {error}");
    }
    let mut at_sign = object(&mallory, "x");
    at_sign["metadata"]["name"] = json!(format!("victim@{}", victim["metadata"]["uid"].as_str().unwrap()));
    assert!(!corner.kubectl_with(&["create", "-f", "-"], Some(&at_sign.to_string())).status.success(), "no name looks like a lock");

    let honest = ["victim", &"x".repeat(253), "forged-status", "clinging"];
    wait_for("what can run on the free node has run there", Duration::from_secs(90), || {
        let printed = corner.rounds(&["run", "--for", "5s", "--namespace", "mallory"]);
        assert!(printed.code == 0 && !steers(&printed.err), "{printed:#?}");
        // A node counts as in flight until a round has seen it unlocked.
        honest.iter().all(|name| {
            let status = mallory.status(name);
            status["nodeStatuses"]["hostile-1"]["phase"] == "Completed" && status["nodeStatuses"]["hostile-1"]["step"].is_null()
        })
    });

    let holder = format!("hostile/victim@{}", victim["metadata"]["uid"].as_str().unwrap());
    for write in &corner.writes()[begun..] {
        match write.resource.as_str() {
            "nodes" => {
                assert_only_locks(write);
                assert_ne!(write.name, "hostile-0", "the victim's node is touched: {write:?}");
                let lock = write.body.pointer(LOCK).and_then(Value::as_str).unwrap_or("mallory/");
                assert!(lock.starts_with("mallory/") && lock != holder, "{write:?}");
            }
            // The victim itself is looked after as ever.
            "nodeops/status" if write.namespace == "hostile" => assert_eq!(write.name, "victim", "{write:?}"),
            "nodeops/status" | "jobs" | "events" => assert_eq!(write.namespace, "mallory", "{write:?}"),
            other => panic!("nothing is to be written to {other}: {write:?}"),
        }
    }
    assert_eq!(seen(), before, "the victim's node and Job are as they were");
    let waits = mallory.status("forged-status")["message"].to_string();
    assert!(waits.contains("hostile/victim goes first"), "{waits}");
    for job in mallory.list("jobs") {
        let noted = job["metadata"]["annotations"].as_object().into_iter().flatten().all(|(key, _)| key == "operator.kairos.io/nodeop");
        assert!(!job["metadata"]["labels"].to_string().contains("argocd") && noted, "{job:#}");
        assert_eq!(job["metadata"]["ownerReferences"].as_array().unwrap().len(), 1, "{job:#}");
    }
}

#[test]
fn forged_jobs_and_pods_neither_hold_nor_free_nor_delete_anything() {
    let corner = Corner::new("forged");
    corner.nodes(1, 0);
    corner.create(&corner.nodeop("victim", json!({"cordon": true, "command": ["hang"]})));
    corner.rounds_until("the victim runs", || corner.status("victim")["nodeStatuses"]["forged-0"]["step"] == "Running");
    let (victim, job) = (corner.get("nop", "victim"), corner.list("jobs")[0].clone());

    // In a namespace of their own, with everything copied from the victim's but the namespace, and already complete.
    let forger = corner.beside("forger");
    let labels = &job["metadata"]["labels"];
    let mut spec = corner.pod_spec(json!({"nodeName": "forged-0", "containers": [{"name": "nodeop", "image": "x", "command": ["hang"]}]}));
    let pod =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "liar", "namespace": "forger", "labels": labels}, "spec": spec});
    forger.create(&pod);
    spec["restartPolicy"] = json!("Never");
    forger.create(&json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": job["metadata"]["name"], "namespace": "forger", "labels": labels},
        "spec": {"template": {"metadata": {"labels": labels}, "spec": spec}},
    }));
    // Somebody's pod beside the victim's, with the labels of a preflight pod whose verdict is recorded.
    let mut bystander = pod.clone();
    bystander["metadata"]["namespace"] = json!("forged");
    bystander["metadata"]["name"] = json!("bystander");
    bystander["metadata"]["labels"] = json!({
        "kairos.io/nodeop": "victim", "kairos.io/preflight": "true", "operator.kairos.io/owner-uid": "none-of-ours",
    });
    corner.create(&bystander);
    let mut labelled = bystander.clone();
    labelled["metadata"]["name"] = json!("labelled");
    labelled["metadata"]["labels"]["operator.kairos.io/owner-uid"] = victim["metadata"]["uid"].clone();
    labelled["spec"]["containers"][0]["command"] = json!(["succeed"]);
    corner.create(&labelled);
    let begun = corner.writes().len();
    for _ in 0..3 {
        assert_eq!(corner.rounds(&["run", "--namespace", "forger"]).code, 0);
    }
    assert_eq!(corner.status("victim")["nodeStatuses"]["forged-0"]["step"], "Running", "a forged Job is no verdict");
    let untouched = || corner.writes()[begun..].iter().all(|write| write.namespace != "forger" && write.resource != "pods");
    assert!(untouched(), "{:#?}", &corner.writes()[begun..]);

    // With the victim gone the lock comes off, whatever still claims to be of it elsewhere.
    corner.kubectl(&["-n", "forged", "delete", "nop", "victim"]);
    corner.rounds_until("the node is given back", || {
        !corner.get("node", "forged-0")["metadata"]["annotations"].to_string().contains("kairos")
    });
    assert_all_given_back(&corner);
    for (namespace, name) in [("forger", "liar"), ("forged", "bystander"), ("forged", "labelled")] {
        corner.kubectl(&["-n", namespace, "get", "pod", name]);
    }
    assert!(untouched(), "{:#?}", &corner.writes()[begun..]);
}

#[test]
fn a_job_that_sits_on_the_name_is_named_and_not_used() {
    let corner = Corner::new("squatter");
    corner.nodes(1, 0);
    corner.create(&corner.nodeop("op", json!({"rollout": {"suspend": true}})));
    let uid = |object: Value| object["metadata"]["uid"].as_str().unwrap().to_string();
    let name = rounds::names::job_name("op", &uid(corner.get("nop", "op")), "squatter-0", &uid(corner.get("node", "squatter-0")), 1, 0);
    let spec = corner.pod_spec(json!({"restartPolicy": "Never", "containers": [{"name": "nodeop", "image": "x", "command": ["hang"]}]}));
    let owner = json!({"apiVersion": "v1", "kind": "Evil\n\u{1b}[2J", "name": "n".repeat(100_000), "uid": "u", "controller": true});
    let mut squatter = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": name, "namespace": "squatter", "labels": {"kairos.io/nodeop": "op"}, "ownerReferences": [owner]},
        "spec": {"suspend": true, "template": {"spec": spec}},
    });
    if !corner.kubectl_with(&["create", "-f", "-"], Some(&squatter.to_string())).status.success() {
        squatter["metadata"].as_object_mut().unwrap().remove("ownerReferences");
        corner.create(&squatter);
    }
    corner.kubectl(&["-n", "squatter", "patch", "nop", "op", "--type=merge", "-p", r#"{"spec":{"rollout":{"suspend":false}}}"#]);
    corner.rounds_until("it is named", || corner.status("op")["nodeStatuses"]["squatter-0"]["reason"] == "CannotStart");
    let message = corner.status("op")["nodeStatuses"]["squatter-0"]["message"].as_str().unwrap().to_string();
    assert!(message.contains("there is a Job") && message.len() < 2500 && !steers(&message), "{message}");
    assert!(started(&corner.writes()).is_empty(), "it is not let run in our name");
    corner.kubectl(&["-n", "squatter", "delete", "job", &name]);
    assert_eq!(corner.settle().code, 0);
}

#[test]
fn a_command_runs_exactly_as_written_whatever_is_in_it() {
    let corner = Corner::new("verbatim-text");
    corner.nodes(1, 0);
    let odd = [
        "it's \"quoted\" \\ $(HOST_DIR) ${IFS} `id` ; rm -rf / # {{ .x }} %s %n",
        "two\nlines\r\n\tand a tab, no end\n",
        "ünïcödé ✓ 漢字 👩‍🚀 \u{202e}turned\u{202c} \u{feff}",
        "\u{1b}[31mred\u{1b}[0m \u{7}\u{7f}\u{9b}",
        "",
        "- yes\n- 0644\nnull",
    ];
    let mut command = vec!["succeed"];
    command.extend(odd);
    let megabyte = "ü".repeat(500_000);
    for (name, command) in [("odd", command.clone()), ("large", vec!["succeed", &megabyte])] {
        corner.create(&corner.nodeop(name, json!({"command": command})));
    }
    let many = [vec!["succeed".to_string()], vec!["x".repeat(900); 1023]].concat();
    corner.create(&corner.nodeop("many", json!({"command": many})));
    let printed = corner.settle();
    assert_eq!(printed.code, 0, "{}", printed.err);
    let job = |op: &str| corner.list("jobs").into_iter().find(|job| job["metadata"]["labels"]["kairos.io/nodeop"] == op).unwrap();
    let runs = |op: &str| job(op)["spec"]["template"]["spec"]["containers"][0]["command"].clone();
    assert_eq!(runs("odd"), json!(command));
    assert!(runs("large") == json!(["succeed", megabyte]) && runs("many") == json!(many), "not a byte is lost");
    assert!(!steers(&corner.rounds(&["plan"]).out) && !steers(&corner.rounds(&["plan", "-o", "diff"]).out));
    // The other tests' rounds list them as well.
    corner.kubectl(&["-n", "verbatim-text", "delete", "nop", "--all", "--wait=false"]);
}

#[test]
fn what_a_container_says_stays_one_line_and_steers_no_terminal() {
    let corner = Corner::new("says");
    corner.nodes(2, 0);
    let forged = "\u{1b}[2J\u{1b}]0;title\u{7}red\nError: forged line\r\u{202e}turned\u{9b}1A";
    let on = |node: &str| json!({"matchLabels": {"kubernetes.io/hostname": node}});
    let fails = json!({"command": ["hang"], "backoffLimit": 0, "nodeSelector": on("says-0")});
    corner.create(&corner.nodeop("fails", fails));
    let skips = json!({"preflight": {"command": ["hang"]}, "nodeSelector": on("says-1")});
    corner.create(&corner.nodeop("skips", skips));
    let pods = || corner.list("pods").into_iter().filter(|pod| pod["status"]["phase"] == "Running").collect::<Vec<_>>();
    corner.rounds_until("both run", || pods().len() == 2);
    for pod in pods() {
        let container = &pod["spec"]["containers"][0]["name"];
        let (code, phase) = if container == "nodeop" { (1, "Failed") } else { (0, "Succeeded") };
        let ended = json!({"exitCode": code, "reason": "Error", "message": forged, "startedAt": pod["status"]["startTime"], "finishedAt": pod["status"]["startTime"]});
        let said =
            json!({"name": container, "image": "x", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": ended}});
        corner.patch_status("pod", pod["metadata"]["name"].as_str().unwrap(), &json!({"phase": phase, "containerStatuses": [said]}));
    }
    // Under --color always escapes are let through to whatever stdout is.
    let printed = corner.rounds(&["run", "--until-settled", "--timeout", "300s", "--color", "always", "-o", "json"]);
    assert_eq!(printed.code, 3, "{printed:#?}");
    let expected = "red Error: forged line turned 1A";
    for (op, node) in [("fails", "says-0"), ("skips", "says-1")] {
        let status = corner.status(op);
        let message = status["nodeStatuses"][node]["message"].as_str().unwrap().to_string();
        assert!(message.ends_with(expected) && !message.contains('\n') && !steers(&status.to_string()), "{message:?}");
        assert!(!status.to_string().contains("\\u001b"), "{status:#}");
    }
    for event in corner.list("events.events.k8s.io").iter().filter(|event| event["reportingController"] == "rounds") {
        assert!(!steers(event["note"].as_str().unwrap()) && event["note"].as_str().unwrap().contains(expected), "{event:#}");
    }
    let coloured = |text: &str| {
        text.replace("\u{1b}[0m", "")
            .split("\u{1b}[")
            .map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').to_string())
            .collect::<Vec<_>>()
            .join("")
    };
    for args in [&["status"][..], &["status", "fails"], &["why", "says-0"], &["plan"], &["why", "says-1", "-o", "json"]] {
        let printed = corner.rounds(&[args, &["--color", "always"]].concat());
        assert!(!steers(&coloured(&printed.out)) && !steers(&coloured(&printed.err)), "{args:?}: {printed:#?}");
        assert!(!printed.out.lines().any(|line| line.starts_with("Error: forged")), "{args:?}: {}", printed.out);
    }
    assert!(!steers(&coloured(&printed.err)) && !steers(&printed.out), "{printed:#?}");
}
