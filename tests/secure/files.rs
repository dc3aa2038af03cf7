//! Files that cannot be used, and what is said of them.

use crate::place::Place;
use crate::service::quaymeter;
use crate::world::{World, ran, shown};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// What `serve` and `check-config` say of these files; neither takes them.
fn refused(place: &Place, cert: &Path, key: &Path, more: &[&str]) -> String {
    let files = ["--tls-cert", shown(cert), "--tls-key", shown(key)];
    let data = place.data();
    let mut told = Vec::new();
    for command in ["serve", "check-config"] {
        let mut program = quaymeter();
        program
            .args([command, "--data-dir", shown(&data)])
            .args(files);
        for port in ["--listen", "--http-listen", "--health-listen"] {
            program.args([port, "127.0.0.1:0"]);
        }
        let (status, out, err) = ran(program.args(more));
        assert_eq!(status, Some(1), "{command}: {out}{err}");
        told.push(err);
    }
    let [serve, check] = <[String; 2]>::try_from(told).unwrap();
    for line in check.lines().filter(|line| line.contains(':')) {
        let fault = line.trim_start_matches("quaymeter: ");
        assert!(serve.contains(fault.trim()), "{check}: {serve}");
    }
    assert!(!serve.contains("PRIVATE KEY-----\n"), "{serve}");
    serve
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let world = World::new();
    let key = &world.server.key;
    for mode in [0o644, 0o604, 0o666] {
        fs::set_permissions(key, fs::Permissions::from_mode(mode)).unwrap();
        let told = refused(&world.place, &world.server.cert, key, &[]);
        let expected = format!("is open to others (mode {mode:03o}), expected mode 600");
        assert!(told.contains(&expected), "{told}");
        assert!(told.contains(shown(key)), "{told}");
    }
}

#[test]
fn a_file_that_is_not_there_or_something_else_is_named() {
    let world = World::new();
    let (cert, key) = (&world.server.cert, &world.server.key);
    let nowhere = world.place.path("nowhere.pem");
    let told = refused(&world.place, &nowhere, key, &[]);
    let expected = format!("read the certificate {}: No such file", nowhere.display());
    assert!(told.contains(&expected), "{told}");
    let told = refused(&world.place, cert, &nowhere, &[]);
    assert!(told.contains("read the private key"), "{told}");
    let told = refused(&world.place, key, key, &[]);
    assert!(
        told.contains("found no certificate, expected certificates in PEM"),
        "{told}"
    );
    let empty = world.place.path("empty.key");
    crate::authority::write_secret(&empty, "");
    let told = refused(&world.place, cert, &empty, &[]);
    assert!(
        told.contains("found no such key, expected one private key in PEM"),
        "{told}"
    );
    let other = world.authority.server("other");
    let told = refused(&world.place, cert, &other.key, &[]);
    let expected = format!(
        "use the private key {} with the certificate",
        other.key.display()
    );
    assert!(told.contains(&expected), "{told}");
}

#[test]
fn authorities_that_are_none_are_refused() {
    let world = World::new();
    let (cert, key) = (&world.server.cert, &world.server.key);
    let nobody = world.place.path("nobody.pem");
    fs::write(&nobody, "nothing\n").unwrap();
    let clients = ["--tls-clients", "required", "--tls-client-ca"];
    let told = refused(
        &world.place,
        cert,
        key,
        &[&clients[..], &[shown(&nobody)]].concat(),
    );
    assert!(told.contains("the clients' authorities"), "{told}");
    assert!(told.contains("found no certificate"), "{told}");
}
