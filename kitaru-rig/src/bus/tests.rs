//! Which run serves, and which runs are woken.

use std::future::pending;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::channel::oneshot;
use rig_core::effect::{EffectKind, FamilyDescriptor, HandlerDescriptor, HandlerKey, Outcome, family};
use rig_core::serve::{Dispatch, Reply, Serve};

use super::*;

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Woken {
    fn times(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn poll<F: Future + Unpin>(future: &mut F, woken: &Arc<Woken>) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(&Waker::from(woken.clone())))
}

/// Answers on request of the test.
struct Slow(Mutex<Option<oneshot::Receiver<()>>>);

impl Serve for Slow {
    type Family = family::Dynamic;

    fn descriptor(&self) -> HandlerDescriptor {
        let family = FamilyDescriptor::Custom { kind: "slow".to_owned() };
        HandlerDescriptor { key: HandlerKey::from("slow"), family, layers: Vec::new() }
    }

    async fn serve(&self, _: EffectKind, _: Dispatch) -> Reply {
        let told = self.0.lock().unwrap().take().expect("it is asked once");
        let _ = told.await;
        Reply::Outcome(Ok(Outcome::Custom { payload: serde_json::Value::Null }))
    }
}

#[test]
fn run_that_finds_the_driver_taken_does_not_look_quiescent() {
    let (_dispatcher, _registrar, driver) = rig_agent::bus::Bus::channel();
    let (bus, woken) = (Bus::new(driver), Arc::new(Woken::default()));
    let mut run = pin!(bus.drive(pending::<()>()));
    assert!(poll(&mut run, &woken).is_pending());
    assert_eq!(woken.times(), 0, "it has the driver, and nothing to do");

    let taken = bus.driver.lock().unwrap();
    assert!(poll(&mut run, &woken).is_pending());
    assert_eq!(woken.times(), 1);
    drop(taken);
    assert!(poll(&mut run, &woken).is_pending());
    assert_eq!(woken.times(), 1);
}

#[test]
fn answer_wakes_its_run_although_another_run_polled_the_driver_last() {
    let (dispatcher, registrar, driver) = rig_agent::bus::Bus::channel();
    let (tell, told) = oneshot::channel();
    registrar.register("slow", Slow(Mutex::new(Some(told)))).unwrap();
    let bus = Bus::new(driver);
    let kind = EffectKind::Custom { kind: "slow".into(), payload: serde_json::Value::Null };
    let mut asks = pin!(bus.drive(dispatcher.dispatch(&HandlerKey::from("slow"), kind)));
    let mut first = Box::pin(bus.drive(pending::<()>()));
    let [asking, idle] = [Arc::new(Woken::default()), Arc::new(Woken::default())];
    assert!(poll(&mut first, &idle).is_pending());
    assert!(poll(&mut asks, &asking).is_pending());
    assert!(poll(&mut first, &idle).is_pending());

    let before = (asking.times(), idle.times());
    tell.send(()).unwrap();
    assert_eq!((asking.times(), idle.times()), (before.0 + 1, before.1 + 1));
    drop(first);
    assert!(poll(&mut asks, &asking).is_ready(), "the run that went away has served once more");
}
