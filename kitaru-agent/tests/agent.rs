//! The plain agent as a user sees it: dependencies, typed answers, ways to run it, the bill.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use kitaru_agent::{
    Agent, AgentError, AnswerForm, Cost, Delta, Deltas, FunctionModel, FunctionTool, Invocation, Limit, Limits,
    Message, Model, ModelError, ModelProfile, ModelRequest, ModelResponse, OutputMode, Price, RequestPart,
    ResponsePart, RunContext, RunEvent, Step, TestModel, Text, Tokens, ToolCall, ToolDefinition, ToolError, ToolOutput,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A model that sends these responses in turn.
fn script(responses: impl IntoIterator<Item = ModelResponse>) -> FunctionModel {
    let responses: Vec<_> = responses.into_iter().collect();
    let said = AtomicUsize::new(0);
    FunctionModel::new("script", move |_| Ok(responses[said.fetch_add(1, Ordering::Relaxed)].clone()))
}

fn call(tool: &str, arguments: serde_json::Value) -> ModelResponse {
    ModelResponse::tool_call(format!("call_{tool}"), tool, arguments.to_string())
}

/// The last message of a request, for the model.
fn told(request: &ModelRequest) -> Vec<String> {
    let Some(Message::Request(message)) = request.messages.last() else { panic!("{request:?}") };
    let content = |part: &RequestPart| match part {
        RequestPart::ToolReturn(given) => given.content.clone(),
        RequestPart::RetryPrompt(retry) => format!("retry: {}", retry.content),
        RequestPart::UserPrompt(prompt) => prompt.content.clone(),
        other => panic!("{other:?}"),
    };
    message.parts.iter().map(content).collect()
}

