//! The binary: arguments, a runtime, one line for what failed.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use quaymeter::cli::{Cli, FAILED};
use std::{io, process::ExitCode, time::Duration};

/// What one thread makes and another drops, glibc's is slow at: docs/performance.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    quaymeter::allocator::give_back_soon();
    match Cli::from_arguments() {
        Ok(cli) => run(cli).unwrap_or_else(|error| tell(&error)),
        Err(status) => status,
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let status = runtime.block_on(cli.run());
    // A thread that still reads stdin never ends by itself.
    runtime.shutdown_timeout(Duration::from_millis(100));
    status
}

/// A reader that has gone, as in `quaymeter … | head`, is no failure to tell.
fn tell(error: &anyhow::Error) -> ExitCode {
    let gone = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref());
    if !causes.any(gone) {
        eprintln!("quaymeter: {error:#}");
    }
    ExitCode::from(FAILED)
}
