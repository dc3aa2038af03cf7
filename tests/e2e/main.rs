//! End to end: the real binary, real sockets, what the simulator meant against
//! what queries answer.

mod exact;
mod service;
