//! Metrics, as they are scraped from a loop and as they stand in a file, read by another project's parser.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use openmetrics_parser::openmetrics::parse_openmetrics;
use openmetrics_parser::prometheus::parse_prometheus;
use serde_json::json;

use crate::harness::{Corner, wait_for};

/// A loop that answers on an address of its own.
struct Loop {
    child: Child,
    address: SocketAddr,
}

impl Loop {
    fn start(corner: &Corner) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let args = ["run", "--loop", "1s", "--metrics-address", &address.to_string()];
        Self { child: corner.command(&args).spawn().expect("the binary starts"), address }
    }

    /// Sends a request as it is; what comes back, if anything does.
    fn send(&self, request: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Status line, headers and body of an answer.
    fn get(&self, path: &str) -> Option<(String, String)> {
        let answer = self.send(&format!("GET {path} HTTP/1.1\r\nHost: rounds\r\nAccept: application/openmetrics-text\r\n\r\n"))?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.to_string(), body.to_string()))
    }

    fn scrape(&self) -> Samples {
        let (head, body) = self.get("/metrics").unwrap_or_default();
        if body.is_empty() {
            return Samples::default();
        }
        assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
        Samples::open_metrics(&body)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Name, labels, value.
type Sample = (String, Vec<(String, String)>, f64);

/// What was told.
#[derive(Debug, Default)]
struct Samples(Vec<Sample>);

impl Samples {
    fn open_metrics(text: &str) -> Self {
        let exposition = parse_openmetrics(text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
        let mut all = Vec::new();
        for (name, family) in &exposition.families {
            for sample in family.iter_samples() {
                let labels = sample.get_labelset().unwrap().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                let value = match &sample.value {
                    openmetrics_parser::OpenMetricsValue::Gauge(value) => value.as_f64(),
                    openmetrics_parser::OpenMetricsValue::Counter(counter) => counter.value.as_f64(),
                    other => panic!("{name} is {other:?}"),
                };
                all.push((name.clone(), labels, value));
            }
        }
        Self(all)
    }

    /// What the parser of the older format, that of text files, makes of it.
    fn of_file(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let exposition = parse_prometheus(&text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
        let mut all = Vec::new();
        for (name, family) in &exposition.families {
            for sample in family.iter_samples() {
                let labels = sample.get_labelset().unwrap().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                let openmetrics_parser::PrometheusValue::Gauge(value) = &sample.value else { panic!("{name} is no gauge") };
                all.push((name.clone(), labels, value.as_f64()));
            }
        }
        Self(all)
    }

    /// The only sample of a name with these labels.
    fn value(&self, name: &str, wanted: &[(&str, &str)]) -> Option<f64> {
        let has = |labels: &[(String, String)]| wanted.iter().all(|(key, value)| labels.iter().any(|(k, v)| k == key && v == value));
        let mut found = self.0.iter().filter(|(of, labels, _)| of == name && has(labels)).map(|(_, _, value)| *value);
        let first = found.next();
        assert!(found.next().is_none(), "{name} {wanted:?} is not one sample: {self:#?}");
        first
    }
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("rounds-metrics-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn a_loop_tells_who_blocks_for_how_long_until_it_is_done() {
    let corner = Corner::new("metrics");
    corner.nodes(1, 0);
    corner.create(&corner.deployment("web", 1, json!({})));
    corner.create(&corner.budget("strict", "web", 0));
    corner.wait_for_pods("app=web", 1);
    corner.wait_for_budget("strict");
    let mut run = Loop::start(&corner);
    let code = |path: &str| run.get(path).map(|(head, _)| head.split(' ').nth(1).unwrap_or_default().to_string());
    wait_for("it is ready", Duration::from_secs(30), || code("/readyz").as_deref() == Some("200"));
    corner.create(&corner.nodeop("op", json!({"cordon": true, "drainOptions": {"enabled": true, "timeoutSeconds": 0}})));

    let of = [("kind", "NodeOp"), ("namespace", "metrics"), ("name", "op")];
    let with = |more: &[(&'static str, &'static str)]| [&of[..], more].concat();
    let blocked = || {
        let labels = with(&[("node", "metrics-0"), ("reason", "DrainBlocked")]);
        run.scrape().value("rounds_node_blocked_seconds", &labels)
    };
    wait_for("the drain is blocked", Duration::from_secs(60), || blocked().is_some());
    let first = blocked().unwrap();
    wait_for("the blocked seconds grow", Duration::from_secs(30), || blocked().is_some_and(|now| now >= first + 2.0));
    let samples = run.scrape();
    assert_eq!(samples.value("rounds_nodes", &with(&[("state", "Draining"), ("reason", "DrainBlocked")])), Some(1.0));
    assert_eq!(samples.value("rounds_resource_phase", &with(&[("phase", "Running")])), Some(1.0));
    assert_eq!(samples.value("rounds_warnings", &[]), Some(0.0));

    corner.kubectl(&["-n", "metrics", "patch", "pdb", "strict", "--type=merge", "-p", r#"{"spec":{"maxUnavailable":1}}"#]);
    wait_for("it is done", Duration::from_secs(60), || {
        run.scrape().value("rounds_nodes", &with(&[("state", "Completed"), ("reason", "Succeeded")])) == Some(1.0)
    });
    let samples = run.scrape();
    assert_eq!(samples.value("rounds_node_blocked_seconds", &of), None);
    assert_eq!(samples.value("rounds_resource_phase", &with(&[("phase", "Completed")])), Some(1.0));
    assert_eq!(samples.value("rounds_resource_phase", &with(&[("phase", "Running")])), Some(0.0));
    assert_eq!(samples.value("rounds_last_round_success", &[]), Some(1.0));
    assert!(samples.value("rounds_rounds", &[("outcome", "success")]).unwrap() > 2.0, "{samples:#?}");
    assert_eq!(samples.value("rounds_rounds", &[("outcome", "failure")]), Some(0.0));

    assert_eq!(code("/healthz").as_deref(), Some("200"));
    assert_eq!(code("/").as_deref(), Some("404"));
    let refused = run.send("POST /metrics HTTP/1.1\r\nHost: rounds\r\nContent-Length: 1000000\r\n\r\n").unwrap();
    assert!(refused.starts_with("HTTP/1.1 405 "), "{refused}");
    // Who asks for nothing, or for too much, is not waited for.
    let slow = run.send("GET /metrics HTTP/1.1\r\n").unwrap_or_default();
    assert!(!slow.contains(" 200 "), "{slow}");
    let large = run.send(&format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000))).unwrap_or_default();
    assert!(!large.contains(" 200 "), "{large}");

    // A connection that is open keeps nobody from stopping.
    let _open = TcpStream::connect(run.address).unwrap();
    let pid = run.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(run.child.wait().unwrap().code(), Some(0));
    assert!(TcpStream::connect(run.address).is_err(), "nobody answers any more");
}

#[test]
fn a_file_is_written_after_each_round_also_after_one_that_failed() {
    let corner = Corner::new("textfile");
    corner.nodes(2, 0);
    let folder = folder("textfile");
    let path = folder.join("rounds.prom");
    let file = path.to_str().unwrap();
    corner.create(&corner.nodeop("op", json!({"concurrency": 1, "rollout": {"suspend": true}})));
    // What anybody wrote into a status.
    let gone =
        json!({"phase": "Failed", "reason": "x\"} 1\nrounds_forged{x=\"", "message": "m\n\"", "lastUpdated": "2026-11-21T05:57:00Z"});
    let status = json!({"status": {"phase": "Running", "nodeStatuses": {"evil\"} 1\nrounds_forged 1": gone}}}).to_string();
    let args = ["-n", "textfile", "patch", "nodeops.operator.kairos.io", "op", "--subresource=status", "--type=merge", "-p", &status];
    corner.kubectl(&args);
    let printed = corner.rounds(&["run", "--metrics-file", file]);
    assert_eq!(printed.code, 0, "{printed:#?}");
    let samples = Samples::of_file(&path);
    let of = [("kind", "NodeOp"), ("namespace", "textfile"), ("name", "op")];
    let waiting = [&of[..], &[("state", "Waiting"), ("reason", "Suspended")]].concat();
    assert_eq!(samples.value("rounds_nodes", &waiting), Some(2.0), "{samples:#?}");
    assert!(!samples.0.iter().any(|(name, ..)| name.contains("forged")), "{samples:#?}");
    assert_eq!(samples.value("rounds_actions", &[("verb", "status"), ("verdict", "done")]), Some(1.0), "{samples:#?}");
    let at = samples.value("rounds_last_round_timestamp_seconds", &[]).unwrap();
    assert!(samples.value("rounds_round_duration_seconds", &[]).unwrap() > 0.0);

    let nowhere = folder.join("nowhere").to_string_lossy().into_owned();
    let printed = corner.rounds(&["run", "--metrics-file", file, "--kubeconfig", &nowhere]);
    assert_eq!(printed.code, 1, "{printed:#?}");
    let samples = Samples::of_file(&path);
    assert_eq!(samples.value("rounds_last_round_success", &[]), Some(0.0));
    assert_eq!(samples.value("rounds_last_round_timestamp_seconds", &[]), Some(at));

    // An apiserver that is not there: the round itself comes to nothing.
    let text = std::fs::read_to_string(&corner.kubeconfig).unwrap();
    let mut config: serde_json::Value = rounds::yaml::from_str(&text).unwrap();
    config["clusters"][0]["cluster"]["server"] = json!("https://127.0.0.1:1");
    std::fs::write(&nowhere, config.to_string()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let printed = corner.rounds(&["run", "--metrics-file", file, "--kubeconfig", &nowhere]);
    assert_eq!(printed.code, 1, "{printed:#?}");
    assert_eq!(Samples::of_file(&path).value("rounds_last_round_success", &[]), Some(0.0));

    let printed = corner.rounds(&["run", "--metrics-file", &format!("{file}/no/such/folder")]);
    assert!(printed.code == 1 && printed.err.contains("cannot be written"), "{printed:#?}");
    std::fs::remove_dir_all(folder).unwrap();
}
