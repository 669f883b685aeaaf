//! The loop against functions instead of a model and tools.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::{Barrier, Mutex};

use super::*;
use crate::error::{Limit, ModelError, ModelErrorKind};
use crate::function_model::FunctionModel;
use crate::message::ResponsePart;
use crate::model::{Model, ModelSettings};
use crate::run::Run;
use crate::tokens::Tokens;
use crate::tool::{FunctionTool, Invocation, Tool, ToolDefinition, ToolOutput};
use crate::usage::Usage;

fn tool_calls(calls: &[(&str, &str)]) -> ModelResponse {
    let part = |(i, (tool, arguments)): (usize, &(&str, &str))| {
        ResponsePart::ToolCall(ToolCall::new(format!("call_{i}"), *tool, *arguments))
    };
    ModelResponse::new(calls.iter().enumerate().map(part).collect()).with_tokens(Tokens::new(10, 1))
}

/// A model that sends these responses in turn, and "done" after them.
fn script(responses: Vec<ModelResponse>) -> FunctionModel {
    let said = AtomicUsize::new(0);
    FunctionModel::new("script", move |_| {
        let next = said.fetch_add(1, Ordering::Relaxed);
        Ok(responses.get(next).cloned().unwrap_or_else(|| ModelResponse::text("done")))
    })
}

fn echo() -> FunctionTool {
    FunctionTool::new(ToolDefinition::new("echo", "Says it again."), |call| async move {
        Ok(ToolOutput::text(call.arguments.as_str()))
    })
}

fn failing(name: &'static str, error: ToolError) -> FunctionTool {
    FunctionTool::new(ToolDefinition::new(name, ""), move |_| std::future::ready(Err(error.clone())))
}

/// The last request's parts about tool calls.
fn last_parts(model: &FunctionModel) -> Vec<RequestPart> {
    match model.seen().pop().and_then(|mut request| request.messages.pop()) {
        Some(Message::Request(message)) => message.parts,
        other => panic!("expected a request message, found {other:?}"),
    }
}

#[test]
fn a_run_its_agent_and_the_seams_can_go_to_another_thread() {
    fn sendable<T: Send + 'static>() {}
    fn shared<T: Send + Sync + 'static>() {}
    sendable::<Run>();
    shared::<Agent>();
    shared::<Arc<dyn Model>>();
    shared::<Arc<dyn Tool>>();
    shared::<AgentError>();
}

#[tokio::test]
async fn run_does_nothing_before_it_is_polled() {
    let model = script(vec![]);
    let agent = Agent::builder(model.clone()).build().unwrap();
    drop(agent.run("hello"));
    assert_eq!(model.requests(), 0);
}

#[tokio::test]
async fn a_run_ends_with_the_first_answer_without_tool_calls_and_counts_what_it_cost() {
    let model = script(vec![tool_calls(&[("echo", "{}"), ("echo", "")])]);
    let agent = Agent::builder(model.clone()).instructions("Be brief.").tool(echo()).build().unwrap();
    let result = agent.run("go").await.unwrap();
    assert_eq!(result.output, "done");
    assert_eq!(result.usage, Usage { requests: 2, tool_calls: 2, tokens: Tokens::new(10, 1), ..Usage::default() });
    assert_eq!(result.new_messages.len(), 4);
    let first = &model.seen()[0];
    assert_eq!((first.instructions.as_deref(), first.prompt()), (Some("Be brief."), Some("go")));
    assert_eq!(first.tools, [echo().definition().clone()]);
}

