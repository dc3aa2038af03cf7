//! What each method asks of its caller, in one table.

use super::rights::Rights;

/// What a method asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Nothing: it is not even asked who calls.
    Anyone,
    /// That he is known.
    Known,
    /// That he may send something.
    Publish,
    /// That he may see somebody's figures.
    Read,
    /// That he may see somebody's figures, or run the service.
    ReadOrOperate,
    /// That he may run the service.
    Operate,
}

/// A line for each method, and one for each service whose methods are alike.
const TABLE: &[(&str, Rule)] = &[
    ("/grpc.health.v1.Health/", Rule::Anyone),
    ("/grpc.reflection.v1.ServerReflection/", Rule::Known),
    ("/grpc.reflection.v1alpha.ServerReflection/", Rule::Known),
    ("/quaymeter.v1.IngestService/PublishEvents", Rule::Publish),
    ("/quaymeter.v1.IngestService/StreamEvents", Rule::Publish),
    ("/quaymeter.v1.ThroughputService/GetThroughput", Rule::Read),
    (
        "/quaymeter.v1.ThroughputService/ListTopEnterprises",
        Rule::Read,
    ),
    (
        "/quaymeter.v1.ThroughputService/ListEnterprises",
        Rule::Read,
    ),
    (
        "/quaymeter.v1.ThroughputService/ListVesselCalls",
        Rule::Read,
    ),
    ("/quaymeter.v1.ThroughputService/ListNoShows", Rule::Read),
    (
        "/quaymeter.v1.ThroughputService/WatchThroughput",
        Rule::ReadOrOperate,
    ),
    (
        "/quaymeter.v1.ThroughputService/GetStatus",
        Rule::ReadOrOperate,
    ),
    ("/quaymeter.v1.ThroughputService/DumpCells", Rule::Operate),
    ("/quaymeter.v1.ThroughputService/LookupEvent", Rule::Operate),
    (
        "/quaymeter.v1.ThroughputService/ListCellEvents",
        Rule::Operate,
    ),
    ("/quaymeter.v1.AdminService/Backup", Rule::Operate),
];

impl Rule {
    /// That of a method, by its path. What does not exist is not told to strangers.
    pub fn of(path: &str) -> Self {
        find(path).unwrap_or(Self::Known)
    }

    /// Which right is missing, if one is.
    pub fn lacks(self, rights: &Rights) -> Option<&'static str> {
        let (publish, read) = (rights.publish.is_some(), rights.read.is_some());
        let (has, right) = match self {
            Self::Anyone | Self::Known => return None,
            Self::Publish => (publish, "publish"),
            Self::Read => (read, "read"),
            Self::ReadOrOperate => (read || rights.operate, "read"),
            Self::Operate => (rights.operate, "operate"),
        };
        (!has).then_some(right)
    }
}

fn find(path: &str) -> Option<Rule> {
    let found = TABLE.iter().find(|(line, _)| match line.ends_with('/') {
        true => path.starts_with(line),
        false => path == *line,
    });
    found.map(|(_, rule)| *rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::rights::Read;
    use crate::pb;
    use prost::Message;
    use prost_types::FileDescriptorSet;

    /// The paths of all methods.
    fn paths(descriptors: &[u8]) -> Vec<String> {
        let mut paths = Vec::new();
        for file in FileDescriptorSet::decode(descriptors).unwrap().file {
            for service in &file.service {
                let name = format!("/{}.{}/", file.package(), service.name());
                let methods = service.method.iter();
                paths.extend(methods.map(|method| format!("{name}{}", method.name())));
            }
        }
        paths
    }

    fn all() -> Vec<String> {
        let sets = [
            pb::DESCRIPTORS,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        sets.into_iter().flat_map(paths).collect()
    }

    #[test]
    fn every_method_has_a_rule_and_every_rule_a_method() {
        let paths = all();
        assert!(paths.len() > TABLE.len(), "{paths:?}");
        for path in &paths {
            assert!(find(path).is_some(), "{path} has no rule");
        }
        for (line, _) in TABLE {
            assert!(paths.iter().any(|path| path.starts_with(line)), "{line}");
        }
    }

    #[test]
    fn only_the_health_is_told_to_whoever_asks() {
        let open = |path: &String| Rule::of(path) == Rule::Anyone;
        let open: Vec<_> = all().into_iter().filter(open).collect();
        assert!(
            open.iter()
                .all(|path| path.starts_with("/grpc.health.v1.Health/"))
        );
        assert_eq!(Rule::of("/quaymeter.v1.IngestService/Nothing"), Rule::Known);
        assert_eq!(Rule::of("/grpc.health.v1.Health"), Rule::Known);
    }

    #[test]
    fn each_right_opens_its_own_methods_and_no_other() {
        let rights = |publish: bool, read: bool, operate: bool| Rights {
            publish: Rights::all().publish.filter(|_| publish),
            read: read.then_some(Read::All),
            operate,
            ..Rights::default()
        };
        let [publisher, reader, operator] = [
            (true, false, false),
            (false, true, false),
            (false, false, true),
        ]
        .map(|(publish, read, operate)| rights(publish, read, operate));
        let may = |rule: Rule| {
            [&publisher, &reader, &operator].map(|rights| rule.lacks(rights).is_none())
        };
        assert_eq!(may(Rule::Publish), [true, false, false]);
        assert_eq!(may(Rule::Read), [false, true, false]);
        assert_eq!(may(Rule::ReadOrOperate), [false, true, true]);
        assert_eq!(may(Rule::Operate), [false, false, true]);
        assert_eq!(may(Rule::Known), [true; 3]);
        assert_eq!(Rule::Operate.lacks(&reader), Some("operate"));
    }
}
