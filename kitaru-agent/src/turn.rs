//! How a run goes: request, tool calls, request, until the model answers.
//!
//! Owns the loop and its bounds. Must not know of durability: it holds no clock, no randomness and no I/O of its own,
//! so that the same answers of model and tools make the same run.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use futures::future::join_all;

use crate::{
    Agent, AgentError, Arguments, Invocation, Limit, Limits, Message, ModelRequest, ModelResponse, RequestMessage,
    RequestPart, RetryPrompt, RunOptions, RunResult, ToolCall, ToolError, ToolReturn, Usage,
};

/// What a model can get wrong, counted apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    Answer,
    UnknownTool,
    Tool(String),
}

impl Wrong {
    fn describe(&self) -> String {
        match self {
            Self::Answer => "its answer".to_owned(),
            Self::UnknownTool => "the name of a tool".to_owned(),
            Self::Tool(name) => format!("the call of tool `{name}`"),
        }
    }
}

/// One tool call of a response, looked at.
enum Checked<'a> {
    Fits { call: &'a ToolCall, tool: usize, arguments: Arguments },
    Wrong { call: &'a ToolCall, what: Wrong, message: String },
}

struct Turn {
    agent: Agent,
    limits: Limits,
    usage: Usage,
    /// How many times in a row, up to the last response.
    wrong: BTreeMap<Wrong, u32>,
}

pub(crate) async fn run(agent: Agent, prompt: String, options: RunOptions) -> Result<RunResult, AgentError> {
    let identity = agent.identity();
    let mut messages = options.history.into_messages();
    let earlier = messages.len();
    messages.push(Message::Request(RequestMessage::user(prompt)));
    let mut request = ModelRequest::new(messages);
    request.instructions = identity.instructions;
    request.tools = identity.tools;
    request.settings = identity.settings.overridden_by(&options.settings);

    let limits = options.limits.unwrap_or(agent.parts.limits);
    let mut turn = Turn { agent, limits, usage: Usage::default(), wrong: BTreeMap::new() };
    loop {
        turn.check_limits()?;
        let response = turn.agent.parts.model.request(&request).await?;
        turn.usage.requests += 1;
        turn.usage.tokens += response.tokens;
        let answer = turn.answer(&response).await?;
        let output = response.output();
        request.messages.push(Message::Response(response));
        match answer {
            Some(parts) => request.messages.push(Message::Request(RequestMessage::new(parts))),
            None => {
                let new_messages = request.messages.split_off(earlier);
                return Ok(RunResult::new(output, new_messages, turn.usage).with_history(request.messages));
            }
        }
    }
}

impl Turn {
    fn check_limits(&self) -> Result<(), AgentError> {
        if self.usage.requests >= self.limits.requests {
            return Err(AgentError::Limit { limit: Limit::Requests, bound: self.limits.requests });
        }
        let used = self.usage.tokens.input.saturating_add(self.usage.tokens.output);
        match self.limits.total_tokens {
            Some(bound) if used >= bound => Err(AgentError::Limit { limit: Limit::TotalTokens, bound }),
            _ => Ok(()),
        }
    }

    /// What to say to the model next; nothing if it has answered.
    async fn answer(&mut self, response: &ModelResponse) -> Result<Option<Vec<RequestPart>>, AgentError> {
        let calls: Vec<_> = response.tool_calls().map(|call| self.check(call)).collect();
        if !calls.is_empty() {
            return self.call_tools(calls).await.map(Some);
        }
        if !response.output().trim().is_empty() {
            return Ok(None);
        }
        let message = "the answer was empty; answer in text, or call a tool".to_owned();
        self.count([(Wrong::Answer, message.clone())])?;
        Ok(Some(vec![RequestPart::RetryPrompt(RetryPrompt::answer(message))]))
    }

    fn check<'a>(&self, call: &'a ToolCall) -> Checked<'a> {
        let tools = &self.agent.parts.tools;
        let Some(tool) = tools.iter().position(|tool| tool.definition().name == call.tool) else {
            let known: Vec<_> = tools.iter().map(|tool| format!("`{}`", tool.definition().name)).collect();
            let known =
                if known.is_empty() { "there are none".into() } else { format!("there are {}", known.join(", ")) };
            let message = format!("there is no tool `{}`; {known}", call.tool);
            return Checked::Wrong { call, what: Wrong::UnknownTool, message };
        };
        match Arguments::of(call) {
            Ok(arguments) => Checked::Fits { call, tool, arguments },
            Err(error) => Checked::Wrong { call, what: Wrong::Tool(call.tool.clone()), message: error.to_string() },
        }
    }

    /// Runs the calls of one response at once; the answers are in the order of the calls.
    async fn call_tools(&mut self, calls: Vec<Checked<'_>>) -> Result<Vec<RequestPart>, AgentError> {
        let fitting = calls.iter().filter(|call| matches!(call, Checked::Fits { .. })).count() as u64;
        if self.usage.tool_calls + fitting > self.limits.tool_calls {
            return Err(AgentError::Limit { limit: Limit::ToolCalls, bound: self.limits.tool_calls });
        }
        self.usage.tool_calls += fitting;

        // All futures are made before the first is polled: whoever numbers calls when they are made numbers them in
        // order.
        let mut futures = Vec::new();
        for checked in &calls {
            if let Checked::Fits { call, tool, arguments } = checked {
                let mut invocation = Invocation::new(call.call_ref(), arguments.clone());
                invocation.retry = self.wrong.get(&Wrong::Tool(call.tool.clone())).copied().unwrap_or(0);
                futures.push((*self.agent.parts.tools[*tool]).call(invocation));
            }
        }
        // All are waited for, even when one fails: what the others did has happened.
        let mut outcomes = join_all(futures).await.into_iter();

        let mut parts = Vec::with_capacity(calls.len());
        let mut wrong = Vec::new();
        for checked in calls {
            let (call, what, message) = match checked {
                Checked::Wrong { call, what, message } => (call, what, message),
                Checked::Fits { call, .. } => match outcomes.next() {
                    Some(Ok(output)) => {
                        parts.push(RequestPart::ToolReturn(ToolReturn::new(call.call_ref(), output.content)));
                        continue;
                    }
                    Some(Err(ToolError::Retry(message))) => (call, Wrong::Tool(call.tool.clone()), message),
                    Some(Err(error)) => return Err(AgentError::Tool { tool: call.tool.clone(), error }),
                    None => continue,
                },
            };
            parts.push(RequestPart::RetryPrompt(RetryPrompt::call(call.call_ref(), &message)));
            wrong.push((what, message));
        }
        self.count(wrong)?;
        Ok(parts)
    }

    /// Counts what this response got wrong; what it did not get wrong begins anew.
    fn count(&mut self, wrong: impl IntoIterator<Item = (Wrong, String)>) -> Result<(), AgentError> {
        let before = std::mem::take(&mut self.wrong);
        for (what, last) in wrong {
            let times = before.get(&what).copied().unwrap_or(0) + 1;
            if times > self.limits.tool_retries {
                return Err(AgentError::TooManyRetries { what: what.describe(), times, last });
            }
            self.wrong.insert(what, times);
        }
        Ok(())
    }
}
