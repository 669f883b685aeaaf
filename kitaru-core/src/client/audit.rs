//! Who acts, and who did. Owns how a caller gives its name; must not know where it is kept.

use std::future::Future;

use crate::client::kitaru::Kitaru;
use crate::error::Error;
use crate::id::Actor;
use crate::view::AuditEntry;

impl Kitaru {
    /// A handle whose requests are in the audit under this name: [`answer`](Self::answer), [`signal`](Self::signal),
    /// [`cancel`](Self::cancel), [`resume`](Self::resume), [`fork`](Self::fork), [`delete`](Self::delete), [`gc`](Self::gc). An
    /// entry is durable in the same commit as what it names, but for that of `gc`, which follows its deletions. Requests through
    /// a handle without a name leave no entry.
    ///
    /// The name has 128 bytes at most; the rest of a longer one is cut off.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
    /// # let kitaru = kitaru::Kitaru::builder().in_memory().open().await?;
    /// # let call = kitaru::dynamic::flow("order").run(|| async {
    /// #     kitaru::wait::<bool>("approval").await
    /// # });
    /// let handle = call.id("job-42").on(&kitaru).start().await?;
    /// kitaru.by("Ada").answer(("order", "job-42"), "approval", &true).await?;
    /// handle.await?;
    /// let order = kitaru.execution(("order", "job-42")).await?.expect("it is there");
    /// let entry = &order.audit()[0];
    /// assert_eq!((entry.by(), entry.action().to_string(), entry.about()), ("Ada", "answered".to_owned(), "approval"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn by(&self, name: impl AsRef<str>) -> Kitaru {
        Kitaru { by: Actor::new(name.as_ref()), ..self.clone() }
    }

    /// Who deleted what, the oldest first: the newest 1,000 entries of the store's own audit. What was done to an execution is in
    /// [`Execution::audit`](crate::Execution::audit).
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    ///
    /// # Cancel safety
    ///
    /// It only reads.
    ///
    /// # Examples
    ///
    /// See [`delete`](Self::delete).
    pub fn audit(&self) -> impl Future<Output = Result<Vec<AuditEntry>, Error>> + Send {
        self.inner.clone().audit()
    }
}
