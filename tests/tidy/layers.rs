//! Which module may know which.

use crate::{
    Faults,
    source::{File, is_identifier},
};

/// A module may import from lower ranks, and within its own top-level module.
/// A nested module stands here only where its rank differs from its parent's.
const RANKS: [(&str, i8); 42] = [
    ("pb", -1), // generated
    ("pseudonym", -1),
    ("allocator", 0),
    ("budget", 0),
    ("event", 0),
    ("failpoint", 0),
    ("fingerprint", 0),
    ("turns", 0),
    ("config", 1),
    ("log", 1),
    ("meter", 1),
    ("registry", 1),
    ("truth", 1),
    ("wire", 1),
    ("log::embedded", 2),
    ("log::kafka", 2),
    ("log::scan", 2),
    ("metrics", 2),
    ("status", 2),
    ("store", 2),
    ("trace", 2),
    ("view", 2),
    ("trail", 2),
    ("audit", 3),
    ("auth", 3),
    ("intake", 3),
    ("worker", 3),
    ("backup", 4),
    ("cluster", 4),
    ("ingest", 4),
    ("ndjson", 4),
    ("query", 4),
    ("transfer", 4),
    ("client", 5),
    ("dcsa", 5),
    ("server", 5),
    ("answers", 6),
    ("simulate", 6),
    ("deliver", 7),
    ("cli", 8),
    ("main", 9),
    ("lib", 10), // the map of the crate
];

/// What counts independently of the meter must not know it. The recount reads
/// the same log, and so the same events; it shares nothing that counts them.
const INDEPENDENT: [(&str, &[&str]); 3] = [
    ("simulate", &COUNTING),
    ("truth", &COUNTING),
    ("audit", &["meter", "store", "view", "worker"]),
];
const COUNTING: [&str; 7] = ["event", "log", "meter", "store", "view", "wire", "worker"];

/// Crates that stay exchangeable, and the only modules that name them.
const CRATES: [(&str, &str); 3] = [
    ("fjall", "store"),
    ("opentelemetry", "trace"),
    ("rdkafka", "log::kafka"),
];

/// Every module has its place in the table.
pub fn module_has_a_rank(file: &File) -> Faults {
    match module(file) {
        Some(module) if rank(&module).is_none() => {
            vec![format!("{}: give `{module}` a rank", file.path)]
        }
        _ => Vec::new(),
    }
}

/// No module knows one of its own rank or a higher one.
pub fn imports_go_downwards(file: &File) -> Faults {
    let Some(own) = module(file) else {
        return Vec::new();
    };
    let judge = |(line, import): (usize, String)| match (rank(&import), rank(&own)) {
        _ if top(&import) == top(&own) => None,
        (Some(theirs), Some(ours)) if theirs < ours => None,
        (Some(theirs), Some(ours)) => {
            Some(file.fault(line, &format!("{own} ({ours}) imports {import} ({theirs})")))
        }
        _ => Some(file.fault(line, &format!("`{import}` has no rank"))),
    };
    imports(file, &own).into_iter().filter_map(judge).collect()
}

/// The simulator's truth is computed from what it meant, not by our counting.
pub fn ground_truth_is_independent(file: &File) -> Faults {
    let Some(own) = module(file) else {
        return Vec::new();
    };
    let rule = INDEPENDENT.iter().find(|(name, _)| *name == top(&own));
    let Some((_, forbidden)) = rule else {
        return Vec::new();
    };
    imports(file, &own)
        .into_iter()
        .filter(|(_, import)| forbidden.contains(&top(import)))
        .map(|(line, import)| file.fault(line, &format!("{own} must not know {import}")))
        .collect()
}

/// A storage engine or a client library is named in one place.
pub fn crates_have_one_place(file: &File) -> Faults {
    let Some(own) = module(file) else {
        return Vec::new();
    };
    let strangers = CRATES.iter().filter(|(_, home)| !is_within(&own, home));
    strangers
        .flat_map(|(name, home)| file.lines_with(&[name], &format!("only in {home}")))
        .collect()
}

/// `src/log/embedded.rs` is `log::embedded`; files elsewhere are no modules.
fn module(file: &File) -> Option<String> {
    let path = file.path.strip_prefix("src/")?.strip_suffix(".rs")?;
    Some(path.replace('/', "::"))
}

fn top(module: &str) -> &str {
    module.split("::").next().unwrap_or(module)
}

