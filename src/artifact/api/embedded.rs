//! Blocks of Kubernetes' own types: validated by the server like the type, kept as they were written.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::transform::transform_subschemas;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A `T` as it stands in the object. Fields that our version of `T` does not know stay where they are.
#[derive(Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub struct Embedded<T> {
    raw: Value,
    #[serde(skip)]
    of: PhantomData<fn() -> T>,
}

impl<T> Embedded<T> {
    /// A block from its JSON.
    pub fn new(raw: Value) -> Self {
        Self { raw, of: PhantomData }
    }

    /// As it was written.
    pub fn raw(&self) -> &Value {
        &self.raw
    }
}

impl<T: DeserializeOwned> Embedded<T> {
    /// As the type, without the fields that it does not know.
    ///
    /// # Errors
    /// When it is not what the type says.
    pub fn typed(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.raw)
    }
}

impl<T> Clone for Embedded<T> {
    fn clone(&self) -> Self {
        Self::new(self.raw.clone())
    }
}

impl<T> PartialEq for Embedded<T> {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl<T> std::fmt::Debug for Embedded<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.raw.fmt(f)
    }
}

impl<T: JsonSchema> JsonSchema for Embedded<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        terse(&mut schema);
        schema
    }
}

/// Takes the descriptions off: they are Kubernetes' own, and five times the size of the rest.
fn terse(schema: &mut Schema) {
    schema.remove("description");
    transform_subschemas(&mut terse, schema);
}

/// Volumes have names of bounded length: rules that look for them must have a bounded cost.
pub fn named_volumes(schema: &mut Schema) {
    if let Some(name) = schema.pointer_mut("/items/properties/name").and_then(Value::as_object_mut) {
        name.insert("minLength".into(), 1.into());
        name.insert("maxLength".into(), 63.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Volume;
    use serde_json::json;

    #[test]
    fn what_the_type_does_not_know_is_kept_and_what_it_knows_can_be_read() {
        let written = json!({"name": "data", "emptyDir": {"sizeLimit": 7, "newerThanUs": true}});
        let volume: Embedded<Volume> = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&volume).unwrap(), written);
        assert_eq!(volume.typed().unwrap().empty_dir.unwrap().size_limit.unwrap().0, "7");
        assert!(Embedded::<Volume>::new(json!({"name": 7})).typed().is_err());
    }
}
