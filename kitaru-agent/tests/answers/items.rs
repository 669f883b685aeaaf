//! Responses and their events, in the form of the Responses API.

use serde_json::{Value, json};

use crate::canned::{Answer, sse};

/// A response with a text and with calls of these names and arguments, which stops for `reason`.
pub(crate) fn response(text: &str, calls: &[(&str, &str)], reason: &str) -> Value {
    let content = json!({ "type": "output_text", "text": text, "annotations": [] });
    let mut output = vec![json!({ "type": "message", "id": "msg_1", "role": "assistant", "content":[content] })];
    output.extend(calls.iter().enumerate().map(|(nth, (name, arguments))| {
        json!({ "type": "function_call", "id": format!("fc_{nth}"), "call_id": format!("c{nth}"), "name": name, "arguments": arguments })
    }));
    let complete = ["stop", "end_turn", "stop_sequence", "tool_calls", "tool_use", "eos"];
    if complete.contains(&reason.to_ascii_lowercase().as_str()) {
        json!({ "status": "completed", "error": null, "incomplete_details": null, "output": output })
    } else {
        json!({ "status": "incomplete", "incomplete_details": { "reason": reason }, "output": output })
    }
}

/// The events of a response.
pub(crate) fn stream_of(response: &Value) -> Vec<Value> {
    let mut begun = response.clone();
    begun["status"] = json!("in_progress");
    begun["output"] = json!([]);
    let mut list = vec![json!({ "type": "response.created", "response": begun })];
    for (nth, item) in response["output"].as_array().unwrap().iter().enumerate() {
        let of = |kind: &str, more: Value| {
            let mut event = json!({ "type": kind, "output_index": nth, "item_id": item["id"] });
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            event
        };
        let mut empty = item.clone();
        for field in ["content", "summary", "arguments"] {
            if empty.get(field).is_some() {
                empty[field] = if field == "arguments" { json!("") } else { json!([]) };
            }
        }
        list.push(of("response.output_item.added", json!({ "item": empty })));
        let pieces = |text: &Value| {
            let text: Vec<char> = text.as_str().unwrap_or_default().chars().collect();
            text.chunks(5).map(|piece| piece.iter().collect::<String>()).collect::<Vec<_>>()
        };
        for piece in pieces(&item["content"][0]["text"]) {
            list.push(of("response.output_text.delta", json!({ "content_index": 0, "delta": piece })));
        }
        for piece in pieces(&item["arguments"]) {
            list.push(of("response.function_call_arguments.delta", json!({ "delta": piece })));
        }
        for piece in pieces(&item["summary"][0]["text"]) {
            list.push(of("response.reasoning_summary_text.delta", json!({ "summary_index": 0, "delta": piece })));
        }
        list.push(of("response.output_item.done", json!({ "item": item })));
    }
    let kind = format!("response.{}", response["status"].as_str().unwrap_or("completed"));
    list.push(json!({ "type": kind, "response": response }));
    list
}

pub(crate) fn streamed(response: &Value) -> Answer {
    sse(&body_of(&stream_of(response)))
}

pub(crate) fn body_of(events: &[Value]) -> String {
    let kind = |event: &Value| event["type"].as_str().unwrap().to_owned();
    events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", kind(event))).collect()
}
