//! Other parts of rig agents (memory, retrieval, routes, hooks), and their failures.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[allow(dead_code, reason = "other tests use the rest")]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kitaru::flow;
use kitaru_core::testkit::Testkit;
use kitaru_core::{Error, Kitaru, Status, dynamic};
use kitaru_rig::{Granularity, KitaruRig, RigError, ToolOptions, happened};
use rig_agent::AgentBuilder;
use rig_agent::agent::{AgentHook, DispatchAction, DispatchEvent, HookContext, ModelSelection, ModelSelectionAction};
use rig_core::effect::EffectKind;
use rig_core::memory::InMemoryConversationMemory;
use rig_core::message::AssistantContent;
use rig_core::tool::{ToolOutput, ToolResult};
use rig_core::vector_store::request::{Filter, VectorSearchRequest};
use rig_core::vector_store::{VectorSearchIdResult, VectorSearchResult, VectorStoreError, VectorStoreIndex};
use serde_json::{Value, json};
use support::{Calls, Mind, TOLD, call, forecaster, granularity, herald, last_told, names, store, tool, weather};

/// A flow with one run of `agent`. With `fails` it then fails.
async fn one_run(kitaru: &Kitaru, agent: &KitaruRig, fails: bool) -> Result<String, RigError> {
    let agent = agent.clone();
    let flow = dynamic::flow("story").run(move || async move {
        let told = agent.run("How is the weather?").await?.output;
        if fails { Err(Error::msg("the process ends here").into()) } else { Ok::<_, RigError>(told) }
    });
    tokio::time::timeout(Duration::from_secs(20), flow.id("job").on(kitaru)).await.expect("the run ends")
}

/// Calls one tool, once, and repeats its output.
fn asks_for(name: &'static str) -> Mind {
    Mind::new(move |request| match last_told(request).as_str() {
        "How is the weather?" => vec![call("call_1", name, json!({}))],
        told => vec![AssistantContent::text(format!("told: {told}"))],
    })
}

fn agent(mind: &Mind) -> rig_agent::AgentBuilder {
    AgentBuilder::new(mind.model()).name("herald").default_max_turns(5)
}

#[tokio::test]
async fn agent_with_clones_is_refused_before_the_first_request() {
    let (kitaru, mind) = (store().await, forecaster());
    let agent = herald(&mind, &Calls::default());
    let _clone = agent.clone();
    let error = one_run(&kitaru, &KitaruRig::new(agent), false).await.unwrap_err();
    assert!(matches!(&error, RigError::Invalid { reason, .. } if reason.contains("clone")), "{error}");
    assert_eq!(mind.requests(), 0);
}

#[tokio::test]
async fn error_of_a_tool_goes_to_the_model_and_is_recorded() {
    let (kitaru, mind, calls) = (store().await, asks_for("fails"), Calls::default());
    let noted = calls.clone();
    let schema = json!({ "type": "object" });
    let fails = rig_core::tool::DynamicTool::new("fails".to_owned().try_into().unwrap(), "Fails.", schema, move |_| {
        noted.note("fails");
        Box::pin(async { Err(rig_core::tool::ToolExecutionError::other("no wire").with_model_feedback("try later")) })
    });
    let agent = KitaruRig::new(agent(&mind).dynamic_tool(fails).build());
    one_run(&kitaru, &agent, true).await.unwrap_err();
    let told = one_run(&kitaru, &agent, false).await.unwrap();
    assert!(told.contains("try later"), "{told}");
    assert_eq!((mind.requests(), calls.take().len()), (2, 1));
}

#[tokio::test]
async fn panic_of_a_tool_is_a_fault_that_the_model_does_not_see() {
    for granular in [true, false] {
        let (kitaru, mind) = (store().await, asks_for("breaks"));
        let broken = Arc::new(AtomicUsize::new(1));
        let breaks = tool("breaks", {
            let broken = broken.clone();
            move |_| {
                let breaks = broken.swap(0, Ordering::SeqCst) > 0;
                async move {
                    assert!(!breaks, "out of paper");
                    "fine".to_owned()
                }
            }
        });
        let agent = KitaruRig::new(agent(&mind).dynamic_tool(breaks).build()).granularity(granularity(granular));
        let error = one_run(&kitaru, &agent, false).await.unwrap_err();
        assert!(matches!(&error, RigError::Kitaru(error) if error.to_string().contains("out of paper")), "{error:?}");
        assert_eq!(mind.requests(), 1);
        assert_eq!(one_run(&kitaru, &agent, false).await.unwrap(), "told: fine");
        assert_eq!(mind.requests(), if granular { 2 } else { 3 });
    }
}

