use super::*;
use crate::auth::callers::Source;
use jsonwebtoken::{EncodingKey, Header as Head};
use proptest::prelude::*;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use std::time::Duration;

const NOW_S: i64 = 1_800_000_000;

/// An issuer with one key.
struct Signer {
    key: KeyPair,
}

impl Signer {
    fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self { key }
    }

    fn jwks(&self) -> Jwks {
        let point = self.key.public_key_raw();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (x, y) = (part(&point[1..33]), part(&point[33..]));
        let text =
            format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"k","x":"{x}","y":"{y}"}}]}}"#);
        Jwks::parse(text.as_bytes()).unwrap()
    }

    fn sign(&self, header: &Head, claims: &Value) -> String {
        let key = EncodingKey::from_ec_der(&self.key.serialize_der());
        jsonwebtoken::encode(header, claims, &key).unwrap()
    }
}

fn head() -> Head {
    let mut head = Head::new(jsonwebtoken::Algorithm::ES256);
    head.kid = Some("k".into());
    head
}

fn issuer() -> Issuer {
    Issuer {
        name: "https://login.example".into(),
        audiences: vec!["quaymeter".into(), "port".into()],
        algorithms: vec![Algorithm::Es256],
        source: Source::File("keys.json".into()),
        skew: Duration::from_secs(60),
    }
}

