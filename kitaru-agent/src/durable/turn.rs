//! Which parts of a turn are checkpoints, and what their keys contain.
//!
//! Owns both ways of recording a turn. Must not know how a run goes, nor where its flow comes from.

use std::sync::Arc;

use futures::FutureExt as _;
use kitaru_core::dynamic::agents::{Granularity, summary_of_calls};
use kitaru_core::dynamic::{self, FlowOptions, Occasion, Origin, Scope};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::agent::KitaruAgent;
use super::approval::ApprovedTool;
use super::bill;
use super::continued::Continued;
use super::error::RunError;
use super::progress::{BrokenRun, Subject};
use super::record::{TurnFailure, TurnRecord};
use super::replayed::Replayed;
use super::seams::{DurableInstructions, DurableModel, Seams};
use super::tool::DurableTool;
use crate::agent::{Agent, Identity};
use crate::budget::Budget;
use crate::error::AgentError;
use crate::event::{Events, RunEvent};
use crate::instructions::Instructions;
use crate::message::{History, Media, Message, RequestPart, ResponsePart};
use crate::model::{Model, ModelSettings};
use crate::options::RunOptions;
use crate::prompt::Prompt;
use crate::result::RunResult;
use crate::tool::{Effect, NeedsApproval, Recording, Tool, ToolOptions};
use crate::turn;
use crate::usage::Usage;

/// The receiver of a run's events.
pub(super) type Listener<T> = Arc<dyn Fn(RunEvent<T>) + Send + Sync>;

/// One turn, before it runs.
pub(super) struct Turn<T> {
    pub(super) agent: KitaruAgent<T>,
    pub(super) prompt: Prompt,
    pub(super) options: RunOptions,
    pub(super) listener: Option<Listener<T>>,
    pub(super) budget: Option<Budget>,
}

