//! A model made of a function, over rig's own scripted wire, and tools that note their calls.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use kitaru_core::Kitaru;
use kitaru_rig::Granularity;
use rig_agent::{Agent, AgentBuilder};
use rig_core::completion::{AssistantContent, CompletionRequest, CompletionResponse, Message, Usage};
use rig_core::driver::{Exchange, Model, Opened, Opening, Transport};
use rig_core::error::ProviderError;
use rig_core::message::{Origin, ToolCall, ToolFunction, ToolName, ToolResultContent, UserContent};
use rig_core::test_utils::{MOCK_API, MOCK_PROVIDER, MockFrame, MockScript, MockStreamEvent};
use rig_core::tool::{DynamicTool, ToolOutput};
use rig_core::wire::Mode;
use serde_json::{Value, json};

/// Each model request and each tool call a checkpoint, or each turn.
pub(crate) fn granularity(granular: bool) -> Granularity {
    if granular { Granularity::Call } else { Granularity::Turn }
}

/// The calls, in order. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<String>>>);

impl Calls {
    /// The calls of a flow that is called by name, and so receives only its input.
    pub(crate) fn of(flow: &str, nth: u32) -> Self {
        static KNOWN: Mutex<BTreeMap<String, Calls>> = Mutex::new(BTreeMap::new());
        KNOWN.lock().unwrap().entry(format!("{flow} {nth}")).or_default().clone()
    }

    pub(crate) fn note(&self, call: impl Into<String>) {
        self.0.lock().unwrap().push(call.into());
    }

