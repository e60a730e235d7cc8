//! From the host's release files and command line to labels and annotations: the keys and rules of the existing operator.

use std::collections::BTreeMap;

use crate::names;

/// The labels that a probe may report, and no others.
pub const LABELS: [&str; 14] = [
    names::LABEL_MANAGED,
    names::LABEL_BOOT_STATE,
    names::LABEL_SOFTWARE_PREFIX,
    names::LABEL_SOFTWARE_VERSION,
    "kairos.io/id",
    "kairos.io/family",
    "kairos.io/flavor",
    "kairos.io/flavor-release",
    "kairos.io/variant",
    "kairos.io/release",
    "kairos.io/model",
    "kairos.io/arch",
    "kairos.io/trusted-boot",
    "kairos.io/fips",
];

/// The annotations that a probe may report, and no others.
pub const ANNOTATIONS: [&str; 6] = [
    names::ANNOTATION_VERSION,
    "kairos.io/name",
    "kairos.io/id-like",
    "kairos.io/init-version",
    "kairos.io/bug-report-url",
    "kairos.io/home-url",
];

/// What a host says about itself; None: there is no such file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// `/etc/kairos-release`.
    pub kairos_release: Option<String>,
    /// `/etc/os-release`.
    pub os_release: Option<String>,
    /// The kernel's command line.
    pub cmdline: Option<String>,
}

/// Labels and annotations; none of either on a node that does not run Kairos.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Host {
    /// What is to stand on the Node.
    pub fn found(&self) -> Found {
        let mut found = Found::default();
        match (&self.kairos_release, &self.os_release) {
            // That the file is there is enough, whatever is in it.
            (Some(text), _) => found.add(&variables(text)),
            (None, Some(text)) if is_kairos(text) => {}
            _ => return found,
        }
        found.labels.insert(names::LABEL_MANAGED.into(), "true".into());
        if let Some(state) = self.cmdline.as_deref().map(boot_state) {
            found.labels.insert(names::LABEL_BOOT_STATE.into(), state.into());
        }
        found
    }
}

impl Found {
    fn add(&mut self, variables: &BTreeMap<&str, &str>) {
        for (name, value) in variables {
            let Some(name) = name.strip_prefix("KAIROS_") else { continue };
            let key = format!("kairos.io/{}", name.to_lowercase().replace('_', "-"));
            // Neither is told by the release file.
            if [names::LABEL_MANAGED, names::LABEL_BOOT_STATE].contains(&key.as_str()) {
                continue;
            }
            let label = label_value(value);
            if LABELS.contains(&key.as_str()) && !label.is_empty() {
                self.labels.insert(key, label);
            } else if ANNOTATIONS.contains(&key.as_str()) && !value.trim().is_empty() {
                self.annotations.insert(key, (*value).to_string());
            }
        }
    }
}

/// The assignments of a release file, as the existing operator reads them: no `export`, no continuation of lines.
fn variables(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name, value.trim_matches(['"', '\'']))).collect()
}

/// Images before kairos-init tell it in their os-release only.
fn is_kairos(os_release: &str) -> bool {
    variables(os_release).get("ID").is_some_and(|id| id.to_lowercase().contains("kairos"))
}

/// Which of the systems on the disk was booted.
fn boot_state(cmdline: &str) -> &'static str {
    const STATES: [(&str, &str); 8] = [
        ("COS_ACTIVE", "active"),
        ("COS_PASSIVE", "passive"),
        ("COS_RECOVERY", "recovery"),
        ("COS_SYSTEM", "recovery"),
        ("recovery-mode", "recovery"),
        ("live:LABEL", "livecd"),
        ("live:CDLABEL", "livecd"),
        ("netboot", "livecd"),
    ];
    STATES.iter().find(|(word, _)| cmdline.contains(word)).map_or("unknown", |(_, state)| state)
}

