//! What the code being polled on this thread belongs to. Owns the thread-local that the driver sets around each poll,
//! so that calls find their execution without a parameter. Must not know what they do with it.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::SetOnce;

use crate::clock::Clock;
use crate::context::Context;
use crate::director::Direction;
use crate::error::{Error, Kind, cannot};
use crate::runtime::lock;
use crate::shown::short;
use crate::value::{Key, digest_parts};

thread_local! {
    static AMBIENT: RefCell<Ambient> = const { RefCell::new(Ambient::Outside) };
}

/// Where code runs.
#[derive(Clone, Default)]
pub(crate) enum Ambient {
    /// Outside a flow.
    #[default]
    Outside,
    /// In a flow's own code.
    Flow(Arc<Context>),
    /// In a checkpoint's body, or where checkpoints are plain functions.
    Body(Arc<BodyScope>),
}

/// What a body knows of itself.
pub(crate) struct BodyScope {
    pub(crate) clock: Clock,
    pub(crate) direction: Direction,
    /// Identifies the call: the same on every attempt and try.
    identity: Key,
    /// An earlier attempt may have begun the body without recording its outcome.
    may_have_run: AtomicBool,
    /// The number of calls per key that the current try has made.
    made: Mutex<HashMap<Key, u32>>,
    /// Set when the current try is cancelled. `None` until the body asks for it.
    cancelled: Mutex<Option<Arc<SetOnce<()>>>>,
    /// The body that this one is part of. Both are cancelled together.
    outer: Option<Arc<BodyScope>>,
    /// The attempt that it is part of; none where checkpoints are plain functions.
    context: Weak<Context>,
    /// Its metadata, as JSON.
    notes: Mutex<BTreeMap<String, String>>,
}

/// The bound on the metadata of a body.
pub(crate) const MOST_NOTES_BYTES: usize = 64 << 10;

impl Ambient {
    /// A thread that ends is outside: its log may ask after its locals are gone.
    pub(crate) fn current() -> Ambient {
        AMBIENT.try_with(|ambient| ambient.borrow().clone()).unwrap_or_default()
    }

    /// Looks at it without cloning.
    pub(crate) fn with<R>(look: impl FnOnce(&Ambient) -> R) -> R {
        AMBIENT.with_borrow(look)
    }

    /// Makes this the ambient of the thread until the guard is dropped.
    pub(crate) fn enter(self) -> AmbientGuard {
        AmbientGuard(AMBIENT.replace(self))
    }
}

/// The flow in whose own code this is called, or `None` in a checkpoint's body.
///
/// # Panics
///
/// If no flow is in scope.
pub(crate) fn flow_or_body(function: &str) -> Option<Arc<Context>> {
    match Ambient::current() {
        Ambient::Flow(context) => Some(context),
        Ambient::Body(_) => None,
        Ambient::Outside => panic!(
            "cannot call kitaru::{function}(): no flow is in scope; call it in a flow or in a checkpoint's body, and \
             spawn with kitaru::spawn"
        ),
    }
}

/// Restores the previous ambient.
pub(crate) struct AmbientGuard(Ambient);

impl Drop for AmbientGuard {
    fn drop(&mut self) {
        // Dropped outside the borrow: a context that is dropped with it may look at the ambient.
        let _left = AMBIENT.replace(std::mem::take(&mut self.0));
    }
}

impl BodyScope {
    /// Where checkpoints are plain functions.
    #[cfg(feature = "testkit")]
    pub(crate) fn plain(clock: Clock, identity: Key) -> Arc<Self> {
        Self::within(clock, Direction::default(), identity, None, Weak::new())
    }

    pub(crate) fn of_call(context: &Arc<Context>, identity: Key) -> Arc<Self> {
        let runtime = &context.runtime;
        Self::within(runtime.clock.clone(), runtime.direction.clone(), identity, None, Arc::downgrade(context))
    }

