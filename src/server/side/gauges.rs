//! Gauges that are measured when they are asked for.

use super::Tells;
use crate::metrics::Lag;
use crate::server::Budgets;
use crate::view::State;

impl Tells {
    /// Measures; how far behind the log each partition is that is counted here.
    pub(super) fn measure(&self) -> Vec<Lag> {
        let Budgets { requests, answers } = &self.budgets;
        self.metrics.request_bytes.set(requests.held() as f64);
        // Those beyond it wait for a while only, and may be refused.
        let most = self.turns.waiting_bytes_max();
        let buffered = most.min(self.log.waiting_bytes() + self.turns.waiting_bytes());
        self.metrics.buffered_bytes.set(buffered as f64);
        self.metrics.answer_bytes.set(answers.held() as f64);
        self.measure_disk();
        self.view.scan(|state| {
            self.count_cells(state);
            self.measure_view(state);
            self.lags(state)
        })
    }

    fn measure_disk(&self) {
        // Without an answer they stay as they were.
        if let Ok(of) = rustix::fs::statvfs(&self.dir) {
            let bytes = |blocks: u64| (blocks * of.f_frsize) as f64;
            self.metrics.disk_free_bytes.set(bytes(of.f_bavail));
            self.metrics.disk_size_bytes.set(bytes(of.f_blocks));
        }
    }

    fn count_cells(&self, state: &State) {
        let census = state.cells.census();
        let calls = state.cells.calls.iter().count() as i64;
        for (family, cells) in [
            ("quarter", census.quarters()),
            ("day", census.days()),
            ("call", calls),
            ("slot", census.slots()),
        ] {
            self.metrics.cells.with([family]).set(cells as f64);
        }
    }

    fn measure_view(&self, state: &State) {
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let metrics = &self.metrics;
        for (partition, offset) in state.reach.partitions() {
            let of = metrics.view_offset.with([&partition.to_string()]);
            of.set(offset as f64);
        }
        metrics
            .last_append
            .set(seconds(state.appended_at.unwrap_or(0)));
        let complete = state.complete_through((self.clock)());
        metrics.complete_through.set(seconds(complete.unwrap_or(0)));
    }

    fn lags(&self, state: &State) -> Vec<Lag> {
        let lag = |(partition, [high_watermark, last_stable]): (u32, [u64; 2])| {
            let reached = state.reach.in_partition(partition);
            Lag {
                partition,
                high_watermark: high_watermark.saturating_sub(reached),
                last_stable: last_stable.saturating_sub(reached),
            }
        };
        match &self.assigned {
            None => vec![lag((0, [self.metrics.log_end_offset.get(); 2]))],
            Some(assigned) => {
                let ends = assigned.ends().into_iter();
                ends.map(|(partition, ends)| (partition, [ends.high_watermark, ends.last_stable]))
                    .map(lag)
                    .collect()
            }
        }
    }
}
