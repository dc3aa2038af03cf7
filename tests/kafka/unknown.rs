//! Who is not let in by brokers, or meets others than he should.

use crate::gate::{Gate, HOUR, PASSWORD, USER, claims, credentials, gate};
use crate::instances::{World, ended_within};
use crate::place::text;
use crate::signer::Signer;
use std::sync::Arc;
use std::time::Duration;

/// How soon he must be told. Brokers who refuse are asked for 2 s, because they may just be
/// starting.
const SOON: Duration = Duration::from_secs(10);

const OTHER_PASSWORD: &str = "tide-table-7317";

/// What is shown, and what is told.
struct Case {
    what: &'static str,
    shown: Vec<String>,
    told: [&'static str; 2],
}

fn case(what: &'static str, shown: Vec<String>, told: [&'static str; 2]) -> Case {
    Case { what, shown, told }
}

const REFUSED: &str = "be let in by Kafka at 127.0.0.1:";

fn passwords(gate: &Gate) -> Vec<Case> {
    let other = |mechanism| vec![gate.properties(&credentials(mechanism, OTHER_PASSWORD))];
    let right = credentials("SCRAM-SHA-512", PASSWORD);
    vec![
        case(
            "another password by SCRAM",
            other("SCRAM-SHA-512"),
            [REFUSED, "invalid credentials"],
        ),
        case(
            "another password by PLAIN",
            other("PLAIN"),
            [REFUSED, "Invalid username or password"],
        ),
        case(
            "no password",
            vec![gate.properties(&right[..2])],
            ["sasl.username", "sasl.password"],
        ),
        case(
            "another authority",
            vec![gate.properties_by(&gate.stranger(), &right)],
            [REFUSED, "broker certificate could not be verified"],
        ),
    ]
}

fn tokens(gate: &Gate) -> Vec<Case> {
    let token = |text: &str| gate.by_token(&gate.file_of(text));
    let forged = Signer::new("k1").sign(&claims(USER, HOUR));
    vec![
        case(
            "no file of a token",
            vec![gate.properties(&[("sasl.mechanism", "OAUTHBEARER")])],
            ["OAUTHBEARER needs the setting", "kafka.oauth_token_file"],
        ),
        case(
            "a file that is not there",
            gate.by_token(&gate.path("token")),
            ["read the brokers' token in", "No such file"],
        ),
        case(
            "a token that is over",
            token(&gate.token(USER, -5)),
            ["use the brokers' token in", "it was good until"],
        ),
        case(
            "a token of another signer",
            token(&forged),
            [REFUSED, "invalid_token"],
        ),
    ]
}

/// Runs a command, which must fail soon and say why, and no secret.
fn told(case: &Case, world: &World, at: &str, words: &[&str]) {
    let shown: Vec<&str> = case.shown.iter().map(String::as_str).collect();
    let command = match words {
        ["serve"] => world.serving_at(at, case.what, &shown),
        words => world.commanded_at(at, words, &shown),
    };
    let output = ended_within(SOON, command);
    let output = output.unwrap_or_else(|said| panic!("{}: it goes on: {said:?}", case.what));
    let (told, errors) = text(&output);
    assert_eq!(output.status.code(), Some(1), "{}: {errors}", case.what);
    for part in case.told {
        assert!(errors.contains(part), "{}: {errors}", case.what);
    }
    for secret in [OTHER_PASSWORD, PASSWORD, "eyJ"] {
        let all = format!("{told}{errors}");
        assert!(!all.contains(secret), "{}: {all}", case.what);
    }
}

#[test]
fn who_is_not_let_in_is_told_why_at_once_and_no_secret() {
    let Some(gate) = gate() else { return };
    let world = World::on(Arc::clone(&gate.broker));
    let at = gate.secured.as_str();
    let elsewhere = at.replace("127.0.0.1", "localhost");
    let misnamed = case(
        "another host's name",
        gate.by_password("PLAIN"),
        ["be let in by Kafka at localhost:", "certificate"],
    );
    // A broker that closes a connection may be starting, so an instance waits for it.
    let open = case(
        "plain text",
        Vec::new(),
        ["reach Kafka at 127.0.0.1:", "connection closed by peer"],
    );
    std::thread::scope(|scope| {
        for case in passwords(&gate).into_iter().chain(tokens(&gate)) {
            let world = &world;
            scope.spawn(move || {
                told(&case, world, at, &["topics", "check"]);
                told(&case, world, at, &["serve"]);
            });
        }
        told(&misnamed, &world, &elsewhere, &["serve"]);
        told(&open, &world, at, &["topics", "check"]);
    });
}
