//! How long files and functions may be.

use crate::{
    Faults,
    source::{File, is_identifier},
};

/// 500 lines, 40 for `main.rs`.
pub fn file_is_short(file: &File) -> Faults {
    let is_source = [".rs", ".py"].iter().any(|end| file.path.ends_with(end));
    let most = match file.path.as_str() {
        "src/main.rs" => 40,
        _ => 500,
    };
    let lines = file.text.lines().count();
    if is_source && lines > most {
        return vec![format!("{}: {lines} lines, at most {most}", file.path)];
    }
    Vec::new()
}

/// 70 lines, from `fn` to the closing brace, in code as rustfmt leaves it.
pub fn functions_are_short(file: &File) -> Faults {
    let lines: Vec<&str> = file.code.lines().collect();
    let long = lines.iter().enumerate().filter_map(|(start, line)| {
        let name = function(line)?;
        let length = length(&lines[start..]);
        (length > 70)
            .then(|| file.fault(start, &format!("`{name}` has {length} lines, at most 70")))
    });
    long.collect()
}

/// `foo.rs` beside `foo/`, never `foo/mod.rs`.
pub fn no_mod_rs(file: &File) -> Faults {
    if file.path.ends_with("/mod.rs") {
        return vec![format!(
            "{}: put it into a file beside its folder",
            file.path
        )];
    }
    Vec::new()
}

/// The name of the function that is declared on this line.
fn function(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let modifiers = |c: char| is_identifier(c) || " ()\"".contains(c);
    let name = after.split(|c| !is_identifier(c)).next()?;
    (before.chars().all(modifiers) && !before.ends_with(is_identifier) && !name.is_empty())
        .then_some(name)
}

/// How many lines the function takes whose first line is the first of these.
fn length(lines: &[&str]) -> usize {
    let indent = lines[0].len() - lines[0].trim_start().len();
    let is_end = |line: &str| {
        let body = line.trim_start();
        line.len() - body.len() == indent && (body.starts_with('}') || body.ends_with(';'))
    };
    let first = lines[0].trim_end();
    if first.ends_with('}') || first.ends_with(';') {
        return 1;
    }
    let rest = lines[1..].iter().position(|line| is_end(line.trim_end()));
    rest.map_or(lines.len(), |at| at + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_seen() {
        let text = |lines| File::new("src/a.rs", &"x\n".repeat(lines));
        assert_eq!(file_is_short(&text(500)).len(), 0);
        assert_eq!(file_is_short(&text(501)).len(), 1);
        let main = |lines| File::new("src/main.rs", &"x\n".repeat(lines));
        assert_eq!(file_is_short(&main(40)).len(), 0);
        assert_eq!(file_is_short(&main(41)).len(), 1);
    }

    #[test]
    fn a_long_function_is_seen_however_it_is_declared() {
        for declaration in [
            "fn a() {",
            "    pub(crate) async fn a<T>(x: T) -> Y\n    where\n        T: Z,\n    {",
            "    pub const fn a(\n        x: u8,\n    ) -> Y {",
        ] {
            let file = |length: usize| {
                let indent = " ".repeat(declaration.find(|c| c != ' ').unwrap());
                let body = length - declaration.lines().count() - 1;
                let body = format!("{indent}    x;\n").repeat(body);
                let text = format!("{declaration}\n{body}{indent}}}\nfn b() {{}}\n");
                File::new("src/a.rs", &text)
            };
            assert_eq!(functions_are_short(&file(70)), Faults::new());
            let faults = functions_are_short(&file(71));
            assert_eq!(faults, ["src/a.rs:1: `a` has 71 lines, at most 70"]);
        }
    }

    #[test]
    fn a_function_without_a_body_is_short() {
        let trait_items = "    fn a(\n        x: u8,\n    ) -> u8;\n".repeat(40);
        let file = File::new("src/a.rs", &format!("trait T {{\n{trait_items}}}\n"));
        assert_eq!(functions_are_short(&file), Faults::new());
    }

    #[test]
    fn a_mod_rs_is_seen() {
        assert_eq!(no_mod_rs(&File::new("tests/common/mod.rs", "")).len(), 1);
        assert_eq!(no_mod_rs(&File::new("src/mod_rs.rs", "")).len(), 0);
    }
}
