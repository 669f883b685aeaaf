//! The cost of agents: of a run, a flow and an execution, in money and in bytes.
#![cfg(feature = "agent")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kitaru::agent::{
    Agent, AgentError, Bill, Budget, Cost, FunctionModel, FunctionTool, History, KitaruAgent, Limit, ModelResponse,
    Price, RunError, RunEvent, Tokens, ToolDefinition, ToolError, ToolOutput,
};
use kitaru::{Error, Kitaru, dynamic};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

async fn store() -> Kitaru {
    Kitaru::builder().in_memory().open().await.unwrap()
}

/// A model that looks once and then says what it saw; and a counter of its requests.
fn seer(price: Price) -> (Agent, Arc<AtomicU64>) {
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    let model = FunctionModel::new("seer", move |request| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(match request.tool_returns().last() {
            None => ModelResponse::tool_call("call", "look", "{}"),
            Some(seen) => ModelResponse::text(format!("I see {}", seen.content)),
        }
        .with_tokens(Tokens::new(1_000, 100)))
    });
    let look = FunctionTool::new(ToolDefinition::new("look", ""), |_| async { Ok(ToolOutput::text("the sea")) });
    (Agent::builder(model).name("seer").tool(look).price(price).build().unwrap(), asked)
}

/// Two requests of a run cost this much.
const A_RUN: Cost = Cost::from_nanos(4_000_000);
const PRICE: Price = Price::per_million(1.0, 10.0);

/// Runs three turns; the process ends after some of them.
async fn three_turns(
    kitaru: &Kitaru,
    agent: &KitaruAgent,
    budget: Budget,
    ends_after: usize,
) -> Result<Bill, RunError> {
    let agent = agent.clone();
    let flow = dynamic::flow("story").run(move || async move {
        // The budget of this attempt: a clone of the handle would share the count.
        let budget = Budget::clone(&budget);
        for turn in 0..3 {
            if turn == ends_after {
                return Err(Error::msg("the process is to end here").into());
            }
            agent.run(format!("Look {turn}")).budget(&budget).await?;
            assert_eq!(budget.usage().requests, 2 * (turn as u64 + 1), "the same on every attempt");
        }
        Ok(budget.bill())
    });
    flow.id("job").on(kitaru).await
}

#[tokio::test]
async fn bill_separates_payments_of_this_attempt_from_those_in_records() {
    for granular in [true, false] {
        let (agent, asked) = seer(PRICE);
        let (kitaru, agent) = (store().await, KitaruAgent::new(agent).granular_checkpoints(granular));
        three_turns(&kitaru, &agent, Budget::new(), 2).await.unwrap_err();
        let bill = three_turns(&kitaru, &agent, Budget::new(), 9).await.unwrap();
        assert_eq!((bill.paid.requests, bill.paid.tool_calls, bill.paid.cost), (2, 1, A_RUN), "granular: {granular}");
        assert_eq!((bill.replayed.requests, bill.replayed.tool_calls), (4, 2));
        assert_eq!(bill.replayed.tokens, Tokens::new(4_000, 400));
        assert_eq!(asked.load(Ordering::Relaxed), 6);
        let execution = kitaru.execution(("story", "job")).await.unwrap().unwrap();
        assert_eq!(Bill::of(&execution), bill, "granular: {granular}");
    }
}

#[tokio::test]
async fn a_budget_of_a_flow_holds_across_crashes() {
    for granular in [true, false] {
        let (agent, asked) = seer(PRICE);
        let (kitaru, agent) = (store().await, KitaruAgent::new(agent).granular_checkpoints(granular));
        // Enough for two turns and the first request of the third.
        let budget = || Budget::new().cost(Cost::from_nanos(9_000_000));
        three_turns(&kitaru, &agent, budget(), 2).await.unwrap_err();
        for _ in 0..2 {
            let error = three_turns(&kitaru, &agent, budget(), 9).await.unwrap_err();
            let refused = AgentError::Budget { limit: Limit::Cost, bound: 9_000_000 };
            assert!(matches!(&error, RunError::Agent(error) if *error == refused), "{error:?}");
            assert!(error.to_string().contains("a cost of 0.009"), "{error}");
        }
        // In turn mode the cost of a failed turn is not known: the turn runs again.
        let paid = asked.load(Ordering::Relaxed);
        if granular { assert_eq!(paid, 5) } else { assert!((5..=6).contains(&paid), "{paid}") }
    }
}

