//! Which answers count, and their cost.

use super::*;

#[tokio::test]
async fn an_answer_counts_only_if_it_stopped_for_a_reason_that_means_complete() {
    use ModelErrorKind::{Incomplete, Refused, Unavailable};
    for way in WAYS {
        for reason in ["stop", "end_turn", "stop_sequence", "tool_calls", "tool_use", "eos", "STOP"] {
            assert_eq!(
                ask(way, way.answer("all of it", &[], reason)).await.unwrap().output(),
                "all of it",
                "{way:?} {reason}"
            );
        }
        for (reason, kind, hint) in [
            ("length", Incomplete, "raise `max_tokens`"),
            ("max_tokens", Incomplete, "raise `max_tokens`"),
            ("model_context_window_exceeded", Incomplete, "shorten the conversation"),
            ("content_filter", Refused, "withheld"),
            ("refusal", Refused, "withheld"),
            ("pause_turn", Incomplete, "paused its turn"),
            ("error", Unavailable, "failed"),
            ("SPII", Refused, "withheld"),
            ("function_call_filter: MALFORMED_FUNCTION_CALL", Unavailable, "failed"),
            ("bored", Incomplete, "`bored`"),
        ] {
            let error = ask(way, way.answer("half of", &[], reason)).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{way:?} {reason}: {error}");
            assert!(error.to_string().contains(hint), "{way:?} {reason}: {error}");
        }
    }
}

