//! No plate and no driver gets out by any door, whichever it came in by.

use crate::place::{Place, counted, get};
use crate::raw::{ACCEPTED, SECRETS, asked, sent, told};
use crate::search::Pile;
use crate::service::quaymeter;
use std::path::Path;

#[tokio::test(flavor = "multi_thread")]
async fn no_plate_and_no_driver_is_kept_logged_told_or_exported() {
    let place = Place::new();
    let settings = ["--checkpoint-interval-ms", "10"];
    let loud = [&settings[..], &["--log-level", "trace"]].concat();
    let service = place.serve(&loud);
    let mut texts = sent(&place.path(""), &service).await;
    // In strict mode the odd ones are refused too.
    counted(&service.grpc, 4 * ACCEPTED - 2).await;
    texts.extend(told(&service).await);
    let copy = place.path("copy");
    let mut backup = quaymeter();
    backup.args(["backup", "--server", &service.grpc, "--to"]);
    texts.push(("backup", asked(backup.arg(&copy))));
    // A kill leaves the log's last segment as it was written, a stop the store's.
    service.kill();
    let service = place.serve(&loud);
    let (_, page) = get(&service.http, "/metrics");
    texts.push(("metrics", page));
    service.stop();
    let mut audit = quaymeter();
    audit.args(["audit", "--data-dir"]).arg(place.data());
    texts.push(("audit", asked(&mut audit)));
    texts.push(("log", place.logged()));
    let pile = Pile::of(&[&place.data(), &copy], texts);
    for secret in SECRETS {
        let found = pile.places_of(secret);
        assert!(found.is_empty(), "{secret} is in {found:#?}");
    }
    the_search_finds_what_is_there(&pile, &place.data(), &copy);
}

#[track_caller]
fn the_search_finds_what_is_there(pile: &Pile, data: &Path, copy: &Path) {
    let below = |dir: &Path, name: &str| dir.join(name).display().to_string();
    for (known, wanted) in [
        ("order-file", below(data, "log/")),
        ("order-stream", below(copy, "log/")),
        ("ygt:F1", below(data, "store/")),
        ("ygt:F1", below(copy, "store/")),
        ("ygt:F1", "metrics".to_owned()),
        ("gate_move.tractor_plate", "answers".to_owned()),
        ("p1:", "explain".to_owned()),
        ("quaymeter", "log".to_owned()),
    ] {
        let found = pile.places_of(known);
        let there = found.iter().any(|name| name.starts_with(&wanted));
        assert!(there, "{known} is in {found:#?}, not in {wanted}");
    }
}
