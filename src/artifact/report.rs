//! What the last container of a build tells of the files that it finds: a line each, `<sha256> <size> <name>`, and how many
//! more there are if they do not all fit into a termination message.

use super::api::BuiltArtifact;
use crate::text;

/// The files of a build.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The files, by name.
    pub files: Vec<BuiltArtifact>,
    /// How many more there are.
    pub more: usize,
}

impl Report {
    /// The message, of at most `limit` bytes.
    pub fn message(&self, limit: usize) -> String {
        let lines: Vec<String> = self.files.iter().map(line).collect();
        // A message is cut off by the kubelet without asking; there must be room for how many are missing.
        let whole: usize = lines.iter().map(String::len).sum();
        if whole <= limit && self.more == 0 {
            return lines.concat();
        }
        let room = limit.saturating_sub("+18446744073709551615\n".len());
        let mut message = String::new();
        let mut told = 0;
        for line in lines.iter().take_while(|line| line.len() <= room) {
            if message.len() + line.len() > room {
                break;
            }
            message.push_str(line);
            told += 1;
        }
        message + &format!("+{}\n", lines.len() - told + self.more)
    }

    /// What a message says. A line that is none is passed over: who has built may have changed the container.
    pub fn parse(message: &str) -> Self {
        let mut report = Self::default();
        for line in message.lines() {
            match line.strip_prefix('+') {
                Some(more) => report.more = more.parse().unwrap_or(0),
                None => report.files.extend(file(line)),
            }
        }
        report
    }
}

fn line(file: &BuiltArtifact) -> String {
    let digest = file.digest.as_deref().unwrap_or_default();
    format!("{} {} {}\n", digest.trim_start_matches("sha256:"), file.size.unwrap_or(0), text::one_line(&file.name))
}

fn file(line: &str) -> Option<BuiltArtifact> {
    let mut parts = line.splitn(3, ' ');
    let (digest, size, name) = (parts.next()?, parts.next()?, parts.next()?);
    let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let file = BuiltArtifact { name: text::one_line(name), size: size.parse().ok(), digest: Some(format!("sha256:{digest}")) };
    (is_digest && file.size.is_some() && !file.name.is_empty()).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(count: usize) -> Report {
        let file = |index: usize| BuiltArtifact {
            name: format!("my file {index}.iso"),
            size: Some(7),
            digest: Some(format!("sha256:{}", "ab".repeat(32))),
        };
        Report { files: (0..count).map(file).collect(), more: 0 }
    }

    #[test]
    fn what_is_told_is_what_is_read() {
        for count in [0, 1, 9] {
            assert_eq!(Report::parse(&report(count).message(4096)), report(count));
        }
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let message = report(100).message(1024);
        assert!(message.len() <= 1024, "{}", message.len());
        let read = Report::parse(&message);
        assert!(read.files.len() > 8 && read.files.len() + read.more == 100, "{read:?}");
        assert_eq!(Report::parse(&report(100).message(10)).more, 100);
    }

    #[test]
    fn what_is_no_report_tells_nothing() {
        assert_eq!(Report::parse("panic: no such file\nab 3 x\n+x"), Report::default());
    }
}
