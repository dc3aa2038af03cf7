//! Requests of every method, as far as the code that answers them.
//!
//! The first byte chooses the method. The rest is its message, or, of a stream, its
//! messages: each two bytes for its length, then as many.

mod service;

use crate::{event, memory};
use prost::Message as _;
use quaymeter::pb;
use quaymeter::pb::stream_events_request::Message as Say;
use service::{Method, Service};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

pub const WORDS: &[&str] = &[
    "Asia/Shanghai", "UTC", "CNNBO/BLCT2", "CNNBO", "ygt:F1", "smdg:COS", "\u{0}", "甬",
    "uscc:91330200MA2AGX0000", "MSKU1234565", "浙B12345", "\u{12}\u{7f}", "\u{8}\u{1}",
];

/// What a method may hold for an input, beside what that is in memory: pages and
/// buffers of the transport.
const ROOM: usize = 4 << 20;

/// Events of a request that are held to the rules of events.
const EVENTS_MAX: usize = 20;

thread_local! {
    static SERVICE: Service = Service::new();
}

pub fn seed_events() -> Vec<pb::Event> {
    service::events()
}

pub fn seeds() -> Vec<Vec<u8>> {
    let all = SERVICE.with(|service| service.methods().to_vec());
    let methods = all.into_iter().enumerate();
    let mut seeds = Vec::new();
    for (number, method) in methods {
        for message in service::valid(&method.path) {
            let message = match method.streams {
                true => [&(message.len() as u16).to_le_bytes()[..], &message].concat(),
                false => message,
            };
            seeds.push([&[number as u8][..], &message].concat());
        }
    }
    seeds
}

pub fn judge(input: &[u8]) {
    let Some((&number, rest)) = input.split_first() else {
        return;
    };
    SERVICE.with(|service| {
        let methods = service.methods();
        let method = &methods[usize::from(number) % methods.len()];
        let messages = match method.streams {
            true => messages(rest),
            false => vec![rest],
        };
        let room = ROOM + 256 * input.len();
        let status = memory::within(room, || service.call(method, &messages));
        hold(method, &messages, &status);
        for event in events(&method.path, &messages).into_iter().take(EVENTS_MAX) {
            event::hold(event);
        }
    });
}

fn messages(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (message, rest) = rest.split_at(length);
        messages.push(message);
        bytes = rest;
    }
    messages
}

/// A refusal has a reason of ours, and names the field if it is about one. That a
/// fault is ours is only said of what is no message at all.
fn hold(method: &Method, messages: &[&[u8]], status: &Status) {
    let path = &method.path;
    match status.code() {
        Code::Ok => return,
        Code::Internal => {
            let broken = status.message().contains("decode");
            assert!(broken, "{path}: {status:?}");
            let whole = |message: &&[u8]| service::decodes(path, message);
            assert!(!messages.iter().all(whole), "{path}: {status:?}");
            return;
        }
        Code::Unimplemented => return assert!(path.contains("AdminService"), "{path}"),
        Code::Unknown | Code::DataLoss | Code::Aborted => panic!("{path}: {status:?}"),
        _ => {}
    }
    let details = status.get_error_details();
    let info = details.error_info();
    let info = info.unwrap_or_else(|| panic!("{path}: no reason: {status:?}"));
    assert_eq!(info.domain, "quaymeter");
    assert!(!info.reason.is_empty(), "{path}: {status:?}");
    if status.code() == Code::InvalidArgument {
        let bad = details.bad_request();
        let violations = bad.map_or(&[][..], |bad| &bad.field_violations);
        assert!(!violations.is_empty(), "{path}: no field: {status:?}");
        for violation in violations {
            event::told(&violation.field, "", &violation.description);
        }
    }
}

fn events(path: &str, messages: &[&[u8]]) -> Vec<pb::Event> {
    let of_message = |message: &&[u8]| match path.rsplit('/').next() {
        Some("PublishEvents") => pb::PublishEventsRequest::decode(*message)
            .map(|request| request.events)
            .unwrap_or_default(),
        Some("StreamEvents") => match pb::StreamEventsRequest::decode(*message) {
            Ok(pb::StreamEventsRequest {
                message: Some(Say::Batch(batch)),
            }) => batch.events,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    messages.iter().flat_map(of_message).collect()
}

/// Otherwise what is told of a log would never be reached.
#[test]
fn what_is_to_be_explained_is_read_from_a_log() {
    SERVICE.with(|service| {
        for name in ["LookupEvent", "ListCellEvents"] {
            let mut methods = service.methods().iter();
            let method = methods.find(|method| method.path.ends_with(name)).unwrap();
            for message in service::valid(&method.path) {
                let status = service.call(method, &[&message]);
                assert_eq!(status.code(), Code::Ok, "{name}: {status:?}");
            }
        }
    });
}
