//! Our own client, whose credentials end.

use crate::place::{DEADLINE, arrivals, until};
use crate::port::{CALLERS, Port};
use crate::service::{Service, quaymeter};
use quaymeter::client::reach::Credentials;
use quaymeter::client::{Cause, Error, Options, Publisher, Report};
use quaymeter::pb::Event;
use std::path::PathBuf;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::Code;

/// A publisher at work, and the file of its token.
struct Publishing {
    token: PathBuf,
    input: mpsc::Sender<((), Vec<Event>)>,
    running: JoinHandle<Result<Report, Error>>,
}

impl Publishing {
    fn new(port: &Port, service: &Service, key: &str) -> Self {
        let token = port.place.path("token");
        std::fs::write(&token, key).unwrap();
        let mut options = Options::new(&service.grpc, "publisher", "c");
        options.credentials = Credentials {
            token_file: Some(token.clone()),
            ..Credentials::default()
        };
        let publisher = Publisher::new(options).unwrap();
        let (input, events) = mpsc::channel(1);
        let running = tokio::spawn(async move { publisher.run(events, &mut ()).await });
        Self {
            token,
            input,
            running,
        }
    }

    async fn publish(&self, events: Vec<Event>) {
        // Who has failed takes nothing more, and says why in the end.
        let _ = self.input.send(((), events)).await;
    }

    async fn ended(self) -> Result<Report, Error> {
        drop(self.input);
        tokio::time::timeout(DEADLINE, self.running)
            .await
            .unwrap()
            .unwrap()
    }
}

async fn streams(port: &Port, service: &Service, open: i64) {
    let what = format!("{open} streams are open");
    until(&what, async || {
        port.metric(service, "quaymeter_streams ") as i64 == open
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_goes_on_with_the_new_key_in_its_file() {
    let port = Port::new(CALLERS);
    let (old, new) = (port.key("publisher"), port.key("publisher"));
    let service = port.serve(&[]);
    let publishing = Publishing::new(&port, &service, &old);
    publishing.publish(arrivals(0..3)).await;
    streams(&port, &service, 1).await;
    std::fs::write(&publishing.token, new).unwrap();
    port.revoke(&old);
    streams(&port, &service, 0).await;
    publishing.publish(arrivals(3..5)).await;
    let report = publishing.ended().await.unwrap();
    assert_eq!((report.accepted, report.resumed), (5, 1));
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_key_is_taken_back_stops_and_says_so() {
    let port = Port::new(CALLERS);
    let key = port.key("publisher");
    let service = port.serve(&[]);
    let publishing = Publishing::new(&port, &service, &key);
    publishing.publish(arrivals(0..3)).await;
    streams(&port, &service, 1).await;
    port.revoke(&key);
    streams(&port, &service, 0).await;
    publishing.publish(arrivals(3..5)).await;
    let error = publishing.ended().await.unwrap_err();
    let Cause::Status(status) = error.cause else {
        panic!("{error}")
    };
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!((error.report.accepted, error.unacknowledged), (3, 2));
    service.stop();
}

#[test]
fn a_mistyped_key_is_told_before_anything_is_sent() {
    let port = Port::new(CALLERS);
    let key = port.key("publisher");
    let token = port.place.path("token");
    let other = if key.ends_with('A') { 'B' } else { 'A' };
    std::fs::write(&token, format!("{}{other}", &key[..key.len() - 1])).unwrap();
    let mut command = quaymeter();
    command
        .args(["query", "--top", "1", "--token-file"])
        .arg(&token);
    let output = command.args(["--role", "CARRIER"]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains("a mistyped API key"), "{told}");
    assert!(!told.contains(&key[20..40]), "{told}");
}
