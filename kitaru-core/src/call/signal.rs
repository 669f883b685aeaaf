//! Signals that an execution receives, one after another. Owns the wait for the next one; must not know how it is sent.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use serde::de::DeserializeOwned;

use crate::call::body::{self, Body, MoreTries, Site, sealed};
use crate::call::made::Call;
use crate::call::meta::{CheckpointMeta, Spec};
use crate::call::outcome::{Landing, Packing, Unpack};
use crate::call::wait::{Received, received, refuse_outside};
use crate::context::Context;
use crate::error::{Error, Kind, cannot};
use crate::journal::Packed;
use crate::journal::{Opening, Payload, SIGNAL_CHECKPOINT};
use crate::ledger::Change;
use crate::machine::Due;
use crate::shown::short;
use crate::value::ArgSink;
use crate::value::clip;

/// The next signal of this name that is sent to the execution with [`Kitaru::signal`](crate::Kitaru::signal). Signals
/// are taken in the order in which they were sent, earlier ones included. A flow that only waits is parked until a
/// signal arrives.
///
/// A signal is taken when the flow receives it. If a call is dropped before that, because another branch of a
/// [`race`](crate::race()) won, the next call gets its signal.
///
/// # Errors
///
/// [Unreadable](Error::is_unreadable), if the signal is not a `T`. The signal counts as taken; the flow decides what to
/// do.
///
/// # Panics
///
/// Outside a flow's own code.
///
/// # Cancel safety
///
/// Dropping it loses no signal. Its name stays taken.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
/// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
/// # let order = kitaru::dynamic::flow("order").run(|| async {
/// let amount = kitaru::signal::<u64>("paid").await?;
/// # Ok::<u64, kitaru::Error>(amount) });
/// # let handle = order.id("job-42").on(&kitaru).start().await?;
/// // From outside:
/// kitaru.signal(("order", "job-42"), "paid", &100).key("payment-7").await?;
/// assert_eq!(handle.await?, 100);
/// # Ok(()) }
/// ```
pub fn signal<T: DeserializeOwned>(name: impl Into<String>) -> Signal<T> {
    refuse_outside("signal");
    const META: CheckpointMeta = CheckpointMeta::dynamic().wait();
    let name = name.into();
    let spec = Spec::own(SIGNAL_CHECKPOINT.into(), "".into(), META);
    let body = SignalOptions { name: name.clone(), context: None, taken: None, result: PhantomData };
    Signal { call: Call::new(spec, body).named(name) }
}

/// A durable wait for the next signal of a name. Made by [`signal`].
#[must_use = "a flow takes a signal only if this is awaited"]
pub struct Signal<T: DeserializeOwned> {
    call: Call<SignalOptions<T>>,
}

impl<T: DeserializeOwned> Signal<T> {
    /// Shows its record under this name, numbered as names are, in place of the signal's.
    pub fn named(self, name: impl Into<String>) -> Self {
        Signal { call: self.call.named(name) }
    }
}

impl<T: DeserializeOwned> Future for Signal<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.call).poll(cx).map(|received| received.map(|received| received.value))
    }
}

impl<T: DeserializeOwned> fmt::Debug for Signal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signal")
    }
}

/// What a [`Signal`] waits with.
pub(crate) struct SignalOptions<T> {
    name: String,
    context: Option<Arc<Context>>,
    taken: Option<u64>,
    result: PhantomData<fn() -> T>,
}

impl<T> sealed::Sealed for SignalOptions<T> {}

#[allow(private_interfaces)]
impl<T: DeserializeOwned> Body for SignalOptions<T> {
    type Output = Result<Received<T>, Error>;

    fn describe(&self, sink: &mut ArgSink<'_>) {
        sink.arg("name", &self.name);
    }

    fn as_wait(&mut self) -> Option<&mut dyn body::WaitBody> {
        Some(self)
    }

    fn begin(&mut self, _: MoreTries) -> bool {
        true
    }

    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let context = self.context.as_ref().expect("a wait is polled after it was opened");
        let Some((number, json)) = context.mailbox.take_signal(&self.name, cx.waker()) else { return Poll::Pending };
        self.taken = Some(number);
        Poll::Ready(Received::read(json).map_err(|(why, json)| {
            let json = crate::value::clip(&json);
            {
                let (name, json) = (short(&self.name), clip(&json));
                cannot!(
                    Kind::Unreadable,
                    "read the signal `{name}`",
                    "{json} is not what the flow takes: {why}",
                    "send what it takes"
                )
            }
        }))
    }

    fn end(&mut self) {
        self.context = None;
    }

    fn pack(value: Self::Output, _: &Packing) -> Landing<Self::Output> {
        received::pack(value)
    }

    fn pack_error(error: Error) -> Landing<Self::Output> {
        Landing { packed: Packed::error(&error), value: Ok(Err(error)) }
    }

    fn unpack(payload: &Payload<'_>) -> Result<Self::Output, Unpack> {
        received::unpack(payload)
    }

    fn fail(error: Error) -> Result<Self::Output, Error> {
        Ok(Err(error))
    }

    fn failure(value: &Self::Output) -> Option<Error> {
        value.as_ref().err().cloned()
    }
}

#[allow(private_interfaces)]
impl<T: DeserializeOwned> body::WaitBody for SignalOptions<T> {
    fn opening(&mut self, site: &Site<'_>) -> Option<(Opening, Vec<Change>)> {
        // A signal that is there already is taken without a record of the wait.
        (!site.context.mailbox.has_signal(&self.name)).then(|| (Opening::Signal, Vec::new()))
    }

    fn open(&mut self, site: &Site<'_>, _: Option<Opening>) -> Due {
        self.context = Some(site.context.clone());
        Due::Never
    }

    fn message(&self) -> Option<u64> {
        self.taken
    }
}
