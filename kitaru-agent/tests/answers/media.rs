//! Media in prompts and in outputs of tools, as servers receive them.

use super::*;
use kitaru_agent::{AnswerForm, Attachment, Media, Prompt};

fn picture() -> Media {
    Media::new("image/png", *b"\x89PNG").named("tide.png")
}

/// The messages, or the input, that a conversation has in a request.
async fn sent(way: Way, parts: Vec<RequestPart>) -> Value {
    let server = Server::start(vec![way.answer("hi", &[], "stop")]);
    let mut asked = go();
    let calls = vec![
        ResponsePart::ToolCall(ToolCall::new("c1", "weather", "{}")),
        ResponsePart::ToolCall(ToolCall::new("c2", "now", "{}")),
    ];
    asked.messages.push(Message::Response(ModelResponse::new(calls)));
    asked.messages.push(Message::Request(RequestMessage::new(parts)));
    request(way, &*way.model(&server), &asked).await.unwrap();
    let sent: Value = serde_json::from_str(&server.seen()[0]).unwrap();
    let list = sent.get("messages").unwrap_or(&sent["input"]).as_array().unwrap().clone();
    let is_before =
        |item: &&Value| item["role"] == "assistant" || item["type"] == "function_call" || item["content"] == "go";
    let before = list.iter().take_while(|item| is_before(item) || item["content"][0]["text"] == "go").count();
    Value::Array(list[before..].to_vec())
}

fn returned(call: &str, content: &str) -> RequestPart {
    RequestPart::ToolReturn(ToolReturn::new(CallRef::new(call, "weather"), content))
}

#[tokio::test]
async fn media_of_a_prompt_stand_between_its_texts_in_every_dialect() {
    for way in [Way::OpenAiWhole, Way::AnthropicWhole, Way::ResponsesWhole] {
        let server = Server::start(vec![way.answer("hi", &[], "stop")]);
        let agent = Agent::builder(way.model(&server)).build().unwrap();
        let pdf = Media::new("application/pdf", *b"%PDF").named("r.pdf");
        let prompt =
            Prompt::from("Look:").with(picture()).and("and read:").with(pdf).with(Media::new("text/csv", *b"a,b"));
        let prompt = prompt.with(Media::url("image/jpeg", "https://example.com/x.jpg"));
        agent.run(prompt).await.unwrap();
        let sent: Value = serde_json::from_str(&server.seen()[0]).unwrap();
        let (png, pdf) = ("data:image/png;base64,iVBORw==", "data:application/pdf;base64,JVBERg==");
        let expected = match way {
            Way::OpenAiWhole => json!([
                { "type": "text", "text": "Look:" },
                { "type": "image_url", "image_url": { "url": png } },
                { "type": "text", "text": "and read:" },
                { "type": "file", "file": { "filename": "r.pdf", "file_data": pdf } },
                { "type": "text", "text": "document:\na,b" },
                { "type": "image_url", "image_url": { "url": "https://example.com/x.jpg" } },
            ]),
            Way::AnthropicWhole => json!([
                { "type": "text", "text": "Look:" },
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "iVBORw==" } },
                { "type": "text", "text": "and read:" },
                {
                    "type": "document", "title": "r.pdf",
                    "source": { "type": "base64", "media_type": "application/pdf", "data": "JVBERg==" },
                },
                {
                    "type": "document", "title": "document",
                    "source": { "type": "text", "media_type": "text/plain", "data": "a,b" },
                },
                { "type": "image", "source": { "type": "url", "url": "https://example.com/x.jpg" } },
            ]),
            _ => json!([
                { "type": "input_text", "text": "Look:" },
                { "type": "input_image", "image_url": png },
                { "type": "input_text", "text": "and read:" },
                { "type": "input_file", "filename": "r.pdf", "file_data": pdf },
                { "type": "input_text", "text": "document:\na,b" },
                { "type": "input_image", "image_url": "https://example.com/x.jpg" },
            ]),
        };
        let message = sent.get("messages").unwrap_or(&sent["input"]);
        assert_eq!(message[0], json!({ "role": "user", "content": expected }), "{way:?}");
    }
}

#[tokio::test]
async fn media_of_an_output_belong_to_its_call_in_every_dialect() {
    let attached = RequestPart::Attachment(Attachment::of(CallRef::new("c1", "weather"), picture()));
    for way in [Way::OpenAiWhole, Way::AnthropicWhole, Way::ResponsesWhole] {
        let found = sent(way, vec![returned("c1", "a picture"), attached.clone(), returned("c2", "noon")]).await;
        let png = "data:image/png;base64,iVBORw==";
        let expected = match way {
            // No message may stand between the outputs of one response.
            Way::OpenAiWhole => json!([
                { "role": "tool", "tool_call_id": "c1", "content": "a picture" },
                { "role": "tool", "tool_call_id": "c2", "content": "noon" },
                { "role": "user", "content": [
                    { "type": "text", "text": "From the output of `weather`, call `c1`:" },
                    { "type": "image_url", "image_url": { "url": png } },
                ] },
            ]),
            Way::AnthropicWhole => json!([{ "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "c1", "content": [
                    { "type": "text", "text": "a picture" },
                    { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "iVBORw==" } },
                ] },
                { "type": "tool_result", "tool_use_id": "c2", "content": "noon" },
            ] }]),
            _ => json!([
                { "type": "function_call_output", "call_id": "c1", "output": [
                    { "type": "input_text", "text": "a picture" },
                    { "type": "input_image", "image_url": png },
                ] },
                { "type": "function_call_output", "call_id": "c2", "output": "noon" },
            ]),
        };
        assert_eq!(found, expected, "{way:?}");
    }
}

