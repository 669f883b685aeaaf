//! The durable agent: what it names and keys its checkpoints, what it pays for, what it replays.
#![cfg(feature = "agent")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use kitaru::agent::{
    Agent, AgentError, FunctionModel, FunctionTool, History, KitaruAgent, Limits, Message, ModelError, ModelErrorKind,
    ModelRequest, ModelResponse, ModelSettings, RequestMessage, ResponsePart, RunError, ToolCall, ToolDefinition,
    ToolError, ToolOutput,
};
use kitaru::{Error, Kitaru, Status, checkpoint, dynamic};
use serde_json::json;

/// What tools were called with, in order.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<Vec<String>>>);

impl Calls {
    fn note(&self, call: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(call.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn store() -> Kitaru {
    Kitaru::builder().in_memory().open().await.expect("a store in memory opens")
}

const CITIES: [&str; 3] = ["Brest", "Kyoto", "Lima"];

/// Asks for the weather of three cities in one response, then tells it. It knows earlier weather.
fn weather_model() -> FunctionModel {
    FunctionModel::new("forecaster", |request: &ModelRequest| {
        if request.prompt() == Some("And how was it?") {
            return Ok(ModelResponse::text("wet"));
        }
        let returns = request.tool_returns();
        if returns.is_empty() {
            let call = |(nth, city): (usize, &&str)| {
                ResponsePart::ToolCall(ToolCall::new(
                    format!("call_{nth}"),
                    "weather",
                    json!({ "city": city }).to_string(),
                ))
            };
            return Ok(ModelResponse::new(CITIES.iter().enumerate().map(call).collect()));
        }
        let told: Vec<&str> = returns.iter().map(|told| told.content.as_str()).collect();
        Ok(ModelResponse::text(told.join(", ")))
    })
}

fn definition(description: &str) -> ToolDefinition {
    ToolDefinition::new("weather", description).parameters(json!({
        "type": "object",
        "properties": { "city": { "type": "string" } },
        "required": ["city"],
    }))
}

/// Answers later cities sooner.
fn weather_tool(calls: &Calls) -> FunctionTool {
    let calls = calls.clone();
    FunctionTool::new(definition("The weather of a city."), move |call| {
        let calls = calls.clone();
        async move {
            let arguments: BTreeMap<String, String> = call.arguments.parse()?;
            let city = arguments["city"].clone();
            calls.note(&city);
            let place = CITIES.iter().position(|known| *known == city).unwrap_or_default();
            for _ in 0..10 * (CITIES.len() - place) {
                tokio::task::yield_now().await;
            }
            Ok(ToolOutput::text(format!("rain in {city}")))
        }
    })
}

const TOLD: &str = "rain in Brest, rain in Kyoto, rain in Lima";

fn weather_agent(model: &FunctionModel, calls: &Calls) -> Agent {
    let agent = Agent::builder(model.clone()).name("herald").instructions("Tell the weather.");
    agent.tool(weather_tool(calls)).build().expect("an agent")
}

/// A flow of one turn that fails after it, so that the next attempt replays the turn.
async fn one_turn(kitaru: &Kitaru, agent: &KitaruAgent, fails: bool) -> Result<String, RunError> {
    let agent = agent.clone();
    let flow = dynamic::flow("story").run(move || async move {
        let told = agent.run("How is the weather?").await?.output;
        if fails { Err(Error::msg("the process is to end here").into()) } else { Ok::<_, RunError>(told) }
    });
    flow.id("job").on(kitaru).await
}

async fn names(kitaru: &Kitaru, flow: &str, id: &str) -> Vec<String> {
    let execution = kitaru.execution((flow, id)).await.expect("it reads").expect("it is there");
    execution.records().iter().map(|record| record.name().to_owned()).collect()
}

#[tokio::test]
async fn model_requests_and_tool_calls_are_checkpoints_and_are_paid_for_once() {
    let (kitaru, calls, model) = (store().await, Calls::default(), weather_model());
    let agent = KitaruAgent::new(weather_agent(&model, &calls));
    one_turn(&kitaru, &agent, true).await.unwrap_err();
    let mut recorded = names(&kitaru, "story", "job").await;
    recorded.sort();
    assert_eq!(
        recorded,
        ["herald_model_request", "herald_model_request_2", "weather_tool", "weather_tool_2", "weather_tool_3"]
    );
    assert_eq!((model.requests(), calls.take().len()), (2, 3));

    assert_eq!(one_turn(&kitaru, &agent, false).await.unwrap(), TOLD);
    assert_eq!((model.requests(), calls.take().len()), (2, 0), "the second attempt pays for nothing");
}

#[tokio::test]
async fn concurrent_tool_calls_keep_their_own_arguments_and_records() {
    let (kitaru, calls, model) = (store().await, Calls::default(), weather_model());
    let agent = KitaruAgent::new(weather_agent(&model, &calls));
    assert_eq!(one_turn(&kitaru, &agent, false).await.unwrap(), TOLD);
    assert_eq!(calls.take(), CITIES);
    let execution = kitaru.execution(("story", "job")).await.unwrap().unwrap();
    for (name, city) in [("weather_tool", "Brest"), ("weather_tool_2", "Kyoto"), ("weather_tool_3", "Lima")] {
        let record = execution.records().iter().find(|record| record.name() == name).unwrap();
        let (argument, value) = record.arguments().next().unwrap();
        assert_eq!(argument, "arguments");
        assert!(value.contains(city) && record.preview().contains(city), "{name}: {value} {}", record.preview());
    }
}

#[tokio::test]
async fn run_cut_off_between_tool_calls_makes_the_missing_ones() {
    let (kitaru, model, calls) = (store().await, weather_model(), Calls::default());
    let fail = Arc::new(Mutex::new(Some("Kyoto")));
    let tool = weather_tool(&calls);
    let failing = {
        let fail = fail.clone();
        FunctionTool::new(definition("The weather of a city."), move |call| {
            let fails = fail.lock().unwrap().is_some_and(|city| call.arguments.as_str().contains(city));
            let tool = tool.clone();
            async move {
                use kitaru::agent::Tool as _;
                if fails { Err(ToolError::failed("no wire to that city")) } else { tool.call(call).await }
            }
        })
    };
    let agent = Agent::builder(model.clone()).name("herald").tool(failing).build().unwrap();
    let agent = KitaruAgent::new(agent);
    let error = one_turn(&kitaru, &agent, false).await.unwrap_err();
    assert!(format!("{error}").contains("weather"), "{error}");
    assert_eq!((model.requests(), calls.take().len()), (1, 2));

    *fail.lock().unwrap() = None;
    assert_eq!(one_turn(&kitaru, &agent, false).await.unwrap(), TOLD);
    assert_eq!((model.requests(), calls.take()), (2, vec!["Kyoto".to_owned()]), "only what was missing");
}

#[tokio::test]
async fn a_model_that_fails_is_asked_again_by_the_next_attempt() {
    let kitaru = store().await;
    let down = Arc::new(Mutex::new(true));
    let model = {
        let down = down.clone();
        FunctionModel::new("flaky", move |_| match *down.lock().unwrap() {
            true => Err(ModelError::new(ModelErrorKind::Unauthorized, "the key has expired")),
            false => Ok(ModelResponse::text("up again")),
        })
    };
    let agent = KitaruAgent::new(Agent::builder(model.clone()).name("herald").build().unwrap());
    let error = one_turn(&kitaru, &agent, false).await.unwrap_err();
    assert!(matches!(&error, RunError::Agent(AgentError::Model(why)) if why.kind() == ModelErrorKind::Unauthorized));
    *down.lock().unwrap() = false;
    assert_eq!(one_turn(&kitaru, &agent, false).await.unwrap(), "up again");
    assert_eq!(model.requests(), 2);
}

#[tokio::test]
async fn turn_is_one_checkpoint_in_turn_mode_and_its_replay_calls_nothing() {
    let (kitaru, calls, model) = (store().await, Calls::default(), weather_model());
    let agent = KitaruAgent::new(weather_agent(&model, &calls)).granular_checkpoints(false);
    let two_turns = |fails: bool| {
        let agent = agent.clone();
        let flow = dynamic::flow("story").run(move || async move {
            let first = agent.run("How is the weather?").await?;
            if fails {
                return Err(Error::msg("the process is to end here").into());
            }
            let second = agent.run("And how was it?").history(first.all_messages()).await?;
            Ok::<_, RunError>((first.usage, second.all_messages().len()))
        });
        flow.id("job").on(&kitaru)
    };
    two_turns(true).await.unwrap_err();
    assert_eq!(names(&kitaru, "story", "job").await, ["herald"]);
    assert_eq!((model.requests(), calls.take().len()), (2, 3));

    let (usage, messages) = two_turns(false).await.unwrap();
    assert_eq!(names(&kitaru, "story", "job").await, ["herald", "herald_2"]);
    assert_eq!(
        (usage.requests, usage.tool_calls),
        (2, 3),
        "what the turn consisted of, whether it was paid for or replayed"
    );
    assert_eq!(messages, 6, "four of the first turn, two of the second");
    assert_eq!((model.requests(), calls.take().len()), (3, 0), "only the second turn is paid for");
}

/// An agent, a question, and what was said before it.
struct Asked {
    agent: Agent,
    prompt: &'static str,
    history: History,
    settings: ModelSettings,
}

fn asked() -> Asked {
    let model = FunctionModel::new("mock", |_| Ok(ModelResponse::text("42")));
    let tool = FunctionTool::new(definition("The weather."), |_| async { Ok(ToolOutput::text("rain")) });
    let agent = Agent::builder(model).name("oracle").instructions("Be brief.").tool(tool).build().expect("an agent");
    Asked { agent, prompt: "What is it?", history: History::default(), settings: ModelSettings::default() }
}

/// The number of model requests of a second attempt, after a first attempt that asked something else.
async fn asked_again(granular: bool, change: fn(&mut Asked)) -> usize {
    let kitaru = store().await;
    let mut requests = 0;
    for second in [false, true] {
        let mut asked = asked();
        if second {
            change(&mut asked);
        }
        let counted = FunctionModel::new(asked.agent.model().name(), |_| Ok(ModelResponse::text("42")));
        let model = counted.clone();
        let agent = asked.agent.map_model(|_| Arc::new(model));
        let agent = KitaruAgent::new(agent).granular_checkpoints(granular);
        let flow = dynamic::flow("story").run(move || async move {
            agent.run(asked.prompt).history(asked.history).settings(asked.settings).await?;
            Err::<(), RunError>(Error::msg("the process is to end here").into())
        });
        flow.id("job").on(&kitaru).await.expect_err("it ends");
        requests = counted.requests();
    }
    requests
}

#[tokio::test]
async fn changed_question_is_asked_again_and_an_unchanged_one_is_not() {
    fn rebuilt(asked: &Asked, model: &str, instructions: &str, description: &str) -> Agent {
        let model = FunctionModel::new(model, |_| Ok(ModelResponse::text("42")));
        let tool = FunctionTool::new(definition(description), |_| async { Ok(ToolOutput::text("rain")) });
        let agent = Agent::builder(model).name(asked.agent.name()).instructions(instructions).tool(tool);
        agent.build().expect("an agent")
    }
    let same: [fn(&mut Asked); 2] = [|_| (), |asked| asked.agent = rebuilt(asked, "mock", "Be brief.", "The weather.")];
    let other: [fn(&mut Asked); 6] = [
        |asked| asked.agent = rebuilt(asked, "mock-2", "Be brief.", "The weather."),
        |asked| asked.agent = rebuilt(asked, "mock", "Be long.", "The weather."),
        |asked| asked.agent = rebuilt(asked, "mock", "Be brief.", "The weather of a city."),
        |asked| asked.prompt = "What was it?",
        |asked| asked.settings = ModelSettings::default().temperature(0.5),
        |asked| asked.history = vec![Message::Request(RequestMessage::user("Before."))].into(),
    ];
    for granular in [true, false] {
        for change in same {
            assert_eq!(asked_again(granular, change).await, 0, "granular: {granular}");
        }
        for (nth, change) in other.into_iter().enumerate() {
            assert_eq!(asked_again(granular, change).await, 1, "granular: {granular}, change {nth}");
        }
    }
}

#[tokio::test]
async fn run_outside_a_flow_resumes_and_asks_again_once_it_has_answered() {
    let (kitaru, calls) = (store().await, Calls::default());
    let down = Arc::new(Mutex::new(true));
    let model = {
        let (down, inner) = (down.clone(), weather_model());
        FunctionModel::from_async("forecaster", move |request| {
            let fails = *down.lock().unwrap() && !request.tool_returns().is_empty();
            let inner = inner.clone();
            async move {
                use kitaru::agent::Model as _;
                if fails {
                    return Err(ModelError::new(ModelErrorKind::Unauthorized, "the key has expired"));
                }
                inner.request(&request).await
            }
        })
    };
    let agent = KitaruAgent::new(weather_agent(&model, &calls));
    agent.run("How is the weather?").on(&kitaru).await.unwrap_err();
    assert_eq!((model.requests(), calls.take().len()), (2, 3));
    *down.lock().unwrap() = false;
    let result = agent.run("How is the weather?").on(&kitaru).await.unwrap();
    assert_eq!(result.output, TOLD);
    assert_eq!((model.requests(), calls.take().len()), (3, 0), "only the request that had failed");

    let page = kitaru.executions().await.unwrap();
    assert_eq!((page.len(), page[0].flow(), page[0].status()), (1, "herald", Status::Completed));
    agent.run("How is the weather?").on(&kitaru).await.unwrap();
    assert_eq!((model.requests(), calls.take().len()), (5, 3), "a question asked again is a new one");
}

#[checkpoint]
async fn asks(#[allow(unused)] n: u32, agent: Plain) -> Result<String, RunError> {
    Ok(agent.0.run("How is the weather?").await?.output)
}

/// An agent as an argument: what it is made of does not count.
#[derive(Clone)]
struct Plain(KitaruAgent);

impl serde::Serialize for Plain {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

#[tokio::test]
async fn agent_in_a_checkpoints_body_is_part_of_that_body() {
    let (kitaru, calls, model) = (store().await, Calls::default(), weather_model());
    let agent = Plain(KitaruAgent::new(weather_agent(&model, &calls)));
    let flow = dynamic::flow("story").run(move || async move { asks(1, agent).await });
    assert_eq!(flow.id("job").on(&kitaru).await.unwrap(), TOLD);
    assert_eq!(names(&kitaru, "story", "job").await, ["asks"]);
}

#[tokio::test]
async fn agents_of_different_names_keep_their_records_apart() {
    let (kitaru, calls) = (store().await, Calls::default());
    let model = FunctionModel::new("mock", |_| Ok(ModelResponse::text("42")));
    let agents = ["left", "right"].map(|name| {
        KitaruAgent::new(Agent::builder(model.clone()).name(name).tool(weather_tool(&calls)).build().unwrap())
    });
    let flow = dynamic::flow("story").run(move || async move {
        let [left, right] = agents;
        let (left, right) = tokio::join!(left.run("Well?"), right.run("Well?"));
        Ok::<_, RunError>(left?.output + &right?.output)
    });
    assert_eq!(flow.id("job").on(&kitaru).await.unwrap(), "4242");
    let mut recorded = names(&kitaru, "story", "job").await;
    recorded.sort();
    assert_eq!(recorded, ["left_model_request", "right_model_request"]);
}

#[tokio::test]
async fn limit_of_a_run_holds_in_a_flow_and_counts_replayed_usage() {
    let (kitaru, calls, model) = (store().await, Calls::default(), weather_model());
    let agent = KitaruAgent::new(weather_agent(&model, &calls));
    for _ in 0..2 {
        let agent = agent.clone();
        let flow = dynamic::flow("story").run(move || async move {
            let run = agent.run("How is the weather?").limits(Limits::default().requests(1));
            Ok::<_, RunError>(run.await?.output)
        });
        let error = flow.id("job").on(&kitaru).await.unwrap_err();
        assert!(matches!(error, RunError::Agent(AgentError::Limit { bound: 1, .. })), "{error}");
    }
    assert_eq!(model.requests(), 1, "a replayed request counts for the limit and costs nothing");
}
