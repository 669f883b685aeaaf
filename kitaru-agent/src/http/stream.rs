//! An answer that comes in pieces.
//!
//! Owns that one which stalls, breaks off or is not what it says is an error, never an answer: only the server's own
//! word that it is over ends it well. Must not know what is said in it.

use std::pin::pin;

use futures::StreamExt as _;
use sse_stream::{Error as SseError, SseByteStream};

use super::{Dialect, HttpModel, Question, Read, client::Opened, retry::Attempt};
use crate::{Deltas, ModelError, ModelErrorKind};

/// What one try came to.
pub(super) struct Streamed {
    pub(super) attempt: Attempt,
    /// Whether somebody heard pieces of it.
    pub(super) heard: bool,
}

impl<D: Dialect> HttpModel<D> {
    /// One try.
    pub(super) async fn streamed(&self, question: &Question<'_>, body: &[u8], deltas: &Deltas) -> Streamed {
        let mut heard = false;
        let attempt = self.read(question, body, deltas, &mut heard).await;
        Streamed { attempt, heard }
    }

    async fn read(&self, question: &Question<'_>, body: &[u8], deltas: &Deltas, heard: &mut bool) -> Attempt {
        let chunks = match self.client.open(D::PATH, self.dialect.headers(&self.key), body).await {
            Ok(Opened::Stream(chunks)) => chunks,
            Ok(Opened::Refused(reply)) => return self.refusal(&reply),
            Err(error) => return Attempt::Failed(self.presentable(error)),
        };
        let broken =
            |what: String| Attempt::Failed(self.presentable(question.error(ModelErrorKind::Interrupted, what)));
        let mut events = pin!(SseByteStream::new(chunks));
        let mut reader = self.dialect.reader(question);
        loop {
            // Comments, which keep a line open, are no events: a server that sends nothing else has stalled.
            let event = match tokio::time::timeout(self.stall, events.next()).await {
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(SseError::Body(why)))) => {
                    return match why.downcast::<ModelError>() {
                        Ok(error) => Attempt::Failed(self.presentable(*error)),
                        Err(why) => broken(format!("broke off in the middle of its answer: {why}")),
                    };
                }
                Ok(Some(Err(error))) => return broken(format!("sent what is no stream of events: {error}")),
                Ok(None) => return broken("broke off in the middle of its answer".to_owned()),
                Err(_) => return broken(format!("said nothing for {:?} in the middle of its answer", self.stall)),
            };
            let Some(data) = event.data else { continue };
            let (pieces, answer) = match reader.event(event.event.as_deref().unwrap_or_default(), &data) {
                Ok(Read::More(pieces)) => (pieces, None),
                Ok(Read::Over(pieces, answer)) => (pieces, Some(answer)),
                // A refusal is an answer of its kind; anything else may go well when it is asked for again.
                Err(error) if error.kind() == ModelErrorKind::Refused => {
                    return Attempt::Settled(self.presentable(error));
                }
                Err(error) => return Attempt::Failed(self.presentable(error)),
            };
            for piece in pieces {
                *heard = true;
                deltas.send(piece).await;
            }
            if let Some(answer) = answer {
                return Attempt::Answered(answer);
            }
        }
    }
}