fn claims() -> Value {
    serde_json::json!({
        "iss": "https://login.example", "sub": "tos", "aud": "quaymeter", "exp": NOW_S + 100,
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut all = claims();
    all[name] = value;
    all
}

fn without(name: &str) -> Value {
    let mut all = claims();
    all.as_object_mut().unwrap().remove(name);
    all
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW_S).unwrap()
}

fn judged(signer: &Signer, text: &str) -> Result<(), Cause> {
    Token::read(text)?.verify(&issuer(), &signer.jwks(), now())
}

fn told(claims: &Value) -> Result<(), Cause> {
    let signer = Signer::new();
    judged(&signer, &signer.sign(&head(), claims))
}

#[test]
fn a_token_is_good_for_who_it_is_meant_for_while_it_lasts() {
    use Cause::{TokenAudience, TokenEarly, TokenExpired, TokenIssuer, TokenMalformed};
    let list = |of: &[&str]| serde_json::json!(of);
    for (claims, expected) in [
        (claims(), Ok(())),
        (with("aud", list(&["x", "port"])), Ok(())),
        (with("aud", list(&["x"])), Err(TokenAudience)),
        (with("aud", 1.into()), Err(TokenAudience)),
        (without("aud"), Err(TokenAudience)),
        (
            with("iss", "https://login.example/".into()),
            Err(TokenIssuer),
        ),
        (without("iss"), Err(TokenIssuer)),
        (with("exp", (NOW_S - 59).into()), Ok(())),
        (with("exp", (NOW_S - 60).into()), Err(TokenExpired)),
        (with("exp", (-1).into()), Err(TokenExpired)),
        (with("exp", f64::MAX.into()), Ok(())),
        (with("exp", "tomorrow".into()), Err(TokenExpired)),
        (without("exp"), Err(TokenExpired)),
        (with("nbf", (NOW_S + 60).into()), Ok(())),
        (with("nbf", (NOW_S + 61).into()), Err(TokenEarly)),
        (with("nbf", "now".into()), Err(TokenMalformed)),
    ] {
        assert_eq!(told(&claims), expected, "{claims}");
    }
}

/// Header and claims with a signature that is none of a public key's.
fn forged(header: &str, signature: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!(
        "{}.{}.{signature}",
        part(header),
        part(&claims().to_string())
    )
}

#[test]
fn only_a_pinned_algorithm_with_the_issuers_key_is_believed() {
    use Cause::{TokenAlgorithm, TokenKeyUnknown, TokenMalformed, TokenSignature};
    let signer = Signer::new();
    let told = |text: &str| judged(&signer, text).unwrap_err();
    for none in ["none", "None", "NONE", "nOnE"] {
        let header = format!(r#"{{"alg":"{none}","kid":"k"}}"#);
        assert_eq!(told(&forged(&header, "")), TokenAlgorithm);
    }
    // Key confusion: the public key as the secret of an HMAC.
    for public in [
        signer.key.public_key_raw().to_vec(),
        signer.key.public_key_pem().into_bytes(),
    ] {
        let mut head = Head::new(jsonwebtoken::Algorithm::HS256);
        head.kid = Some("k".into());
        let secret = EncodingKey::from_secret(&public);
        let text = jsonwebtoken::encode(&head, &claims(), &secret).unwrap();
        assert_eq!(told(&text), TokenAlgorithm);
        // The same bytes under the pinned name.
        let signature = text.rsplit('.').next().unwrap();
        let renamed = forged(r#"{"alg":"ES256","kid":"k"}"#, signature);
        assert_eq!(told(&renamed), TokenSignature);
    }
    let other = Signer::new();
    assert_eq!(told(&other.sign(&head(), &claims())), TokenSignature);
    let mut unknown = head();
    unknown.kid = Some("other".into());
    assert_eq!(told(&signer.sign(&unknown, &claims())), TokenKeyUnknown);
    // One that brings its own key along.
    let mut own = head();
    own.jwk = None;
    own.jku = Some("https://evil.example/keys".into());
    assert_eq!(
        judged(&signer, &signer.sign(&own, &claims())),
        Ok(()),
        "never looked at"
    );
    let critical = forged(r#"{"alg":"ES256","kid":"k","crit":["b64"]}"#, "AAAA");
    assert_eq!(told(&critical), TokenMalformed);
    let other_alg = forged(r#"{"alg":"RS256","kid":"k"}"#, "AAAA");
    assert_eq!(told(&other_alg), TokenAlgorithm, "not pinned");
}

#[test]
fn a_changed_token_is_not_believed() {
    let signer = Signer::new();
    let text = signer.sign(&head(), &claims());
    let parts: Vec<_> = text.split('.').collect();
    let more = URL_SAFE_NO_PAD.encode(with("sub", "operator".into()).to_string());
    let changed = format!("{}.{more}.{}", parts[0], parts[2]);
    assert_eq!(judged(&signer, &changed), Err(Cause::TokenSignature));
    let cut = format!("{}.{}.", parts[0], parts[1]);
    assert_eq!(judged(&signer, &cut), Err(Cause::TokenSignature));
    for bad in ["", ".", "..", "a.b.c", "e30.e30.", "e30.W10.AA", &text[1..]] {
        assert_eq!(judged(&signer, bad), Err(Cause::TokenMalformed), "{bad}");
    }
}

#[test]
fn a_claim_is_a_text_or_one_of_a_list() {
    let signer = Signer::new();
    let mut all = claims();
    all["groups"] = serde_json::json!(["tos", "gate"]);
    all["azp"] = "tos".into();
    all["admin"] = true.into();
    let text = signer.sign(&head(), &all);
    let token = Token::read(&text).unwrap();
    assert!(token.claims("groups", "gate") && token.claims("azp", "tos"));
    assert!(!token.claims("groups", "gat") && !token.claims("admin", "true"));
    assert!(!token.claims("missing", ""));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(header in ".{0,40}", claims in ".{0,40}", rest in ".{0,40}") {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let signer = Signer::new();
        let _ = judged(&signer, &rest);
        let _ = judged(&signer, &format!("{}.{}.{rest}", part(&header), part(&claims)));
        let header = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, rest.escape_default());
        let _ = judged(&signer, &format!("{}.{}.{rest}", part(&header), part(&claims)));
    }

    #[test]
    fn no_number_breaks_the_calendar(seconds: f64, ms: i64) {
        let value = Value::from(seconds);
        prop_assert!(instant(&value, ms).is_some() || !value.is_number());
    }
}
