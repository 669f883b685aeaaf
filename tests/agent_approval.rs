//! Tools that are called only after an approval.
#![cfg(feature = "agent")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::future::IntoFuture;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kitaru::agent::{
    Agent, AgentError, Approval, FunctionModel, KitaruAgent, ModelResponse, ResponsePart, RunContext, RunError,
    ToolCall, ToolError, ToolOptions,
};
use kitaru::{Error, Kitaru, Status, flow, tool};
use serde_json::{Value, json};

static PAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Pays a supplier.
#[tool]
async fn pay(
    to: String,
    /// In whole euros.
    #[schemars(range(min = 1))]
    euros: u32,
) -> String {
    PAID.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{to}: {euros}"));
    "paid".to_owned()
}

fn paid(to: &str) -> Vec<String> {
    let paid = PAID.lock().unwrap_or_else(PoisonError::into_inner);
    paid.iter().filter(|line| line.starts_with(to)).cloned().collect()
}

/// Asks for two payments to `prompt` in one response, then tells their results.
fn cashier(amounts: [u32; 2]) -> Agent {
    let model = FunctionModel::new("cashier", move |request| {
        let given = request.tool_returns();
        if !given.is_empty() {
            let told: Vec<_> = given.iter().map(|given| given.content.as_str()).collect();
            return Ok(ModelResponse::text(told.join(", ")));
        }
        let call = |euros: u32| {
            let arguments = json!({ "to": request.prompt(), "euros": euros }).to_string();
            ResponsePart::ToolCall(ToolCall::new(format!("call_{euros}"), "pay", arguments))
        };
        Ok(ModelResponse::new(amounts.map(call).into()))
    });
    Agent::builder(model).name("cashier").tool(pay()).build().unwrap()
}

#[flow]
async fn payments(to: String, amounts: [u32; 2]) -> Result<String, RunError> {
    let agent = KitaruAgent::new(cashier(amounts)).tool_options("pay", ToolOptions::default().requires_approval());
    Ok(agent.run(to).await?.output)
}

async fn until_waiting(kitaru: &Kitaru, id: &str, waits: usize) {
    let arrived = async {
        loop {
            let job = kitaru.execution(("payments", id)).await.unwrap();
            if job.is_some_and(|job| job.status() == Status::Waiting && job.waits().len() == waits) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("it hangs");
}

#[tokio::test]
async fn calls_wait_with_visible_arguments_and_are_made_denied_or_changed() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let handle = payments("Ada".into(), [10, 20]).id("Ada").on(&kitaru).start().await.unwrap();
    until_waiting(&kitaru, "Ada", 2).await;
    let job = kitaru.execution(("payments", "Ada")).await.unwrap().unwrap();
    let mut shown: Vec<_> = job.waits().iter().map(|wait| (wait.name().to_owned(), wait.metadata())).collect();
    shown.sort_by(|a, b| a.0.cmp(&b.0));
    let asked = |euros: u32| json!({ "tool": "pay", "arguments": { "to": "Ada", "euros": euros } });
    assert_eq!(shown, [("pay_approval".to_owned(), asked(10)), ("pay_approval_2".to_owned(), asked(20))]);
    assert!(paid("Ada").is_empty());

    let target = ("payments", "Ada");
    kitaru.answer(&target, "pay_approval_2", &Approval::Deny("too much".into())).await.unwrap();
    until_waiting(&kitaru, "Ada", 1).await;
    // A payment of zero does not fit: the question is asked again, with the reason.
    kitaru.answer(&target, "pay_approval", &Approval::ApproveWith(json!({ "to": "Ada", "euros": 0 }))).await.unwrap();
    until_waiting(&kitaru, "Ada", 1).await;
    let job = kitaru.execution(("payments", "Ada")).await.unwrap().unwrap();
    assert!(job.waits()[0].question().contains("0 is less than the minimum of 1"), "{}", job.waits()[0].question());
    let changed = Approval::ApproveWith(json!({ "to": "Ada", "euros": 5 }));
    kitaru.answer(&target, job.waits()[0].name(), &changed).await.unwrap();
    assert_eq!(handle.await.unwrap(), "paid, the call was denied: too much");
    assert_eq!(paid("Ada"), ["Ada: 5"]);
}

#[tokio::test]
async fn a_call_that_was_agreed_to_is_made_with_the_models_own_arguments() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let handle = payments("Bob".into(), [1, 2]).id("Bob").on(&kitaru).start().await.unwrap();
    until_waiting(&kitaru, "Bob", 2).await;
    for wait in ["pay_approval", "pay_approval_2"] {
        kitaru.answer(("payments", "Bob"), wait, &Approval::Approve).await.unwrap();
    }
    assert_eq!(handle.await.unwrap(), "paid, paid");
    let mut paid = paid("Bob");
    paid.sort();
    assert_eq!(paid, ["Bob: 1", "Bob: 2"]);
}

