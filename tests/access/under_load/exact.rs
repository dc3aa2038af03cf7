//! What is counted in the end, and what it must be.

use super::trucks::Sum;
use super::{Run, SENDERS, WEST};
use crate::place::{DAY_MS, text};
use crate::service::quaymeter;
use quaymeter::answers::instant;
use quaymeter::pb::{self, Dimension, DurationKind};
use std::collections::BTreeMap;

impl Run {
    /// What is answered of each sender's facility once all these positions are counted.
    async fn answered(&self, positions: &[String]) -> BTreeMap<String, Sum> {
        let key = self.secured.port.operator();
        let mut client = self.secured.asks(&self.service, key).await;
        for position in positions {
            let at_least = position.clone();
            let reached = client.get_status(pb::GetStatusRequest { at_least }).await;
            reached.unwrap();
        }
        let request = pb::GetThroughputRequest {
            from: Some(instant(self.midnight - DAY_MS)),
            to: Some(instant(self.midnight + DAY_MS)),
            grain: pb::Grain::Total.into(),
            group_by: vec![Dimension::Facility.into()],
            ..Default::default()
        };
        let answer = client.get_throughput(request).await.unwrap().into_inner();
        assert_eq!(answer.next_page_token, "");
        let mut sums = BTreeMap::new();
        for row in answer.rows {
            let figures = row.figures.unwrap();
            let sum: &mut Sum = sums.entry(row.facility).or_default();
            sum.trucks_in += figures.trucks_in;
            sum.trucks_out += figures.trucks_out;
            let turns = figures.durations.into_iter();
            for turn in turns.filter(|of| of.kind() == DurationKind::TruckTurn) {
                sum.turns += turn.count;
                sum.turns_ms += turn.sum_ms;
            }
        }
        sums
    }

    /// Nothing is sent any more: each event that was acknowledged is counted, once.
    pub async fn finish_exactly(mut self) {
        let (mut sums, mut positions) = (BTreeMap::new(), Vec::new());
        let (mut sent, mut again) = (0, 0);
        for (which, sending) in self.senders.drain(..).enumerate() {
            let (sum, report) = sending.finish().await;
            // Once for the service's end, and once for the key's.
            assert_eq!(report.resumed, 1 + u64::from(which == WEST), "{report:?}");
            positions.push(report.position);
            sent += sum.sent;
            again += sum.again;
            let counted = Sum {
                sent: 0,
                again: 0,
                ..sum
            };
            sums.insert(SENDERS[which].1.to_owned(), counted);
        }
        assert_eq!(self.answered(&positions).await, sums);
        let key = self.secured.port.operator();
        let status = self.secured.status(&self.service, key).await.unwrap();
        // Of an end in good order everybody is told what was taken, so nothing but what
        // is meant to be sent again comes twice.
        let counted = [status.events, status.duplicates, status.identities];
        let meant = [sent, again, sent - again].map(|count| count as i64);
        assert_eq!(counted, meant, "records, duplicates, identities");
        let changed = [status.conflicts, status.revisions, status.superseded];
        assert_eq!(changed, [0; 3], "conflicts, revisions, superseded");
        self.service.stop();
        let mut audit = quaymeter();
        audit
            .args(["audit", "--data-dir"])
            .arg(self.secured.port.place.data());
        audit.arg("--pseudonym-key").arg(self.secured.pseudonyms());
        let output = audit.output().unwrap();
        assert!(output.status.success(), "{:?}", text(&output));
    }
}
