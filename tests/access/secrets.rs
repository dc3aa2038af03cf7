//! No secret is anywhere but where it belongs.

use crate::place::text;
use crate::port::{Bearer, Port, callers, id, throughput};
use crate::signer::Signer;
use quaymeter::pb::GetStatusRequest;
use std::fs::{read, read_to_string};

/// All that stands in the audit trail.
fn trail(port: &Port) -> String {
    let files = std::fs::read_dir(port.place.data().join("trail")).unwrap();
    let text =
        |entry: std::io::Result<std::fs::DirEntry>| read_to_string(entry.unwrap().path()).unwrap();
    files.map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_logged_exported_or_in_the_list_of_processes() {
    let signer = Signer::new("k");
    let port = Port::new("");
    let file = port.place.path("keys.json");
    std::fs::write(&file, signer.jwks()).unwrap();
    port.rewrite(&callers(&format!("jwks_file = {file:?}")));
    let (key, revoked) = (port.key("reader"), port.key("reader"));
    port.revoke(&revoked);
    let other = Port::new("").key("reader");
    let service = port.serve(&["--log-level", "trace"]);
    let mut changed = Signer::claims("reader");
    changed["aud"] = "other".into();
    let tokens = [
        signer.token("reader"),
        signer.sign(&changed),
        signer.confused("reader"),
    ];
    let mistyped = key.replace(id(&key), "0123456789ab");
    for shown in [&key, &revoked, &other, &mistyped]
        .into_iter()
        .chain(&tokens)
    {
        let mut client = throughput(&service, Bearer::of(shown)).await;
        // Some are let in, some are not.
        let _ = client.get_status(GetStatusRequest::default()).await;
    }
    let stored = read_to_string(port.key_file()).unwrap();
    let of_file = stored.split('"').filter(|word| word.len() == 64);
    let of_key = |key: &String| key.split_at(16).1[..43].to_owned();
    let of_token = |token: &String| token.rsplit('.').next().unwrap().to_owned();
    let mut secrets: Vec<String> = of_file.map(str::to_owned).collect();
    assert_eq!(secrets.len(), 4, "a pepper and three hashes");
    secrets.extend([&key, &revoked, &other].map(of_key));
    secrets.extend(tokens.each_ref().map(of_token));
    let process = |name: &str| read(format!("/proc/{}/{name}", service.pid())).unwrap();
    let kept = trail(&port);
    let listed = text(&port.keys(&["list", "--format", "csv"]));
    let places = [
        ("the log", port.place.logged()),
        ("the metrics", port.metrics(&service)),
        (
            "the command",
            String::from_utf8_lossy(&process("cmdline")).into(),
        ),
        (
            "the environment",
            String::from_utf8_lossy(&process("environ")).into(),
        ),
        ("the list", listed.0 + &listed.1),
        ("the audit trail", kept),
    ];
    for (place, text) in &places {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{place} has {secret}");
        }
    }
    assert!(places[0].1.contains("TRACE"), "it was to tell everything");
    service.stop();
}
