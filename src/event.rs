//! What an event is, once it is valid and normalised. The closed lists (roles,
//! movements' directions, steps …) are the proto's own enums; here they are
//! never UNSPECIFIED.

pub mod container;
pub mod enterprise;
pub mod facility;
pub mod fault;
pub mod personal;
pub mod truck;
pub mod vessel;

use compact_str::CompactString;
use smallvec::SmallVec;

pub use crate::pb::{
    AppointmentStage, Classifier, DispatchStage, Fullness, GateDirection, QuayDirection, Role,
    ServiceKind, ServiceStage, ShipmentStage, VesselCallStage, YardActivity,
};

/// An instant in milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// One valid, normalised event. Its identity is (facility, source, event id);
/// the source is kept beside it, by whoever carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The reporter's own id.
    pub event_id: CompactString,
    /// Which version; the highest wins.
    pub revision: i64,
    /// Where, for example `CNNBO/BLCT2`; the partition key.
    pub facility: CompactString,
    /// What it says; absent when this version says that it did not happen.
    pub statement: Option<Statement>,
}

/// What an event says that happened, or is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Whether it happened, is expected or is planned.
    pub classifier: Classifier,
    /// When.
    pub occurred_at: Millis,
    /// For whom, sorted by (role, enterprise), none twice.
    pub parties: SmallVec<[Party; 4]>,
    /// What.
    pub detail: Detail,
}

/// One enterprise in one role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Party {
    /// The role.
    pub role: Role,
    /// Scheme and code, for example `smdg:COS`.
    pub enterprise: CompactString,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// A truck passed a gate.
    GateMove(GateMove),
    /// A container went over the quay.
    QuayMove(QuayMove),
    /// A container was worked on in a yard.
    YardMove(YardMove),
    /// A truck job's step.
    DispatchStep(DispatchStep),
    /// A gate appointment's step.
    AppointmentStep(AppointmentStep),
    /// A moment of a vessel's call.
    VesselCall(VesselCall),
    /// A port service's step.
    PortService(PortService),
    /// A shipment's step.
    ShipmentStep(ShipmentStep),
}

/// One container during an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// 4 letters and 7 digits.
    pub number: CompactString,
    /// Size and type code as sent, folded to upper case; empty if absent.
    pub size_type: CompactString,
    /// Empty, laden or unknown.
    pub fullness: Fullness,
    /// Gross mass in kg, tare included; 0 if absent.
    pub gross_mass_kg: u32,
}

/// A truck passed a gate. Plates and driver are pseudonyms; empty if absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateMove {
    /// In or out.
    pub direction: GateDirection,
    /// 0 to 4.
    pub containers: SmallVec<[Container; 2]>,
    /// The tractor's pseudonym.
    pub tractor: CompactString,
    /// The tractor's pseudonym under the key before, on the first day of a key;
    /// else empty.
    pub tractor_before: CompactString,
    /// The trailer's pseudonym.
    pub trailer: CompactString,
    /// The driver's pseudonym.
    pub driver: CompactString,
    /// The reporter's reference of the visit; empty if absent.
    pub visit_ref: CompactString,
}

/// A container went over the quay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuayMove {
    /// Load or discharge.
    pub direction: QuayDirection,
    /// What.
    pub container: Container,
    /// The call's id.
    pub call_id: CompactString,
    /// 7 digits; empty if absent.
    pub vessel_imo: CompactString,
    /// Empty if absent.
    pub call_sign: CompactString,
    /// Empty if absent.
    pub voyage: CompactString,
    /// Kept apart from throughput.
    pub restow: bool,
}

/// A container was worked on in a yard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YardMove {
    /// What was done.
    pub activity: YardActivity,
    /// To what.
    pub container: Container,
}

/// A truck job's step. Plate and driver are pseudonyms; empty if absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DispatchStep {
    /// The order's id.
    pub order_id: CompactString,
    /// Which step.
    pub stage: DispatchStage,
    /// The tractor's pseudonym.
    pub tractor: CompactString,
    /// The driver's pseudonym.
    pub driver: CompactString,
}

/// A gate appointment's step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppointmentStep {
    /// The appointment's id.
    pub appointment_id: CompactString,
    /// Which step.
    pub stage: AppointmentStage,
    /// When its slot starts; it is counted there.
    pub slot_start: Millis,
    /// When its slot ends, after its start.
    pub slot_end: Millis,
}

/// A moment of a vessel's call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VesselCall {
    /// Which moment.
    pub stage: VesselCallStage,
    /// The call's id.
    pub call_id: CompactString,
    /// 7 digits; empty if absent.
    pub vessel_imo: CompactString,
    /// Empty if absent.
    pub call_sign: CompactString,
}

/// A port service's step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortService {
    /// Which service.
    pub service: ServiceKind,
    /// Which step.
    pub stage: ServiceStage,
    /// The order's id.
    pub order_id: CompactString,
    /// The vessel call's id; empty if absent.
    pub call_id: CompactString,
}

/// A shipment's step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShipmentStep {
    /// Which step.
    pub stage: ShipmentStage,
    /// The document's reference; empty if absent.
    pub document_ref: CompactString,
}
