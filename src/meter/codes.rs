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

/// What several keys share, as what it is.
pub mod shared {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::sync::Arc;

    pub fn serialize<T: Serialize, S: Serializer>(
        value: &Arc<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        (**value).serialize(to)
    }

    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Arc<T>, D::Error> {
        T::deserialize(from).map(Arc::new)
    }
}

/// A number whose bits are as good as random: a variable length would not
/// shorten it.
pub mod bits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &u64, to: S) -> Result<S::Ok, S::Error> {
        value.to_le_bytes().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        <[u8; 8]>::deserialize(from).map(u64::from_le_bytes)
    }
}
