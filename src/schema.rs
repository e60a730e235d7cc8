//! What the schemas of all our types share.

use schemars::Schema;
use serde_json::Value;

/// A transform for blocks with optional enums: the field's description stays. Without it, kube puts the enum's own in its place.
pub(crate) fn keep_descriptions(schema: &mut Schema) {
    for field in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(|fields| fields.values_mut()) {
        if let Some(description) = field.get("description").cloned()
            && let Some(choice) = field.pointer_mut("/anyOf/0")
        {
            choice["description"] = description;
        }
    }
}
