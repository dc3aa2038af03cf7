//! The values of settings that choose what is exported of enterprises.

use super::setting::{Rule, Value};
use crate::pb::Role;

/// Figures, as a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures(u8);

const FIGURES: [(&str, Figures); 9] = [
    ("boxes", Figures::BOXES),
    ("teu", Figures::TEU),
    ("gross_mass", Figures::GROSS_MASS),
    ("truck_passages", Figures::TRUCK_PASSAGES),
    ("truck_turns", Figures::TRUCK_TURNS),
    ("steps", Figures::STEPS),
    ("services", Figures::SERVICES),
    ("today", Figures::TODAY),
    ("all", Figures::ALL),
];

impl Figures {
    /// Containers.
    pub const BOXES: Self = Self(1);
    /// TEU.
    pub const TEU: Self = Self(2);
    /// Gross mass.
    pub const GROSS_MASS: Self = Self(4);
    /// Truck passages.
    pub const TRUCK_PASSAGES: Self = Self(8);
    /// Truck turns, as histograms.
    pub const TRUCK_TURNS: Self = Self(16);
    /// Steps of dispatch orders, appointments, vessel calls and shipments.
    pub const STEPS: Self = Self(32);
    /// Steps of port services.
    pub const SERVICES: Self = Self(64);
    /// Today's containers and TEU.
    pub const TODAY: Self = Self(128);
    /// All of them.
    pub const ALL: Self = Self(255);

    /// Whether all of others are among these.
    pub fn have(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

/// Roles; none means all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles(Option<Vec<Role>>);

impl Roles {
    /// Whether a role is among these.
    pub fn have(&self, role: Role) -> bool {
        self.0.as_ref().is_none_or(|roles| roles.contains(&role))
    }
}

/// The words of a list with commas between.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

fn role(word: &str) -> Option<Role> {
    let name = format!("ROLE_{}", word.to_ascii_uppercase());
    let lower = word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    Role::from_str_name(&name).filter(|&role| lower && role != Role::Unspecified)
}

fn word(role: Role) -> String {
    let name = role.as_str_name();
    let name = name.strip_prefix("ROLE_").unwrap_or(name);
    name.to_ascii_lowercase()
}

impl Value for Figures {
    fn expected(_: Rule) -> String {
        let words = FIGURES.map(|(word, _)| word).join(", ");
        format!("some of {words}, with commas between")
    }
    fn parse(text: &str, _: Rule) -> Option<Self> {
        let set = |word: &str| FIGURES.iter().find(|(of, _)| *of == word);
        words(text).try_fold(Self(0), |sum, word| Some(Self(sum.0 | set(word)?.1.0)))
    }
    fn show(&self) -> Option<toml::Value> {
        let has = |(_, figure): &&(&str, Self)| match *self {
            Self::ALL => *figure == Self::ALL,
            some => some.have(*figure),
        };
        let words: Vec<&str> = FIGURES.iter().filter(has).map(|(word, _)| *word).collect();
        Some(words.join(",").into())
    }
}

impl Value for Roles {
    fn expected(_: Rule) -> String {
        let roles = (1..).map_while(|number| Role::try_from(number).ok());
        let words: Vec<String> = roles.map(word).collect();
        format!("all, or some of {}, with commas between", words.join(", "))
    }
    fn parse(text: &str, _: Rule) -> Option<Self> {
        match text {
            "all" => Some(Self(None)),
            some => Some(Self(Some(words(some).map(role).collect::<Option<_>>()?))),
        }
    }
    fn show(&self) -> Option<toml::Value> {
        let text = |roles: &Vec<Role>| {
            roles
                .iter()
                .copied()
                .map(word)
                .collect::<Vec<_>>()
                .join(",")
        };
        Some(self.0.as_ref().map_or_else(|| "all".into(), text).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round<T: Value>(text: &str) -> Option<String> {
        let shown = T::parse(text, Rule::Any)?.show()?;
        shown.as_str().map(str::to_owned)
    }

    #[test]
    fn figures_are_words_with_commas_between() {
        assert_eq!(round::<Figures>("teu, boxes").unwrap(), "boxes,teu");
        assert_eq!(round::<Figures>("all").unwrap(), "all");
        assert_eq!(round::<Figures>("boxes,all").unwrap(), "all");
        for bad in ["", "box", "boxes,,teu", "Boxes"] {
            assert_eq!(Figures::parse(bad, Rule::Any), None, "{bad}");
        }
        let some = Figures::parse("teu,today", Rule::Any).unwrap();
        assert!(some.have(Figures::TEU) && !some.have(Figures::BOXES) && !some.have(Figures::ALL));
    }

    #[test]
    fn roles_are_words_with_commas_between_or_all() {
        assert_eq!(
            round::<Roles>("fleet, service_provider").unwrap(),
            "fleet,service_provider"
        );
        assert_eq!(round::<Roles>("all").unwrap(), "all");
        for bad in ["", "Fleet", "unspecified", "fleet,all", "driver"] {
            assert_eq!(Roles::parse(bad, Rule::Any), None, "{bad}");
        }
        let some = Roles::parse("fleet", Rule::Any).unwrap();
        assert!(some.have(Role::Fleet) && !some.have(Role::Yard));
    }
}
