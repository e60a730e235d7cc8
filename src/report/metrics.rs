//! Where things stand, for Prometheus: the last round as gauges and, where rounds follow each other in one process, how many
//! there were. In the OpenMetrics text format, which node-exporter's textfile collector reads as well.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge};
use prometheus_client::registry::Registry;

use super::paint::Tone;
use super::status::{has_failed, operations, upgrades};
use super::{artifact, channel};
use crate::nodeop::api::{NodeOpStatus, NodeStatus};
use crate::plan::Decision;
use crate::reason::Reason;
use crate::round::{Round, RoundError};

/// The content type of what [`Metrics::text`] renders.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The name that all metrics begin with.
const PREFIX: &str = "rounds";
/// The one that is read again: a process that comes to nothing keeps what the last one told.
const LAST_ROUND: &str = "last_round_timestamp_seconds";

/// Phases by kind. Each has a series, 1 or 0, so that a phase that is over is told to be over.
const PHASES: [(&str, &[&str]); 4] = [
    ("NodeOp", &["Pending", "Running", "Completed", "Failed"]),
    ("NodeOpUpgrade", &["Initializing", "Pending", "Running", "Completed", "Failed"]),
    ("OSArtifact", &["Pending", "Building", "Exporting", "Ready", "Error"]),
    ("UpdateChannel", &["Pending", "Polling", "Updating", "Current", "Failed"]),
];

/// What is told.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Rounds that did their work, and rounds that could not; None: they are not counted.
    rounds: Option<(u64, u64)>,
    /// Whether the last round did its work.
    succeeded: bool,
    /// When the last round that did its work saw the cluster.
    last_round: Option<f64>,
    /// What that round saw and did.
    gauges: Vec<Gauge>,
}

/// One metric, and its samples.
#[derive(Clone, Debug)]
struct Gauge {
    name: &'static str,
    help: &'static str,
    samples: Vec<(Labels, f64)>,
}

