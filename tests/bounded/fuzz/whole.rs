//! Whether every method has a row: one without is one to which nobody has sent garbage.

use super::endpoints;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use quaymeter::pb;
use std::collections::BTreeSet;

/// The paths of all methods, as the protos declare them.
fn declared() -> BTreeSet<String> {
    let sets = [
        pb::DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let mut paths = BTreeSet::new();
    for set in sets {
        for file in FileDescriptorSet::decode(set).unwrap().file {
            for service in &file.service {
                let name = format!("/{}.{}/", file.package(), service.name());
                let methods = service.method.iter();
                paths.extend(methods.map(|method| format!("{name}{}", method.name())));
            }
        }
    }
    paths
}

#[test]
fn every_method_that_is_declared_is_called_with_garbage() {
    let rows: Vec<_> = endpoints::served().iter().map(|row| row.path).collect();
    let called: BTreeSet<String> = rows.iter().map(|path| (*path).into()).collect();
    assert_eq!(called, declared(), "with a row, and declared");
    assert_eq!(called.len(), rows.len(), "twice: {rows:?}");
}
