//! Questions that a flow asks people or other programs. Owns the wait for an answer and the check that it fits; must
//! not know how it is given.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::body::{self, Body, MoreTries, Site, sealed};
use crate::call::bounds::Answer;
use crate::call::made::Call;
use crate::call::meta::{CheckpointMeta, Spec};
use crate::call::outcome::{Landing, Packing, Unpack};
use crate::call::question::Asking;
use crate::clock;
use crate::context::{Ambient, Context};
use crate::error::{Error, Kind, cannot};
use crate::journal::Packed;
use crate::journal::{About, Asks, Opening, Payload, asked_text};
use crate::ledger::{Change, Question};
use crate::machine::Due;
use crate::shown::short;
use crate::value::{ArgSink, Key, Sensitivity};

/// Waits for an answer, which [`Kitaru::answer`](crate::Kitaru::answer) gives under this name. The second wait of one
/// name in an execution is `approval_2`, or the next number that no other call has. A flow that only waits is parked
/// meanwhile.
///
/// A type of your own derives `schemars::JsonSchema`, of the crate `schemars` 1, in addition to serde's `Deserialize`.
/// [`Execution::waits`](crate::Execution::waits) shows the JSON schema of the answer, the [question](Wait::question)
/// and its [metadata](Wait::metadata). An answer that is not a `T` is refused, and the wait stays open.
///
/// # Errors
///
/// A [timeout](Error::is_timeout), if there was no answer before the [deadline](Wait::deadline). Without a deadline
/// there is no error.
///
/// # Panics
///
/// Outside a flow's own code.
///
/// # Cancel safety
///
/// Dropping it ends the wait, which then has no outcome. Its name stays taken, and its answer stays with it.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
/// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
/// # let order = kitaru::dynamic::flow("order").run(|| async {
/// let approved = kitaru::wait::<bool>("approval").question("Pay 100 € to ACME?").await?;
/// # Ok::<bool, kitaru::Error>(approved) });
/// # let handle = order.id("job-42").on(&kitaru).start().await?;
/// // From outside:
/// kitaru.answer(("order", "job-42"), "approval", &true).await?;
/// assert!(handle.await?);
/// # Ok(()) }
/// ```
pub fn wait<T: Answer>(name: impl Into<String>) -> Wait<T> {
    refuse_outside("wait");
    const META: CheckpointMeta = CheckpointMeta::dynamic().wait();
    let name = name.into();
    let spec = Spec::own("kitaru::wait".into(), "".into(), META);
    let asked = WaitOptions {
        name: name.clone(),
        question: String::new(),
        metadata: serde_json::Map::new(),
        deadline: None,
        due_ms: 0,
        open: None,
        result: PhantomData,
    };
    Wait { call: Call::new(spec, asked).named(name), refused: None }
}

/// A durable wait for an answer. Made by [`wait`].
#[must_use = "a flow waits only if this is awaited"]
pub struct Wait<T: Answer> {
    call: Call<WaitOptions<T>>,
    refused: Option<Error>,
}

impl<T: Answer> Wait<T> {
    /// The question that people see.
    pub fn question(mut self, question: impl Into<String>) -> Self {
        self.call.body_mut().question = question.into();
        self
    }

    /// Shows this together with the question.
    pub fn metadata<V: Serialize + ?Sized>(mut self, key: impl Into<String>, value: &V) -> Self {
        let key = key.into();
        match serde_json::to_value(crate::value::shallow(value)) {
            Ok(value) => drop(self.call.body_mut().metadata.insert(key, value)),
            Err(why) => {
                let key = short(&key);
                self.refused.get_or_insert(cannot!(
                    Kind::Misuse,
                    "show the metadata `{key}` of a wait",
                    "it cannot be serialized: {why}",
                    "serialize it as another type"
                ));
            }
        }
        self
    }

    /// Waits for no longer than this. The time begins with the wait, is recorded, and continues across restarts.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        if deadline.is_zero() {
            self.refused.get_or_insert(cannot!(
                Kind::Misuse,
                "wait for an answer",
                "the deadline is zero",
                "set a longer one"
            ));
        }
        self.call.body_mut().deadline = Some(deadline);
        self
    }
}

impl<T: Answer> Future for Wait<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        if let Some(error) = self.refused.take() {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.call).poll(cx).map(|received| received.map(|received| received.value))
    }
}

impl<T: Answer> fmt::Debug for Wait<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wait")
    }
}

/// What a [`WaitBody`] waits with.
pub(crate) struct WaitOptions<T> {
    name: String,
    question: String,
    metadata: serde_json::Map<String, serde_json::Value>,
    deadline: Option<Duration>,
    due_ms: u64,
    open: Option<Open>,
    result: PhantomData<fn() -> T>,
}

struct Open {
    context: Arc<Context>,
    /// The visible name.
    name: String,
    /// What identifies it. Its name does not.
    wait: Key,
    deadline: Option<clock::WaitUntil>,
}

impl Open {
    fn asking(&self) -> Asking<'_> {
        let asks = Asks { wait: self.wait, about: About::Anything };
        Asking { context: &self.context, name: &self.name, asks, sensitivity: Sensitivity::Shown }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.context.mailbox.leave(self.wait);
    }
}

impl<T: JsonSchema> WaitOptions<T> {
    fn question(&self) -> Question {
        Question {
            text: self.question.clone(),
            schema: serde_json::to_string(&schemars::schema_for!(T)).unwrap_or_default(),
            metadata: self.metadata(),
            due_ms: self.due_ms,
        }
    }
}

