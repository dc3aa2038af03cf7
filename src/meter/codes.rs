//! The closed lists as numbers, in what is stored: the proto's own numbers.

macro_rules! code {
    ($name:ident, $type:ty) => {
        pub mod $name {
            use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

            pub fn serialize<S: Serializer>(value: &$type, to: S) -> Result<S::Ok, S::Error> {
                (i32::from(*value) as u8).serialize(to)
            }

            pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<$type, D::Error> {
                let code = i32::from(u8::deserialize(from)?);
                <$type>::try_from(code).map_err(|_| D::Error::custom("unknown code"))
            }
        }
    };
}

code!(classifier, crate::event::Classifier);
code!(role, crate::event::Role);
code!(duration, crate::pb::DurationKind);
