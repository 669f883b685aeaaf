//! The durable rig agent: the names and keys of its checkpoints, its payments, its replays.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[allow(dead_code, reason = "other tests use the rest")]
mod support;

use kitaru_core::{Error, Kitaru, dynamic, testkit};
use kitaru_rig::{KitaruRig, RigError};
use support::{CITIES, Calls, TOLD, forecaster, herald, names, store};

/// A flow with one turn. With `fails` it then fails, so that the next attempt replays it.
async fn one_turn(kitaru: &Kitaru, agent: &KitaruRig, fails: bool) -> Result<String, RigError> {
    let agent = agent.clone();
    let flow = dynamic::flow("story").run(move || async move {
        let told = agent.run("How is the weather?").configure(|runner| runner.tool_concurrency(3)).await?.output;
        if fails { Err(Error::msg("the process ends here").into()) } else { Ok::<_, RigError>(told) }
    });
    flow.id("job").on(kitaru).await
}

#[tokio::test]
async fn each_model_request_and_each_tool_call_is_a_checkpoint_and_is_paid_for_once() {
    let (kitaru, calls, mind) = (store().await, Calls::default(), forecaster());
    let agent = KitaruRig::new(herald(&mind, &calls));
    one_turn(&kitaru, &agent, true).await.unwrap_err();
    let mut recorded = names(&kitaru, "story", "job").await;
    recorded.sort();
    assert_eq!(
        recorded,
        ["herald_model_request", "herald_model_request_2", "weather_tool", "weather_tool_2", "weather_tool_3"]
    );
    assert_eq!((mind.requests(), calls.take().len()), (2, 3));

    assert_eq!(one_turn(&kitaru, &agent, false).await.unwrap(), TOLD);
    assert_eq!((mind.requests(), calls.take().len()), (2, 0), "the second attempt pays for nothing");
}

#[tokio::test]
async fn concurrent_tool_calls_keep_their_own_arguments_and_records() {
    let (kitaru, calls, mind) = (store().await, Calls::default(), forecaster());
    let agent = KitaruRig::new(herald(&mind, &calls));
    assert_eq!(one_turn(&kitaru, &agent, false).await.unwrap(), TOLD);
    assert_eq!(calls.take(), CITIES);
    let execution = kitaru.execution(("story", "job")).await.unwrap().unwrap();
    for (name, city) in [("weather_tool", "Brest"), ("weather_tool_2", "Kyoto"), ("weather_tool_3", "Lima")] {
        let record = execution.records().iter().find(|record| record.name() == name).unwrap();
        let (argument, value) = record.arguments().next().unwrap();
        assert_eq!(argument, "arguments");
        assert!(value.contains(city) && record.preview().contains(city), "{name}: {value} {}", record.preview());
    }
}

#[test]
fn crash_in_turns_with_concurrent_tools_repeats_no_recorded_call() {
    let report = testkit::crash_report(|kit| async move {
        let (mind, calls) = (forecaster(), Calls::default());
        let agent = KitaruRig::new(herald(&mind, &calls));
        kit.run(dynamic::flow("story").run(move || async move {
            let told = agent.run("How is the weather?").configure(|runner| runner.tool_concurrency(3)).await?;
            // This one is streamed.
            let past = agent.run("And how was it?").history(told.new_messages().to_vec()).on_event(|_| {}).await?;
            Ok::<_, RigError>(format!("{}; {}", told.output, past.output))
        }))
        .await
        .map_err(|error| error.to_string())
    });
    assert!(report.is_clean(), "{report}");
    assert!(report.deaths() > 10, "{} deaths", report.deaths());
}

#[test]
fn crash_in_concurrent_runs_of_one_agent_repeats_no_recorded_call() {
    testkit::crash_everywhere(|kit| async move {
        let agent = KitaruRig::new(herald(&forecaster(), &Calls::default()));
        kit.run(dynamic::flow("story").run(move || async move {
            // Both call the same tools with the same arguments.
            let ask = |prompt: &str| agent.run(prompt).configure(|runner| runner.tool_concurrency(2));
            let (one, other) = tokio::join!(ask("How is the weather?"), ask("And how is the weather?"));
            Ok::<_, RigError>(format!("{}; {}", one?.output, other?.output))
        }))
        .await
        .map_err(|error| error.to_string())
    });
}