#[tokio::test]
async fn truncated_call_is_not_made_and_ends_the_run_immediately() {
    for way in WAYS {
        for reason in ["length", "max_tokens", "content_filter", "error", "pause_turn", "bored"] {
            for arguments in ["", "{}", r#"{"city":"Ro"#, r#"{"city":"Rome"}"#] {
                let server = Server::start(vec![way.answer("", &[("weather", arguments)], reason); 2]);
                let (ended, made) = run(way, &server).await;
                let error = ended.unwrap_err();
                assert!(matches!(error, AgentError::Model(_)), "{way:?} {reason}: {error:?}");
                assert_eq!((made.len(), server.seen().len()), (0, 1), "{way:?} {reason} {arguments}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn truncation_names_the_bound_and_the_call_that_it_cut() {
    for way in WAYS {
        let server = Server::start(vec![way.answer("", &[("weather", "{")], "length")]);
        let mut asked = go();
        asked.settings = ModelSettings::default().max_tokens(7);
        let error = request(way, &*way.model(&server), &asked).await.unwrap_err().to_string();
        assert!(error.contains("bound of 7 on tokens") && error.contains("in the middle of a tool call"), "{error}");
    }
}

#[tokio::test]
async fn truncated_text_is_an_answer_only_with_on_length_accept() {
    for way in WAYS {
        for (text, calls, reason, counts) in [
            ("half of", &[][..], "length", true),
            ("half of", &[], "model_context_window_exceeded", true),
            (" ", &[], "length", false),
            ("half of", &[("weather", "{}")], "length", false),
            ("half of", &[], "content_filter", false),
        ] {
            let server = Server::start(vec![way.answer(text, calls, reason)]);
            let mut asked = go();
            asked.settings = ModelSettings::default().on_length(OnLength::Accept);
            let answer = request(way, &*way.model(&server), &asked).await;
            assert_eq!(answer.is_ok(), counts, "{way:?} {text:?} {reason}: {answer:?}");
        }
    }
    // A typed answer that was cut is not an answer.
    let model = FunctionModel::new("m", |_| {
        let mut response = ModelResponse::text(r#"{"result":1}"#);
        response.stop = Some(Stop::Length);
        Ok(response)
    });
    let settings = ModelSettings::default().on_length(OnLength::Accept);
    let agent = Agent::builder(model).settings(settings.clone()).build().unwrap();
    assert_eq!(agent.run("x").await.unwrap().output, r#"{"result":1}"#);
    let server = Server::start(vec![Way::OpenAiWhole.answer(r#"{"result":1}"#, &[], "length")]);
    let agent = Agent::builder(Way::OpenAiWhole.model(&server)).settings(settings).output::<u32>();
    let error = agent.output_mode(OutputMode::Schema).build().unwrap().run("x").await.unwrap_err();
    assert!(error.to_string().contains("max_tokens"), "{error}");
}

#[tokio::test]
async fn rule_holds_for_a_users_own_model_too() {
    for stop in [Stop::Length, Stop::Refused, Stop::Other, Stop::Failed, Stop::Paused, Stop::ContextFull] {
        let model = FunctionModel::new("mine", move |_| {
            let mut response = ModelResponse::tool_call("c", "weather", "");
            response.stop = Some(stop);
            Ok(response)
        });
        let weather = FunctionTool::new(ToolDefinition::new("weather", ""), |_| async { panic!("the call was made") });
        let agent = Agent::builder(model.clone()).tool(weather).build().unwrap();
        let error = agent.run("go").await.unwrap_err();
        assert!(matches!(error, AgentError::Model(_)) && error.to_string().contains("`mine`"), "{stop:?}: {error}");
        assert_eq!(model.requests(), 1);
    }
}

#[tokio::test]
async fn answer_counts_with_any_other_fields_next_to_it() {
    let odd = [
        json!(null),
        json!([]),
        json!("many"),
        json!({ "prompt_tokens": null, "input_tokens": null }),
        json!({
            "prompt_tokens": -1, "completion_tokens": 2.0, "prompt_tokens_details": 3,
            "input_tokens": -1, "output_tokens": 2.0, "cache_read_input_tokens": "x",
        }),
    ];
    for way in WAYS {
        for usage in &odd {
            let mut answer = way.answer("hi", &[], "stop");
            let spoilt = [
                ("\"choices\":", format!("\"usage\":{usage},\"model\":7,\"error\":null,\"new\":[{{}}],\"choices\":")),
                (
                    "\"content\":[",
                    format!(
                        "\"usage\":{usage},\"model\":7,\"error\":{{\"message\":null,\"code\":null}},\"new\":[{{}}],\"content\":["
                    ),
                ),
                ("\"message\":{}", format!("\"message\":{{\"usage\":{usage},\"model\":[]}}")),
                ("\"status\":", format!("\"usage\":{usage},\"model\":7,\"new\":[{{}}],\"status\":")),
                ("\"type\":\"message_delta\"", format!("\"usage\":{usage},\"type\":\"message_delta\"")),
            ];
            for (of, by) in &spoilt {
                answer.body = answer.body.replace(of, by);
            }
            let response = ask(way, answer).await.unwrap();
            assert_eq!(response.output(), "hi", "{way:?} {usage}");
            let counted = if usage.get("output_tokens").is_some() { Tokens::new(0, 2) } else { Tokens::default() };
            assert_eq!(response.tokens, counted, "{way:?} {usage}");
        }
    }
}

#[tokio::test]
async fn default_bound_of_a_message_is_the_most_its_model_accepts() {
    for (model, bound) in [
        ("claude-sonnet-4-5", 16_384),
        ("anthropic/claude-opus-5", 16_384),
        ("claude-3-7-sonnet-latest", 16_384),
        ("claude-3-5-haiku-latest", 8_192),
        ("claude-3-haiku-20240307", 4_096),
        ("deepseek-chat", 8_192),
    ] {
        let server = Server::start(vec![Way::AnthropicWhole.answer("hi", &[], "end_turn")]);
        let asked = Anthropic::builder("k").base_url(&server.url).model(model).build().unwrap();
        asked.request(&go()).await.unwrap();
        let sent: Value = serde_json::from_str(&server.seen()[0]).unwrap();
        assert_eq!(sent["max_tokens"], bound, "{model}");
    }
}

#[tokio::test]
async fn part_of_a_key_that_a_server_quotes_is_hidden_too() {
    let key = "sk-proj-0123456789abcdefghijklmnopqrstuvwxyz";
    let body = json!({ "error": { "message": format!("no {} and no {} of sk-proj", &key[..20], &key[15..]) } });
    let server = Server::start(vec![Answer { status: 400, ..json_of(&body) }]);
    let model = OpenAi::builder(key).base_url(&server.url).build().unwrap();
    let error = model.request(&go()).await.unwrap_err().to_string();
    assert!(error.ends_with("no [key] and no [key] of sk-proj"), "{error}");
}

#[tokio::test]
async fn answer_of_a_recursive_type_is_read_in_both_modes() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
    enum Sum {
        Number(f64),
        Of(Vec<Sum>),
    }
    let said = json!({ "result": { "Of": [{ "Number": 1.0 }, { "Of": [] }] } }).to_string();
    let wrong = json!({ "result": { "Of": [{ "Number": "one" }] } }).to_string();
    for mode in [OutputMode::Tool, OutputMode::Schema] {
        let answer = |said: &str| match mode {
            OutputMode::Tool => Way::OpenAiWhole.answer("", &[("final_result", said)], "tool_calls"),
            _ => Way::OpenAiWhole.answer(said, &[], "stop"),
        };
        let server = Server::start(vec![answer(&wrong), answer(&said)]);
        let agent = Agent::builder(Way::OpenAiWhole.model(&server)).output::<Sum>().output_mode(mode).build().unwrap();
        let output = agent.run("x").await.unwrap().output;
        assert_eq!(output, Sum::Of(vec![Sum::Number(1.0), Sum::Of(vec![])]), "{mode:?}");
        assert_eq!(server.seen().len(), 2, "{mode:?}");
    }
}
