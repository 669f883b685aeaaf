//! The parts of a request to a model that count, and the parts of an answer that are recorded.
#![cfg(feature = "agent")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use async_trait::async_trait;
use kitaru::agent::{
    Agent, AnswerForm, FunctionModel, FunctionTool, KitaruAgent, Model, ModelError, ModelProfile, ModelRequest,
    ModelResponse, ModelSettings, Opaque, OutputMode, Place, ResponsePart, RunError, Stop, ToolCall, ToolDefinition,
    ToolOutput,
};
use kitaru::{Error, Kitaru, dynamic};

async fn store() -> Kitaru {
    Kitaru::builder().in_memory().open().await.expect("a store in memory opens")
}

/// A model that keeps to a schema, if the request has one.
#[derive(Clone)]
struct Strict(FunctionModel);

#[async_trait]
impl Model for Strict {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        self.0.request(request).await
    }

    fn profile(&self) -> ModelProfile {
        let mut profile = ModelProfile::default();
        profile.json_schema = true;
        profile
    }
}

/// A model that answers 42, in the form that the request asks for.
fn strict() -> Strict {
    Strict(FunctionModel::new("mock", |request: &ModelRequest| {
        Ok(match request.answer {
            AnswerForm::Tool => ModelResponse::tool_call("id", "final_result", r#"{"n":42}"#),
            _ => ModelResponse::text(r#"{"n":42}"#),
        })
    }))
}

/// Runs an agent in a flow of `kitaru` that never ends; the number of its requests.
async fn asks<T>(kitaru: &Kitaru, granular: bool, agent: fn(Strict) -> Agent<(), T>) -> usize
where
    T: serde::Serialize + serde::de::DeserializeOwned + Send + Sync + 'static,
{
    let model = strict();
    let agent = KitaruAgent::new(agent(model.clone())).granular_checkpoints(granular);
    let flow = dynamic::flow("story").run(move || async move {
        agent.run("How many?").await?;
        Err::<(), RunError>(Error::msg("the process is to end here").into())
    });
    let error = flow.id("job").on(kitaru).await.expect_err("it ends");
    assert!(error.to_string().contains("is to end here"), "{error}");
    model.0.requests()
}

#[tokio::test]
async fn another_type_of_the_answer_is_another_question_by_tool_and_by_schema() {
    #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
    struct Count {
        n: u32,
    }
    #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
    struct Reasoned {
        n: u32,
        why: Option<String>,
    }
    fn agent<T: serde::de::DeserializeOwned + schemars::JsonSchema + 'static>(
        model: Strict,
        mode: OutputMode,
    ) -> Agent<(), T> {
        Agent::builder(model).name("oracle").output::<T>().output_mode(mode).build().expect("an agent")
    }
    for granular in [true, false] {
        let kitaru = store().await;
        assert_eq!(asks::<Count>(&kitaru, granular, |model| agent(model, OutputMode::Tool)).await, 1);
        assert_eq!(asks::<Count>(&kitaru, granular, |model| agent(model, OutputMode::Tool)).await, 0);
        assert_eq!(asks::<Reasoned>(&kitaru, granular, |model| agent(model, OutputMode::Tool)).await, 1);
        assert_eq!(asks::<Reasoned>(&kitaru, granular, |model| agent(model, OutputMode::Schema)).await, 1);
        assert_eq!(asks::<Reasoned>(&kitaru, granular, |model| agent(model, OutputMode::Schema)).await, 0);
        assert_eq!(asks::<Count>(&kitaru, granular, |model| agent(model, OutputMode::Schema)).await, 1);
    }
}

#[tokio::test]
async fn instructions_count_by_their_text_and_not_by_their_origin() {
    let kitaru = store().await;
    let fixed = |model| Agent::builder(model).name("oracle").instructions("Be brief.").build().expect("an agent");
    let same = |model| {
        let agent = Agent::builder(model).name("oracle");
        agent.instructions_from(|_| async { Ok("Be brief.".to_owned()) }).build().expect("an agent")
    };
    assert_eq!((asks(&kitaru, true, fixed).await, asks(&kitaru, true, same).await), (1, 0));
    let kitaru = store().await;
    let other = |model| {
        let agent = Agent::builder(model).name("oracle");
        agent.instructions_from(|_| async { Ok("Be long.".to_owned()) }).build().expect("an agent")
    };
    assert_eq!((asks(&kitaru, true, fixed).await, asks(&kitaru, true, other).await), (1, 1));
    // Instructions are computed once, and recorded.
    assert_eq!(asks(&kitaru, true, same).await, 0);
}

#[tokio::test]
async fn request_with_opaque_parts_is_answered_by_its_record() {
    // The first answer has parts of the newest message format, which are part of the next question.
    fn agent(model: Strict) -> Agent {
        let thinking = FunctionModel::new("mock", move |request: &ModelRequest| {
            let _ = futures::executor::block_on(model.request(request));
            if !request.tool_returns().is_empty() {
                return Ok(ModelResponse::text("42"));
            }
            let thought = Opaque::new("anthropic", Place::Part, r#"{"type":"thinking", "b":1.0,"a":2}"#);
            let call = ToolCall::new("id", "weather", r#"{"city":"Brest"}"#);
            Ok(ModelResponse::new(vec![ResponsePart::Reasoning(thought), ResponsePart::ToolCall(call)]))
        });
        let tool = FunctionTool::new(ToolDefinition::new("weather", "The weather."), |_| async {
            Ok(ToolOutput::text("rain"))
        });
        Agent::builder(thinking).name("oracle").tool(tool).build().expect("an agent")
    }
    for granular in [true, false] {
        let kitaru = store().await;
        assert_eq!((asks(&kitaru, granular, agent).await, asks(&kitaru, granular, agent).await), (2, 0));
    }
}

#[tokio::test]
async fn truncated_answer_is_an_error_and_a_larger_bound_asks_again() {
    fn agent(model: Strict, bound: u32) -> Agent {
        let cut = FunctionModel::new("mock", move |request: &ModelRequest| {
            let mut response = futures::executor::block_on(model.request(request))?;
            response.stop = (request.settings.max_tokens < Some(100)).then_some(Stop::Length);
            Ok(response)
        });
        let settings = ModelSettings::default().max_tokens(bound);
        Agent::builder(cut).name("oracle").settings(settings).build().expect("an agent")
    }
    for granular in [true, false] {
        let kitaru = store().await;
        let short = KitaruAgent::new(agent(strict(), 7)).granular_checkpoints(granular);
        let error = short.run("How many?").on(&kitaru).await.expect_err("it is cut");
        assert!(error.to_string().contains("bound of 7 on tokens"), "{error}");
        assert_eq!(asks(&kitaru, granular, |model| agent(model, 100)).await, 1);
    }
}
