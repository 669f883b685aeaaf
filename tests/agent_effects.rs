//! The effects that a tool declares, and calls that were interrupted.
#![cfg(feature = "agent")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::{self, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use kitaru::agent::{
    Agent, FunctionModel, KitaruAgent, ModelResponse, ResponsePart, RunContext, RunError, ToolCall, ToolError,
    ToolOptions,
};
use kitaru::{Clock, Kitaru, flow, tool};

/// The calls that began: the prompt of the run, the tool and the idempotency key.
static BEGUN: Mutex<Vec<(String, &'static str, String)>> = Mutex::new(Vec::new());
/// The prompts of runs whose tools must not end.
static HANGING: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn works(context: &RunContext, tool: &'static str) -> &'static str {
    let key = context.idempotency_key().unwrap().to_owned();
    assert_eq!(key, kitaru::idempotency_key());
    locked(&BEGUN).push((context.prompt.to_string(), tool, key));
    if locked(&HANGING).iter().any(|prompt| *prompt == *context.prompt) {
        std::future::pending::<()>().await;
    }
    "done"
}

/// Sends a letter, and says nothing of doing so twice.
#[tool]
async fn send(context: &RunContext) -> &'static str {
    works(context, "send").await
}

/// Sets the clock.
#[tool(idempotent)]
async fn set(context: &RunContext) -> &'static str {
    works(context, "set").await
}

/// Looks at the clock.
#[tool(read_only)]
async fn look(context: &RunContext) -> &'static str {
    works(context, "look").await
}

/// Asks for all of these tools in one response, and ends.
fn asks_for(tools: &'static [&'static str]) -> FunctionModel {
    FunctionModel::new("clerk", |request| {
        if !request.tool_returns().is_empty() {
            return Ok(ModelResponse::text("done"));
        }
        let calls = tools.iter().map(|tool| ResponsePart::ToolCall(ToolCall::new("id", *tool, "{}")));
        Ok(ModelResponse::new(calls.collect()))
    })
}

fn clerk() -> KitaruAgent {
    let agent = Agent::builder(asks_for(&["send", "set", "send", "look"])).name("clerk");
    KitaruAgent::new(agent.tool(send()).tool(set()).tool(look()).build().unwrap())
}

#[flow]
async fn errands(prompt: String) -> Result<String, RunError> {
    Ok(clerk().run(prompt).await?.output)
}

#[flow]
async fn errands_in_a_turn(prompt: String) -> Result<String, RunError> {
    Ok(clerk().granular_checkpoints(false).run(prompt).await?.output)
}

/// What was logged in this process.
static LOGGED: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Logged;

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        locked(&LOGGED).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing_subscriber::fmt().with_ansi(false).with_writer(|| Logged).init());
}

/// The warnings that a tool may have run before.
fn warnings(key: &str) -> Vec<String> {
    let logged = String::from_utf8(locked(&LOGGED).clone()).unwrap();
    let lines = logged.lines().filter(|line| line.contains("WARN") && line.contains("may have run"));
    lines.filter(|line| line.contains(key)).map(str::to_owned).collect()
}

fn begun(prompt: &str) -> Vec<(&'static str, String)> {
    let begun = locked(&BEGUN);
    let mut begun: Vec<_> =
        begun.iter().filter(|call| call.0 == prompt).map(|(_, tool, key)| (*tool, key.clone())).collect();
    begun.sort();
    begun
}

