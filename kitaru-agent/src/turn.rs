//! The loop of a run: request, tool calls, request, until the model answers.
//!
//! Owns the loop and its bounds. Must not know durability: it contains no clock, no randomness and no I/O, so equal answers of
//! model and tools make equal runs. Files of the prompt are read before its first request.

mod calls;
mod countable;
#[cfg(test)]
mod tests;
mod wrong;

use std::collections::BTreeMap;

use self::wrong::{What, Wrong};
use crate::agent::{Agent, PARAGRAPH};
use crate::budget::Budget;
use crate::context::RunContext;
use crate::error::{AgentError, ToolError};
use crate::event::{Events, RunEvent};
use crate::files;
use crate::message::{Message, ModelResponse, RequestMessage, RequestPart, RetryPrompt, ToolCall, ToolReturn};
use crate::model::{AnswerForm, ModelRequest};
use crate::options::RunOptions;
use crate::output::ANSWER_TOOL;
use crate::prompt::Prompt;
use crate::result::RunResult;
use crate::usage::{Bounds, Limits, Usage};

/// The outcome of one step of a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Step<T = String> {
    /// The model's response. Its tool calls have not been made yet.
    Response(ModelResponse),
    /// The outputs of the tools, which the model will receive.
    Told(RequestMessage),
    /// The model has answered.
    Finished(RunResult<T>),
}

/// A run in progress, one step at a time.
pub(crate) struct Turn<T> {
    agent: Agent<(), T>,
    request: ModelRequest,
    /// How many messages of the request are older than the run.
    earlier: usize,
    limits: Limits,
    /// The budget that it shares with other runs.
    budget: Option<Budget>,
    context: RunContext,
    wrong: Wrong,
    /// An answer did not say what it used.
    is_unsure: bool,
    next: Next,
}

enum Next {
    Begin,
    Ask,
    Act(ModelResponse),
    Over,
}

/// What follows from a response.
enum Reaction<T> {
    /// The model receives this.
    Told(RequestMessage),
    /// The model has answered. It receives this if the conversation continues.
    Answered(T, Option<RequestMessage>),
}

