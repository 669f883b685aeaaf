//! The hook that makes every effect of a run a checkpoint.
//!
//! Owns when that happens. It runs as the last hook, in the flow's own code, so that it sees the effects after the other hooks'
//! changes. Must not know what is recorded.

use std::sync::Arc;

use rig_agent::agent::{
    AgentHook, DispatchAction, DispatchEvent, HookContext, ModelSelection, ModelSelectionAction, OutcomeAction,
    OutcomeEvent, StepEventKind,
};
use rig_core::effect::{EffectKind, MemoryOp, Outcome};
use rig_core::error::ErrorKind;

use crate::answers::Answer;
use crate::event::RigEvent;
use crate::ongoing::Ongoing;
use crate::tool_reply::ToolReply;

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
            // There is no such model. The agent reports that.
            return ModelSelectionAction::Continue;
        };
        self.0.select(model);
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
                Some(Ok(ToolReply { result, published })) => {
                    if let Ok(result) = &result {
                        run.notify(|| RigEvent::Tool {
                            name: name.clone(),
                            arguments: args.clone(),
                            result: result.clone(),
                        });
                    }
                    Answer { outcome: result.map(|result| Outcome::ToolResult { result }), published }
                }
                // The bus answers with the report. A denial would go to the model.
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
                // It is done; nothing remains for the agent to append.
                let op = MemoryOp::Append { conversation: conversation.clone(), messages: Vec::new() };
                return DispatchAction::Patch(EffectKind::Memory { op });
            }
            _ => return DispatchAction::Proceed,
        };
        run.give(event.id, answer);
        DispatchAction::Proceed
    }

    /// Every attempt reads again, and the outcome of the first read counts.
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