    fn within(
        clock: Clock,
        direction: Direction,
        identity: Key,
        outer: Option<Arc<BodyScope>>,
        context: Weak<Context>,
    ) -> Arc<Self> {
        let (made, cancelled, notes) = (Mutex::default(), Mutex::default(), Mutex::default());
        let may_have_run = AtomicBool::new(outer.as_ref().is_some_and(|outer| outer.may_have_run()));
        Arc::new(BodyScope { clock, direction, identity, may_have_run, made, cancelled, outer, context, notes })
    }

    /// The attempt that the body is part of, if there is one.
    pub(crate) fn context(&self) -> Option<Arc<Context>> {
        self.context.upgrade()
    }

    /// Whether it is the body of a checkpoint that was called in another body.
    #[cfg(feature = "testkit")]
    pub(crate) fn is_part(&self) -> bool {
        self.outer.is_some()
    }

    /// Adds metadata to the record of the body, or of the outer body.
    pub(crate) fn log(&self, key: &str, json: String) -> Result<(), Error> {
        if let Some(outer) = &self.outer {
            return outer.log(key, json);
        }
        let mut notes = lock(&self.notes);
        let others = notes.iter().filter(|(known, _)| *known != key).map(|(key, json)| key.len() + json.len() + 6);
        let size = others.sum::<usize>() + key.len() + json.len() + 6;
        if size > MOST_NOTES_BYTES {
            return Err({
                let key = short(key);
                cannot!(
                    Kind::TooLarge,
                    "log `{key}`",
                    "the record would have {size} bytes of metadata, the bound is {MOST_NOTES_BYTES}",
                    "log where the data is"
                )
            });
        }
        notes.insert(key.to_owned(), json);
        Ok(())
    }

    /// The metadata under a key, as JSON.
    pub(crate) fn logged(&self, key: &str) -> Option<String> {
        match &self.outer {
            Some(outer) => outer.logged(key),
            None => lock(&self.notes).get(key).cloned(),
        }
    }

    /// The metadata, as a JSON object. Empty if there is none.
    pub(crate) fn metadata(&self) -> String {
        let notes = lock(&self.notes);
        if notes.is_empty() {
            return String::new();
        }
        // A key has no control characters. serde_json escapes everything else.
        let fields = notes.iter().map(|(key, json)| format!("{}:{json}", serde_json::Value::from(key.as_str())));
        format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
    }

    /// Set when the current try is cancelled.
    pub(crate) fn cancellation(&self) -> Arc<SetOnce<()>> {
        match &self.outer {
            Some(outer) => outer.cancellation(),
            None => lock(&self.cancelled).get_or_insert_default().clone(),
        }
    }

    /// Cancels the current try.
    pub(crate) fn cancel(&self) {
        let cancelled = lock(&self.cancelled).take();
        cancelled.into_iter().for_each(|cancelled| drop(cancelled.set(())));
    }

    /// A try begins. It makes its calls again, and each has the identity that it had in the try before.
    pub(crate) fn begin_try(&self) {
        lock(&self.made).clear();
    }

    /// The scope of a checkpoint that is called within this body.
    pub(crate) fn nested(self: &Arc<Self>, key: Key) -> Arc<Self> {
        let occurrence = {
            let mut made = lock(&self.made);
            let made = made.entry(key).or_default();
            *made += 1;
            *made
        };
        let identity = digest_parts(&[&self.identity.0, &key.0, &occurrence.to_le_bytes()]);
        let direction = self.direction.clone();
        Self::within(self.clock.clone(), direction, identity, Some(self.clone()), self.context.clone())
    }

    pub(crate) fn set_may_have_run(&self) {
        self.may_have_run.store(true, Ordering::Relaxed);
    }

    pub(crate) fn may_have_run(&self) -> bool {
        self.may_have_run.load(Ordering::Relaxed)
    }

    pub(crate) fn idempotency_key(&self) -> String {
        self.identity.hex()
    }
}
