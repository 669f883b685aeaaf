//! What is a checkpoint of a turn, and what its key holds.
//!
//! Owns both ways of recording a turn. Must not know how a run goes, nor where its flow came from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::FutureExt as _;
use kitaru_core::dynamic::{self, Occasion, Scope};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::approval::ApprovedTool;
use super::record::{TurnFailure, TurnRecord};
use super::replayed::Replayed;
use super::seams::{DurableInstructions, DurableModel};
use super::tool::DurableTool;
use super::{Grain, KitaruAgent, Listener, RunError, bill};
use crate::event::Events;
use crate::tool::{Effect, NeedsApproval, Recording};
use crate::{
    Agent, AgentError, Budget, History, Identity, Instructions, Message, Model, ModelSettings, RequestPart,
    ResponsePart, RunEvent, RunOptions, RunResult, Tool, ToolOptions, Usage, turn,
};

/// One turn, before it is gone through.
pub(super) struct Turn<T> {
    pub(super) agent: KitaruAgent<T>,
    pub(super) prompt: String,
    pub(super) options: RunOptions,
    pub(super) listener: Option<Listener<T>>,
    pub(super) budget: Option<Budget>,
}

/// What decides what a turn comes to.
#[derive(Serialize)]
pub(super) struct Key {
    pub(super) agent: Identity,
    pub(super) prompt: String,
    pub(super) history: History,
    pub(super) settings: ModelSettings,
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Turn<T> {
    pub(super) fn key(&self) -> Key {
        Key {
            agent: self.agent.agent.identity(),
            prompt: self.prompt.clone(),
            history: self.options.history.clone(),
            settings: self.options.settings.clone(),
        }
    }

    pub(super) async fn run(self) -> Result<RunResult<T>, RunError> {
        self.check_options()?;
        match self.agent.grain {
            Grain::Call => self.run_in_calls().await,
            Grain::Turn => self.run_as_checkpoint().await,
        }
    }

    fn check_options(&self) -> Result<(), AgentError> {
        let KitaruAgent { agent, grain, tools, .. } = &self.agent;
        let known = |name: &String| agent.tools().iter().any(|tool| tool.definition().name == *name);
        let made = || {
            let definitions = agent.tools().iter().map(|tool| tool.definition());
            definitions.map(|tool| (&tool.name, self.agent.options_of(tool)))
        };
        let asks = |options: &ToolOptions| options.approval() == NeedsApproval::Yes;
        let once = |options: &ToolOptions| options.effect() == Effect::Once;
        let find = |what: &dyn Fn(&ToolOptions) -> bool| made().find(|(_, options)| what(options));
        let waits = *grain == Grain::Call && dynamic::scope() == Scope::Flow;
        let granular = "leave `granular_checkpoints` on, and run the agent in the flow's own code";
        let reason = if let Some(name) = tools.keys().find(|name| !known(name)) {
            format!("there are options for a tool `{name}`, which it does not have")
        } else if let Some((name, _)) = find(&|options| once(options) && options.tries_again() > 0) {
            format!("tool `{name}` may run once, and has retries; choose one")
        } else if let Some((name, _)) =
            find(&|options| options.recording() == Recording::Off && (asks(options) || once(options)))
        {
            format!("tool `{name}` leaves no record, so nobody could be asked about it; leave out `not_durable`")
        } else if let Some((name, _)) = find(&asks).filter(|_| !waits) {
            format!(
                "tool `{name}` requires approval, for which the flow has to wait, and a checkpoint cannot: {granular}"
            )
        } else if let Some((name, _)) = find(&once).filter(|_| !waits) {
            format!(
                "tool `{name}` may run once, and a checkpoint around the turn runs again after a crash: {granular}; or say, by \
                 `.tool_options(\"{name}\", ToolOptions::default().at_least_once())`, that it may run again"
            )
        } else {
            return Ok(());
        };
        Err(AgentError::Invalid { agent: agent.name().to_owned(), reason })
    }

    async fn run_in_calls(self) -> Result<RunResult<T>, RunError> {
        let Turn { agent, prompt, options, listener, budget } = self;
        let replayed = Replayed::of(budget.as_ref());
        let mut turn = turn::Turn::new(granular(&agent, &prompt, &replayed), prompt, options, budget);
        let result = turn.run(&events(listener.as_ref())).await?;
        Ok(result.with_replayed(replayed.usage()))
    }

    async fn run_as_checkpoint(self) -> Result<RunResult<T>, RunError> {
        let (key, within) = (self.key(), in_a_body(&self.agent));
        let Turn { agent: KitaruAgent { agent, version, .. }, prompt, options, listener, budget } = self;
        let replayed = Replayed::of(budget.as_ref());
        let (tries, held) = (AtomicU32::new(0), replayed.hold());
        let turn = dynamic::checkpoint(agent.name().to_owned())
            // Read by name, so that a later version of the messages still reads it.
            .json()
            .version(version)
            .arg("agent", &key.agent)
            .arg("prompt", &key.prompt)
            .arg("history", &key.history)
            .arg("settings", &key.settings)
            .run_with_summary(
                || {
                    tries.fetch_add(1, Ordering::Relaxed);
                    let mut turn = turn::Turn::new(within.clone(), prompt.clone(), options.clone(), budget.clone());
                    let (agent, held, events) = (&agent, &held, events(listener.as_ref()));
                    async move {
                        let (ended, spent) = held.around(turn.run(&events)).await;
                        let usage = turn.usage();
                        bill::note(usage);
                        let beside = spent.less(usage).into();
                        match ended {
                            Ok(result) => Ok(TurnRecord::of(agent, result, beside)),
                            Err(error) => Err(TurnFailure { error: error.into(), usage: usage.into(), beside }),
                        }
                    }
                },
                summary,
            );
        let turn = turn.await;
        drop(held);
        let ran = tries.into_inner() > 0;
        let (usage, beside) = match &turn {
            Ok(turn) => (turn.usage, turn.beside),
            Err(failure) => (failure.usage, failure.beside),
        };
        if let Some(budget) = &budget {
            budget.add(usage.into());
        }
        replayed.settle(beside.into(), !ran);
        if !ran {
            replayed.add(usage.into());
        }
        let result = turn.map_err(|failure| failure.error)?.into_result(&agent)?;
        if let (false, Some(listener)) = (ran, &listener) {
            retell(&result, listener);
        }
        // A record holds what the turn added; what was there before is at hand.
        Ok(result.with_history(options.history).with_replayed(replayed.usage()))
    }
}

/// The agent with a checkpoint in front of its model, of each tool and of what computes instructions.
fn granular<T: Serialize + DeserializeOwned + Send + 'static>(
    durable: &KitaruAgent<T>,
    prompt: &str,
    replayed: &Replayed,
) -> Agent<(), T> {
    let (agent, version) = (&durable.agent, durable.version.as_str());
    let price = agent.parts.price;
    agent
        .map_model(|model| -> Arc<dyn Model> {
            Arc::new(DurableModel::new(agent.name(), version, model, replayed.clone(), price))
        })
        .map_tools(|tool| -> Arc<dyn Tool> {
            let options = durable.options_of(tool.definition());
            let tool = DurableTool::new(agent.name(), version, tool, options, Some(replayed.clone()));
            match options.recording() {
                Recording::On => Arc::new(ApprovedTool::new(tool, options.approval())),
                Recording::Off => Arc::new(tool),
            }
        })
        .map_instructions(|part| -> Arc<dyn Instructions> {
            if part.fixed().is_some() {
                part
            } else {
                Arc::new(DurableInstructions::new(agent.name(), version, prompt, part))
            }
        })
}

