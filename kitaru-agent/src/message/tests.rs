//! The stored form, byte for byte.

use super::*;
use crate::price::Cost;
use crate::tokens::Tokens;

fn conversation() -> History {
    let call = CallRef::new("call_1", "exec");
    let mut answer = ModelResponse::text("It is Debian.").with_tokens(Tokens::new(12, 5));
    answer.model = Some("gpt-x-2026".into());
    answer.stop = Some(Stop::End);
    answer.cost = Some(Cost::from_nanos(5_000));
    History::from(vec![
        Message::Request(RequestMessage::new(vec![
            RequestPart::SystemPrompt(SystemPrompt::new("Be brief.")),
            RequestPart::UserPrompt(UserPrompt::new("Which OS?")),
        ])),
        Message::Response(ModelResponse::tool_call("call_1", "exec", r#"{"command":"uname"}"#)),
        Message::Request(RequestMessage::new(vec![
            RequestPart::ToolReturn(ToolReturn::new(call.clone(), "Linux")),
            RequestPart::RetryPrompt(RetryPrompt::call(call, "no such tool")),
            RequestPart::RetryPrompt(RetryPrompt::answer("say something")),
        ])),
        Message::Response(answer),
    ])
}

const GOLDEN: &str = concat!(
    r#"{"format":1,"messages":["#,
    r#"{"request":{"parts":[{"system_prompt":{"content":"Be brief."}},{"user_prompt":{"content":"Which OS?"}}]}},"#,
    r#"{"response":{"format":1,"parts":["#,
    r#"{"tool_call":{"id":"call_1","tool":"exec","arguments":"{\"command\":\"uname\"}"}}],"#,
    r#""model":null,"stop":null,"tokens":{"input":0,"output":0,"cached_input":0},"cost":null}},"#,
    r#"{"request":{"parts":[{"tool_return":{"call":{"id":"call_1","tool":"exec"},"content":"Linux"}},"#,
    r#"{"retry_prompt":{"call":{"id":"call_1","tool":"exec"},"content":"no such tool"}},"#,
    r#"{"retry_prompt":{"call":null,"content":"say something"}}]}},"#,
    r#"{"response":{"format":1,"parts":[{"text":{"content":"It is Debian."}}],"#,
    r#""model":"gpt-x-2026","stop":"end","tokens":{"input":12,"output":5,"cached_input":0},"cost":5000}}]}"#,
);

#[test]
fn the_stored_form_of_format_1_is_this_json_and_reads_back() {
    assert_eq!(serde_json::to_string(&conversation()).unwrap(), GOLDEN);
    assert_eq!(serde_json::from_str::<History>(GOLDEN).unwrap(), conversation());
}

#[test]
fn a_history_survives_bincode() {
    let config = bincode::config::standard();
    let bytes = bincode::serde::encode_to_vec(conversation(), config).unwrap();
    let (back, read): (History, usize) = bincode::serde::decode_from_slice(&bytes, config).unwrap();
    assert_eq!((back, read), (conversation(), bytes.len()));
}

#[test]
fn json_that_lacks_the_optional_fields_is_still_read() {
    let response: ModelResponse = serde_json::from_str(r#"{"format":1,"parts":[]}"#).unwrap();
    assert_eq!(response, ModelResponse::new(Vec::new()));
}

#[test]
fn json_with_fields_that_a_later_build_added_is_still_read() {
    let json = r#"{"format":1,"parts":[{"text":{"content":"hi","tone":"warm"}}],"trace":"t"}"#;
    assert_eq!(serde_json::from_str::<ModelResponse>(json).unwrap(), ModelResponse::text("hi"));
}

#[test]
fn a_newer_format_is_refused_by_its_number_before_its_parts_are_looked_at() {
    let json = r#"{"format":4,"messages":[{"hologram":{}}]}"#;
    let error = serde_json::from_str::<History>(json).unwrap_err().to_string();
    assert!(error.contains("message format 4") && error.contains("formats 1 to 3"), "{error}");
}

#[test]
fn a_newer_format_is_refused_by_its_number_after_the_keys_were_sorted() {
    let json = r#"{"format":4,"model":"m","parts":[{"hologram":{}}],"stop":"bored"}"#;
    let sorted: serde_json::Value = serde_json::from_str(json).unwrap();
    let error = serde_json::from_value::<ModelResponse>(sorted).unwrap_err().to_string();
    assert!(error.contains("message format 4"), "{error}");
}

/// A history with parts of format 2, and its JSON.
fn thoughtful() -> (History, &'static str) {
    let thought = Opaque::new("anthropic", Place::Part, r#"{"type":"thinking", "thinking":"hm"}"#);
    let signature = Opaque::new("openai", Place::Call("extra_content".to_owned()), "{}");
    let response = ModelResponse::new(vec![ResponsePart::Reasoning(thought), ResponsePart::Opaque(signature)]);
    let json = concat!(
        r#"{"format":2,"messages":[{"response":{"format":2,"parts":["#,
        r#"{"reasoning":{"dialect":"anthropic","place":"part","json":"{\"type\":\"thinking\", \"thinking\":\"hm\"}"}},"#,
        r#"{"opaque":{"dialect":"openai","place":{"call":"extra_content"},"json":"{}"}}],"#,
        r#""model":null,"stop":null,"tokens":{"input":0,"output":0,"cached_input":0},"cost":null}}]}"#,
    );
    (History::from(vec![Message::Response(response)]), json)
}

#[test]
fn the_stored_form_of_format_2_is_this_json_and_reads_back() {
    let (history, json) = thoughtful();
    assert_eq!(serde_json::to_string(&history).unwrap(), json);
    assert_eq!(serde_json::from_str::<History>(json).unwrap(), history);
    let config = bincode::config::standard();
    let bytes = bincode::serde::encode_to_vec(&history, config).unwrap();
    let (back, _): (History, usize) = bincode::serde::decode_from_slice(&bytes, config).unwrap();
    assert_eq!(back, history);
}

#[test]
fn the_stored_form_of_format_3_is_this_json_and_reads_back() {
    let phase = Opaque::new("openai_responses", Place::Text("phase".to_owned()), r#""commentary""#);
    let said = ModelResponse::new(vec![ResponsePart::Text(Text::new("hm")), ResponsePart::Opaque(phase)]);
    let call = CallRef::new("call_1", "look");
    let history = History::from(vec![
        Message::Request(RequestMessage::new(vec![
            RequestPart::UserPrompt(UserPrompt::new("Look.")),
            RequestPart::Attachment(Attachment::new(Media::new("image/png", *b"\x89PNG").named("a.png"))),
            RequestPart::Attachment(Attachment::new(Media::url("image/png", "https://x"))),
            RequestPart::Attachment(Attachment::of(call, Media::file("b.pdf"))),
            RequestPart::Attachment(Attachment::new(Media::new("audio/wav", *b"abc").by_digest())),
        ])),
        Message::Response(said),
    ]);
    let asked = History::from(history.messages()[..1].to_vec());
    assert!(serde_json::to_string(&asked).unwrap().starts_with(r#"{"format":3,"#));
    let digest = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
    let json = concat!(
        r#"{"format":3,"messages":[{"request":{"parts":[{"user_prompt":{"content":"Look."}},"#,
        r#"{"attachment":{"call":null,"media":{"media_type":"image/png","name":"a.png","source":{"data":"iVBORw=="}}}},"#,
        r#"{"attachment":{"call":null,"media":{"media_type":"image/png","name":null,"source":{"url":"https://x"}}}},"#,
        r#"{"attachment":{"call":{"id":"call_1","tool":"look"},"media":{"media_type":"application/pdf","name":"b.pdf","source":{"file":"b.pdf"}}}},"#,
        r#"{"attachment":{"call":null,"media":{"media_type":"audio/wav","name":null,"source":{"kept":{"blake3":"DIGEST","bytes":3}}}}}]}},"#,
        r#"{"response":{"format":3,"parts":[{"text":{"content":"hm"}},"#,
        r#"{"opaque":{"dialect":"openai_responses","place":{"text":"phase"},"json":"\"commentary\""}}],"#,
        r#""model":null,"stop":null,"tokens":{"input":0,"output":0,"cached_input":0},"cost":null}}]}"#,
    )
    .replace("DIGEST", digest);
    assert_eq!(serde_json::to_string(&history).unwrap(), json);
    assert_eq!(serde_json::from_str::<History>(&json).unwrap(), history);
    let config = bincode::config::standard();
    let bytes = bincode::serde::encode_to_vec(&history, config).unwrap();
    let (back, _): (History, usize) = bincode::serde::decode_from_slice(&bytes, config).unwrap();
    assert_eq!(back, history);
}

#[test]
fn messages_that_format_1_has_words_for_are_still_written_in_format_1() {
    assert!(serde_json::to_string(&conversation()).unwrap().starts_with(r#"{"format":1,"#));
    assert_eq!(serde_json::to_string(&History::default()).unwrap(), r#"{"format":1,"messages":[]}"#);
    // A part of format 2 in one response does not change the form of another.
    let mut both = conversation();
    both.extend(thoughtful().0.into_messages());
    let written = serde_json::to_value(&both).unwrap();
    let formats: Vec<_> =
        both.messages().iter().enumerate().map(|(n, _)| written["messages"][n]["response"]["format"].clone()).collect();
    assert_eq!(written["format"], 2);
    assert_eq!((&formats[1], &formats[4]), (&1.into(), &2.into()));
}

#[test]
fn reasoning_is_text_for_people_and_no_part_of_the_answer() {
    let (history, _) = thoughtful();
    let Message::Response(response) = &history.messages()[0] else { panic!("{history:?}") };
    assert_eq!((response.reasoning().as_str(), response.output().as_str()), ("hm", ""));
}

#[test]
fn a_request_that_sets_nothing_new_is_written_as_it_was_before() {
    let request = crate::model::ModelRequest::new(vec![Message::Request(RequestMessage::user("Which OS?"))]);
    let json = concat!(
        r#"{"instructions":null,"messages":[{"request":{"parts":[{"user_prompt":{"content":"Which OS?"}}]}}],"tools":[],"#,
        r#""settings":{"temperature":null,"top_p":null,"max_tokens":null,"seed":null,"parallel_tool_calls":null}}"#,
    );
    assert_eq!(serde_json::to_string(&request).unwrap(), json);
}
