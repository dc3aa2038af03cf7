//! How much waits to be durable.

use std::sync::Arc;
use tokio::sync::Semaphore;

/// Tells how much waits, without being one who appends.
#[derive(Clone)]
pub struct Gauge {
    room: Arc<Semaphore>,
    room_bytes: u32,
}

impl Gauge {
    /// Of a room for so many bytes.
    pub(super) fn new(room: &Arc<Semaphore>, room_bytes: u32) -> Self {
        Self {
            room: Arc::clone(room),
            room_bytes,
        }
    }

    /// Bytes of batches that wait, with what is kept beside them.
    pub fn waiting_bytes(&self) -> u64 {
        let room = self.room.available_permits() as u64;
        u64::from(self.room_bytes).saturating_sub(room)
    }
}
