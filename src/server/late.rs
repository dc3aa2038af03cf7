//! Refusals that go later: they are noted at once, so that whoever gives up waiting for his
//! is noted too.

use std::sync::Arc;
use std::time::Duration;

/// Among the extensions of an answer: it is to go so much later.
#[derive(Clone)]
pub struct Late {
    by: Duration,
    /// What it holds until then.
    _waits: Option<Arc<dyn Send + Sync>>,
}

impl Late {
    /// By so much.
    pub fn by(by: Duration) -> Self {
        Self { by, _waits: None }
    }

    /// The same, with a place among those that wait.
    pub fn with(self, waits: impl Send + Sync + 'static) -> Self {
        Self {
            _waits: Some(Arc::new(waits)),
            ..self
        }
    }

    /// Waits for as long.
    pub async fn wait(self) {
        tokio::time::sleep(self.by).await;
    }
}
