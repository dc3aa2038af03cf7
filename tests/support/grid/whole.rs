//! Whether the grid asks with every method there is: a method without a row here is one
//! of which nobody has asked whom its answers tell of.

use super::{Asked, differing};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use quaymeter::pb;
use std::collections::BTreeSet;

/// The methods that have no row, and why not.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "watch_throughput",
        "its answers never end: beside each grid is a test of what a watch hears",
    ),
    (
        "publish_events",
        "its answers are about the events that come with the call",
    ),
    (
        "stream_events",
        "its answers are about the events that come with the call",
    ),
    (
        "backup",
        "all there is goes to who runs the service: tests/access/matrix.rs lets nobody else in",
    ),
];

/// The rows of what is answered to who runs the service, and to nobody else.
const OPERATED: &[&str] = &["dump_cells", "lookup_event", "list_cell_events"];

/// The methods of all our services, as our client calls them.
fn methods() -> BTreeSet<String> {
    let files = FileDescriptorSet::decode(pb::DESCRIPTORS).unwrap().file;
    let services = files.iter().flat_map(|file| &file.service);
    let methods = services.flat_map(|service| &service.method);
    methods.map(|method| snake(method.name())).collect()
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// Fails where a method has no row and no reason for that, where one has both or is not
/// there at all, and where a row of who runs the service is answered to this caller, who
/// does not.
#[track_caller]
pub fn assert_whole(asked: &[Asked]) {
    let mut listed: BTreeSet<_> = asked.iter().map(|one| one.method.to_owned()).collect();
    for (method, why) in ELSEWHERE {
        assert!(listed.insert((*method).into()), "{method}: {why}");
    }
    assert_eq!(listed, methods(), "with a row or a reason, and there are");
    for one in asked.iter().filter(|one| OPERATED.contains(&one.method)) {
        let refused = one.answers.iter().all(|told| told.contains("NOT_ALLOWED"));
        assert!(refused, "{one:?}");
    }
}

/// Fails where who may see all does not tell two worlds apart by each row whose answers
/// are of enterprises: such a row shows nothing.
#[track_caller]
pub fn assert_told_apart(one: &[Asked], other: &[Asked]) {
    let mut rows: BTreeSet<_> = one.iter().map(|one| one.method).collect();
    rows.retain(|method| !OPERATED.contains(method));
    let same: Vec<_> = rows.difference(&differing(one, other)).copied().collect();
    assert!(same.is_empty(), "{same:?} answer the same");
}
