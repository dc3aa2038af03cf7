//! Which partition a key is in. It is Kafka's own rule, the one of the Java
//! client's default partitioner, so that other producers agree with it: murmur2
//! of the key's bytes, without its sign, modulo the count of partitions.

const SEED: u32 = 0x9747_b28c;
const FACTOR: u32 = 0x5bd1_e995;

/// The partition of a facility's events, of so many; 0 if there are none.
pub fn partition_of(facility: &str, partitions: u32) -> u32 {
    let positive = murmur2(facility.as_bytes()) & 0x7fff_ffff;
    positive.checked_rem(partitions).unwrap_or(0)
}

fn murmur2(bytes: &[u8]) -> u32 {
    let mix = |word: u32| {
        let word = word.wrapping_mul(FACTOR);
        (word ^ (word >> 24)).wrapping_mul(FACTOR)
    };
    let (words, rest) = bytes.as_chunks::<4>();
    // Java's lengths are 32 bits wide too.
    let mut hash = SEED ^ bytes.len() as u32;
    for &word in words {
        hash = hash.wrapping_mul(FACTOR) ^ mix(u32::from_le_bytes(word));
    }
    if !rest.is_empty() {
        let place = |word, &byte| word << 8 | u32::from(byte);
        hash = (hash ^ rest.iter().rev().fold(0, place)).wrapping_mul(FACTOR);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(FACTOR);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_hash_of_the_java_client() {
        // From the tests of the Java client, `UtilsTest.testMurmur2`.
        for (key, expected) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, expected, "{key}");
        }
    }

    #[test]
    fn it_is_the_hash_of_librdkafka_at_every_length_of_rest() {
        // From its unit test, made with the Java client.
        for (key, expected) in [
            ("kafka", 0xd067_cf64),
            ("giberish123456789", 0x8f55_2b0c),
            ("1234", 0x9fc9_7b14),
            ("234", 0xe7c0_09ca),
            ("34", 0x8739_30da),
            ("4", 0x5a4b_5ca1),
            ("PreAmbleWillBeRemoved,ThePrePartThatIs", 0x7842_4f1c),
            ("", 0x106e_08d9),
        ] {
            assert_eq!(murmur2(key.as_bytes()), expected, "{key}");
        }
    }

    #[test]
    fn every_partition_is_within_their_count() {
        for partitions in [1, 2, 3, 12, 1000, u32::MAX] {
            for terminal in 0..200 {
                let facility = format!("CNNBO/T{terminal}");
                assert!(partition_of(&facility, partitions) < partitions);
            }
        }
        assert_eq!(partition_of("CNNBO/BLCT2", 0), 0);
    }
}
