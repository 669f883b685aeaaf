//! Several tools, as one value that can be changed.
//!
//! Owns which tools are in it, and under which names. Must not know an agent.

use std::{fmt, sync::Arc};

use super::{Calling, Invocation, Tool, ToolDefinition};

/// A set of tools: from several sources, under other names, without some of them. Each change makes another set of the same
/// tools.
///
/// Names have to be unique when an agent is built. The name of a tool is a part of the names and the keys of its records.
///
/// # Examples
///
/// ```
/// # mod kitaru { pub use kitaru_agent as agent; }
/// use kitaru::agent::{Agent, FunctionTool, TestModel, ToolDefinition, ToolOutput, ToolSet};
///
/// let tool = |name: &str| FunctionTool::new(ToolDefinition::new(name, ""), |_| async { Ok(ToolOutput::text("ok")) });
/// // Such as the tools of two servers.
/// let harbour: ToolSet = ToolSet::new().with(tool("search")).with(tool("delete"));
/// let library: ToolSet = ToolSet::new().with(tool("search"));
///
/// let tools = harbour
///     .filtered(|tool| tool.name != "delete")
///     .prefixed("harbour_")
///     .and(library.renamed("search", "find_book"));
/// let agent = Agent::builder(TestModel::new()).tools(tools).build()?;
/// let names: Vec<_> = agent.tools().iter().map(|tool| tool.definition().name.as_str()).collect();
/// assert_eq!(names, ["harbour_search", "find_book"]);
/// # Ok::<(), kitaru::agent::AgentError>(())
/// ```
#[must_use = "tools do nothing until an agent has them"]
pub struct ToolSet<D = ()> {
    tools: Vec<Arc<dyn Tool<D>>>,
}

impl<D: Send + Sync + 'static> ToolSet<D> {
    /// A set without tools.
    pub fn new() -> Self {
        Self { tools: Vec::new() }
    }

    /// Adds a tool.
    pub fn with(mut self, tool: impl Tool<D> + 'static) -> Self {
        self.tools.push(Arc::new(tool));
        self
    }

    /// Adds tools: those of another set, or of an MCP server.
    pub fn and(mut self, tools: impl IntoIterator<Item = Arc<dyn Tool<D>>>) -> Self {
        self.tools.extend(tools);
        self
    }

    /// Keeps the tools for which `keep` is true.
    pub fn filtered(mut self, keep: impl Fn(&ToolDefinition) -> bool) -> Self {
        self.tools.retain(|tool| keep(tool.definition()));
        self
    }

    /// Puts `prefix` in front of each name.
    pub fn prefixed(self, prefix: &str) -> Self {
        self.changed(|definition| definition.name.insert_str(0, prefix))
    }

    /// Calls the tool `from` by another name. A set without such a tool stays as it is.
    pub fn renamed(self, from: &str, to: &str) -> Self {
        self.changed(|definition| {
            if definition.name == from {
                definition.name = to.to_owned();
            }
        })
    }

    /// Changes what the model learns of each tool: its name, its description. The parameters and options can be changed too; a
    /// tool still gets the arguments of the model.
    pub fn changed(self, change: impl Fn(&mut ToolDefinition)) -> Self {
        let tools = self.tools.into_iter().map(|inner| -> Arc<dyn Tool<D>> {
            let mut definition = inner.definition().clone();
            change(&mut definition);
            if definition == *inner.definition() {
                return inner;
            }
            Arc::new(Described { inner, definition })
        });
        Self { tools: tools.collect() }
    }
}

impl<D: Send + Sync + 'static> Default for ToolSet<D> {
    fn default() -> Self {
        Self::new()
    }
}

impl<D> Clone for ToolSet<D> {
    fn clone(&self) -> Self {
        Self { tools: self.tools.clone() }
    }
}

impl<D> IntoIterator for ToolSet<D> {
    type Item = Arc<dyn Tool<D>>;
    type IntoIter = std::vec::IntoIter<Arc<dyn Tool<D>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.tools.into_iter()
    }
}

impl<D: Send + Sync + 'static> FromIterator<Arc<dyn Tool<D>>> for ToolSet<D> {
    fn from_iter<I: IntoIterator<Item = Arc<dyn Tool<D>>>>(tools: I) -> Self {
        Self { tools: tools.into_iter().collect() }
    }
}

impl<D: Send + Sync + 'static> fmt::Debug for ToolSet<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.tools.iter().map(|tool| &tool.definition().name)).finish()
    }
}

/// A tool that is described in another way.
struct Described<D> {
    inner: Arc<dyn Tool<D>>,
    definition: ToolDefinition,
}

impl<D: Send + Sync + 'static> Tool<D> for Described<D> {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    // Not `async`: what the inner tool does when its future is made must not wait for the first poll.
    fn call<'life0, 'async_trait>(&'life0 self, call: Invocation<D>) -> Calling<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        self.inner.call(call)
    }
}
