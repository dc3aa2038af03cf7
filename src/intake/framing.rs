//! Where a message of gRPC ends: a flag, four bytes of length, as many bytes.

/// A flag and a length.
const HEAD_BYTES: usize = 5;

/// How much of the present message has passed by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Framing {
    head: [u8; HEAD_BYTES],
    /// Bytes of it that have passed by, those of its head included.
    pub received: usize,
    /// How many bytes it says that it has, without its head; 0 until it has
    /// said so.
    pub declared: usize,
    /// Whether it says that it is compressed.
    pub compressed: bool,
    between: bool,
}

impl Framing {
    /// Whether no message is unfinished.
    pub fn between(&self) -> bool {
        self.between || self.received == 0
    }

    /// How many of these bytes belong to the present message, at least one if
    /// there are any: they pass by.
    pub fn advance(&mut self, bytes: &[u8]) -> usize {
        if self.between {
            *self = Self::default();
        }
        let missing = HEAD_BYTES.saturating_sub(self.received);
        let head = missing.min(bytes.len());
        if head > 0 {
            self.head[self.received..][..head].copy_from_slice(&bytes[..head]);
            self.received += head;
        }
        if self.received < HEAD_BYTES {
            return head;
        }
        let [flag, length @ ..] = self.head;
        self.declared = u32::from_be_bytes(length) as usize;
        self.compressed = flag != 0;
        let left = HEAD_BYTES + self.declared - self.received;
        let body = left.min(bytes.len() - head);
        self.received += body;
        self.between = body == left;
        head + body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(flag: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![flag];
        bytes.extend((length as u32).to_be_bytes());
        bytes.resize(HEAD_BYTES + length, 7);
        bytes
    }

    #[test]
    fn messages_end_where_they_say_however_they_are_cut() {
        let lengths = [0, 1, 300, 0, 17];
        let sent: Vec<u8> = lengths.iter().flat_map(|&n| message(0, n)).collect();
        for cut in 1..sent.len() {
            let mut framing = Framing::default();
            assert!(framing.between());
            let mut ends = Vec::new();
            for mut chunk in sent.chunks(cut) {
                while !chunk.is_empty() {
                    let length = framing.advance(chunk);
                    chunk = &chunk[length..];
                    if framing.between() {
                        assert_eq!(framing.received, HEAD_BYTES + framing.declared);
                        ends.push(framing.declared);
                    }
                }
            }
            assert_eq!(ends, lengths, "cut every {cut}");
        }
    }

    #[test]
    fn a_message_tells_its_size_and_compression_before_it_has_come() {
        let mut framing = Framing::default();
        assert_eq!(framing.advance(&[1, 64, 0, 0, 0, 7, 7, 7, 7]), 9);
        assert!(!framing.between());
        assert_eq!((framing.declared, framing.received), (1 << 30, 9));
        assert!(framing.compressed);
    }
}
