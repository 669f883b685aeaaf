//! Which call takes which signal and which answer of a mailbox.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use crate::context::mailbox::Awaits;
use crate::context::{Mailbox, Message};
use crate::ledger::Addressee;
use crate::value::Key;

fn signal(number: u64, json: &str) -> Message {
    Message::Signal { number, name: "paid".into(), json: json.into() }
}

fn take(mailbox: &Mailbox) -> Option<(u64, String)> {
    mailbox.take_signal("paid", Waker::noop())
}

#[test]
fn signals_are_taken_first_in_first_out_and_a_returned_one_is_next() {
    let mailbox = Mailbox::new(vec![signal(1, "a"), signal(2, "b")], &HashSet::new());
    assert_eq!(take(&mailbox), Some((1, "a".into())));
    mailbox.post(signal(3, "c")).unwrap();
    mailbox.return_signal(1);
    assert_eq!(take(&mailbox), Some((1, "a".into())));
    mailbox.release_signal(1);
    mailbox.return_signal(1);
    assert_eq!(take(&mailbox), Some((2, "b".into())), "what was released is gone");
}

#[test]
fn a_signal_that_a_record_holds_is_free_when_its_call_is_dropped() {
    let mailbox = Mailbox::new(vec![signal(1, "a"), signal(2, "b")], &HashSet::from([1]));
    assert_eq!(take(&mailbox), Some((2, "b".into())));
    mailbox.return_signal(1);
    mailbox.hold_signal(1);
    assert_eq!(take(&mailbox), None, "the next record holds it");
}

#[test]
fn end_of_an_execution_is_for_a_closed_mailbox_that_awaits_one() {
    let mailbox = Mailbox::new(Vec::new(), &HashSet::new());
    assert!(mailbox.post(Message::OtherEnded).is_ok());
    assert!(mailbox.close_unless(Awaits::Other, || false) && !mailbox.awaits_execution());
    assert!(mailbox.post(Message::OtherEnded).is_ok(), "nothing awaits it");
    assert!(mailbox.close_unless(Awaits::Execution, || false) && mailbox.awaits_execution());
    assert!(mailbox.post(Message::OtherEnded).is_err(), "the next attempt takes it");
}

#[test]
fn signal_that_arrives_twice_counts_once_and_a_closed_mailbox_takes_none() {
    let mailbox = Mailbox::new(vec![signal(1, "a")], &HashSet::new());
    assert!(take(&mailbox).is_some());
    mailbox.post(signal(1, "a")).unwrap();
    assert_eq!(take(&mailbox), None);
    mailbox.release_signal(1);
    mailbox.post(signal(1, "a")).unwrap();
    assert_eq!(take(&mailbox), None, "the flow has it");
    assert!(!mailbox.close_unless(Awaits::Other, || true));
    mailbox.post(signal(2, "b")).unwrap();
    assert!(mailbox.close_unless(Awaits::Other, || false));
    assert!(mailbox.post(signal(3, "c")).is_err());
}

fn answer(wait: Addressee, json: &str) -> Message {
    Message::Answer { wait, json: json.into(), question: None, verdict: None }
}

const FIRST: Key = Key([1; 16]);
const SECOND: Key = Key([2; 16]);

fn given(mailbox: &Mailbox, wait: Key) -> Option<String> {
    mailbox.answer(wait, Waker::noop())
}

#[test]
fn early_answer_is_for_the_first_wait_under_its_name_only() {
    let mailbox = Mailbox::new(vec![answer(Addressee::Named("pay".into()), "1")], &HashSet::new());
    // For a body that was interrupted: an early answer is not about it.
    mailbox.listen(Key([3; 16]), None);
    assert_eq!(given(&mailbox, Key([3; 16])), None);
    for _ in 0..2 {
        mailbox.listen(FIRST, Some("pay"));
        mailbox.listen(SECOND, Some("pay"));
        assert_eq!((given(&mailbox, FIRST).as_deref(), given(&mailbox, SECOND)), (Some("1"), None));
        mailbox.leave(SECOND);
    }
    mailbox.judge(FIRST, Ok(()));
    assert_eq!((given(&mailbox, FIRST), given(&mailbox, SECOND)), (None, None));
}

#[test]
fn an_answer_goes_by_the_identity_of_its_wait_and_not_by_its_name() {
    let mailbox = Mailbox::new(vec![answer(Addressee::Wait(SECOND), "2")], &HashSet::new());
    mailbox.listen(FIRST, Some("pay"));
    mailbox.listen(SECOND, Some("pay"));
    assert_eq!((given(&mailbox, FIRST), given(&mailbox, SECOND).as_deref()), (None, Some("2")));
}

#[test]
fn an_answer_that_was_on_its_way_when_its_wait_opened_wakes_it() {
    let woken = Arc::new(Woken::default());
    let mailbox = Mailbox::new(Vec::new(), &HashSet::new());
    mailbox.listen(FIRST, Some("pay"));
    assert_eq!(mailbox.answer(FIRST, &Waker::from(woken.clone())), None);
    mailbox.post(answer(Addressee::Named("pay".into()), "1")).unwrap();
    assert!(woken.0.load(Ordering::SeqCst));
    assert_eq!(given(&mailbox, FIRST).as_deref(), Some("1"));
}

#[test]
fn dropped_wait_leaves_no_waker_in_the_mailbox() {
    let woken = Arc::new(Woken::default());
    let mailbox = Mailbox::new(Vec::new(), &HashSet::new());
    let waker = Waker::from(woken.clone());
    mailbox.listen(FIRST, Some("pay"));
    assert_eq!((mailbox.answer(FIRST, &waker), mailbox.take_signal("paid", &waker)), (None, None));
    assert_eq!(Arc::strong_count(&woken), 4);
    mailbox.forget(&waker);
    mailbox.leave(FIRST);
    drop(waker);
    assert_eq!(Arc::strong_count(&woken), 1);
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}
