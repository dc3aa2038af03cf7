//! The parts of an event's way, one by one: `make parts`. What the whole service
//! does is measured by `make bench`.

mod counting;
mod ingest;
mod known;
mod questions;
mod sample;

use criterion::{criterion_group, criterion_main};

/// As in the service.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

criterion_group!(
    parts,
    ingest::bench,
    counting::bench,
    known::bench,
    questions::bench
);
criterion_main!(parts);
