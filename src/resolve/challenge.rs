//! What a WWW-Authenticate header asks for (RFC 9110, 11.6.1). Pure.

use http::{HeaderMap, header};

/// How a server wants to be shown who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Basic, Bearer, or another one; in lower case.
    pub scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// All challenges of an answer.
pub fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let values = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(parse).collect()
}

fn parse(text: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t', '=']);
        if rest.is_empty() {
            return found;
        }
        let (word, after) = rest.split_at(rest.find([' ', '\t', '=', ',']).unwrap_or(rest.len()));
        let word = word.to_ascii_lowercase();
        match (after.trim_start().strip_prefix('='), found.last_mut()) {
            (Some(value), Some(challenge)) => {
                let (value, left) = value_of(value.trim_start());
                challenge.parameters.push((word, value));
                rest = left;
            }
            _ => {
                found.push(Challenge { scheme: word, parameters: Vec::new() });
                rest = after;
            }
        }
    }
}

/// A value, quoted or not, and what follows it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find([',', ' ', '\t']).unwrap_or(text.len()));
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_of_registries() {
        let bearer = parse(r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#);
        assert_eq!(bearer.len(), 1);
        assert_eq!(bearer[0].scheme, "bearer");
        assert_eq!(bearer[0].get("realm"), Some("https://auth.docker.io/token"));
        assert_eq!(bearer[0].get("scope"), Some("repository:a/b:pull,push"));
        assert_eq!(bearer[0].get("error"), None);
        let both = parse(r#"Basic realm="a \"b\", c" , BEARER Realm = https://x.example/t , service=y"#);
        let schemes: Vec<_> = both.iter().map(|one| one.scheme.as_str()).collect();
        assert_eq!(schemes, ["basic", "bearer"]);
        assert_eq!(both[0].get("realm"), Some(r#"a "b", c"#));
        assert_eq!((both[1].get("realm"), both[1].get("service")), (Some("https://x.example/t"), Some("y")));
    }

    #[test]
    fn nonsense_ends() {
        for text in ["", ",,,", "===", "Bearer", "Bearer realm=\"open", "Negotiate abc==", "Bearer \\\"", "\"", "Bearer realm=\"\\"] {
            assert!(parse(text).len() <= 2, "{text}");
        }
    }
}
