//! The next equal run continues a run that returned an error to its flow: a loop around a run pays once.
#![cfg(feature = "agent")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use futures::future::join_all;
use kitaru::agent::{
    Agent, AgentError, Approval, Bill, Budget, Cost, FunctionModel, FunctionTool, Invocation, KitaruAgent, Limits,
    ModelError, ModelErrorKind, ModelRequest, ModelResponse, Price, ResponsePart, RunContext, RunError, RunEvent,
    Tokens, ToolCall, ToolDefinition, ToolError, ToolOptions, ToolOutput,
};
use kitaru::testkit::{self, Testkit};
use kitaru::{Error, dynamic, flow, tool};
use serde_json::json;

const MINUTE: Duration = Duration::from_secs(60);

/// What happens outside in one test.
#[derive(Default)]
struct World {
    asked: u32,
    /// Which requests fail, by their number.
    fails: BTreeSet<u32>,
    /// The idempotency keys of payments, and how many of the next ones fail.
    payments: Vec<String>,
    closed: u32,
    /// Whether the next validator panics.
    panics: bool,
}

static WORLDS: LazyLock<Mutex<HashMap<String, Arc<Mutex<World>>>>> = LazyLock::new(Mutex::default);

/// Changes, or reads, the world of a test.
fn within<T>(name: &str, change: impl FnOnce(MutexGuard<'_, World>) -> T) -> T {
    let world = WORLDS.lock().unwrap().entry(name.to_owned()).or_default().clone();
    change(world.lock().unwrap())
}

fn rejected() -> ModelError {
    ModelError::new(ModelErrorKind::Rejected, "no")
}

fn called(name: &str, context: &RunContext, amount: u32) -> Result<String, ToolError> {
    within(name, |mut world| {
        world.payments.push(context.idempotency_key().unwrap().to_owned());
        if world.closed > 0 {
            world.closed -= 1;
            return Err(ToolError::failed("the bank is closed"));
        }
        Ok(format!("paid {amount}"))
    })
}

/// Pays.
#[tool(idempotent)]
async fn pay(context: &RunContext, world: String, amount: u32) -> Result<String, ToolError> {
    called(&world, context, amount)
}

/// Pays at a bank that knows no keys.
#[tool(once)]
async fn wire(context: &RunContext, world: String, amount: u32) -> Result<String, ToolError> {
    called(&world, context, amount)
}

fn says(request: &ModelRequest) -> ModelResponse {
    let told: Vec<_> = request.tool_returns().iter().map(|told| told.content.clone()).collect();
    ModelResponse::text(told.join(", "))
}

fn payment(tool: &str, name: &str, amount: u32) -> ResponsePart {
    let arguments = json!({ "world": name, "amount": amount }).to_string();
    ResponsePart::ToolCall(ToolCall::new(format!("{tool} {amount}"), tool, arguments))
}

/// Asks for payments by a tool, all in one response, and says what came of them.
fn model(name: &str, tool: &'static str, amounts: &'static [u32]) -> FunctionModel {
    let name = name.to_owned();
    FunctionModel::new("m", move |request| {
        let fails = within(&name, |mut world| {
            world.asked += 1;
            world.fails.contains(&world.asked)
        });
        if fails {
            return Err(rejected());
        }
        let response = match request.tool_returns().is_empty() {
            true => ModelResponse::new(amounts.iter().map(|amount| payment(tool, &name, *amount)).collect()),
            false => says(request),
        };
        Ok(response.with_tokens(Tokens::new(1_000, 0)))
    })
}

fn clerk(name: &str) -> KitaruAgent {
    let agent = Agent::builder(model(name, "pay", &[7])).name("clerk").tool(pay());
    KitaruAgent::new(agent.price(Price::per_million(1_000.0, 0.0)).build().unwrap())
}

/// Runs an agent until it has answered.
async fn until_answered(agent: &KitaruAgent) -> String {
    loop {
        match agent.run("Refund it.").await {
            Ok(result) => return result.output,
            Err(_) => kitaru::sleep(MINUTE).await,
        }
    }
}

#[flow]
async fn loops(name: String, granular: bool) -> Result<String, Error> {
    Ok(until_answered(&clerk(&name).granular_checkpoints(granular)).await)
}

fn asked_and_keys(name: &str) -> (u32, usize, usize) {
    within(name, |world| {
        let keys: BTreeSet<_> = world.payments.iter().collect();
        (world.asked, world.payments.len(), keys.len())
    })
}

async fn records(kit: &Testkit, flow: &str) -> Vec<String> {
    let execution = kit.kitaru().execution((flow, "job")).await.unwrap().unwrap();
    execution.records().iter().map(|record| record.name().to_owned()).collect()
}

#[tokio::test]
async fn loop_around_a_run_pays_once() {
    for granular in [true, false] {
        for (kit, mode) in [(Testkit::new(), "plain"), (Testkit::always_parking(), "parked")] {
            let name = format!("loop: {granular} {mode}");
            within(&name, |mut world| world.fails = [2, 3, 4].into());
            let told = kit.fast_forward(loops(name.clone(), granular).id("job")).await;
            assert_eq!((told.unwrap().as_str(), asked_and_keys(&name)), ("paid 7", (5, 1, 1)), "{name}");
        }
    }
}

#[tokio::test]
async fn continued_run_requests_only_missing_answers_under_the_next_names() {
    let (kit, name) = (Testkit::new(), "names");
    within(name, |mut world| world.fails = [2].into());
    kit.fast_forward(loops(name.into(), true).id("job")).await.unwrap();
    let mut names = records(&kit, "loops").await;
    names.retain(|name| !name.contains("sleep"));
    assert_eq!(names, ["clerk_model_request", "pay_tool", "clerk_model_request_2", "clerk_model_request_3"]);
}

#[tokio::test]
async fn loop_around_a_run_survives_a_crash_everywhere_and_pays_under_one_key() {
    for granular in [true, false] {
        let name = format!("deaths: {granular}");
        let world = name.clone();
        testkit::crash_everywhere(move |kit| {
            let name = world.clone();
            async move {
                // From the second request on, every other request fails, in any process.
                within(&name, |mut world| world.fails = (1..5_000).map(|nth| nth * 2).collect());
                kit.fast_forward(loops(name, granular).id("job")).await.unwrap()
            }
        });
        assert_eq!(asked_and_keys(&name).2, 1, "{name}: one payment, by either attempt");
    }
}

#[flow]
async fn loops_over_tool(name: String, granular: bool) -> Result<String, Error> {
    let agent = Agent::builder(model(&name, "pay", &[1, 2, 2])).name("clerk").tool(pay()).build().unwrap();
    Ok(until_answered(&KitaruAgent::new(agent).granular_checkpoints(granular)).await)
}

#[tokio::test]
async fn call_that_failed_is_made_again_under_its_key_and_its_siblings_are_not() {
    for granular in [true, false] {
        let (kit, name) = (Testkit::new(), format!("failed call: {granular}"));
        within(&name, |mut world| world.closed = 1);
        let told = kit.fast_forward(loops_over_tool(name.clone(), granular).id("job")).await.unwrap();
        assert_eq!(told, "paid 1, paid 2, paid 2");
        let payments = within(&name, |world| world.payments.clone());
        assert_eq!((payments.len(), &payments[3]), (4, &payments[0]), "{granular}: {payments:?}");
        assert_eq!(asked_and_keys(&name), (2, 4, 3), "equal calls have keys of their own");
    }
}

#[flow]
async fn pays_once(name: String) -> Result<String, Error> {
    let agent = Agent::builder(model(&name, "wire", &[7])).name("clerk").tool(wire()).build().unwrap();
    let agent = KitaruAgent::new(agent);
    let mut said = Vec::new();
    for _ in 0..3 {
        said.push(match agent.run("Refund it.").await {
            Ok(result) => result.output,
            Err(error) => format!("{error}"),
        });
        kitaru::sleep(MINUTE).await;
    }
    Ok(said.join("|"))
}

#[tokio::test]
async fn call_that_may_run_once_and_failed_is_not_made_again_by_a_continued_run() {
    let (kit, name) = (Testkit::new(), "once");
    within(name, |mut world| world.closed = 1);
    let told = kit.fast_forward(pays_once(name.into()).id("job")).await.unwrap();
    assert_eq!(told, ["cannot finish the run: tool `wire` failed: the bank is closed"; 3].join("|"));
    assert_eq!(asked_and_keys(name), (1, 1, 1));
}

#[flow]
async fn loops_over_approval(name: String) -> Result<String, Error> {
    let agent = Agent::builder(model(&name, "pay", &[1, 2])).name("clerk").tool(pay()).build().unwrap();
    let options = ToolOptions::default().requires_approval();
    Ok(until_answered(&KitaruAgent::new(agent).tool_options("pay", options)).await)
}

#[tokio::test]
async fn approval_given_in_the_broken_run_is_not_asked_for_again() {
    for (kit, name) in [(Testkit::new(), "approval: plain"), (Testkit::always_parking(), "approval: parked")] {
        within(name, |mut world| world.fails = [2, 3].into());
        let job = kit.start(loops_over_approval(name.into()).id("job")).await.unwrap();
        kit.answer(&job, "pay_approval", &Approval::Approve).await.unwrap();
        kit.answer(&job, "pay_approval_2", &Approval::Deny("too much".into())).await.unwrap();
        kit.advance(MINUTE * 3).await;
        assert_eq!(job.await.unwrap(), "paid 1, the call was denied: too much");
        assert_eq!(asked_and_keys(name), (4, 1, 1));
    }
}

#[flow]
async fn side_by_side(name: String) -> Result<String, Error> {
    let agent = clerk(&name);
    let asked =
        |_| async { agent.run("Refund it.").await.map(|result| result.output).map_err(|error| error.to_string()) };
    let first = join_all([(); 3].map(asked)).await;
    // Two runs are broken: two runs continue them, and the third one pays again.
    let second = join_all([(); 3].map(asked)).await;
    Ok(format!("{first:?} {second:?}"))
}

#[tokio::test]
async fn equal_runs_side_by_side_share_nothing() {
    for (kit, name) in [(Testkit::new(), "concurrent: plain"), (Testkit::always_parking(), "concurrent: parked")] {
        within(name, |mut world| world.fails = [4, 5].into());
        let told = kit.run(side_by_side(name.into()).id("job")).await.unwrap();
        assert_eq!(told.matches("no").count(), 2, "{told}");
        // Three pay in the first round, one in the second.
        assert_eq!(asked_and_keys(name), (6 + 2 + 2, 4, 4), "{told}");
    }
}

#[flow]
async fn asks_otherwise(name: String, how: String) -> Result<(), RunError> {
    let agent = clerk(&name);
    agent.run("Refund it.").await.unwrap_err();
    let history = agent.run("Hello.").await?.all_messages();
    match how.as_str() {
        "equal" => drop(agent.run("Refund it.").await?),
        "fresh" => drop(agent.run("Refund it.").fresh().await?),
        "prompt" => drop(agent.run("Refund it!").await?),
        "history" => drop(agent.run("Refund it.").history(history).await?),
        "version" => drop(agent.version("2").run("Refund it.").await?),
        "instructions" => {
            let other = Agent::builder(model(&name, "pay", &[7])).name("clerk").instructions("Be kind.").tool(pay());
            KitaruAgent::new(other.build()?).run("Refund it.").await?;
        }
        "mode" => drop(agent.granular_checkpoints(false).run("Refund it.").await?),
        _ => unreachable!(),
    }
    Ok(())
}

#[tokio::test]
async fn run_that_differs_or_is_fresh_begins_from_the_start() {
    for how in ["equal", "fresh", "prompt", "history", "version", "instructions", "mode"] {
        let (kit, name) = (Testkit::new(), format!("otherwise: {how}"));
        within(&name, |mut world| world.fails = [2].into());
        kit.run(asks_otherwise(name.clone(), how.into()).id("job")).await.unwrap();
        let (asked, payments, _) = asked_and_keys(&name);
        // The greeting makes two requests, and pays, too.
        let expected = if how == "equal" { (2 + 2 + 1, 2) } else { (2 + 2 + 2, 3) };
        assert_eq!((asked, payments), expected, "{how}");
    }
}

#[flow]
async fn drops_a_run(name: String) -> Result<String, Error> {
    let agent = clerk(&name).tool_options("pay", ToolOptions::default().requires_approval());
    assert!(kitaru::timeout(MINUTE, agent.run("Refund it.")).await.is_err());
    Ok(agent.run("Refund it.").await.map_err(Error::msg)?.output)
}

#[tokio::test]
async fn run_that_was_dropped_is_not_continued() {
    let (kit, name) = (Testkit::new(), "dropped");
    let job = kit.start(drops_a_run(name.into()).id("job")).await.unwrap();
    kit.advance(MINUTE).await;
    kit.answer(&job, "pay_approval_2", &Approval::Approve).await.unwrap();
    assert_eq!(job.await.unwrap(), "paid 7");
    assert_eq!(asked_and_keys(name), (3, 1, 1));
}

#[tokio::test]
async fn continued_run_tells_its_listener_all_from_the_beginning() {
    for granular in [true, false] {
        let (kit, name) = (Testkit::new(), format!("heard: {granular}"));
        within(&name, |mut world| world.fails = [2].into());
        let (agent, heard) = (clerk(&name).granular_checkpoints(granular), Arc::new(Mutex::new(Vec::new())));
        let hears = heard.clone();
        let own = dynamic::flow("own").run(move || async move {
            agent.run("Refund it.").on_event(|_| ()).await.unwrap_err();
            let run = agent.run("Refund it.").on_event(move |event| {
                hears.lock().unwrap().push(match event {
                    RunEvent::ToolCall(call) => call.tool,
                    RunEvent::Text(text) => text,
                    RunEvent::Usage(usage) => format!("{} requests", usage.requests),
                    _ => "told".to_owned(),
                });
            });
            run.await.map(|result| result.output)
        });
        assert_eq!(kit.run(own).await.unwrap(), "paid 7");
        let heard = heard.lock().unwrap().join("|");
        assert_eq!(heard, "pay|1 requests|told|paid 7|2 requests", "granular: {granular}");
    }
}

#[tokio::test]
async fn cost_of_a_broken_run_counts_once_in_a_shared_budget() {
    for granular in [true, false] {
        for shared in [true, false] {
            let (kit, name) = (Testkit::new(), format!("budget: {granular} {shared}"));
            within(&name, |mut world| world.fails = [2].into());
            let ends = Arc::new(Mutex::new(vec![true, false]));
            let agent = clerk(&name).granular_checkpoints(granular);
            let flow = || {
                let (agent, ends) = (agent.clone(), ends.clone());
                dynamic::flow("own").run(move || async move {
                    let budget = Budget::new().cost(Cost::of(2.5));
                    let other = if shared { budget.clone() } else { Budget::new().cost(Cost::of(2.5)) };
                    agent.run("Refund it.").budget(&budget).await.unwrap_err();
                    let result = agent.run("Refund it.").budget(&other).await?;
                    assert_eq!((result.usage.requests, result.usage.tool_calls), (2, 1));
                    assert_eq!((result.replayed().requests, result.paid().requests).0 + result.paid().requests, 2);
                    assert_eq!((other.usage().requests, other.usage().tool_calls), (2, 1), "on every attempt");
                    match ends.lock().unwrap().pop() {
                        Some(false) => Err(Error::msg("the process is to end here").into()),
                        _ => Ok::<_, RunError>((result.bill(), budget.bill(), other.bill())),
                    }
                })
            };
            kit.run(flow().id("job")).await.unwrap_err();
            let (run, first, second) = kit.run(flow().id("job")).await.unwrap();
            assert_eq!((run.paid.requests, run.replayed.requests), (0, 2));
            assert_eq!((second.paid.requests, second.replayed.requests), (0, 2), "{name}");
            assert_eq!(first.total().requests, if shared { 2 } else { 1 });
            let bill = Bill::of(&kit.kitaru().execution(("own", "job")).await.unwrap().unwrap());
            assert_eq!((bill.total().requests, bill.total().tool_calls), (2, 1), "{name}");
        }
    }
}

#[flow]
async fn corrects_itself(name: String, granular: bool) -> Result<String, Error> {
    // Wrong four times, then right.
    let agent = Agent::builder(FunctionModel::new("m", move |request| {
        let nth = within(&name, |mut world| {
            world.asked += 1;
            world.asked
        });
        assert_eq!(request.messages.len() as u32, 2 * nth - 1, "the request names the mistake");
        Ok(ModelResponse::text(nth.to_string()))
    }));
    let agent = agent.name("sage").limits(Limits::default().tool_retries(1)).validate(|_, said: String| async move {
        if said == "5" { Ok(said) } else { Err(ToolError::retry("try a larger one")) }
    });
    let agent = KitaruAgent::new(agent.build().unwrap()).granular_checkpoints(granular);
    let mut broken = 0;
    loop {
        match agent.run("Which one?").await {
            Ok(result) => return Ok(format!("{} after {broken}", result.output)),
            Err(RunError::Agent(AgentError::TooManyRetries { .. })) if broken < 5 => broken += 1,
            Err(error) => return Err(Error::msg(error)),
        }
    }
}

#[tokio::test]
async fn continued_run_allows_a_wrong_model_the_same_number_of_retries_again() {
    for granular in [true, false] {
        let (kit, name) = (Testkit::new(), format!("wrong: {granular}"));
        let told = kit.run(corrects_itself(name, granular)).await.unwrap();
        assert_eq!(told, "5 after 2");
    }
}

#[flow]
async fn delegates(name: String) -> Result<String, Error> {
    let inner = clerk(&name);
    let definition = ToolDefinition::new("delegate", "").options(ToolOptions::default().not_durable());
    let delegate = FunctionTool::new(definition, move |_: Invocation| {
        let inner = inner.clone();
        async move { Ok(ToolOutput::text(inner.run("Refund it.").await.map_err(ToolError::failed)?.output)) }
    });
    let chief = model(&name, "delegate", &[1]);
    let chief = KitaruAgent::new(Agent::builder(chief).name("chief").tool(delegate).build().unwrap());
    Ok(until_answered(&chief).await)
}

#[tokio::test]
async fn agents_that_call_agents_continue_each_of_them() {
    // The chief asks first and last, the clerk in between. Any request may fail; each is answered once.
    for fails in 1..=4 {
        let (kit, name) = (Testkit::new(), format!("nested: {fails}"));
        within(&name, |mut world| world.fails = [fails].into());
        let told = kit.fast_forward(delegates(name.clone()).id("job")).await.unwrap();
        assert_eq!((told.as_str(), asked_and_keys(&name)), ("paid 7", (5, 1, 1)), "{name}");
    }
}

#[flow]
async fn loops_over_panic(name: String) -> Result<String, Error> {
    let panics = name.clone();
    let agent = Agent::builder(model(&name, "pay", &[7])).name("clerk").tool(pay()).validate(move |_, said: String| {
        let panics = within(&panics, |mut world| std::mem::take(&mut world.panics));
        async move {
            assert!(!panics, "no ink");
            Ok(said)
        }
    });
    Ok(until_answered(&KitaruAgent::new(agent.build().unwrap()).granular_checkpoints(false)).await)
}

#[tokio::test]
async fn turn_that_panicked_runs_again_under_the_same_keys() {
    let (kit, name) = (Testkit::new(), "panic");
    within(name, |mut world| world.panics = true);
    assert_eq!(kit.fast_forward(loops_over_panic(name.into()).id("job")).await.unwrap(), "paid 7");
    assert_eq!(asked_and_keys(name), (4, 2, 1), "nothing of it was recorded but that it panicked");
}
