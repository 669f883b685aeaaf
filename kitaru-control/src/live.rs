//! Whether executions move, for those who watch them. Owns that each watched execution is looked at four times a second at
//! most, by one task for all who watch it, and that what they get is encoded once; must not know who watches.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use kitaru_core::__private::Pulse;
use kitaru_core::{ExecutionRef, WeakKitaru};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How often an execution is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long nothing is sent at most: servers in between close a connection that is silent.
const SILENCE: Duration = Duration::from_secs(15);

/// The executions that are watched. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Live(Arc<Mutex<HashMap<ExecutionRef, watch::Sender<Bytes>>>>);

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

impl Live {
    /// Watches an execution. Must be called on a runtime, which then looks at it.
    pub(crate) fn watch(&self, kitaru: WeakKitaru, execution: ExecutionRef) -> Events {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = match all.get(&execution) {
            Some(sender) => sender.subscribe(),
            None => {
                let (sender, receiver) = watch::channel(Bytes::new());
                all.insert(execution.clone(), sender);
                tokio::spawn(self.clone().look(kitaru, execution));
                receiver
            }
        };
        drop(all);
        Events::of(receiver)
    }

    /// Looks at an execution as long as a client watches it.
    async fn look(self, kitaru: WeakKitaru, execution: ExecutionRef) {
        let mut last = None;
        loop {
            let pulse = match kitaru.upgrade() {
                Some(kitaru) => kitaru.pulse(&execution).await.ok().flatten(),
                None => None,
            };
            {
                let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                let watched = all.get(&execution).filter(|sender| sender.receiver_count() > 0);
                let (Some(sender), Some(pulse)) = (watched, pulse) else {
                    // Without this sender the streams end; who still watches asks again.
                    all.remove(&execution);
                    return;
                };
                if last != Some(pulse) {
                    sender.send_replace(event(pulse));
                    last = Some(pulse);
                }
            }
            sleep(LOOK).await;
        }
    }
}

/// The event that says how far an execution has come. Its id is the number of the last record.
fn event(pulse: Pulse) -> Bytes {
    let Pulse { generation, status, next_record, updated_ms } = pulse;
    let last = next_record.saturating_sub(1);
    let data =
        format!(r#"{{"generation":{generation},"status":"{status}","records":{last},"updated_ms":{updated_ms}}}"#);
    Bytes::from(format!("id: {last}\nevent: moved\ndata: {data}\n\n"))
}

type Next = Pin<Box<dyn Future<Output = Option<(Bytes, watch::Receiver<Bytes>)>> + Send>>;

/// A stream of server-sent events.
pub(crate) struct Events(Next);

impl Events {
    fn of(mut receiver: watch::Receiver<Bytes>) -> Self {
        // What is known already is news to who has just come.
        receiver.mark_changed();
        Events(next(receiver))
    }
}

fn next(mut receiver: watch::Receiver<Bytes>) -> Next {
    Box::pin(async move {
        loop {
            match timeout(SILENCE, receiver.changed()).await {
                Err(_) => return Some((Bytes::from_static(b": still here\n\n"), receiver)),
                Ok(Err(_)) => return None,
                Ok(Ok(())) => {
                    let event = receiver.borrow_and_update().clone();
                    if !event.is_empty() {
                        return Some((event, receiver));
                    }
                }
            }
        }
    })
}

impl Body for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.0.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some((event, receiver))) => {
                self.0 = next(receiver);
                Poll::Ready(Some(Ok(Frame::data(event))))
            }
        }
    }
}
