//! Bounds that cannot be kept are refused, and so are such names. Sensitive values are shown nowhere.
#![cfg(feature = "agent")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use kitaru::agent::{
    Agent, AgentError, Budget, Cost, FunctionModel, FunctionTool, KitaruAgent, Limits, MAX_AGENT_NAME_BYTES,
    ModelResponse, Price, RunError, Tokens, ToolDefinition, ToolOutput,
};
use kitaru::{Kitaru, MAX_NAME_BYTES, dynamic};
use serde_json::json;

async fn store() -> Kitaru {
    Kitaru::builder().in_memory().open().await.unwrap()
}

/// Looks once, then says what it saw; and a counter of its requests. It reports its usage or does not.
fn seer(tokens: Tokens, price: Option<Price>) -> (Agent, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let model = FunctionModel::new("m", move |request| {
        count.fetch_add(1, Ordering::Relaxed);
        let response = match request.tool_returns().last() {
            None => ModelResponse::tool_call("call", "look", json!({ "card": "4111" }).to_string()),
            Some(seen) => ModelResponse::text(format!("I see {}", seen.content)),
        };
        Ok(response.with_tokens(tokens))
    });
    let definition = ToolDefinition::new("look", "").parameters(json!({ "type": "object" }));
    let look = FunctionTool::new(definition, |_| async { Ok(ToolOutput::text("the sea")) });
    let agent = Agent::builder(model).name("seer").tool(look);
    let agent = match price {
        Some(price) => agent.price(price),
        None => agent,
    };
    (agent.build().unwrap(), asked)
}

/// The result of a run that has bounds of its own, or a budget.
async fn bounded(agent: Agent, granular: bool, limits: Limits, budget: &Budget) -> Result<(), RunError> {
    let agent = KitaruAgent::new(agent).granular_checkpoints(granular);
    let budget = budget.clone();
    let flow = dynamic::flow("own").run(move || async move {
        agent.run("What is there?").limits(limits).budget(&budget).await?;
        Ok(())
    });
    flow.fresh().on(&store().await).await
}

fn reason(ended: Result<(), RunError>) -> String {
    match ended {
        Err(RunError::Agent(AgentError::Invalid { agent, reason })) if agent == "seer" => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn bound_on_cost_without_a_price_is_refused_before_any_request() {
    let cost = Cost::of(0.01);
    for granular in [true, false] {
        for (limits, budget) in
            [(Limits::default().cost(cost), Budget::new()), (Limits::default(), Budget::new().cost(cost))]
        {
            let (agent, asked) = seer(Tokens::new(10, 1), None);
            let why = reason(bounded(agent.clone(), granular, limits, &budget).await);
            assert!(why.contains(".price(") && why.contains("total_tokens"), "{why}");
            let plain = agent.run("What is there?").limits(limits).budget(&budget).await;
            assert!(matches!(plain, Err(AgentError::Invalid { .. })), "plain agents, too");
            assert_eq!(asked.load(Ordering::Relaxed), 0);
            // A model that is free has a price.
            let (free, _) = seer(Tokens::new(10, 1), Some(Price::per_million(0.0, 0.0)));
            bounded(free, granular, limits, &budget).await.unwrap();
            let (priced, _) = seer(Tokens::new(10, 1), Some(Price::per_million(1.0, 1.0)));
            bounded(priced, granular, limits, &budget).await.unwrap();
        }
        let (agent, _) = seer(Tokens::new(10, 1), None);
        let bounds = Limits::default().total_tokens(1_000).requests(9);
        bounded(agent, granular, bounds, &Budget::new().total_tokens(1_000)).await.unwrap();
    }
}

#[tokio::test]
async fn bound_on_unreported_usage_refuses_the_next_request() {
    let (cost, price) = (Cost::of(0.01), Some(Price::per_million(1.0, 1.0)));
    let bounds = || {
        [
            (Limits::default().total_tokens(1_000), Budget::new()),
            (Limits::default().cost(cost), Budget::new()),
            (Limits::default(), Budget::new().total_tokens(1_000)),
            (Limits::default(), Budget::new().cost(cost)),
        ]
    };
    for granular in [true, false] {
        for (limits, budget) in bounds() {
            let (agent, asked) = seer(Tokens::default(), price);
            let why = reason(bounded(agent, granular, limits, &budget).await);
            assert!(why.contains("without a usage") && why.contains("`m`"), "{why}");
            assert_eq!(asked.load(Ordering::Relaxed), 1, "the answer itself counts");
        }
    }
    // A budget counts all runs of all agents.
    let budget = Budget::new().total_tokens(1_000);
    let silent = FunctionModel::new("m", |_| Ok(ModelResponse::text("42")));
    let silent = Agent::builder(silent).name("silent").build().unwrap();
    silent.run("What is it?").budget(&budget).await.unwrap();
    let (agent, asked) = seer(Tokens::new(10, 1), price);
    reason(bounded(agent, true, Limits::default(), &budget).await);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    // Without such a bound the usage need not be known.
    let (agent, asked) = seer(Tokens::default(), price);
    bounded(agent, true, Limits::default(), &Budget::new().requests(9)).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn name_that_no_checkpoint_could_have_is_refused_when_an_agent_is_built() {
    let named =
        |name: &str| Agent::builder(FunctionModel::new("m", |_| Ok(ModelResponse::text("42")))).name(name).build();
    assert_eq!(MAX_AGENT_NAME_BYTES, MAX_NAME_BYTES - "_model_request".len());
    let longest = "é".repeat(MAX_AGENT_NAME_BYTES / 2);
    for granular in [true, false] {
        let agent = KitaruAgent::new(named(&longest).unwrap()).granular_checkpoints(granular);
        let flow =
            dynamic::flow("own").run(move || async move { agent.run("What is it?").await.map(|told| told.output) });
        assert_eq!(flow.on(&store().await).await.unwrap(), "42");
    }
    for (name, why) in [
        ("", "empty"),
        ("a\nb", "control character"),
        ("a\u{85}b", "control character"),
        (&*"x".repeat(MAX_AGENT_NAME_BYTES + 1), "115 bytes"),
    ] {
        let refused = named(name).unwrap_err();
        assert!(matches!(&refused, AgentError::Invalid { reason, .. } if reason.contains(why)), "{refused}");
    }
}

#[tokio::test]
async fn sensitive_agent_shows_nothing_of_its_prompts_and_answers() {
    for granular in [true, false] {
        let kitaru = store().await;
        let (agent, _) = seer(Tokens::new(10, 1), None);
        let agent = KitaruAgent::new(agent).granular_checkpoints(granular).sensitive();
        let own = agent.clone();
        let flow = dynamic::flow("own").run(move || async move {
            own.run("My card is 4111.").await?;
            Ok::<_, RunError>(())
        });
        flow.id("job").on(&kitaru).await.unwrap();
        let execution = kitaru.execution(("own", "job")).await.unwrap().unwrap();
        let mut shown = format!("{execution:?}");
        shown += &serde_json::to_string(&kitaru.export(("own", "job")).await.unwrap()).unwrap();
        // Outside flows the run's own flow takes the prompt.
        agent.run("My card is 4111.").id("job").on(&kitaru).await.unwrap();
        let execution = kitaru.execution(("seer", "job")).await.unwrap().unwrap();
        shown += execution.input();
        shown += &execution.records().iter().map(|record| format!("{record:?}")).collect::<String>();
        for secret in ["4111", "the sea"] {
            assert!(!shown.contains(secret), "granular: {granular}: {secret} in {shown}");
        }
    }
}
