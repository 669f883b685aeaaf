//! Decorators that make each request to a model, and each computation of instructions, a checkpoint.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use kitaru_core::dynamic::agents::{OUTAGE_BACKOFF, usual_outage};
use kitaru_core::dynamic::{self, DynamicCheckpoint, Origin};

use super::agent::{KitaruAgent, Sensitivity};
use super::bill;
use super::progress::{Given, Progress};
use super::replayed::Replayed;
use crate::asking::waited_for;
use crate::context::RunContext;
use crate::delta::{Delta, Deltas};
use crate::error::{ModelError, ToolError};
use crate::files;
use crate::instructions::Instructions;
use crate::message::{History, Media, ModelResponse};
use crate::model::{Model, ModelProfile, ModelRequest};
use crate::price::Price;
use crate::prompt::Prompt;

/// What the checkpoints of one run share.
#[derive(Clone)]
pub(super) struct Seams {
    pub(super) agent: Arc<str>,
    version: Arc<str>,
    sensitivity: Sensitivity,
    outage: Option<Duration>,
    pub(super) progress: Progress,
    /// `None` if the turn around them counts their cost.
    pub(super) replayed: Option<Replayed>,
}

impl Seams {
    pub(super) fn of<T>(durable: &KitaruAgent<T>, progress: Progress, replayed: Option<Replayed>) -> Self {
        Seams {
            agent: durable.agent.parts.name.as_str().into(),
            version: durable.version.as_str().into(),
            sensitivity: durable.sensitivity,
            outage: durable.outage,
            progress,
            replayed,
        }
    }

    /// A checkpoint of the agent. Its values are read by name, so that a later version of the types can read them.
    pub(super) fn checkpoint(&self, name: String) -> DynamicCheckpoint {
        self.sensitivity.of(dynamic::checkpoint(name).version(self.version.to_string()).json())
    }

    /// A checkpoint whose record answers in any version.
    pub(super) fn checkpoint_of_any_version(&self, name: String) -> DynamicCheckpoint {
        self.sensitivity.of(dynamic::checkpoint(name).json())
    }

    /// A body of a broken run took this from the budget, and the run receives its outcome again.
    pub(super) fn spends_again(&self, spent: crate::usage::Usage) {
        if let Some(replayed) = self.replayed.as_ref().filter(|_| !self.progress.is_counted()) {
            replayed.settle(spent, Origin::Replayed);
        }
    }

    /// The run received an outcome for which a broken run has paid.
    pub(super) fn repeats(&self, usage: crate::usage::Usage) {
        let is_counted = self.progress.repeats(usage);
        match &self.replayed {
            Some(replayed) if is_counted => replayed.add_to_run(usage),
            Some(replayed) => replayed.add(usage),
            None => {}
        }
    }
}

/// A model whose every request is a checkpoint.
pub(super) struct DurableModel {
    seams: Seams,
    inner: Arc<dyn Model>,
    price: Price,
}

impl DurableModel {
    pub(super) fn new(seams: Seams, inner: Arc<dyn Model>, price: Price) -> Self {
        DurableModel { seams, inner, price }
    }

    /// Streaming is not a part of the question: streamed and plain requests answer each other.
    async fn ask(&self, request: &ModelRequest, deltas: Option<&Deltas>) -> Result<ModelResponse, ModelError> {
        let Seams { agent, progress, .. } = &self.seams;
        let checkpoint = self.seams.checkpoint(format!("{agent}_model_request"));
        let checkpoint = checkpoint.arg("model", self.inner.name()).arg("request", &*request.by_digest());
        let place = progress.place(checkpoint.question());
        if let Some(Given::Response(response)) = place.given() {
            self.seams.repeats(response.usage());
            return Ok(with_events(deltas, response).await);
        }
        let longest = self.seams.outage.unwrap_or_else(usual_outage);
        let mut asked = checkpoint
            .run(|| async move {
                let asking = self.ask_once(request, deltas);
                let response = if longest.is_zero() { asking.await } else { waited_for(asking).await };
                let response = response?.priced(&self.price);
                if self.seams.replayed.is_some() {
                    bill::note(response.usage());
                }
                Ok::<_, ModelError>(response)
            })
            .backoff(OUTAGE_BACKOFF)
            .retry_if(ModelError::is_transient)
            .wait_out(format!("model `{}`", self.inner.name()), longest, ModelError::retry_after);
        if let Some(earlier) = place.failed() {
            asked = asked.in_place_of(earlier);
        }
        let call = asked.call_identity();
        let (response, origin) = asked.with_origin().await;
        let response = response.inspect_err(|_| progress.failed(&place, call))?;
        progress.gave(&place, Given::Response(response.clone()));
        if origin == Origin::Ran {
            return Ok(response);
        }
        if let Some(replayed) = &self.seams.replayed {
            replayed.add(response.usage());
        }
        Ok(with_events(deltas, response).await)
    }

