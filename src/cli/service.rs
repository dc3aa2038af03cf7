//! Which service a command asks.

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
}
