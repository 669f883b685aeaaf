//! Flows with agents on a testkit: stubbed tools, and `at_most_once` tools.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use kitaru::agent::{
    Agent, FunctionModel, KitaruAgent, ModelResponse, RunContext, RunError, ToolError, ToolOptions, ToolOutput,
};
use kitaru::testkit::{Testkit, crash_everywhere};
use kitaru::{Error, Resolution, flow, tool};
use serde_json::{Value, json};

/// Looks up an order.
#[tool(read_only)]
async fn lookup_order(number: u32) -> Result<String, ToolError> {
    Err(ToolError::failed(format!("there is no database here, nor order {number}")))
}

/// Sends a parcel.
#[tool]
async fn send_parcel(context: &RunContext, number: u32) -> String {
    drop(context.prompt.clone());
    format!("sent {number}")
}

/// Asks for one tool, and answers with its result.
fn script(tool: &'static str) -> FunctionModel {
    FunctionModel::new("script", move |request| {
        Ok(match request.tool_returns().last() {
            None => ModelResponse::tool_call("1", tool, r#"{"number":7}"#),
            Some(given) => ModelResponse::text(given.content.as_str()),
        })
    })
}

#[flow]
async fn desk(question: String) -> Result<String, RunError> {
    let agent = Agent::builder(script("lookup_order")).name("desk").tool(lookup_order()).build()?;
    Ok(KitaruAgent::new(agent).run(question).await?.output)
}

#[tokio::test]
async fn stub_of_a_tool_returns_what_the_tool_returns() {
    let recorded = json!({ "output": { "content": "shipped" } });
    let output = serde_json::to_value(ToolOutput::text("shipped")).unwrap();
    for (given, told) in [
        (json!("shipped"), "shipped"),
        (output, "shipped"),
        (recorded, "shipped"),
        (json!(7), "7"),
        (json!(null), "null"),
        (json!({ "content": "x", "weight": 2 }), r#"{"content":"x","weight":2}"#),
        (json!({ "output": 3 }), r#"{"output":3}"#),
    ] {
        let kit = Testkit::new();
        kit.stub("lookup_order_tool", move |args| {
            assert_eq!(args["arguments"], r#"{"number":7}"#);
            given.clone()
        });
        assert_eq!(kit.run(desk("Where is it?".into())).await.unwrap(), told);
        assert_eq!((kit.executed("lookup_order_tool"), kit.executed("desk_model_request")), (1, 2));
    }
    let kit = Testkit::new();
    kit.stub("lookup_order_tool", |_| json!({ "retry": "no such number" }));
    let told = kit.run(desk("Where is it?".into())).await.unwrap_err();
    assert!(format!("{told:?}").contains("no such number"), "it goes back to the model, again and again: {told:?}");
    kit.stub("lookup_order_tool", |_| Err::<Value, _>(Error::msg("the database is down")));
    let failed = kit.run(desk("And now?".into())).await.unwrap_err();
    assert!(kit.executed("lookup_order_tool") >= 2, "{failed}");
}

#[tokio::test]
async fn a_stub_of_a_tool_that_panics_fails_the_test_where_it_is() {
    let kit = Testkit::new();
    kit.stub("lookup_order_tool", |args| {
        assert_eq!(args["arguments"], r#"{"number":8}"#, "another order");
        json!("shipped")
    });
    let ended = AssertUnwindSafe(kit.run(desk("Where is it?".into()))).catch_unwind().await;
    let panic = ended.expect_err("the stub is wrong");
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("the stub of checkpoint `lookup_order_tool`"), "{message}");
    assert!(message.contains("another order"), "{message}");
    assert_eq!(kit.executed("lookup_order_tool"), 1);
}

#[flow]
async fn parcels(question: String) -> Result<String, RunError> {
    let agent = Agent::builder(script("send_parcel")).name("clerk").tool(send_parcel()).build()?;
    let agent = KitaruAgent::new(agent).tool_options("send_parcel", ToolOptions::default().once());
    Ok(agent.run(question).await?.output)
}

#[test]
fn at_most_once_tool_survives_a_crash_everywhere_with_or_without_an_answer() {
    crash_everywhere(|kit| async move { kit.run(parcels("Send it.".into())).await.map_err(|error| error.to_string()) });
    crash_everywhere(|kit| async move {
        let job = kit.start(parcels("Send it.".into()).id("p")).await.unwrap();
        let execution = kit.kitaru().execution(("parcels", "p")).await.unwrap().unwrap();
        if !execution.waits().is_empty() {
            kit.answer(&job, "send_parcel_tool", &Resolution::happened("sent 7").unwrap()).await.unwrap();
        }
        job.await.map_err(|error| error.to_string())
    });
}
