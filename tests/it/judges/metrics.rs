//! What Rounds tells Prometheus, read by Prometheus' own parsers, and by the one of the node exporter.

use std::collections::BTreeSet;

use serde_json::json;

use super::{ask, root, told};
use crate::harness::Corner;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

#[test]
fn prometheus_reads_the_textfile_and_knows_every_metric_of_the_alert_rules() {
    let corner = Corner::new("metered");
    corner.nodes(2, 0);
    corner.create(&corner.nodeop("op", json!({"command": ["fail", "\"quoted\"\n{x=\"y\"} 1"], "backoffLimit": 0, "stopOnFailure": true})));
    let file = std::env::temp_dir().join(format!("rounds-judged-{}.prom", std::process::id()));
    let printed = corner.rounds(&["run", "--until-settled", "--timeout", "120s", "--metrics-file", file.to_str().unwrap()]);
    assert_eq!(printed.code, 3, "{printed:#?}");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();

    let series = told("judge", &["metrics"], &text);
    assert_eq!(told("judge", &["metrics", OPEN_METRICS], &text), series);
    let failed = r#"{__name__="rounds_resource_phase", kind="NodeOp", name="op", namespace="metered", phase="Failed"} 1"#;
    assert!(series.lines().any(|line| line == failed), "{series}");
    assert!(!ask("judge", &["metrics"], &text.replace("phase=\"Failed\"", "phase=\"Failed")).status.success(), "it takes anything");

    let rules = std::fs::read_to_string(root().join("docs/alerts.yaml")).unwrap();
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let words = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("rounds_"));
        words.map(String::from).collect()
    };
    let unknown: Vec<String> = words(&rules).difference(&words(&readme)).cloned().collect();
    assert!(unknown.is_empty() && words(&rules).len() >= 5, "{unknown:?}");
}
