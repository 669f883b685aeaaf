//! Answers and signals that programs send to executions. Owns what the sender sees of them; must not know how they are
//! delivered.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;

use crate::client::kitaru::Kitaru;
use crate::engine::{AnswerToSend, Engine};
use crate::error::Error;
use crate::id::{Actor, ExecutionId, check_name};
use crate::view::{ExecutionRef, OpenWait};

impl Kitaru {
    /// Answers a wait of an execution, by its visible name: `approval`, `approval_2`. The answer is durable when this returns,
    /// and the flow resumes with it.
    ///
    /// The answer is for the wait that is open under this name, and for no later one. An early answer is kept for the first
    /// wait that opens under the name, in this generation or in its continuations. If it does not fit,
    /// [`Execution::waits`](crate::Execution::waits) shows it, and the wait stays open for another. A
    /// [`Resolution`](crate::Resolution) of an interrupted body is accepted only once the wait for it is open.
    ///
    /// # Errors
    ///
    /// [Unreadable](Error::is_unreadable) if an open wait takes another type: nothing has happened, and the wait is still open.
    /// Also when the execution does not exist or has ended; when the wait has been answered or is over; when the name is that
    /// of a checkpoint, not of an open wait; when two waits of an earlier version have the name; when the answer cannot be
    /// serialized or exceeds the bound of an outcome; when the store fails.
    ///
    /// # Cancel safety
    ///
    /// Once polled, the answer may be given, whether or not the future is polled to its end.
    ///
    /// # Examples
    ///
    /// See [`wait`](crate::wait).
    pub fn answer<T: Serialize + ?Sized>(
        &self,
        execution: impl Into<ExecutionRef>,
        wait: &str,
        answer: &T,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let checked = execution.into().checked().and_then(|execution| {
            check_name("wait", wait)?;
            let json = self.inner.json("answer", answer)?;
            Ok(AnswerToSend { message: self.inner.message(execution, wait, json, self.by.clone()), wait: None })
        });
        let engine = self.inner.clone();
        async move { engine.answer(checked?).await }
    }

    /// Answers a wait that was read from an [`Execution`](crate::Execution): this wait and no other, even if the execution has
    /// moved since. [`answer`](Self::answer) uses the name alone.
    ///
    /// # Errors
    ///
    /// As [`answer`](Self::answer), and when the execution has continued in another generation, which has other waits.
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
    /// # while kitaru.execution(("order", "job-42")).await?.unwrap().waits().is_empty() { tokio::task::yield_now().await }
    /// let execution = kitaru.execution(("order", "job-42")).await?.unwrap();
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
        let by = self.by.clone();
        let answer =
            json.map(|json| AnswerToSend { message: self.inner.message(execution, &name, json, by), wait: identity });
        let engine = self.inner.clone();
        async move { engine.answer(answer?).await }
    }

    /// Sends a signal to an execution. Its flow takes signals of one name in the order in which they were sent, with
    /// [`signal`](crate::signal()). Once this returns, the signal is durable: a crash neither loses nor repeats it.
    ///
    /// # Errors
    ///
    /// When the execution does not exist or has ended; when the signal cannot be serialized or exceeds the bound of an outcome;
    /// when the store fails.
    ///
    /// # Cancel safety
    ///
    /// Once polled, the signal may be sent, whether or not the future is polled to its end. To be sure, send it again with the
    /// same [key](SignalRequest::key).
    ///
    /// # Examples
    ///
    /// See [`signal`](crate::signal()).
    pub fn signal<T: Serialize + ?Sized>(
        &self,
        execution: impl Into<ExecutionRef>,
        signal: &str,
        value: &T,
    ) -> SignalRequest {
        let checked = execution.into().checked().and_then(|execution| {
            check_name("signal", signal)?;
            Ok((execution, self.inner.json("signal", value)?))
        });
        let (engine, by) = (self.inner.clone(), self.by.clone());
        SignalRequest { engine, checked, signal: signal.to_owned(), key: None, by }
    }
}

/// A signal on its way to an execution. Awaited, it gives `Result<(), Error>`. See [`Kitaru::signal`].
#[must_use = "a signal is sent only if this is awaited"]
pub struct SignalRequest {
    engine: Arc<Engine>,
    checked: Result<(ExecutionId, String), Error>,
    signal: String,
    key: Option<String>,
    by: Option<Actor>,
}

impl SignalRequest {
    /// An idempotency key. Of the signals with one name and one key that an execution receives, in all its continuations, only
    /// the first counts. The others have no effect and are not an error.
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
            let SignalRequest { engine, checked, signal, key, by } = self;
            let (execution, json) = checked?;
            let message = engine.message(execution, &signal, json, by);
            engine.signal(message, key).await
        })
    }
}

impl fmt::Debug for SignalRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalRequest").field("signal", &self.signal).field("key", &self.key).finish_non_exhaustive()
    }
}