#[tokio::test]
async fn a_tool_that_takes_too_long_ends_the_run() {
    let (kitaru, mind) = (store().await, asks_for("hangs"));
    let hangs = tool("hangs", |_| std::future::pending());
    let options = ToolOptions::default().timeout(Duration::from_millis(1));
    let agent = KitaruRig::new(agent(&mind).dynamic_tool(hangs).build()).tool_options("hangs", options);
    let error = one_run(&kitaru, &agent, false).await.unwrap_err();
    assert!(matches!(&error, RigError::Kitaru(error) if error.is_timeout()), "{error:?}");
}

#[tokio::test]
async fn options_that_cannot_be_kept_end_the_run_before_anything_is_asked() {
    let (kitaru, mind) = (store().await, asks_for("pay"));
    let pays = || KitaruRig::new(agent(&mind).dynamic_tool(tool("pay", |_| async { String::new() })).build());
    let unknown = pays().tool_options("play", ToolOptions::default());
    let once = pays().tool_options("pay", ToolOptions::default().once()).granularity(Granularity::Turn);
    for (agent, reason) in [(unknown, "does not have"), (once, "may run only once")] {
        let error = one_run(&kitaru, &agent, false).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    assert_eq!(mind.requests(), 0);
}

/// Waits until `condition` holds.
async fn until(condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it hangs");
}

#[tokio::test]
async fn interrupted_once_call_waits_for_a_person_who_gives_its_output() {
    let dir = tempfile::tempdir().unwrap();
    let begun = Arc::new(AtomicUsize::new(0));
    let fires = {
        let begun = begun.clone();
        tool("fire", move |_| {
            begun.fetch_add(1, Ordering::SeqCst);
            std::future::pending()
        })
    };
    let agent = KitaruRig::new(agent(&asks_for("fire")).dynamic_tool(fires).build());
    let agent = agent.tool_options("fire", ToolOptions::default().once());
    for life in 0..2 {
        let kitaru = Kitaru::builder().dir(dir.path()).open().await.unwrap();
        let agent = agent.clone();
        let flow = dynamic::flow("launch")
            .run(move || async move { Ok::<_, RigError>(agent.run("How is the weather?").await?.output) });
        let launch = flow.id("job").on(&kitaru).start().await.unwrap();
        if life == 0 {
            until(async || begun.load(Ordering::SeqCst) == 1).await;
        } else {
            // A flow without an attribute cannot be parked; it waits in memory.
            until(async || !kitaru.execution(("launch", "job")).await.unwrap().unwrap().waits().is_empty()).await;
            let flown = happened(&ToolResult::success(ToolOutput::text("it has flown"))).unwrap();
            kitaru.answer(&launch, "fire_tool", &flown).await.unwrap();
            assert_eq!(launch.await.unwrap(), "told: it has flown");
        }
        kitaru.close().grace(Duration::ZERO).await.unwrap();
    }
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}

/// Asks a person before a tool is called.
struct AsksFirst;

impl AgentHook for AsksFirst {
    async fn on_dispatch(&self, _: &HookContext, event: DispatchEvent<'_>) -> DispatchAction {
        let Some(tool) = event.tool_name() else { return DispatchAction::proceed() };
        match kitaru_core::wait::<bool>(format!("{tool}_approval")).await {
            Ok(true) => DispatchAction::proceed(),
            Ok(false) => DispatchAction::skip("a person said no"),
            Err(error) => DispatchAction::stop(error.to_string()),
        }
    }
}

/// Pays, if a person agrees.
#[flow]
async fn pays(nth: u32) -> Result<String, RigError> {
    let calls = Calls::of("pays", nth);
    let pay = tool("pay", move |_| {
        calls.note("paid");
        async { "paid".to_owned() }
    });
    let agent = KitaruRig::new(agent(&asks_for("pay")).add_hook(AsksFirst).dynamic_tool(pay).build());
    Ok(agent.run("How is the weather?").await?.output)
}

#[tokio::test]
async fn hook_that_waits_for_a_person_is_parked_with_its_flow() {
    for (nth, agreed, came) in [(0, true, "told: paid"), (1, false, "told: a person said no")] {
        let kit = Testkit::always_parking();
        let paying = kit.start(pays(nth)).await.unwrap();
        let job = kit.kitaru().execution(("pays", paying.id())).await.unwrap().unwrap();
        assert_eq!((job.status(), job.waits()[0].name()), (Status::Waiting, "pay_approval"));
        kit.answer(&paying, "pay_approval", &agreed).await.unwrap();
        assert_eq!(paying.await.unwrap(), came);
        assert_eq!(Calls::of("pays", nth).take().len(), usize::from(agreed));
        assert_eq!(kit.executed("herald_model_request"), 2);
    }
}

#[tokio::test]
async fn memory_of_an_agent_is_read_and_written_once() {
    let (kitaru, mind, memory) = (store().await, forecaster(), InMemoryConversationMemory::new());
    let calls = Calls::default();
    let agent = agent(&mind).memory(memory.clone()).conversation("weather").dynamic_tool(weather(&calls));
    let agent = KitaruRig::new(agent.build());
    for fails in [true, false] {
        let agent = agent.clone();
        let flow = dynamic::flow("story").run(move || async move {
            agent.run("How is the weather?").await?;
            let past = agent.run("And how was it?").await?.output;
            if fails { Err(Error::msg("the process ends here").into()) } else { Ok::<_, RigError>(past) }
        });
        assert_eq!(flow.id("job").on(&kitaru).await.is_err(), fails);
    }
    // If the second attempt had loaded what the first one appended, it would have asked other questions.
    assert_eq!((mind.requests(), calls.take().len()), (3, 3));
    let conversation = "weather".into();
    let remembered = rig_core::memory::ConversationMemory::load(&memory, &conversation).await.unwrap();
    assert_eq!(remembered.len(), 6, "{remembered:?}");
}

/// Finds something else on every call.
#[derive(Clone, Default)]
struct Shifting(Arc<AtomicUsize>);

impl VectorStoreIndex for Shifting {
    type Filter = Filter<Value>;

    async fn top_n<T: serde::de::DeserializeOwned + Send>(
        &self,
        _: VectorSearchRequest,
    ) -> Result<Vec<VectorSearchResult<T>>, VectorStoreError> {
        let found = self.0.fetch_add(1, Ordering::SeqCst);
        let document = serde_json::from_value(json!(format!("finding {found}"))).unwrap();
        Ok(vec![VectorSearchResult { score: 1.0, id: "finding".to_owned(), document }])
    }

    async fn top_n_ids(&self, _: VectorSearchRequest) -> Result<Vec<VectorSearchIdResult>, VectorStoreError> {
        // The tools, one after the other.
        let found = self.0.fetch_add(1, Ordering::SeqCst);
        Ok(vec![VectorSearchIdResult { score: 1.0, id: format!("tool_{found}") }])
    }
}

#[tokio::test]
async fn retrieval_for_a_request_is_the_same_on_every_attempt() {
    let (kitaru, mind, index) = (store().await, forecaster(), Shifting::default());
    let calls = Calls::default();
    let agent = agent(&mind).context("It is November.").dynamic_context(1, index.clone()).dynamic_tool(weather(&calls));
    let agent = KitaruRig::new(agent.build());
    one_run(&kitaru, &agent, true).await.unwrap_err();
    let found = index.0.load(Ordering::SeqCst);
    assert_eq!(one_run(&kitaru, &agent, false).await.unwrap(), TOLD);
    assert!(index.0.load(Ordering::SeqCst) > found, "rig looks up before its hooks can say that it need not");
    assert_eq!((mind.requests(), calls.take().len()), (2, 3));
    let mut recorded = names(&kitaru, "story", "job").await;
    recorded.retain(|name| name.contains("retrieval"));
    assert_eq!(recorded, ["herald_retrieval", "herald_retrieval_2"]);
}

#[tokio::test]
async fn retrieved_tools_of_a_request_are_the_same_on_every_attempt() {
    let (kitaru, mind, index) = (store().await, asks_for("tool_0"), Shifting::default());
    let tools = (0..9).map(|nth| tool(&format!("tool_{nth}"), |_| async { "done".to_owned() })).collect();
    let agent = agent(&mind).retrieved_tools(1, index, rig_agent::tool::ToolSet::from_dynamic_tools(tools)).build();
    let agent = KitaruRig::new(agent);
    one_run(&kitaru, &agent, true).await.unwrap_err();
    assert_eq!(one_run(&kitaru, &agent, false).await.unwrap(), "told: done");
    assert_eq!(mind.requests(), 2);
}

#[tokio::test]
async fn cancelled_run_withdraws_its_requests_and_other_runs_continue() {
    for hangs_in_the_model in [true, false] {
        let (kitaru, calls, mind) = (store().await, Calls::default(), asks_for("hang"));
        if hangs_in_the_model {
            mind.hang(&calls);
        }
        let noted = calls.clone();
        let hang = tool("hang", move |_| {
            let during = noted.during();
            async move {
                let _during = during;
                std::future::pending().await
            }
        });
        let agent = KitaruRig::new(agent(&mind).dynamic_tool(hang).build());
        let start = |id: &str| {
            let agent = agent.clone();
            let flow = dynamic::flow("story")
                .run(move || async move { Ok::<_, RigError>(agent.run("How is the weather?").await?.output) });
            flow.id(id).on(&kitaru).start()
        };
        let first = start("first").await.unwrap();
        until(async || calls.len() == 1).await;
        let second = start("second").await.unwrap();
        until(async || calls.len() == 2).await;
        for (nth, run) in [first, second].into_iter().enumerate() {
            kitaru.cancel(&run).await.unwrap();
            until(async || calls.len() == 3 + nth).await;
            assert!(run.await.unwrap_err().to_string().contains("cancelled"));
        }
        assert_eq!(calls.take(), ["begun", "begun", "ended", "ended"]);
    }
}

/// Chooses the model by the question.
struct Routes;

impl AgentHook for Routes {
    fn on_model_select(&self, _: &HookContext, event: ModelSelection<'_>) -> ModelSelectionAction {
        assert!(!event.selected_model.as_str().contains("kitaru"), "it sees the labels that it knows");
        match event.history.is_empty() {
            true => ModelSelectionAction::continue_run(),
            false => ModelSelectionAction::select("wise"),
        }
    }
}

#[tokio::test]
async fn every_model_that_a_hook_chooses_is_behind_a_checkpoint() {
    let (kitaru, mind, calls) = (store().await, forecaster(), Calls::default());
    let wise = Mind::new(|_| vec![AssistantContent::text("wise words")]);
    let agent = agent(&mind).model_route("wise", wise.model()).add_hook(Routes).dynamic_tool(weather(&calls));
    let agent = KitaruRig::new(agent.build());
    one_run(&kitaru, &agent, true).await.unwrap_err();
    assert_eq!(one_run(&kitaru, &agent, false).await.unwrap(), "wise words");
    assert_eq!((mind.requests(), wise.requests(), calls.take().len()), (1, 1, 3));
}

/// Chooses another model, once switched on.
#[derive(Clone, Default)]
struct Changes(Arc<AtomicBool>);

impl AgentHook for Changes {
    fn on_model_select(&self, _: &HookContext, _: ModelSelection<'_>) -> ModelSelectionAction {
        match self.0.load(Ordering::SeqCst) {
            false => ModelSelectionAction::continue_run(),
            true => ModelSelectionAction::select("wise"),
        }
    }
}

#[tokio::test]
async fn an_answer_of_one_model_answers_no_request_to_another() {
    let (kitaru, changes) = (store().await, Changes::default());
    let plain = Mind::new(|_| vec![AssistantContent::text("plain words")]);
    let wise = Mind::new(|_| vec![AssistantContent::text("wise words")]);
    let agent = agent(&plain).model_route("wise", wise.model()).add_hook(changes.clone());
    let agent = KitaruRig::new(agent.build());
    one_run(&kitaru, &agent, true).await.unwrap_err();
    changes.0.store(true, Ordering::SeqCst);
    assert_eq!(one_run(&kitaru, &agent, false).await.unwrap(), "wise words");
    assert_eq!((plain.requests(), wise.requests()), (1, 1));
}

/// Skips questions about Brest, once switched on.
#[derive(Clone, Default)]
struct Spares(Arc<AtomicBool>);

impl AgentHook for Spares {
    async fn on_dispatch(&self, _: &HookContext, event: DispatchEvent<'_>) -> DispatchAction {
        match event.kind {
            EffectKind::ToolCall { args, .. } if args.contains("Brest") && self.0.load(Ordering::SeqCst) => {
                DispatchAction::skip("sun in Brest")
            }
            _ => DispatchAction::proceed(),
        }
    }
}

#[tokio::test]
async fn tool_call_answers_no_call_with_other_arguments_in_any_order() {
    let (kitaru, mind, calls, spares) = (store().await, forecaster(), Calls::default(), Spares::default());
    let agent = KitaruRig::new(agent(&mind).add_hook(spares.clone()).dynamic_tool(weather(&calls)).build());
    one_run(&kitaru, &agent, true).await.unwrap_err();
    spares.0.store(true, Ordering::SeqCst);
    assert_eq!(one_run(&kitaru, &agent, false).await.unwrap(), "sun in Brest, rain in Kyoto, rain in Lima");
    assert_eq!(calls.take().len(), 3, "no city is asked for again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_flows_that_share_an_agent_stay_separate() {
    let (kitaru, mind, calls) = (store().await, forecaster(), Calls::default());
    let agent = KitaruRig::new(herald(&mind, &calls));
    let flows = (0..30).map(|nth| {
        let agent = agent.clone();
        let flow = dynamic::flow("story").input("nth", &nth).run(move || async move {
            Ok::<_, RigError>(agent.run(format!("How is the weather, {nth}?")).await?.output)
        });
        tokio::spawn(flow.on(&kitaru))
    });
    for flow in futures::future::join_all(flows.collect::<Vec<_>>()).await {
        assert_eq!(flow.unwrap().unwrap(), TOLD);
    }
    assert_eq!((mind.requests(), calls.take().len()), (60, 90));
    let executions = kitaru.executions().await.unwrap();
    assert!(executions.iter().all(|execution| execution.status() == Status::Completed));
}
