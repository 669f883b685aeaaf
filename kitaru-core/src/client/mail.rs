//! What is sent to executions from outside: answers and signals. Owns that it is durable before it is handed on, and that
//! whoever waits for it hears of it; must not know what becomes of it in the flow.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;

use crate::client::{Kitaru, OpenWait, Target};
use crate::engine::{Answer, Engine};
use crate::error::Error;
use crate::id::{ExecutionId, check_name};

impl Kitaru {
    /// Answers a wait of an execution, by its visible name: `approval`, `approval_2`. It is durable when this returns, and
    /// the flow goes on with it, wherever it stopped.
    ///
    /// It is the answer to the wait that is open under that name, and to no later one. An answer may come before its wait: it
    /// is kept for the first wait that opens under the name in this generation, or in those that follow it as continuations. One
    /// that does not fit then is shown in [`Execution::waits`](crate::Execution::waits), and the wait stays open for another.
    /// What became of a body that was cut off ([`Resolution`](crate::Resolution)) can be said only once it is asked.
    ///
    /// # Errors
    ///
    /// [Unreadable](Error::is_unreadable), when an open wait takes something else: nothing has happened, and it is still
    /// open. When there is no such execution, it has ended, or the wait has been answered or is over; when the name is that
    /// of a checkpoint which is no open wait; when two waits that an earlier version has begun go by it; when the answer cannot
    /// be serialized or is over the bound of an outcome; when the store fails.
    ///
    /// # Cancel safety
    ///
    /// Once polled the answer may be given, whether or not the future is polled to its end.
    ///
    /// # Examples
    ///
    /// See [`wait`](crate::wait).
    pub fn answer<T: Serialize + ?Sized>(
        &self,
        execution: &(impl Target + ?Sized),
        wait: &str,
        answer: &T,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let (flow, id) = execution.target();
        let checked = ExecutionId::new(flow, id).and_then(|execution| {
            check_name("wait", wait)?;
            let json = self.inner.json("answer", answer)?;
            Ok(Answer { letter: self.inner.letter(execution, wait, json), wait: None })
        });
        let inner = self.inner.clone();
        async move { inner.answer(checked?).await }
    }

    /// Answers a wait that somebody has looked at: this one and no other, whatever has become of its execution since. As
    /// [`answer`](Self::answer), which goes by the name alone.
    ///
    /// # Errors
    ///
    /// As [`answer`](Self::answer), and when the execution has gone on in another generation, whose waits are others.
    ///
    /// # Cancel safety
    ///
    /// As [`answer`](Self::answer).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> Result<(), kitaru_core::Error> {
    /// # let kitaru = kitaru_core::Kitaru::builder().in_memory().open().await?;
    /// # let order = kitaru_core::dynamic::flow("order").run(|| async {
    /// #     kitaru_core::wait::<bool>("approval").question("Pay 100 € to ACME?").await });
    /// # let handle = order.id("job-42").on(&kitaru).start().await?;
    /// # while kitaru.execution("order", "job-42").await?.unwrap().waits().is_empty() { tokio::task::yield_now().await }
    /// let execution = kitaru.execution("order", "job-42").await?.unwrap();
    /// let open = &execution.waits()[0];
    /// println!("{}", open.question());
    /// kitaru.answer_wait(open, &true).await?;
    /// # assert!(handle.await?);
    /// # Ok(()) }
    /// ```
    pub fn answer_wait<T: Serialize + ?Sized>(
        &self,
        wait: &OpenWait,
        answer: &T,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let json = self.inner.json("answer", answer);
        let (execution, name, identity) = wait.addressed();
        let answer = json.map(|json| Answer { letter: self.inner.letter(execution, &name, json), wait: identity });
        let inner = self.inner.clone();
        async move { inner.answer(answer?).await }
    }

    /// Sends a signal to an execution, which takes signals of one name in the order in which they were sent, with
    /// [`signal`](crate::signal()). Awaited, it is durable, and neither lost nor seen twice, whatever crashes.
    ///
    /// # Errors
    ///
    /// When there is no such execution, or it has ended; when the signal cannot be serialized or is over the bound of an
    /// outcome; when the store fails.
    ///
    /// # Cancel safety
    ///
    /// Once polled the signal may be sent, whether or not the future is polled to its end. Send it again with the same
    /// [key](SignalRequest::key) to be sure.
    ///
    /// # Examples
    ///
    /// See [`signal`](crate::signal()).
    pub fn signal<T: Serialize + ?Sized>(
        &self,
        execution: &(impl Target + ?Sized),
        signal: &str,
        value: &T,
    ) -> SignalRequest {
        let (flow, id) = execution.target();
        let checked = ExecutionId::new(flow, id).and_then(|execution| {
            check_name("signal", signal)?;
            Ok((execution, self.inner.json("signal", value)?))
        });
        SignalRequest { inner: self.inner.clone(), checked, signal: signal.to_owned(), key: None }
    }
}

/// A signal on its way to an execution; awaited, it gives `Result<(), Error>`. See [`Kitaru::signal`].
#[must_use = "a signal is sent only if this is awaited"]
pub struct SignalRequest {
    inner: Arc<Engine>,
    checked: Result<(ExecutionId, String), Error>,
    signal: String,
    key: Option<String>,
}

impl SignalRequest {
    /// An idempotency key: of the signals of one name that are sent to a generation with the same key, the first counts, and
    /// the others are no error.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

impl IntoFuture for SignalRequest {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let SignalRequest { inner, checked, signal, key } = self;
            let (execution, json) = checked?;
            let letter = inner.letter(execution, &signal, json);
            inner.signal(letter, key).await
        })
    }
}

impl fmt::Debug for SignalRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalRequest").field("signal", &self.signal).field("key", &self.key).finish_non_exhaustive()
    }
}
