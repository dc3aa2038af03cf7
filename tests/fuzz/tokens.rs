//! Tokens of positions, pages and watches: whatever was not sealed here opens nothing,
//! and what was sealed holds what it says or nothing.
//!
//! The first byte says what is done with the rest: taken as a token; or sealed as a
//! payload of bytes, and then one character of the token changed.

use crate::memory;
use quaymeter::pb;
use quaymeter::query::page::Fingerprint;
use quaymeter::query::watch;
use quaymeter::view::position::Position;
use quaymeter::view::token::{Kind, Tokens};
use serde::ser::{Serialize, SerializeTuple as _, Serializer};

pub const WORDS: &[&str] = &["AAAA", "____", "----", "====", "%2B"];

/// As of a list.
type Key = (String, i64);

pub fn seeds() -> Vec<Vec<u8>> {
    // Another key: tokens of that one are none here.
    let other = Tokens::new(&[8; 32]);
    let token = Position::embedded(300).encode(&other);
    let wide = Position::of((0..3).map(|partition| (partition, 1 << 40))).encode(&other);
    let mut seeds: Vec<Vec<u8>> = [token, wide]
        .map(|token| [&[0], token.as_bytes()].concat())
        .into();
    // A position of one partition, the end of a list, and a place in a history.
    let payloads: [&[u8]; 3] = [
        &[1, 0, 0, 0, 0, 44, 1, 0, 0, 0, 0, 0, 0],
        b"\x05ygt:F\x0e",
        &[7; 16],
    ];
    for (kind, payload) in (1..).zip(payloads) {
        seeds.push([&[kind, 0, 0], payload].concat());
        seeds.push([&[kind, 9, 1], payload].concat());
    }
    seeds
}

/// Bytes as they are, where a payload belongs.
struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = serializer.serialize_tuple(self.0.len())?;
        for byte in self.0 {
            bytes.serialize_element(byte)?;
        }
        bytes.end()
    }
}

pub fn judge(input: &[u8]) {
    let Some((&kind, rest)) = input.split_first() else {
        return;
    };
    if kind == 0 {
        return nothing_opens(&String::from_utf8_lossy(rest));
    }
    let tokens = Tokens::new(&[7; 32]);
    let Some(([at, change], payload)) = rest.split_first_chunk() else {
        return;
    };
    match kind % 3 {
        0 => watch_holds(&tokens, payload, (*at, *change)),
        1 => position_holds(&tokens, payload, (*at, *change)),
        _ => page_holds(&tokens, payload, (*at, *change)),
    }
}

fn question(tokens: &Tokens, method: &str) -> Fingerprint {
    let request = pb::GetThroughputRequest::default();
    Fingerprint::of(tokens, (Some("tos"), method), &request)
}

/// Under a key by which nothing is sealed here: what is, the fuzzer sees when it is
/// compared, and tries.
fn nothing_opens(token: &str) {
    let tokens = &Tokens::new(&[6; 32]);
    let question = question(tokens, "GetThroughput");
    memory::within(4096 + 8 * token.len(), || {
        assert_eq!(Position::decode(token, tokens), None);
        assert!(question.after::<Key>(token).is_err() || token.is_empty());
        let watched = watch::Token::decode(token, &question);
        assert!(watched.is_err() || token.is_empty());
    });
}

/// The token with one character changed; none if it is as it was.
fn changed(token: &str, (at, change): (u8, u8)) -> Option<String> {
    let mut bytes = token.as_bytes().to_vec();
    let at = usize::from(at) % bytes.len();
    bytes[at] = (bytes[at] ^ change) & 0x7f;
    let changed = String::from_utf8(bytes).ok()?;
    (changed != token).then_some(changed)
}

fn position_holds(tokens: &Tokens, payload: &[u8], change: (u8, u8)) {
    let token = tokens.seal(Kind::Position, b"", &Raw(payload));
    if let Some(position) = Position::decode(&token, tokens) {
        let partitions: Vec<_> = position.partitions().collect();
        assert!(partitions.is_sorted_by(|one, next| one.0 < next.0));
        let again = Position::decode(&position.encode(tokens), tokens);
        assert_eq!(again.as_ref(), Some(&position));
        assert!(position.includes(&position) && position.is_within(&position));
        let _ = (position.to_string(), position.sum(), position.offset());
    }
    if let Some(changed) = changed(&token, change) {
        assert_eq!(Position::decode(&changed, tokens), None);
    }
    let others = question(tokens, "GetThroughput");
    assert!(others.after::<Key>(&token).is_err());
}

fn page_holds(tokens: &Tokens, payload: &[u8], change: (u8, u8)) {
    let question = question(tokens, "GetThroughput");
    let token = question.seal(Kind::Page, &Raw(payload));
    let room = 4096 + 64 * token.len();
    let opened = memory::within(room, || question.after::<Key>(&token));
    if let Ok(Some(key)) = opened {
        let again = question.after::<Key>(&question.token(&key));
        assert_eq!(again.ok().flatten(), Some(key));
    }
    if let Some(changed) = changed(&token, change) {
        assert!(question.after::<Key>(&changed).is_err());
    }
    let other = self::question(tokens, "ListNoShows");
    assert!(other.after::<Key>(&token).is_err());
    assert_eq!(Position::decode(&token, tokens), None);
}

fn watch_holds(tokens: &Tokens, payload: &[u8], change: (u8, u8)) {
    let question = question(tokens, "WatchThroughput");
    let token = question.seal(Kind::Watch, &Raw(payload));
    let opened = watch::Token::decode(&token, &question);
    assert_eq!(opened.is_ok(), payload.len() == 16, "{}", payload.len());
    if let Some(changed) = changed(&token, change) {
        assert!(watch::Token::decode(&changed, &question).is_err());
    }
    assert!(question.after::<Key>(&token).is_err());
}
