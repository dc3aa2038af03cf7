//! The answers of a stopped service: its state is restored as a start would,
//! and asked, but nothing is appended and no checkpoint is written.

use super::Error;
use super::keeper::open_log;
use super::options::{past, query_settings, shaping, store_options, worker_options};
use crate::auth::caller::Caller;
use crate::budget::Budget;
use crate::config::Config;
use crate::ingest::Clock;
use crate::log::dir::DataDir;
use crate::log::disk::Disk;
use crate::metrics::Metrics;
use crate::pb::throughput_service_server::ThroughputServiceServer;
use crate::query;
use crate::store::Store;
use crate::view::View;
use crate::view::token::Tokens;
use crate::worker::Worker;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Status};

/// A data directory, taken, and the state that is in it.
pub struct Offline {
    config: Config,
    view: Arc<View>,
    dir: DataDir,
}

impl Offline {
    /// Restores the state and brings it up to the log's end.
    ///
    /// # Errors
    /// Whatever would keep a service from starting on it.
    pub fn open(config: Config, disk: Arc<dyn Disk>) -> Result<Self, Error> {
        let dir = DataDir::open(&config.data_dir, &shaping(&config))?;
        let store = Arc::new(Store::open_with(&dir.store(), store_options(&config))?);
        let metrics = Arc::new(Metrics::new(&config.metrics)?);
        let (log, _appender) = open_log(&config, &dir, disk, &store)?;
        let worker = Worker::open(store, &log, worker_options(&config), metrics)?;
        let view = Arc::clone(worker.view());
        Ok(Self { config, view, dir })
    }

    /// Answers questions until `stop` is true or its sender is gone.
    ///
    /// # Errors
    /// The server's.
    pub async fn serve(
        self,
        listener: TcpListener,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), Error> {
        let dir = self.dir;
        let clock: Clock = Arc::new(|| jiff::Timestamp::now().as_millisecond());
        let settings = query_settings(&self.config);
        let answers = Budget::new(self.config.limits.answer_bytes);
        // Nobody but who asks it here is given any.
        let tokens = Tokens::drawn().map_err(|error| Error::Random(error.into()))?;
        let service = query::Service::new(
            self.view,
            Arc::new(()),
            clock,
            stop.clone(),
            settings,
            answers,
            tokens,
        );
        let service = service.explaining(past(&self.config, &dir)?);
        let incoming = TcpListenerStream::new(listener);
        let serving = Server::builder()
            .add_service(ThroughputServiceServer::with_interceptor(service, anyone))
            .serve_with_incoming_shutdown(incoming, async move {
                // An error means that nobody is left to ask.
                let _ = stop.wait_for(|&stop| stop).await;
            });
        Ok(serving.await?)
    }
}

/// Whoever could read the data directory may ask.
fn anyone(mut request: Request<()>) -> Result<Request<()>, Status> {
    request.extensions_mut().insert(Caller::anyone());
    Ok(request)
}
