//! HTTP/2 within limits.

use std::time::Duration;
use tonic::transport::Server;

/// Both windows small and large as measured against the many-small-frames trap
/// of HTTP/2: see ARCHITECTURE.md. Half of a connection's is what unread frames of less
/// than 256 bytes may lack of them, all together, before the connection is ended: some
/// 130,000 of a byte. All streams' windows, 32 MiB, are less than it.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;

/// Streams open at once on a connection; a client waits with more. Each of them
/// holds up to a window of what is on its way, in either direction.
const CONNECTION_STREAMS_MAX: u32 = 512;

/// Bytes of the headers of a call.
const HEADERS_BYTES_MAX: u32 = 16 << 10;

/// Streams that a client opened and reset before they were looked at; more end
/// the connection.
const RESET_STREAMS_MAX: usize = 20;

/// Streams that a client makes us reset, over the whole life of a connection; more end
/// it. Without a number of our own there would be no limit.
const FAULTY_STREAMS_MAX: usize = 1_024;

/// A connection is asked this often whether it lives …
const PING_EVERY: Duration = Duration::from_secs(30);

/// … and closed when it does not answer for this long.
const PONG_WITHIN: Duration = Duration::from_secs(20);

/// A server that keeps to them.
pub fn within_limits() -> Server {
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(CONNECTION_STREAMS_MAX)
        .http2_max_header_list_size(HEADERS_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESET_STREAMS_MAX))
        .http2_max_local_error_reset_streams(Some(FAULTY_STREAMS_MAX))
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PONG_WITHIN))
        .tcp_nodelay(true)
}
