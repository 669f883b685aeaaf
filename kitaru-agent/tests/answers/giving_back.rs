//! Content that is sent back to a provider.

use super::*;

/// The part of a second request that repeats the first answer, as it was sent.
async fn given_back(way: Way, first: Answer) -> String {
    let server = Server::start(vec![first, way.answer("done", &[], "stop")]);
    let (ended, made) = run(way, &server).await;
    assert_eq!((ended.unwrap(), made.len()), ("done".to_owned(), 1), "{way:?}");
    server.seen().remove(1)
}

/// JSON that changes when it is parsed and written again: unsorted keys, spaces, unusual numbers.
const SIGNED: &str = r#"{"google": {"thought_signature":"a/b+c=\u00e9", "n":1.0e2,"a":12345678901234567890123}}"#;

#[tokio::test]
async fn fields_of_a_call_go_back_with_it_byte_for_byte() {
    let call = r#"{"index":0,"id":"c","type":"function","extra_content":SIGNED,"function":{"name":"weather","arguments":"{}","sig":SIGNED}}"#;
    let call = call.replace("SIGNED", SIGNED);
    let whole = format!(r#"{{"choices":[{{"message":{{"tool_calls":[{call}]}},"finish_reason":"tool_calls"}}]}}"#);
    let streamed = format!(
        r#"data: {{"choices":[{{"delta":{{"tool_calls":[{call}]}},"finish_reason":"tool_calls"}}]}}{}"#,
        "\n\n"
    );
    for (way, answer) in [(Way::OpenAiWhole, Answer::json(whole)), (Way::OpenAiStreamed, sse(&streamed))] {
        let sent = given_back(way, answer).await;
        let expected = format!(
            r#""tool_calls":[{{"id":"c","type":"function","extra_content":{SIGNED},"function":{{"name":"weather","arguments":"{{}}","sig":{SIGNED}}}}}]"#
        );
        assert!(sent.contains(&expected), "{way:?}: {sent}");
    }
}

#[tokio::test]
async fn reasoning_goes_back_with_its_message() {
    let call = r#""tool_calls":[{"index":0,"id":"c","function":{"name":"weather","arguments":"{}"}}]"#;
    let fields = format!(
        r#""reasoning_content":"h\u006d","reasoning_details":[{SIGNED}],"extra_content":{SIGNED},"reasoning":null"#
    );
    let whole =
        format!(r#"{{"choices":[{{"message":{{"content":null,{fields},{call}}},"finish_reason":"tool_calls"}}]}}"#);
    let sent = given_back(Way::OpenAiWhole, Answer::json(whole)).await;
    assert!(sent.contains(&fields.replace(r#","reasoning":null"#, "")), "{sent}");

    let list = [
        r#"{"reasoning_content":"h"}"#.to_owned(),
        format!(r#"{{"reasoning_content":"m","reasoning_details":[{SIGNED}]}}"#),
        format!(r#"{{"reasoning_details":[{SIGNED}],"model_extra":"x"}}"#),
        format!("{{{call}}}"),
    ];
    let streamed: String =
        list.iter().map(|delta| format!("data: {{\"choices\":[{{\"delta\":{delta}}}]}}\n\n")).collect();
    let streamed = format!("{streamed}data: {}\n\n", finish("tool_calls"));
    let sent = given_back(Way::OpenAiStreamed, sse(&streamed)).await;
    assert!(sent.contains(&format!(r#""reasoning_content":"hm","reasoning_details":[{SIGNED},{SIGNED}]"#)), "{sent}");
    assert!(!sent.contains("model_extra"), "what is for people does not go back: {sent}");
}

/// A part from this crate: the order of its keys depends on the features of the whole build.
fn text_part() -> String {
    json!({ "type": "text", "text": "let me see" }).to_string()
}

#[tokio::test]
async fn unknown_blocks_go_back_byte_for_byte_and_in_their_place() {
    let thinking = r#"{"type":"thinking", "thinking":"h\u006d","signature":"Eq/+=="}"#;
    let redacted = r#"{"type":"redacted_thinking","data": "xyz"}"#;
    let searched = r#"{"type":"web_search_tool_result","tool_use_id":"s","content":[{"n":1.0,"a":{}}]}"#;
    let call = r#"{"type":"tool_use","id":"c","name":"weather","input":{"z": 1.0,"a":2},"caller":{"type":"direct"}}"#;
    let text = text_part();
    let content = [thinking, redacted, &text, searched, call].join(",");
    let whole = format!(r#"{{"content":[{content}],"stop_reason":"tool_use"}}"#);
    let sent = given_back(Way::AnthropicWhole, Answer::json(whole)).await;
    assert!(sent.contains(&content), "{sent}");

    let start = |index: usize, block: &str| {
        format!("data: {{\"type\":\"content_block_start\",\"index\":{index},\"content_block\":{block}}}\n\n")
    };
    let grow = |index: usize, delta: Value| {
        format!("data: {}\n\n", json!({ "type": "content_block_delta", "index": index, "delta": delta }))
    };
    let stop = |index: usize| format!("data: {{\"type\":\"content_block_stop\",\"index\":{index}}}\n\n");
    let streamed = [
        start(0, r#"{"type":"thinking","thinking":"","signature":""}"#),
        grow(0, json!({ "type": "thinking_delta", "thinking": "h" })),
        grow(0, json!({ "type": "thinking_delta", "thinking": "m" })),
        grow(0, json!({ "type": "signature_delta", "signature": "Eq/+==" })),
        stop(0),
        start(1, redacted),
        stop(1),
        start(2, r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{}}"#),
        grow(2, json!({ "type": "input_json_delta", "partial_json": "{\"z\": 1.0" })),
        grow(2, json!({ "type": "input_json_delta", "partial_json": ",\"a\":2}" })),
        stop(2),
        start(3, searched),
        stop(3),
        start(4, r#"{"type":"tool_use","id":"c","name":"weather","input":{},"caller":{"type":"direct"}}"#),
        grow(4, json!({ "type": "input_json_delta", "partial_json": r#"{"z": 1.0,"a":2}"# })),
        stop(4),
        over("tool_use").map(|event| format!("data: {event}\n\n")).concat(),
    ];
    let sent = given_back(Way::AnthropicStreamed, sse(&streamed.concat())).await;
    let thinking = r#"{"type":"thinking","thinking":"hm","signature":"Eq/+=="}"#;
    let used = r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{"z": 1.0,"a":2}}"#;
    let content = [thinking, redacted, used, searched, call].join(",");
    assert!(sent.contains(&content), "{sent}");
}

#[tokio::test]
async fn content_of_one_dialect_is_not_sent_to_the_other_or_with_give_back_nothing() {
    let response = |dialect: &str| {
        ModelResponse::new(vec![
            ResponsePart::Reasoning(Opaque::new(dialect, Place::Part, r#"{"type":"thinking","thinking":"SECRET"}"#)),
            ResponsePart::Opaque(Opaque::new(dialect, Place::Message("reasoning".to_owned()), r#""SECRET""#)),
            ResponsePart::ToolCall(ToolCall::new("c", "weather", "{}")),
            ResponsePart::Opaque(Opaque::new(dialect, Place::Call("extra".to_owned()), r#""SECRET""#)),
        ])
    };
    let mut asked = go();
    for (way, dialect) in [(Way::OpenAiWhole, "anthropic"), (Way::AnthropicWhole, "openai")] {
        let server = Server::start(vec![way.answer("done", &[], "stop")]);
        asked.messages.push(Message::Response(response(dialect)));
        request(way, &*way.model(&server), &asked).await.unwrap();
        assert!(!server.seen()[0].contains("SECRET"), "{way:?}");
        asked.messages.pop();
    }
    asked.messages.push(Message::Response(response("openai")));
    let way = Way::OpenAiWhole;
    let server = Server::start(vec![way.answer("done", &[], "stop"); 2]);
    let builder = || OpenAi::builder("k").base_url(&server.url);
    builder().build().unwrap().request(&asked).await.unwrap();
    builder().give_back(GiveBack::Nothing).build().unwrap().request(&asked).await.unwrap();
    let told: Vec<_> = server.seen().iter().map(|sent| sent.matches("SECRET").count()).collect();
    assert_eq!(told, [3, 0]);
}

#[tokio::test]
async fn content_list_is_read_as_its_texts_and_its_other_parts_go_back() {
    let other = r#"{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}"#;
    let content = format!(r#"[{other},{{"type":"text","text":"let "}},"me see"]"#);
    let call = r#""tool_calls":[{"index":0,"id":"c","function":{"name":"weather","arguments":"{}"}}]"#;
    let whole = format!(r#"{{"choices":[{{"message":{{"content":{content},{call}}},"finish_reason":"tool_calls"}}]}}"#);
    let response = ask(Way::OpenAiWhole, Answer::json(whole.clone())).await.unwrap();
    assert_eq!(response.output(), "let me see");
    let sent = given_back(Way::OpenAiWhole, Answer::json(whole.clone())).await;
    assert!(sent.contains(&format!(r#""content":[{other},{}]"#, text_part())), "{sent}");
    let streamed = format!("data: {}\n\n", whole.replace("\"message\"", "\"delta\""));
    assert_eq!(ask(Way::OpenAiStreamed, sse(&streamed)).await.unwrap().output(), "let me see");
}