#[tokio::test]
async fn output_of_a_tool_reaches_the_model_with_its_media() {
    for way in [Way::OpenAiWhole, Way::AnthropicWhole, Way::ResponsesWhole] {
        let server =
            Server::start(vec![way.answer("", &[("look", "{}")], "tool_calls"), way.answer("a tide", &[], "stop")]);
        let look = FunctionTool::new(ToolDefinition::new("look", ""), |_| async { Ok(ToolOutput::from(picture())) });
        let agent = Agent::builder(way.model(&server)).tool(look).build().unwrap();
        let result = agent.run("Look.").await.unwrap();
        assert!(server.seen()[1].contains("iVBORw=="), "{way:?}: {}", server.seen()[1]);
        // And again in the next run, from a history that was stored.
        let server = Server::start(vec![way.answer("still", &[], "stop")]);
        let stored = serde_json::to_string(&result.all_messages()).unwrap();
        let history: kitaru_agent::History = serde_json::from_str(&stored).unwrap();
        let agent = Agent::builder(way.model(&server)).build().unwrap();
        agent.run("And now?").history(history).await.unwrap();
        assert!(server.seen()[0].contains("iVBORw=="), "{way:?}");
    }
}

#[tokio::test]
async fn media_that_a_server_does_not_take_are_refused_before_a_request() {
    let sound = || Media::new("audio/wav", *b"RIFF");
    let film = || Media::new("video/mp4", *b"mp4");
    let kept = || {
        let json =
            json!({ "media_type": "image/png", "name": null, "source": { "kept": { "blake3": "x", "bytes": 1 } } });
        serde_json::from_value::<Media>(json).unwrap()
    };
    for (way, media, why) in [
        (Way::OpenAiWhole, film(), "does not take a film of type `video/mp4`"),
        (Way::AnthropicWhole, sound(), "does not take a recording of type `audio/wav`"),
        (Way::ResponsesWhole, sound(), "does not take a recording"),
        (
            Way::OpenAiWhole,
            Media::url("application/pdf", "https://x"),
            "a document of type `application/pdf` by its address",
        ),
        (Way::AnthropicWhole, kept(), "the content of media `image/png` is not here, only its digest"),
        (Way::ResponsesWhole, Media::file("x.png"), "the content of media `x.png` is not here, only its path"),
    ] {
        let server = Server::start(vec![]);
        let mut asked = go();
        asked.answer = AnswerForm::Text;
        asked.messages[0] =
            Message::Request(RequestMessage::new(vec![RequestPart::Attachment(Attachment::new(media))]));
        let error = way.model(&server).request(&asked).await.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    let server = Server::start(vec![]);
    let ollama = OpenAi::at(ChatServer::Ollama, "").base_url(&server.url).model("m").build().unwrap();
    let prompt = Prompt::from("?").with(Media::url("image/png", "https://x"));
    let error = Agent::builder(ollama).build().unwrap().run(prompt).await.unwrap_err();
    assert!(error.to_string().contains("by its address"), "{error}");
}

#[tokio::test]
async fn recordings_have_a_format_and_mistral_reads_documents_as_addresses() {
    let sent = |chat: ChatServer, media: Media| async move {
        let server = Server::start(vec![Way::OpenAiWhole.answer("hi", &[], "stop")]);
        let model = OpenAi::at(chat, "k").base_url(&server.url).model("m").build().unwrap();
        Agent::builder(model).build().unwrap().run(Prompt::from("?").with(media)).await.unwrap();
        serde_json::from_str::<Value>(&server.seen()[0]).unwrap()["messages"][0]["content"][1].clone()
    };
    for (media_type, format) in [("audio/mpeg", "mp3"), ("audio/x-wav", "wav"), ("audio/flac", "flac")] {
        let part = sent(ChatServer::Other, Media::new(media_type, *b"x")).await;
        assert_eq!(part, json!({ "type": "input_audio", "input_audio": { "data": "eA==", "format": format } }));
    }
    let part = sent(ChatServer::Mistral, Media::url("application/pdf", "https://x/r.pdf")).await;
    assert_eq!(part, json!({ "type": "document_url", "document_url": "https://x/r.pdf" }));
}

#[tokio::test]
async fn file_of_a_prompt_is_read_when_the_run_begins_and_a_missing_one_ends_it() {
    let path = std::env::temp_dir().join(format!("kitaru-media-{}.png", std::process::id()));
    std::fs::write(&path, b"\x89PNG").unwrap();
    let server = Server::start(vec![Way::OpenAiWhole.answer("hi", &[], "stop")]);
    let agent = Agent::builder(Way::OpenAiWhole.model(&server)).build().unwrap();
    let prompt = || Prompt::from("?").with(Media::file(path.to_str().unwrap()));
    let result = agent.run(prompt()).await.unwrap();
    assert!(server.seen()[0].contains("iVBORw=="), "{}", server.seen()[0]);
    assert_eq!(result.new_messages.media().next().unwrap().bytes(), Some(&b"\x89PNG"[..]));
    std::fs::remove_file(&path).unwrap();
    let error = agent.run(prompt()).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot begin the run: cannot read the file `"), "{error}");
}
