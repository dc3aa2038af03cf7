//! A wire between a client and a service that can go dead: both ends stay open,
//! and nothing is heard any more.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Wire {
    /// Where clients connect.
    pub url: String,
    dead: watch::Sender<bool>,
}

impl Wire {
    /// A wire to `host:port`.
    pub async fn to(address: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (dead, died) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let service = TcpStream::connect(&address).await.unwrap();
                tokio::spawn(carry(client, service, died.clone()));
            }
        });
        Self { url, dead }
    }

    /// From now on nothing gets through.
    pub fn die(&self) {
        self.dead.send_replace(true);
    }
}

async fn carry(mut client: TcpStream, mut service: TcpStream, mut died: watch::Receiver<bool>) {
    let died = async {
        if died.wait_for(|&dead| dead).await.is_err() {
            // The wire is gone before it died: it carries on.
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        () = died => std::future::pending().await,
        _ = copy_bidirectional(&mut client, &mut service) => {}
    }
}
