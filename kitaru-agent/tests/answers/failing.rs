//! Errors in answers with a status of success.

use super::*;

fn answer_of(way: Way, error: &Value) -> Answer {
    let body = json!({ "type": "error", "error": error });
    if way.is_streamed() { sse(&format!("event: error\ndata: {body}\n\n")) } else { json_of(&body) }
}

#[tokio::test]
async fn error_has_the_kind_that_its_server_names_with_any_status() {
    use ModelErrorKind::{OutOfQuota, RateLimited, Rejected, Unauthorized, Unavailable};
    for (error, kind) in [
        (json!({ "code": 401, "message": "who are you?" }), Unauthorized),
        (json!({ "code": "403", "message": "not you" }), Unauthorized),
        (json!({ "type": "authentication_error", "message": "invalid x-api-key" }), Unauthorized),
        (json!({ "type": "invalid_request_error", "code": "invalid_api_key", "message": "no" }), Unauthorized),
        (json!({ "code": 400, "message": "the conversation is too long" }), Rejected),
        (
            json!({ "code": "context_length_exceeded", "type": "invalid_request_error", "message": "too long" }),
            Rejected,
        ),
        (json!({ "code": 404, "status": "NOT_FOUND", "message": "no such model" }), Rejected),
        (json!({ "code": "insufficient_quota", "message": "pay first" }), OutOfQuota),
        (json!({ "code": 429, "type": "insufficient_quota", "message": "pay first" }), OutOfQuota),
        (json!({ "code": 429, "message": "busy" }), RateLimited),
        (json!({ "type": "rate_limit_error", "message": "busy" }), RateLimited),
        (json!({ "code": 502, "message": "the provider is away" }), Unavailable),
    ] {
        for way in WAYS {
            let found = ask(way, answer_of(way, &error)).await.unwrap_err();
            assert_eq!(found.kind(), kind, "{way:?} {error}: {found}");
        }
    }
    // Without a kind, a retry may succeed.
    for error in [json!("no"), json!({ "message": "no" }), json!({ "code": 7, "type": "odd", "message": "no" })] {
        for way in WAYS {
            let found = ask(way, answer_of(way, &error)).await.unwrap_err();
            assert!(
                found.is_transient() && found.to_string().contains("with an error: no"),
                "{way:?} {error}: {found}"
            );
        }
    }
}

#[tokio::test]
async fn error_that_a_retry_would_not_change_is_not_retried() {
    for (error, requests) in [
        (json!({ "code": 400, "message": "no" }), 1),
        (json!({ "code": 401, "message": "no" }), 1),
        (json!({ "code": 503, "message": "no" }), 2),
        (json!({ "type": "rate_limit_error", "message": "no" }), 2),
    ] {
        for way in WAYS {
            let server = Server::start(vec![answer_of(way, &error), way.answer("hi", &[], "stop")]);
            let model = way.model_with_retries(&server, 1);
            let answer = request(way, &*model, &go()).await;
            assert_eq!((server.seen().len(), answer.is_ok()), (requests, requests == 2), "{way:?} {error}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn empty_answer_that_reports_a_tool_call_is_not_an_answer() {
    // The status of a response does not report one.
    for way in WAYS.into_iter().filter(|way| way.whole() != Way::ResponsesWhole) {
        let error = ask(way, way.answer("", &[], "tool_calls")).await.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::InvalidResponse, "{way:?}: {error}");
        assert_eq!(ask(way, way.answer("in words", &[], "tool_calls")).await.unwrap().output(), "in words");
        assert_eq!(ask(way, way.answer("", &[], "stop")).await.unwrap().output(), "");
    }
}
