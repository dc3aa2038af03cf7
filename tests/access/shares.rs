//! What one caller leaves to others, over the real binary.

use crate::ending::watching;
use crate::port::{Bearer, CALLERS, Port, throughput};
use quaymeter::{pb, status};
use tonic::Code;

/// Who may read too.
const CROWD: &str = "[[callers]]\nname = \"crowd\"\nkeys = \"all\"\nread = \"all\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn one_caller_opens_no_more_watches_than_leave_some_to_others() {
    let port = Port::new(&format!("{CALLERS}{CROWD}"));
    let (crowd, reader) = (port.key("crowd"), port.key("reader"));
    let service = port.serve(&["--limits-watches", "8"]);
    let mut watches = Vec::new();
    for _ in 0..6 {
        watches.push(watching(&service, Bearer::of(&crowd)).await);
    }
    let mut client = throughput(&service, Bearer::of(&crowd)).await;
    let request = pb::WatchThroughputRequest::default();
    let refused = client.watch_throughput(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let limit = "watches of one caller";
    assert_eq!(status::limit_of(&refused).as_deref(), Some(limit));
    watching(&service, Bearer::of(&reader)).await;
    let counted = "quaymeter_discarded_total{reason=\"watches_of_one_caller\"}";
    assert_eq!(port.metric(&service, counted) as u64, 1);
    service.stop();
}