static RATE: Mutex<u32> = Mutex::new(7);

#[flow]
async fn changing(to: String) -> Result<String, RunError> {
    // As after a deploy: the model gets another question, so the call is another one.
    let euros = *RATE.lock().unwrap();
    let agent = cashier([euros, euros]).map_model(|model| {
        let name = format!("cashier-{euros}");
        std::sync::Arc::new(FunctionModel::from_async(name, move |request| {
            let model = model.clone();
            async move { model.request(&request).await }
        }))
    });
    let agent = KitaruAgent::new(agent).tool_options("pay", ToolOptions::default().requires_approval());
    let output = agent.run(to).await?.output;
    if euros == 7 { Err(Error::msg("the process is to end here").into()) } else { Ok(output) }
}

#[tokio::test]
async fn approval_does_not_cover_other_arguments() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let target = ("changing", "Eve");
    let agree = async |names: [&str; 2]| {
        for name in names {
            let answered = async {
                while kitaru.answer(&target, name, &Approval::Approve).await.is_err() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), answered).await.expect("it hangs");
        }
    };
    let first = changing("Eve".into()).id("Eve").on(&kitaru).start().await.unwrap();
    agree(["pay_approval", "pay_approval_2"]).await;
    first.await.unwrap_err();
    assert_eq!(paid("Eve"), ["Eve: 7", "Eve: 7"]);

    *RATE.lock().unwrap() = 9_000;
    let second = changing("Eve".into()).id("Eve").on(&kitaru).start().await.unwrap();
    until_asked_again(&kitaru).await;
    assert_eq!(paid("Eve").len(), 2, "9000 was not approved");
    agree(["pay_approval_3", "pay_approval_4"]).await;
    assert_eq!(second.await.unwrap(), "paid, paid");
    assert_eq!(paid("Eve").len(), 4);
}

async fn until_asked_again(kitaru: &Kitaru) {
    let arrived = async {
        while kitaru.execution(("changing", "Eve")).await.unwrap().is_none_or(|job| job.waits().len() < 2) {
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(20), arrived).await.is_err() {
        panic!("it hangs: {:#?}", kitaru.execution(("changing", "Eve")).await);
    }
}

#[tokio::test]
async fn agent_that_must_ask_where_no_wait_is_possible_is_refused_before_any_request() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let asks = ToolOptions::default().requires_approval();
    let agent = KitaruAgent::new(cashier([1, 2])).tool_options("pay", asks).granular_checkpoints(false);
    let error = agent.run("Joe").on(&kitaru).await.unwrap_err();
    assert!(matches!(&error, RunError::Agent(AgentError::Invalid { .. })), "{error}");
    assert!(error.to_string().contains("leave `granular_checkpoints` on"), "{error}");
}

/// Moves money.
#[tool(requires_approval)]
async fn transfer(account: u128) -> String {
    format!("sent to {account}")
}

