//! Runs of the durable agent: their events, payments, typed answers, options of tools.
#![cfg(feature = "agent")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::future::IntoFuture;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};
use std::time::Duration;

use async_trait::async_trait;
use kitaru::agent::{
    Agent, AgentError, Cost, Delta, Deltas, FunctionModel, FunctionTool, KitaruAgent, Model, ModelError, ModelRequest,
    ModelResponse, Price, RequestPart, RunContext, RunError, RunEvent, TestModel, Tokens, ToolDefinition, ToolError,
    ToolOptions, ToolOutput,
};
use kitaru::{Clock, Error, Kitaru, dynamic};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

async fn store() -> Kitaru {
    Kitaru::builder().in_memory().open().await.unwrap()
}

#[derive(PartialEq, Clone, Copy)]
enum Ends {
    Well,
    InAnError,
}

/// A model that looks once and then says what it saw, in pieces if it streams; each request costs.
struct Speaker(AtomicU32);

impl Speaker {
    fn answer(&self, request: &ModelRequest) -> ModelResponse {
        self.0.fetch_add(1, Ordering::Relaxed);
        let answer = match request.tool_returns().last() {
            None => ModelResponse::tool_call("call_1", "look", "{}"),
            Some(seen) => ModelResponse::text(format!("I see {}", seen.content)),
        };
        answer.with_tokens(Tokens::new(1_000, 100))
    }
}

#[async_trait]
impl Model for Speaker {
    fn name(&self) -> &str {
        "speaker"
    }

    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        Ok(self.answer(request))
    }

    async fn request_streaming(&self, request: &ModelRequest, deltas: &Deltas) -> Result<ModelResponse, ModelError> {
        let answer = self.answer(request);
        let text = answer.output();
        for word in text.split_inclusive(' ').filter(|word| !word.is_empty()) {
            deltas.send(Delta::Text(word.to_owned())).await;
        }
        for call in answer.tool_calls() {
            deltas.send(Delta::ToolCall(call.clone())).await;
        }
        Ok(answer)
    }
}

fn look() -> FunctionTool {
    FunctionTool::new(ToolDefinition::new("look", ""), |_| async { Ok(ToolOutput::text("the sea")) })
}

fn speaker() -> (Agent, Arc<Speaker>) {
    let model = Arc::new(Speaker(AtomicU32::new(0)));
    let agent = Agent::builder(model.clone()).name("seer").tool(look()).price(Price::per_million(1.0, 10.0));
    (agent.build().unwrap(), model)
}

type Heard = Arc<Mutex<Vec<String>>>;

fn shown(event: &RunEvent) -> String {
    match event {
        RunEvent::Text(text) => text.clone(),
        RunEvent::ToolCall(call) => format!("<{}>", call.tool),
        RunEvent::Void => "<void>".to_owned(),
        RunEvent::Usage(usage) => format!("<{} requests, {}>", usage.requests, usage.cost),
        RunEvent::Told(RequestPart::ToolReturn(given)) => format!("<{}>", given.content),
        other => panic!("{other:?}"),
    }
}

/// A flow of one turn, with or without a listener.
async fn one_turn(
    kitaru: &Kitaru,
    agent: &KitaruAgent,
    listener: Option<&Heard>,
    ends: Ends,
) -> Result<[u64; 3], RunError> {
    let (agent, listener) = (agent.clone(), listener.cloned());
    let flow = dynamic::flow("story").run(move || async move {
        let mut run = agent.run("What do you see?");
        if let Some(heard) = listener {
            run = run.on_event(move |event| heard.lock().unwrap().push(shown(&event)));
        }
        let result = run.await?;
        assert_eq!(result.output, "I see the sea");
        let bill = [result.paid().requests, result.replayed().requests, result.paid().cost.nanos()];
        // The bill tells of this attempt alone, so that a flow's own code that reads it may differ.
        match ends {
            Ends::Well => Ok(bill),
            Ends::InAnError => Err(Error::msg(format!("{bill:?}")).into()),
        }
    });
    flow.id("job").on(kitaru).await
}

const WHOLE: [&str; 6] = ["<look>", "<1 requests, 0.002>", "<the sea>", "I see the sea", "<2 requests, 0.004>", ""];

