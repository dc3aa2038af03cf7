//! The Helm chart and the image: judged by Helm itself, by the schemas of Kubernetes,
//! and by the program that they run.

#[allow(dead_code, reason = "shared with other tests")]
#[path = "support/authority.rs"]
mod authority;
#[path = "helm/tools.rs"]
mod tools;
#[path = "helm/files.rs"]
mod files;
#[path = "helm/image.rs"]
mod image;
#[path = "helm/made.rs"]
mod made;
#[path = "helm/manifests.rs"]
mod manifests;
#[path = "helm/parts.rs"]
mod parts;
#[path = "helm/pods.rs"]
mod pods;
#[path = "helm/refused.rs"]
mod refused;
#[path = "helm/running.rs"]
mod running;
#[path = "helm/schema.rs"]
mod schema;
#[path = "helm/settings.rs"]
mod settings;