#[tokio::test]
async fn failed_turn_keeps_its_cost() {
    for granular in [true, false] {
        let (agent, _) = seer(PRICE);
        let agent = KitaruAgent::new(agent).granular_checkpoints(granular);
        let kitaru = store().await;
        for attempt in 1..=2 {
            let agent = agent.clone();
            let flow = dynamic::flow("story").run(move || async move {
                let budget = Budget::new();
                let one = kitaru::agent::Limits::default().requests(1);
                for n in 0..3 {
                    // The flow continues past the failure, so the failure is part of its history.
                    agent.run(format!("Look {n}")).limits(one).budget(&budget).await.unwrap_err();
                }
                assert_eq!((budget.usage().requests, budget.usage().cost), (3, Cost::from_nanos(6_000_000)));
                agent.run("Look once more").budget(&budget).await?;
                match attempt {
                    1 => Err::<Bill, RunError>(Error::msg("the process is to end here").into()),
                    _ => Ok(budget.bill()),
                }
            });
            let ended = flow.id("job").on(&kitaru).await;
            if attempt == 2 {
                assert_eq!(ended.unwrap().paid.requests, 0, "granular: {granular}");
            }
        }
    }
}

#[tokio::test]
async fn later_price_does_not_change_past_costs() {
    for granular in [true, false] {
        let kitaru = store().await;
        let durable = |price| KitaruAgent::new(seer(price).0).granular_checkpoints(granular);
        three_turns(&kitaru, &durable(PRICE), Budget::new(), 2).await.unwrap_err();
        let bill = three_turns(&kitaru, &durable(Price::per_million(100.0, 100.0)), Budget::new(), 9).await.unwrap();
        assert_eq!(bill.replayed.cost, Cost::from_nanos(8_000_000), "granular: {granular}");
        assert_eq!(bill.paid.cost, Cost::of(0.22));
    }
}

#[tokio::test]
async fn a_budget_also_bounds_plain_agents_and_those_outside_flows() {
    let (agent, _) = seer(PRICE);
    let budget = Budget::new().requests(5).tool_calls(2);
    agent.run("one").budget(&budget).await.unwrap();
    let kitaru = store().await;
    KitaruAgent::new(agent.clone()).run("two").budget(&budget).on(&kitaru).await.unwrap();
    let error = agent.run("three").budget(&budget).await.unwrap_err();
    assert_eq!(error, AgentError::Budget { limit: Limit::ToolCalls, bound: 2 });
    assert_eq!((budget.bill().paid.requests, budget.bill().replayed.requests), (5, 0));
}

/// A model that adds one sentence to a story of any length.
fn teller() -> FunctionModel {
    FunctionModel::new("teller", |request| {
        let sentence = "The tide came in over the flats, slowly, and took the footprints with it. ".repeat(12);
        Ok(ModelResponse::text(format!("{} {sentence}", request.messages.len())).with_tokens(Tokens::new(90_000, 180)))
    })
}

const TURNS: usize = 100;

fn prompt(turn: usize) -> String {
    format!("{turn}. {}", "Continue the story, and leave out nothing that the reader should know. ".repeat(4))
}

/// The bytes of all rows of a store.
fn bytes(store: &Path) -> usize {
    let database = Database::open(store.join("store.redb")).unwrap();
    let transaction = database.begin_read().unwrap();
    let mut bytes = 0;
    for table in transaction.list_tables().unwrap().collect::<Vec<_>>() {
        let table: TableDefinition<&[u8], &[u8]> = TableDefinition::new(redb::TableHandle::name(&table));
        for row in transaction.open_table(table).unwrap().iter().unwrap() {
            let (key, value) = row.unwrap();
            bytes += key.value().len() + value.value().len();
        }
    }
    bytes
}

#[tokio::test]
async fn hundred_requests_of_one_conversation_cost_little_more_than_it() {
    for granular in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let kitaru = Kitaru::builder().dir(dir.path()).open().await.unwrap();
        let agent = Agent::builder(teller()).name("teller").instructions("Tell a story.").build().unwrap();
        let agent = KitaruAgent::new(agent).granular_checkpoints(granular);
        let flow = dynamic::flow("story").run(move || async move {
            let mut history = History::default();
            for turn in 0..TURNS {
                history = agent.run(prompt(turn)).history(history).await?.all_messages();
            }
            Ok::<_, RunError>(serde_json::to_vec(&history).map_or(0, |json| json.len()))
        });
        let conversation = flow.id("job").on(&kitaru).await.unwrap();
        kitaru.close().await.unwrap();
        let factor = bytes(dir.path()) as f64 / conversation as f64;
        println!("granular: {granular}: {factor:.2} of the {conversation} bytes of the conversation");
        assert!(factor < 1.5, "granular: {granular}: {factor:.2} of the {conversation} bytes of the conversation");
    }
}

