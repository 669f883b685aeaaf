//! Agents in bodies of tools and checkpoints: their cost, and the rest of a shared budget.
#![cfg(feature = "agent")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::join_all;
use kitaru::agent::{
    Agent, AgentError, Bill, Budget, FunctionModel, FunctionTool, KitaruAgent, Limit, ModelResponse, Price, RunError,
    Tokens, ToolDefinition, ToolError, ToolOptions, ToolOutput,
};
use kitaru::{Error, Kitaru, dynamic};

const PRICE: Price = Price::per_million(1.0, 1.0);

async fn store() -> Kitaru {
    Kitaru::builder().in_memory().open().await.unwrap()
}

/// An agent that answers immediately, and a counter of its requests.
fn expert(name: &str) -> (Agent, Arc<AtomicU64>) {
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    let model = FunctionModel::new("expert", move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(ModelResponse::text("42").with_tokens(Tokens::new(100, 0)))
    });
    (Agent::builder(model).name(name).price(PRICE).build().unwrap(), asked)
}

/// An agent that has `expert` asked before it answers, on the same budget.
fn chief(expert: &KitaruAgent, budget: &Budget, options: ToolOptions) -> Agent {
    let model = FunctionModel::new("chief", |request| {
        Ok(match request.tool_returns().last() {
            None => ModelResponse::tool_call("call", "delegate", "{}"),
            Some(told) => ModelResponse::text(told.content.clone()),
        }
        .with_tokens(Tokens::new(1, 0)))
    });
    let (expert, budget) = (expert.clone(), budget.clone());
    let delegate = FunctionTool::new(ToolDefinition::new("delegate", "").options(options), move |_| {
        let asked = expert.run("What is the answer?").budget(&budget);
        async move { Ok::<_, ToolError>(ToolOutput::text(asked.await.map_err(ToolError::failed)?.output)) }
    });
    Agent::builder(model).name("chief").tool(delegate).price(PRICE).build().unwrap()
}

#[tokio::test]
async fn budget_spent_by_an_agent_in_a_tool_counts_on_every_attempt() {
    for (granular, options) in
        [(true, ToolOptions::default()), (false, ToolOptions::default()), (true, ToolOptions::default().not_durable())]
    {
        let (kitaru, (inner, asked)) = (store().await, expert("expert"));
        let inner = KitaruAgent::new(inner);
        let mut bills = Vec::new();
        for ends_well in [false, false, true] {
            let budget = Budget::new();
            let agent = KitaruAgent::new(chief(&inner, &budget, options)).granular_checkpoints(granular);
            let shared = budget.clone();
            let flow = dynamic::flow("story").run(move || async move {
                agent.run("Find out").budget(&shared).await?;
                assert_eq!((shared.usage().requests, shared.usage().tool_calls), (3, 1));
                assert_eq!(shared.usage().tokens, Tokens::new(102, 0));
                if ends_well { Ok(()) } else { Err::<(), RunError>(Error::msg("the process is to end here").into()) }
            });
            assert_eq!(flow.id("job").on(&kitaru).await.is_ok(), ends_well);
            bills.push((budget.bill().paid.requests, budget.bill().replayed.requests));
        }
        assert_eq!(bills, [(3, 0), (0, 3), (0, 3)], "granular: {granular}");
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        let bill = Bill::of(&kitaru.execution(("story", "job")).await.unwrap().unwrap());
        assert_eq!((bill.total().requests, bill.total().tool_calls), (3, u64::from(options == ToolOptions::default())));
        assert_eq!(bill.total().tokens, Tokens::new(102, 0), "granular: {granular}");
    }
}

#[tokio::test]
async fn all_runs_in_the_body_of_a_checkpoint_are_in_the_bill_of_its_execution() {
    for granular in [true, false] {
        let (kitaru, (agent, asked)) = (store().await, expert("expert"));
        let agent = KitaruAgent::new(agent).granular_checkpoints(granular);
        let flow = dynamic::flow("story").run(move || async move {
            let body = || async {
                for n in 0..4 {
                    agent.run(format!("Question {n}")).await?;
                }
                Ok::<_, RunError>(())
            };
            dynamic::checkpoint("four").run(body).await
        });
        flow.id("job").on(&kitaru).await.unwrap();
        let bill = Bill::of(&kitaru.execution(("story", "job")).await.unwrap().unwrap());
        assert_eq!((bill.paid.requests, bill.paid.tokens), (4, Tokens::new(400, 0)), "granular: {granular}");
        assert_eq!(asked.load(Ordering::Relaxed), 4);
    }
}

#[tokio::test]
async fn runs_side_by_side_overshoot_a_budget_by_no_more_than_an_answer_each() {
    for granular in [true, false] {
        let asked = Arc::new(AtomicU64::new(0));
        let count = asked.clone();
        // This agent never ends by itself.
        let model = FunctionModel::new("digger", move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(ModelResponse::tool_call("call", "dig", "{}"))
        });
        let dig = FunctionTool::new(ToolDefinition::new("dig", ""), |_| async { Ok(ToolOutput::text("sand")) });
        let agent = Agent::builder(model).name("digger").tool(dig).build().unwrap();
        let agent = KitaruAgent::new(agent).granular_checkpoints(granular);
        let flow = dynamic::flow("story").run(move || async move {
            let budget = Budget::new().requests(6);
            let runs = (0..4).map(|n| agent.run(format!("Dig {n}")).budget(&budget));
            for ended in join_all(runs).await {
                let used_up = AgentError::Budget { limit: Limit::Requests, bound: 6 };
                assert!(matches!(ended, Err(RunError::Agent(error)) if error == used_up));
            }
            Ok::<_, Error>(budget.usage().requests)
        });
        let counted = flow.id("job").on(&store().await).await.unwrap();
        let asked = asked.load(Ordering::Relaxed);
        assert_eq!(counted, asked, "granular: {granular}");
        assert!((6..=9).contains(&asked), "granular: {granular}, asked {asked} times");
    }
}
