//! A model with others to ask if it fails.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use kitaru_agent::{
    Agent, Cost, Delta, Deltas, FallbackModel, FunctionModel, Message, Model, ModelError, ModelErrorKind, ModelProfile,
    ModelRequest, ModelResponse, Price, RequestMessage, RunEvent, Stop, TestModel, Tokens,
};

fn go() -> ModelRequest {
    ModelRequest::new(vec![Message::Request(RequestMessage::user("go"))])
}

fn failing(name: &str, kind: ModelErrorKind) -> FunctionModel {
    let why = format!("{name} fails");
    FunctionModel::new(name, move |_| Err(ModelError::new(kind, why.clone())))
}

fn answering(name: &str) -> FunctionModel {
    let said = format!("said by {name}");
    FunctionModel::new(name, move |_| Ok(ModelResponse::text(said.clone()).with_tokens(Tokens::new(1_000_000, 0))))
}

#[tokio::test]
async fn next_model_is_asked_after_errors_that_may_pass_and_after_no_others() {
    use ModelErrorKind as Kind;
    for (kind, passes) in [
        (Kind::Unreachable, true),
        (Kind::TimedOut, true),
        (Kind::RateLimited, true),
        (Kind::Unavailable, true),
        (Kind::Interrupted, true),
        (Kind::InvalidResponse, true),
        (Kind::OutOfQuota, true),
        (Kind::Rejected, false),
        (Kind::Unauthorized, false),
        (Kind::Refused, false),
        (Kind::Incomplete, false),
        (Kind::Configuration, false),
    ] {
        let (first, second) = (failing("first", kind), answering("second"));
        let model = FallbackModel::new(first.clone()).or(second.clone());
        let answer = model.request(&go()).await;
        assert_eq!((answer.is_ok(), second.requests()), (passes, usize::from(passes)), "{kind:?}");
        let refused = FallbackModel::new(first).or(second).when(|error| error.kind() == Kind::Refused);
        assert_eq!(refused.request(&go()).await.is_ok(), kind == Kind::Refused, "{kind:?}");
    }
    let (first, second) = (answering("first"), answering("second"));
    let model = FallbackModel::new(first).or(second.clone());
    assert_eq!(model.request(&go()).await.unwrap().output(), "said by first");
    assert_eq!((second.requests(), model.name()), (0, "first|second"));
}

#[tokio::test]
async fn error_of_all_models_is_one_that_may_pass_with_the_shorter_wait() {
    let busy = |name: &'static str, seconds: u64| {
        FunctionModel::new(name, move |_| {
            Err(ModelError::new(ModelErrorKind::RateLimited, name).with_retry_after(Duration::from_secs(seconds)))
        })
    };
    for (model, said) in [
        (FallbackModel::new(busy("a", 60)).or(busy("b", 5)), "b"),
        (FallbackModel::new(busy("a", 5)).or(busy("b", 60)), "a"),
        (FallbackModel::new(busy("a", 5)).or(failing("b", ModelErrorKind::Rejected)), "a"),
        (FallbackModel::new(failing("a", ModelErrorKind::OutOfQuota)).or(busy("b", 5)), "b"),
        (FallbackModel::new(busy("a", 5)).or(failing("b", ModelErrorKind::Unavailable)), "b fails"),
    ] {
        assert_eq!(model.request(&go()).await.unwrap_err().to_string(), said);
    }
}

/// Says half of an answer, and breaks off.
struct Half;

#[async_trait]
impl Model for Half {
    fn name(&self) -> &str {
        "half"
    }

    async fn request(&self, _: &ModelRequest) -> Result<ModelResponse, ModelError> {
        Err(ModelError::new(ModelErrorKind::Interrupted, "it broke off"))
    }

    async fn request_streaming(&self, request: &ModelRequest, deltas: &Deltas) -> Result<ModelResponse, ModelError> {
        deltas.send(Delta::Text("half of".to_owned())).await;
        self.request(request).await
    }
}

#[tokio::test]
async fn pieces_of_a_model_that_broke_off_are_void() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let noted = heard.clone();
    let deltas = Deltas::new(move |delta| {
        noted.lock().unwrap().push(delta);
        Box::pin(std::future::ready(()))
    });
    let silent = failing("silent", ModelErrorKind::Unreachable);
    let model = FallbackModel::new(Half).or(silent).or(answering("last"));
    model.request_streaming(&go(), &deltas).await.unwrap();
    let expected = [Delta::Text("half of".into()), Delta::Void, Delta::Text("said by last".into())];
    assert_eq!(*heard.lock().unwrap(), expected);
    // As a listener of a run sees it.
    let agent = Agent::builder(FallbackModel::new(Half).or(answering("last"))).build().unwrap();
    let mut stream = agent.run_stream("go");
    let mut shown = String::new();
    while let Some(event) = stream.next().await {
        match event.unwrap() {
            RunEvent::Text(text) => shown.push_str(&text),
            RunEvent::Void => shown.clear(),
            _ => {}
        }
    }
    assert_eq!(shown, "said by last");
}

#[tokio::test]
async fn answer_costs_what_its_model_costs() {
    let away = || failing("away", ModelErrorKind::Unavailable);
    let dear = Price::per_million(3.0, 15.0);
    for (model, cost) in [
        (
            FallbackModel::new(answering("cheap"))
                .price(Price::per_million(0.5, 1.0))
                .or(answering("dear"))
                .price(dear),
            0.5,
        ),
        (FallbackModel::new(away()).price(Price::per_million(0.5, 1.0)).or(answering("dear")).price(dear), 3.0),
        // Without a price of its own, that of the agent.
        (FallbackModel::new(away()).price(dear).or(answering("unpriced")), 7.0),
    ] {
        let agent = Agent::builder(model).price(Price::per_million(7.0, 7.0)).build().unwrap();
        assert_eq!(agent.run("go").await.unwrap().usage.cost, Cost::of(cost));
    }
}

#[tokio::test]
async fn answer_that_does_not_count_leads_to_the_next_model_as_its_error_does() {
    let failed = FunctionModel::new("failed", |_| {
        let mut half = ModelResponse::text("half of");
        half.stop = Some(Stop::Failed);
        Ok(half)
    });
    let model = FallbackModel::new(failed).or(answering("second"));
    assert_eq!(model.request(&go()).await.unwrap().output(), "said by second");
}

#[test]
fn abilities_of_several_models_are_those_that_all_have() {
    let profile = |model: FallbackModel| model.profile();
    assert!(profile(FallbackModel::new(TestModel::new()).or(TestModel::new())).json_schema);
    let expected = ModelProfile::default();
    assert_eq!(profile(FallbackModel::new(TestModel::new()).or(answering("a"))), expected);
}