    /// One try. The events of an answer that broke off are void.
    async fn ask_once(&self, request: &ModelRequest, deltas: Option<&Deltas>) -> Result<ModelResponse, ModelError> {
        let Some(deltas) = deltas else { return self.inner.request(request).await };
        let (heard, listener) = (Arc::new(AtomicBool::new(false)), deltas.clone());
        let noticed = heard.clone();
        let listening = Deltas::new(move |delta| {
            noticed.store(delta != Delta::Void, Ordering::Relaxed);
            listener.send(delta).boxed()
        });
        let asked = self.inner.request_streaming(request, &listening).await;
        if asked.is_err() && heard.load(Ordering::Relaxed) {
            deltas.send(Delta::Void).await;
        }
        asked
    }
}

/// Sends the events of a whole response that was not streamed.
async fn with_events(deltas: Option<&Deltas>, response: ModelResponse) -> ModelResponse {
    if let Some(deltas) = deltas {
        deltas.send_whole(&response).await;
    }
    response
}

#[async_trait]
impl Model for DurableModel {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        self.ask(request, None).await
    }

    async fn request_streaming(&self, request: &ModelRequest, deltas: &Deltas) -> Result<ModelResponse, ModelError> {
        self.ask(request, Some(deltas)).await
    }

    fn profile(&self) -> ModelProfile {
        self.inner.profile()
    }
}

impl<T> KitaruAgent<T> {
    /// Reads the files that a prompt and a history name. Each file is a record of its own, so that a replay does not read it
    /// again.
    pub(super) async fn read_files(&self, prompt: &mut Prompt, history: &mut History) -> Result<(), ToolError> {
        let named: Vec<Media> =
            prompt.media().chain(history.media()).filter(|media| media.path().is_some()).cloned().collect();
        for (_, media) in named.iter().enumerate().filter(|(nth, media)| !named[..*nth].contains(media)) {
            let name = format!("{}_content", self.agent.parts.name);
            let checkpoint = self.sensitivity.of(dynamic::checkpoint(name).version(self.version.clone()).json());
            let content = checkpoint.arg("media", media).run(|| files::read(media)).await?;
            let read = |other: &Media| if other == media { content.clone() } else { other.clone() };
            *prompt = prompt.map_media(read);
            *history = mem::take(history).map_media(read);
        }
        Ok(())
    }
}

/// Instructions that are computed once, and recorded: their inputs may have changed when they are needed again.
pub(super) struct DurableInstructions {
    seams: Seams,
    prompt: Arc<str>,
    inner: Arc<dyn Instructions>,
}

impl DurableInstructions {
    pub(super) fn new(seams: Seams, prompt: &str, inner: Arc<dyn Instructions>) -> Self {
        DurableInstructions { seams, prompt: prompt.into(), inner }
    }
}

#[async_trait]
impl Instructions for DurableInstructions {
    async fn text(&self, context: RunContext) -> Result<String, ToolError> {
        let Seams { agent, progress, .. } = &self.seams;
        let checkpoint = self.seams.checkpoint(format!("{agent}_instructions")).arg("prompt", &*self.prompt);
        let place = progress.place(checkpoint.question());
        if let Some(Given::Instructions(text)) = place.given() {
            return Ok(text);
        }
        let text = checkpoint.run(|| self.inner.text(context.clone())).await?;
        progress.gave(&place, Given::Instructions(text.clone()));
        Ok(text)
    }
}
