//! The signals of a process: to stop, and to look again at what it has read.

use anyhow::Context as _;
use std::future::Future;
use std::process;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ends with the first SIGTERM or SIGINT; from then on a second one ends the
/// process at once, with the status that shells give it (128 + its number).
/// Signals are caught from this call on, not from the first poll.
///
/// # Errors
/// Signals cannot be caught.
pub fn shutdown_signal() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut caught = caught()?;
    Ok(async move {
        next(&mut caught).await;
        tracing::info!("stopping; a second signal exits at once");
        tokio::spawn(async move {
            let number = next(&mut caught).await;
            tracing::warn!("second signal: exiting without draining");
            process::exit(128 + number);
        });
    })
}

/// Ends with the first SIGTERM or SIGINT. Signals are caught from this call on.
///
/// # Errors
/// Signals cannot be caught.
pub fn stop_signals() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut caught = caught()?;
    Ok(async move {
        next(&mut caught).await;
    })
}

/// Catches SIGHUP from now on: unheard, it would end the process.
///
/// # Errors
/// The signal cannot be caught.
pub fn hangups() -> anyhow::Result<Signal> {
    signal(SignalKind::hangup()).context("catch SIGHUP")
}

/// Does something at each of them, for as long as the process runs.
pub fn at_each<F: Future<Output = ()> + Send>(
    mut hangups: Signal,
    mut work: impl FnMut() -> F + Send + 'static,
) {
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            work().await;
        }
    });
}

fn caught() -> anyhow::Result<(Signal, Signal)> {
    let catch = |kind| signal(kind).context("catch the stop signals");
    Ok((
        catch(SignalKind::terminate())?,
        catch(SignalKind::interrupt())?,
    ))
}

async fn next((terminate, interrupt): &mut (Signal, Signal)) -> i32 {
    tokio::select! {
        _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
        _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
    }
}
