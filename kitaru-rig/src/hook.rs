//! The hook that makes a checkpoint of every effect of a run.
//!
//! Owns what is a checkpoint, its name and its key. It runs as the last hook, in the flow's own code, so that what the
//! other hooks have made of an effect is what is asked. Must not know how a run is begun, nor where its flow came from.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt as _;
use kitaru_core::dynamic::{self, DynamicCheckpoint};
use rig_agent::agent::{
    AgentHook, DispatchAction, DispatchEvent, HookContext, ModelSelection, ModelSelectionAction, OutcomeAction,
    OutcomeEvent, StepEventKind,
};
use rig_agent::tool::ToolSet;
use rig_core::completion::{CompletionRequest, CompletionResponse};
use rig_core::effect::{EffectFamily, EffectId, EffectKind, HandlerKey, MemoryOp, Outcome};
use rig_core::error::{ErrorKind, ErrorReport};
use rig_core::serve::{serve_inline_with, stream_truncated};
use rig_core::streaming::Relayed;
use rig_core::tool::{PublishedContext, ToolContext, ToolResult, ToolResultContext};
use serde::{Deserialize, Serialize};

use crate::agent::{AskedModel, Taken};
use crate::answers::Answer;
use crate::error::Failure;
use crate::event::{Listener, RigEvent, tell_piece, tell_whole};
use crate::usage::{Counter, RigUsage};

/// How effects of a run are asked for and recorded.
pub(crate) struct Recording {
    pub(crate) taken: Arc<Taken>,
    /// The name of the agent, with which those of its checkpoints begin.
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) model_retries: u32,
    pub(crate) listener: Option<Listener>,
    pub(crate) paid: Counter,
}

/// What one run knows of itself.
pub(crate) struct Ongoing {
    recording: Recording,
    total: Counter,
    /// What the next request goes to, and what tools it offers.
    asked: Mutex<(AskedModel, ToolSet)>,
    given: Mutex<Vec<EffectId>>,
    /// A fault, which ends the run and is not the agent's to see.
    fault: Mutex<Option<kitaru_core::Error>>,
}

/// What a tool came to that the agent goes on with.
#[derive(Serialize, Deserialize)]
struct Told {
    result: Result<ToolResult, ErrorReport>,
    published: Option<ToolResultContext>,
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

    /// What the run has cost so far, whoever paid.
    pub(crate) fn usage(&self) -> RigUsage {
        self.total.usage()
    }

    pub(crate) fn fault(&self) -> Option<kitaru_core::Error> {
        lock(&self.fault).take()
    }

    /// A checkpoint of this run. Its values are read by name, so that a later version of the types still reads them.
    fn checkpoint(&self, name: String) -> DynamicCheckpoint {
        dynamic::checkpoint(name).version(self.recording.version.clone()).json()
    }

    fn tell(&self, event: impl FnOnce() -> RigEvent) {
        if let Some(listener) = &self.recording.listener {
            listener(event());
        }
    }

    fn give(&self, id: EffectId, answer: Answer) {
        lock(&self.given).push(id);
        self.recording.taken.answers.give(id, answer);
    }

    /// The report in which an effect ends that came to nothing.
    fn report(&self, failure: Failure) -> ErrorReport {
        match failure {
            Failure::Report(report) => *report,
            Failure::Kitaru(error) => {
                // Of all reports this is the one that no model is told of: it cancels the run.
                let report = ErrorReport::new(ErrorKind::Cancelled, format!("{error:#}"));
                lock(&self.fault).get_or_insert(error);
                report
            }
        }
    }

    /// Asks the model, or the record. Whether somebody listens is no part of the question: streamed and plain requests
    /// answer each other.
    async fn ask(&self, request: &CompletionRequest) -> Result<CompletionResponse, Failure> {
        let model = {
            let mut asked = lock(&self.asked);
            asked.1 = self.recording.taken.tools();
            asked.0.clone()
        };
        let tries = AtomicU32::new(0);
        let response = self
            .checkpoint(format!("{}_model_request", self.recording.name))
            .arg("model", &model.label)
            .arg("request", request)
            .run(|| {
                tries.fetch_add(1, Ordering::Relaxed);
                self.request(&model, request)
            })
            .retries(self.recording.model_retries)
            .retry_if(Failure::is_passing)
            .await?;
        let usage = RigUsage::request(response.usage);
        self.total.add(usage);
        if tries.into_inner() > 0 {
            self.recording.paid.add(usage);
        } else if let Some(listener) = &self.recording.listener {
            tell_whole(response.clone(), listener).await;
        }
        self.tell(|| RigEvent::Usage(self.usage()));
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

    /// Calls a tool, or asks the record. Nothing if there is no such tool, which the agent finds out by itself.
    async fn call(&self, name: &str, args: &str, context: Option<&ToolContext>) -> Option<Result<Told, Failure>> {
        let tool = lock(&self.asked).1.get(name).cloned()?;
        let context = context.map(ToolContext::for_dispatch).unwrap_or_default();
        let tries = AtomicU32::new(0);
        let told = self
            .checkpoint(format!("{name}_tool"))
            .arg("arguments", args)
            .run(|| {
                tries.fetch_add(1, Ordering::Relaxed);
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
                    Ok(Told { result, published: published.result_context() })
                }
            })
            .await;
        if told.is_ok() {
            let usage = RigUsage::tool_call();
            self.total.add(usage);
            if tries.into_inner() > 0 {
                self.recording.paid.add(usage);
            }
        }
        Some(told)
    }