    /// Notes that something begins, and when it ends.
    pub(crate) fn during(&self) -> During {
        self.note("begun");
        During(self.clone())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Notes its end.
pub(crate) struct During(Calls);

impl Drop for During {
    fn drop(&mut self) {
        self.0.note("ended");
    }
}

/// The answer of a model.
type Think = dyn Fn(&CompletionRequest) -> Vec<AssistantContent> + Send + Sync;

/// A model that is a function. Clones share its state.
#[derive(Clone)]
pub(crate) struct Mind {
    think: Arc<Think>,
    requests: Arc<Mutex<Vec<CompletionRequest>>>,
    /// After how many pieces the next streams break off.
    cuts: Arc<Mutex<VecDeque<usize>>>,
    /// Where it notes the begin and the end of requests that it never answers.
    hangs: Arc<Mutex<Option<Calls>>>,
}

impl Mind {
    pub(crate) fn new(think: impl Fn(&CompletionRequest) -> Vec<AssistantContent> + Send + Sync + 'static) -> Self {
        Mind { think: Arc::new(think), requests: Arc::default(), cuts: Arc::default(), hangs: Arc::default() }
    }

    pub(crate) fn model(&self) -> Model<MockScript, Mind> {
        Model::new(MockScript::default(), self.clone())
    }

    pub(crate) fn think(&self, request: &CompletionRequest) -> Vec<AssistantContent> {
        (self.think)(request)
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// Answers no further request.
    pub(crate) fn hang(&self, calls: &Calls) {
        *self.hangs.lock().unwrap() = Some(calls.clone());
    }

    /// Breaks the next stream off after this many pieces.
    pub(crate) fn cut(&self, after: usize) {
        self.cuts.lock().unwrap().push_back(after);
    }
}

impl Transport<MockScript> for Mind {
    fn send(&self, request: CompletionRequest, exchange: Exchange) -> Opening<MockFrame> {
        if let Some(calls) = self.hangs.lock().unwrap().clone() {
            let noted = calls.during();
            return Opening::new(async move {
                let _noted = noted;
                std::future::pending().await
            });
        }
        let content = self.think(&request);
        self.requests.lock().unwrap().push(request);
        let usage = Usage::new().input_tokens(10).output_tokens(2).total_tokens(12);
        if exchange.mode == Mode::Unary {
            let origin = Origin::new(MOCK_API, MOCK_PROVIDER, "");
            let response = CompletionResponse::new(content, usage, origin, json!({}));
            return Opening::ready(Opened::new(one_by_one([Ok(MockFrame::Response(Box::new(response)))])));
        }
        let mut events: Vec<MockStreamEvent> = content.into_iter().flat_map(pieces).collect();
        events.push(MockStreamEvent::final_response(usage));
        if let Some(after) = self.cuts.lock().unwrap().pop_front() {
            events.truncate(after);
        }
        Opening::ready(Opened::new(one_by_one(events.into_iter().map(MockFrame::Event).map(Ok))))
    }
}

/// A server that needs a moment for each of them.
fn one_by_one(
    frames: impl IntoIterator<Item = Result<MockFrame, ProviderError>, IntoIter: Send + 'static>,
) -> impl futures::Stream<Item = Result<MockFrame, ProviderError>> + Send + 'static {
    futures::stream::unfold(frames.into_iter(), |mut frames| async {
        tokio::task::yield_now().await;
        frames.next().map(|frame| (frame, frames))
    })
}

fn pieces(content: AssistantContent) -> Vec<MockStreamEvent> {
    match content {
        AssistantContent::Text(text) => text.text.split_inclusive(' ').map(MockStreamEvent::text).collect(),
        AssistantContent::ToolCall(call) => {
            let id = call.id.provider().expect("a call of these has an id").as_str().to_owned();
            let name = call.function.name.to_string();
            vec![
                MockStreamEvent::tool_call(id.clone(), name, Value::Object(call.function.arguments.clone()))
                    .with_call_id(id),
            ]
        }
        other => panic!("no test says {other:?}"),
    }
}

/// The last part of a request, as text.
pub(crate) fn last_told(request: &CompletionRequest) -> String {
    let Some(Message::User { content }) = request.chat_history.last() else { return String::new() };
    let texts = content.iter().map(|part| match part {
        UserContent::Text(text) => text.text.clone(),
        UserContent::ToolResult(result) => result.content.iter().map(told).collect(),
        // A retrieved document.
        UserContent::Document(_) => String::new(),
        other => panic!("no test tells {other:?}"),
    });
    texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
}

fn told(content: &ToolResultContent) -> String {
    match content {
        ToolResultContent::Text(text) => text.text.clone(),
        ToolResultContent::Json { value } => value.to_string(),
        ToolResultContent::Image(_) => "an image".to_owned(),
    }
}

pub(crate) fn call(id: impl Into<String>, tool: &str, arguments: Value) -> AssistantContent {
    let function = ToolFunction::new(ToolName::new(tool).unwrap(), arguments);
    AssistantContent::ToolCall(ToolCall::from_wire(id, function))
}

pub(crate) const CITIES: [&str; 3] = ["Brest", "Kyoto", "Lima"];
pub(crate) const TOLD: &str = "rain in Brest, rain in Kyoto, rain in Lima";

/// Asks for the weather of three cities concurrently, then repeats it. It knows the past.
pub(crate) fn forecaster() -> Mind {
    Mind::new(|request| match last_told(request).as_str() {
        "And how was it?" => vec![AssistantContent::text("wet")],
        told if told.contains("rain") => vec![AssistantContent::text(told)],
        _ => (CITIES.iter().enumerate())
            .map(|(nth, city)| call(format!("call_{nth}"), "weather", json!({ "city": city })))
            .collect(),
    })
}

/// The later a city is asked for, the sooner it is answered.
pub(crate) fn weather(calls: &Calls) -> DynamicTool {
    let calls = calls.clone();
    tool("weather", move |arguments| {
        let calls = calls.clone();
        async move {
            let city = arguments["city"].as_str().unwrap_or_default().to_owned();
            calls.note(&city);
            let place = CITIES.iter().position(|known| *known == city).unwrap_or_default();
            for _ in 0..3 * (CITIES.len() - place) {
                tokio::task::yield_now().await;
            }
            format!("rain in {city}")
        }
    })
}

/// A tool that is a function.
pub(crate) fn tool<F>(name: &str, body: impl Fn(Value) -> F + Send + Sync + 'static) -> DynamicTool
where
    F: Future<Output = String> + Send + 'static,
{
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    DynamicTool::new(ToolName::new(name).unwrap(), "A tool.", schema, move |arguments| {
        let output = body(arguments);
        Box::pin(async move { Ok(ToolOutput::text(output.await)) })
    })
}

pub(crate) fn herald(mind: &Mind, calls: &Calls) -> Agent {
    let agent = AgentBuilder::new(mind.model()).name("herald").preamble("Tell the weather.").default_max_turns(5);
    agent.dynamic_tool(weather(calls)).build()
}

pub(crate) async fn store() -> Kitaru {
    Kitaru::builder().in_memory().open().await.expect("a store in memory opens")
}

/// The names of all records of an execution.
pub(crate) async fn names(kitaru: &Kitaru, flow: &str, id: &str) -> Vec<String> {
    let execution = kitaru.execution((flow, id)).await.expect("it reads").expect("it is there");
    execution.records().iter().map(|record| record.name().to_owned()).collect()
}
