//! A conversation that is sent and read again is the same, in every dialect: random conversations, read back from requests.

use super::*;
use kitaru_agent::{Attachment, Media, RetryPrompt};

/// Random numbers, the same for a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn text(&mut self) -> String {
        let words = ["tide", " é ", "\"quoted\"", "\n", "🦀", "a<b", "\\", "null", "{}", "\u{202e}x"];
        let length = 1 + self.roll(4);
        "w".to_owned() + &(0..length).map(|_| words[self.roll(words.len() as u64) as usize]).collect::<String>()
    }

    fn json(&mut self) -> String {
        let values = [r#"{"a": 1.0}"#, "{}", r#"{"z":[1e2,"\u00e9"],"a":null}"#, r#"{"n":12345678901234567890123}"#];
        values[self.roll(4) as usize].to_owned()
    }
}

/// The dialect's parts that go back: reasoning, another block, a field of a call.
fn opaque(way: Way, dice: &mut Dice) -> ResponsePart {
    let n = dice.roll(100);
    match way {
        Way::AnthropicWhole => {
            let json = format!(r#"{{"type":"thinking", "thinking":"h\u006d{n}","signature":"s"}}"#);
            ResponsePart::Reasoning(Opaque::new("anthropic", Place::Part, json))
        }
        Way::ResponsesWhole => {
            let json = format!(r#"{{"type":"reasoning", "id":"rs_{n}","summary":[],"encrypted_content":"é"}}"#);
            ResponsePart::Reasoning(Opaque::new("openai_responses", Place::Part, json))
        }
        _ => ResponsePart::Reasoning(Opaque::new(
            "openai",
            Place::Message("reasoning_content".into()),
            format!("\"t{n}\""),
        )),
    }
}

/// An answer as its dialect can send it.
fn answer(way: Way, dice: &mut Dice, nth: usize) -> ModelResponse {
    let mut parts = Vec::new();
    if dice.roll(2) == 0 {
        parts.push(opaque(way, dice));
    }
    let texts = if way == Way::OpenAiWhole { 1 } else { 1 + dice.roll(2) };
    for _ in 0..texts {
        parts.push(ResponsePart::Text(Text::new(dice.text())));
        if way == Way::ResponsesWhole && dice.roll(2) == 0 {
            let phase = Opaque::new("openai_responses", Place::Text("phase".into()), r#""commentary""#);
            parts.push(ResponsePart::Opaque(phase));
        }
    }
    for call in 0..dice.roll(3) {
        let id = format!("call_{nth}_{call}_x");
        parts.push(ResponsePart::ToolCall(ToolCall::new(id, "weather", dice.json())));
        let dialect = match way {
            Way::AnthropicWhole => "anthropic",
            Way::ResponsesWhole => "openai_responses",
            _ => "openai",
        };
        if dice.roll(2) == 0 {
            let json = r#"{"z": 1.0,"a":2}"#;
            parts.push(ResponsePart::Opaque(Opaque::new(dialect, Place::Call("extra".into()), json)));
        }
    }
    ModelResponse::new(parts)
}

/// A prompt, or the outputs of the calls before it.
fn question(dice: &mut Dice, before: Option<&ModelResponse>) -> RequestMessage {
    let mut parts = Vec::new();
    for call in before.into_iter().flat_map(ModelResponse::tool_calls) {
        if dice.roll(4) == 0 {
            parts.push(RequestPart::RetryPrompt(RetryPrompt::call(call.call_ref(), dice.text())));
            continue;
        }
        parts.push(RequestPart::ToolReturn(ToolReturn::new(call.call_ref(), dice.text())));
        if dice.roll(3) == 0 {
            parts.push(RequestPart::Attachment(Attachment::of(call.call_ref(), media(dice))));
        }
    }
    if parts.is_empty() {
        parts = RequestMessage::user(dice.text()).parts;
        if dice.roll(2) == 0 {
            parts.push(RequestPart::Attachment(Attachment::new(media(dice))));
            parts.extend(RequestMessage::user(dice.text()).parts);
        }
    }
    RequestMessage::new(parts)
}

fn media(dice: &mut Dice) -> Media {
    match dice.roll(2) {
        0 => Media::url("image/png", format!("https://example.com/{}.png", dice.roll(9))),
        _ => Media::new("image/png", vec![dice.roll(256) as u8; 1 + dice.roll(5) as usize]),
    }
}

/// The answers of a conversation, as their dialect sends them: what the request says of them, as an answer.
fn as_answers(way: Way, sent: &Value, raw: &str) -> Vec<String> {
    // The raw text keeps what is sent byte for byte.
    let object: serde_json::Map<String, Value> = sent.as_object().unwrap().clone();
    let name = if object.contains_key("input") { "input" } else { "messages" };
    let list: std::collections::BTreeMap<String, Box<serde_json::value::RawValue>> = serde_json::from_str(raw).unwrap();
    let items: Vec<Box<serde_json::value::RawValue>> = serde_json::from_str(list[name].get()).unwrap();
    let parsed = |item: &serde_json::value::RawValue| serde_json::from_str::<Value>(item.get()).unwrap();
    match way {
        Way::OpenAiWhole => {
            let said = items.iter().filter(|item| parsed(item)["role"] == "assistant");
            said.map(|item| format!(r#"{{"choices":[{{"message":{},"finish_reason":"stop"}}]}}"#, item.get())).collect()
        }
        Way::AnthropicWhole => {
            let said = items.iter().filter(|item| parsed(item)["role"] == "assistant");
            said.map(|item| item.get().replacen('{', r#"{"stop_reason":"end_turn","#, 1)).collect()
        }
        _ => {
            let is_output = |item: &serde_json::value::RawValue| {
                let item = parsed(item);
                item["role"] != "user" && item["type"] != "function_call_output"
            };
            let groups = items.chunk_by(|one, other| is_output(one) == is_output(other));
            let said = groups.filter(|group| is_output(&group[0]));
            said.map(|group| {
                let list = group.iter().map(|item| item.get()).collect::<Vec<_>>().join(",");
                format!(r#"{{"status":"completed","output":[{list}]}}"#)
            })
            .collect()
        }
    }
}

/// What a conversation tells the model, in order: each text and each media, with the call that it belongs to.
fn told(messages: &[Message]) -> Vec<(String, String)> {
    let mut told = Vec::new();
    for message in messages {
        let Message::Request(said) = message else { continue };
        for part in &said.parts {
            told.push(match part {
                RequestPart::UserPrompt(prompt) => (String::new(), prompt.content.clone()),
                RequestPart::ToolReturn(given) => (given.call.id.clone(), given.content.clone()),
                RequestPart::RetryPrompt(retry) => {
                    (retry.call.as_ref().map(|call| call.id.clone()).unwrap_or_default(), retry.content.clone())
                }
                RequestPart::Attachment(attached) => {
                    let media = &attached.media;
                    let content = media.address().map(str::to_owned).unwrap_or_else(|| format!("{:?}", media.bytes()));
                    (attached.call.as_ref().map(|call| call.id.clone()).unwrap_or_default(), content)
                }
                part => panic!("{part:?}"),
            });
        }
    }
    told.sort();
    told
}

/// The same, from a request.
fn told_in(sent: &Value) -> Vec<(String, String)> {
    let mut told = Vec::new();
    let list = sent.get("messages").unwrap_or(&sent["input"]).as_array().unwrap();
    for item in list.iter().filter(|item| item["role"] != "assistant") {
        let call = item.get("tool_call_id").or_else(|| item.get("call_id")).and_then(Value::as_str).unwrap_or_default();
        let is_output = item["role"] == "user" || item["role"] == "tool" || item["type"] == "function_call_output";
        if is_output {
            read(call, item.get("content").unwrap_or(&item["output"]), &mut told);
        }
    }
    told.sort();
    told
}

fn read(call: &str, content: &Value, told: &mut Vec<(String, String)>) {
    if let Some(text) = content.as_str() {
        told.push((call.to_owned(), text.to_owned()));
        return;
    }
    // The caption says whose output the media after it are.
    let mut captioned = None;
    for part in content.as_array().unwrap() {
        let call = captioned.as_deref().unwrap_or(call);
        if let Some(result) = part.get("tool_use_id").and_then(Value::as_str) {
            read(result, &part["content"], told);
        } else if let Some(text) = part["text"].as_str() {
            match text.strip_prefix("From the output of `weather`, call `") {
                Some(rest) => captioned = Some(rest.trim_end_matches("`:").to_owned()),
                None => told.push((call.to_owned(), text.to_owned())),
            }
        } else {
            let source = &part["source"];
            let url = part["image_url"]["url"].as_str().or(part["image_url"].as_str()).or(source["url"].as_str());
            let data = url.and_then(|url| url.strip_prefix("data:image/png;base64,")).or(source["data"].as_str());
            let content = match data {
                Some(data) => {
                    let json = json!({ "media_type": "", "name": null, "source": { "data": data } });
                    format!("{:?}", serde_json::from_value::<Media>(json).unwrap().bytes())
                }
                None => url.unwrap().to_owned(),
            };
            told.push((call.to_owned(), content));
        }
    }
}

#[tokio::test]
async fn conversation_that_is_sent_and_read_again_is_the_same_in_every_dialect() {
    let seeds: u64 = std::env::var("KITARU_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(60);
    for way in [Way::OpenAiWhole, Way::AnthropicWhole, Way::ResponsesWhole] {
        for seed in 0..seeds {
            let mut dice = Dice(seed);
            let (mut messages, mut answers) = (Vec::new(), Vec::new());
            for nth in 0..1 + dice.roll(5) as usize {
                messages.push(Message::Request(question(&mut dice, answers.last())));
                let said = answer(way, &mut dice, nth);
                messages.push(Message::Response(said.clone()));
                answers.push(said);
            }
            messages.push(Message::Request(question(&mut dice, answers.last())));
            let mut asked = ModelRequest::new(messages);
            asked.tools = go().tools;
            let server = Server::start(vec![way.answer("ok", &[], "stop")]);
            way.model(&server).request(&asked).await.unwrap();
            let raw = server.seen().remove(0);
            let sent: Value = serde_json::from_str(&raw).unwrap();
            assert_eq!(told_in(&sent), told(&asked.messages), "{way:?}, seed {seed}: {raw}");
            let written = as_answers(way, &sent, &raw);
            assert_eq!(written.len(), answers.len(), "{way:?}, seed {seed}: {raw}");
            for (written, expected) in written.into_iter().zip(&answers) {
                let read = ask(way, Answer::json(written.clone())).await.unwrap();
                assert_eq!(read.parts, expected.parts, "{way:?}, seed {seed}: {written}");
            }
        }
    }
}
