//! Which event of a mailbox is taken by whom.

use std::collections::HashSet;
use std::task::Waker;

use crate::context::{Mail, Mailbox};

fn event(number: u64, json: &str) -> Mail {
    Mail::Event { number, name: "paid".into(), json: json.into() }
}

fn take(mailbox: &Mailbox) -> Option<(u64, String)> {
    mailbox.take_event("paid", Waker::noop())
}

#[test]
fn events_are_taken_first_in_first_out_and_one_that_is_returned_is_the_next() {
    let mailbox = Mailbox::new(vec![event(1, "a"), event(2, "b")], &HashSet::new());
    assert_eq!(take(&mailbox), Some((1, "a".into())));
    mailbox.post(event(3, "c")).unwrap();
    mailbox.return_event(1);
    assert_eq!(take(&mailbox), Some((1, "a".into())));
    mailbox.release_event(1);
    mailbox.return_event(1);
    assert_eq!(take(&mailbox), Some((2, "b".into())), "what was released is gone");
}

#[test]
fn an_event_that_a_record_holds_is_free_when_its_call_is_dropped() {
    let mailbox = Mailbox::new(vec![event(1, "a"), event(2, "b")], &HashSet::from([1]));
    assert_eq!(take(&mailbox), Some((2, "b".into())));
    mailbox.return_event(1);
    mailbox.hold_event(1);
    assert_eq!(take(&mailbox), None, "the next record holds it");
}

#[test]
fn an_event_that_comes_twice_counts_once_and_none_is_taken_in_on_the_way_out() {
    let mailbox = Mailbox::new(vec![event(1, "a")], &HashSet::new());
    assert!(take(&mailbox).is_some());
    mailbox.post(event(1, "a")).unwrap();
    assert_eq!(take(&mailbox), None);
    mailbox.release_event(1);
    mailbox.post(event(1, "a")).unwrap();
    assert_eq!(take(&mailbox), None, "the flow has it");
    assert!(!mailbox.close_unless(|| true));
    mailbox.post(event(2, "b")).unwrap();
    assert!(mailbox.close_unless(|| false));
    assert!(mailbox.post(event(3, "c")).is_err());
}
