//! Gives a client of the library its token before it asks for one.
//!
//! The library asks by an event, and whoever polls the client answers. Some of what we do
//! blocks before anything is polled (a transactional producer's beginning, the first
//! question of a consumer), and the client that asks about topics polls no event at all,
//! so none of them would ever speak to a broker. The safe bindings have nothing for
//! that: hence the `unsafe`, which src/allocator.rs alone has besides.
#![expect(
    unsafe_code,
    reason = "rdkafka has no safe way to set a token from outside of its event"
)]

use rdkafka::bindings::rd_kafka_oauthbearer_set_token;
use rdkafka::client::{Client, ClientContext, OAuthToken};
use rdkafka::types::RDKafkaRespErr;
use std::ffi::{CString, c_char};
use std::ptr;

/// As much as is ever told of a failure.
const WHY_BYTES: usize = 512;

/// Gives a client a token, in place of the one that it has.
///
/// # Errors
/// What the library said: the token is over, or the client is configured for another
/// mechanism.
pub fn give<C: ClientContext>(client: &Client<C>, token: OAuthToken) -> Result<(), String> {
    let text = |text: String| CString::new(text).map_err(|_| "it holds a zero".to_owned());
    let (value, principal) = (text(token.token)?, text(token.principal_name)?);
    let mut why: [c_char; WHY_BYTES] = [0; WHY_BYTES];
    // SAFETY: the client lives as long as it is borrowed, and may be used by any thread.
    // Both texts end with a zero and live until the call returns, which copies them. Of
    // extensions there are none. `why` has as many bytes as is said, and a zero at its end.
    let code = unsafe {
        rd_kafka_oauthbearer_set_token(
            client.native_ptr(),
            value.as_ptr(),
            token.lifetime_ms,
            principal.as_ptr(),
            ptr::null_mut(),
            0,
            why.as_mut_ptr(),
            why.len(),
        )
    };
    if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    let told = why.iter().map(|&byte| byte as u8);
    let told: Vec<u8> = told.take_while(|&byte| byte != 0).collect();
    Err(String::from_utf8_lossy(&told).into_owned())
}
