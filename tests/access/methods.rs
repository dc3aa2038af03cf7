//! Every method there is, called with nothing in it: what is asked is whether its caller
//! is let in.

use crate::place::DEADLINE;
use crate::port::{Shown, reason};
use std::str::FromStr as _;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

/// How a call of a method ended that says nothing, once it was let in: its first answer
/// or its status.
pub async fn called(shown: &Shown, path: &str) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(shown.clone());
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_str(path).unwrap();
    let nothing = Request::new(tokio_stream::once(()));
    let calling = async {
        let codec = ProstCodec::<(), ()>::default();
        let mut answer = grpc.streaming(nothing, path, codec).await?.into_inner();
        answer.message().await.map(drop)
    };
    tokio::time::timeout(DEADLINE, calling).await.unwrap()
}

/// Whether a call was let in, and if not, for want of what.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    In,
    Unknown,
    Lacks(String),
}

/// Whether a caller is let in to a method.
pub async fn outcome(shown: &Shown, path: &str) -> Outcome {
    let called = called(shown, path).await;
    called.map_or_else(|status| told(&status, path), |()| Outcome::In)
}

/// The same, by the status with which the call ended.
pub fn told(status: &Status, path: &str) -> Outcome {
    match status.code() {
        Code::Unauthenticated => {
            assert_eq!(reason(status), ("UNAUTHENTICATED".into(), None), "{path}");
            let message = "credentials that are known here are needed";
            assert_eq!(status.message(), message, "{path}");
            Outcome::Unknown
        }
        Code::PermissionDenied => {
            let (reason, right) = reason(status);
            assert_eq!(reason, "NOT_ALLOWED", "{path}");
            match right {
                Some(right) => Outcome::Lacks(right),
                // A rule of its own, behind the one of all methods.
                None => Outcome::In,
            }
        }
        _ => Outcome::In,
    }
}
