//! UpdateChannels on a real control plane, with real servers of the tests' own: GitHub's release API, a channel server, an
//! OCI registry. What is asked is counted by the servers, and who is updated by the audit log.

mod polls;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::{Corner, Entry, Printed, kubelet};
use crate::resolve::registry::Registry;
use crate::resolve::server::{Say, Seen, Server, say};
use crate::rollouts::{assert_all_given_back, holds, most_at_once};

/// What a server says to a request.
type Answers = Box<dyn Fn(&Seen) -> Say + Send>;

/// A corner, a server that answers what it is told to, and a runner that may ask it.
struct Watched {
    corner: Corner,
    server: Server,
    answer: Arc<Mutex<Answers>>,
    _runtime: tokio::runtime::Runtime,
}

impl Watched {
    fn new(corner: Corner) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let answer: Arc<Mutex<Answers>> = Arc::new(Mutex::new(Box::new(|_| say(404, &[], ""))));
        let told = answer.clone();
        let server = runtime.block_on(Server::start(move |seen| (told.lock().unwrap())(seen)));
        Self { corner, server, answer, _runtime: runtime }
    }

    fn answers(&self, answer: impl Fn(&Seen) -> Say + Send + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }

    /// GitHub's API lists these releases, the newest first, and knows its own answer again.
    fn publishes(&self, tags: &'static [&'static str]) {
        self.answers(move |seen| {
            let etag = format!("\"{}\"", tags.join("-"));
            if seen.header("if-none-match") == etag {
                return say(304, &[("etag", &etag)], "");
            }
            let releases: Vec<Value> = tags.iter().map(|tag| release(tag, "2026-01-01T00:00:00Z")).collect();
            say(200, &[("etag", &etag)], json!(releases).to_string())
        });
    }

    fn flags<'a>(&'a self, args: &[&'a str], api: &'a str) -> Vec<&'a str> {
        [args, &["--github-api", api, "--resolve-allow", &self.server.host, "--resolve-timeout", "2s"]].concat()
    }

    fn rounds(&self, args: &[&str]) -> Printed {
        self.corner.rounds(&self.flags(args, &self.server.url("/api/v3")))
    }

    /// One round; it must have done its work.
    fn round(&self) {
        let printed = self.rounds(&["run"]);
        assert_eq!(printed.code, 0, "{printed:#?}");
    }

    fn settle(&self) -> Printed {
        kubelet::beside(&self.corner, || self.rounds(&["run", "--until-settled", "--timeout", "300s"]))
    }

    fn status(&self, name: &str) -> Value {
        status(&self.corner, name)
    }

    /// The last poll was a day ago, and nobody wants to be left alone.
    fn is_due(&self, name: &str) {
        let patch = json!({"lastPolled": "2026-01-01T00:00:00Z", "nextPoll": null, "retryAfter": null});
        self.corner.patch_status("updatechannels.k3os.io", name, &patch);
    }
}

fn status(corner: &Corner, name: &str) -> Value {
    corner.get("updatechannels.k3os.io", name)["status"].clone()
}

fn release(tag: &str, published: &str) -> Value {
    json!({"tag_name": tag, "draft": false, "prerelease": false, "published_at": published})
}

fn channel(corner: &Corner, name: &str, spec: Value) -> Value {
    let mut whole = json!({
        "url": "github-releases://kairos-io/kairos", "nodeSelector": {"matchLabels": {"corner": corner.name}},
        "rollout": {"reboot": {"readySeconds": 0}},
    });
    crate::harness::merge(&mut whole, spec);
    json!({"apiVersion": "k3os.io/v1", "kind": "UpdateChannel", "metadata": {"name": name, "namespace": corner.name}, "spec": whole})
}

fn edit(corner: &Corner, name: &str, patch: &Value) {
    corner.kubectl(&["-n", &corner.name, "patch", "updatechannels.k3os.io", name, "--type=merge", "-p", &patch.to_string()]);
}

fn condition<'s>(status: &'s Value, kind: &str) -> &'s Value {
    status["conditions"].as_array().into_iter().flatten().find(|condition| condition["type"] == kind).unwrap_or(&Value::Null)
}

