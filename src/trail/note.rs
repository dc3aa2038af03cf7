//! What is noted of a call.

use compact_str::CompactString;
use serde::Serialize;
use serde_json::Value;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

/// Characters of a question that are kept. Longer ones say how long they were.
const ASKED_CHARS_MAX: usize = 4096;

/// Which call, of whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Call {
    /// The caller's name, if callers are configured and he is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<CompactString>,
    /// From where he calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// Which method; `other` for what is none of ours.
    pub method: &'static str,
}

/// Why a call was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Refusal {
    /// The gRPC code, as metrics name it; of a scrape the HTTP status.
    pub code: String,
    /// The reason that the caller was told; empty if none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What he was not told: why it is not known who he is, or the right that he lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// What a caller asked, among the extensions of a request: who answers puts it in, for
/// who keeps the trail.
#[derive(Clone, Debug, Default)]
pub struct Asked(Arc<OnceLock<Box<str>>>);

impl Asked {
    /// Puts a question in, if its request is noted at all. Tokens are left out: each page
    /// has another, and they say nothing.
    pub fn put(extensions: &http::Extensions, question: &impl Serialize) {
        if let Some(Self(asked)) = extensions.get::<Self>() {
            let _ = asked.set(text(question));
        }
    }

    /// What was put in.
    pub fn take(&self) -> Option<Box<str>> {
        self.0.get().cloned()
    }
}

/// As JSON, no longer than it may be.
fn text(question: &impl Serialize) -> Box<str> {
    let Ok(mut value) = serde_json::to_value(question) else {
        return "?".into();
    };
    leave_tokens_out(&mut value);
    // Whoever watches asks a question within his own.
    if let Some(query) = value.get_mut("query") {
        leave_tokens_out(query);
    }
    let text = value.to_string();
    match text.char_indices().nth(ASKED_CHARS_MAX) {
        None => text.into(),
        Some((end, _)) => format!("{}… of {} bytes", &text[..end], text.len()).into(),
    }
}

fn leave_tokens_out(question: &mut Value) {
    const TOKENS: [&str; 3] = ["pageToken", "resumeToken", "atLeast"];
    if let Some(fields) = question.as_object_mut() {
        fields.retain(|name, _| !TOKENS.contains(&name.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_question_is_kept_without_tokens_and_no_longer_than_it_may_be() {
        let question = json!({ "enterprises": ["E1"], "pageToken": "x", "atLeast": "y" });
        assert_eq!(&*text(&question), r#"{"enterprises":["E1"]}"#);
        let query = json!({ "atLeast": "y", "pageToken": "x", "grain": "DAY" });
        let watch = json!({ "interval": "1s", "query": query, "resumeToken": "z" });
        let kept = r#"{"interval":"1s","query":{"grain":"DAY"}}"#;
        assert_eq!(&*text(&watch), kept);
        let long = json!({ "enterprises": vec!["港"; 3000] });
        let kept = text(&long);
        assert_eq!(
            kept.chars().count(),
            ASKED_CHARS_MAX + "… of 18017 bytes".chars().count()
        );
        assert!(kept.ends_with("… of 18017 bytes"), "{kept}");
    }

    #[test]
    fn a_request_that_nobody_notes_costs_nothing() {
        let mut extensions = http::Extensions::new();
        Asked::put(&extensions, &json!({}));
        let asked = Asked::default();
        extensions.insert(asked.clone());
        assert_eq!(asked.take(), None);
        Asked::put(&extensions, &json!({ "a": 1 }));
        assert_eq!(asked.take().as_deref(), Some("{\"a\":1}"));
    }
}
