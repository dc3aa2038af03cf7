//! The W3C's `traceparent`: of a call, and of what is in the log. The SDK's own reader
//! refuses one whose flags say more than it knows, as those of its second level do.

use super::sampled_context;
use bytes::Bytes;
use http::HeaderMap;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// The header by which a trace goes on.
const TRACEPARENT: &str = "traceparent";

/// The header with what tracing systems add to it.
const TRACESTATE: &str = "tracestate";

/// More than any `traceparent` needs, of whatever version.
const BYTES_MAX: usize = 256;

/// What has to be carried on of a `tracestate`; one with more is left out.
const STATE_BYTES_MAX: usize = 512;
const STATE_MEMBERS_MAX: usize = 32;

/// What a batch in the log is part of: a trace that is recorded, and the span in which it
/// was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    trace: TraceId,
    span: SpanId,
}

impl Mark {
    pub(super) fn new(trace: TraceId, span: SpanId) -> Self {
        Self { trace, span }
    }

    /// What headers in the log say, if their trace is recorded.
    pub fn of(headers: &[(String, Bytes)]) -> Option<Self> {
        let (_, text) = headers.iter().find(|(name, _)| name == TRACEPARENT)?;
        let (trace, span, flags) = read(text)?;
        flags.is_sampled().then_some(Self { trace, span })
    }

    /// As a header in the log. There is no `tracestate`: it is a caller's free text, and
    /// would stay as long as the log does.
    pub fn header(self) -> (String, Bytes) {
        let value = format!("00-{}-{}-01", self.trace, self.span);
        (TRACEPARENT.to_owned(), value.into())
    }

    pub(super) fn context(self) -> SpanContext {
        sampled_context(self.trace, self.span, TraceState::NONE)
    }
}

/// What the headers of a call say. A stream keeps it as long as it is open, so the
/// `tracestate` stays text: as the SDK has it, it takes many times as much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    trace: TraceId,
    span: SpanId,
    flags: TraceFlags,
    state: Option<Box<str>>,
}

impl Parent {
    pub(super) fn of_call(headers: &HeaderMap) -> Option<Self> {
        let (trace, span, flags) = read(headers.get(TRACEPARENT)?.as_bytes())?;
        let state = headers.get(TRACESTATE).and_then(|text| text.to_str().ok());
        let state = state.filter(|text| {
            let few = text.split(',').count() <= STATE_MEMBERS_MAX;
            few && text.len() <= STATE_BYTES_MAX
        });
        Some(Self {
            trace,
            span,
            flags,
            state: state.map(Into::into),
        })
    }

    /// The same for the SDK, if it is sampled.
    pub(super) fn sampled(&self) -> Option<SpanContext> {
        let sampled = self.flags.is_sampled();
        sampled.then(|| {
            let state = self.state.as_deref().and_then(|text| text.parse().ok());
            let state = state.unwrap_or(TraceState::NONE);
            sampled_context(self.trace, self.span, state)
        })
    }
}

/// `00-<trace>-<span>-<flags>`; of a later version there may be more after it.
fn read(text: &[u8]) -> Option<(TraceId, SpanId, TraceFlags)> {
    let text = str::from_utf8(text.get(..BYTES_MAX).is_none().then_some(text)?).ok()?;
    let mut parts = text.split('-');
    let [version] = hex(parts.next()?)?;
    let trace = TraceId::from_bytes(hex(parts.next()?)?);
    let span = SpanId::from_bytes(hex(parts.next()?)?);
    let [flags] = hex(parts.next()?)?;
    let known = match version {
        0 => parts.next().is_none(),
        later => later != 0xff,
    };
    let valid = known && trace != TraceId::INVALID && span != SpanId::INVALID;
    let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    valid.then_some((trace, span, flags))
}

/// Bytes of two lower-case digits each.
fn hex<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; BYTES];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != BYTES || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn sampled(text: &str) -> Option<bool> {
        read(text.as_bytes()).map(|(trace, span, flags)| {
            assert_eq!(
                (trace.to_string(), span.to_string()),
                (TRACE.into(), SPAN.into())
            );
            flags.is_sampled()
        })
    }

    #[test]
    fn what_the_w3c_says_is_read_and_nothing_else() {
        let of = |version: &str, flags: &str| sampled(&format!("{version}-{TRACE}-{SPAN}-{flags}"));
        assert_eq!(of("00", "01"), Some(true));
        assert_eq!(of("00", "00"), Some(false));
        // The second level's "random", and whatever comes later.
        assert_eq!(of("00", "03"), Some(true));
        assert_eq!(of("00", "fe"), Some(false));
        assert_eq!(of("cc", "01-what-the-future-says"), Some(true));
        for (version, flags) in [
            ("ff", "01"),
            ("00", "01-more"),
            ("00", "1"),
            ("00", "0G"),
            ("0", "01"),
            ("", "01"),
            ("00", ""),
        ] {
            assert_eq!(of(version, flags), None, "{version} {flags}");
        }
        let none = [
            String::new(),
            "00".into(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01-{}", "a".repeat(BYTES_MAX)),
        ];
        for text in none {
            assert_eq!(sampled(&text), None, "{text}");
        }
        assert_eq!(read(&[0xff; 55]), None);
    }

    #[test]
    fn a_mark_goes_through_the_log_and_an_unrecorded_trace_leaves_none() {
        let mark = Mark::new(TraceId::from(7), SpanId::from(9));
        let other = ("other".to_owned(), Bytes::from_static(b"value"));
        assert_eq!(Mark::of(&[other.clone(), mark.header()]), Some(mark));
        let unrecorded = format!("00-{TRACE}-{SPAN}-00");
        assert_eq!(
            Mark::of(&[(TRACEPARENT.to_owned(), unrecorded.into())]),
            None
        );
        assert_eq!(Mark::of(&[other]), None);
        assert_eq!(Mark::of(&[]), None);
    }

    #[test]
    fn a_call_without_a_trace_or_with_too_much_of_a_state_is_taken() {
        let mut headers = HeaderMap::new();
        assert_eq!(Parent::of_call(&headers), None);
        let parent = format!("00-{TRACE}-{SPAN}-01");
        headers.insert(TRACEPARENT, parent.parse().unwrap());
        let state = |headers: &HeaderMap| {
            let parent = Parent::of_call(headers).and_then(|parent| parent.sampled());
            parent.unwrap().trace_state().header()
        };
        assert_eq!(state(&headers), "");
        headers.insert(TRACESTATE, "vendor=it".parse().unwrap());
        assert_eq!(state(&headers), "vendor=it");
        let long = format!("vendor={}", "x".repeat(STATE_BYTES_MAX));
        let many = vec!["a=b"; STATE_MEMBERS_MAX + 1].join(",");
        for unfit in [long, many, "no pair".into()] {
            headers.insert(TRACESTATE, unfit.parse().unwrap());
            assert_eq!(state(&headers), "");
        }
    }
}
