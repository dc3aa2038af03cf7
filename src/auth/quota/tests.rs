//! What a caller may take, and when.

use super::*;
use crate::auth::rights::Rights;
use tokio::sync::watch;
use tonic::Code;
use tonic_types::StatusExt as _;

fn caller(name: &str, quota: Quota) -> Caller {
    let rights = Rights {
        quota,
        ..Rights::all()
    };
    Caller::known(name.into(), Arc::new(rights), watch::channel(None).1)
}

fn taken(quota: Quota) -> Taken {
    let quotas = Quotas::default();
    quotas.of(&caller("truckers", quota)).unwrap().unwrap()
}

/// Slow enough that no test lives to see what comes back.
fn slow(events: u32, bytes: u32) -> Quota {
    Quota {
        events_per_s: Some(events),
        bytes_per_s: Some(bytes),
        ..Quota::default()
    }
}

#[test]
fn who_has_no_limits_costs_nothing() {
    let quotas = Quotas::default();
    assert!(quotas.of(&Caller::anyone()).unwrap().is_none());
    let unlimited = caller("truckers", Quota::default());
    assert!(quotas.of(&unlimited).unwrap().is_none());
    assert!(quotas.known.lock().is_empty());
}

#[test]
fn who_sends_and_has_no_number_of_his_own_has_that_of_all() {
    let quotas = Quotas::new(Some(500), 200, 8_000);
    let events_per_s = |caller: &Caller| {
        let taken = quotas.of(caller).unwrap();
        taken.and_then(|taken| taken.0.quota.events_per_s)
    };
    assert_eq!(
        events_per_s(&caller("truckers", Quota::default())),
        Some(500)
    );
    assert_eq!(events_per_s(&caller("depot", slow(9_000, 1))), Some(9_000));
    let streams = Quota {
        streams: Some(1),
        ..Quota::default()
    };
    assert_eq!(events_per_s(&caller("tos", streams)), Some(500));
    // Nobody is held to a number who is not known, or sends nothing.
    assert!(quotas.of(&Caller::anyone()).unwrap().is_none());
    let reads = Rights {
        publish: None,
        ..Rights::all()
    };
    let reader = Caller::known("port".into(), Arc::new(reads), watch::channel(None).1);
    assert!(quotas.of(&reader).unwrap().is_none());
}

#[test]
fn who_has_a_limit_of_events_has_one_of_a_batch_too() {
    let quotas = Quotas::new(Some(5_000), 1_000, 8_000);
    let most = |quota| {
        let taken = quotas.of(&caller("truckers", quota)).unwrap().unwrap();
        taken.batch_events_max(10_000)
    };
    assert_eq!(most(Quota::default()), 1_000);
    assert_eq!(most(slow(20_000, 1)), 1_000);
    // Who may send fewer in a second never sends as many.
    assert_eq!(most(slow(700, 1)), 700);
    let own = |batch_events| Quota {
        batch_events: Some(batch_events),
        ..Quota::default()
    };
    assert_eq!(most(own(3_000)), 3_000);
    assert_eq!(most(own(9_000)), 5_000);
    // Where callers send as many as are taken, nobody is counted for his batches.
    let unlimited = Quotas::new(None, 1_000, 8_000);
    let caller = caller("truckers", Quota::default());
    assert!(unlimited.of(&caller).unwrap().is_none());
}

#[test]
fn who_has_a_limit_of_events_has_one_of_bytes_too() {
    let bytes = |events_per_s, quota| {
        let quotas = Quotas::new(Some(events_per_s), 1_000, 8_000);
        let taken = quotas.of(&caller("truckers", quota)).unwrap().unwrap();
        taken.0.quota.bytes_per_s
    };
    let nothing = Quota::default;
    assert_eq!(bytes(5_000, nothing()), Some(5_000 << 10));
    // A message that may be sent at all can be sent.
    assert_eq!(bytes(5, nothing()), Some(8_000));
    assert_eq!(bytes(u32::MAX, nothing()), Some(u32::MAX));
    assert_eq!(bytes(5_000, slow(5_000, 77)), Some(77));
}

