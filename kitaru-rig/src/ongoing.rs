//! The requests of one run: to models, tools, memory and retrieval, or to the records of these.
//!
//! Owns what is a checkpoint, its name and its key. Must not know when an agent asks, nor how a run begins.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt as _;
use kitaru_core::dynamic::agents::OUTAGE_BACKOFF;
use kitaru_core::dynamic::{self, DynamicCheckpoint, Origin};
use rig_agent::tool::ToolSet;
use rig_core::completion::{CompletionRequest, CompletionResponse};
use rig_core::effect::{EffectFamily, EffectId, EffectKind, HandlerKey, Outcome};
use rig_core::error::{ErrorKind, ErrorReport};
use rig_core::serve::{serve_inline_with, stream_truncated};
use rig_core::streaming::Relayed;
use rig_core::tool::{PublishedContext, ToolContext};
use serde_json::json;

use crate::agent::{AskedModel, PreparedAgent};
use crate::answers::Answer;
use crate::error::Failure;
use crate::event::{Listener, RigEvent, tell_piece, tell_whole};
use crate::options::{self, ToolOptions};
use crate::rig::Patience;
use crate::tool_reply::ToolReply;
use crate::usage::{Counter, RigUsage};

/// How a run's effects become checkpoints and records.
pub(crate) struct Recording {
    pub(crate) taken: Arc<PreparedAgent>,
    /// The name of the agent, with which its checkpoints' names begin.
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) patience: Patience,
    pub(crate) tools: BTreeMap<String, ToolOptions>,
    pub(crate) listener: Option<Listener>,
    pub(crate) paid: Counter,
}

/// The state of one run.
pub(crate) struct Ongoing {
    pub(crate) recording: Recording,
    total: Counter,
    /// The model of the next request, and the tools that it offers.
    asked: Mutex<(AskedModel, ToolSet)>,
    given: Mutex<Vec<EffectId>>,
    /// A fault, which ends the run. The agent must not see it.
    fault: Mutex<Option<kitaru_core::Error>>,
}

impl Ongoing {
    pub(crate) fn new(recording: Recording) -> Arc<Self> {
        let asked = (recording.taken.default_model.clone(), ToolSet::default());
        Arc::new(Ongoing {
            recording,
            total: Counter::default(),
            asked: Mutex::new(asked),
            given: Mutex::default(),
            fault: Mutex::default(),
        })
    }

    /// The cost of the run so far, including what earlier attempts paid.
    pub(crate) fn usage(&self) -> RigUsage {
        self.total.usage()
    }

    /// Sets the model of the next request.
    pub(crate) fn select(&self, model: AskedModel) {
        lock(&self.asked).0 = model;
    }

    /// The fault that ended the run, if any.
    pub(crate) fn fault(&self) -> Option<kitaru_core::Error> {
        lock(&self.fault).take()
    }

    /// A checkpoint of this run. Its values are read by name, so that a later version of the types can read them.
    fn checkpoint(&self, name: String) -> DynamicCheckpoint {
        dynamic::checkpoint(name).version(self.recording.version.clone()).json()
    }

    pub(crate) fn notify(&self, event: impl FnOnce() -> RigEvent) {
        if let Some(listener) = &self.recording.listener {
            listener(event());
        }
    }

    pub(crate) fn give(&self, id: EffectId, answer: Answer) {
        lock(&self.given).push(id);
        self.recording.taken.answers.give(id, answer);
    }

    /// The report for an effect without an outcome.
    pub(crate) fn report(&self, failure: Failure) -> ErrorReport {
        match failure {
            Failure::Report(report) => *report,
            Failure::Kitaru(error) => {
                // This is the one kind of report that never goes to a model: it cancels the run.
                let report = ErrorReport::new(ErrorKind::Cancelled, format!("{error:#}"));
                lock(&self.fault).get_or_insert(error);
                report
            }
        }
    }

    /// Asks the model, or the record. Streaming is not a part of the question: streamed and plain requests answer each other.
    pub(crate) async fn ask(&self, request: &CompletionRequest) -> Result<CompletionResponse, Failure> {
        let request = &self.with_what_was_found(request).await?;
        let model = {
            let mut asked = lock(&self.asked);
            asked.1 = self.recording.taken.tools();
            asked.0.clone()
        };
        let asked = self
            .checkpoint(format!("{}_model_request", self.recording.name))
            .arg("model", &model.label)
            .arg("request", request)
            .run(|| self.request(&model, request))
            .retry_if(Failure::is_passing);
        let asked = match self.recording.patience.longest() {
            Ok(longest) => {
                let what = format!("model `{}`", model.label);
                asked.backoff(OUTAGE_BACKOFF).wait_out(what, longest, Failure::retry_after)
            }
            Err(times) => asked.retries(times),
        };
        let (response, origin) = asked.with_origin().await;
        let response = response?;
        let usage = RigUsage::request(response.usage);
        self.total.add(usage);
        if origin == Origin::Ran {
            self.recording.paid.add(usage);
        } else if let Some(listener) = &self.recording.listener {
            tell_whole(response.clone(), listener).await;
        }
        self.notify(|| RigEvent::Usage(self.usage()));
        Ok(response)
    }

