//! Rings of events, their bounds and their locks.

use std::time::Duration;

use super::*;

fn event(message: &str) -> api::LogEvent {
    api::LogEvent {
        number: 0,
        time_ms: 0,
        level: api::LogLevel::Info,
        target: "program".to_owned(),
        message: message.to_owned(),
        fields: Value::Object(Map::new()),
        checkpoint: None,
        attempt: Some(1),
    }
}

fn job(id: &str) -> ExecutionRef {
    ExecutionRef::new("order", id)
}

fn messages(rings: &Rings, id: &str, query: &api::LogsQuery) -> Vec<String> {
    rings.read(&job(id), query).events.into_iter().map(|event| event.message).collect()
}

#[test]
fn ring_keeps_the_newest_events_in_their_order_and_counts_the_others() {
    let rings = Rings::default();
    let ring = rings.of(job("1"));
    for nth in 0..1_500 {
        rings.keep(&ring, event(&nth.to_string()));
    }
    let all = rings.read(&job("1"), &api::LogsQuery::default());
    assert_eq!((all.events.len(), all.dropped, all.next_after), (1_000, 500, None));
    assert_eq!((&*all.events[0].message, &*all.events[999].message), ("500", "1499"));
    assert!(all.events.is_sorted_by(|one, next| one.number < next.number));
    let query = api::LogsQuery { after: Some(all.events[989].number), limit: Some(4), ..Default::default() };
    assert_eq!(messages(&rings, "1", &query), ["1490", "1491", "1492", "1493"]);
    assert_eq!(rings.read(&job("1"), &query).next_after, Some(all.events[993].number));
    assert!(messages(&rings, "2", &api::LogsQuery::default()).is_empty());
}

#[test]
fn ring_is_bounded_in_bytes_and_so_are_all_rings_together() {
    let rings = Rings::default();
    let long = "x".repeat(4_000);
    for id in 0..200 {
        let ring = rings.of(job(&id.to_string()));
        for _ in 0..100 {
            rings.keep(&ring, event(&long));
        }
        let kept = messages(&rings, &id.to_string(), &api::LogsQuery::default());
        let bytes: usize = kept.iter().map(String::len).sum();
        assert!((200 << 10..256 << 10).contains(&bytes), "{bytes}");
    }
    let of = |id: u32| messages(&rings, &id.to_string(), &api::LogsQuery::default()).len();
    let bytes: usize = (0..200).map(of).sum::<usize>() * long.len();
    assert!((10 << 20..16 << 20).contains(&bytes), "{bytes}");
    assert!(of(0) == 0 && of(199) > 0, "the oldest are dropped");
}

#[test]
fn events_of_many_executions_are_those_of_the_newest_and_a_dropped_one_begins_again() {
    let rings = Rings::default();
    let first = rings.of(job("first"));
    rings.keep(&first, event("before"));
    for id in 0..1_000 {
        rings.keep(&rings.of(job(&id.to_string())), event("other"));
    }
    assert!(messages(&rings, "first", &api::LogsQuery::default()).is_empty());
    rings.keep(&first, event("after"));
    assert_eq!(messages(&rings, "first", &api::LogsQuery::default()), ["after"]);
    assert!(std::sync::Arc::ptr_eq(&first, &rings.of(job("first"))), "its spans still have it");
    assert_eq!(messages(&rings, "999", &api::LogsQuery::default()), ["other"]);
}

#[test]
fn event_of_another_execution_does_not_wait_for_a_ring_that_is_locked() {
    let rings: &'static Rings = Box::leak(Box::default());
    let (busy, other) = (rings.of(job("busy")), rings.of(job("other")));
    let (done, is_done) = std::sync::mpsc::channel();
    busy.with_events_locked(|| {
        std::thread::spawn(move || {
            rings.keep(&other, event("other"));
            done.send(()).unwrap();
        });
        is_done.recv_timeout(Duration::from_secs(60)).expect("the event is kept");
    });
    assert_eq!(messages(rings, "other", &api::LogsQuery::default()), ["other"]);
}

#[test]
fn events_of_a_level_are_those_and_the_more_severe_ones() {
    use api::LogLevel::{Debug, Error, Info, Trace, Warn};
    let rings = Rings::default();
    let ring = rings.of(job("1"));
    for level in [Error, Warn, Info, Debug, Trace] {
        rings.keep(&ring, api::LogEvent { level, ..event(level.name()) });
    }
    let of = |level| messages(&rings, "1", &api::LogsQuery { level, ..Default::default() });
    assert_eq!(
        (of(Some(Error)), of(Some(Warn))),
        (vec!["error".to_owned()], vec!["error".to_owned(), "warn".to_owned()])
    );
    assert_eq!((of(None).len(), of(Some(Trace)).len()), (5, 5));
}

#[test]
fn long_texts_are_cut_where_a_character_ends() {
    let mut text = Bounded::default();
    let _ = fmt::write(&mut text, format_args!("{}{}", "x", "ü".repeat(4_000)));
    assert!(text.0.len() <= MOST_TEXT + 3 && text.0.ends_with("ü…"), "{}", text.0.len());
}
