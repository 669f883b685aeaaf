//! Tools that ask for approval themselves, of some calls only.
#![cfg(feature = "agent")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::future::IntoFuture;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kitaru::agent::{
    Agent, Approval, Bill, FunctionModel, KitaruAgent, ModelRequest, ModelResponse, ResponsePart, RunContext, RunError,
    ToolCall, ToolError, ToolOptions,
};
use kitaru::testkit;
use kitaru::{Error, Kitaru, Status, checkpoint, flow, tool};
use serde_json::{Value, json};

static PAID: Mutex<Vec<(String, u32)>> = Mutex::new(Vec::new());

/// Pays a supplier. Large sums want approval.
#[tool]
async fn pay(
    context: &RunContext,
    to: String,
    /// In whole euros.
    #[schemars(range(min = 1))]
    euros: u32,
) -> Result<String, ToolError> {
    if euros > 100 && !context.is_approved() {
        return Err(ToolError::approval_required(format!("{euros} € is much")));
    }
    PAID.lock().unwrap_or_else(PoisonError::into_inner).push((to, euros));
    Ok(format!("{euros} paid"))
}

fn paid(to: &str) -> Vec<u32> {
    let paid = PAID.lock().unwrap_or_else(PoisonError::into_inner);
    let mut paid: Vec<_> = paid.iter().filter(|(known, _)| known == to).map(|(_, euros)| *euros).collect();
    paid.sort();
    paid
}

/// Asks for payments of these amounts in one response, then tells their results.
fn cashier(amounts: Vec<u32>) -> Agent {
    let model = FunctionModel::new("cashier", move |request| {
        let given = request.tool_returns();
        if !given.is_empty() {
            let told: Vec<_> = given.iter().map(|given| given.content.as_str()).collect();
            return Ok(ModelResponse::text(told.join(", ")));
        }
        let call = |euros: &u32| {
            let arguments = json!({ "to": request.prompt(), "euros": euros }).to_string();
            ResponsePart::ToolCall(ToolCall::new(format!("call_{euros}"), "pay", arguments))
        };
        Ok(ModelResponse::new(amounts.iter().map(call).collect()))
    });
    Agent::builder(model).name("cashier").tool(pay()).build().unwrap()
}

#[flow]
async fn payments(to: String, amounts: Vec<u32>) -> Result<(String, u64), RunError> {
    let result = KitaruAgent::new(cashier(amounts)).run(to).await?;
    Ok((result.output, result.usage.tool_calls))
}

/// The open questions by amount: the name of the wait, its question and what it shows.
async fn asked(kitaru: &Kitaru, flow: &str, id: &str, waits: usize) -> Vec<(u64, String, String, Value)> {
    let arrived = async {
        loop {
            if let Some(job) = kitaru.execution((flow, id)).await.unwrap()
                && job.status() == Status::Waiting
                && job.waits().len() == waits
            {
                return job;
            }
            tokio::task::yield_now().await;
        }
    };
    let job = tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("it hangs");
    let shown = job.waits().iter().map(|wait| {
        let euros = wait.metadata()["arguments"]["euros"].as_u64().unwrap();
        (euros, wait.name().to_owned(), wait.question().to_owned(), wait.metadata())
    });
    let mut shown: Vec<_> = shown.collect();
    shown.sort_by_key(|shown| shown.0);
    shown
}

#[tokio::test]
async fn tool_asks_with_its_reason_and_is_called_again_as_a_person_decides() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let handle = payments("Ada".into(), vec![300, 10, 200]).id("Ada").on(&kitaru).start().await.unwrap();
    let waits = asked(&kitaru, "payments", "Ada", 2).await;
    assert_eq!(paid("Ada"), [10], "that needs no approval");
    let (_, wait, question, shown) = &waits[0];
    assert_eq!(question, "May the tool `pay` be called? It asks because: 200 € is much.");
    let arguments = json!({ "to": "Ada", "euros": 200 });
    assert_eq!(*shown, json!({ "tool": "pay", "arguments": arguments, "reason": "200 € is much" }));

    let target = ("payments", "Ada");
    // A payment of zero does not fit: the question is asked again, with the reason and the error.
    kitaru.answer(&target, wait, &Approval::ApproveWith(json!({ "to": "Ada", "euros": 0 }))).await.unwrap();
    let waits = asked(&kitaru, "payments", "Ada", 2).await;
    let (_, wait, question, _) = &waits[0];
    assert!(question.contains("200 € is much") && question.contains("0 is less than the minimum of 1"), "{question}");
    kitaru.answer(&target, wait, &Approval::ApproveWith(json!({ "to": "Ada", "euros": 150 }))).await.unwrap();
    kitaru.answer(&target, &waits[1].1, &Approval::Deny("no".into())).await.unwrap();
    assert_eq!(handle.await.unwrap(), ("the call was denied: no, 10 paid, 150 paid".to_owned(), 3));
    assert_eq!(paid("Ada"), [10, 150]);
    let job = kitaru.execution(("payments", "Ada")).await.unwrap().unwrap();
    assert_eq!(Bill::of(&job).total().tool_calls, 2, "a call that only asked is none");
}

