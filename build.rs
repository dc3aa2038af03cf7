//! Compiles the protos without `protoc`, and their JSON form.

use prost::Message as _;
use std::{error::Error, fs, path::PathBuf};

const PROTOS: [&str; 4] = [
    "quaymeter/v1/admin.proto",
    "quaymeter/v1/event.proto",
    "quaymeter/v1/ingest.proto",
    "quaymeter/v1/throughput.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let encoded = descriptors.encode_to_vec();
    fs::write(out.join("descriptors.bin"), &encoded)?;
    tonic_prost_build::configure()
        .compile_well_known_types(true)
        .codec_path("crate::intake::codec::Bounded")
        .extern_path(".google.protobuf", "::pbjson_types")
        .compile_fds(descriptors)?;
    pbjson_build::Builder::new()
        .register_descriptors(&encoded)?
        .build(&[".quaymeter.v1"])?;
    // With the long run of tests/fuzz the program is built too, and never run: it is
    // linked without the library that counts what is reached.
    if std::env::var_os("CARGO_CFG_LIBFUZZER").is_some() {
        println!("cargo:rustc-link-arg-bins=-Wl,--unresolved-symbols=ignore-all");
    }
    Ok(())
}
