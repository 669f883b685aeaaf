//! A scripted model over rig's own test wire: its answers follow from the requests.

use rig_core::completion::{AssistantContent, CompletionRequest, CompletionResponse, Message, Usage};
use rig_core::driver::{Exchange, Model, Opened, Opening, Transport};
use rig_core::message::{Origin, ToolCall, ToolFunction, ToolName, UserContent};
use rig_core::test_utils::{MOCK_API, MOCK_PROVIDER, MockFrame, MockScript};
use serde_json::{Value, json};

pub(crate) fn model() -> Model<MockScript, Script> {
    Model::new(MockScript::default(), Script)
}

#[derive(Clone)]
pub(crate) struct Script;

impl Transport<MockScript> for Script {
    fn send(&self, request: CompletionRequest, _: Exchange) -> Opening<MockFrame> {
        println!("  (the model is asked)");
        let origin = Origin::new(MOCK_API, MOCK_PROVIDER, "");
        let usage = Usage::new().input_tokens(50).output_tokens(20).total_tokens(70);
        let response = CompletionResponse::new(answer(&request), usage, origin, Value::Null);
        Opening::ready(Opened::new(futures::stream::iter([Ok(MockFrame::Response(Box::new(response)))])))
    }
}

fn answer(request: &CompletionRequest) -> Vec<AssistantContent> {
    let look = |shelf: &str| {
        let name = ToolName::new("look").expect("a name");
        let function = ToolFunction::new(name, json!({ "shelf": shelf }));
        AssistantContent::ToolCall(ToolCall::from_wire(format!("call_{shelf}"), function))
    };
    let Some(Message::User { content }) = request.chat_history.last() else { return Vec::new() };
    match content.first() {
        Some(UserContent::ToolResult(_)) => vec![AssistantContent::text("Lentils, rice, onions and carrots.")],
        Some(UserContent::Text(asked)) if asked.text.starts_with("Plan") => {
            vec![AssistantContent::text("Mujaddara: lentils and rice, with onions fried dark, and a carrot salad.")]
        }
        _ => vec![look("upper"), look("lower")],
    }
}