#[test]
fn of_many_calls_at_once_that_are_too_much_each_costs_its_time() {
    let taken = taken(slow(10, u32::MAX));
    assert_eq!(taken.call(10, 1), Ok(()));
    for calls in 1..=5 {
        let wait = taken.call(10, 1).unwrap_err().wait();
        let most = Duration::from_secs(calls);
        assert!(wait <= most && wait > most / 2, "{wait:?}");
    }
    // What waits on streams has its own turn.
    assert_eq!(taken.may_open(), Ok(()));
}

#[test]
fn what_is_read_in_vain_costs_its_time_on_calls_and_streams() {
    let taken = taken(slow(100, u32::MAX));
    taken.waste();
    taken.waste();
    for may in [taken.may_call(), taken.may_open()] {
        let Err(Over::Later {
            limit: REFUSED,
            wait,
        }) = may
        else {
            panic!("{may:?}");
        };
        assert!(wait > Duration::from_secs(1), "{wait:?}");
        assert!(wait <= Duration::from_secs(2), "{wait:?}");
    }
    let own = &taken.0;
    own.rates.lock().last -= RESTED;
    assert!(Arc::strong_count(own) == 1 && own.is_busy(), "forgotten");
    // What is under way on streams goes on.
    assert_eq!(taken.batch(100, 1), Ok(()));
    taken.0.rates.lock().wasted = Some(Instant::now());
    assert_eq!((taken.may_call(), taken.may_open()), (Ok(()), Ok(())));
}

#[test]
fn what_was_taken_stays_taken_on_another_stream_and_another_callers_does_not() {
    let quotas = Quotas::default();
    let of = |name| {
        let caller = caller(name, slow(100_000, u32::MAX));
        quotas.of(&caller).unwrap().unwrap()
    };
    assert_eq!(of("truckers").batch(100_000, 1), Ok(()));
    let again = of("truckers").batch(50_000, 1);
    let Err(Over::Later { limit, wait }) = again else {
        panic!("{again:?}");
    };
    assert_eq!(limit, "events per second of this caller");
    assert!(wait > Duration::ZERO && wait <= Duration::from_millis(500));
    assert_eq!(of("depot").batch(100_000, 1), Ok(()));
}

#[test]
fn of_two_limits_the_longer_wait_is_told_and_nothing_is_taken() {
    let taken = taken(slow(1_000, 1_000));
    assert_eq!(taken.batch(1_000, 100), Ok(()));
    // Only events are left out; were bytes taken, the last would not do.
    for _ in 0..20 {
        let over = taken.batch(1_000, 800);
        assert!(
            matches!(over, Err(Over::Later { limit: EVENTS, .. })),
            "{over:?}"
        );
    }
    let rates = taken.0.rates.lock();
    assert!(take(&rates.bytes, 900).is_ok());
}

#[test]
fn of_a_batch_with_too_many_bytes_no_events_are_taken() {
    let taken = taken(slow(1_000, 1_000));
    assert_eq!(taken.batch(100, 1_000), Ok(()));
    for _ in 0..20 {
        let over = taken.batch(800, 1_000);
        assert!(
            matches!(over, Err(Over::Later { limit: BYTES, .. })),
            "{over:?}"
        );
    }
    let rates = taken.0.rates.lock();
    assert!(take(&rates.events, 900).is_ok());
}