/// The statuses of channels that were written, in their order.
fn written(corner: &Corner) -> Vec<Value> {
    let writes = corner.writes().into_iter();
    let of_channels = |entry: &Entry| entry.resource == "updatechannels/status" && entry.succeeded();
    writes.filter(of_channels).map(|entry| entry.body["status"].clone()).collect()
}

/// The slots that stood in any of them.
fn slots(written: &[Value]) -> Vec<BTreeSet<String>> {
    let names = |status: &Value| {
        assert_eq!(status["updating"], status["upgrading"], "{status:#}");
        status["updating"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_string()).collect()
    };
    written.iter().map(names).collect()
}

/// The reasons of the Events about a channel.
fn events(corner: &Corner, name: &str) -> Vec<String> {
    let events = corner.list("events.events.k8s.io");
    let about = events.iter().filter(|event| event["regarding"]["kind"] == "UpdateChannel" && event["regarding"]["name"] == name);
    let mut reasons: Vec<String> = about.map(|event| event["reason"].as_str().unwrap().to_string()).collect();
    reasons.sort();
    reasons
}

const IMAGE: &str = "quay.io/kairos/ubuntu:24.04-standard-amd64-generic-{{ version }}-k3sv1.33.4-k3s1";

fn k3os_node(corner: &Corner, name: &str, version: &str) -> String {
    let name = format!("{}-{name}", corner.name);
    let labels = json!({"corner": corner.name, "kubernetes.io/hostname": name, "k3os.io/mode": "local", "k3os.io/version": version});
    corner.create(&corner.node_labelled(&name, labels));
    corner.wait_ready(&name);
    name
}

