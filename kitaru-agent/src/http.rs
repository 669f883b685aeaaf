//! Models over HTTP: requests, bounded retries, and streams.
//!
//! Owns what providers have in common. Must not know the terms of any provider, which a [`Dialect`] knows, nor the agent loop.
//! The key is in one header and nowhere else: no log line, error or `Debug` output contains it.
//!
//! Responses are read from JSON field by field, not by the types of a provider's client library. Servers that call themselves
//! compatible leave fields out and send arguments as JSON instead of text, which such a library treats as an error. An error in
//! a stream must also be distinguished from its end. `sse-stream`, which the MCP client uses too, splits streams of events.

mod builder;
#[cfg(test)]
pub(crate) mod canned;
mod client;
pub(crate) mod content;
mod dialect;
pub(crate) mod draft;
mod extras;
pub(crate) mod json;
mod model;
mod retry;
mod secret;
mod stream;
#[cfg(all(test, feature = "openai"))]
mod tests;

pub(crate) use builder::{Settings, builder, set};
#[cfg(feature = "mcp")]
pub(crate) use client::plain;
pub(crate) use dialect::{Choice, Dialect, Question, Read, Reader, Reading, configuration};
pub(crate) use model::HttpModel;
pub(crate) use secret::Secret;

use retry::Attempt;
use stream::Streamed;

use crate::asking::is_waited_for;
use crate::delta::{Delta, Deltas};
use crate::error::ModelError;
use crate::message::ModelResponse;
use crate::model::ModelRequest;
use crate::shown::Shown;

impl<D: Dialect> HttpModel<D> {
    pub(crate) async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        let question = Question { model: &self.model, request };
        let body = self.body(&question, Reading::Whole)?;
        let mut tries = 0;
        loop {
            match self.whole(&question, &body).await {
                Attempt::Answered(response) => return Ok(response),
                failed => self.pause(failed, &mut tries).await?,
            }
        }
    }

    pub(crate) async fn request_streaming(
        &self,
        request: &ModelRequest,
        deltas: &Deltas,
    ) -> Result<ModelResponse, ModelError> {
        let question = Question { model: &self.model, request };
        let body = self.body(&question, Reading::Streaming)?;
        let mut tries = 0;
        loop {
            let Streamed { attempt, heard } = self.streamed(&question, &body, deltas).await;
            match attempt {
                Attempt::Answered(response) => return Ok(response),
                failed => {
                    if heard {
                        deltas.send(Delta::Void).await;
                    }
                    self.pause(failed, &mut tries).await?;
                }
            }
        }
    }

    /// Waits before the next try, or ends in the error of the last one.
    async fn pause(&self, failed: Attempt, tries: &mut u32) -> Result<(), ModelError> {
        let (error, asked) = match failed {
            Attempt::Answered(_) => return Ok(()),
            Attempt::Settled(error) => return Err(error),
            Attempt::Failed(error) => (error, None),
            Attempt::Asked(error, asked) => (error, asked),
        };
        // The caller itself waits, and longer.
        let is_left_to_them = error.is_transient() && is_waited_for();
        let Some(pause) = self.patience.pause(*tries, asked).filter(|_| !is_left_to_them) else {
            return Err(match asked {
                Some(asked) => error.with_retry_after(asked),
                None => error,
            });
        };
        *tries += 1;
        tracing::warn!("{}; asking again in {pause:.1?} ({tries} of {})", Shown(error), self.patience.retries);
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// One try.
    async fn whole(&self, question: &Question<'_>, body: &[u8]) -> Attempt {
        let reply = match self.client.post(D::PATH, self.all_headers(), body).await {
            Ok(reply) => reply,
            Err(error) => return Attempt::Failed(self.presentable(error)),
        };
        if !reply.is_answer() {
            return self.refusal(&reply);
        }
        self.answered(question, &reply.body)
    }
}