/// The agent for a turn that is one checkpoint: the calls of its tools are parts of that, with options and keys of their own.
fn in_a_body<T: Serialize + DeserializeOwned + Send + 'static>(durable: &KitaruAgent<T>) -> Agent<(), T> {
    durable.agent.map_tools(|tool| {
        let options = durable.options_of(tool.definition());
        // The turn counts what it costs.
        let agent = durable.agent.name();
        Arc::new(DurableTool::new(agent, &durable.version, tool, options, None))
    })
}

fn events<T: Send + 'static>(listener: Option<&Listener<T>>) -> Events<T> {
    let Some(listener) = listener.cloned() else { return Events::unheard() };
    Events::new(move |event| {
        listener(event);
        futures::future::ready(()).boxed()
    })
}

/// Tells what happened in a turn that comes from its record.
fn retell<T>(result: &RunResult<T>, listener: &Listener<T>) {
    // What stands behind the last response closes the conversation: nobody was told of it in the run.
    let messages = result.new_messages.messages();
    let last = messages.iter().rposition(|message| matches!(message, Message::Response(_)));
    let messages = &messages[..last.map_or(0, |last| last + 1)];
    let responses = messages.iter().filter(|message| matches!(message, Message::Response(_))).count() as u64;
    let mut usage = Usage::default();
    // The first message is the prompt.
    for message in messages.iter().skip(1) {
        match message {
            Message::Request(told) => {
                let returns = told.parts.iter().filter(|part| matches!(part, RequestPart::ToolReturn(_)));
                usage.tool_calls += returns.count() as u64;
                told.parts.iter().for_each(|part| listener(RunEvent::Told(part.clone())));
            }
            Message::Response(response) => {
                for part in &response.parts {
                    match part {
                        ResponsePart::Text(text) => listener(RunEvent::Text(text.content.clone())),
                        ResponsePart::ToolCall(call) => listener(RunEvent::ToolCall(call.clone())),
                        ResponsePart::Reasoning(_) | ResponsePart::Opaque(_) => {}
                    }
                }
                usage += response.usage();
                // Messages do not say which calls reached a tool and were sent back by it; the sum is known.
                listener(RunEvent::Usage(if usage.requests == responses { result.usage } else { usage }));
            }
        }
    }
}

/// How many calls a turn made, for its log line.
fn summary<T>(turn: &Result<TurnRecord<T>, TurnFailure>, occasion: Occasion) -> String {
    let Ok(turn) = turn else { return "failed".to_owned() };
    let Usage { requests, tool_calls, .. } = turn.usage.into();
    let count = |count: u64, what: &str| format!("{count} {what} call{}", if count == 1 { "" } else { "s" });
    let calls = [count(requests, "model"), count(tool_calls, "tool")].join(", ");
    match occasion {
        Occasion::Cached => format!("0 model calls; {calls} replayed"),
        _ => calls,
    }
}