/// All that determines the outcome of a turn. Media are in it by their digests.
#[derive(Serialize)]
pub(super) struct Key {
    pub(super) agent: Identity,
    pub(super) prompt: Prompt,
    pub(super) history: History,
    pub(super) settings: ModelSettings,
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Turn<T> {
    pub(super) fn key(&self) -> Key {
        Key {
            agent: self.agent.agent.identity(),
            prompt: self.prompt.map_media(Media::by_digest),
            history: self.options.history.clone().map_media(Media::by_digest),
            settings: self.options.settings.clone(),
        }
    }

    /// Runs the turn. A fresh turn does not continue a broken run.
    pub(super) async fn go(mut self, flow: FlowOptions) -> Result<RunResult<T>, RunError> {
        self.check_options()?;
        // Before all else, so that what is asked is known by content: in keys, and for a run that continues a broken one.
        self.agent.read_files(&mut self.prompt, &mut self.options.history).await.map_err(AgentError::Prompt)?;
        match self.agent.granularity {
            Granularity::Call => self.run_in_calls(&flow).await,
            _ => self.run_as_checkpoint(&flow).await,
        }
    }

    fn check_options(&self) -> Result<(), AgentError> {
        let KitaruAgent { agent, granularity, tools, .. } = &self.agent;
        let known = |name: &String| agent.tools().iter().any(|tool| tool.definition().name == *name);
        let made = || {
            let definitions = agent.tools().iter().map(|tool| tool.definition());
            definitions.map(|tool| (&tool.name, self.agent.options_of(tool)))
        };
        let asks = |options: &ToolOptions| options.approval() == NeedsApproval::Yes;
        let once = |options: &ToolOptions| options.effect() == Effect::Once;
        let find = |what: &dyn Fn(&ToolOptions) -> bool| made().find(|(_, options)| what(options));
        let waits = *granularity == Granularity::Call && dynamic::scope() == Scope::Flow;
        let granular = "leave `granular_checkpoints` on, and run the agent in the flow's own code";
        let reason = if let Some(name) = tools.keys().find(|name| !known(name)) {
            format!("it has options for a tool `{name}` that it does not have")
        } else if let Some((name, _)) = find(&|options| once(options) && options.tries_again() > 0) {
            format!("tool `{name}` may run only once, and has retries; choose one")
        } else if let Some((name, _)) =
            find(&|options| options.recording() == Recording::Off && (asks(options) || once(options)))
        {
            format!("tool `{name}` leaves no record, so a person cannot be asked about it; remove `not_durable`")
        } else if let Some((name, _)) = find(&asks).filter(|_| !waits) {
            format!("tool `{name}` requires approval, and a turn that is one checkpoint cannot wait for it: {granular}")
        } else if let Some((name, _)) = find(&once).filter(|_| !waits) {
            format!(
                "tool `{name}` may run only once, and a checkpoint around the turn runs again after a crash: {granular}; or allow a second run with \
                 `.tool_options(\"{name}\", ToolOptions::default().at_least_once())`"
            )
        } else {
            return Ok(());
        };
        Err(AgentError::Invalid { agent: agent.name().to_owned(), reason })
    }

    async fn run_in_calls(mut self, flow: &FlowOptions) -> Result<RunResult<T>, RunError> {
        let continued = self.continued(flow);
        let Turn { agent, prompt, options, listener, budget } = self;
        let asked = prompt.clone();
        let (replayed, progress) = (Replayed::of(budget.as_ref()), continued.progress());
        let seams = Seams::of(&agent, progress.clone(), Some(replayed.clone()));
        let mut turn = turn::Turn::new(in_checkpoints(&agent, &prompt, &seams), prompt, options, budget.clone());
        match turn.run(&events(listener.as_ref())).await {
            Ok(result) => Ok(result.with_replayed(replayed.usage())),
            Err(error) => {
                let error = RunError::from(error);
                let subject = agent.subject(asked, turn.history().to_vec().into());
                continued.broke(subject, BrokenRun::new(progress, budget), &error);
                Err(error)
            }
        }
    }

    async fn run_as_checkpoint(mut self, flow: &FlowOptions) -> Result<RunResult<T>, RunError> {
        let key = self.key();
        let continued = self.continued(flow);
        let Turn { agent: durable, prompt, options, listener, budget } = self;
        let progress = continued.progress();
        let within = in_checkpoints(&durable, &prompt, &Seams::of(&durable, progress.clone(), None));
        let agent = &durable.agent;
        let replayed = Replayed::of(budget.as_ref());
        let held = replayed.hold();
        // Read by name, so that a later version of the messages can read it.
        let checkpoint = dynamic::checkpoint(agent.name().to_owned()).json().version(durable.version.clone());
        let mut made = durable
            .sensitivity
            .of(checkpoint)
            .arg("agent", &key.agent)
            .arg("prompt", &key.prompt)
            .arg("history", &key.history)
            .arg("settings", &key.settings)
            .run_with_summary(
                || {
                    let asked = prompt.clone();
                    let mut turn = turn::Turn::new(within.clone(), prompt.clone(), options.clone(), budget.clone());
                    let (held, events, progress) = (&held, events(listener.as_ref()), &progress);
                    async move {
                        let (ended, spent) = held.around(turn.run(&events)).await;
                        let (usage, repeated) = (turn.usage(), progress.repeated());
                        bill::note(usage.less(repeated));
                        let beside = spent.less(usage.less(progress.counted_before(repeated))).into();
                        match ended {
                            Ok(result) => Ok(TurnRecord::of(agent, &asked, result, beside, repeated.into())),
                            Err(error) => Err(TurnFailure {
                                error: error.into(),
                                usage: usage.into(),
                                beside,
                                repeated: repeated.into(),
                                given: progress.answers(),
                            }),
                        }
                    }
                },
                summary,
            );
        if let Some(earlier) = continued.turn() {
            made = made.in_place_of(earlier);
        }
        let call = made.call_identity();
        let (turn, origin) = made.with_origin().await;
        drop(held);
        let (usage, beside, repeated) = match &turn {
            Ok(turn) => (turn.usage.into(), turn.beside.into(), turn.repeated.into()),
            Err(failure) => (failure.usage.into(), failure.beside.into(), failure.repeated.into()),
        };
        let counted_before = progress.counted_before(repeated);
        if let Some(budget) = &budget {
            budget.add(Usage::less(usage, counted_before));
        }
        replayed.settle(beside, origin);
        replayed.add_to_run(counted_before);
        replayed.add((if origin == Origin::Ran { repeated } else { usage }).less(counted_before));
        let turn = match turn {
            Ok(turn) => turn,
            Err(TurnFailure { error, given, .. }) => {
                let subject = durable.subject(prompt, options.history);
                continued.broke(subject, BrokenRun::of_turn(given, call, budget), &error);
                return Err(error);
            }
        };
        let result = turn.into_result(agent, &prompt)?;
        if let (Origin::Replayed, Some(listener)) = (origin, &listener) {
            retell(&result, listener);
        }
        // The record contains what the turn added; the earlier history is in memory.
        Ok(result.with_history(options.history).with_replayed(replayed.usage()))
    }

    /// Where the run begins. If it continues a run in which the model made too many mistakes, it tells the model the mistakes,
    /// and allows as many again.
    fn continued(&mut self, flow: &FlowOptions) -> Continued {
        let subject = || self.agent.subject(self.prompt.clone(), self.options.history.clone());
        let continued = match flow.is_fresh() {
            true => Continued::nothing(),
            false => Continued::find(subject, self.budget.as_ref()),
        };
        if continued.wrong() > 0 {
            let limits = self.options.limits.unwrap_or(self.agent.agent.parts.limits);
            let times = limits.tool_retries.saturating_add(1).saturating_mul(continued.wrong().saturating_add(1));
            self.options.limits = Some(limits.tool_retries(times - 1));
        }
        continued
    }
}

impl<T: Serialize + DeserializeOwned + Send + 'static> KitaruAgent<T> {
    fn subject(&self, prompt: Prompt, history: History) -> Subject {
        let (agent, version, granularity) = (self.agent.identity(), self.version.clone(), self.granularity);
        Subject { agent, version, granularity, prompt, history }
    }
}