#[flow]
async fn transfers(arguments: String) -> Result<String, RunError> {
    let model = FunctionModel::new("banker", |request| {
        Ok(match request.tool_returns().last() {
            None => ModelResponse::tool_call("id", "transfer", request.prompt().unwrap_or_default()),
            Some(given) => ModelResponse::text(given.content.as_str()),
        })
    });
    Ok(KitaruAgent::new(Agent::builder(model).name("banker").tool(transfer()).build()?).run(arguments).await?.output)
}

/// What the question about a call shows, and the result of the call.
async fn transferred(kitaru: &Kitaru, arguments: &str) -> (Value, String) {
    let handle = transfers(arguments.into()).id(arguments.len().to_string()).on(kitaru).start().await.unwrap();
    let target = ("transfers", arguments.len().to_string());
    let arrived = async {
        loop {
            let job = kitaru.execution((target.0, &target.1)).await.unwrap();
            match job.as_ref().and_then(|job| job.waits().first().map(|wait| wait.metadata())) {
                Some(shown) => return shown,
                None => tokio::task::yield_now().await,
            }
        }
    };
    let shown = tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("it hangs");
    kitaru.answer(&(target.0, target.1.as_str()), "transfer_approval", &Approval::Approve).await.unwrap();
    (shown, handle.await.unwrap())
}

#[tokio::test]
async fn arguments_that_a_json_value_would_round_are_shown_as_the_model_wrote_them_too() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let (shown, came) = transferred(&kitaru, r#"{ "account": 123 }"#).await;
    assert_eq!(shown, json!({ "tool": "transfer", "arguments": { "account": 123 } }));
    assert_eq!(came, "sent to 123");
    let text = r#"{ "account": 123456789012345678901234567 }"#;
    let (shown, came) = transferred(&kitaru, text).await;
    assert_eq!(shown["text"], text);
    assert_eq!(came, "sent to 123456789012345678901234567");
}

static NET: Mutex<bool> = Mutex::new(false);

/// Looks into the net, which may be down.
#[tool]
async fn fetch() -> Result<String, ToolError> {
    if *NET.lock().unwrap() { Ok("fetched".to_owned()) } else { Err(ToolError::failed("the net is down")) }
}

/// Pays a supplier, and asks first by itself.
#[tool]
async fn pay_if_agreed(context: &RunContext, to: String, euros: u32) -> Result<String, ToolError> {
    if !context.is_approved() {
        return Err(ToolError::approval_required("it is money"));
    }
    PAID.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{to}: {euros}"));
    Ok("paid".to_owned())
}

#[flow]
async fn fetches_and_pays(to: String, by: String) -> Result<String, RunError> {
    let model = FunctionModel::new("clerk", move |request| {
        let given = request.tool_returns();
        if !given.is_empty() {
            return Ok(ModelResponse::text(given.iter().map(|given| &*given.content).collect::<Vec<_>>().join(", ")));
        }
        let pay = json!({ "to": request.prompt(), "euros": 3 }).to_string();
        let calls = [ToolCall::new("1", "fetch", "{}"), ToolCall::new("2", by.as_str(), pay)];
        Ok(ModelResponse::new(calls.map(ResponsePart::ToolCall).into()))
    });
    let agent = Agent::builder(model).name("clerk").tool(fetch()).tool(pay()).tool(pay_if_agreed()).build()?;
    let agent = KitaruAgent::new(agent).tool_options("pay", ToolOptions::default().requires_approval());
    Ok(agent.run(to).await?.output)
}

#[tokio::test]
async fn waiting_call_is_asked_about_when_a_failed_sibling_is_tried_again() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    for (to, by) in [("Max", "pay"), ("Moritz", "pay_if_agreed")] {
        *NET.lock().unwrap() = false;
        let call = || fetches_and_pays(to.into(), by.into()).id(to).on(&kitaru);
        for _ in 0..2 {
            let ended = tokio::time::timeout(Duration::from_secs(20), call().into_future());
            let error = format!("{:#}", anyhow::Error::from(ended.await.expect("it waits").unwrap_err()));
            assert!(error.contains("the net is down"), "{error}");
        }
        *NET.lock().unwrap() = true;
        let handle = call().start().await.unwrap();
        let (target, wait) = (("fetches_and_pays", to), format!("{by}_approval"));
        let answered = async {
            while kitaru.answer(&target, &wait, &Approval::Approve).await.is_err() {
                tokio::task::yield_now().await;
            }
            handle.await
        };
        let came = tokio::time::timeout(Duration::from_secs(20), answered).await.expect("it hangs");
        assert_eq!(came.unwrap(), "fetched, paid");
        assert_eq!(paid(to), [format!("{to}: 3")]);
    }
}

