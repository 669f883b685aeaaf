//! The events of a run, on the first attempt and on every other one.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[allow(dead_code, reason = "other tests use the rest")]
mod support;

use kitaru_core::{Clock, Error, Kitaru, dynamic};
use kitaru_rig::{KitaruRig, RigError, RigEvent};
use rig_core::message::AssistantContent;
use rig_core::streaming::StreamEvent;
use support::{Calls, TOLD, forecaster, granularity, herald, names, store};

/// An event as these tests compare it.
fn line(event: RigEvent) -> Option<String> {
    match event {
        RigEvent::Said(StreamEvent::Text { text, .. }) => Some(text),
        RigEvent::Said(StreamEvent::End { content: AssistantContent::ToolCall(call), .. }) => {
            Some(format!("[{}]", call.function.name))
        }
        RigEvent::Void => Some("<void>".to_owned()),
        RigEvent::Usage(usage) => Some(format!("<{} requests, {} calls>", usage.requests, usage.tool_calls)),
        RigEvent::Tool { name, result, .. } => Some(format!("({name}: {})", result.output().render())),
        _ => None,
    }
}

/// The events of a turn. Consecutive pieces of text are joined.
#[derive(Clone, Default)]
struct Ear(Calls);

impl Ear {
    fn heard(&self) -> String {
        self.0.take().concat()
    }

    fn listener(&self) -> impl Fn(RigEvent) + Send + Sync + 'static {
        let ear = self.clone();
        move |event| {
            if let Some(line) = line(event) {
                ear.0.note(line);
            }
        }
    }
}

async fn one_turn(kitaru: &Kitaru, agent: &KitaruRig, ear: Option<&Ear>, fails: bool) -> Result<String, RigError> {
    let (agent, listener) = (agent.clone(), ear.map(Ear::listener));
    let flow = dynamic::flow("story").run(move || async move {
        let mut run = agent.run("How is the weather?");
        if let Some(listener) = listener {
            run = run.on_event(listener);
        }
        let told = run.await?.output;
        if fails { Err(Error::msg("the process ends here").into()) } else { Ok::<_, RigError>(told) }
    });
    flow.id("job").on(kitaru).await
}

const HEARD: &str = "[weather][weather][weather]<1 requests, 0 calls>\
    (weather: rain in Brest)(weather: rain in Kyoto)(weather: rain in Lima)\
    rain in Brest, rain in Kyoto, rain in Lima<2 requests, 3 calls>";

#[tokio::test]
async fn completed_stream_sends_its_events_again_from_its_record() {
    for granular in [true, false] {
        let (kitaru, calls, mind, ear) = (store().await, Calls::default(), forecaster(), Ear::default());
        let agent = KitaruRig::new(herald(&mind, &calls)).granularity(granularity(granular));
        one_turn(&kitaru, &agent, Some(&ear), true).await.unwrap_err();
        assert_eq!(ear.heard(), HEARD);

        assert_eq!(one_turn(&kitaru, &agent, Some(&ear), false).await.unwrap(), TOLD);
        assert_eq!((mind.requests(), calls.take().len()), (2, 3), "nothing is paid for again");
        // A turn's record contains the model's answer and the whole cost.
        let again =
            if granular { HEARD.to_owned() } else { format!("[weather][weather][weather]{TOLD}<2 requests, 3 calls>") };
        assert_eq!(ear.heard(), again);
    }
}

#[tokio::test]
async fn streamed_and_plain_runs_answer_each_others_records() {
    for granular in [true, false] {
        for streamed_first in [true, false] {
            let (kitaru, calls, mind, ear) = (store().await, Calls::default(), forecaster(), Ear::default());
            let agent = KitaruRig::new(herald(&mind, &calls)).granularity(granularity(granular));
            one_turn(&kitaru, &agent, streamed_first.then_some(&ear), true).await.unwrap_err();
            one_turn(&kitaru, &agent, (!streamed_first).then_some(&ear), false).await.unwrap();
            assert_eq!((mind.requests(), calls.take().len()), (2, 3));
            assert!(ear.heard().contains(TOLD));
        }
    }
}

#[tokio::test]
async fn stream_that_breaks_off_is_void_and_retried_and_leaves_no_record() {
    let clock = Clock::manual();
    let kitaru = Kitaru::builder().in_memory().clock(clock.clone()).open().await.unwrap();
    let (calls, mind, ear) = (Calls::default(), forecaster(), Ear::default());
    mind.cut(1);
    let agent = KitaruRig::new(herald(&mind, &calls));
    let told = advancing(&clock, one_turn(&kitaru, &agent, Some(&ear), false)).await.unwrap();
    assert_eq!(told, TOLD);
    assert_eq!(mind.requests(), 3);
    assert_eq!(ear.heard(), format!("[weather]<void>{HEARD}"));
    let recorded = names(&kitaru, "story", "job").await;
    assert_eq!(recorded.iter().filter(|name| name.contains("model_request")).count(), 2, "{recorded:?}");
}

#[tokio::test]
async fn stream_that_keeps_breaking_off_ends_the_run_and_the_next_run_asks_again() {
    let (kitaru, calls, mind, ear) = (store().await, Calls::default(), forecaster(), Ear::default());
    mind.cut(2);
    let agent = KitaruRig::new(herald(&mind, &calls)).model_retries(0);
    let error = one_turn(&kitaru, &agent, Some(&ear), false).await.unwrap_err();
    assert!(matches!(&error, RigError::Report(report) if report.retryable), "{error:?}");
    assert_eq!(ear.heard(), "[weather][weather]<void>");
    assert_eq!(one_turn(&kitaru, &agent, Some(&ear), false).await.unwrap(), TOLD);
    assert_eq!(ear.heard(), HEARD);
    assert_eq!((mind.requests(), calls.take().len()), (3, 3));
}

/// Advances the clock until the future is ready.
async fn advancing<F: Future>(clock: &Clock, future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    loop {
        tokio::select! {
            biased;
            came = &mut future => return came,
            () = tokio::task::yield_now() => clock.advance(std::time::Duration::from_millis(100)),
        }
    }
}
