//! The lasting part of the simulated world: facilities, enterprises in their
//! roles, fleets with their trucks, and who prefers whom.

use super::identifiers::uscc;
use super::random::{Dice, Weighted};
use crate::pb::Role;
use compact_str::{CompactString, format_compact};
use std::collections::BTreeSet;

/// A facility's number: its place in byte order.
pub(super) type Facility = u16;

/// An enterprise's number: its place in byte order.
pub(super) type Enterprise = u16;

/// One enterprise in one role.
pub(super) type Party = (Role, Enterprise);

/// The terminals at Ningbo by SMDG code, with their share of the boxes.
const TERMINALS: [(&str, f64); 11] = [
    ("BLCT1", 0.06),
    ("BLCT2", 0.14),
    ("BLGAN", 0.13),
    ("BLYIN", 0.07),
    ("BLYUA", 0.16),
    ("BLTCT", 0.06),
    ("BLCT5", 0.09),
    ("NDXYT", 0.02),
    ("BLCT6", 0.17),
    ("ZHCT", 0.06),
    ("YZCT7", 0.04),
];

/// Where depots are, with the share of each quarter of the port.
const DEPOT_AREAS: [(&str, usize); 6] = [
    ("BLD", 60),
    ("CTD", 15),
    ("DXD", 10),
    ("MSD", 7),
    ("ZHD", 5),
    ("JBD", 3),
];

const CARRIERS: [&str; 17] = [
    "smdg:MSC",
    "smdg:COS",
    "smdg:MSK",
    "smdg:CMA",
    "smdg:EMC",
    "smdg:OOL",
    "smdg:ONE",
    "smdg:HLC",
    "smdg:YML",
    "smdg:ZIM",
    "smdg:HMM",
    "smdg:WHL",
    "smdg:PIL",
    "smdg:SIT",
    "nmfta:SMLU",
    "nmfta:MATS",
    "ygt:carrier-0017",
];

/// A terminal or depot with the enterprise that runs it.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Where.
    pub facility: Facility,
    /// Who runs it, as TERMINAL or YARD.
    pub operator: Party,
}

/// A fleet.
pub(super) struct Fleet {
    /// Who.
    pub party: Party,
    /// Its trucks: from, below.
    pub trucks: (u32, u32),
}

/// A forwarder with its habits.
pub(super) struct Forwarder {
    /// Who.
    pub party: Party,
    /// The terminals it mostly uses.
    pub terminals: [usize; 3],
    /// The depots it mostly uses.
    pub depots: [usize; 4],
    /// The fleets it mostly engages.
    pub fleets: [usize; 3],
    /// The shippers it mostly works for.
    pub shippers: [usize; 5],
}

/// Everything that lasts.
pub(super) struct Town {
    /// Names in byte order.
    pub facilities: Vec<CompactString>,
    /// Ids in byte order.
    pub enterprises: Vec<CompactString>,
    /// Container terminals.
    pub terminals: Vec<Place>,
    /// How the boxes fall on terminals.
    pub terminal_share: Weighted,
    /// Empty depots.
    pub depots: Vec<Place>,
    /// 货代 by size.
    pub forwarders: Vec<Forwarder>,
    /// How jobs fall on forwarders.
    pub forwarder_share: Weighted,
    /// 车队 by size.
    pub fleets: Vec<Fleet>,
    /// How jobs fall on fleets.
    pub fleet_share: Weighted,
    /// 货主.
    pub shippers: Vec<Party>,
    /// 船公司 by size.
    pub carriers: Vec<Party>,
    /// How boxes fall on carriers.
    pub carrier_share: Weighted,
    /// 船代.
    pub agents: Vec<Party>,
    /// 港航服务.
    pub providers: Vec<Party>,
}

/// How many enterprises there are of each role.
struct Census {
    forwarders: usize,
    shippers: usize,
    fleets: usize,
    depots: usize,
    agents: usize,
    providers: usize,
}