    async fn request(&self, model: &AskedModel, request: &CompletionRequest) -> Result<CompletionResponse, Failure> {
        let dispatcher = &self.recording.taken.dispatcher;
        let kind = |stream| EffectKind::Completion { request: request.clone(), stream };
        let Some(listener) = &self.recording.listener else {
            return match dispatcher.dispatch(&model.key, kind(false)).await {
                Ok(Outcome::Completion(response)) => Ok(response),
                Ok(other) => Err(unexpected(&other).into()),
                Err(report) => Err(report.into()),
            };
        };
        let mut pieces = dispatcher.dispatch_stream(&model.key, kind(true));
        let mut told = false;
        let broken = loop {
            match pieces.next().await {
                Some(Ok(Relayed::Done(response))) => return Ok(*response),
                Some(Ok(piece)) => told |= tell_piece(Some(piece), listener),
                Some(Err(report)) => break report,
                None => break stream_truncated(),
            }
        };
        if told {
            listener(RigEvent::Void);
        }
        Err(broken.into())
    }

    /// The request with the documents that were retrieved for it the first time. rig retrieves before its hooks see the
    /// request, so every attempt retrieves, and the first result counts.
    async fn with_what_was_found(&self, request: &CompletionRequest) -> Result<CompletionRequest, Failure> {
        let agent = &self.recording.taken.agent;
        let mut request = request.clone();
        if agent.required_row().iter().all(|(_, family)| *family != EffectFamily::Retrieve) {
            return Ok(request);
        }
        let fixed = agent.run_spec().static_context;
        let (fixed, found): (Vec<_>, Vec<_>) =
            std::mem::take(&mut request.documents).into_iter().partition(|document| fixed.contains(document));
        request.documents = fixed;
        let found = self
            .checkpoint(format!("{}_retrieval", self.recording.name))
            .arg("request", &request)
            .run(|| std::future::ready(Ok::<_, Failure>(found.clone())))
            .await?;
        request.documents.extend(found);
        Ok(request)
    }

    /// Calls a tool, or asks the record. `None` if there is no such tool, which the agent finds out by itself.
    pub(crate) async fn call(
        &self,
        name: &str,
        args: &str,
        context: Option<&ToolContext>,
    ) -> Option<Result<ToolReply, Failure>> {
        let tool = lock(&self.asked).1.get(name).cloned()?;
        let context = context.map(ToolContext::for_dispatch).unwrap_or_default();
        let options = self.recording.tools.get(name).copied().unwrap_or_default();
        let made = options.on(self.checkpoint(format!("{name}_tool"))).arg("arguments", args);
        // Two agents' tools with the same name are different tools.
        let mut told = made.arg("agent", &self.recording.name).run(|| {
            let kind = EffectKind::ToolCall { name: name.to_owned(), args: args.to_owned() };
            let (handler, context) = (tool.handler(), context.clone());
            async move {
                let published = PublishedContext::new();
                let result = serve_inline_with(handler, kind, vec![Arc::new(context), published.clone()]).await;
                let result = match result {
                    Ok(Outcome::ToolResult { result }) => Ok(result),
                    Ok(other) => Err(unexpected(&other)),
                    Err(report) if ends_the_run(report.kind) => return Err(report.into()),
                    Err(report) => Err(report),
                };
                Ok(ToolReply { result, published: published.result_context() })
            }
        });
        if let Some(bound) = options.bound() {
            told = told.timeout(bound);
        }
        if options.asks() {
            let schema = json!({ "description": "What the tool gave: a text as it is, or any other JSON value." });
            told = told.happened_as(schema, |said| Ok(Ok(options::reply_of(said))));
        }
        let (told, origin) = told.with_origin().await;
        if told.is_ok() {
            let usage = RigUsage::tool_call();
            self.total.add(usage);
            if origin == Origin::Ran {
                self.recording.paid.add(usage);
            }
        }
        Some(told)
    }

    /// The key of the agent's memory, if it has one.
    pub(crate) fn memory(&self) -> Option<HandlerKey> {
        let row = self.recording.taken.agent.required_row();
        row.iter().find_map(|(key, family)| (*family == EffectFamily::Memory).then(|| key.clone()))
    }

    /// An effect other than models and tools: memory and retrieval.
    pub(crate) async fn aside<F>(
        &self,
        name: &str,
        kind: &EffectKind,
        body: impl Fn() -> F + Send + Sync,
    ) -> Result<Outcome, ErrorReport>
    where
        F: Future<Output = Result<Outcome, ErrorReport>> + Send,
    {
        self.checkpoint(format!("{}_{name}", self.recording.name))
            .arg("effect", kind)
            .run(|| {
                let outcome = body();
                async { outcome.await.map_err(Failure::from) }
            })
            .await
            .map_err(|failure| self.report(failure))
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        // A dropped run may have received answers that it never fetched.
        for id in lock(&self.given).drain(..) {
            self.recording.taken.answers.take(id);
        }
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether such a report ends the agent's run, instead of going to the model.
fn ends_the_run(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Cancelled | ErrorKind::BusClosed | ErrorKind::HandlerUnavailable | ErrorKind::Divergence)
}

fn unexpected(outcome: &Outcome) -> ErrorReport {
    ErrorReport::new(ErrorKind::Internal, format!("a handler answered with a {} outcome", outcome.family()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests;