impl<T> WaitOptions<T> {
    /// A JSON object.
    fn metadata(&self) -> String {
        serde_json::to_string(&self.metadata).unwrap_or_default()
    }
}

impl<T: Answer> WaitOptions<T> {
    /// An answer that fits. An answer that does not fit is refused, and shown.
    fn answered(&self, cx: &mut TaskContext<'_>) -> Option<Received<T>> {
        let asking = self.open.as_ref().expect("a wait is polled after it was opened").asking();
        let (mailbox, wait) = (&asking.context.mailbox, asking.asks.wait);
        loop {
            let (why, json) = match Received::read(mailbox.answer(wait, cx.waker())?) {
                Ok(received) => {
                    mailbox.judge(wait, Ok(()));
                    return Some(received);
                }
                Err(unfit) => unfit,
            };
            asking.refuse(self.question(), &why, &json);
        }
    }
}

impl<T> sealed::Sealed for WaitOptions<T> {}

#[allow(private_interfaces)]
impl<T: Answer> Body for WaitOptions<T> {
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
        if let Some(received) = self.answered(cx) {
            return Poll::Ready(Ok(received));
        }
        let open = self.open.as_mut().expect("a wait is polled after it was opened");
        let is_over = open.deadline.as_mut().is_some_and(|deadline| Pin::new(deadline).poll(cx).is_ready());
        if !is_over {
            return Poll::Pending;
        }
        let asking = self.open.as_ref().expect("a wait is polled after it was opened").asking();
        let Asking { context, name, .. } = asking;
        context.send_aside(vec![asking.is_over(self.question())]);
        let (name, execution) = (short(name), &context.attempt.execution);
        Poll::Ready(Err(cannot!(
            Kind::TimedOut,
            "finish the wait `{name}` of execution {execution}",
            "no answer arrived in time",
            "set a longer deadline"
        )))
    }

    fn end(&mut self) {
        self.open = None;
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
impl<T: Answer> body::WaitBody for WaitOptions<T> {
    fn opening(&mut self, site: &Site<'_>) -> Option<(Opening, Vec<Change>)> {
        self.due_ms = self.deadline.map_or(0, |deadline| site.context.runtime.clock.due_ms(deadline));
        let asks = Asks { wait: site.identity, about: About::Anything };
        let asking = Asking { context: site.context, name: site.name, asks, sensitivity: Sensitivity::Shown };
        Some((Opening::Answer { due_ms: self.due_ms }, vec![asking.asks(self.question())]))
    }

    fn open(&mut self, site: &Site<'_>, recorded: Option<Opening>) -> Due {
        if let Some(Opening::Answer { due_ms }) = recorded {
            self.due_ms = due_ms;
        }
        let clock = &site.context.runtime.clock;
        let deadline = (self.due_ms > 0).then(|| clock.until(self.due_ms));
        crate::log::asks(&site.context.attempt, site.name, &self.question);
        let mailbox = &site.context.mailbox;
        mailbox.asks(site.identity, || asked_text(&self.question, &self.metadata()));
        mailbox.listen(site.identity, Some(site.name));
        let (context, name) = (site.context.clone(), site.name.to_owned());
        self.open = Some(Open { context, name, wait: site.identity, deadline });
        if self.due_ms > 0 { Due::At(self.due_ms) } else { Due::Never }
    }
}

/// # Panics
///
/// Outside a flow's own code.
pub(super) fn refuse_outside(function: &str) {
    Ambient::with(|ambient| match ambient {
        Ambient::Flow(_) => {}
        Ambient::Body(_) | Ambient::Outside => panic!(
            "cannot call kitaru::{function} outside a flow's own code: nothing could be recorded; wait in the flow"
        ),
    });
}

/// A value from outside, and the JSON that it came as, which is what is recorded.
pub(crate) struct Received<T> {
    pub(crate) value: T,
    json: String,
}

impl<T: DeserializeOwned> Received<T> {
    /// Returns why the JSON cannot be read, and the JSON.
    pub(crate) fn read(json: String) -> Result<Self, (String, String)> {
        match serde_json::from_str(&json) {
            Ok(value) => Ok(Received { value, json }),
            Err(why) => Err((why.to_string(), json)),
        }
    }
}

/// How a value from outside is recorded.
pub(super) mod received {
    use super::*;
    use crate::call::outcome::unpack_error;
    use crate::journal::Class;
    use crate::value::{Codec, DecodeError};

    pub(crate) fn pack<T>(value: Result<Received<T>, Error>) -> Landing<Result<Received<T>, Error>> {
        let packed = match &value {
            Ok(received) => Packed {
                class: Class::Value,
                codec: Codec::Json,
                fingerprint: 0,
                text: None,
                bytes: received.json.clone().into_bytes(),
                preview: crate::value::clip(&received.json),
                settled: false,
            },
            Err(error) => Packed::error(error),
        };
        Landing { packed, value: Ok(value) }
    }

    pub(crate) fn unpack<T: DeserializeOwned>(payload: &Payload<'_>) -> Result<Result<Received<T>, Error>, Unpack> {
        if payload.class != Class::Value {
            return unpack_error(payload).map(Err);
        }
        let json = String::from_utf8_lossy(payload.bytes).into_owned();
        Received::read(json).map(Ok).map_err(|(why, _)| Unpack::Unreadable(DecodeError::Malformed(why)))
    }
}
