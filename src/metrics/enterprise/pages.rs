//! Text that is written once and never moved: thousands of enterprises are tens of
//! megabytes, and to move them while they grow took most of a scrape's time.

/// Bytes of a page before the next begins.
const PAGE_BYTES: usize = 64 << 10;

/// Longer than most lines, so that a page hardly grows.
const LINE_BYTES: usize = 1 << 10;

/// Text in pages, each of whole lines.
#[derive(Default)]
pub struct Pages {
    full: Vec<String>,
    last: String,
}

impl Pages {
    /// Where the next line is to be written.
    pub fn line(&mut self) -> &mut String {
        if self.last.capacity() < self.last.len() + LINE_BYTES {
            let next = String::with_capacity(PAGE_BYTES);
            let full = std::mem::replace(&mut self.last, next);
            if !full.is_empty() {
                self.full.push(full);
            }
        }
        &mut self.last
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.full.is_empty() && self.last.is_empty()
    }

    /// The pages, in order.
    pub fn into_pages(self) -> impl Iterator<Item = String> {
        self.full.into_iter().chain([self.last])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_in_order_from_pages_of_bounded_size() {
        let mut pages = Pages::default();
        assert!(pages.is_empty());
        let lines = || (0..50_000).map(|n| format!("line {n}\n"));
        lines().for_each(|line| pages.line().push_str(&line));
        assert!(!pages.is_empty());
        let pages: Vec<String> = pages.into_pages().collect();
        assert!(pages.len() > 5);
        assert!(pages.iter().all(|page| page.len() <= PAGE_BYTES));
        assert_eq!(pages.concat(), lines().collect::<String>());
    }
}