#[tokio::test]
async fn conversation_outside_a_flow_costs_a_few_times_its_bytes_not_their_square() {
    for granular in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let kitaru = Kitaru::builder().dir(dir.path()).open().await.unwrap();
        let agent = Agent::builder(teller()).name("teller").instructions("Tell a story.").build().unwrap();
        let agent = KitaruAgent::new(agent).granular_checkpoints(granular);
        let mut history = History::default();
        for turn in 0..TURNS {
            history = agent.run(prompt(turn)).history(history).on(&kitaru).await.unwrap().all_messages();
        }
        kitaru.close().await.unwrap();
        let conversation = serde_json::to_vec(&history).unwrap().len();
        let factor = bytes(dir.path()) as f64 / conversation as f64;
        println!("granular: {granular}: {factor:.2} of the {conversation} bytes of the conversation");
        assert!(factor < 4.0, "granular: {granular}: {factor:.2} of the {conversation} bytes of the conversation");
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Tale {
    title: String,
    pages: u32,
}

#[tokio::test]
async fn an_answer_is_the_same_from_its_record_typed_or_changed_by_a_validator() {
    let kitaru = store().await;
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    let model = FunctionModel::new("teller", move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(ModelResponse::tool_call("call", "final_result", r#"{"title": "Tides", "pages": 3}"#))
    });
    let tale = Agent::builder(model.clone()).name("tale").output::<Tale>().build().unwrap();
    let longer = Agent::builder(model)
        .name("longer")
        .output::<Tale>()
        .validate(|_, tale: Tale| async move { Ok::<_, ToolError>(Tale { pages: tale.pages * 2, ..tale }) });
    let [tale, longer] = [tale, longer.build().unwrap()].map(|a| KitaruAgent::new(a).granular_checkpoints(false));
    for ends_well in [false, true] {
        let (tale, longer) = (tale.clone(), longer.clone());
        let flow = dynamic::flow("story").run(move || async move {
            let told = [tale.run("Tell").await?.output, longer.run("Tell").await?.output];
            if ends_well { Ok(told) } else { Err::<_, RunError>(Error::msg("the process is to end here").into()) }
        });
        let ended = flow.id("job").on(&kitaru).await;
        let told = |pages| Tale { title: "Tides".to_owned(), pages };
        assert_eq!(ended.ok(), ends_well.then(|| [told(3), told(6)]));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let execution = kitaru.execution(("story", "job")).await.unwrap().unwrap();
    let holds: Vec<_> = execution.records().iter().map(|record| record.preview().contains(r#""pages":6"#)).collect();
    assert_eq!(holds, [false, true]);
}

#[test]
fn a_durable_run_also_blocks_code_that_is_not_async() {
    let dir = tempfile::tempdir().unwrap();
    let (agent, asked) = seer(PRICE);
    let agent = KitaruAgent::new(agent);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kitaru = runtime.block_on(Kitaru::builder().dir(dir.path()).open()).unwrap();
    let result = agent.run("Look").on(&kitaru).sync().unwrap();
    assert_eq!((result.output.as_str(), asked.load(Ordering::Relaxed)), ("I see the sea", 2));
}

#[tokio::test]
async fn a_durable_run_is_a_stream_outside_a_flow_and_refused_in_one() {
    let kitaru = store().await;
    let (agent, asked) = seer(PRICE);
    let agent = KitaruAgent::new(agent);
    let mut stream = agent.run("Look").on(&kitaru).stream();
    let mut texts = String::new();
    let mut finished = None;
    while let Some(event) = stream.next().await {
        match event.unwrap() {
            RunEvent::Text(text) => texts += &text,
            RunEvent::Finished(result) => finished = Some(result.output),
            _ => assert_eq!(finished, None, "there is nothing after the end"),
        }
    }
    assert_eq!((texts.as_str(), finished.as_deref()), ("I see the sea", Some("I see the sea")));
    assert_eq!(asked.load(Ordering::Relaxed), 2);

    let refused = Arc::new(AtomicBool::new(false));
    let seen = refused.clone();
    let flow = dynamic::flow("story").run(move || async move {
        let ended = agent.run_stream("Look again").next().await;
        let is_misuse =
            matches!(&ended, Some(Err(RunError::Agent(AgentError::Misuse(why)))) if why.contains("on_event"));
        seen.store(is_misuse, Ordering::Relaxed);
        Ok::<_, Error>(())
    });
    flow.id("job").on(&kitaru).await.unwrap();
    assert!(refused.load(Ordering::Relaxed));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}
