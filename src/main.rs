//! The `rounds` binary.
use kube::CustomResourceExt;
fn main() {
    println!("{}", serde_json::to_string_pretty(&rounds::nodeop::api::NodeOp::crd()).unwrap_or_default());
}
