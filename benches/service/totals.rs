//! What days add up to: every figure that does not depend on its neighbours, by
//! role and classifier. Durations do, and days that follow each other pair
//! where a single one has nothing to pair with.

use anyhow::bail;
use quaymeter::answers::{Client, instant};
use quaymeter::pb::{self, Classifier, Role};
use quaymeter::truth::{Figure, Figures, Grain, Truth, flatten};
use std::collections::BTreeMap;

/// Figures by role and classifier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals(BTreeMap<(Role, Classifier), Figures>);

impl Totals {
    /// Of a truth.
    pub fn of(truth: &Truth) -> Self {
        let mut totals = Self::default();
        let quarters = truth.cells.iter();
        for (key, figures) in quarters.filter(|(key, _)| key.grain == Grain::Quarter) {
            totals.add_figures(key.role, key.classifier, figures);
        }
        totals
    }

    /// As the service answers for an interval in ms.
    pub async fn answered(client: &mut Client, (from, to): (i64, i64)) -> anyhow::Result<Self> {
        let classifiers = [
            Classifier::Actual,
            Classifier::Estimated,
            Classifier::Planned,
        ];
        let request = pb::GetThroughputRequest {
            filter: Some(pb::Filter {
                classifiers: classifiers.map(Into::into).to_vec(),
                ..pb::Filter::default()
            }),
            from: Some(instant(from)),
            to: Some(instant(to)),
            grain: pb::Grain::Total.into(),
            ..pb::GetThroughputRequest::default()
        };
        let answer = client.get_throughput(request).await?.into_inner();
        let mut totals = Self::default();
        for row in &answer.rows {
            if let Some(figures) = &row.figures {
                totals.add_figures(row.role(), row.classifier(), &flatten(figures));
            }
        }
        Ok(totals)
    }

    /// Adds other totals.
    pub fn merge(&mut self, other: &Self) {
        for (&(role, classifier), figures) in &other.0 {
            self.add_figures(role, classifier, figures);
        }
    }

    /// Adds to one figure.
    pub fn add(&mut self, role: Role, classifier: Classifier, figure: Figure, value: i64) {
        let figures = self.0.entry((role, classifier)).or_default();
        figures.add(figure, value);
    }

    fn add_figures(&mut self, role: Role, classifier: Classifier, figures: &Figures) {
        for (figure, value) in figures.iter().filter(|&(figure, _)| adds_up(figure)) {
            self.add(role, classifier, figure, value);
        }
    }

    /// Fails unless both are the same, naming the first difference.
    pub fn expect(&self, meant: &Self) -> anyhow::Result<()> {
        for key in self.0.keys().chain(meant.0.keys()) {
            let of = |totals: &Self| totals.0.get(key).map(Figures::by_name).unwrap_or_default();
            let (answered, meant) = (of(self), of(meant));
            for name in answered.keys().chain(meant.keys()) {
                let (answered, meant) = (answered.get(name), meant.get(name));
                if answered != meant {
                    let (role, classifier) = key;
                    bail!("{role:?} {classifier:?} {name}: answered {answered:?}, meant {meant:?}");
                }
            }
        }
        Ok(())
    }
}

fn adds_up(figure: Figure) -> bool {
    !matches!(
        figure,
        Figure::Count(_) | Figure::SumMs(_) | Figure::Bucket(..)
    )
}