#[test]
fn a_release_is_found_brought_to_the_nodes_within_slots_and_then_left_in_peace() {
    let watched = Watched::new(Corner::new("follows"));
    let corner = &watched.corner;
    let nodes = corner.nodes(4, 0);
    nodes.iter().for_each(|node| kubelet::look_at(corner, node, "v3.5.0-k3sv1.32.1-k3s1", "active"));
    // The last one runs it already.
    kubelet::look_at(corner, &nodes[3], "v3.6.0-k3sv1.33.4-k3s1", "active");
    watched.publishes(&["v3.6.0", "v3.5.0"]);
    corner.create(&channel(corner, "stable", json!({"image": IMAGE, "concurrency": 2})));

    // A plan asks nobody, unless it is to.
    let plan = watched.rounds(&["plan"]);
    assert_eq!((plan.code, watched.server.seen().len()), (2, 0), "{plan:#?}");
    let plan = watched.rounds(&["plan", "--resolve"]);
    assert!(plan.code == 2 && plan.out.contains("NodeOpUpgrade") && plan.out.contains("v3.6.0"), "{plan:#?}");
    assert_eq!(watched.server.seen().len(), 1);

    let printed = watched.settle();
    assert_eq!(printed.code, 0, "{printed:#?}");
    let status = watched.status("stable");
    assert_eq!((&status["phase"], &status["progress"], &status["latestVersion"]), (&json!("Current"), &json!("4/4"), &json!("v3.6.0")));
    assert_eq!(status["latestVersionSource"], "github-releases://kairos-io/kairos");
    assert_eq!(status["latestVersionTime"], "2026-01-01T00:00:00Z");
    assert!(status["updating"].is_null() && status["polling"].is_null(), "{status:#}");
    assert_eq!(corner.get("updatechannels.k3os.io", "stable")["spec"]["version"], Value::Null, "the spec is its author's");

    // Two at a time and never more, in the order of their names; the one that ran it was not touched.
    let holds = holds(&corner.writes());
    let mut order: Vec<&str> = holds.iter().map(|hold| hold.node.as_str()).collect();
    // The first two are taken in one round, side by side.
    order[..2].sort_unstable();
    assert_eq!((order, most_at_once(&holds)), (vec!["follows-0", "follows-1", "follows-2"], 2));
    assert_eq!(kubelet::boot_id(corner, "follows-3"), "boot-follows-3");
    let slots = slots(&written(corner));
    assert!(slots.iter().all(|slots| slots.len() <= 2) && slots.iter().any(|slots| slots.len() == 2), "{slots:?}");
    assert!(written(corner).iter().any(|status| status["polling"].as_str().is_some_and(|who| who.starts_with("rounds/"))));
    assert_all_given_back(corner);
    assert_eq!(events(corner, "stable"), ["VersionFound"]);

    // Idle rounds write nothing and ask nobody.
    let (before, asked) = (corner.writes().len(), watched.server.seen().len());
    assert_eq!(asked, 2, "{:#?}", watched.server.paths());
    for _ in 0..4 {
        watched.round();
    }
    assert_eq!(corner.writes().len(), before, "{:#?}", &corner.writes()[before..]);
    assert_eq!(watched.server.seen().len(), asked);

    // A poll that is due is one request and one write, and none follows.
    watched.is_due("stable");
    for _ in 0..3 {
        watched.round();
    }
    let seen = watched.server.seen();
    assert_eq!((seen.len(), seen[asked].header("if-none-match")), (asked + 1, "\"v3.6.0-v3.5.0\""));
    let writes = corner.writes().split_off(before);
    assert_eq!((writes.len(), writes[0].resource.as_str()), (1, "updatechannels/status"), "{writes:#?}");

    // The next release is brought to all of them; what was made for the last one follows.
    watched.publishes(&["v3.7.0", "v3.6.0"]);
    watched.is_due("stable");
    assert_eq!(watched.settle().code, 0);
    let status = watched.status("stable");
    assert_eq!((&status["latestVersion"], &status["progress"]), (&json!("v3.7.0"), &json!("4/4")), "{status:#}");
    for node in &nodes {
        assert_eq!(corner.get("node", node)["metadata"]["annotations"]["kairos.io/version"], "v3.7.0", "{node}");
    }
    let told = watched.rounds(&["status"]).out;
    assert!(told.contains("Channels") && told.contains("v3.7.0"), "{told}");
    let told = watched.rounds(&["status", "stable"]).out;
    assert!(told.contains("newest version v3.7.0") && told.contains("asked again at"), "{told}");

    // One that suddenly offers an older release is parked, and nothing is undone.
    watched.publishes(&["v3.6.0"]);
    watched.is_due("stable");
    let printed = watched.settle();
    assert_eq!(printed.code, 3, "{printed:#?}");
    let status = watched.status("stable");
    let ready = condition(&status, "Stalled");
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("True"), &json!("Downgrade")), "{status:#}");
    assert!(status["message"].as_str().unwrap().contains("older than v3.7.0"), "{status:#}");
    assert!(corner.get("nodeops.operator.kairos.io", "stable")["spec"]["image"].as_str().unwrap().contains("v3.7.0"));
    assert_all_given_back(corner);
    // Each version that was taken up, the older one as well, and that it is parked.
    assert_eq!(events(corner, "stable"), ["Downgrade", "VersionFound", "VersionFound", "VersionFound"]);
}