impl Census {
    /// Of about `enterprises` in all.
    fn new(enterprises: u32) -> Self {
        let share = |per_mille: u32| (enterprises * per_mille / 1000).max(3) as usize;
        Self {
            forwarders: share(290),
            shippers: share(390),
            fleets: share(200),
            depots: share(50).clamp(6, 400),
            agents: share(20),
            providers: share(40),
        }
    }
}

impl Town {
    /// With about this many enterprises and exactly this many trucks.
    pub fn new(dice: &mut Dice, enterprises: u32, trucks: u32) -> Self {
        let census = Census::new(enterprises);
        let ids = Ids::new(&census);
        let names = place_names(census.depots);
        let place = |(at, (name, operator)): (usize, (&CompactString, &CompactString))| {
            let role = if at < TERMINALS.len() {
                Role::Terminal
            } else {
                Role::Yard
            };
            let facility = rank(&names.sorted, name);
            Place {
                facility,
                operator: (role, rank(&ids.sorted, operator)),
            }
        };
        let operators = ids.operators.iter().chain(ids.yards.iter());
        let places: Vec<Place> = names
            .in_order
            .iter()
            .zip(operators)
            .enumerate()
            .map(place)
            .collect();
        let (terminals, depots) = places.split_at(TERMINALS.len());
        let numbered = |names: &[CompactString], role| -> Vec<Party> {
            names
                .iter()
                .map(|name| (role, rank(&ids.sorted, name)))
                .collect()
        };
        let forwarders = numbered(&ids.forwarders, Role::Forwarder);
        let mut town = Self {
            terminals: terminals.to_vec(),
            terminal_share: Weighted::new(TERMINALS.map(|(_, share)| share)),
            depots: depots.to_vec(),
            forwarders: Vec::new(),
            forwarder_share: Weighted::zipf(forwarders.len(), 0.85),
            fleets: fleets(&numbered(&ids.fleets, Role::Fleet), trucks),
            fleet_share: Weighted::zipf(ids.fleets.len(), 0.8),
            shippers: numbered(&ids.shippers, Role::Shipper),
            carriers: numbered(&ids.carriers, Role::Carrier),
            carrier_share: Weighted::zipf(ids.carriers.len(), 0.7),
            agents: numbered(&ids.agents, Role::Agent),
            providers: numbered(&ids.providers, Role::ServiceProvider),
            facilities: names.sorted,
            enterprises: ids.sorted,
        };
        town.forwarders = forwarders
            .iter()
            .map(|&party| town.forwarder(dice, party))
            .collect();
        town
    }

    fn forwarder(&self, dice: &mut Dice, party: Party) -> Forwarder {
        Forwarder {
            party,
            terminals: std::array::from_fn(|_| self.terminal_share.throw(dice)),
            depots: std::array::from_fn(|_| dice.index(self.depots.len())),
            fleets: std::array::from_fn(|_| self.fleet_share.throw(dice)),
            shippers: std::array::from_fn(|_| dice.index(self.shippers.len())),
        }
    }

    /// Another enterprise that has this role too; the same if it is alone.
    pub fn other(&self, dice: &mut Dice, (role, than): Party) -> Party {
        let peers: Vec<Party> = match role {
            Role::Forwarder => self.forwarders.iter().map(|f| f.party).collect(),
            Role::Fleet => self.fleets.iter().map(|f| f.party).collect(),
            Role::Shipper => self.shippers.clone(),
            Role::Agent => self.agents.clone(),
            Role::ServiceProvider => self.providers.clone(),
            Role::Terminal => self.terminals.iter().map(|p| p.operator).collect(),
            Role::Yard => self.depots.iter().map(|p| p.operator).collect(),
            Role::Carrier | Role::Unspecified => self.carriers.clone(),
        };
        let at = dice.index(peers.len());
        let other = peers[at];
        if other.1 == than {
            peers[(at + 1) % peers.len()]
        } else {
            other
        }
    }
}

struct Places {
    /// Terminals, then depots.
    in_order: Vec<CompactString>,
    sorted: Vec<CompactString>,
}

