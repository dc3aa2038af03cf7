//! What is reached from elsewhere is protected, or meant not to be.

use crate::place::{Place, get};
use crate::service::{Service, quaymeter};
use crate::world::{World, ran, shown};
use std::fs::File;
use std::process::Command;

const OPEN: &str = "insecure_i_know: whoever reaches this port may do everything";

fn serve(place: &Place, settings: &[&str]) -> Command {
    let mut command = quaymeter();
    command.args(["serve", "--data-dir", shown(&place.data())]);
    for port in ["listen", "http-listen", "health-listen"] {
        let flag = format!("--{port}");
        if !settings.contains(&flag.as_str()) {
            command.args([&flag, "127.0.0.1:0"]);
        }
    }
    command.args(settings);
    command
}

#[test]
fn a_port_beyond_loopback_is_refused_without_tls_and_callers() {
    let place = Place::new();
    for (flag, setting, lacks) in [
        ("--listen", "listen", "tls.cert and callers"),
        (
            "--http-listen",
            "http_listen",
            "tls.cert and callers (or tls.clients = required)",
        ),
    ] {
        for address in ["0.0.0.0:0", "[::]:0"] {
            let (status, out, told) = ran(&mut serve(&place, &[flag, address]));
            assert_eq!((status, out.as_str()), (Some(1), ""), "{told}");
            let expected = format!("{setting}: found {address} without {lacks}, expected");
            assert!(told.contains(&expected), "{told}");
            assert!(told.contains("--insecure-i-know"), "{told}");
        }
    }
    let (status, _, told) = ran(quaymeter().args(["check-config", "--listen", "0.0.0.0:1"]));
    assert_eq!(status, Some(1), "{told}");
    // It did not even begin.
    assert!(!place.data().exists());
}

#[test]
fn what_is_meant_to_lie_open_is_told_at_each_start() {
    let place = Place::new();
    for start in 1..=2 {
        let log = File::options()
            .append(true)
            .create(true)
            .open(place.path("log.txt"));
        let flags = ["--listen", "0.0.0.0:0", "--insecure-i-know"];
        let mut command = serve(&place, &flags);
        command.stderr(log.unwrap());
        Service::of(command).stop();
        let logged = place.logged();
        assert_eq!(logged.matches(OPEN).count(), start, "{logged}");
        assert!(logged.contains("WARN"), "{logged}");
        assert!(
            logged.contains("lacks=\"tls.cert and callers\""),
            "{logged}"
        );
    }
}

#[test]
fn what_is_meant_to_lie_open_is_told_whichever_log_lines_are_written() {
    for level in ["off", "error", "off,quaymeter::log=debug", "warn"] {
        let place = Place::new();
        let log = File::create(place.path("log.txt")).unwrap();
        let flags = ["--listen", "0.0.0.0:0", "--insecure-i-know"];
        let mut command = serve(&place, &flags);
        command.args(["--log-level", level]).stderr(log);
        Service::of(command).stop();
        let logged = place.logged();
        assert_eq!(logged.matches(OPEN).count(), 1, "{level}: {logged}");
        assert!(logged.contains("tls.cert and callers"), "{level}: {logged}");
        assert!(logged.contains("0.0.0.0:0"), "{level}: {logged}");
    }
}

#[test]
fn the_health_port_may_listen_anywhere() {
    let place = Place::new();
    let service = Service::of(serve(&place, &["--health-listen", "0.0.0.0:0"]));
    let (_, port) = service.health.rsplit_once(':').unwrap();
    assert_eq!(get(&format!("127.0.0.1:{port}"), "/readyz").0, 200);
    service.stop();
}

#[test]
fn metrics_may_listen_anywhere_if_their_clients_show_certificates() {
    let world = World::new();
    let authority = world.authority.file();
    let settings = [
        "--http-listen",
        "0.0.0.0:0",
        "--tls-cert",
        shown(&world.server.cert),
        "--tls-key",
        shown(&world.server.key),
        "--tls-client-ca",
        shown(&authority),
        "--tls-clients",
    ];
    let with = |clients| [&settings[..], &[clients]].concat();
    Service::of(serve(&world.place, &with("required"))).stop();
    let (status, _, told) = ran(&mut serve(&world.place, &with("optional")));
    assert_eq!(status, Some(1), "{told}");
}
