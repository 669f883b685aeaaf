//! Who retries: a model over HTTP, or a caller that waits for it.

use super::canned::{KEY, http, serve};
use crate::asking::waited_for;
use crate::delta::Deltas;
use crate::error::ModelErrorKind;
use crate::message::{Message, RequestMessage};
use crate::model::ModelRequest;
use crate::openai::OpenAi;

fn hello() -> ModelRequest {
    ModelRequest::new(vec![Message::Request(RequestMessage::user("Hello"))])
}

#[tokio::test]
async fn model_over_http_leaves_it_to_a_waiting_caller_to_ask_again() {
    use crate::model::Model as _;
    let busy = http(503, "Retry-After: 0\r\n", r#"{"error":{"message":"busy"}}"#);
    for (waits, requests) in [(true, 1), (false, 4)] {
        let server = serve(vec![busy.clone(); 8]);
        let model = OpenAi::builder(KEY).base_url(&server.url).model("gpt-x").build().unwrap();
        let request = hello();
        let asked = model.request(&request);
        let error = if waits { waited_for(asked).await } else { asked.await }.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ModelErrorKind::Unavailable, true));
        assert_eq!(server.seen().len(), requests, "the caller waits: {waits}");
        let deltas = Deltas::unheard();
        let asked = model.request_streaming(&request, &deltas);
        let error = if waits { waited_for(asked).await } else { asked.await }.unwrap_err();
        assert_eq!((error.kind(), server.seen().len()), (ModelErrorKind::Unavailable, requests));
    }
}

#[tokio::test]
async fn used_up_quota_is_not_an_outage() {
    use crate::model::Model as _;
    let quota = r#"{"error":{"message":"pay first","code":"insufficient_quota"}}"#;
    let server = serve(vec![http(429, "", quota); 2]);
    let model = OpenAi::builder(KEY).base_url(&server.url).model("gpt-x").build().unwrap();
    let error = waited_for(model.request(&hello())).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ModelErrorKind::OutOfQuota, false));
}
