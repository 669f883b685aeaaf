//! Tools that are called only once somebody has agreed.
#![cfg(feature = "agent")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kitaru::agent::{
    Agent, AgentError, Approval, FunctionModel, KitaruAgent, ModelResponse, ResponsePart, RunError, ToolCall,
    ToolOptions,
};
use kitaru::{Error, Kitaru, Status, flow, tool};
use serde_json::json;

static PAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Pays somebody.
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

/// Asks for two payments to `prompt` at once, then says what came of them.
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
            let job = kitaru.execution("payments", id).await.unwrap();
            if job.is_some_and(|job| job.status() == Status::Waiting && job.waits().len() == waits) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("it hangs");
}

#[tokio::test]
async fn calls_wait_side_by_side_with_their_arguments_in_view_and_are_made_denied_or_changed() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let handle = payments("Ada".into(), [10, 20]).id("Ada").on(&kitaru).start().await.unwrap();
    until_waiting(&kitaru, "Ada", 2).await;
    let job = kitaru.execution("payments", "Ada").await.unwrap().unwrap();
    let mut shown: Vec<_> = job.waits().iter().map(|wait| (wait.name().to_owned(), wait.metadata())).collect();
    shown.sort_by(|a, b| a.0.cmp(&b.0));
    let asked = |euros: u32| json!({ "tool": "pay", "arguments": { "to": "Ada", "euros": euros } });
    assert_eq!(shown, [("pay_approval".to_owned(), asked(10)), ("pay_approval_2".to_owned(), asked(20))]);
    assert!(paid("Ada").is_empty());

    let target = ("payments", "Ada");
    kitaru.answer(&target, "pay_approval_2", &Approval::Deny("too much".into())).await.unwrap();
    until_waiting(&kitaru, "Ada", 1).await;
    // No payment of nothing: the question is asked again, with the reason.
    kitaru.answer(&target, "pay_approval", &Approval::ApproveWith(json!({ "to": "Ada", "euros": 0 }))).await.unwrap();
    until_waiting(&kitaru, "Ada", 1).await;
    let job = kitaru.execution("payments", "Ada").await.unwrap().unwrap();
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
        kitaru.answer(&("payments", "Bob"), wait, &Approval::Approve).await.unwrap();
    }
    assert_eq!(handle.await.unwrap(), "paid, paid");
    let mut paid = paid("Bob");
    paid.sort();
    assert_eq!(paid, ["Bob: 1", "Bob: 2"]);
}

static RATE: Mutex<u32> = Mutex::new(7);

#[flow]
async fn changing(to: String) -> Result<String, RunError> {
    // As after a deploy: another question to the model, and so another call.
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
async fn what_was_agreed_to_is_no_agreement_to_other_arguments() {
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
    assert_eq!(paid("Eve").len(), 2, "nobody agreed to 9000");
    agree(["pay_approval_3", "pay_approval_4"]).await;
    assert_eq!(second.await.unwrap(), "paid, paid");
    assert_eq!(paid("Eve").len(), 4);
}

async fn until_asked_again(kitaru: &Kitaru) {
    let arrived = async {
        while kitaru.execution("changing", "Eve").await.unwrap().is_none_or(|job| job.waits().len() < 2) {
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(20), arrived).await.is_err() {
        panic!("it hangs: {:#?}", kitaru.execution("changing", "Eve").await);
    }
}

#[tokio::test]
async fn an_agent_that_has_to_ask_where_nobody_can_wait_is_refused_before_any_request() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let asks = ToolOptions::default().requires_approval();
    let agent = KitaruAgent::new(cashier([1, 2])).tool_options("pay", asks).granular_checkpoints(false);
    let error = agent.run("Joe").on(&kitaru).await.unwrap_err();
    assert!(matches!(&error, RunError::Agent(AgentError::Invalid { .. })), "{error}");
    assert!(error.to_string().contains("leave `granular_checkpoints` on"), "{error}");
}
