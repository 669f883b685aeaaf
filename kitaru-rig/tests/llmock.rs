//! A rig agent over real HTTP against `llmock` 0.2.2, whose request log proves what was paid for. Skipped, with a line that
//! says so, if that is not installed.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[allow(dead_code, reason = "other tests use the rest of the server")]
#[path = "../../kitaru-agent/tests/support/mod.rs"]
mod server;
#[allow(dead_code, reason = "other tests use the rest")]
mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use kitaru_core::{Error, Kitaru, dynamic};
use kitaru_rig::{KitaruRig, RigError, RigEvent};
use rig_agent::{Agent, AgentBuilder};
use rig_core::providers::openai::OpenAIConfig;
use rig_core::streaming::StreamEvent;
use serde_json::{Value, json};
use server::LlMock;
use support::{Calls, granularity, store, weather};

fn agent(server: &LlMock, calls: &Calls) -> Agent {
    // Next to Kitaru's own client, rig's is built without a TLS provider, and requires one, even without TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let openai = OpenAIConfig::new("sk-anything-at-all").with_base_url(server.base_url()).client();
    let agent = AgentBuilder::named_model("gpt-4.1-mini", openai.chat("gpt-4.1-mini")).name("herald");
    agent.preamble("Help with the weather.").default_max_turns(5).dynamic_tool(weather(calls)).build()
}

/// The server calls a tool, if the request offers one, once in every conversation: two requests for the first turn, one for the
/// second, which continues from it.
async fn two_turns(kitaru: &Kitaru, agent: &KitaruRig, fails: bool) -> Result<String, RigError> {
    let agent = agent.clone();
    let flow = dynamic::flow("story").run(move || async move {
        let told = agent.run("What is the weather in Paris?").await?;
        if fails {
            return Err(Error::msg("the process ends here").into());
        }
        let past = agent.run("Sum it up.").history(told.new_messages().to_vec()).await?;
        Ok::<_, RigError>(past.output)
    });
    flow.id("job").on(kitaru).await
}

/// How many requests the server has answered completely. None of them may repeat an answered one.
fn paid(server: &LlMock) -> usize {
    let requests = server.requests();
    let whole: Vec<&Value> =
        requests.iter().filter(|request| request["completed"] == true && request["fault"].is_null()).collect();
    let asked: BTreeSet<String> = whole.iter().map(|request| request["body"].to_string()).collect();
    assert_eq!(asked.len(), whole.len(), "{whole:#?}");
    whole.len()
}

#[tokio::test]
async fn turns_around_a_failure_send_no_request_twice() {
    for granular in [true, false] {
        let Some(server) = LlMock::start() else { return };
        let (kitaru, calls) = (store().await, Calls::default());
        let agent = KitaruRig::new(agent(&server, &calls)).granularity(granularity(granular));
        two_turns(&kitaru, &agent, true).await.unwrap_err();
        let (first, called) = (paid(&server), calls.take().len());
        assert_eq!((first, called), (2, 1), "a call of the tool, and what the server says of it");

        two_turns(&kitaru, &agent, false).await.unwrap();
        let second = paid(&server) - first;
        assert_eq!(second, calls.take().len() + 1, "only the second turn is asked for");
    }
}

/// What a listener shows: void pieces are taken back.
#[derive(Clone, Default)]
struct Hand(Arc<Mutex<(String, String, usize)>>);

impl Hand {
    fn listener(&self) -> impl Fn(RigEvent) + Send + Sync + 'static {
        let hand = self.0.clone();
        move |event| {
            let (text, sure, voids) = &mut *hand.lock().unwrap();
            match event {
                RigEvent::Said(StreamEvent::Text { text: piece, .. }) => text.push_str(&piece),
                RigEvent::Void => {
                    text.clear();
                    *voids += 1;
                }
                RigEvent::Usage(_) => *sure = std::mem::take(text),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn streams_that_a_real_server_breaks_at_any_chunk_are_void_and_asked_again() {
    let Some(server) = LlMock::start() else { return };
    let mut broken = 0;
    for kind in ["truncate", "disconnect", "malformed"] {
        for chunk in 1..=6 {
            server.script(json!([
                { "type": "stream_fault", "kind": kind, "after_chunks": chunk },
                { "type": "reply", "text": "Let me see: it is as it always was." },
            ]));
            let (kitaru, calls, hand) = (store().await, Calls::default(), Hand::default());
            let agent = KitaruRig::new(agent(&server, &calls)).model_retries(0);
            let ask = || agent.run(format!("How is it, {kind} {chunk}?")).on(&kitaru).on_event(hand.listener());
            let mut came = ask().await;
            if came.is_err() {
                broken += 1;
                came = ask().await;
            }
            let (_, sure, _) = &*hand.0.lock().unwrap();
            assert_eq!(*sure, came.unwrap().output, "{kind} at {chunk}");
            paid(&server);
        }
    }
    assert!(broken > 12, "only {broken} streams were broken");
}
