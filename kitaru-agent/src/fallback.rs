//! A model with others to ask if it fails.
//!
//! Owns the order in which they are asked, and which errors lead to the next. Must not know a provider.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use futures::FutureExt as _;

use crate::answer::Counted;
use crate::delta::{Delta, Deltas};
use crate::error::{ModelError, ModelErrorKind};
use crate::message::ModelResponse;
use crate::model::{Model, ModelProfile, ModelRequest};
use crate::price::Price;

/// Several models that answer for each other: each request is sent to the first one, and if that fails, to the next.
///
/// The next model is asked after a [transient](ModelErrorKind::is_transient) error, after the first model has retried by itself,
/// and if its quota is used up; [`when`](Self::when) sets another condition. If all fail, the error is a transient one if there is
/// one, so that a durable run waits and begins with the first model again. The pieces of a streamed answer that broke off are
/// void.
///
/// It is one model: its name is the names of all, and a recorded answer of any of them answers. Its abilities are those that all
/// have. Each answer says which model gave it ([`ModelResponse::model`], if the provider names it), and costs what that model
/// costs if it has a [`price`](Self::price) here.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{Agent, Cost, FallbackModel, FunctionModel, ModelError, ModelErrorKind, ModelResponse, Price, Tokens};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cheap = FunctionModel::new("cheap", |_| Err(ModelError::new(ModelErrorKind::Unavailable, "it is away")));
/// let dear = FunctionModel::new("dear", |_| Ok(ModelResponse::text("42").with_tokens(Tokens::new(1_000_000, 0))));
/// let model = FallbackModel::new(cheap).price(Price::per_million(0.1, 0.4)).or(dear).price(Price::per_million(3.0, 15.0));
///
/// let result = Agent::builder(model).build()?.run("What is the answer?").await?;
/// assert_eq!((result.output.as_str(), result.usage.cost), ("42", Cost::of(3.0)));
/// # Ok(())
/// # }
/// ```
#[must_use = "a model answers nothing before an agent asks it"]
pub struct FallbackModel {
    name: String,
    models: Vec<(Arc<dyn Model>, Price)>,
    is_next: fn(&ModelError) -> bool,
}

impl FallbackModel {
    /// Asks `first` first.
    pub fn new(first: impl Model + 'static) -> Self {
        let is_next = |error: &ModelError| error.is_transient() || error.kind() == ModelErrorKind::OutOfQuota;
        Self { name: String::new(), models: Vec::new(), is_next }.or(first)
    }

    /// Asks `next` if all models before it have failed.
    pub fn or(mut self, next: impl Model + 'static) -> Self {
        self.models.push((Arc::new(Counted::new(Arc::new(next))), Price::default()));
        let names: Vec<_> = self.models.iter().map(|(model, _)| model.name()).collect();
        self.name = names.join("|");
        self
    }

    /// Sets the price of the model that was added last. Without one, the agent's price applies.
    pub fn price(mut self, price: Price) -> Self {
        if let Some((_, last)) = self.models.last_mut() {
            *last = price;
        }
        self
    }

    /// Sets after which errors the next model is asked.
    pub fn when(self, is_next: fn(&ModelError) -> bool) -> Self {
        Self { is_next, ..self }
    }

    async fn ask(&self, request: &ModelRequest, deltas: Option<&Deltas>) -> Result<ModelResponse, ModelError> {
        let mut failed: Option<ModelError> = None;
        for (nth, (model, price)) in self.models.iter().enumerate() {
            let error = match ask_one(&**model, request, deltas).await {
                Ok(response) => return Ok(response.priced(price)),
                Err(error) => error,
            };
            let is_last = nth + 1 == self.models.len();
            if !is_last && (self.is_next)(&error) {
                let next = self.models[nth + 1].0.name();
                tracing::warn!(target: "kitaru", "Model `{}` failed, and model `{next}` is asked: {error}", model.name());
                failed = Some(first_of(failed, error));
                continue;
            }
            return Err(first_of(failed, error));
        }
        Err(failed
            .unwrap_or_else(|| ModelError::new(ModelErrorKind::Configuration, "cannot ask a model: there is none")))
    }
}

/// Which of two errors tells more: one after which it is worth to wait, and of two such the one with the shorter wait.
fn first_of(earlier: Option<ModelError>, later: ModelError) -> ModelError {
    let Some(earlier) = earlier else { return later };
    match (earlier.is_transient(), later.is_transient()) {
        (true, false) => earlier,
        (false, true) => later,
        _ if later.retry_after().is_none() || later.retry_after() < earlier.retry_after() => later,
        _ => earlier,
    }
}

/// One model's answer. Pieces of one that broke off are void.
async fn ask_one(
    model: &dyn Model,
    request: &ModelRequest,
    deltas: Option<&Deltas>,
) -> Result<ModelResponse, ModelError> {
    let Some(deltas) = deltas else { return model.request(request).await };
    let (heard, listener) = (Arc::new(AtomicBool::new(false)), deltas.clone());
    let noticed = heard.clone();
    let listening = Deltas::new(move |delta| {
        noticed.store(delta != Delta::Void, Ordering::Relaxed);
        listener.send(delta).boxed()
    });
    let asked = model.request_streaming(request, &listening).await;
    if asked.is_err() && heard.load(Ordering::Relaxed) {
        deltas.send(Delta::Void).await;
    }
    asked
}

#[async_trait]
impl Model for FallbackModel {
    fn name(&self) -> &str {
        &self.name
    }

    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        self.ask(request, None).await
    }

    async fn request_streaming(&self, request: &ModelRequest, deltas: &Deltas) -> Result<ModelResponse, ModelError> {
        self.ask(request, Some(deltas)).await
    }

    fn profile(&self) -> ModelProfile {
        let profiles = self.models.iter().map(|(model, _)| model.profile());
        profiles.fold(ModelProfile { tools: true, json_schema: true }, |all, one| ModelProfile {
            tools: all.tools && one.tools,
            json_schema: all.json_schema && one.json_schema,
        })
    }
}

impl fmt::Debug for FallbackModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FallbackModel").field(&self.name).finish()
    }
}
