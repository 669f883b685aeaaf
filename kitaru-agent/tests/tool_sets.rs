//! Sets of tools: which are in them, and what the model learns of them.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use kitaru_agent::{
    Agent, FunctionModel, FunctionTool, Invocation, ModelResponse, RunContext, TestModel, ToolDefinition, ToolError,
    ToolOutput, ToolSet,
};
use serde_json::json;

/// A tool that says under which name it is known to itself, and under which it was called.
fn tool(name: &'static str) -> FunctionTool {
    FunctionTool::new(ToolDefinition::new(name, "says its name"), move |call: Invocation| async move {
        Ok(ToolOutput::text(format!("{name} as {}", call.call.tool)))
    })
}

fn names(tools: &ToolSet) -> Vec<String> {
    tools.clone().into_iter().map(|tool| tool.definition().name.clone()).collect()
}

#[tokio::test]
async fn tool_of_a_changed_set_is_called_by_its_new_name() {
    let tools = ToolSet::new().with(tool("a")).with(tool("b")).prefixed("x_").renamed("x_b", "c");
    assert_eq!(names(&tools), ["x_a", "c"]);
    let tools = tools.changed(|definition| definition.description.push_str(", loudly"));
    let model = FunctionModel::new("mock", |request| {
        assert_eq!(request.tools[0].description, "says its name, loudly");
        let said: Vec<_> = request.tool_returns().iter().map(|given| given.content.clone()).collect();
        Ok(match said.len() {
            0 => ModelResponse::tool_call("1", "x_a", "{}"),
            1 => ModelResponse::tool_call("2", "c", "{}"),
            _ => ModelResponse::text(said.join(", ")),
        })
    });
    let agent = Agent::builder(model).tools(tools).build().unwrap();
    assert_eq!(agent.run("go").await.unwrap().output, "a as x_a, b as c");
}

#[test]
fn filter_keeps_what_it_accepts_and_sets_are_added_in_order() {
    let one = ToolSet::new().with(tool("a")).with(tool("b")).with(tool("c"));
    assert_eq!(names(&one.clone().filtered(|tool| tool.name != "b")), ["a", "c"]);
    let both = one.clone().filtered(|tool| tool.name == "c").and(one.clone().prefixed("again_"));
    assert_eq!(names(&both), ["c", "again_a", "again_b", "again_c"]);
    assert_eq!(names(&one.renamed("z", "y")), ["a", "b", "c"]);
    let collected: ToolSet = both.into_iter().skip(3).collect();
    assert_eq!(names(&collected), ["again_c"]);
}

#[test]
fn two_tools_of_one_name_in_combined_sets_are_refused_when_the_agent_is_built() {
    let set = || ToolSet::new().with(tool("a"));
    let error = Agent::builder(TestModel::new()).tools(set().and(set())).build().unwrap_err();
    assert!(error.to_string().contains("two tools are named `a`"), "{error}");
}

#[tokio::test]
async fn set_of_tools_with_dependencies_gets_those_of_the_agent() {
    struct Port(&'static str);
    let here = FunctionTool::with_deps(ToolDefinition::new("here", ""), |call: Invocation<Port>| async move {
        let context: &RunContext<Port> = &call.context;
        Ok::<_, ToolError>(ToolOutput::text(context.deps.0))
    });
    let tools: ToolSet<Port> = ToolSet::new().with(here).prefixed("port_");
    let agent = Agent::builder(TestModel::new()).deps::<Port>().tools(tools).build().unwrap();
    let output = agent.with_deps(Port("Brest")).run("go").await.unwrap().output;
    assert_eq!(output, json!({ "port_here": "Brest" }).to_string());
}