#[tokio::test]
async fn parallel_tool_calls_run_concurrently_and_answer_in_the_order_of_the_calls() {
    // The barrier opens only when all three are running; then the last call ends first.
    let barrier = Arc::new(Barrier::new(3));
    let finished = Arc::new(Mutex::new(Vec::new()));
    let (seen, turn) = (finished.clone(), Arc::new(tokio::sync::Notify::new()));
    let tool = FunctionTool::new(ToolDefinition::new("slow", ""), move |call| {
        let (barrier, finished, turn) = (barrier.clone(), finished.clone(), turn.clone());
        async move {
            barrier.wait().await;
            let n: usize = call.arguments.parse::<std::collections::BTreeMap<String, usize>>()?["n"];
            while finished.lock().await.len() < 2 - n {
                turn.notified().await;
            }
            finished.lock().await.push(n);
            turn.notify_waiters();
            Ok(ToolOutput::text(format!("gave {n}")))
        }
    });
    let model = script(vec![tool_calls(&[("slow", r#"{"n":0}"#), ("slow", r#"{"n":1}"#), ("slow", r#"{"n":2}"#)])]);
    Agent::builder(model.clone()).tool(tool).build().unwrap().run("go").await.unwrap();
    assert_eq!(*seen.lock().await, [2, 1, 0]);
    let given: Vec<_> = model.seen()[1].tool_returns().iter().map(|r| (r.call.id.clone(), r.content.clone())).collect();
    let expected = [0, 1, 2].map(|n| (format!("call_{n}"), format!("gave {n}")));
    assert_eq!(given, expected);
}

#[tokio::test]
async fn the_futures_of_all_calls_are_made_in_order_before_the_first_is_polled() {
    struct Eager(ToolDefinition, Arc<std::sync::Mutex<Vec<String>>>);
    impl Tool for Eager {
        fn definition(&self) -> &ToolDefinition {
            &self.0
        }
        fn call<'life0, 'async_trait>(
            &'life0 self,
            call: Invocation,
        ) -> futures::future::BoxFuture<'async_trait, Result<ToolOutput, ToolError>>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            self.1.lock().unwrap().push(format!("made {}", call.call.id));
            Box::pin(async move {
                self.1.lock().unwrap().push(format!("polled {}", call.call.id));
                Ok(ToolOutput::text(""))
            })
        }
    }
    let log = Arc::default();
    let calls: Vec<_> = (0..40).map(|_| ("eager", "{}")).collect();
    let tool = Eager(ToolDefinition::new("eager", ""), Arc::clone(&log));
    Agent::builder(script(vec![tool_calls(&calls)])).tool(Arc::new(tool)).build().unwrap().run("go").await.unwrap();
    let made = (0..40).map(|n| format!("made call_{n}"));
    let expected: Vec<_> = made.chain((0..40).map(|n| format!("polled call_{n}"))).collect();
    assert_eq!(*log.lock().unwrap(), expected);
}

#[tokio::test]
async fn malformed_arguments_and_unknown_tools_go_back_to_the_model() {
    let model = script(vec![tool_calls(&[("echo", "{oops"), ("shout", "{}"), ("echo", "[1]"), ("echo", "{}")])]);
    let result = Agent::builder(model.clone()).tool(echo()).build().unwrap().run("go").await.unwrap();
    assert_eq!(result.usage.tool_calls, 1);
    let parts = last_parts(&model);
    let [
        RequestPart::RetryPrompt(no_json),
        RequestPart::RetryPrompt(unknown),
        RequestPart::RetryPrompt(no_object),
        rest,
    ] = &parts[..]
    else {
        panic!("{parts:?}")
    };
    assert!(no_json.content.contains("not a JSON object"), "{}", no_json.content);
    assert_eq!(unknown.content, "there is no tool `shout`; there are `echo`");
    assert!(no_object.content.contains("not a JSON object"), "{}", no_object.content);
    assert!(matches!(rest, RequestPart::ToolReturn(given) if given.call.id == "call_3"));
}

#[tokio::test]
async fn a_retry_of_a_tool_goes_back_to_the_model_and_the_tool_knows_how_often() {
    let tool = FunctionTool::new(ToolDefinition::new("shy", ""), |call| async move {
        if call.context.retry < 2 {
            Err(ToolError::retry(format!("not yet ({})", call.context.retry)))
        } else {
            Ok(ToolOutput::text("ok"))
        }
    });
    let model = script(vec![tool_calls(&[("shy", "{}")]); 3]);
    Agent::builder(model.clone()).tool(tool).build().unwrap().run("go").await.unwrap();
    let RequestPart::RetryPrompt(second) = &model.seen()[2].messages.last().map(parts_of).unwrap()[0] else { panic!() };
    assert_eq!((second.content.as_str(), model.requests()), ("not yet (1)", 4));
}

fn parts_of(message: &Message) -> Vec<RequestPart> {
    match message {
        Message::Request(request) => request.parts.clone(),
        Message::Response(_) => Vec::new(),
    }
}

#[tokio::test]
async fn retries_in_a_row_are_bounded_for_each_tool_and_the_error_has_the_last_mistake() {
    let model = script(vec![tool_calls(&[("no", "{}")]); 9]);
    let agent = Agent::builder(model.clone()).tool(failing("no", ToolError::retry("never"))).build().unwrap();
    let error = agent.run("go").await.unwrap_err();
    let expected =
        "cannot finish the run: the model got the call of tool `no` wrong 3 times in a row, the last time with: never";
    assert_eq!((error.to_string().as_str(), model.requests()), (expected, 3));
    assert!(agent.run("go").limits(Limits::default().tool_retries(0)).await.is_err());
    assert_eq!(model.requests(), 4);
}

#[tokio::test]
async fn right_call_in_between_resets_the_count() {
    let (wrong, right) = (tool_calls(&[("echo", "{")]), tool_calls(&[("echo", "{}")]));
    let responses = vec![wrong.clone(), wrong.clone(), right, wrong.clone(), wrong];
    let result = Agent::builder(script(responses)).tool(echo()).build().unwrap().run("go").await.unwrap();
    assert_eq!(result.usage.requests, 6);
}

#[tokio::test]
async fn an_empty_answer_is_asked_for_again_within_the_bound() {
    let model = script(vec![ModelResponse::text(" \n")]);
    let agent = Agent::builder(model).build().unwrap();
    assert_eq!(agent.run("go").await.unwrap().usage.requests, 2);
    let silent = Agent::builder(script(vec![ModelResponse::text(""); 9])).build().unwrap();
    let error = silent.run("go").await.unwrap_err();
    assert!(matches!(error, AgentError::TooManyRetries { times: 3, .. }), "{error}");
}

#[tokio::test]
async fn a_failed_tool_ends_the_run_after_the_other_calls_have_ended_and_keeps_the_chain() {
    let finished = Arc::new(AtomicUsize::new(0));
    let count = finished.clone();
    let slow = FunctionTool::new(ToolDefinition::new("slow", ""), move |_| {
        let count = count.clone();
        async move {
            tokio::task::yield_now().await;
            count.fetch_add(1, Ordering::Relaxed);
            Ok(ToolOutput::text(""))
        }
    });
    let io = std::io::Error::other(ModelError::new(ModelErrorKind::Other, "no disk"));
    let broken = failing("broken", ToolError::failed(io));
    let model = script(vec![tool_calls(&[("broken", "{}"), ("slow", "{}")])]);
    let agent = Agent::builder(model).tool(broken).tool(slow).build().unwrap();
    let error = agent.run("go").await.unwrap_err();
    assert_eq!(finished.load(Ordering::Relaxed), 1);
    assert_eq!(error.to_string(), "cannot finish the run: tool `broken` failed: no disk", "it says why by itself");
    assert!(std::error::Error::source(&error).is_none(), "and not a second time in a chain");
    let stored = serde_json::to_string(&error).unwrap();
    assert_eq!(serde_json::from_str::<AgentError>(&stored).unwrap(), error);
}

#[tokio::test]
async fn limits_are_looked_at_before_the_next_thing_is_paid_for() {
    let model = script(vec![tool_calls(&[("echo", "{}"), ("echo", "{}")]); 99]);
    let agent = Agent::builder(model.clone()).tool(echo()).build().unwrap();
    let error = agent.run("go").await.unwrap_err();
    assert_eq!(error, AgentError::Limit { limit: Limit::Requests, bound: 50 });
    assert_eq!(model.requests(), 50);
    let error = agent.run("go").limits(Limits::default().tool_calls(3)).await.unwrap_err();
    assert_eq!(error, AgentError::Limit { limit: Limit::ToolCalls, bound: 3 });
    assert_eq!(model.requests(), 52);
    let error = agent.run("go").limits(Limits::default().total_tokens(22)).await.unwrap_err();
    assert_eq!(error, AgentError::Limit { limit: Limit::TotalTokens, bound: 22 });
    assert_eq!(model.requests(), 54);
}

#[tokio::test]
async fn an_error_of_the_model_ends_the_run() {
    let error = ModelError::new(ModelErrorKind::Unavailable, "down");
    let given = error.clone();
    let agent = Agent::builder(FunctionModel::new("m", move |_| Err(given.clone()))).build().unwrap();
    assert_eq!(agent.run("go").await.unwrap_err(), AgentError::Model(error));
}

#[tokio::test]
async fn a_history_goes_in_and_the_whole_conversation_comes_out() {
    let agent = Agent::builder(script(vec![])).build().unwrap();
    let first = agent.run("one").await.unwrap();
    let second = agent.run("two").history(first.all_messages()).await.unwrap();
    assert_eq!((second.new_messages.len(), second.all_messages().len()), (2, 4));
    assert_eq!(second.all_messages().messages()[..2], first.all_messages().messages()[..]);
}

#[tokio::test]
async fn a_stored_result_holds_only_what_the_run_added_and_takes_its_history_back() {
    let agent = Agent::builder(script(vec![])).build().unwrap();
    let first = agent.run("earlier").await.unwrap();
    let second = agent.run("two").history(first.all_messages()).await.unwrap();
    let stored = serde_json::to_string(&second).unwrap();
    assert!(!stored.contains("earlier"), "{stored}");
    let read: RunResult = serde_json::from_str(&stored).unwrap();
    assert_eq!((read.paid(), read.replayed()), (Usage::default(), second.usage), "what is read back is not paid for");
    assert_eq!(read.with_history(first.all_messages()).with_replayed(second.replayed()), second);

    let config = bincode::config::standard();
    let bytes = bincode::serde::encode_to_vec(&second, config).unwrap();
    let (read, _): (RunResult, _) = bincode::serde::decode_from_slice(&bytes, config).unwrap();
    assert_eq!(read.with_history(first.all_messages()).with_replayed(second.replayed()), second);
}

#[tokio::test]
async fn settings_of_a_run_take_the_place_of_the_agents_one_by_one() {
    let model = script(vec![]);
    let settings = ModelSettings::default().temperature(0.5).max_tokens(9);
    let agent = Agent::builder(model.clone()).settings(settings.clone()).build().unwrap();
    agent.run("go").settings(ModelSettings::default().max_tokens(5)).await.unwrap();
    assert_eq!(model.seen()[0].settings, settings.max_tokens(5));
}

#[tokio::test]
async fn decorators_see_every_request_and_call_and_keep_the_agents_identity() {
    struct Loud<T: ?Sized>(Arc<T>, Arc<AtomicUsize>);
    #[async_trait]
    impl Model for Loud<dyn Model> {
        fn name(&self) -> &str {
            self.0.name()
        }
        async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.request(request).await
        }
    }
    #[async_trait]
    impl Tool for Loud<dyn Tool> {
        fn definition(&self) -> &ToolDefinition {
            self.0.definition()
        }
        async fn call(&self, call: Invocation) -> Result<ToolOutput, ToolError> {
            self.1.fetch_add(100, Ordering::Relaxed);
            self.0.call(call).await
        }
    }
    let count = Arc::new(AtomicUsize::new(0));
    let model = script(vec![tool_calls(&[("echo", "{}"), ("echo", "{}")])]);
    let plain = Agent::builder(model).name("a").tool(echo()).build().unwrap();
    let wrapped = plain
        .map_model(|model| Arc::new(Loud(model, count.clone())))
        .map_tools(|tool| Arc::new(Loud(tool, count.clone())));
    assert_eq!(wrapped.identity(), plain.identity());
    wrapped.run("go").await.unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 202);
    plain.run("go").await.unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 202);
}

#[test]
fn an_identity_changes_with_everything_that_decides_what_the_agent_does() {
    let build = |name: &str, instructions: &str, model: &str, temperature: f64, schema: serde_json::Value| {
        let tool =
            FunctionTool::new(ToolDefinition::new("t", "").parameters(schema), |_| async { Ok(ToolOutput::text("")) });
        let model = FunctionModel::new(model, |_| Ok(ModelResponse::text("")));
        let settings = ModelSettings::default().temperature(temperature);
        let agent = Agent::builder(model).name(name).instructions(instructions).settings(settings).tool(tool);
        serde_json::to_string(&agent.build().unwrap().identity()).unwrap()
    };
    let schema = json!({ "type": "object" });
    let base = build("n", "i", "m", 0.1, schema.clone());
    assert_eq!(base, build("n", "i", "m", 0.1, schema.clone()));
    for other in [
        build("x", "i", "m", 0.1, schema.clone()),
        build("n", "x", "m", 0.1, schema.clone()),
        build("n", "i", "x", 0.1, schema.clone()),
        build("n", "i", "m", 0.2, schema),
        build("n", "i", "m", 0.1, json!({ "type": "object", "required": [] })),
    ] {
        assert_ne!(base, other);
    }
}

#[test]
fn an_agent_with_two_tools_of_one_name_or_a_name_that_providers_refuse_is_not_built() {
    let error = Agent::builder(script(vec![])).tool(echo()).tool(echo()).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot use agent `default` as it is described: two tools are named `echo`; rename one of them"
    );
    let odd = failing("say it", ToolError::retry(""));
    let error = Agent::builder(script(vec![])).tool(odd).build().unwrap_err();
    assert!(error.to_string().contains("`say it`"), "{error}");
    assert!(Agent::builder(script(vec![])).name("").build().is_err());
}
