//! Credentials that expire while something is open that they opened.

use crate::certificates::Secured;
use crate::ending::{end, ended, publishes_to_the_end, watching_over};
use crate::methods::{Outcome, outcome};
use crate::place::until;
use crate::port::{Bearer, CALLERS, Port, callers};
use crate::signer::Signer;
use jiff::Timestamp;
use quaymeter::auth::keys::Keys;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};
use std::time::Duration;

const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// Soon: but what they open is open before, also where machines are busy.
const GOOD_S: i64 = 5;

/// When a second begins that is so many from now.
fn in_seconds(seconds: i64) -> Timestamp {
    let at = Timestamp::now().as_second() + seconds;
    Timestamp::from_second(at).unwrap()
}

/// Two clocks differ a little while one is set.
#[track_caller]
fn is_past(end: Timestamp) {
    let left = end.duration_since(Timestamp::now());
    assert!(
        left < jiff::SignedDuration::from_millis(50),
        "{left:?} early"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_expires_ends_its_stream_once_all_that_was_taken_is_acknowledged() {
    let port = Port::new(CALLERS);
    let service = port.serve(&[]);
    let read = || port.metric(&service, "quaymeter_callers_reloads_total ");
    let before = read();
    let end = in_seconds(GOOD_S);
    let key = Keys::change(&port.key_file(), |keys| {
        keys.create("publisher", Timestamp::now(), Some(end))
    });
    service.signal("HUP");
    until("it is known", async || read() > before).await;
    let bearer = Bearer::of(&key.unwrap().text());
    publishes_to_the_end(&port, &service, bearer, || ()).await;
    is_past(end);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_ends_its_stream_after_the_skew_once_all_is_acknowledged() {
    let signer = Signer::new("k");
    let port = Port::new("");
    let file = port.place.path("keys.json");
    std::fs::write(&file, signer.jwks()).unwrap();
    port.rewrite(&callers(&format!("jwks_file = {file:?}\nclock_skew_s = 2")));
    let service = port.serve(&[]);
    let end = in_seconds(GOOD_S);
    let mut claims = Signer::claims("publisher");
    claims["exp"] = (end.as_second() - 2).into();
    let bearer = Bearer::of(&signer.sign(&claims));
    publishes_to_the_end(&port, &service, bearer, || ()).await;
    is_past(end);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_expires_ends_what_it_opened_and_opens_nothing_more() {
    let secured = Secured::new();
    let ends = in_seconds(GOOD_S);
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let since_1970 = Duration::from_secs(ends.as_second().unsigned_abs());
    params.not_after = date_time_ymd(1970, 1, 1) + since_1970;
    let identity = secured.authority.issue("reader.example", params, |_| ());
    let line = secured.shown(Some(&identity), Bearer::none()).await;
    ended(&end(watching_over(line.clone()).await).await);
    is_past(ends);
    assert_eq!(outcome(&line, REFLECTION).await, Outcome::Unknown);
    secured.service.stop();
}