static CLERK: Mutex<&str> = Mutex::new("first");

#[flow]
async fn changes_hands(to: String) -> Result<String, RunError> {
    // As after a deploy: another agent asks for the same call of a tool of the same name.
    let name = *CLERK.lock().unwrap();
    let model = FunctionModel::new("cashier", |request| {
        Ok(match request.tool_returns().last() {
            None => ModelResponse::tool_call("1", "pay", json!({ "to": request.prompt(), "euros": 4 }).to_string()),
            Some(given) => ModelResponse::text(given.content.as_str()),
        })
    });
    let agent = KitaruAgent::new(Agent::builder(model).name(name).tool(pay()).build()?);
    let output = agent.tool_options("pay", ToolOptions::default().requires_approval()).run(to).await?.output;
    if name == "first" { Err(Error::msg("the process is to end here").into()) } else { Ok(output) }
}

#[tokio::test]
async fn approval_for_one_agent_does_not_approve_another_agents_call() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let target = ("changes_hands", "Ann");
    let call = || changes_hands("Ann".into()).id("Ann").on(&kitaru).start();
    let waiting = async || {
        let arrived = async {
            loop {
                let job = kitaru.execution((target.0, target.1)).await.unwrap();
                match job.as_ref().and_then(|job| job.waits().first().map(|wait| wait.name().to_owned())) {
                    Some(name) => return name,
                    None => tokio::task::yield_now().await,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("a question opens")
    };
    let first = call().await.unwrap();
    let wait = waiting().await;
    kitaru.answer(&target, &wait, &Approval::Approve).await.unwrap();
    first.await.unwrap_err();
    assert_eq!(paid("Ann"), ["Ann: 4"]);

    *CLERK.lock().unwrap() = "second";
    let second = call().await.unwrap();
    let wait = waiting().await;
    assert_eq!(paid("Ann").len(), 1, "that was not approved");
    kitaru.answer(&target, &wait, &Approval::Approve).await.unwrap();
    assert_eq!(second.await.unwrap(), "paid");
}

#[tokio::test]
async fn approval_of_a_tool_call_is_not_taken_over_for_other_arguments() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let handle = payments("Fay".into(), [1, 2]).id("Fay").on(&kitaru).start().await.unwrap();
    until_waiting(&kitaru, "Fay", 2).await;
    for wait in ["pay_approval", "pay_approval_2"] {
        kitaru.answer(("payments", "Fay"), wait, &Approval::Approve).await.unwrap();
    }
    assert_eq!(handle.await.unwrap(), "paid, paid");
    // The model asks for another amount, and for one that a person has approved.
    let fork = kitaru.fork(("payments", "Fay")).input(json!({ "to": "Fay", "amounts": [1, 300] })).id("fork");
    fork.start().await.unwrap();
    until_waiting(&kitaru, "fork", 1).await;
    let fork = kitaru.execution(("payments", "fork")).await.unwrap().unwrap();
    assert_eq!(fork.waits()[0].metadata()["arguments"]["euros"], 300);
    assert!(!paid("Fay").contains(&"Fay: 300".to_owned()));
    kitaru.answer(("payments", "fork"), "pay_approval_2", &Approval::Deny("too much".into())).await.unwrap();
    let done = payments("Fay".into(), [1, 300]).id("fork").on(&kitaru).await.unwrap();
    assert_eq!(done, "paid, the call was denied: too much");
}
