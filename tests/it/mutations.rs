//! The manifest loader on manifests that nobody meant: those of `tests/manifests/`, mutated a few thousand times from fixed
//! seeds, and the classic bombs. The fuzzer (`make fuzz`) goes on from here.

use std::path::Path;
use std::time::Duration;

#[path = "../../fuzz/entry.rs"]
mod entry;

/// How many manifests are made.
const MUTANTS: u64 = 4000;
/// What one of them may take of a processor, without optimisation.
const LIMIT: Duration = Duration::from_secs(10);

/// How long this thread has been on a processor: the machine may be busy with the other tests.
fn worked() -> Duration {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells how long a thread has run");
    Duration::from_nanos(times.split(' ').next().and_then(|time| time.parse().ok()).expect("nanoseconds"))
}

/// What is put in between: what YAML, or our fields, take in a special way.
const TOKENS: &[&str] = &[
    "---\n",
    "...\n",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "!!int ",
    "!include /etc/hostname",
    "? ",
    "|\n",
    ">-\n",
    "\t",
    "- ",
    ": ",
    "#",
    "'",
    "\"",
    "\\",
    "%YAML 1.1\n",
    "null",
    "~",
    "-1",
    "9223372036854775807",
    "99999999999999999999",
    "1e999",
    ".inf",
    ".nan",
    "0o17",
    "0644",
    "2026-11-21T05:08:10Z",
    "9999-12-31T23:59:59Z",
    "-9999-01-01T00:00:00Z",
    "\u{0}",
    "\u{1b}[2J",
    "\u{202e}",
    "\u{feff}",
    "👩‍🚀",
    "é",
    "\r\n",
    "kind: NodeOp\n",
    "kind: List\n",
    "items: []\n",
    "  status: {}\n",
    "metadata: {name: n1}\n",
    "status: {run: 9223372036854775807, specHash: x}\n",
];

/// A generator of numbers (splitmix64): the same seed gives the same manifests everywhere.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap()
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["tests/manifests/seeds", "tests/manifests/valid", "tests/manifests/invalid", "examples"] {
        files.extend(std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path()));
    }
    files.sort();
    files.into_iter().filter(|path| path.is_file()).map(|path| std::fs::read(path).unwrap()).collect()
}

fn mutant(corpus: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = corpus[numbers.below(corpus.len())].clone();
    for _ in 0..=numbers.below(4) {
        let (at, to) = (numbers.below(bytes.len()), numbers.below(bytes.len()));
        let range = at.min(to)..at.max(to).min(at.min(to) + 60).min(bytes.len());
        match numbers.below(6) {
            0 if at < bytes.len() => bytes[at] = u8::try_from(numbers.below(256)).unwrap(),
            1 => drop(bytes.drain(range)),
            2 => {
                let again = bytes[range.clone()].to_vec();
                bytes.splice(range.start..range.start, again);
            }
            3 => {
                let other = &corpus[numbers.below(corpus.len())];
                let from = numbers.below(other.len());
                bytes.splice(at..at, other[from..other.len().min(from + 80)].iter().copied());
            }
            _ => drop(bytes.splice(at..at, TOKENS[numbers.below(TOKENS.len())].bytes())),
        }
    }
    bytes
}

/// Takes a manifest within the limit, and says which it was if it does not go well.
fn take(what: &str, bytes: &[u8]) {
    let begun = worked();
    let end = std::panic::catch_unwind(|| entry::take(bytes));
    assert!(end.is_ok(), "{what}: {:.4000}", String::from_utf8_lossy(bytes));
    let took = worked().saturating_sub(begun);
    assert!(took < LIMIT, "{what} took {took:?}");
}

#[test]
fn no_mutant_of_a_manifest_panics_hangs_or_fails_without_saying_where() {
    let corpus = corpus();
    assert!(corpus.len() > 60, "only {} manifests", corpus.len());
    for (index, manifest) in corpus.iter().enumerate() {
        take(&format!("manifest {index}"), manifest);
    }
    for seed in 0..MUTANTS {
        take(&format!("seed {seed}"), &mutant(&corpus, &mut Numbers(seed)));
    }
}