type Labels = Vec<(&'static str, String)>;

impl Metrics {
    /// Before the first round. What one process counts says something only where that process lives on.
    pub fn new(counted: bool) -> Self {
        Self { rounds: counted.then_some((0, 0)), ..Self::default() }
    }

    /// The same, knowing what an earlier process told.
    pub fn after(self, earlier: &str) -> Self {
        let value = |line: &str| line.strip_prefix(PREFIX)?.strip_prefix('_')?.strip_prefix(LAST_ROUND)?.trim().parse().ok();
        Self { last_round: self.last_round.or_else(|| earlier.lines().find_map(value)), ..self }
    }

    /// Adds a round. One that could not do its work leaves standing what the last one saw: how old that is, is told.
    pub fn add(&mut self, result: &Result<Round, RoundError>) {
        match result {
            Ok(round) => {
                self.last_round = Some(seconds(round.snapshot.now));
                self.gauges = gauges(round);
                self.succeeded = true;
            }
            // A wish to stop is nobody's failure.
            Err(RoundError::Stopped) => return,
            Err(_) => self.succeeded = false,
        }
        if let Some((done, failed)) = &mut self.rounds {
            *(if self.succeeded { done } else { failed }) += 1;
        }
    }

    /// Adds that no round came about at all.
    pub fn fail(&mut self) {
        self.succeeded = false;
        if let Some((_, failed)) = &mut self.rounds {
            *failed += 1;
        }
    }

    /// All of it as text.
    pub fn text(&self) -> String {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        // Writing into a String does not fail.
        let _ = text::encode(&mut text, &registry);
        text
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let one = |name, help, value| Gauge { name, help, samples: vec![(Labels::new(), value)] };
        let mut gauges = vec![one("last_round_success", "Whether the last round could do its work.", f64::from(u8::from(self.succeeded)))];
        gauges.extend(self.last_round.map(|at| one(LAST_ROUND, "When the last round that did its work saw the cluster.", at)));
        for gauge in gauges.iter().chain(&self.gauges).filter(|gauge| !gauge.samples.is_empty()) {
            let mut family = encoder.encode_descriptor(gauge.name, gauge.help, None, MetricType::Gauge)?;
            if let [(labels, value)] = &gauge.samples[..]
                && labels.is_empty()
            {
                ConstGauge::new(*value).encode(family)?;
                continue;
            }
            for (labels, value) in &gauge.samples {
                ConstGauge::new(*value).encode(family.encode_family(labels)?)?;
            }
        }
        let Some((done, failed)) = self.rounds else { return Ok(()) };
        let help = "Rounds of this process, by whether they could do their work.";
        let mut family = encoder.encode_descriptor("rounds", help, None, MetricType::Counter)?;
        for (outcome, number) in [("success", done), ("failure", failed)] {
            ConstCounter::new(number).encode(family.encode_family(&[("outcome", outcome)])?)?;
        }
        Ok(())
    }
}

/// What one round saw and did.
fn gauges(round: &Round) -> Vec<Gauge> {
    let mut phases = Vec::new();
    let mut nodes = Vec::new();
    let mut blocked = Vec::new();
    for (decision, status) in operations(round) {
        phases.extend(phase(decision, status.phase));
        nodes.extend(counts(decision, &status));
        blocked.extend(waits(round, decision, &status));
    }
    upgrades(round).for_each(|(decision, status)| phases.extend(phase(decision, status.phase)));
    artifact::decisions(round).for_each(|(decision, status)| phases.extend(phase(decision, status.phase)));
    channel::decisions(round).for_each(|(decision, status)| phases.extend(phase(decision, status.phase)));
    let failed = round.plan.decisions.iter().filter(|decision| decision.failed);
    let failed = failed.map(|decision| (resource(decision, &[("reason", decision.reason.code())]), 1.0)).collect();
    let warnings = number(round.warnings().len() + round.denied.len());
    vec![
        Gauge {
            name: "round_duration_seconds",
            help: "How long the last round that did its work took.",
            samples: vec![(Labels::new(), round.took.as_secs_f64())],
        },
        Gauge {
            name: "warnings",
            help: "What kept the last round from doing all of its work: older definitions, missing permissions.",
            samples: vec![(Labels::new(), warnings)],
        },
        Gauge { name: "actions", help: "Writes of the last round, by what became of them.", samples: actions(round) },
        Gauge { name: "resource_phase", help: "The phase of a resource: 1 for the one that it is in.", samples: phases },
        Gauge { name: "resource_failed", help: "Resources of which something failed or that cannot go on.", samples: failed },
        Gauge { name: "nodes", help: "Nodes of an operation by state and reason; Waiting: not started.", samples: nodes },
        Gauge {
            name: "node_blocked_seconds",
            help: "For how long a node in flight waits for something that somebody may have to do.",
            samples: blocked,
        },
    ]
}

fn phase(decision: &Decision, present: Option<impl Debug>) -> Vec<(Labels, f64)> {
    let present = present.map(|phase| format!("{phase:?}")).unwrap_or_default();
    let phases = PHASES.iter().find(|(kind, _)| *kind == decision.subject.kind).map_or(&[][..], |(_, phases)| phases);
    phases.iter().map(|phase| (resource(decision, &[("phase", phase)]), f64::from(u8::from(*phase == present)))).collect()
}

/// Nodes by state and reason, those included that the selector matches no longer and that are in flight, or failed.
fn counts(decision: &Decision, status: &NodeOpStatus) -> Vec<(Labels, f64)> {
    let mut numbers: BTreeMap<(String, String), usize> = BTreeMap::new();
    let targeted = decision.nodes.iter().map(|(name, why)| (status.of(name), why.reason.code()));
    let left = status.node_statuses.iter().filter(|(name, entry)| !decision.nodes.contains_key(&***name) && is_told(entry));
    // Anybody may have written it: only what is a reason becomes a series.
    let reason = |entry: &NodeStatus| entry.reason.as_deref().and_then(Reason::parse).map_or("", Reason::code);
    let left = left.map(|(_, entry)| (Some(&**entry), reason(entry)));
    for (entry, reason) in targeted.chain(left) {
        *numbers.entry((state(entry), reason.to_string())).or_default() += 1;
    }
    let sample = |((state, reason), nodes): ((String, String), usize)| {
        (resource(decision, &[("state", &state), ("reason", &reason)]), number(nodes))
    };
    numbers.into_iter().map(sample).collect()
}

fn is_told(entry: &NodeStatus) -> bool {
    entry.step.is_some() || has_failed(entry)
}

/// The step of a node in flight, else its phase; Waiting for one that was not taken.
fn state(entry: Option<&NodeStatus>) -> String {
    let Some(entry) = entry else { return "Waiting".into() };
    entry.step.map_or_else(|| format!("{:?}", entry.phase), |step| format!("{step:?}"))
}

/// The nodes in flight that wait for somebody, and since when. Who was not taken yet waits for those, and is counted only.
fn waits(round: &Round, decision: &Decision, status: &NodeOpStatus) -> Vec<(Labels, f64)> {
    let waiting = decision.nodes.iter().filter(|(_, why)| Tone::of(why.reason) == Tone::Wait);
    let since = waiting.filter_map(|(name, why)| {
        let entry = status.of(name).filter(|entry| entry.step.is_some())?;
        let since = seconds(entry.reason_since.as_ref()?.0);
        let labels = resource(decision, &[("node", name), ("reason", why.reason.code())]);
        Some((labels, (seconds(round.snapshot.now) - since).max(0.0)))
    });
    since.collect()
}

fn actions(round: &Round) -> Vec<(Labels, f64)> {
    let mut numbers: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for action in &round.outcome.actions {
        *numbers.entry((action.verb, action.verdict.word())).or_default() += 1;
    }
    let labels = |verb: &str, verdict: &str| vec![("verb", verb.to_string()), ("verdict", verdict.to_string())];
    numbers.into_iter().map(|((verb, verdict), writes)| (labels(verb, verdict), number(writes))).collect()
}

/// What a resource is called, and more.
fn resource(decision: &Decision, more: &[(&'static str, &str)]) -> Labels {
    let of = &decision.subject;
    let who = [("kind", of.kind.as_str()), ("namespace", of.namespace.as_str()), ("name", of.name.as_str())];
    who.iter().chain(more).map(|(key, value)| (*key, (*value).to_string())).collect()
}

fn seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use openmetrics_parser::openmetrics::parse_openmetrics;
    use openmetrics_parser::prometheus::parse_prometheus;

    use super::*;
    use crate::nodeop::api::NodeStep;
    use crate::outcome::{ActionOutcome, Verdict};
    use crate::plan::{Document, NodeReason};
    use crate::report::cases;
    use crate::snapshot::Reference;

    fn told(round: Round) -> String {
        let mut metrics = Metrics::new(false);
        metrics.add(&Ok(round));
        metrics.text()
    }

    #[test]
    fn a_round_is_told_in_a_fixed_order_and_both_parsers_read_it() {
        let mut round = cases::planned();
        round.took = Duration::from_millis(1500);
        let one = |verb, verdict| ActionOutcome {
            on_behalf_of: Reference::default(),
            target: Reference::default(),
            verb,
            action: "x".into(),
            verdict,
        };
        round.outcome.actions = vec![one("lock", Verdict::Done), one("evict", Verdict::Blocked("b".into())), one("lock", Verdict::Done)];
        let text = told(round);
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "rounds_last_round_success 1.0",
                "rounds_last_round_timestamp_seconds 1795240800.0",
                "rounds_round_duration_seconds 1.5",
                "rounds_warnings 0.0",
                r#"rounds_actions{verb="evict",verdict="blocked"} 1.0"#,
                r#"rounds_actions{verb="lock",verdict="done"} 2.0"#,
                r#"rounds_resource_phase{kind="NodeOp",namespace="default",name="op",phase="Pending"} 0.0"#,
                r#"rounds_resource_phase{kind="NodeOp",namespace="default",name="op",phase="Running"} 1.0"#,
                r#"rounds_resource_phase{kind="NodeOp",namespace="default",name="op",phase="Completed"} 0.0"#,
                r#"rounds_resource_phase{kind="NodeOp",namespace="default",name="op",phase="Failed"} 0.0"#,
                r#"rounds_resource_failed{kind="NodeOp",namespace="default",name="op",reason="Progressing"} 1.0"#,
                r#"rounds_nodes{kind="NodeOp",namespace="default",name="op",state="Failed",reason="CommandFailed"} 1.0"#,
                r#"rounds_nodes{kind="NodeOp",namespace="default",name="op",state="Locking",reason="Locking"} 1.0"#,
                r#"rounds_nodes{kind="NodeOp",namespace="default",name="op",state="Waiting",reason="WaitingForSlot"} 2.0"#,
            ]
        );
        assert!(text.ends_with("# EOF\n"), "{text}");
        parse_openmetrics(&text).unwrap();
        parse_prometheus(&text).unwrap();
    }

    #[test]
    fn who_waits_for_somebody_is_told_with_the_time_and_hostile_names_stay_labels() {
        const NODE: &str = "n\"} 1\nrounds_up{x=\"\\";
        let mut round = cases::planned();
        let decision = &mut round.plan.decisions[0];
        let entry = NodeStatus {
            step: Some(NodeStep::Draining),
            reason_since: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time("2026-11-21T05:58:30Z".parse().unwrap())),
            ..NodeStatus::default()
        };
        let status = NodeOpStatus { node_statuses: Arc::new([(NODE.into(), Arc::new(entry))].into()), ..NodeOpStatus::default() };
        decision.status.as_mut().unwrap().status = Document::of(status);
        decision.nodes = [(NODE.to_string(), NodeReason::new(Reason::DrainBlocked, ""))].into();
        let text = told(round);
        let exposition = parse_openmetrics(&text).unwrap();
        let family = &exposition.families["rounds_node_blocked_seconds"];
        let samples: Vec<_> = family.iter_samples().collect();
        assert_eq!(samples.len(), 1);
        assert_eq!(samples[0].get_labelset().unwrap().get_label_value("node"), Some(NODE), "{text}");
        assert!(text.contains(r#"reason="DrainBlocked"} 90.0"#), "{text}");
        assert!(!exposition.families.contains_key("rounds_up"));
    }

    #[test]
    fn a_round_that_failed_leaves_standing_what_the_last_one_told_and_counts() {
        let mut metrics = Metrics::new(true).after("# HELP x\nrounds_last_round_timestamp_seconds 17.5\n");
        metrics.fail();
        assert!(metrics.text().contains("\nrounds_last_round_timestamp_seconds 17.5\n"), "{}", metrics.text());
        metrics.add(&Ok(cases::planned()));
        let other = RoundError::OtherOperator { namespace: "ops".into(), holder: "op".into() };
        metrics.add(&Err(other));
        metrics.add(&Err(RoundError::Stopped));
        let text = metrics.text();
        for line in [
            "rounds_last_round_success 0.0",
            "rounds_last_round_timestamp_seconds 1795240800.0",
            r#"rounds_resource_phase{kind="NodeOp",namespace="default",name="op",phase="Running"} 1.0"#,
            r#"rounds_rounds_total{outcome="success"} 1"#,
            r#"rounds_rounds_total{outcome="failure"} 2"#,
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
        }
        parse_openmetrics(&text).unwrap();
        assert!(!Metrics::new(false).text().contains("rounds_rounds_total"));
    }
}
