//! The window of a map, without a flow.

use std::future::{pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use super::*;

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[test]
fn only_woken_items_are_polled_the_lowest_first() {
    let (polls, path, wakers) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let begin = |n: usize| {
        let mut begun = false;
        let (polls, path, wakers) = (&polls, &path, &wakers);
        poll_fn(move |cx| {
            polls.fetch_add(1, Ordering::SeqCst);
            if std::mem::replace(&mut begun, true) {
                path.lock().unwrap().push(n);
                return Poll::Ready(n);
            }
            wakers.lock().unwrap().push(cx.waker().clone());
            Poll::Pending
        })
    };
    let mut map = pin!(super::map(0..1_000).all().run(begin));
    assert!(map.as_mut().poll(&mut cx()).is_pending());
    for woken in [[7, 3, 500], [999, 8, 600]] {
        woken.into_iter().for_each(|n: usize| wakers.lock().unwrap()[n].wake_by_ref());
        assert!(map.as_mut().poll(&mut cx()).is_pending());
    }
    assert!(map.as_mut().poll(&mut cx()).is_pending());
    assert_eq!(*path.lock().unwrap(), [3, 7, 500, 8, 600, 999]);
    assert_eq!(polls.load(Ordering::SeqCst), 1_006);
}

#[test]
fn first_items_begin_with_the_map_and_the_next_ones_as_others_end() {
    let begun = Mutex::new(Vec::new());
    let last = || begun.lock().unwrap().last().copied();
    let begin = |n: u32| {
        begun.lock().unwrap().push(n);
        async move {
            if n == 5 {
                pending::<()>().await;
            }
        }
    };
    let mut map = super::map(0..9).limit(4).all().run(begin);
    assert_eq!(last(), Some(3), "before it is polled");
    assert!(Pin::new(&mut map).poll(&mut cx()).is_pending());
    assert_eq!(last(), Some(8), "all but one are done");
}

#[test]
fn poller_of_a_map_is_woken_with_its_items() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let item = Mutex::new(None);
    let begin = |_| {
        let item = &item;
        poll_fn(move |cx| {
            *item.lock().unwrap() = Some(cx.waker().clone());
            Poll::<()>::Pending
        })
    };
    let mut map = pin!(super::map([0]).all().run(begin));
    let pollers = [Arc::new(Count(AtomicUsize::new(0))), Arc::new(Count(AtomicUsize::new(0)))];
    for poller in &pollers {
        let waker = Waker::from(poller.clone());
        assert!(map.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    item.lock().unwrap().take().unwrap().wake();
    assert_eq!(pollers.map(|poller| poller.0.load(Ordering::SeqCst)), [0, 1], "the last one that polled it");
}

#[test]
fn running_items_are_dropped_when_a_map_ends() {
    let runs = Arc::new(());
    let begin = |n: u32| {
        let runs = runs.clone();
        async move {
            if n < 3 {
                pending::<()>().await;
            }
            drop(runs);
            Err::<(), _>(n)
        }
    };
    let mut map = super::map(0..9).limit(4).run(begin);
    assert_eq!(Pin::new(&mut map).poll(&mut cx()), Poll::Ready(Err(3)));
    assert_eq!(Arc::strong_count(&runs), 1, "none of the others is there");
    assert!(catch_unwind(AssertUnwindSafe(|| Pin::new(&mut map).poll(&mut cx()))).is_err(), "it has answered");
}

#[test]
fn items_that_are_ready_immediately_take_one_poll_and_no_stack() {
    let mut map = super::map(0..100_000).limit(1).run(|n| ready(Ok::<_, ()>(n)));
    let Poll::Ready(Ok(values)) = Pin::new(&mut map).poll(&mut cx()) else { panic!("it is done") };
    assert!(values.into_iter().eq(0..100_000));
}