fn is_within(module: &str, home: &str) -> bool {
    let rest = module.strip_prefix(home);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The rank of the longest entry that holds the module.
fn rank(module: &str) -> Option<i8> {
    RANKS
        .iter()
        .filter(|(name, _)| is_within(module, name))
        .max_by_key(|(name, _)| name.len())
        .map(|&(_, rank)| rank)
}

/// Every path into the crate, with its line: `crate::a`, each leaf of
/// `crate::{a, b::{c, d}}`, and `super::a` where it leaves the top-level module.
fn imports(file: &File, own: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut collect = |root: &str, wanted: &dyn Fn(&str) -> bool| {
        for (at, _) in file.code.match_indices(root) {
            if file.code[..at].ends_with(|c| is_identifier(c) || c == ':') {
                continue;
            }
            let line = file.code[..at].matches('\n').count();
            let mut paths = Vec::new();
            expand(&file.code[at + root.len()..], "", &mut paths);
            let paths = paths.into_iter().filter(|path| wanted(path));
            found.extend(paths.map(|path| (line, path)));
        }
    };
    collect("crate::", &|_| true);
    if own.contains("::") {
        collect("super::super::", &|path| rank(path).is_some());
    } else {
        collect("super::", &|path| rank(path).is_some());
    }
    found
}

/// Reads one use-tree, adds its leaves, and returns what comes after it.
fn expand<'a>(tree: &'a str, prefix: &str, leaves: &mut Vec<String>) -> &'a str {
    let tree = tree.trim_start();
    if let Some(mut rest) = tree.strip_prefix('{') {
        loop {
            rest = expand(rest, prefix, leaves);
            rest = &rest[rest.find([',', '}']).unwrap_or(rest.len())..];
            match rest.strip_prefix(',').map(str::trim_start) {
                Some(more) if !more.starts_with('}') => rest = more,
                Some(end) => return &end[1..],
                None => return rest.strip_prefix('}').unwrap_or(rest),
            }
        }
    }
    let end = tree.find(|c| !is_identifier(c)).unwrap_or(tree.len());
    let (name, rest) = tree.split_at(end);
    let path = match prefix {
        _ if name.is_empty() || name == "self" => prefix.to_string(),
        "" => name.to_string(),
        _ => format!("{prefix}::{name}"),
    };
    match rest.strip_prefix("::") {
        Some(more) if more.starts_with(|c| is_identifier(c) || c == '{') => {
            expand(more, &path, leaves)
        }
        _ => {
            leaves.push(path);
            rest
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(rule: fn(&File) -> Faults, path: &str, text: &str) -> usize {
        rule(&File::new(path, text)).len()
    }

    #[test]
    fn the_table_names_each_module_once() {
        for (at, (name, _)) in RANKS.iter().enumerate() {
            assert!(RANKS[at + 1..].iter().all(|(other, _)| other != name));
        }
    }

    #[test]
    fn a_module_without_a_rank_is_seen() {
        let of = |path: &str| count(module_has_a_rank, path, "");
        assert_eq!(of("src/novelty.rs"), 1);
        assert_eq!(of("src/novelty/part.rs"), 1);
        assert_eq!(of("src/meter/part.rs"), 0);
        assert_eq!(of("tests/novelty.rs"), 0);
    }

    #[test]
    fn every_form_of_an_import_is_read() {
        let text = "use crate::{a::{self, B, c::{D as E}}, f,};\nlet x = crate::g::<u8>();\n\
                    use other::crate_::h;\npub(in crate::i) fn j() {}\nuse crate::*;\n";
        let file = File::new("src/log/embedded.rs", text);
        let paths: Vec<_> = imports(&file, "log::embedded")
            .into_iter()
            .map(|(line, path)| format!("{line} {path}"))
            .collect();
        assert_eq!(
            paths,
            ["0 a", "0 a::B", "0 a::c::D", "0 f", "1 g", "3 i", "4 "]
        );
    }

    #[test]
    fn an_import_from_above_or_beside_is_seen() {
        let of = |path: &str, text: &str| count(imports_go_downwards, path, text);
        assert_eq!(of("src/worker.rs", "use crate::{meter::Meter, store};"), 0);
        assert_eq!(of("src/meter/cell.rs", "use crate::meter::names;"), 0);
        assert_eq!(of("src/log.rs", "use crate::log::embedded::Log;"), 0);
        assert_eq!(of("src/log/embedded.rs", "use crate::log::Log;"), 0);
        assert_eq!(of("src/store.rs", "/// [`crate::worker`]"), 0);

        assert_eq!(of("src/meter.rs", "use crate::worker::Worker;"), 1);
        assert_eq!(of("src/meter.rs", "use crate::wire::encode;"), 1);
        assert_eq!(of("src/meter.rs", "fn a() { crate::worker::run() }"), 1);
        assert_eq!(of("src/meter.rs", "use super::worker;"), 1);
        assert_eq!(of("src/meter/cell.rs", "use super::super::worker;"), 1);
        assert_eq!(of("src/store.rs", "use crate::log::embedded::Log;"), 1);
        assert_eq!(of("src/meter.rs", "use crate::Novelty;"), 1);
    }

    #[test]
    fn a_truth_that_knows_the_meter_is_seen() {
        let of = |path: &str, text: &str| count(ground_truth_is_independent, path, text);
        assert_eq!(of("src/simulate/day.rs", "use crate::{pb, truth};"), 0);
        assert_eq!(of("src/worker.rs", "use crate::meter;"), 0);
        for name in COUNTING {
            assert_eq!(
                of("src/simulate/day.rs", &format!("use crate::{name}::A;")),
                1
            );
            assert_eq!(of("src/truth.rs", &format!("use super::{name};")), 1);
        }
        assert_eq!(of("src/audit.rs", "use crate::{event, log, wire};"), 0);
        assert_eq!(of("src/audit/life.rs", "use crate::meter::ledger;"), 1);
    }

    #[test]
    fn a_crate_out_of_its_place_is_seen() {
        let of = |path: &str, text: &str| count(crates_have_one_place, path, text);
        assert_eq!(of("src/store/tables.rs", "use fjall::Keyspace;"), 0);
        assert_eq!(of("src/view.rs", "// not fjall"), 0);
        assert_eq!(of("src/view.rs", "use fjall::Keyspace;"), 1);
        assert_eq!(of("src/store.rs", "fn a() { rdkafka::b() }"), 1);
        assert_eq!(of("src/log/kafka/reader.rs", "use rdkafka::Offset;"), 0);
    }
}