/// Runs it in a process that ends during all calls, and then again in another process.
async fn is_cut_off(prompt: &str, granular: bool) -> [Vec<(&'static str, String)>; 2] {
    listen();
    let dir = tempfile::tempdir().unwrap();
    let open = async || Kitaru::builder().dir(dir.path()).recovery(kitaru::Recovery::Manual).open().await.unwrap();
    let call = |kitaru: &Kitaru| match granular {
        true => errands(prompt.into()).on(kitaru),
        false => errands_in_a_turn(prompt.into()).on(kitaru),
    };
    locked(&HANGING).push(prompt.to_owned());
    let kitaru = open().await;
    let handle = call(&kitaru).start().await.unwrap();
    let all_begin = async {
        while begun(prompt).len() < 4 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all_begin).await.expect("it hangs");
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    drop(handle);
    let first = begun(prompt);
    assert!(first.iter().all(|(_, key)| warnings(key).is_empty()), "nothing runs again yet");

    locked(&HANGING).retain(|hanging| hanging != prompt);
    locked(&BEGUN).retain(|call| call.0 != prompt);
    let kitaru = open().await;
    assert_eq!(call(&kitaru).await.unwrap(), "done");
    [first, begun(prompt)]
}

fn keys_differ(calls: &[(&'static str, String)]) -> bool {
    calls.iter().enumerate().all(|(nth, (_, key))| calls[..nth].iter().all(|(_, earlier)| earlier != key))
}

async fn only_what_declares_nothing_is_warned_of(prompt: &str, granular: bool) {
    let [first, second] = is_cut_off(prompt, granular).await;
    assert_eq!(first, second, "the same calls have the same keys");
    assert!(keys_differ(&first), "{first:?}");
    for (tool, key) in &first {
        let warnings = warnings(key);
        if *tool == "send" {
            let [warning] = &warnings[..] else { panic!("{warnings:?}") };
            assert!(warning.contains("Tool `send` may have run before the process died"), "{warning}");
            assert!(warning.contains("Declare it `read_only` or `idempotent`"), "{warning}");
        } else {
            assert!(warnings.is_empty(), "{tool} has declared that it does no harm: {warnings:?}");
        }
    }
}

#[tokio::test]
async fn undeclared_tool_that_may_run_twice_is_warned_of_and_others_are_not() {
    only_what_declares_nothing_is_warned_of("calls", true).await;
}

#[tokio::test]
async fn calls_of_a_repeated_turn_have_distinct_keys_that_stay_the_same() {
    only_what_declares_nothing_is_warned_of("turns", false).await;
}

#[tokio::test]
async fn tool_that_was_not_cut_off_causes_no_warning() {
    listen();
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    assert_eq!(errands("undisturbed".into()).on(&kitaru).await.unwrap(), "done");
    let calls = begun("undisturbed");
    assert_eq!(calls.len(), 4);
    assert!(calls.iter().all(|(_, key)| warnings(key).is_empty()));
}

#[tokio::test]
async fn a_tool_of_an_agent_that_is_not_durable_has_no_key() {
    /// Tells its key.
    #[tool]
    async fn key(context: &RunContext) -> String {
        context.idempotency_key().unwrap_or("none").to_owned()
    }
    let model = FunctionModel::new("asker", |request| match request.tool_returns().last() {
        None => Ok(ModelResponse::tool_call("id", "key", "{}")),
        Some(given) => Ok(ModelResponse::text(&*given.content)),
    });
    let agent = Agent::builder(model).tool(key()).build().unwrap();
    assert_eq!(agent.run("Which?").await.unwrap().output, "none");
}

/// Fires the one rocket there is.
#[tool(once)]
async fn fire() {}

/// Signs.
#[tool(requires_approval)]
async fn sign() {}

#[tokio::test]
async fn declared_effects_need_granular_checkpoints_and_options_override_them() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let agent = |name: &'static str, tools: &'static [&'static str]| {
        let (asked, model) = (asked.clone(), Arc::new(asks_for(tools)));
        let model = FunctionModel::from_async("counted", move |request| {
            asked.fetch_add(1, Ordering::Relaxed);
            let model = model.clone();
            async move { kitaru::agent::Model::request(&*model, &request).await }
        });
        let agent = Agent::builder(model).name(name).tool(fire()).tool(sign()).build().unwrap();
        KitaruAgent::new(agent).granular_checkpoints(false)
    };
    let none = ToolOptions::default();
    for (agent, says) in [
        (agent("first", &["fire"]), "tool `sign` requires approval, and a turn that is one checkpoint cannot wait"),
        (agent("second", &["fire"]).tool_options("sign", none.without_approval()), "tool `fire` may run only once"),
        (
            agent("third", &["fire"]).tool_options("fire", none.retries(1)),
            "tool `fire` may run only once, and has retries",
        ),
    ] {
        let error = agent.run("Go!").on(&kitaru).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0, "nothing was asked");
    let agent = agent("fourth", &["fire", "sign"])
        .tool_options("sign", none.without_approval())
        .tool_options("fire", none.at_least_once());
    assert_eq!(agent.run("Go!").on(&kitaru).await.unwrap().output, "done");
}

/// Fails at the first try.
#[tool(retries = 1)]
async fn fails_once(context: &RunContext) -> Result<&'static str, ToolError> {
    static TRIED: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut tried = locked(&TRIED);
    tried.push(context.prompt.to_string());
    let times = tried.iter().filter(|prompt| **prompt == *context.prompt).count();
    if times == 1 { Err(ToolError::failed("busy")) } else { Ok("done") }
}

/// Hangs.
#[tool(timeout = "10s")]
async fn hangs() -> Result<(), ToolError> {
    std::future::pending().await
}

#[flow]
async fn tries(prompt: String, granular: bool) -> Result<String, RunError> {
    let agent = Agent::builder(asks_for(&["fails_once"])).name("trier").tool(fails_once()).build()?;
    Ok(KitaruAgent::new(agent).granular_checkpoints(granular).run(prompt).await?.output)
}

#[flow]
async fn times_out(granular: bool) -> Result<String, RunError> {
    let agent = Agent::builder(asks_for(&["hangs"])).name("waiter").tool(hangs()).build()?;
    Ok(KitaruAgent::new(agent).granular_checkpoints(granular).run("Wait.").await?.output)
}

/// The result of a call, while time passes.
async fn in_time<T>(clock: &Clock, call: impl IntoFuture<Output = T>) -> T {
    let passing = async {
        loop {
            clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    let came = async {
        tokio::select! {
            came = call.into_future() => came,
            never = passing => never,
        }
    };
    tokio::time::timeout(Duration::from_secs(20), came).await.expect("it hangs")
}

#[tokio::test]
async fn retries_and_timeouts_that_a_tool_declares_hold_in_both_modes() {
    for granular in [true, false] {
        let clock = Clock::manual();
        let kitaru = Kitaru::builder().in_memory().clock(clock.clone()).open().await.unwrap();
        let prompt = format!("granular: {granular}");
        assert_eq!(in_time(&clock, tries(prompt, granular).on(&kitaru)).await.unwrap(), "done");
        let error = in_time(&clock, times_out(granular).on(&kitaru)).await.unwrap_err();
        assert!(format!("{:#}", anyhow::Error::from(error)).contains("timed out"), "granular: {granular}");
    }
}