impl<T: Send + 'static> Turn<T> {
    pub(crate) fn new(agent: Agent<(), T>, prompt: Prompt, options: RunOptions, budget: Option<Budget>) -> Self {
        let context = RunContext::new(prompt.shown());
        let mut messages = options.history.into_messages();
        let earlier = messages.len();
        messages.push(Message::Request(prompt.into_message()));
        let mut request = ModelRequest::new(messages);
        request.settings = agent.parts.settings.clone().overridden_by(&options.settings);
        let limits = options.limits.unwrap_or(agent.parts.limits);
        Self {
            agent,
            request,
            earlier,
            limits,
            budget,
            context,
            wrong: Wrong::default(),
            is_unsure: false,
            next: Next::Begin,
        }
    }

    /// Continues to the end.
    pub(crate) async fn run(&mut self, events: &Events<T>) -> Result<RunResult<T>, AgentError> {
        loop {
            if let Some(Step::Finished(result)) = self.step(events).await? {
                return Ok(result);
            }
        }
    }

    /// The messages before it.
    pub(crate) fn history(&self) -> &[Message] {
        &self.request.messages[..self.earlier]
    }

    /// Its cost so far.
    pub(crate) fn usage(&self) -> Usage {
        self.context.usage
    }

    fn count(&mut self, usage: Usage) {
        self.context.usage += usage;
        if let Some(budget) = &self.budget {
            budget.add(usage);
        }
    }

    /// One step: a request and its response, or the work that a response asks for. `None` once the run has ended.
    ///
    /// A dropped step counts as not begun; a failed step is the last.
    pub(crate) async fn step(&mut self, events: &Events<T>) -> Result<Option<Step<T>>, AgentError> {
        let step = match self.next {
            Next::Over => return Ok(None),
            Next::Begin => match self.begin().await {
                Ok(()) => self.ask(events).await,
                Err(error) => Err(error),
            },
            Next::Ask => self.ask(events).await,
            Next::Act(_) => self.act(events).await,
        };
        if step.is_err() {
            self.next = Next::Over;
        }
        step.map(Some)
    }

    async fn begin(&mut self) -> Result<(), AgentError> {
        let parts = &self.agent.parts;
        let (form, tool) = parts
            .output
            .form(parts.model.profile())
            .map_err(|reason| AgentError::Invalid { agent: parts.name.clone(), reason })?;
        files::read_all(&mut self.request.messages).await.map_err(AgentError::Prompt)?;
        let mut instructions = Vec::new();
        for part in &parts.instructions {
            instructions.push(part.text(self.context.clone()).await.map_err(AgentError::Instructions)?);
        }
        instructions.retain(|text| !text.is_empty());
        self.request.instructions = (!instructions.is_empty()).then(|| instructions.join(PARAGRAPH));
        self.request.tools = parts.tools.iter().map(|tool| tool.definition().for_model()).chain(tool).collect();
        self.request.answer = form;
        self.next = Next::Ask;
        Ok(())
    }

    async fn ask(&mut self, events: &Events<T>) -> Result<Step<T>, AgentError> {
        self.check_request()?;
        let model = &self.agent.parts.model;
        let response = match events.deltas() {
            Some(deltas) => model.request_streaming(&self.request, &deltas).await?,
            None => model.request(&self.request).await?,
        };
        let response = response.priced(&self.agent.parts.price);
        self.note_usage(&response);
        self.count(response.usage());
        self.next = Next::Act(response.clone());
        events.send(RunEvent::Usage(self.context.usage)).await;
        Ok(Step::Response(response))
    }

    fn check_request(&self) -> Result<(), AgentError> {
        self.check_countable()?;
        let limits = Bounds::from(self.limits).check_request(&self.context.usage);
        limits.map_err(|(limit, bound)| AgentError::Limit { limit, bound })?;
        self.budget.as_ref().map_or(Ok(()), Budget::check_request)
    }

    fn check_tool_calls(&self, more: u64) -> Result<(), AgentError> {
        let limits = Bounds::from(self.limits).check_tool_calls(&self.context.usage, more);
        limits.map_err(|(limit, bound)| AgentError::Limit { limit, bound })?;
        self.budget.as_ref().map_or(Ok(()), |budget| budget.check_tool_calls(more))
    }

    async fn act(&mut self, events: &Events<T>) -> Result<Step<T>, AgentError> {
        let Next::Act(response) = &self.next else { unreachable!("only a response is acted on") };
        let response = response.clone();
        let acted = self.react(&response).await?;
        self.request.messages.push(Message::Response(response));
        match acted {
            Reaction::Told(message) => {
                for part in &message.parts {
                    events.send(RunEvent::Told(part.clone())).await;
                }
                self.request.messages.push(Message::Request(message.clone()));
                self.next = Next::Ask;
                Ok(Step::Told(message))
            }
            Reaction::Answered(answer, message) => {
                self.request.messages.extend(message.map(Message::Request));
                let mut messages = std::mem::take(&mut self.request.messages);
                let new_messages = messages.split_off(self.earlier);
                self.next = Next::Over;
                let result = RunResult::new(answer, new_messages, self.context.usage);
                Ok(Step::Finished(result.with_history(messages)))
            }
        }
    }

    async fn react(&mut self, response: &ModelResponse) -> Result<Reaction<T>, AgentError> {
        let calls: Vec<_> = response.tool_calls().collect();
        let by_tool = self.request.answer == AnswerForm::Tool;
        // The first call that gives an answer ends the run; the other calls are not made.
        let mut no_answers = BTreeMap::new();
        for (nth, call) in calls.iter().enumerate().filter(|(_, call)| by_tool && call.tool == ANSWER_TOOL) {
            match self.read(call.arguments.clone()).await? {
                Ok(answer) => return Ok(Reaction::Answered(answer, Some(closing(&calls, nth)))),
                Err(message) => drop(no_answers.insert(nth, message)),
            }
        }
        if !calls.is_empty() {
            return self.call_tools(&calls, no_answers).await.map(Reaction::Told);
        }
        let read = if by_tool {
            Err(format!("answer by a call of `{ANSWER_TOOL}`, not in words"))
        } else {
            self.read(response.output()).await?
        };
        match read {
            Ok(answer) => Ok(Reaction::Answered(answer, None)),
            Err(message) => {
                self.wrong.count([(What::Answer, message.clone())], self.limits.tool_retries)?;
                let part = RequestPart::RetryPrompt(RetryPrompt::answer(message));
                Ok(Reaction::Told(RequestMessage::new(vec![part])))
            }
        }
    }

    /// A read and validated answer, or what to tell the model.
    async fn read(&self, text: String) -> Result<Result<T, String>, AgentError> {
        let output = &self.agent.parts.output;
        let mut context = self.context.clone();
        context.retry = self.wrong.times(&What::Answer);
        let validated = match output.read(text) {
            Ok(answer) => output.validated(&context, answer).await,
            Err(error) => Err(error),
        };
        match validated {
            Ok(answer) => Ok(Ok(answer)),
            Err(ToolError::Retry(message)) => Ok(Err(message)),
            Err(failed) => Err(AgentError::Validator(failed)),
        }
    }
}

/// The outputs of all calls after one of them ended the run: a conversation with an open call could not continue.
fn closing(calls: &[&ToolCall], answer: usize) -> RequestMessage {
    let part = |(nth, call): (usize, &&ToolCall)| {
        let content = if nth == answer { "the answer was taken" } else { "not called, for the answer was given" };
        RequestPart::ToolReturn(ToolReturn::new(call.call_ref(), content))
    };
    RequestMessage::new(calls.iter().enumerate().map(part).collect())
}
