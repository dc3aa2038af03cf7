//! The demo, smaller than its default.

use crate::service::quaymeter;

#[test]
fn the_demo_compares_every_cell_and_says_so_in_its_last_line() {
    let ran = quaymeter()
        .args(["demo", "--events", "4000", "--seed", "3"])
        .output()
        .unwrap();
    let told = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{told}");
    let lines: Vec<&str> = told.lines().collect();
    let [.., among, exact] = lines[..] else {
        panic!("{told}")
    };
    let counts = numbers(exact);
    assert!(exact.starts_with("exact: ") && exact.ends_with(" 0 differences"));
    assert!(counts[0] >= 4_000 && counts[1] >= 1_000, "{exact}");
    assert!(among.starts_with("among them: "), "{among}");
    let counts = numbers(among);
    assert_eq!(counts.len(), 5, "{among}");
    assert!(counts.iter().all(|&count| count > 0), "{among}");
}

fn numbers(line: &str) -> Vec<u64> {
    let words = line.split(|c: char| !c.is_ascii_digit());
    words.filter_map(|word| word.parse().ok()).collect()
}
