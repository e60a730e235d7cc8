//! Command lines for a shell, with everything that a user wrote quoted.

/// A command line in the making.
pub(super) struct Line(String);

impl Line {
    /// Begins with words that are as they are.
    pub fn new(words: &str) -> Self {
        Self(words.into())
    }

    /// One more word.
    pub fn word(mut self, word: &str) -> Self {
        self.0.push(' ');
        self.0.push_str(&quoted(word));
        self
    }

    /// An option and its value, if there is one.
    pub fn option(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.word(name).word(value),
            None => self,
        }
    }

    /// An option without a value, if it is wanted.
    pub fn flag(self, name: &str, wanted: bool) -> Self {
        if wanted { self.word(name) } else { self }
    }

    /// The whole line.
    pub fn text(self) -> String {
        self.0
    }
}

/// A word as a shell reads it again. Whatever is not known to be harmless is quoted.
pub(super) fn quoted(word: &str) -> String {
    let word = &literal(word);
    let harmless = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(harmless) {
        return word.clone();
    }
    format!("'{}'", word.replace('\'', r#"'"'"'"#))
}

/// A text as Kubernetes leaves it: in commands it reads `$(NAME)` as a variable, and `$$` as an escaped `$`.
pub(super) fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_user_writes_is_more_than_a_word() {
        let line =
            Line::new("tool -x").option("--name", Some("a; rm -rf /")).option("--none", None).flag("--on", true).flag("--off", false);
        assert_eq!(
            line.word("it's $(HOME)").word("").word("quay.io/a/b:v1").text(),
            r#"tool -x --name 'a; rm -rf /' --on 'it'"'"'s $$(HOME)' '' quay.io/a/b:v1"#
        );
    }
}