#[tokio::test]
async fn streamed_run_is_streamed_again_from_its_records_and_costs_nothing() {
    for granular in [true, false] {
        let (agent, model) = speaker();
        let (kitaru, agent) = (store().await, KitaruAgent::new(agent).granular_checkpoints(granular));
        let (first, second) = (Heard::default(), Heard::default());
        let error = one_turn(&kitaru, &agent, Some(&first), Ends::InAnError).await.unwrap_err();
        assert!(error.to_string().contains("[2, 0, 4000000]"), "{error}");
        let live = first.lock().unwrap().join("|");
        assert_eq!(live, "<look>|<1 requests, 0.002>|<the sea>|I |see |the |sea|<2 requests, 0.004>");
        assert_eq!(one_turn(&kitaru, &agent, Some(&second), Ends::Well).await.unwrap(), [0, 2, 0]);
        assert_eq!(second.lock().unwrap()[..], WHOLE[..5], "granular: {granular}");
        assert_eq!(model.0.load(Ordering::Relaxed), 2);
    }
}

#[tokio::test]
async fn records_of_streamed_and_plain_runs_are_interchangeable() {
    for granular in [true, false] {
        for heard_first in [true, false] {
            let (agent, model) = speaker();
            let (kitaru, agent) = (store().await, KitaruAgent::new(agent).granular_checkpoints(granular));
            let heard = Heard::default();
            let listener = |heard_now: bool| heard_now.then_some(&heard);
            one_turn(&kitaru, &agent, listener(heard_first), Ends::InAnError).await.unwrap_err();
            one_turn(&kitaru, &agent, listener(!heard_first), Ends::Well).await.unwrap();
            assert_eq!(model.0.load(Ordering::Relaxed), 2, "granular: {granular}, heard first: {heard_first}");
            assert!(!heard.lock().unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn bill_outside_a_flow_is_that_of_this_call_and_earlier_payments_are_replayed() {
    let kitaru = store().await;
    let down = Arc::new(Mutex::new(true));
    let model = {
        let down = down.clone();
        FunctionModel::new("mock", move |request| match request.tool_returns().last() {
            None => Ok(ModelResponse::tool_call("c", "look", "{}").with_tokens(Tokens::new(5, 1))),
            Some(_) if *down.lock().unwrap() => Err(ModelError::new(kitaru::agent::ModelErrorKind::Other, "down")),
            Some(_) => Ok(ModelResponse::text("done").with_tokens(Tokens::new(7, 2))),
        })
    };
    let agent = Agent::builder(model).name("seer").tool(look()).price(Price::per_million(1.0, 1.0)).build().unwrap();
    let agent = KitaruAgent::new(agent);
    agent.run("go").on(&kitaru).await.unwrap_err();
    *down.lock().unwrap() = false;
    let result = agent.run("go").on(&kitaru).await.unwrap();
    let (paid, replayed) = (result.paid(), result.replayed());
    assert_eq!((paid.requests, paid.tool_calls, paid.tokens), (1, 0, Tokens::new(7, 2)));
    assert_eq!((replayed.requests, replayed.tool_calls, replayed.tokens), (1, 1, Tokens::new(5, 1)));
    assert_eq!((paid.cost, replayed.cost), (Cost::from_nanos(9_000), Cost::from_nanos(6_000)));
}

/// A model that breaks off once in the middle of its answer.
struct Torn(AtomicU32);

#[async_trait]
impl Model for Torn {
    fn name(&self) -> &str {
        "torn"
    }

    async fn request(&self, _: &ModelRequest) -> Result<ModelResponse, ModelError> {
        Ok(ModelResponse::text("whole"))
    }

    async fn request_streaming(&self, request: &ModelRequest, deltas: &Deltas) -> Result<ModelResponse, ModelError> {
        deltas.send(Delta::Text("who".into())).await;
        if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
            return Err(ModelError::new(kitaru::agent::ModelErrorKind::Interrupted, "it broke off"));
        }
        deltas.send(Delta::Text("le".into())).await;
        self.request(request).await
    }
}

#[tokio::test]
async fn pieces_of_a_broken_answer_are_not_a_record() {
    let kitaru = store().await;
    let agent = Agent::builder(Torn(AtomicU32::new(0))).name("seer").build().unwrap();
    let agent = KitaruAgent::new(agent);
    let heard = Heard::default();
    let ask = || {
        let heard = heard.clone();
        agent.run("go").on(&kitaru).on_event(move |event| heard.lock().unwrap().push(shown(&event)))
    };
    assert_eq!(ask().await.unwrap().output, "whole");
    assert_eq!(heard.lock().unwrap().join("|"), "who|<void>|who|le|<1 requests, 0>");
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Forecast {
    degrees: i32,
    wet: bool,
}

struct Users {
    asked: AtomicU32,
}

#[tokio::test]
async fn typed_answers_dependencies_and_instructions_are_durable_in_both_modes() {
    for granular in [true, false] {
        let kitaru = store().await;
        let users = Arc::new(Users { asked: AtomicU32::new(0) });
        let agent = Agent::builder(TestModel::new())
            .name("oracle")
            .deps::<Users>()
            .instructions_from(|context: RunContext<Users>| async move {
                // The text differs on each attempt.
                Ok(format!("Question {}.", context.deps.asked.fetch_add(1, Ordering::Relaxed)))
            })
            .output::<Forecast>()
            .build()
            .unwrap();
        let agent = KitaruAgent::new(agent.with_deps(users.clone())).granular_checkpoints(granular);
        for ends in [Ends::InAnError, Ends::Well] {
            let agent = agent.clone();
            let flow = dynamic::flow("story").run(move || async move {
                let result = agent.run("How will it be?").await?;
                match ends {
                    Ends::Well => Ok(result.output),
                    Ends::InAnError => Err::<_, RunError>(Error::msg("the process is to end here").into()),
                }
            });
            let ended = flow.id("job").on(&kitaru).await;
            assert_eq!(ended.ok(), (ends == Ends::Well).then_some(Forecast { degrees: 0, wet: false }));
        }
        assert_eq!(users.asked.load(Ordering::Relaxed), 1, "granular: {granular}");
        let execution = kitaru.execution(("story", "job")).await.unwrap().unwrap();
        let names: Vec<_> = execution.records().iter().map(|record| record.name().to_owned()).collect();
        match granular {
            true => assert_eq!(names, ["oracle_instructions", "oracle_model_request"]),
            false => assert_eq!(names, ["oracle"]),
        }
    }
}

#[tokio::test]
async fn another_version_runs_again_although_its_keys_are_equal() {
    for granular in [true, false] {
        let (agent, model) = speaker();
        let kitaru = store().await;
        let agent = KitaruAgent::new(agent).granular_checkpoints(granular);
        one_turn(&kitaru, &agent, None, Ends::InAnError).await.unwrap_err();
        one_turn(&kitaru, &agent.version("2"), None, Ends::Well).await.unwrap();
        assert_eq!(model.0.load(Ordering::Relaxed), 4, "granular: {granular}");
    }
}

/// An agent that calls `shaky` once, which fails this many times.
fn shaky(failures: u32, tries: &Arc<AtomicU32>) -> Agent {
    let tries = tries.clone();
    let tool = FunctionTool::new(ToolDefinition::new("shaky", ""), move |_| {
        let fails = tries.fetch_add(1, Ordering::Relaxed) < failures;
        async move { if fails { Err(ToolError::failed("it shook")) } else { Ok(ToolOutput::text("firm")) } }
    });
    Agent::builder(TestModel::new()).name("builder").tool(tool).build().unwrap()
}

#[tokio::test]
async fn a_tool_is_tried_again_as_often_as_its_options_say() {
    let clock = Clock::manual();
    for (retries, ends_well) in [(2, true), (1, false)] {
        let kitaru = Kitaru::builder().in_memory().clock(clock.clone()).open().await.unwrap();
        let tries = Arc::default();
        let agent = KitaruAgent::new(shaky(2, &tries)).tool_options("shaky", ToolOptions::default().retries(retries));
        let run = tokio::spawn({
            let kitaru = kitaru.clone();
            async move { agent.run("go").on(&kitaru).await }
        });
        while !run.is_finished() {
            clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
        assert_eq!((run.await.unwrap().is_ok(), tries.load(Ordering::Relaxed)), (ends_well, retries + 1));
    }
}

#[tokio::test]
async fn a_tool_that_is_not_durable_runs_on_every_attempt_and_leaves_no_record() {
    let kitaru = store().await;
    let tries = Arc::default();
    let agent = KitaruAgent::new(shaky(0, &tries)).tool_options("shaky", ToolOptions::default().not_durable());
    for _ in 0..2 {
        let agent = agent.clone();
        let flow = dynamic::flow("story").run(move || async move {
            agent.run("go").await?;
            Err::<(), RunError>(Error::msg("the process is to end here").into())
        });
        flow.id("job").on(&kitaru).await.unwrap_err();
    }
    let execution = kitaru.execution(("story", "job")).await.unwrap().unwrap();
    assert!(execution.records().iter().all(|record| record.name().starts_with("builder_model_request")));
    assert_eq!(tries.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn options_for_an_unknown_tool_end_the_run_before_any_request() {
    let (agent, model) = speaker();
    let agent = KitaruAgent::new(agent).tool_options("lok", ToolOptions::default().retries(1));
    let error = agent.run("go").on(&store().await).await.unwrap_err();
    assert!(
        matches!(&error, RunError::Agent(AgentError::Invalid { .. })) && error.to_string().contains("`lok`"),
        "{error}"
    );
    assert_eq!(model.0.load(Ordering::Relaxed), 0);
}

/// An agent whose `balance` is `amount`.
fn accountant(name: &str, amount: &'static str) -> KitaruAgent {
    let tool =
        FunctionTool::new(ToolDefinition::new("balance", ""), move |_| async move { Ok(ToolOutput::text(amount)) });
    let model = FunctionModel::new("mock", |request| {
        Ok(match request.tool_returns().last() {
            None => ModelResponse::tool_call("c", "balance", "{}"),
            Some(given) => ModelResponse::text(given.content.as_str()),
        })
    });
    KitaruAgent::new(Agent::builder(model).name(name).tool(tool).build().unwrap())
}

#[tokio::test]
async fn tool_record_of_one_agent_does_not_answer_another_agents_tool() {
    let kitaru = store().await;
    let flow = |ends: Ends| {
        let flow = dynamic::flow("story").run(move || async move {
            match ends {
                Ends::InAnError => {
                    accountant("ada", "5").run("go").await?;
                    Err(RunError::from(Error::msg("the process is to end here")))
                }
                // As after a deploy.
                Ends::Well => Ok(accountant("bob", "9000").run("go").await?.output),
            }
        });
        flow.id("job").on(&kitaru).into_future()
    };
    flow(Ends::InAnError).await.unwrap_err();
    assert_eq!(flow(Ends::Well).await.unwrap(), "9000");
}

/// An agent that answers by a tool, and optionally a validator that discards the answer.
fn seven(validated: bool) -> Agent<(), Option<u32>> {
    let model = FunctionModel::new("seven", |request| {
        Ok(ModelResponse::tool_call("c", request.tools[0].name.as_str(), json!({ "result": 7 }).to_string()))
    });
    let agent = Agent::builder(model).name("seven").output::<Option<u32>>();
    match validated {
        true => agent.validate(|_, _| async { Ok(None) }).build().unwrap(),
        false => agent.build().unwrap(),
    }
}

#[tokio::test]
async fn an_answer_may_be_nothing() {
    for granular in [true, false] {
        let kitaru = store().await;
        let agent = KitaruAgent::new(seven(true)).granular_checkpoints(granular);
        assert_eq!(agent.run("q").on(&kitaru).await.unwrap().output, None, "granular: {granular}");
        for ends in [Ends::InAnError, Ends::Well] {
            let agent = agent.clone();
            let flow = dynamic::flow("story").run(move || async move {
                let output = agent.run("q").await?.output;
                if ends == Ends::Well { Ok(output) } else { Err(RunError::from(Error::msg(format!("{output:?}")))) }
            });
            match flow.id("job").on(&kitaru).await {
                Ok(output) => assert_eq!(output, None, "granular: {granular}"),
                Err(error) => assert_eq!((error.to_string().as_str(), ends == Ends::InAnError), ("None", true)),
            }
        }
    }
}

#[tokio::test]
async fn answer_by_a_tool_has_the_same_events_from_its_record_as_in_the_run() {
    for granular in [true, false] {
        let kitaru = store().await;
        let mut attempts = Vec::new();
        for _ in 0..2 {
            let (agent, heard) = (KitaruAgent::new(seven(false)).granular_checkpoints(granular), Heard::default());
            let listener = heard.clone();
            let flow = dynamic::flow("story").run(move || async move {
                let run = agent.run("q").on_event(move |event| listener.lock().unwrap().push(format!("{event:?}")));
                run.await?;
                Err::<(), _>(RunError::from(Error::msg("the process is to end here")))
            });
            flow.id("job").on(&kitaru).await.unwrap_err();
            attempts.push(heard.lock().unwrap().clone());
        }
        assert!(!attempts[0].is_empty());
        assert_eq!(attempts[0], attempts[1], "granular: {granular}");
    }
}
