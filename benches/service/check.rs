//! Whether the service counted exactly what was meant. A benchmark whose totals
//! are wrong has measured nothing.

use crate::corpus::{Corpus, DAY_MS};
use crate::totals::Totals;
use anyhow::{Context as _, ensure};
use quaymeter::answers::Client;
use quaymeter::pb::{Classifier, GetStatusRequest, GetStatusResponse, Role};
use quaymeter::truth::Figure;
use std::time::Duration;
use tonic::Request;

/// Slots and plans reach beyond their days, by at most this.
const MARGIN_MS: i64 = 10 * DAY_MS;

/// Reached only when something hangs.
const COUNTED_WITHIN: Duration = Duration::from_secs(600);

/// Waits until the view includes these positions; the last status.
pub async fn visible(
    client: &mut Client,
    positions: &[String],
) -> anyhow::Result<GetStatusResponse> {
    let mut status = GetStatusResponse::default();
    for position in positions {
        let mut request = Request::new(GetStatusRequest {
            at_least: position.clone(),
        });
        // Acknowledgements may be far ahead of what is counted; without a deadline
        // the service would give up after ten seconds.
        request.set_timeout(COUNTED_WITHIN);
        status = client
            .get_status(request)
            .await
            .context("wait until all is counted")?
            .into_inner();
    }
    Ok(status)
}

/// Holds records, identities, repeats and every figure that adds up against what
/// the first days, and so many probes, were meant to come to.
pub async fn totals(
    client: &mut Client,
    corpus: &Corpus,
    days: usize,
    probes: i64,
) -> anyhow::Result<()> {
    let status = client.get_status(GetStatusRequest::default()).await?;
    let status = status.into_inner();
    let first = &corpus.days()[..days];
    let sent = first.iter().map(|day| day.sent).sum::<u64>() as i64 + probes;
    let distinct = first.iter().map(|day| day.distinct).sum::<u64>() as i64 + probes;
    let counted = (status.events, status.identities + status.forgotten);
    ensure!(
        counted == (sent, distinct),
        "counted {counted:?} (records, identities), meant {:?}",
        (sent, distinct)
    );
    // What is no first record of its identity is one of these.
    let repeats = status.duplicates + status.revisions + status.superseded + status.conflicts;
    let (least, most) = (repeats, repeats + status.retractions);
    ensure!(
        (least..=most).contains(&(sent - distinct)),
        "{least} to {most} repeats, meant {}",
        sent - distinct
    );
    figures(client, corpus, days, probes).await
}

/// The same of the figures alone, which are what they are however often something was
/// sent.
pub async fn figures(
    client: &mut Client,
    corpus: &Corpus,
    days: usize,
    probes: i64,
) -> anyhow::Result<()> {
    let mut meant = Totals::default();
    let days = &corpus.days()[..days];
    days.iter().for_each(|day| meant.merge(&day.totals));
    if probes > 0 {
        meant.add(Role::Fleet, Classifier::Actual, Figure::TrucksIn, probes);
    }
    let from = corpus.start_ms() - MARGIN_MS;
    let to = corpus.start_ms() + (crate::corpus::DAYS_MAX as i64 + 1) * DAY_MS + MARGIN_MS;
    let answered = Totals::answered(client, (from, to)).await?;
    answered.expect(&meant).context("the totals differ")
}