#[test]
fn node_1_is_not_node_10_and_a_failed_job_and_a_vanished_node_free_their_slots() {
    let watched = Watched::new(Corner::new("slots"));
    let corner = &watched.corner;
    let [one, ten, two] = ["node-1", "node-10", "node-2"].map(|name| k3os_node(corner, name, "v0.6.0"));
    corner.create(&channel(corner, "k3os", json!({"version": "v0.7.0-broken", "concurrency": 1})));
    let printed = watched.settle();
    assert_eq!(printed.code, 3, "{printed:#?}");
    let status = watched.status("k3os");
    assert_eq!((&status["phase"], &status["progress"]), (&json!("Failed"), &json!("0/3")), "{status:#}");
    assert!(status["message"].as_str().unwrap().contains("3 of 3 failed to take v0.7.0-broken"), "{status:#}");
    // Each had the one slot for itself, by its whole name.
    let mut order: Vec<BTreeSet<String>> = slots(&written(corner)).into_iter().filter(|slots| !slots.is_empty()).collect();
    order.dedup();
    assert_eq!(order, [&one, &ten, &two].map(|name| BTreeSet::from([name.clone()])));
    // It is not tried again, however often somebody looks.
    let before = corner.writes().len();
    for _ in 0..3 {
        watched.round();
    }
    assert_eq!(corner.writes().len(), before, "{:#?}", &corner.writes()[before..]);
    assert!(watched.server.seen().is_empty(), "a version that is pinned is asked of nobody");

    // Another version is another try.
    edit(corner, "k3os", &json!({"spec": {"version": "v0.7.1"}}));
    kubelet::beside(corner, || {
        let mut gone = false;
        crate::harness::wait_for("all that are left are there", std::time::Duration::from_secs(240), || {
            watched.round();
            let status = watched.status("k3os");
            if !gone && status["updating"] == json!([one]) {
                corner.kubectl(&["delete", "node", &one]);
                gone = true;
            }
            gone && status["phase"] != "Updating"
        });
    });
    let status = watched.status("k3os");
    assert_eq!(
        (&status["progress"], &status["updating"], &status["phase"]),
        (&json!("2/2"), &Value::Null, &json!("Current")),
        "{status:#}"
    );
    for node in [&ten, &two] {
        assert_eq!(kubelet::boot_id(corner, node), format!("boot-{node}-again"), "it has rebooted once");
    }
    let op = corner.get("nodeops.operator.kairos.io", "k3os-k3os");
    assert_eq!(op["spec"]["command"][4], "v0.7.1");
    let owner = &op["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["kind"], &owner["controller"]), (&json!("UpdateChannel"), &json!(true)));
    // Nobody has given the vanished node back; it holds no slot.
    let held: Vec<_> = holds(&corner.writes()).into_iter().filter(|hold| !hold.to.is_empty()).collect();
    assert_eq!(most_at_once(&held), 1);
    let slots = slots(&written(corner));
    assert!(slots.iter().all(|slots| slots.len() <= 1), "{slots:?}");
}

#[test]
fn what_the_k3os_operator_has_written_works_and_so_do_its_documents_commands() {
    let watched = Watched::new(Corner::alone("k3os-system"));
    let corner = &watched.corner;
    let node = k3os_node(corner, "21702", "v0.7.0-dweomer1");
    let path = format!("{}/tests/manifests/seeds/updatechannel-github-releases.yaml", env!("CARGO_MANIFEST_DIR"));
    let mut object = rounds::yaml::documents(&std::fs::read_to_string(path).unwrap()).unwrap().remove(0);
    object["spec"]["rollout"] = json!({"reboot": {"readySeconds": 0}});
    corner.create(&object);
    assert_eq!(watched.settle().code, 0);
    let status = watched.status("github-releases");
    assert_eq!((&status["phase"], &status["progress"]), (&json!("Current"), &json!("1/1")), "{status:#}");
    assert!(watched.server.seen().is_empty());

    // Verbatim.
    watched.publishes(&["v0.7.0-dweomer2", "v0.7.0-dweomer1"]);
    corner.kubectl(&[
        "-n",
        "k3os-system",
        "patch",
        "upchan",
        "github-releases",
        "--type=json",
        "--patch=[{\"op\":\"replace\",\"path\":\"/spec/version\",\"value\":\"latest\"}]",
    ]);
    assert_eq!(watched.settle().code, 0);
    assert_eq!(watched.server.paths(), ["/api/v3/repos/dweomer/k3os/releases?per_page=100"]);
    let described = corner.kubectl(&["-n", "k3os-system", "describe", "upchans"]);
    for line in ["k3os.io/node: k3os-21702", "wrangler.cattle.io/k3os-operator", "v0.7.0-dweomer2"] {
        assert!(described.contains(line), "{line} in\n{described}");
    }
    assert!(described.lines().any(|line| line.split_whitespace().eq(["Version:", "latest"])), "{described}");
    assert!(corner.kubectl(&["describe", "upchan", "-A"]).contains("Latest Version"));
    let command = corner.get("nodeops.operator.kairos.io", "github-releases-k3os")["spec"]["command"].clone();
    assert_eq!(command.as_array().unwrap()[3..], [json!("k3os"), json!("v0.7.0-dweomer2"), json!("github-releases://dweomer/k3os")]);
    assert_eq!(kubelet::boot_id(corner, &node), format!("boot-{node}-again"));
    assert_all_given_back(corner);

    // A finalizer that nobody is left to take off is named, and left to people.
    corner.kubectl(&["-n", "k3os-system", "delete", "upchan", "github-releases", "--wait=false"]);
    let before = corner.writes().len();
    watched.round();
    let told = watched.rounds(&["status"]).out;
    assert!(told.contains("Deleting") && told.contains("wrangler.cattle.io/k3os-operator"), "{told}");
    assert_eq!(corner.writes().len(), before);
}

#[test]
fn tags_of_a_real_registry_are_chosen_from_with_a_password_from_a_docker_configuration() {
    let watched = Watched::new(Corner::new("tags"));
    let corner = &watched.corner;
    let registry = watched._runtime.block_on(Registry::start("channel", |folder| {
        // The password is: correct
        std::fs::write(folder.join("htpasswd"), "puller:$2y$05$roundsroundsroundsroueYzxqGlC3991uEJcQ03tpDmYz/jI1yYu\n").unwrap();
        format!("auth: {{htpasswd: {{realm: private, path: {}/htpasswd}}}}", folder.display())
    }));
    k3os_node(corner, "0", "v3.699.0");
    corner.create(&channel(corner, "oci", json!({"url": registry.url(), "versionConstraint": ">=3.5 <3.700"})));
    let config = std::env::temp_dir().join(format!("rounds-docker-{}.json", std::process::id()));
    let auths = json!({"auths": {&registry.host: {"username": "puller", "password": "correct"}}});
    std::fs::write(&config, auths.to_string()).unwrap();
    let allow = ["run", "--until-settled", "--resolve-allow", &registry.host, "--insecure-registry", &registry.host];
    let printed = corner.rounds(&allow);
    assert_eq!(printed.code, 3, "{printed:#?}");
    assert_eq!(condition(&watched.status("oci"), "Polled")["reason"], "Unauthorized");
    corner.patch_status("updatechannels.k3os.io", "oci", &json!({"nextPoll": null, "retryAfter": null}));
    let printed = corner.rounds(&[&allow[..], &["--registry-config", config.to_str().unwrap()]].concat());
    std::fs::remove_file(&config).unwrap();
    assert_eq!(printed.code, 0, "{printed:#?}");
    let status = watched.status("oci");
    assert_eq!((&status["latestVersion"], &status["phase"]), (&json!("v3.699.0"), &json!("Current")), "{status:#}");
    assert!(!format!("{printed:?} {status}").contains("correct"), "{printed:#?}");
}

#[test]
fn the_staged_example_brings_a_release_to_the_canaries_first() {
    let watched = Watched::new(Corner::new("staged"));
    let corner = &watched.corner;
    let nodes = corner.nodes(3, 0);
    nodes.iter().for_each(|node| kubelet::look_at(corner, node, "v3.5.0-k3sv1.32.1-k3s1", "active"));
    corner.kubectl(&["label", "node", &nodes[0], "canary=true"]);
    #[expect(clippy::disallowed_methods, reason = "a release is young by the clock on the wall")]
    let yesterday = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24)).to_string();
    watched.answers(move |_| {
        let releases = [release("v3.6.0", &yesterday), release("v3.5.0", "2026-01-01T00:00:00Z")];
        say(200, &[], json!(releases).to_string())
    });
    let path = format!("{}/examples/updatechannel-staged.yaml", env!("CARGO_MANIFEST_DIR"));
    let objects = rounds::yaml::documents(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(objects.len(), 2);
    for mut object in objects {
        object["metadata"]["namespace"] = json!(corner.name);
        object["spec"]["nodeSelector"]["matchLabels"]["corner"] = json!(corner.name);
        object["spec"]["rollout"]["reboot"] = json!({"readySeconds": 0});
        object["spec"]["rollout"].as_object_mut().unwrap().remove("windows");
        corner.create(&object);
    }
    assert_eq!(watched.settle().code, 0);
    let runs = |node: &String| corner.get("node", node)["metadata"]["annotations"]["kairos.io/version"].clone();
    assert_eq!(nodes.iter().map(runs).collect::<Vec<_>>(), ["v3.6.0", "v3.5.0", "v3.5.0"]);
    let rest = watched.status("releases-fleet");
    assert!(condition(&rest, "Polled")["message"].as_str().unwrap().contains("younger than minAge"), "{rest:#}");
    assert_eq!(rest["latestVersion"], "v3.5.0");
}
