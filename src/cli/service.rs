//! Which service a command asks, and how it is reached.

use crate::client::Cause;
use crate::client::reach::{Credentials, Reach};
use std::path::PathBuf;

/// The option that names a running service.
#[derive(Clone, Debug, clap::Args)]
pub struct Service {
    /// Where the service listens
    #[arg(
        long,
        value_name = "URL",
        env = "QUAYMETER_SERVER",
        default_value = "http://127.0.0.1:7070"
    )]
    pub server: String,
    #[command(flatten)]
    connection: Connection,
}

impl Service {
    /// How it is reached.
    ///
    /// # Errors
    /// What is no URL of a service, and files that cannot be used.
    pub fn reach(&self) -> Result<Reach, Cause> {
        self.connection.reach(&self.server)
    }
}

/// The options of every command that talks to a service. A secret is in a file, never
/// on the command line, where everybody on the machine sees it.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// PEM file of the authorities that vouch for an https:// service [default: the
    /// system's]
    #[arg(long, value_name = "FILE", env = "QUAYMETER_CA")]
    ca: Option<PathBuf>,
    /// PEM file of the certificate that is shown to the service
    #[arg(long, value_name = "FILE", env = "QUAYMETER_CERT")]
    cert: Option<PathBuf>,
    /// PEM file of its private key
    #[arg(long, value_name = "FILE", env = "QUAYMETER_KEY")]
    key: Option<PathBuf>,
    /// File of the API key or JWT that goes with each request
    #[arg(long, value_name = "FILE", env = "QUAYMETER_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

impl Connection {
    /// The files.
    pub fn credentials(&self) -> Credentials {
        Credentials {
            ca: self.ca.clone(),
            cert: self.cert.clone(),
            key: self.key.clone(),
            token_file: self.token_file.clone(),
        }
    }

    /// How the service at a URL is reached.
    ///
    /// # Errors
    /// What is no URL of a service, and files that cannot be used.
    pub fn reach(&self, url: &str) -> Result<Reach, Cause> {
        Reach::new(url, self.credentials())
    }
}