/// The agent with a checkpoint around its model, around each tool and around each computation of instructions. In the body of a
/// turn they are parts of that, with retries, options and idempotency keys of their own.
fn in_checkpoints<T: Serialize + DeserializeOwned + Send + 'static>(
    durable: &KitaruAgent<T>,
    prompt: &Prompt,
    seams: &Seams,
) -> Agent<(), T> {
    let agent = &durable.agent;
    let prompt = prompt.text();
    agent
        .map_model(|model| -> Arc<dyn Model> { Arc::new(DurableModel::new(seams.clone(), model, agent.parts.price)) })
        .map_tools(|tool| -> Arc<dyn Tool> {
            let options = durable.options_of(tool.definition());
            let tool = DurableTool::new(seams.clone(), tool, options);
            match options.recording() {
                Recording::On => Arc::new(ApprovedTool::new(tool, options.approval())),
                Recording::Off => Arc::new(tool),
            }
        })
        .map_instructions(|part| -> Arc<dyn Instructions> {
            if part.fixed().is_some() { part } else { Arc::new(DurableInstructions::new(seams.clone(), &prompt, part)) }
        })
}

fn events<T: Send + 'static>(listener: Option<&Listener<T>>) -> Events<T> {
    let Some(listener) = listener.cloned() else { return Events::unheard() };
    Events::new(move |event| {
        listener(event);
        futures::future::ready(()).boxed()
    })
}

/// Sends the events of a turn that comes from its record.
fn retell<T>(result: &RunResult<T>, listener: &Listener<T>) {
    // Messages after the last response close the conversation: the run sent no events of them.
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
                // Messages do not show which calls reached a tool and which the tool sent back; the sum is known.
                listener(RunEvent::Usage(if usage.requests == responses { result.usage } else { usage }));
            }
        }
    }
}

/// The number of calls in a turn, for its log line.
fn summary<T>(turn: &Result<TurnRecord<T>, TurnFailure>, occasion: Occasion) -> String {
    let Ok(turn) = turn else { return "failed".to_owned() };
    let Usage { requests, tool_calls, .. } = turn.usage.into();
    summary_of_calls(requests, tool_calls, occasion)
}
