//! Which metrics and labels an expression of PromQL uses. Prometheus itself judges the
//! grammar; this knows just enough of it to tell names apart.

use std::collections::BTreeSet;

/// A metric that is asked for, with the labels that its braces name.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    pub metric: String,
    pub labels: BTreeSet<String>,
}

/// What an expression uses.
#[derive(Debug, Default)]
pub struct Uses {
    pub asked: Vec<Asked>,
    /// Labels by which it groups or matches.
    pub kept: BTreeSet<String>,
    /// Labels that it makes, or may make: the texts in it, if it makes any.
    pub made: BTreeSet<String>,
    /// Functions and operators that look like functions.
    pub calls: BTreeSet<String>,
    /// What stands between brackets.
    pub ranges: BTreeSet<String>,
}

/// What is followed by labels in parentheses.
const LABELLED: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];
const WORDS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];

/// Takes an expression apart.
pub fn uses(expression: &str) -> Uses {
    let mut uses = Uses::default();
    let mut texts = BTreeSet::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '"' => {
                let (text, after) = until(&rest[1..], '"');
                texts.insert(text.to_owned());
                after
            }
            '[' => {
                let (range, after) = until(&rest[1..], ']');
                uses.ranges.insert(range.to_owned());
                after
            }
            c if c.is_ascii_digit() || c == '$' => {
                rest[1..].trim_start_matches(|c: char| is_name(c) || c == '.')
            }
            c if is_name(c) => name(rest, &mut uses),
            c => &rest[c.len_utf8()..],
        };
    }
    if uses.calls.contains("label_replace") {
        uses.made = texts;
    }
    uses
}

/// Takes what a name begins: a metric with its braces, a call, labels, a word.
fn name<'a>(text: &'a str, uses: &mut Uses) -> &'a str {
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    let (name, after) = (&text[..end], text[end..].trim_start());
    if WORDS.contains(&name) {
        return after;
    }
    if LABELLED.contains(&name) {
        let Some(labels) = after.strip_prefix('(') else {
            return after;
        };
        let (labels, after) = until(labels, ')');
        let labels = labels
            .split(',')
            .map(str::trim)
            .filter(|label| !label.is_empty());
        uses.kept.extend(labels.map(str::to_owned));
        return after;
    }
    if after.starts_with('(') {
        uses.calls.insert(name.to_owned());
        return after;
    }
    let (labels, after) = match after.strip_prefix('{') {
        Some(matchers) => matched(matchers),
        None => (BTreeSet::new(), after),
    };
    // An aggregation whose labels come first: `sum by (a) (b)`.
    if after.starts_with("by ") || after.starts_with("without ") {
        uses.calls.insert(name.to_owned());
        return after;
    }
    let metric = name.to_owned();
    uses.asked.push(Asked { metric, labels });
    after
}

/// The labels before the closing brace, and what follows it.
fn matched(mut text: &str) -> (BTreeSet<String>, &str) {
    let mut labels = BTreeSet::new();
    loop {
        text = text.trim_start_matches([' ', ',']);
        if let Some(after) = text.strip_prefix('}') {
            return (labels, after);
        }
        let end = text.find(['=', '!']).expect("a matcher");
        labels.insert(text[..end].trim().to_owned());
        let value = text[end..].find('"').expect("a value") + end + 1;
        text = until(&text[value..], '"').1;
    }
}

/// The sides of all comparisons and set operations that stand in no parentheses: what
/// has to be there, so that an alert can compare it.
pub fn sides(expression: &str) -> Vec<&str> {
    const SPLITTING: [&str; 7] = ["and", "or", "unless", ">", "<", "==", "!="];
    let (mut sides, mut begin, mut depth) = (Vec::new(), 0, 0);
    for (at, word) in words(expression) {
        if depth == 0 && SPLITTING.contains(&word) {
            sides.push(&expression[begin..at]);
            begin = at + word.len();
        }
        let count = |bracket| word.matches(bracket).count();
        depth = depth + count('(') - count(')');
    }
    sides.push(&expression[begin..]);
    sides
        .into_iter()
        .map(|side| match side.trim().strip_prefix("on (") {
            Some(labels) => until(labels, ')').1.trim(),
            None => side.trim(),
        })
        .filter(|side| side.parse::<f64>().is_err())
        .collect()
}

/// What stands between blanks, and where.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let start = text.as_ptr() as usize;
    text.split_whitespace()
        .map(move |word| (word.as_ptr() as usize - start, word))
}

/// What comes before a closing character, and what after it.
fn until(text: &str, closing: char) -> (&str, &str) {
    text.split_once(closing)
        .unwrap_or_else(|| panic!("no {closing} in {text}"))
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

#[test]
fn names_are_told_apart() {
    let expression = r#"histogram_quantile(0.9, sum by (le, role) (rate(a_bucket{b="x, }",c!~"$d"}[5m])))
        - on (e) group_left (f) 2 * avg without (g) (h:i offset 1d) > bool 1 and topk(3, j) or vector(0)"#;
    let uses = uses(expression);
    let asked: Vec<_> = uses
        .asked
        .iter()
        .map(|asked| {
            let labels: Vec<_> = asked.labels.iter().map(String::as_str).collect();
            (asked.metric.as_str(), labels.join(" "))
        })
        .collect();
    let none = String::new();
    assert_eq!(
        asked,
        [
            ("a_bucket", "b c".into()),
            ("h:i", none.clone()),
            ("j", none)
        ]
    );
    let kept: Vec<_> = uses.kept.iter().map(String::as_str).collect();
    assert_eq!(kept, ["e", "f", "g", "le", "role"]);
    assert!(uses.calls.contains("topk") && uses.calls.contains("sum") && uses.made.is_empty());
    assert_eq!(uses.ranges.into_iter().collect::<Vec<_>>(), ["5m"]);
}

#[test]
fn sides_are_told_apart() {
    let expression = "max by (a) (b and on (c) d == 1) > 0.5 and on (a, e) f[5m] < g unless h == 0";
    let expected = ["max by (a) (b and on (c) d == 1)", "f[5m]", "g", "h"];
    assert_eq!(sides(expression), expected);
}
