//! The broker itself: that it does what it is told.

use crate::broker::{Broker, Shared};
use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

/// Far more than anything here takes: reached only when something hangs.
const DEADLINE: Duration = Duration::from_secs(240);

/// Of who hangs it is enough to see that he does not answer at once.
const A_WHILE: Duration = Duration::from_millis(300);

/// A connection to node `node` (the first is 1).
fn connection(bootstrap: &str, node: usize) -> std::io::Result<TcpStream> {
    let address = bootstrap.split(',').nth(node - 1);
    TcpStream::connect(address.expect("as many addresses as nodes"))
}

/// Asks which requests the broker knows: `ApiVersions`, version 0, correlation 7,
/// from a client without a name.
fn ask(connection: &mut TcpStream) {
    let request = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];
    connection.write_all(&request).expect("an open connection");
}

/// Whether the broker answers in time.
fn answers(connection: &mut TcpStream, within: Duration) -> bool {
    connection
        .set_read_timeout(Some(within))
        .expect("a deadline");
    let mut length = [0; 4];
    match connection.read_exact(&mut length) {
        Ok(()) => true,
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => false,
        Err(error) => panic!("the connection is lost: {error}"),
    }
}

/// The command lines of all processes that name this folder. One that has ended
/// and was not yet waited for has none.
fn processes_of(folder: &str) -> Vec<String> {
    let lines = fs::read_dir("/proc").expect("processes").flatten();
    lines
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(folder))
        .collect()
}

#[test]
fn a_shared_broker_serves_until_its_last_user_lets_go() {
    if !Broker::may_start() {
        return;
    }
    let slot = Shared::new();
    let (first, last) = (slot.get(), slot.get());
    assert!(Arc::ptr_eq(&first, &last), "two clusters");
    drop(first);
    let bootstrap = last.bootstrap().to_owned();
    let mut client = connection(&bootstrap, 1).expect("a broker that listens");
    ask(&mut client);
    assert!(answers(&mut client, DEADLINE));

    let folder = last.folder().to_str().expect("a path in UTF-8").to_owned();
    // The node, and what stops it if this process dies.
    // For a moment after a fork, a third one has the second's command line.
    let started = Instant::now();
    while processes_of(&folder).len() != 2 {
        assert!(started.elapsed() < DEADLINE, "{:?}", processes_of(&folder));
    }
    drop(last);
    assert_eq!(processes_of(&folder), Vec::<String>::new());
    assert!(connection(&bootstrap, 1).is_err());
    assert!(!fs::exists(folder).expect("a readable folder"));
}

#[test]
fn a_node_hangs_dies_and_comes_back_as_it_is_told() {
    let Some(broker) = Broker::own(3) else { return };
    let connection = |node| connection(broker.bootstrap(), node);

    let mut client = connection(1).expect("a broker that listens");
    broker.pause(1);
    ask(&mut client);
    assert!(!answers(&mut client, A_WHILE), "it should hang");
    broker.resume(1);
    assert!(answers(&mut client, DEADLINE), "it should go on");

    broker.kill(2);
    assert!(connection(2).is_err(), "it should be dead");
    for node in [1, 3] {
        let mut client = connection(node).expect("a node that nobody killed");
        ask(&mut client);
        assert!(answers(&mut client, DEADLINE));
    }
    broker.start_node(2);
    let mut client = connection(2).expect("a node that is back");
    ask(&mut client);
    assert!(answers(&mut client, DEADLINE));
}

#[test]
fn a_broker_ends_with_its_owner() {
    if !Broker::may_start() {
        return;
    }
    let mut owner = Command::new("cat");
    let mut owner = owner.stdin(Stdio::piped()).spawn().expect("a process");
    let broker = Broker::owned_by(owner.id(), 1);
    let mut client = connection(broker.bootstrap(), 1).expect("a broker that listens");
    owner.kill().expect("a process to kill");
    owner.wait().expect("its end");
    client.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    match client.read(&mut [0]) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("it should end: {other:?}"),
    }
}
