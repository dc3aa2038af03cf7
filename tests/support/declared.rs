//! The methods that the protos declare.

use prost::Message as _;
use prost_types::FileDescriptorSet;
use quaymeter::pb;

/// The paths of all methods that are served.
pub fn declared() -> Vec<String> {
    let sets = [
        pb::DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let mut paths = Vec::new();
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
