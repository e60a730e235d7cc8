//! What both the fuzzer and `tests/it/mutations.rs` do with bytes: what `rounds plan --offline` does with a file of them.

use jiff::Timestamp;
use rounds::decide::decide;
use rounds::report::{diff, plan_text};
use rounds::settings::Settings;
use rounds::snapshot::manifests::{Source, load};

/// Something to decide about, whatever the bytes say.
const NODES: &str = "apiVersion: v1
kind: NodeList
items:
- {metadata: {name: n1, labels: {kairos.io/managed: 'true', node-role.kubernetes.io/control-plane: ''}}}
- {metadata: {name: n2}, spec: {unschedulable: true}}
";

/// Loads a manifest, and decides and prints what follows from it. Nothing may panic, and every mistake says where it is.
pub fn take(bytes: &[u8]) {
    // A file that is no text is refused when it is read.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let now = Timestamp::from_second(1_795_237_690).unwrap_or_default();
    let source = |path: &str, text: &str| Source { path: path.into(), text: text.into() };
    let loaded = match load(&[source("fuzzed.yaml", text), source("nodes.yaml", NODES)], now) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            assert!(!mistakes.is_empty(), "refused, and nothing is said");
            mistakes.iter().for_each(|mistake| has_its_place(mistake));
            return;
        }
    };
    let plan = decide(&loaded.snapshot, &Settings::default());
    assert_eq!(plan, decide(&loaded.snapshot, &Settings::default()), "the same manifest gives two plans");
    let _ = (plan_text::render(&plan), plan_text::json(&plan));
    let _ = (diff::unified(&loaded.snapshot, &plan), diff::json_patches(&loaded.snapshot, &plan));
}

/// `<file>:<line>…`, and it is a line, not a page.
fn has_its_place(mistake: &str) {
    let rest = mistake.strip_prefix("fuzzed.yaml:").or_else(|| mistake.strip_prefix("nodes.yaml:"));
    assert!(rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())), "without a place: {mistake}");
    assert!(mistake.chars().count() < 2000, "{} characters: {mistake:.200}", mistake.chars().count());
}