fn place_names(depots: usize) -> Places {
    let terminals = TERMINALS.map(|(code, _)| format_compact!("CNNBO/{code}"));
    let areas: Vec<&str> = DEPOT_AREAS
        .iter()
        .flat_map(|&(area, share)| std::iter::repeat_n(area, share))
        .collect();
    // 37 is coprime to 100: a hundred depots in a row meet every area.
    let depots = (0..depots).map(|n| format_compact!("CNNBO/{}{n:03}", areas[n * 37 % 100]));
    let in_order: Vec<_> = terminals.into_iter().chain(depots).collect();
    Places {
        sorted: in_byte_order(&in_order),
        in_order,
    }
}

/// Ids by role.
struct Ids {
    forwarders: Vec<CompactString>,
    shippers: Vec<CompactString>,
    fleets: Vec<CompactString>,
    yards: Vec<CompactString>,
    operators: Vec<CompactString>,
    agents: Vec<CompactString>,
    providers: Vec<CompactString>,
    carriers: Vec<CompactString>,
    sorted: Vec<CompactString>,
}

impl Ids {
    fn new(census: &Census) -> Self {
        let mut next = 0;
        // Every twentieth small one is known to the platform only.
        let mut make = |count: usize, role: &str, unregistered: bool| -> Vec<CompactString> {
            let id = |n: usize| {
                next += 1;
                let ygt = unregistered && n % 20 == 19;
                if ygt {
                    format_compact!("ygt:{role}-{n:04}")
                } else {
                    format_compact!("uscc:{}", uscc(next))
                }
            };
            (0..count).map(id).collect()
        };
        let forwarders = make(census.forwarders, "forwarder", false);
        let shippers = make(census.shippers, "shipper", true);
        let fleets = make(census.fleets, "fleet", true);
        let mut yards = make(census.depots, "yard", false);
        let mut operators = make(TERMINALS.len(), "terminal", false);
        let mut agents = make(census.agents, "agent", false);
        let providers = make(census.providers, "service", true);
        // One company runs two terminals, some run two depots, and some
        // forwarders are agents too.
        operators[1] = operators[0].clone();
        for at in (1..yards.len()).step_by(12) {
            yards[at] = yards[at - 1].clone();
        }
        for (agent, forwarder) in agents.iter_mut().zip(&forwarders).step_by(6) {
            agent.clone_from(forwarder);
        }
        let carriers: Vec<CompactString> = CARRIERS.iter().map(|&id| id.into()).collect();
        let all = [
            &forwarders,
            &shippers,
            &fleets,
            &yards,
            &operators,
            &agents,
            &providers,
            &carriers,
        ];
        let sorted = in_byte_order(&all.into_iter().flatten().cloned().collect::<Vec<_>>());
        Self {
            forwarders,
            shippers,
            fleets,
            yards,
            operators,
            agents,
            providers,
            carriers,
            sorted,
        }
    }
}

fn in_byte_order(names: &[CompactString]) -> Vec<CompactString> {
    names
        .iter()
        .cloned()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// A name's place among sorted ones that hold it.
fn rank(sorted: &[CompactString], name: &CompactString) -> u16 {
    sorted.partition_point(|other| other < name) as u16
}

/// Shares the trucks out: large fleets are larger, none is empty.
fn fleets(parties: &[Party], trucks: u32) -> Vec<Fleet> {
    let weights: Vec<f64> = (1..=parties.len())
        .map(|rank| (rank as f64).powf(-0.7))
        .collect();
    let all: f64 = weights.iter().sum();
    let spare = f64::from(trucks.saturating_sub(parties.len() as u32));
    let mut from = 0;
    let mut sum = 0.0;
    let fleet = |(at, (&party, weight)): (usize, (&Party, &f64))| {
        sum += weight;
        let to = ((spare * sum / all) as u32 + at as u32 + 1)
            .min(trucks)
            .max(from);
        let fleet = Fleet {
            party,
            trucks: (from, to),
        };
        from = to;
        fleet
    };
    parties
        .iter()
        .zip(&weights)
        .enumerate()
        .map(fleet)
        .collect()
}
