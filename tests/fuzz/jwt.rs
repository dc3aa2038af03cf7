//! JWTs: none is believed that its issuer did not sign, with the algorithm that is
//! pinned for him, for us, and for now.
//!
//! The first byte says what the rest is: a token; or header and claims, with a line
//! feed between them, that the issuer signs, and of whose token a byte is then changed.

use crate::memory;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use quaymeter::auth::callers::{Algorithm, Issuer, Source};
use quaymeter::auth::jwks::Jwks;
use quaymeter::auth::token::Token;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey as _};
use serde_json::Value;
use std::time::Duration;

pub const WORDS: &[&str] = &[
    "\"alg\":\"none\"", "\"alg\":\"None\"", "\"alg\":\"HS256\"", "\"alg\":\"ES256\"", "\"alg\":\"RS256\"",
    "\"crit\":[\"exp\"]", "\"kid\":\"k\"", "\"kid\":null", "\"jwk\":{}", "\"exp\":1e300", "\"exp\":-1",
    "\"nbf\":1800000000", "\"aud\":[\"port\"]", "\"iss\":\"https://login.example\"", "\n", "..", ".",
];

const NOW_S: i64 = 1_800_000_000;
const SKEW_S: i64 = 60;
const ISSUER: &str = "https://login.example";

const HEADER: &str = r#"{"alg":"ES256","kid":"k"}"#;
const CLAIMS: &str =
    r#"{"iss":"https://login.example","sub":"tos","aud":["x","port"],"exp":1800000100,"nbf":1}"#;

struct Signer {
    key: KeyPair,
    jwks: Jwks,
    issuer: Issuer,
}

thread_local! {
    static SIGNER: Signer = Signer::new();
}

impl Signer {
    fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let point = key.public_key_raw();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (x, y) = (part(&point[1..33]), part(&point[33..]));
        let jwks =
            format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"k","x":"{x}","y":"{y}"}}]}}"#);
        Self {
            jwks: Jwks::parse(jwks.as_bytes()).unwrap(),
            issuer: Issuer {
                name: ISSUER.into(),
                audiences: vec!["quaymeter".into(), "port".into()],
                algorithms: vec![Algorithm::Es256],
                source: Source::File("keys.json".into()),
                skew: Duration::from_secs(SKEW_S as u64),
            },
            key,
        }
    }

    fn believes(&self, token: &str) -> bool {
        let now = Timestamp::from_second(NOW_S).unwrap();
        let read = Token::read(token);
        read.is_ok_and(|token| token.verify(&self.issuer, &self.jwks, now).is_ok())
    }

    fn signed(&self, header: &[u8], claims: &[u8]) -> String {
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let signed = format!("{}.{}", part(header), part(claims));
        let der = self.key.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", part(&fixed(&der)))
    }
}

/// The two numbers of a signature at their full width, as a JWT has them.
fn fixed(der: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = &der[2..];
    for _ in 0..2 {
        let length = usize::from(rest[1]);
        let number = &rest[2..2 + length];
        let number = &number[number.iter().take_while(|&&byte| byte == 0).count()..];
        out.extend(std::iter::repeat_n(0, 32 - number.len()));
        out.extend(number);
        rest = &rest[2 + length..];
    }
    out
}

pub fn seeds() -> Vec<Vec<u8>> {
    let signed = |header: &str, claims: &str| format!("\u{1}\0\0{header}\n{claims}").into_bytes();
    let none = r#"{"alg":"none"}"#;
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let bare = |header| format!("\0{}.{}.", part(header), part(CLAIMS)).into_bytes();
    vec![
        signed(HEADER, CLAIMS),
        signed(none, CLAIMS),
        signed(r#"{"alg":"ES256"}"#, r#"{"iss":"https://login.example","aud":"quaymeter","exp":1799999941}"#),
        bare(none),
        bare(HEADER),
        b"\0e30.e30.".to_vec(),
    ]
}

pub fn judge(input: &[u8]) {
    let Some((&how, rest)) = input.split_first() else {
        return;
    };
    SIGNER.with(|signer| match how {
        0 => {
            let text = String::from_utf8_lossy(rest);
            let room = (16 << 10) + 512 * text.len();
            let believed = memory::within(room, || signer.believes(&text));
            assert!(!believed, "nobody signed this: {text}");
        }
        _ => signed(signer, rest),
    });
}

fn signed(signer: &Signer, rest: &[u8]) {
    let Some(([at, change], parts)) = rest.split_first_chunk() else {
        return;
    };
    let Some(end) = parts.iter().position(|&byte| byte == b'\n') else {
        return;
    };
    let (header, claims) = (&parts[..end], &parts[end + 1..]);
    let token = signer.signed(header, claims);
    assert_eq!(signer.believes(&token), deserves_it(header, claims), "{token}");
    let mut bytes = token.clone().into_bytes();
    let at = usize::from(*at) * bytes.len() / 256;
    bytes[at] = (bytes[at] ^ change) & 0x7f;
    let changed = String::from_utf8(bytes).unwrap();
    assert!(changed == token || !signer.believes(&changed), "{changed}");
}

/// What the rules say of a signed token, read once more and in another way.
fn deserves_it(header: &[u8], claims: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Header {
        alg: String,
        kid: Option<String>,
        crit: Option<Value>,
    }
    let Ok(header) = serde_json::from_slice::<Header>(header) else {
        return false;
    };
    let Ok(Value::Object(claims)) = serde_json::from_slice(claims) else {
        return false;
    };
    let seconds = |name: &str| claims.get(name).and_then(Value::as_f64);
    let audience = match claims.get("aud") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let (now, skew) = (NOW_S as f64, SKEW_S as f64);
    // To the millisecond; what lies so near is not asked here.
    let near = |a: f64, b: f64| (a - b).abs() < 0.01;
    let exp = seconds("exp").unwrap_or(f64::MIN);
    let begins = !claims.contains_key("nbf")
        || seconds("nbf").is_some_and(|nbf| nbf - skew <= now || near(nbf - skew, now));
    header.alg == "ES256"
        && header.crit.is_none()
        && header.kid.is_none_or(|kid| kid == "k")
        && claims.get("iss").and_then(Value::as_str) == Some(ISSUER)
        && audience.iter().any(|name| ["quaymeter", "port"].contains(name))
        && exp + skew > now
        && begins
}
