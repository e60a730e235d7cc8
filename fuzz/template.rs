//! What both the fuzzer and `tests/it/gotemplate.rs` do with bytes: what `rounds render` does with a file of them.

use rounds::gotemplate::{MAX_TEMPLATE, MAX_TEXT, Values, render};

/// Renders a template. Nothing may panic, a mistake has its place in the template, and what comes out has its bounds.
pub fn take(bytes: &[u8]) {
    // A file that is no text is refused when it is read.
    let Ok(template) = std::str::from_utf8(bytes) else { return };
    let values: Values = [("A", "alpha"), ("B", ""), ("C", "3"), ("n-x", "é\n")].map(|(key, value)| (key.into(), value.into())).into();
    let rendered = render(template, &values);
    match &rendered {
        Ok(text) => assert!(text.len() <= MAX_TEXT, "{} bytes", text.len()),
        Err(error) => {
            let line = template.split('\n').nth(error.line.wrapping_sub(1));
            assert!(line.is_some_and(|line| (1..=line.chars().count() + 1).contains(&error.column)), "no such place: {error}");
            assert!(!error.message.is_empty() && error.message.chars().count() < 400, "{error}");
        }
    }
    if !template.contains("{{") && template.len() <= MAX_TEMPLATE {
        assert_eq!(rendered.as_deref(), Ok(template.as_bytes()), "text without actions is itself");
    }
}
