//! An open store.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Weak};

use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::error::Error;
use crate::id::Actor;

/// An open store, and the executions that this process drives on it.
///
/// A cheap handle: clones share one store. [`close`](Kitaru::close) closes the store. Dropping the last handle closes it too,
/// in the background, so another process may find it held a moment longer.
///
/// # Examples
///
/// ```
/// # extern crate kitaru_core as kitaru;
/// # #[tokio::main] async fn main() -> Result<(), kitaru::Error> {
/// use kitaru::Kitaru;
///
/// let kitaru = Kitaru::builder().in_memory().open().await?;
/// assert!(kitaru.execution(("write_report", "job-42")).await?.is_none());
/// kitaru.close().await
/// # }
/// ```
#[derive(Clone)]
pub struct Kitaru {
    pub(crate) inner: Arc<Engine>,
    /// Who acts through this handle, if known.
    pub(super) by: Option<Actor>,
}

impl fmt::Debug for Kitaru {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kitaru").field("is_open", &self.check_open().is_ok()).finish_non_exhaustive()
    }
}

impl Kitaru {
    pub(super) fn check_open(&self) -> Result<(), Error> {
        self.inner.check_open()
    }
}

impl Kitaru {
    /// A handle that does not keep the store open: once all other handles are dropped, the store closes.
    ///
    /// # Examples
    ///
    /// ```
    /// # extern crate kitaru_core as kitaru;
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), kitaru::Error> {
    /// use kitaru::Kitaru;
    ///
    /// let kitaru = Kitaru::builder().in_memory().open().await?;
    /// let weak = kitaru.downgrade();
    /// assert!(weak.upgrade().is_some());
    /// drop(kitaru);
    /// assert!(weak.upgrade().is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn downgrade(&self) -> WeakKitaru {
        WeakKitaru { inner: Arc::downgrade(&self.inner) }
    }

    /// Makes a request on the store's own thread. A runtime of the program then drives what the request begins or resumes, and
    /// not the runtime of the caller, which may end at any time. `None` if the store ends first.
    #[doc(hidden)]
    pub fn apart<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        request: F,
    ) -> impl Future<Output = Option<T>> + Send + use<T, F> {
        let (answer, answered) = oneshot::channel();
        self.inner.apart(async move { drop(answer.send(request.await)) });
        async move { answered.await.ok() }
    }
}

/// A handle to an open store that does not keep it open. [`Kitaru::downgrade`] makes one.
#[derive(Clone)]
pub struct WeakKitaru {
    inner: Weak<Engine>,
}

impl WeakKitaru {
    /// The store, if it has not ended.
    pub fn upgrade(&self) -> Option<Kitaru> {
        self.inner.upgrade().map(|inner| Kitaru { inner, by: None })
    }
}

impl fmt::Debug for WeakKitaru {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakKitaru").finish_non_exhaustive()
    }
}
