//! A section of the configuration that can be switched off, in writing only.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Either the word `off` or the section itself. What is not written is on, with its defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OffOr<T> {
    /// The word `off`.
    Off,
    /// The section.
    On(T),
}

impl<T: Default> Default for OffOr<T> {
    fn default() -> Self {
        Self::On(T::default())
    }
}

impl<T: Serialize> Serialize for OffOr<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str("off"),
            Self::On(section) => section.serialize(serializer),
        }
    }
}

// By hand, since serde's untagged enums forget which key of the section was wrong.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for OffOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OffOrVisitor(PhantomData))
    }
}

struct OffOrVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OffOrVisitor<T> {
    type Value = OffOr<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`off` or a section")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Self::Value, E> {
        if word == "off" {
            Ok(OffOr::Off)
        } else {
            Err(E::custom(format_args!("`{word}` is not `off` and not a section of keys")))
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, section: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(section)).map(OffOr::On)
    }
}

impl<T: JsonSchema> JsonSchema for OffOr<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OffOr{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "description": "`off`, or the section.",
            "oneOf": [{ "const": "off" }, generator.subschema_for::<T>()],
        })
    }
}
