//! What a piece of work holds, counted by the allocator: what an input claims may
//! cost no more than what it has.

/// Does it on this thread, which holds no more bytes for it at any time than so many.
#[track_caller]
pub fn within<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let mut done = None;
    let held = allocation_counter::measure(|| done = Some(work()));
    let peak = held.bytes_max;
    assert!(peak <= bytes as u64, "held {peak} bytes, at most {bytes}");
    done.unwrap()
}