    /// The key of what remembers conversations, if the agent has that.
    fn memory(&self) -> Option<HandlerKey> {
        let row = self.recording.taken.agent.required_row();
        row.iter().find_map(|(key, family)| (*family == EffectFamily::Memory).then(|| key.clone()))
    }

    /// An effect beside models and tools: what is remembered, what is looked up.
    async fn aside<F>(
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
        // A run that is dropped may have been given answers that it never fetched.
        for id in lock(&self.given).drain(..) {
            self.recording.taken.answers.take(id);
        }
    }
}

/// Makes a checkpoint of every effect of a run.
pub(crate) struct Durable(pub(crate) Arc<Ongoing>);

impl AgentHook for Durable {
    fn on_model_select(&self, _: &HookContext, event: ModelSelection<'_>) -> ModelSelectionAction {
        let taken = &self.0.recording.taken;
        let (model, action) = if event.selected_model == event.default_model {
            (taken.default_model.clone(), ModelSelectionAction::Continue)
        } else if let Some((model, answering)) = taken.route(event.selected_model) {
            (model, ModelSelectionAction::Select(answering))
        } else {
            // There is no such model, which the agent says.
            return ModelSelectionAction::Continue;
        };
        lock(&self.0.asked).0 = model;
        action
    }

    async fn on_dispatch(&self, _: &HookContext, event: DispatchEvent<'_>) -> DispatchAction {
        let run = &self.0;
        let answer = match event.kind {
            EffectKind::Completion { request, .. } => match run.ask(request).await {
                Ok(response) => Answer { outcome: Ok(Outcome::Completion(response)), published: None },
                Err(failure) => return DispatchAction::Deny(run.report(failure)),
            },
            EffectKind::ToolCall { name, args } => match run.call(name, args, event.context).await {
                None => return DispatchAction::Proceed,
                Some(Ok(Told { result, published })) => {
                    if let Ok(result) = &result {
                        run.tell(|| RigEvent::Tool {
                            name: name.clone(),
                            arguments: args.clone(),
                            result: result.clone(),
                        });
                    }
                    Answer { outcome: result.map(|result| Outcome::ToolResult { result }), published }
                }
                // The bus answers with the report: a denial would be told to the model.
                Some(Err(failure)) => match run.report(failure) {
                    cancelled if cancelled.kind == ErrorKind::Cancelled => return DispatchAction::Deny(cancelled),
                    report => Answer { outcome: Err(report), published: None },
                },
            },
            EffectKind::Memory { op: MemoryOp::Append { conversation, .. } } => {
                let Some(key) = run.memory() else { return DispatchAction::Proceed };
                let append = || run.recording.taken.dispatcher.dispatch(&key, event.kind.clone());
                let outcome = run.aside("memory", event.kind, append).await;
                run.give(event.id, Answer { outcome, published: None });
                // It is done; what is left for the agent to append is nothing.
                let op = MemoryOp::Append { conversation: conversation.clone(), messages: Vec::new() };
                return DispatchAction::Patch(EffectKind::Memory { op });
            }
            _ => return DispatchAction::Proceed,
        };
        run.give(event.id, answer);
        DispatchAction::Proceed
    }

    /// What was read is read again by every attempt, and what the first one was given is what counts.
    async fn on_outcome(&self, _: &HookContext, event: OutcomeEvent<'_>) -> OutcomeAction {
        let run = &self.0;
        let name = match event.kind {
            EffectKind::Memory { op: MemoryOp::Append { .. } } => {
                let answer = run.recording.taken.answers.take(event.id);
                return answer.map_or(OutcomeAction::Proceed, |answer| OutcomeAction::Replace(answer.outcome));
            }
            EffectKind::Memory { .. } => "memory",
            EffectKind::Retrieve { .. } => "retrieval",
            _ => return OutcomeAction::Proceed,
        };
        OutcomeAction::Replace(run.aside(name, event.kind, || std::future::ready(event.outcome.clone())).await)
    }

    fn observes(&self, kind: StepEventKind) -> bool {
        matches!(
            kind,
            StepEventKind::CompletionDispatch
                | StepEventKind::ToolDispatch
                | StepEventKind::MemoryDispatch
                | StepEventKind::RetrieveDispatch
        )
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the agent ends its run at such a report, in place of telling the model.
fn ends_the_run(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Cancelled | ErrorKind::BusClosed | ErrorKind::HandlerUnavailable | ErrorKind::Divergence)
}

fn unexpected(outcome: &Outcome) -> ErrorReport {
    ErrorReport::new(ErrorKind::Internal, format!("a handler answered with a {} outcome", outcome.family()))
}
