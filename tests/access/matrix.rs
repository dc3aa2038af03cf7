//! Every method for every kind of caller.

use crate::methods::{Outcome, outcome};
use crate::port::{Bearer, Port, Shown, callers, channel, id};
use crate::rules::RULES;
use crate::service::Service;
use crate::signer::Signer;
use serde_json::Value;

/// A connection that shows something.
async fn shown(service: &Service, bearer: Bearer) -> Shown {
    Shown::new(channel(service).await, bearer)
}

/// Every method lets in whom it must, and nobody else; who he is, is said by his only
/// right, if he has any.
async fn judged(service: &Service, what: &str, bearer: Bearer, right: Option<&str>) {
    judged_by(&shown(service, bearer).await, what, right).await;
}

/// The same over a connection that there is.
pub async fn judged_by(shown: &Shown, what: &str, right: Option<&str>) {
    for rule in RULES {
        let (path, expected) = (rule.path, rule.outcome(right));
        assert_eq!(outcome(shown, path).await, expected, "{what}: {path}");
    }
}

/// A port, and a service whose issuer's keys are in a file.
fn started() -> (Port, Signer, Service) {
    let signer = Signer::new("k");
    let port = Port::new("");
    let file = port.place.path("keys.json");
    std::fs::write(&file, signer.jwks()).unwrap();
    port.rewrite(&callers(&format!("jwks_file = {file:?}")));
    let expired = port.key_with("operator", &["--expires", "2099-01-01"]);
    let text = std::fs::read_to_string(port.key_file()).unwrap();
    std::fs::write(port.key_file(), text.replace("2099-01-02", "2020-01-02")).unwrap();
    std::fs::write(port.place.path("expired"), expired).unwrap();
    let service = port.serve(&[]);
    (port, signer, service)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_right_opens_its_methods_by_key_and_by_token() {
    let (port, signer, service) = started();
    for name in ["publisher", "reader", "operator", "nothing"] {
        let right = match name {
            "publisher" => "publish",
            "reader" => "read",
            "operator" => "operate",
            _ => "none",
        };
        let token = signer.token(name);
        judged(&service, name, Bearer::of(&token), Some(right)).await;
        let key = port.key(name);
        crate::place::until("the key is known", async || {
            let shown = shown(&service, Bearer::of(&key)).await;
            let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
            outcome(&shown, reflection).await == Outcome::In
        })
        .await;
        judged(&service, name, Bearer::of(&key), Some(right)).await;
    }
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_good_credentials_there_is_only_the_health() {
    let (port, signer, service) = started();
    let expired = std::fs::read_to_string(port.place.path("expired")).unwrap();
    let revoked = port.key("operator");
    port.revoke(&revoked);
    let other = Port::new("").key("operator");
    let wrong = other.replace(id(&other), id(&revoked));
    let now = jiff::Timestamp::now().as_second();
    let with = |name: &str, value: Value| {
        let mut claims = Signer::claims("operator");
        claims[name] = value;
        signer.sign(&claims)
    };
    let bad = [
        ("a key that was never made here", other),
        ("a key of another's id", wrong),
        ("an expired key", expired),
        ("a revoked key", revoked),
        ("an expired token", with("exp", (now - 61).into())),
        ("a token without an end", with("exp", Value::Null)),
        (
            "a token that is not good yet",
            with("nbf", (now + 120).into()),
        ),
        ("a token for another audience", with("aud", "other".into())),
        (
            "a token of another issuer",
            with("iss", "https://evil.example".into()),
        ),
        ("a token for nobody here", signer.token("stranger")),
        ("an unsigned token", signer.unsigned("operator")),
        (
            "a token signed with the public key",
            signer.confused("operator"),
        ),
        (
            "a token with an unknown key",
            Signer::new("other").token("operator"),
        ),
        ("a token of another key", Signer::new("k").token("operator")),
        ("something else", "x".into()),
    ];
    judged(&service, "no credentials", Bearer::none(), None).await;
    for (what, bearer) in bad {
        judged(&service, what, Bearer::of(&bearer), None).await;
    }
    // Clocks differ a little.
    let late = with("exp", (now - 30).into());
    judged(
        &service,
        "within the skew",
        Bearer::of(&late),
        Some("operate"),
    )
    .await;
    let early = with("nbf", (now + 30).into());
    judged(
        &service,
        "within the skew",
        Bearer::of(&early),
        Some("operate"),
    )
    .await;
    service.stop();
}
