//! The kinds of metrics: how each is described and made, without labels and with.

use super::told::{Level, Tally};
use metrics::{Counter, Gauge, Histogram, Key, Label, Level as Loudness, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::PrometheusRecorder;
use std::marker::PhantomData;
use std::sync::Arc;

static METADATA: Metadata<'static> = Metadata::new("quaymeter", Loudness::INFO, None);

/// Where metrics are kept.
pub(super) type Recording = Arc<PrometheusRecorder>;

/// One kind of metric without labels.
pub(super) trait Kind: Sized {
    /// Its type, as Prometheus calls it.
    const TYPE: &'static str;
    fn describe(recorder: &PrometheusRecorder, name: &'static str, unit: Unit, help: &'static str);
    fn register(recorder: &PrometheusRecorder, key: &Key) -> Self;
    fn new(recorder: &Recording, name: &'static str, _: &[&'static str; 0]) -> Self {
        Self::register(recorder, &Key::from_static_name(name))
    }
}

macro_rules! kinds {
    ($($type:ident: $name:literal, $describe:ident, $register:ident;)*) => {$(
        impl Kind for $type {
            const TYPE: &'static str = $name;
            fn describe(
                recorder: &PrometheusRecorder,
                name: &'static str,
                unit: Unit,
                help: &'static str,
            ) {
                recorder.$describe(name.into(), Some(unit), help.into());
            }
            fn register(recorder: &PrometheusRecorder, key: &Key) -> Self {
                recorder.$register(key, &METADATA)
            }
        }
    )*};
}

kinds! {
    Counter: "counter", describe_counter, register_counter;
    Gauge: "gauge", describe_gauge, register_gauge;
    Histogram: "histogram", describe_histogram, register_histogram;
}

macro_rules! told {
    ($($type:ident: $kind:ident;)*) => {$(
        impl Kind for $type {
            const TYPE: &'static str = $kind::TYPE;
            fn describe(
                recorder: &PrometheusRecorder,
                name: &'static str,
                unit: Unit,
                help: &'static str,
            ) {
                $kind::describe(recorder, name, unit, help);
            }
            fn register(recorder: &PrometheusRecorder, key: &Key) -> Self {
                $type::of($kind::register(recorder, key))
            }
        }
    )*};
}

told! {
    Tally: Counter;
    Level: Gauge;
}

/// A metric with `N` labels. A look-up costs some 0.3 µs: keep the handle where
/// that matters.
pub struct By<K, const N: usize> {
    recorder: Recording,
    name: &'static str,
    labels: [&'static str; N],
    kind: PhantomData<fn() -> K>,
}

#[expect(private_bounds, reason = "the three kinds are all there are")]
impl<K: Kind, const N: usize> By<K, N> {
    pub(super) const TYPE: &'static str = K::TYPE;

    pub(super) fn describe(
        recorder: &PrometheusRecorder,
        name: &'static str,
        unit: Unit,
        help: &'static str,
    ) {
        K::describe(recorder, name, unit, help);
    }

    pub(super) fn new(
        recorder: &Recording,
        name: &'static str,
        labels: &[&'static str; N],
    ) -> Self {
        Self {
            recorder: Arc::clone(recorder),
            name,
            labels: *labels,
            kind: PhantomData,
        }
    }

    /// The one with these values, in the order of the labels. Values must come
    /// from a closed list: each new one is a series for good.
    pub fn with(&self, values: [&str; N]) -> K {
        let labels = self.labels.iter().zip(values);
        let labels: Vec<_> = labels
            .map(|(&l, value)| Label::new(l, value.to_owned()))
            .collect();
        K::register(&self.recorder, &Key::from_parts(self.name, labels))
    }
}
