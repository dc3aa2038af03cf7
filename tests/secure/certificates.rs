//! The tests' own certificates are what they are taken for.

use crate::authority::Authority;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

#[test]
fn a_workload_has_its_id_and_a_client_its_subject() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "authority");
    let id = "spiffe://port.example/ns/tos/sa/gate";
    let workload = authority.workload("workload", id).der();
    let (_, workload) = X509Certificate::from_der(&workload).unwrap();
    let names = workload.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names, [GeneralName::URI(id)]);
    let client = authority.client("truckers").der();
    let (_, client) = X509Certificate::from_der(&client).unwrap();
    assert_eq!(client.subject().to_string(), "CN=truckers");
    assert_eq!(client.issuer().to_string(), "CN=authority");
    let server = authority.server_until("server", 2031).der();
    let (_, server) = X509Certificate::from_der(&server).unwrap();
    let until = server.validity().not_after.timestamp();
    assert_eq!(until, 1_956_441_600);
}
