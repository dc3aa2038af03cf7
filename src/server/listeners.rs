//! The sockets that a service is run on.

use crate::config::Config;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// A listener for each port.
pub struct Listeners {
    /// Calls.
    pub grpc: TcpListener,
    /// Metrics.
    pub http: TcpListener,
    /// Health.
    pub health: TcpListener,
}

/// A port that is not to be had.
#[derive(Debug, thiserror::Error)]
#[error("listen on {address} ({setting})")]
pub struct Error {
    /// The setting of its address.
    pub setting: &'static str,
    /// The address.
    pub address: SocketAddr,
    /// Why not.
    pub source: io::Error,
}

impl Listeners {
    /// Binds what the settings say.
    ///
    /// # Errors
    /// The first port that is not to be had.
    pub async fn bind(config: &Config) -> Result<Self, Error> {
        Ok(Self {
            grpc: bind("listen", config.listen).await?,
            http: bind("http_listen", config.http_listen).await?,
            health: bind("health_listen", config.health_listen).await?,
        })
    }

    /// Binds these ports of loopback; 0 is any.
    ///
    /// # Errors
    /// The first port that is not to be had.
    pub async fn on_loopback(grpc: u16, http: u16, health: u16) -> Result<Self, Error> {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Ok(Self {
            grpc: bind("listen", at(grpc)).await?,
            http: bind("http_listen", at(http)).await?,
            health: bind("health_listen", at(health)).await?,
        })
    }

    /// Where it listens, in one line that others read.
    ///
    /// # Errors
    /// A socket that does not know its address.
    pub fn told(&self) -> io::Result<String> {
        Ok(format!(
            "listening grpc={} http={} health={}",
            self.grpc.local_addr()?,
            self.http.local_addr()?,
            self.health.local_addr()?
        ))
    }
}

async fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| Error {
        setting,
        address,
        source,
    })
}
