//! Markdown that holds what others wrote: in code spans and blocks it neither is markup, nor calls anybody (`@somebody`), nor
//! links to anything.

use crate::text::one_line;

/// As it stands if it is nothing but words, else a code span.
pub fn prose(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || " .,:;()/-".contains(c);
    if text.chars().all(is_plain) && !text.contains("//") && !text.contains("www.") { text.to_string() } else { code(text) }
}

/// A code span: one line, between more backticks than it has in a row.
pub fn code(text: &str) -> String {
    let text = one_line(text);
    let fence = fence(&text, 1);
    // A blank at both ends is taken off again.
    let pad = if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A block of code without colours.
pub fn block(text: &str) -> String {
    let text = anstream::adapter::strip_str(text).to_string();
    let fence = fence(&text, 3);
    format!("{fence}text\n{text}{fence}\n")
}

/// More backticks than the text has in a row.
fn fence(text: &str, least: usize) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(least.max(longest + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_stays_code() {
        for (text, expected) in
            [("a", "`a`"), ("", "`  `"), ("a`b", "``a`b``"), ("``` @team", "```` ``` @team ````"), ("line\n# heading", "`line # heading`")]
        {
            assert_eq!(code(text), expected);
        }
        assert_eq!(prose("2 nodes (default/web), 5m"), "2 nodes (default/web), 5m");
        for hostile in ["@team", "a|b", "#1", "<img>", "https://x.example", "www.x.example", "*a*", "a_b_c"] {
            assert_eq!(prose(hostile), format!("`{hostile}`"));
        }
    }
}
