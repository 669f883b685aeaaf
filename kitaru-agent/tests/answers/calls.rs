//! The tool calls in an answer.

use super::*;

#[tokio::test]
async fn tool_calls_of_a_stream_are_distinguished_in_every_numbering() {
    let call = |call: Value| piece(json!({ "tool_calls": [call] }));
    let of = |arguments: Value| json!({ "name": "weather", "arguments": arguments });
    let (rome, oslo) = (r#"{"city":"Rome"}"#, r#"{"city":"Oslo"}"#);
    let both = vec![("weather", rome), ("weather", oslo)];
    let one = vec![("weather", rome)];
    for (what, list, expected) in [
        (
            "one index, ids of their own",
            vec![
                call(json!({ "index": 0, "id": "a", "function": of(json!(rome)) })),
                call(json!({ "index": 0, "id": "b", "function": of(json!(oslo)) })),
            ],
            both.clone(),
        ),
        (
            "one index, in pieces",
            vec![
                call(json!({ "index": 0, "id": "a", "function": of(json!(r#"{"city":"#)) })),
                call(json!({ "index": 0, "id": "a", "function": { "arguments": "\"Rome\"}" } })),
                call(json!({ "index": 0, "id": "b", "function": of(json!(r#"{"city":"#)) })),
                call(json!({ "index": 0, "id": "", "function": { "arguments": "\"Oslo\"}" } })),
            ],
            both.clone(),
        ),
        (
            "one index and no id",
            vec![
                call(json!({ "index": 0, "function": of(json!(rome)) })),
                call(json!({ "index": 0, "function": of(json!(oslo)) })),
            ],
            both.clone(),
        ),
        (
            "the first index is 1",
            vec![
                call(json!({ "index": 1, "id": "a", "function": of(json!(rome)) })),
                call(json!({ "index": 2, "id": "b", "function": of(json!(oslo)) })),
            ],
            both.clone(),
        ),
        (
            "no index, in pieces",
            vec![
                call(json!({ "id": "a", "function": of(json!(r#"{"city":"#)) })),
                call(json!({ "function": { "arguments": "\"Rome\"}" } })),
                call(json!({ "id": "b", "function": of(json!(r#"{"city":"#)) })),
                call(json!({ "id": null, "index": null, "function": { "name": null, "arguments": "\"Oslo\"}" } })),
            ],
            both.clone(),
        ),
        (
            "no index and no id, each in one piece",
            vec![call(json!({ "function": of(json!(rome)) })), call(json!({ "function": of(json!(oslo)) }))],
            both.clone(),
        ),
        (
            "pieces that take turns",
            vec![
                call(json!({ "index": 0, "id": "a", "function": of(json!(r#"{"city":"#)) })),
                call(json!({ "index": 1, "id": "b", "function": of(json!(r#"{"city":"#)) })),
                call(json!({ "index": 0, "function": { "arguments": "\"Rome\"}" } })),
                call(json!({ "index": 1, "function": { "arguments": "\"Oslo\"}" } })),
            ],
            both.clone(),
        ),
        (
            "the name in every piece",
            vec![
                call(json!({ "index": 0, "id": "a", "function": of(json!(r#"{"city":"#)) })),
                call(json!({ "index": 0, "id": "a", "function": of(json!("\"Rome\"}")) })),
                call(json!({ "index": 0, "id": "a", "function": of(json!("")) })),
            ],
            one.clone(),
        ),
        (
            "the name in every piece, and no id or index",
            vec![
                call(json!({ "function": of(json!(r#"{"city":"#)) })),
                call(json!({ "function": of(json!("\"Rome\"}")) })),
            ],
            one.clone(),
        ),
        (
            "an id of its own for every piece",
            vec![
                call(json!({ "index": 0, "id": "a", "function": of(json!(r#"{"city":"#)) })),
                call(json!({ "index": 0, "id": "b", "function": { "arguments": "\"Rome\"}" } })),
            ],
            one.clone(),
        ),
        (
            "the name in pieces",
            vec![
                call(json!({ "index": 0, "id": "a", "function": { "name": "wea" } })),
                call(json!({ "index": 0, "function": { "name": "ther", "arguments": rome } })),
            ],
            one.clone(),
        ),
        (
            "the whole call once more",
            vec![
                call(json!({ "index": 0, "id": "a", "function": of(json!(r#"{"city":"#)) })),
                call(json!({ "index": 0, "function": { "arguments": "\"Rome\"}" } })),
                call(json!({ "index": 0, "id": "a", "function": of(json!(rome)) })),
            ],
            one.clone(),
        ),
        (
            "arguments that are JSON",
            vec![call(json!({ "index": 0, "id": "a", "function": of(json!({ "city": "Rome" })) }))],
            one.clone(),
        ),
        (
            "a tool without arguments before another one",
            vec![
                call(json!({ "index": 0, "function": { "name": "now", "arguments": "" } })),
                call(json!({ "index": 0, "function": of(json!(rome)) })),
            ],
            vec![("now", ""), ("weather", rome)],
        ),
        (
            "nulls in all places",
            vec![
                json!({ "choices": null }),
                json!({ "choices": [{ "index": null, "delta": null, "finish_reason": null }], "usage": null }),
                piece(json!({ "content": null, "tool_calls": null, "refusal": null, "role": null })),
                call(json!({ "index": 0, "id": "a", "type": null, "function": null })),
                call(json!({ "index": 0, "function": of(Value::Null) })),
                call(json!({ "index": 0, "function": { "name": null, "arguments": rome } })),
            ],
            one.clone(),
        ),
    ] {
        let response = ask(Way::OpenAiStreamed, chunks(&[list, vec![finish("tool_calls")]].concat())).await;
        let response = response.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(calls(&response), expected, "{what}");
        let mut ids: Vec<_> = response.tool_calls().map(|call| call.id.clone()).collect();
        ids.dedup();
        assert_eq!(ids.len(), expected.len(), "{what}: {ids:?}");
    }
}

#[tokio::test]
async fn call_without_a_name_is_not_an_answer() {
    let call = json!({ "tool_calls": [{ "index": 0, "id": "a", "function": { "arguments": "{}" } }] });
    let whole = json_of(&json!({ "choices": [{ "message": call, "finish_reason": "tool_calls" }] }));
    for (way, answer) in
        [(Way::OpenAiStreamed, chunks(&[piece(call), finish("tool_calls")])), (Way::OpenAiWhole, whole)]
    {
        assert_eq!(ask(way, answer).await.unwrap_err().kind(), ModelErrorKind::InvalidResponse);
    }
}

#[tokio::test]
async fn arguments_at_the_start_of_a_block_count_if_no_others_follow() {
    let input = json!({ "city": "Rome" });
    let start = |input: Value| json!({ "type": "tool_use", "id": "t", "name": "weather", "input": input });
    let delta = |text: &str| json!({ "type": "input_json_delta", "partial_json": text });
    for (start, deltas, expected) in [
        (start(input.clone()), vec![], r#"{"city":"Rome"}"#),
        (start(input.clone()), vec![delta("")], r#"{"city":"Rome"}"#),
        (start(json!(input.to_string())), vec![], r#"{"city":"Rome"}"#),
        (start(json!({})), vec![delta("{\"city\""), delta(":\"Oslo\"}")], r#"{"city":"Oslo"}"#),
        (start(json!({})), vec![], "{}"),
        (start(Value::Null), vec![], ""),
    ] {
        let answer = events(&[block(0, start, &deltas), over("tool_use").to_vec()].concat());
        let response = ask(Way::AnthropicStreamed, answer).await.unwrap();
        assert_eq!(calls(&response), [("weather", expected)]);
    }
}

#[tokio::test]
async fn blocks_of_one_number_are_blocks_of_their_own() {
    let start = |city: &str| json!({ "type": "tool_use", "id": city, "name": "weather", "input": { "city": city } });
    let list = [block(0, start("Rome"), &[]), block(0, start("Oslo"), &[]), over("tool_use").to_vec()].concat();
    let response = ask(Way::AnthropicStreamed, events(&list)).await.unwrap();
    assert_eq!(calls(&response), [("weather", r#"{"city":"Rome"}"#), ("weather", r#"{"city":"Oslo"}"#)]);
}
