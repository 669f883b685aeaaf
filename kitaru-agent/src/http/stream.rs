//! A streamed answer.
//!
//! Owns that a stream which stalls, breaks off or is malformed is an error, never an answer: only the server's own end mark
//! ends it well. Must not know the content.
//!
//! Three timeouts bound it. The answer must begin within the timeout of the request, even if the server sends comments before.
//! From then on each piece of an event, or of a comment that keeps the connection open, must arrive within the stall timeout.
//! And each event must arrive within the timeout of the request, because comments alone are not an answer. While the model is
//! reasoning, only the last of them applies: it may say nothing for minutes.

use std::{
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use sse_stream::{Error as SseError, SseByteStream};
use tokio::time::{Instant, timeout, timeout_at};

use super::client::{Chunks, Opened};
use super::dialect::{Dialect, Question, Read};
use super::model::HttpModel;
use super::retry::Attempt;
use crate::delta::Deltas;
use crate::error::{ModelError, ModelErrorKind};

/// The result of one try.
pub(super) struct Streamed {
    pub(super) attempt: Attempt,
    /// Whether pieces of it were sent to a listener.
    pub(super) heard: bool,
}

/// The state of an open connection.
#[derive(Default)]
struct Line {
    /// Whether a part of the answer has arrived.
    begun: AtomicBool,
    /// Whether the model may be silent, because it is reasoning.
    reasons: AtomicBool,
    /// Whether the last byte is in the middle of a line of text.
    torn: AtomicBool,
    /// Whether the stream has ended.
    over: AtomicBool,
}

impl<D: Dialect> HttpModel<D> {
    /// One try.
    pub(super) async fn streamed(&self, question: &Question<'_>, body: &[u8], deltas: &Deltas) -> Streamed {
        let mut heard = false;
        let attempt = self.read(question, body, deltas, &mut heard).await;
        Streamed { attempt, heard }
    }

    async fn read(&self, question: &Question<'_>, body: &[u8], deltas: &Deltas, heard: &mut bool) -> Attempt {
        let mut deadline = Instant::now() + self.client.timeout();
        let mut chunks = match self.client.open(D::PATH, self.all_headers(), body).await {
            Ok(Opened::Stream(chunks)) => chunks,
            Ok(Opened::Refused(reply)) => return self.refusal(&reply),
            Err(error) => return Attempt::Failed(self.presentable(error)),
        };
        let begin = timeout_at(deadline, beginning(&mut chunks)).await.unwrap_or_else(|_| Err(self.client.late()));
        let begin = match begin {
            Ok(begin) => begin,
            Err(error) => return Attempt::Failed(self.presentable(error)),
        };
        // No line of an event stream begins like this: it is a whole answer.
        if begin.trim_ascii_start().starts_with(b"{") {
            let body = timeout_at(deadline, rest(begin, chunks)).await.unwrap_or_else(|_| Err(self.client.late()));
            let attempt = match body {
                Ok(body) => self.answered(question, &body),
                Err(error) => Attempt::Failed(self.presentable(error)),
            };
            if let Attempt::Answered(response) = &attempt {
                deltas.send_whole(response).await;
                *heard = true;
            }
            return attempt;
        }

        let broken =
            |what: String| Attempt::Failed(self.presentable(question.error(ModelErrorKind::Interrupted, what)));
        let line = Line::default();
        let chunks = stream::iter([Ok(Bytes::from(begin))]).chain(chunks).fuse();
        let mut events = pin!(SseByteStream::new(self.lively(question, &line, chunks)));
        let mut reader = self.dialect.reader(question);
        loop {
            let read = match timeout_at(deadline, events.next()).await {
                Ok(Some(Ok(event))) => match event.data {
                    Some(data) => reader.event(event.event.as_deref().unwrap_or_default(), &data),
                    None => continue,
                },
                Ok(Some(Err(SseError::Body(why)))) => {
                    return match why.downcast::<ModelError>() {
                        Ok(error) => Attempt::Failed(self.presentable(*error)),
                        Err(why) => broken(format!("broke off in the middle of its answer: {why}")),
                    };
                }
                Ok(Some(Err(error))) => return broken(format!("sent a malformed stream of events: {error}")),
                Ok(None) if line.torn.load(Ordering::Relaxed) => {
                    return broken("broke off in the middle of its answer".to_owned());
                }
                Ok(None) => reader.end(),
                Err(_) if line.begun.load(Ordering::Relaxed) => {
                    let patience = self.client.timeout();
                    return broken(format!("sent nothing of its answer for {patience:?}"));
                }
                Err(_) => return Attempt::Failed(self.presentable(self.client.late())),
            };
            let (pieces, answer) = match read {
                Ok(Read::More(pieces)) => (pieces, None),
                Ok(Read::Over(pieces, answer)) => (pieces, Some(answer)),
                // A retry may succeed after any other error.
                Err(error) if !error.is_transient() => {
                    return Attempt::Settled(self.presentable(error));
                }
                Err(_) if line.over.load(Ordering::Relaxed) => {
                    return broken("broke off in the middle of its answer".to_owned());
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
            line.reasons.store(reader.is_reasoning(), Ordering::Relaxed);
            if reader.has_begun() {
                line.begun.store(true, Ordering::Relaxed);
                deadline = Instant::now() + self.client.timeout();
            }
        }
    }

    /// The bytes of an answer, which must not stall once it has begun. Some servers omit the end of their last line: it is
    /// added, so that a complete last event counts.
    fn lively<'a>(
        &'a self,
        question: &'a Question<'_>,
        line: &'a Line,
        chunks: impl Stream<Item = Result<Bytes, ModelError>> + Send + Unpin + 'a,
    ) -> impl Stream<Item = Result<Bytes, ModelError>> + Send + 'a {
        stream::unfold(chunks, move |mut chunks| async move {
            let reasons = line.reasons.load(Ordering::Relaxed);
            let next = if line.begun.load(Ordering::Relaxed) && !reasons {
                timeout(self.stall, chunks.next()).await.unwrap_or_else(|_| {
                    let what = format_args!("sent nothing for {:?} in the middle of its answer", self.stall);
                    Some(Err(question.error(ModelErrorKind::Interrupted, what)))
                })
            } else {
                chunks.next().await
            };
            let Some(next) = next else {
                let ends = line.torn.load(Ordering::Relaxed) && !line.over.swap(true, Ordering::Relaxed);
                return ends.then(|| (Ok(Bytes::from_static(b"\n\n")), chunks));
            };
            if let Some(last) = next.as_ref().ok().and_then(|bytes| bytes.last()) {
                line.torn.store(!matches!(last, b'\n' | b'\r'), Ordering::Relaxed);
            }
            Some((next, chunks))
        })
    }
}

/// The bytes of an answer up to the first that is not white space, and the rest of its chunk.
async fn beginning(chunks: &mut Chunks<'_>) -> Result<Vec<u8>, ModelError> {
    let mut begin = Vec::new();
    while begin.trim_ascii_start().is_empty() {
        match chunks.next().await {
            Some(chunk) => begin.extend_from_slice(&chunk?),
            None => break,
        }
    }
    Ok(begin)
}

/// All bytes of an answer that began with `begin`.
async fn rest(mut begin: Vec<u8>, mut chunks: Chunks<'_>) -> Result<Vec<u8>, ModelError> {
    while let Some(chunk) = chunks.next().await {
        begin.extend_from_slice(&chunk?);
    }
    Ok(begin)
}