#[tokio::test]
async fn calls_that_ask_concurrently_keep_their_arguments_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let open = async || Kitaru::builder().dir(dir.path()).open().await.unwrap();
    let target = ("payments", "Bob");
    let amounts = vec![200, 300, 400];
    drop(payments("Bob".into(), amounts.clone()).id("Bob").on(&open().await).start().await.unwrap());
    let answers = [
        (300, Approval::Deny("not him".into())),
        (400, Approval::ApproveWith(json!({ "to": "Bob", "euros": 40 }))),
        (200, Approval::Approve),
    ];
    for (nth, (euros, answer)) in answers.iter().enumerate() {
        let kitaru = open().await;
        let waits = asked(&kitaru, "payments", "Bob", 3 - nth).await;
        let wait = waits.iter().find(|shown| shown.0 == *euros).unwrap();
        kitaru.answer(&target, &wait.1, answer).await.unwrap();
        if nth + 1 < answers.len() {
            asked(&kitaru, "payments", "Bob", 2 - nth).await;
        } else {
            let came = payments("Bob".into(), amounts.clone()).id("Bob").on(&kitaru).await.unwrap();
            assert_eq!(came.0, "200 paid, the call was denied: not him, 40 paid");
        }
        kitaru.close().await.unwrap();
    }
    assert_eq!(paid("Bob"), [40, 200]);
}

#[tokio::test]
async fn calls_that_ask_survive_a_crash_everywhere() {
    testkit::crash_everywhere(|kit| async move {
        let handle = kit.start(payments("Eve".into(), vec![200, 200, 5, 300]).id("Eve")).await.unwrap();
        for wait in ["pay_approval", "pay_approval_2", "pay_approval_3"] {
            kit.answer(("payments", "Eve"), wait, &Approval::Approve).await.unwrap();
        }
        let came = handle.await.unwrap();
        assert_eq!(came.0, "200 paid, 200 paid, 5 paid, 300 paid");
        came
    });
    assert!(paid("Eve").iter().all(|euros| [200, 5, 300].contains(euros)));
}

static TIMES: Mutex<usize> = Mutex::new(1);

#[flow]
async fn pays_more_often(to: String) -> Result<String, RunError> {
    // As after a deploy: another model asks for the same payment once more.
    let times = *TIMES.lock().unwrap();
    let agent = cashier(vec![200; times]).map_model(|model| {
        let asked = move |request: ModelRequest| {
            let model = model.clone();
            async move { model.request(&request).await }
        };
        Arc::new(FunctionModel::from_async(format!("cashier-{times}"), asked))
    });
    let output = KitaruAgent::new(agent).run(to).await?.output;
    if times == 1 { Err(Error::msg("the process is to end here").into()) } else { Ok(output) }
}

#[tokio::test]
async fn record_of_an_approved_call_does_not_answer_an_unapproved_one() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let target = ("pays_more_often", "Kim");
    let call = || pays_more_often("Kim".into()).id("Kim").on(&kitaru).start();
    let first = call().await.unwrap();
    let waits = asked(&kitaru, target.0, target.1, 1).await;
    kitaru.answer(&target, &waits[0].1, &Approval::Approve).await.unwrap();
    first.await.unwrap_err();
    assert_eq!(paid("Kim"), [200]);

    *TIMES.lock().unwrap() = 2;
    let second = call().await.unwrap();
    let waits = asked(&kitaru, target.0, target.1, 1).await;
    assert_eq!((&*waits[0].1, paid("Kim").len()), ("pay_approval_2", 1), "the first is paid, the second asks");
    kitaru.answer(&target, &waits[0].1, &Approval::Approve).await.unwrap();
    assert_eq!(second.await.unwrap(), "200 paid, 200 paid");
    assert_eq!(paid("Kim"), [200, 200]);
}

