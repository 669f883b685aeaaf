//! The calls that a run pays for: those that really reached a model or a tool. Must not know which of them are recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use kitaru::agent::{
    Agent, Deltas, Invocation, Model, ModelError, ModelProfile, ModelRequest, ModelResponse, Tool, ToolDefinition,
    ToolError, ToolOutput, Usage,
};

/// The calls of this process.
pub(crate) static METER: Meter = Meter::new();

/// Counts calls: those that were paid for, and those in the turns.
pub(crate) struct Meter {
    models: AtomicU64,
    tools: AtomicU64,
    all_models: AtomicU64,
    all_tools: AtomicU64,
}

impl Meter {
    const fn new() -> Self {
        Meter {
            models: AtomicU64::new(0),
            tools: AtomicU64::new(0),
            all_models: AtomicU64::new(0),
            all_tools: AtomicU64::new(0),
        }
    }

    /// The agent, with every call that reaches its model and its tools counted here.
    pub(crate) fn on(&'static self, agent: &Agent) -> Agent {
        agent
            .map_model(|model| -> Arc<dyn Model> { Arc::new(Metered { inner: model, meter: self }) })
            .map_tools(|tool| -> Arc<dyn Tool> { Arc::new(Metered { inner: tool, meter: self }) })
    }

    /// A turn contains these calls, paid now or before.
    pub(crate) fn saw(&self, usage: &Usage) {
        self.all_models.fetch_add(usage.requests, Ordering::Relaxed);
        self.all_tools.fetch_add(usage.tool_calls, Ordering::Relaxed);
    }

    /// Whether it has seen no turn.
    pub(crate) fn is_idle(&self) -> bool {
        self.all_models.load(Ordering::Relaxed) == 0
    }

    /// Paid for and replayed, in a line.
    pub(crate) fn bill(&self) -> String {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (models, tools) = (read(&self.models), read(&self.tools));
        let replayed = |all: &AtomicU64, paid: u64| read(all).saturating_sub(paid);
        let calls = |models: u64, tools: u64| format!("{}, {}", counted(models, "model"), counted(tools, "tool"));
        format!(
            "Paid for: {}. Replayed: {}.",
            calls(models, tools),
            calls(replayed(&self.all_models, models), replayed(&self.all_tools, tools))
        )
    }
}

/// `1 model call`, `2 model calls`.
fn counted(count: u64, what: &str) -> String {
    format!("{count} {what} call{}", if count == 1 { "" } else { "s" })
}

struct Metered<T: ?Sized> {
    inner: Arc<T>,
    meter: &'static Meter,
}

#[async_trait]
impl Model for Metered<dyn Model> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        self.meter.models.fetch_add(1, Ordering::Relaxed);
        self.inner.request(request).await
    }

    async fn request_streaming(&self, request: &ModelRequest, deltas: &Deltas) -> Result<ModelResponse, ModelError> {
        self.meter.models.fetch_add(1, Ordering::Relaxed);
        self.inner.request_streaming(request, deltas).await
    }

    fn profile(&self) -> ModelProfile {
        self.inner.profile()
    }
}

#[async_trait]
impl Tool for Metered<dyn Tool> {
    fn definition(&self) -> &ToolDefinition {
        self.inner.definition()
    }

    async fn call(&self, call: Invocation) -> Result<ToolOutput, ToolError> {
        self.meter.tools.fetch_add(1, Ordering::Relaxed);
        self.inner.call(call).await
    }
}