#[test]
fn more_than_a_seconds_never_goes() {
    let taken = taken(slow(100, 1_000));
    let never = |limit, most| Err(Over::Never { limit, most });
    assert_eq!(taken.batch(101, 1), never(EVENTS, 100));
    assert_eq!(taken.batch(1, 1_001), never(BYTES, 1_000));
    assert_eq!(taken.batch_events_max(10_000), 100);
    assert_eq!(taken.credit_events(20_000), 100);
    assert_eq!(taken.credit_events(50), 50);
    let status = Status::from(taken.batch(101, 1).unwrap_err());
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.get_details_retry_info().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_told_wait_it_goes() {
    let taken = taken(slow(1_000, u32::MAX));
    assert_eq!(taken.batch(1_000, 1), Ok(()));
    let wait = taken.batch(100, 1).unwrap_err().wait();
    assert!(wait <= Duration::from_millis(100), "{wait:?}");
    let _ = tokio::time::timeout(wait, std::future::pending::<()>()).await;
    assert_eq!(taken.batch(100, 1), Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_may_wait_goes_when_its_time_has_come() {
    let taken = taken(slow(1_000, u32::MAX));
    assert_eq!(taken.batch(1_000, 1), Ok(()));
    let queued = [(); 2].map(|()| taken.queue(100, 1).unwrap());
    let (one, two) = tokio::join!(queued[0].turn(), queued[1].turn());
    assert_eq!((one, two), (Ok(()), Ok(())));
    let never = taken.queue(1_001, 1).unwrap();
    let over = never.turn().await;
    assert!(matches!(over, Err(Over::Never { .. })), "{over:?}");
}

#[test]
fn no_more_waits_than_goes_in_a_while_and_no_stream_is_opened_for_more() {
    let taken = taken(slow(100, 1_000));
    let mut queued: Vec<Queued> = (0..20).map(|_| taken.queue(100, 1).unwrap()).collect();
    let full = taken.queue(1, 1).unwrap_err();
    let wait = Duration::from_secs(1);
    assert_eq!(
        full,
        Over::Later {
            limit: EVENTS,
            wait
        }
    );
    assert_eq!(taken.may_open(), Err(full));
    queued.pop();
    assert_eq!(taken.may_open(), Ok(()));
    queued.clear();
    let _bytes = taken.queue(1, 25_000).unwrap();
    let wait = Duration::from_secs(5);
    let full = taken.queue(1, 1).unwrap_err();
    assert_eq!(full, Over::Later { limit: BYTES, wait });
}

#[test]
fn who_was_told_to_wait_calls_for_nothing_before() {
    let taken = taken(slow(10, u32::MAX));
    assert_eq!(taken.may_call(), Ok(()));
    assert_eq!(taken.call(10, 1), Ok(()));
    assert_eq!(taken.may_call(), Ok(()));
    let told = taken.call(10, 1).unwrap_err();
    let Err(Over::Later {
        limit: EVENTS,
        wait,
    }) = taken.may_call()
    else {
        panic!("he may call");
    };
    assert!(wait > Duration::ZERO && wait <= told.wait());
    // A stream of his waits for its own turn.
    assert_eq!(taken.may_open(), Ok(()));
    let refused = taken.0.rates.lock().refused.unwrap();
    taken.0.rates.lock().refused = Some((refused.0, Instant::now()));
    assert_eq!(taken.may_call(), Ok(()));
}

#[test]
fn there_are_as_many_streams_and_questions_at_once_as_allowed() {
    let quota = Quota {
        streams: Some(2),
        concurrent_queries: Some(1),
        ..Quota::default()
    };
    let taken = taken(quota);
    let streams = [taken.stream().unwrap(), taken.stream().unwrap()];
    let refused = taken.stream().unwrap_err();
    assert_eq!(
        status::limit_of(&refused).as_deref(),
        Some("streams of this caller")
    );
    assert!(refused.get_details_retry_info().is_some());
    drop(streams);
    assert!(taken.stream().is_ok());
    let _asks = taken.query().unwrap();
    assert!(taken.query().is_err());
}

#[test]
fn open_streams_stay_counted_when_the_limits_change() {
    let quotas = Quotas::default();
    let of = |streams| {
        let quota = Quota {
            streams: Some(streams),
            ..Quota::default()
        };
        quotas.of(&caller("truckers", quota)).unwrap().unwrap()
    };
    let _open = of(2).stream().unwrap();
    assert!(of(1).stream().is_err());
    assert!(of(2).stream().is_ok());
}

#[test]
fn callers_who_rest_are_forgotten_when_there_are_too_many() {
    let quotas = Quotas::default();
    let of = |n: usize| quotas.of(&caller(&n.to_string(), slow(10, 10)));
    for n in 0..CALLERS_MAX {
        assert!(of(n).is_ok());
    }
    // All were at work just now.
    assert!(of(CALLERS_MAX).is_err());
    for own in quotas.known.lock().values() {
        own.rates.lock().last -= RESTED;
    }
    let works = of(0).unwrap();
    assert!(of(CALLERS_MAX).is_ok());
    assert_eq!(quotas.known.lock().len(), 2);
    drop(works);
}