#[flow]
async fn asks_beforehand(to: String) -> Result<String, RunError> {
    let agent = KitaruAgent::new(cashier(vec![200])).tool_options("pay", ToolOptions::default().requires_approval());
    Ok(agent.run(to).await?.output)
}

#[tokio::test]
async fn call_approved_beforehand_tells_its_tool() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let handle = asks_beforehand("Joe".into()).id("Joe").on(&kitaru).start().await.unwrap();
    let waits = asked(&kitaru, "asks_beforehand", "Joe", 1).await;
    assert_eq!(waits[0].3, json!({ "tool": "pay", "arguments": { "to": "Joe", "euros": 200 } }));
    kitaru.answer(("asks_beforehand", "Joe"), "pay_approval", &Approval::Approve).await.unwrap();
    let paid = tokio::time::timeout(Duration::from_secs(20), handle).await.expect("the tool pays and asks no more");
    assert_eq!(paid.unwrap(), "200 paid");
}

/// Asks again after every approval.
#[tool]
async fn nag() -> anyhow::Result<String> {
    Err(ToolError::approval_required("one never knows").into())
}

#[flow]
async fn nags() -> Result<String, RunError> {
    let model = FunctionModel::new("nag", |_| Ok(ModelResponse::tool_call("id", "nag", "{}")));
    let agent = Agent::builder(model).name("nag").tool(nag()).build()?;
    Ok(KitaruAgent::new(agent).run("Well?").await?.output)
}

#[tokio::test]
async fn tool_that_asks_after_an_approval_is_an_error_not_an_endless_question() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let handle = nags().id("nag").on(&kitaru).start().await.unwrap();
    let answered = async {
        while kitaru.answer(("nags", "nag"), "nag_approval", &Approval::Approve).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), answered).await.expect("it hangs");
    let error = format!("{:#}", anyhow::Error::from(handle.await.unwrap_err()));
    assert!(error.contains("asks to approve an approved call (one never knows)"), "{error}");
}

#[checkpoint]
async fn pays_in_a_body(to: String) -> Result<String, RunError> {
    Ok(KitaruAgent::new(cashier(vec![200])).run(to).await?.output)
}

#[flow]
async fn pays_in_a_checkpoint(to: String) -> Result<String, RunError> {
    pays_in_a_body(to).await
}

#[tokio::test]
async fn approval_request_where_no_wait_is_possible_is_an_error_that_names_the_way_out() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let agent = || KitaruAgent::new(cashier(vec![200]));
    let plain = cashier(vec![200]).run("Sue").await.unwrap_err();
    let in_a_turn = agent().granular_checkpoints(false).run("Sue").on(&kitaru).await.unwrap_err();
    let in_a_body = pays_in_a_checkpoint("Sue".into()).on(&kitaru).await.unwrap_err();
    let not_durable = ToolOptions::default().not_durable();
    let unrecorded =
        agent().tool_options("pay", not_durable).run("Sue").id("unrecorded").on(&kitaru).await.unwrap_err();
    for error in [RunError::from(plain), in_a_turn, in_a_body, unrecorded] {
        let said = format!("{:#}", anyhow::Error::from(error));
        for part in ["tool `pay` failed", "needs approval (200 € is much)", "run it by `KitaruAgent`"] {
            assert!(said.contains(part), "{said}");
        }
    }
    assert!(paid("Sue").is_empty());
}

/// Has an assistant pay.
#[tool]
async fn delegate(to: String) -> Result<String, RunError> {
    Ok(KitaruAgent::new(cashier(vec![200])).run(to).await?.output)
}

#[flow]
async fn delegates(to: String) -> Result<String, RunError> {
    let model = FunctionModel::new("boss", |request| {
        Ok(match request.tool_returns().last() {
            None => ModelResponse::tool_call("id", "delegate", json!({ "to": request.prompt() }).to_string()),
            Some(given) => ModelResponse::text(given.content.as_str()),
        })
    });
    Ok(KitaruAgent::new(Agent::builder(model).name("boss").tool(delegate()).build()?).run(to).await?.output)
}

#[tokio::test]
async fn question_of_an_agent_in_a_tool_is_not_about_that_tool() {
    let kitaru = Kitaru::builder().in_memory().open().await.unwrap();
    let ended = delegates("Tom".into()).id("Tom").on(&kitaru).into_future();
    let error = tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it asks").unwrap_err();
    let said = format!("{:#}", anyhow::Error::from(error));
    assert!(said.contains("tool `pay` failed") && said.contains("200 € is much"), "{said}");
    assert!(paid("Tom").is_empty());
}