const OP: &str = "apiVersion: operator.kairos.io/v1alpha1\nkind: NodeOp\nmetadata: {name: op}\n";

#[test]
fn bombs_are_refused_or_read_in_bounded_time() {
    let repeat = |text: &str, times: usize| text.repeat(times);
    let aliases = (1..12).fold("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_string(), |bomb, level| {
        let last = level - 1;
        format!("{bomb}a{level}: &a{level} [{}]\n", vec![format!("*a{last}"); 10].join(", "))
    });
    let merges = (1..40).fold("a0: &a0 {k: v}\n".to_string(), |bomb, level| {
        let last = level - 1;
        format!("{bomb}a{level}: &a{level} {{<<: *a{last}, x{level}: *a{last}, y{level}: *a{last}}}\n")
    });
    let fields: String = (0..20_000).map(|index| format!("  field{index}: {index}\n")).collect();
    let bad = format!("- {}", OP.trim_end().replace('\n', "\n  "));
    for (name, text) in [
        ("aliases", aliases),
        ("merges", merges),
        ("an alias of itself", "a: &a [*a]\n".into()),
        ("deep flow", format!("{OP}spec: {}", repeat("[", 100_000))),
        ("deep flow, closed", format!("{OP}spec: {}{}", repeat("[", 1_500), repeat("]", 1_500))),
        ("deep mappings", format!("{OP}spec: {}{}", repeat("{a: ", 1_500), repeat("}", 1_500))),
        ("deep JSON", format!("{}{}", repeat("{\"a\":", 5_000), repeat("}", 5_000))),
        ("deep blocks", (0..1_500).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect()),
        ("lists in lists", format!("{}{}", repeat("{kind: List, items: [", 400), repeat("]}", 400))),
        ("a huge text", format!("{OP}spec: {{command: [{:?}]}}\n", repeat("x", 4 << 20))),
        ("a huge key", format!("{OP}spec:\n  {}: 1\n", repeat("k", 500_000))),
        ("a huge word of few", format!("{OP}spec: {{command: [x], rollout: {{runPolicy: {}}}}}\n", repeat("o", 500_000))),
        ("a huge name", format!("apiVersion: v1\nkind: Node\nmetadata: {{name: {}}}\n", repeat("n", 500_000))),
        ("many unknown fields", format!("{OP}spec:\n{fields}")),
        ("many bad objects", format!("kind: List\nitems:\n{}", repeat(&format!("{bad}\n"), 3_000))),
        ("many documents", repeat(&format!("---\n{OP}spec: {{command: 7}}\n"), 3_000)),
        ("only separators", repeat("---\n", 100_000)),
        ("only colons", repeat(": ", 100_000)),
        ("only question marks", repeat("? ", 50_000)),
        ("numbers without end", format!("{OP}spec: {{command: [x], concurrency: {}}}\n", repeat("9", 100_000))),
    ] {
        println!("{name}");
        take(name, text.as_bytes());
    }
}

#[test]
fn no_other_file_and_no_environment_gets_into_a_manifest() {
    let source = |text: &str| rounds::snapshot::manifests::Source { path: "a.yaml".into(), text: text.into() };
    let nodes = "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n";
    for word in [
        "!include /etc/hostname",
        "!include '/etc/passwd'",
        "${HOME}",
        "${CARGO_MANIFEST_DIR}",
        "!ENV HOME",
        "!!python/object:os.system ls",
    ] {
        let text = format!("{OP}spec:\n  command:\n  - x\n  - {word}\n---\n{nodes}");
        let Ok(loaded) = rounds::snapshot::manifests::load(&[source(&text)], jiff::Timestamp::UNIX_EPOCH) else { continue };
        let command = &loaded.snapshot.nodeops[0].spec.command;
        let literal = word.rsplit_once(' ').map_or(word, |(_, rest)| rest).trim_matches('\'');
        assert!(command[1].is_empty() || word.contains(&command[1]) && command[1].contains(literal), "{word} became {:?}", command[1]);
    }
}
