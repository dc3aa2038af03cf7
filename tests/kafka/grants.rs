//! What the page of permissions grants, and the same as a broker has it: read and written
//! by Kafka's protocol, byte by byte, because no library here does.

use crate::gate::Gate;
use crate::instances::{DEADLINE, World};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;

/// Names of the page's prefix, as its commands have them.
const PREFIX: &str = "quaymeter";

/// The page's commands, in its order: what follows `kafka-acls.sh` and says where the
/// cluster is, about a world's topics.
pub fn commands(world: &World) -> Vec<Vec<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security-kafka.md");
    let page = fs::read_to_string(page).unwrap();
    let lines = page.lines();
    let commands = lines.filter_map(|line| line.strip_prefix("kafka-acls.sh "));
    commands.map(|line| words(line, world)).collect()
}

fn words(line: &str, world: &World) -> Vec<String> {
    let told = "--bootstrap-server kafka-0:9092 --command-config admin.properties ";
    let line = line.strip_prefix(told).expect("where the cluster is");
    let mut resource = false;
    let word = |word: &str| {
        let named = std::mem::replace(
            &mut resource,
            ["--topic", "--group", "--transactional-id"].contains(&word),
        );
        match word.strip_prefix(PREFIX) {
            Some(rest) if named => format!("{}{rest}", world.prefix),
            _ => word.to_owned(),
        }
    };
    line.split(' ').map(word).collect()
}

/// Applies commands, two at a time: each is a Java of its own.
pub fn apply(gate: &Gate, commands: &[Vec<String>]) {
    std::thread::scope(|scope| {
        for part in commands.chunks(commands.len().div_ceil(2)) {
            scope.spawn(move || {
                for command in part {
                    gate.broker.acls(command);
                }
            });
        }
    });
}

/// One permission: an operation on a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    kind: u8,
    pub resource: String,
    pattern: u8,
    operation: u8,
}

impl Grant {
    /// How an error names the resource.
    pub fn named(&self) -> String {
        match self.kind {
            GROUP => format!("as group {}", self.resource),
            _ => self.resource.clone(),
        }
    }

    /// Whether it is to write.
    pub fn is_to_write(&self) -> bool {
        self.operation == WRITE
    }
}

const GROUP: u8 = 3;
const WRITE: u8 = 4;

/// Matches any in a question, and says "allowed" in a grant.
const ANY: u8 = 1;
const ALLOW: u8 = 3;

const DESCRIBE_ACLS: u16 = 29;
const CREATE_ACLS: u16 = 30;

/// What somebody is granted.
pub fn of(gate: &Gate, principal: &str) -> Vec<Grant> {
    let mut asked = vec![ANY, 0xff, 0xff, ANY];
    put(&mut asked, principal);
    asked.extend([0xff, 0xff, ANY, ANY]);
    let mut answer = Answer::of(gate, DESCRIBE_ACLS, &asked);
    answer.refused();
    let mut grants = Vec::new();
    for _ in 0..answer.number(4) {
        let (kind, resource, pattern) = (answer.byte(), answer.text(), answer.byte());
        for _ in 0..answer.number(4) {
            assert_eq!(
                (answer.text().as_str(), answer.text().as_str()),
                (principal, "*")
            );
            grants.push(Grant {
                kind,
                resource: resource.clone(),
                pattern,
                operation: answer.byte(),
            });
            assert_eq!(answer.byte(), ALLOW);
        }
    }
    grants
}

/// Grants this to somebody, who has it then: it is decided before the broker heeds it.
pub fn give(gate: &Gate, principal: &str, grants: &[Grant]) {
    let mut asked = (grants.len() as u32).to_be_bytes().to_vec();
    for grant in grants {
        asked.push(grant.kind);
        put(&mut asked, &grant.resource);
        asked.push(grant.pattern);
        put(&mut asked, principal);
        put(&mut asked, "*");
        asked.extend([grant.operation, ALLOW]);
    }
    let mut answer = Answer::of(gate, CREATE_ACLS, &asked);
    for _ in 0..answer.number(4) {
        answer.refused();
    }
    let asked = Instant::now();
    while of(gate, principal).len() < grants.len() {
        assert!(
            asked.elapsed() < DEADLINE,
            "{principal} is granted too little"
        );
    }
}

fn put(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u16).to_be_bytes());
    bytes.extend(text.as_bytes());
}

/// What is left to be read of an answer.
struct Answer(std::vec::IntoIter<u8>);

impl Answer {
    /// Asks in version 1, as nobody in particular, who may do everything.
    fn of(gate: &Gate, what: u16, asked: &[u8]) -> Self {
        let mut request = what.to_be_bytes().to_vec();
        request.extend([0, 1, 0, 0, 0, 7, 0xff, 0xff]);
        request.extend(asked);
        let mut broker = TcpStream::connect(gate.broker.bootstrap()).unwrap();
        broker
            .write_all(&(request.len() as u32).to_be_bytes())
            .unwrap();
        broker.write_all(&request).unwrap();
        let mut length = [0; 4];
        broker.read_exact(&mut length).unwrap();
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        broker.read_exact(&mut answer).unwrap();
        let mut answer = Self(answer.into_iter());
        let (correlation, _throttled) = (answer.number(4), answer.number(4));
        assert_eq!(correlation, 7);
        answer
    }

    fn byte(&mut self) -> u8 {
        self.0.next().expect("a longer answer")
    }

    fn number(&mut self, bytes: usize) -> usize {
        (0..bytes).fold(0, |number, _| number << 8 | usize::from(self.byte()))
    }

    /// Of a length below zero there is none.
    fn text(&mut self) -> String {
        let length = self.number(2) as u16 as i16;
        let bytes = (0..length).map(|_| self.byte()).collect();
        String::from_utf8(bytes).unwrap()
    }

    /// An error's code and text, which there must not be.
    fn refused(&mut self) {
        let (code, text) = (self.number(2), self.text());
        assert_eq!(code, 0, "{text}");
    }
}