/// What is left of a text as the value of a label; may be nothing.
pub fn label_value(text: &str) -> String {
    let taken = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let replaced: String = text.chars().map(|c| if taken(c) { c } else { '-' }).collect();
    let trimmed = replaced.trim_matches(['-', '_', '.']);
    trimmed[..trimmed.len().min(names::MAX_LABEL)].trim_end_matches(['-', '_', '.']).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASE: &str = "\
# What kairos-init writes.
KAIROS_ID=\"kairos\"
KAIROS_ID_LIKE=\"kairos-core\"
KAIROS_NAME='kairos-standard'
KAIROS_FAMILY=debian
 KAIROS_FLAVOR=\"ubuntu\"
KAIROS_FLAVOR_RELEASE=24.04
KAIROS_VARIANT=standard
KAIROS_RELEASE=v3.5.0
KAIROS_MODEL=generic
KAIROS_ARCH=amd64
KAIROS_TARGETARCH=amd64
KAIROS_TRUSTED_BOOT=false
KAIROS_FIPS=
KAIROS_SOFTWARE_VERSION_PREFIX=k3s
KAIROS_SOFTWARE_VERSION=v1.32.4+k3s1
KAIROS_INIT_VERSION=v0.5.20
KAIROS_VERSION=\"v3.5.0 \u{e9}\"
KAIROS_BUG_REPORT_URL=\"https://github.com/kairos-io/kairos/issues?a=b\"
KAIROS_HOME_URL=\"  \"
KAIROS_MANAGED=no
KAIROS_BOOT_STATE=no
not an assignment
";

    fn host(kairos: Option<&str>, os: Option<&str>, cmdline: Option<&str>) -> Host {
        let text = |text: Option<&str>| text.map(String::from);
        Host { kairos_release: text(kairos), os_release: text(os), cmdline: text(cmdline) }
    }

    fn shown(map: &BTreeMap<String, String>) -> Vec<String> {
        map.iter().map(|(key, value)| format!("{}={value}", key.strip_prefix("kairos.io/").unwrap())).collect()
    }

    #[test]
    fn a_release_file_gives_labels_and_annotations_and_nothing_else() {
        let found = host(Some(RELEASE), None, Some("root=LABEL=COS_ACTIVE")).found();
        let labels = [
            "arch=amd64",
            "boot-state=active",
            "family=debian",
            "flavor=ubuntu",
            "flavor-release=24.04",
            "id=kairos",
            "managed=true",
            "model=generic",
            "release=v3.5.0",
            "software-version=v1.32.4-k3s1",
            "software-version-prefix=k3s",
            "trusted-boot=false",
            "variant=standard",
        ];
        assert_eq!(shown(&found.labels), labels);
        let annotations = [
            "bug-report-url=https://github.com/kairos-io/kairos/issues?a=b",
            "id-like=kairos-core",
            "init-version=v0.5.20",
            "name=kairos-standard",
            "version=v3.5.0 \u{e9}",
        ];
        assert_eq!(shown(&found.annotations), annotations);
    }

    #[test]
    fn what_is_kairos_is_told_by_the_file_or_by_the_id() {
        for (kairos, os, expected) in [
            (Some("garbage"), None, true),
            (Some(""), Some("ID=ubuntu"), true),
            (None, Some("ID=kairos"), true),
            (None, Some("NAME=x\nID=\"Kairos-Ubuntu\""), true),
            (None, Some("ID=ubuntu\nID_LIKE=kairos"), false),
            (None, None, false),
        ] {
            let found = host(kairos, os, None).found();
            let labels = if expected { vec!["managed=true"] } else { vec![] };
            assert_eq!((shown(&found.labels), found.annotations.len()), (labels.into_iter().map(String::from).collect(), 0));
        }
    }

    #[test]
    fn the_command_line_tells_what_was_booted() {
        for (cmdline, expected) in [
            ("BOOT_IMAGE=/boot/vmlinuz root=LABEL=COS_ACTIVE", "active"),
            ("root=LABEL=COS_PASSIVE", "passive"),
            ("root=LABEL=COS_RECOVERY", "recovery"),
            ("root=LABEL=COS_SYSTEM", "recovery"),
            ("recovery-mode", "recovery"),
            ("root=live:LABEL=X", "livecd"),
            ("root=live:CDLABEL=X", "livecd"),
            ("netboot", "livecd"),
            ("quiet", "unknown"),
            ("", "unknown"),
        ] {
            assert_eq!(boot_state(cmdline), expected, "{cmdline}");
        }
    }

    #[test]
    fn any_text_becomes_a_label_value_or_nothing() {
        let long = |count: usize| "a".repeat(count);
        for (text, expected) in [
            ("v1.32.4+k3s1", "v1.32.4-k3s1".to_string()),
            ("valid_1.2-3", "valid_1.2-3".into()),
            ("-leading", "leading".into()),
            ("trailing.", "trailing".into()),
            (&long(70), long(63)),
            (&format!("{}-b", long(62)), long(62)),
            ("++++++++++", String::new()),
            ("é1", "1".into()),
            ("", String::new()),
        ] {
            assert_eq!(label_value(text), expected, "{text}");
            assert_eq!(label_value(&expected), expected, "what was cut is not cut again");
        }
    }
}