struct Tides(Vec<(&'static str, f64)>);

fn tide() -> FunctionTool<Tides> {
    let definition = ToolDefinition::new("tide", "How high the water stands.").parameters(json!({
        "type": "object",
        "properties": { "port": { "type": "string", "minLength": 2 } },
        "required": ["port"],
    }));
    FunctionTool::with_deps(definition, |call: Invocation<Tides>| async move {
        #[derive(Deserialize)]
        struct Arguments {
            port: String,
        }
        let Arguments { port } = call.arguments.parse()?;
        let known = call.context.deps.0.iter().find(|(name, _)| *name == port);
        known
            .map(|(_, height)| ToolOutput::text(format!("{height} m")))
            .ok_or_else(|| ToolError::retry(format!("no port {port}")))
    })
}

#[tokio::test]
async fn dependencies_reach_tools_instructions_and_validators_and_each_run_has_its_own() {
    let model = FunctionModel::new("mock", |request| match request.tool_returns().last() {
        None => Ok(call("tide", json!({ "port": "Brest" }))),
        Some(tide) => Ok(ModelResponse::text(format!("{}: {}", request.instructions.as_ref().unwrap(), tide.content))),
    });
    let agent = Agent::builder(model)
        .instructions("Be brief")
        .deps::<Tides>()
        .instructions_from(|context| async move { Ok(format!("{} ports", context.deps.0.len())) })
        .tool(tide())
        .validate(|context: RunContext<Tides>, answer: String| async move {
            Ok(format!("{answer} (of {} ports, asked `{}`)", context.deps.0.len(), context.prompt))
        })
        .build()
        .unwrap();
    let small = agent.with_deps(Tides(vec![("Brest", 3.2)]));
    let large = agent.with_deps(Tides(vec![("Brest", 7.0), ("Lima", 1.0)]));
    let (small, large) = tokio::join!(small.run("How high?"), large.run("How high?"));
    assert_eq!(small.unwrap().output, "Be brief\n\n1 ports: 3.2 m (of 1 ports, asked `How high?`)");
    assert_eq!(large.unwrap().output, "Be brief\n\n2 ports: 7 m (of 2 ports, asked `How high?`)");
}

#[tokio::test]
async fn failed_instruction_ends_the_run_before_its_first_request() {
    let model = script([]);
    let agent = Agent::builder(model.clone())
        .instructions_from(|_| async { Err(ToolError::failed("no database")) })
        .build()
        .unwrap();
    let error = agent.run("go").await.unwrap_err();
    assert_eq!(error, AgentError::Instructions(ToolError::failed("no database")));
    assert_eq!(model.requests(), 0);
}

#[tokio::test]
async fn arguments_that_do_not_fit_the_schema_go_back_to_the_model() {
    let model = script([
        call("tide", json!({})),
        call("tide", json!({ "port": 7 })),
        call("tide", json!({ "port": "Brest" })),
        call("tide", json!({ "port": "x" })),
        ModelResponse::text("done"),
    ]);
    let agent = Agent::builder(model.clone()).deps::<Tides>().tool(tide()).build().unwrap();
    let result = agent.with_deps(Tides(vec![("Brest", 3.0)])).run("go").await.unwrap();
    assert_eq!(result.usage.tool_calls, 1, "only the call that fits is one");
    let heard: Vec<_> = model.seen()[1..].iter().flat_map(told).collect();
    assert_eq!(
        heard,
        [
            r#"retry: wrong arguments: "port" is a required property"#,
            r#"retry: wrong arguments: at /port: 7 is not of type "string""#,
            "3 m",
            r#"retry: wrong arguments: at /port: "x" is shorter than 2 characters"#,
        ]
    );
}

#[test]
fn tool_with_an_invalid_schema_is_refused_when_the_agent_is_built() {
    let definition = ToolDefinition::new("odd", "").parameters(json!({ "type": "thing" }));
    let odd = FunctionTool::new(definition, |_| async { Ok(ToolOutput::text("")) });
    let error = Agent::builder(script([])).tool(odd).build().unwrap_err();
    assert!(
        error.to_string().starts_with("cannot use agent `default` as it is described: the parameters of tool `odd`"),
        "{error}"
    );
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Forecast {
    /// In degrees.
    #[schemars(range(min = -90, max = 60))]
    degrees: i32,
    wet: bool,
}

const RIGHT: Forecast = Forecast { degrees: 11, wet: true };

#[tokio::test]
async fn typed_answer_comes_by_a_tool_and_goes_back_within_the_bound_if_it_does_not_fit() {
    let wrong = call("final_result", json!({ "degrees": 400, "wet": true }));
    let model = script([
        ModelResponse::text("eleven degrees"),
        wrong.clone(),
        call("final_result", json!({ "degrees": 11, "wet": true })),
        wrong.clone(),
        wrong.clone(),
        wrong,
    ]);
    let agent = Agent::builder(model.clone()).output::<Forecast>().build().unwrap();
    let result = agent.run("go").await.unwrap();
    assert_eq!((result.output, result.usage.tool_calls), (RIGHT, 0));
    let asked = &model.seen()[0];
    assert_eq!((asked.answer.clone(), asked.tools[0].name.as_str()), (AnswerForm::Tool, "final_result"));
    assert_eq!(told(&model.seen()[1]), ["retry: answer by a call of `final_result`, not in words"]);
    let complaint = "retry: the answer does not fit its schema: at /degrees: 400 is greater than the maximum of 60";
    assert_eq!(told(&model.seen()[2]), [complaint]);

    let error = agent.run("go").await.unwrap_err();
    assert!(matches!(&error, AgentError::TooManyRetries { times: 3, .. }), "{error}");
    assert_eq!(model.requests(), 6);
}

#[tokio::test]
async fn conversation_after_a_typed_answer_is_closed_and_continues_in_the_next_run() {
    let both = ModelResponse::new(vec![
        ResponsePart::ToolCall(ToolCall::new("a", "boom", "{}")),
        ResponsePart::ToolCall(ToolCall::new("b", "final_result", r#"{"degrees":11,"wet":true}"#)),
    ]);
    let boom = FunctionTool::new(ToolDefinition::new("boom", ""), |_| async { panic!("called behind the answer") });
    let model = script([both, call("final_result", json!({ "degrees": 0, "wet": true }))]);
    let agent = Agent::builder(model.clone()).tool(boom).output::<Forecast>().build().unwrap();
    let first = agent.run("go").await.unwrap();
    assert_eq!(first.output, RIGHT);
    agent.run("and then?").history(first.all_messages()).await.unwrap();
    let second = &model.seen()[1];
    assert_eq!(second.messages.len(), 4);
    let Message::Request(closing) = &second.messages[2] else { panic!("{second:?}") };
    let closed: Vec<_> = closing
        .parts
        .iter()
        .map(|part| match part {
            RequestPart::ToolReturn(given) => (given.call.id.as_str(), given.content.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(closed, [("a", "not called, for the answer was given"), ("b", "the answer was taken")]);
}

/// A model that enforces schemas and calls no tools.
struct Held(FunctionModel);

#[async_trait]
impl Model for Held {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        self.0.request(request).await
    }

    fn profile(&self) -> ModelProfile {
        let mut profile = ModelProfile::default();
        (profile.tools, profile.json_schema) = (false, true);
        profile
    }
}

#[tokio::test]
async fn model_without_tools_sends_typed_answers_by_a_schema_and_lists_in_an_object() {
    let model = script([
        ModelResponse::text("[1, 2]"),
        ModelResponse::text("so be it"),
        ModelResponse::text(r#"{"result":[1,2]}"#),
    ]);
    let agent = Agent::builder(Held(model.clone())).output::<Vec<u8>>().build().unwrap();
    assert_eq!(agent.run("go").await.unwrap().output, [1, 2]);
    let AnswerForm::Schema { schema, .. } = &model.seen()[0].answer else { panic!("{:?}", model.seen()[0]) };
    assert_eq!((&schema["type"], &schema["required"]), (&json!("object"), &json!(["result"])));
    assert!(model.seen()[0].tools.is_empty());
    assert!(told(&model.seen()[1])[0].contains("is not of type \"object\""), "{:?}", told(&model.seen()[1]));
    assert!(told(&model.seen()[2])[0].contains("is not JSON"), "{:?}", told(&model.seen()[2]));

    let error = Agent::builder(Held(script([]))).output::<u8>().output_mode(OutputMode::Tool).build().unwrap_err();
    assert!(error.to_string().contains("cannot send a typed answer in the mode Tool"), "{error}");
}

#[tokio::test]
async fn a_validator_changes_an_answer_sends_it_back_or_ends_the_run() {
    let agent = |model: FunctionModel| {
        Agent::builder(model)
            .output::<u32>()
            .validate(|context, n: u32| async move {
                match n {
                    0 => Err(ToolError::retry(format!("more than none ({})", context.retry))),
                    1 => Err(ToolError::failed("one is the end")),
                    n => Ok(n * 10),
                }
            })
            .validate(|_, n| async move { Ok(n + 1) })
            .build()
            .unwrap()
    };
    let answer = |n: u32| call("final_result", json!({ "result": n }));
    let model = script([answer(0), answer(0), answer(4)]);
    assert_eq!(agent(model.clone()).run("go").await.unwrap().output, 41);
    assert_eq!(told(&model.seen()[1]), ["retry: more than none (0)"]);
    assert_eq!(told(&model.seen()[2]), ["retry: more than none (1)"]);
    let error = agent(script([answer(1)])).run("go").await.unwrap_err();
    assert_eq!(error, AgentError::Validator(ToolError::failed("one is the end")));
}

#[test]
fn validator_before_the_type_and_tool_named_like_the_answer_are_refused() {
    let early = Agent::builder(script([])).validate(|_, answer| async { Ok(answer) }).output::<u8>().build();
    assert!(early.unwrap_err().to_string().contains("call `.output()` first"));
    let named = FunctionTool::new(ToolDefinition::new("final_result", ""), |_| async { Ok(ToolOutput::text("")) });
    let clash = Agent::builder(script([])).tool(named).output::<u8>().build();
    assert!(clash.unwrap_err().to_string().contains("the name of the tool for typed answers"));
}

#[test]
fn the_type_of_the_answer_is_part_of_an_agents_identity() {
    let text = Agent::builder(script([])).build().unwrap().identity();
    let number = Agent::builder(script([])).output::<u32>().build().unwrap().identity();
    let list = Agent::builder(script([])).output::<Vec<u32>>().build().unwrap().identity();
    assert!(text != number && number != list);
    assert!(!serde_json::to_string(&text).unwrap().contains("output"));
}

#[tokio::test]
async fn run_in_steps_does_only_the_requested_steps() {
    let model = script([call("look", json!({})), ModelResponse::text("done")]);
    let look = FunctionTool::new(ToolDefinition::new("look", ""), |_| async { Ok(ToolOutput::text("seen")) });
    let agent = Agent::builder(model.clone()).tool(look).build().unwrap();
    let mut steps = agent.run("go").steps();
    assert_eq!(model.requests(), 0);
    assert!(matches!(steps.next().await.unwrap(), Some(Step::Response(said)) if said.tool_calls().count() == 1));
    assert!(matches!(steps.next().await.unwrap(), Some(Step::Told(told)) if told.parts.len() == 1));
    assert_eq!(model.requests(), 1);
    assert!(matches!(steps.next().await.unwrap(), Some(Step::Response(_))));
    assert!(matches!(steps.next().await.unwrap(), Some(Step::Finished(result)) if result.output == "done"));
    assert_eq!((steps.next().await.unwrap(), model.requests()), (None, 2));
}

#[tokio::test]
async fn failed_step_is_the_last_and_a_dropped_step_is_repeated() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let model = {
        let gate = gate.clone();
        FunctionModel::from_async("slow", move |_| {
            let gate = gate.clone();
            async move {
                gate.acquire().await.unwrap().forget();
                Ok(ModelResponse::text(""))
            }
        })
    };
    let agent = Agent::builder(model.clone()).limits(Limits::default().tool_retries(0)).build().unwrap();
    let mut steps = agent.run("go").steps();
    {
        let mut first = Box::pin(steps.next());
        assert!(futures::poll!(&mut first).is_pending());
    }
    gate.add_permits(1);
    assert!(matches!(steps.next().await.unwrap(), Some(Step::Response(_))));
    assert_eq!(model.requests(), 2);
    assert!(steps.next().await.is_err());
    assert_eq!(steps.next().await.unwrap(), None);
}

/// A model that streams, and breaks off once.
struct Speaker;

#[async_trait]
impl Model for Speaker {
    fn name(&self) -> &str {
        "speaker"
    }

    async fn request(&self, _: &ModelRequest) -> Result<ModelResponse, ModelError> {
        Ok(ModelResponse::text("good day"))
    }

    async fn request_streaming(&self, request: &ModelRequest, deltas: &Deltas) -> Result<ModelResponse, ModelError> {
        for piece in [Delta::Text("go".into()), Delta::Void, Delta::Text("good ".into()), Delta::Text("day".into())] {
            deltas.send(piece).await;
        }
        self.request(request).await
    }
}

#[tokio::test]
async fn stream_sends_pieces_voids_the_usage_and_the_result() {
    let mut stream = Agent::builder(Speaker).build().unwrap().run_stream("go");
    let mut seen = Vec::new();
    while let Some(event) = stream.next().await {
        seen.push(event.unwrap());
    }
    let text = |text: &str| RunEvent::Text(text.to_owned());
    let Some(RunEvent::Finished(result)) = seen.pop() else { panic!("{seen:?}") };
    assert_eq!(result.output, "good day");
    assert_eq!(seen, [text("go"), RunEvent::Void, text("good "), text("day"), RunEvent::Usage(result.usage)]);
}

#[tokio::test]
async fn stream_sends_tool_calls_and_their_outputs_and_ends_in_the_error_of_the_run() {
    let look = FunctionTool::new(ToolDefinition::new("look", ""), |_| async { Ok(ToolOutput::text("seen")) });
    let fall = FunctionTool::new(ToolDefinition::new("fall", ""), |_| async { Err(ToolError::failed("ouch")) });
    let said = ModelResponse::new(vec![
        ResponsePart::Text(Text::new("let me see")),
        ResponsePart::ToolCall(ToolCall::new("a", "look", "{}")),
    ]);
    let agent = Agent::builder(script([said, call("fall", json!({}))])).tool(look).tool(fall).build().unwrap();
    let mut stream = agent.run_stream("go");
    let mut shown = Vec::new();
    while let Some(event) = stream.next().await {
        shown.push(match event {
            Ok(RunEvent::Text(text)) => text,
            Ok(RunEvent::ToolCall(call)) => format!("call of {}", call.tool),
            Ok(RunEvent::Usage(usage)) => format!("{} requests", usage.requests),
            Ok(RunEvent::Told(RequestPart::ToolReturn(given))) => given.content,
            Ok(other) => panic!("{other:?}"),
            Err(error) => error.to_string(),
        });
    }
    let expected = [
        "let me see",
        "call of look",
        "1 requests",
        "seen",
        "call of fall",
        "2 requests",
        "cannot finish the run: tool `fall` failed: ouch",
    ];
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn stream_that_is_not_polled_holds_the_run_up_and_queues_little() {
    struct Endless(Arc<AtomicUsize>);
    #[async_trait]
    impl Model for Endless {
        fn name(&self) -> &str {
            "endless"
        }
        async fn request(&self, _: &ModelRequest) -> Result<ModelResponse, ModelError> {
            unreachable!("it is streamed")
        }
        async fn request_streaming(&self, _: &ModelRequest, deltas: &Deltas) -> Result<ModelResponse, ModelError> {
            loop {
                deltas.send(Delta::Text("on and ".into())).await;
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    let sent = Arc::new(AtomicUsize::new(0));
    let mut stream = Agent::builder(Endless(sent.clone())).build().unwrap().run_stream("go");
    for taken in 1..20 {
        stream.next().await.unwrap().unwrap();
        let ahead = sent.load(Ordering::Relaxed) - taken + 1;
        assert!(ahead <= 2, "{ahead} pieces were made without a request");
    }
}

#[test]
fn a_blocking_run_needs_no_runtime_and_several_share_one() {
    let agent = Agent::builder(FunctionModel::from_async("sleepy", |_| async {
        tokio::task::yield_now().await;
        tokio::time::sleep(std::time::Duration::ZERO).await;
        Ok(ModelResponse::text("awake"))
    }))
    .build()
    .unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let agent = agent.clone();
            std::thread::spawn(move || agent.run_sync("go").unwrap().output)
        })
        .collect();
    assert_eq!(agent.run_sync("go").unwrap().output, "awake");
    for thread in threads {
        assert_eq!(thread.join().unwrap(), "awake");
    }
}

#[tokio::test]
async fn a_blocking_run_in_async_code_is_an_error_that_names_the_way_out() {
    let error = Agent::builder(script([])).build().unwrap().run_sync("go").unwrap_err();
    assert!(matches!(&error, AgentError::Misuse(why) if why.contains("await the run")), "{error}");
}

#[tokio::test]
async fn the_cost_is_counted_by_the_price_and_its_limit_is_looked_at_before_each_request() {
    let dear = call("look", json!({})).with_tokens(Tokens::new(100_000, 10_000));
    let model = script(vec![dear; 9]);
    let look = FunctionTool::new(ToolDefinition::new("look", ""), |_| async { Ok(ToolOutput::text("seen")) });
    let agent = Agent::builder(model.clone()).tool(look).price(Price::per_million(2.0, 8.0)).build().unwrap();
    let limits = Limits::default().cost(Cost::of(0.5));
    let mut stream = agent.run("go").limits(limits).stream();
    let mut last = None;
    let error = loop {
        match stream.next().await.unwrap() {
            Ok(RunEvent::Usage(usage)) => last = Some(usage),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    // 0.28 for each answer: the second one exceeds the limit, the third is not requested.
    assert_eq!((last.unwrap().cost, model.requests()), (Cost::of(0.56), 2));
    assert_eq!(error, AgentError::Limit { limit: Limit::Cost, bound: 500_000_000 });
    assert!(error.to_string().contains("its limit of a cost of 0.5;"), "{error}");
}

#[tokio::test]
async fn the_test_model_calls_every_tool_once_with_arguments_that_fit_and_then_answers() {
    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Plain,
        #[allow(dead_code, reason = "the first is taken")]
        Fancy(u8),
    }
    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    struct Order {
        kind: Kind,
        #[schemars(range(min = 3))]
        count: u32,
        #[schemars(length(min = 2))]
        names: Vec<String>,
        note: Option<String>,
        next: Option<Box<Order>>,
    }
    let tool = |name: &str| {
        let schema = schemars::schema_for!(Order).to_value();
        FunctionTool::new(ToolDefinition::new(name, "").parameters(schema), |call| async move {
            let order: Order = call.arguments.parse()?;
            ToolOutput::json(&(order.count, order.names))
        })
    };
    let agent = Agent::builder(TestModel::new()).tool(tool("one")).tool(tool("two")).build().unwrap();
    let result = agent.run("go").await.unwrap();
    assert_eq!(result.output, r#"{"one":"[3,[\"a\",\"a\"]]","two":"[3,[\"a\",\"a\"]]"}"#);
    assert_eq!((result.usage.requests, result.usage.tool_calls), (2, 2));

    for mode in [OutputMode::Tool, OutputMode::Schema] {
        let agent = Agent::builder(TestModel::new()).output::<Order>().output_mode(mode).build().unwrap();
        let order = agent.run("go").await.unwrap().output;
        let names = vec!["a".to_owned(); 2];
        assert_eq!(order, Order { kind: Kind::Plain, count: 3, names, note: None, next: None }, "{mode:?}");
    }
}
