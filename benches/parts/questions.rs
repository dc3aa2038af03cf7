//! What a question costs without the network: one enterprise by hour, all
//! enterprises by day, and the leaders.

use crate::counting::changes;
use crate::sample::{DAY_MS, Day, END, empty, enterprises};
use criterion::Criterion;
use quaymeter::answers::instant;
use quaymeter::auth::caller::Caller;
use quaymeter::budget::Budget;
use quaymeter::meter::Counts;
use quaymeter::meter::cell::{Days, Round};
use quaymeter::pb;
use quaymeter::pb::throughput_service_server::ThroughputService as _;
use quaymeter::query::{Service, Settings};
use quaymeter::view::token::Tokens;
use quaymeter::view::{Published, State, View};
use std::sync::Arc;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tonic::Request;

pub fn bench(criterion: &mut Criterion) {
    let day = Day::new();
    let (mut meter, cells) = empty();
    let view = View::new(State::new(cells, 0, None, Counts::default()));
    let mut days = Days::of(view.read(|state| state.cells.keeping().zone.clone()));
    view.publish(Published {
        rounds: Round::cut(changes(&mut meter, &day), &mut days),
        position: day.0.len() as u64,
        appended_at: END,
        counts: meter.counts(),
        sources: &[],
    });
    let (_stop, stopped) = watch::channel(false);
    let clock = Arc::new(|| END);
    let settings = Settings::default();
    let answers = Budget::new(64 << 20);
    let view = Arc::new(view);
    let tokens = Tokens::new(&[7; 32]);
    let names = Arc::new(());
    let service = Service::new(view, names, clock, stopped, settings, answers, tokens);
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
        return;
    };
    let enterprises = enterprises(&day);
    let one = vec![enterprises[enterprises.len() / 2].clone()];

    let mut group = criterion.benchmark_group("questions");
    for (name, enterprises, grain) in [
        ("one enterprise by hour", one, pb::Grain::Hour),
        ("all enterprises by day", Vec::new(), pb::Grain::Day),
    ] {
        let request = throughput(enterprises, grain);
        let rows = runtime.block_on(service.get_throughput(anyones(request.clone())));
        assert!(rows.is_ok_and(|rows| !rows.into_inner().rows.is_empty()));
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let answer = service.get_throughput(anyones(request.clone()));
                runtime.block_on(answer).is_ok()
            });
        });
    }
    let fleets = runtime.block_on(service.list_top_enterprises(anyones(leaders())));
    assert!(fleets.is_ok_and(|fleets| fleets.into_inner().enterprises.len() == 10));
    group.bench_function("top 10 fleets", |bench| {
        bench.iter(|| {
            let answer = service.list_top_enterprises(anyones(leaders()));
            runtime.block_on(answer).is_ok()
        });
    });
    group.finish();
}

/// A request of whoever calls where no callers are configured.
fn anyones<T>(request: T) -> Request<T> {
    let mut request = Request::new(request);
    request.extensions_mut().insert(Caller::anyone());
    request
}

fn throughput(enterprises: Vec<String>, grain: pb::Grain) -> pb::GetThroughputRequest {
    pb::GetThroughputRequest {
        filter: Some(pb::Filter {
            enterprises,
            ..pb::Filter::default()
        }),
        from: Some(instant(END - DAY_MS)),
        to: Some(instant(END)),
        grain: grain.into(),
        group_by: vec![pb::Dimension::Enterprise.into()],
        page_size: 10_000,
        ..pb::GetThroughputRequest::default()
    }
}

fn leaders() -> pb::ListTopEnterprisesRequest {
    pb::ListTopEnterprisesRequest {
        role: pb::Role::Fleet.into(),
        measure: pb::Measure::TruckPassages.into(),
        from: Some(instant(END - DAY_MS)),
        to: Some(instant(END)),
        limit: 10,
        ..pb::ListTopEnterprisesRequest::default()
    }
}
