//! Turns as checkpoints, flows that a run opens by itself, the content of a key, and who paid.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[allow(dead_code, reason = "other tests use the rest")]
mod support;

use kitaru_core::{Error, Status, dynamic, testkit};
use kitaru_rig::{Granularity, KitaruRig, RigError};
use rig_agent::AgentBuilder;
use rig_core::message::AssistantContent;
use support::{Calls, Mind, TOLD, forecaster, granularity, herald, last_told, names, store, tool, weather};

#[tokio::test]
async fn turn_is_one_checkpoint_in_turn_mode_and_its_replay_calls_nothing() {
    let (kitaru, calls, mind) = (store().await, Calls::default(), forecaster());
    let agent = KitaruRig::new(herald(&mind, &calls)).granularity(Granularity::Turn);
    for fails in [true, false] {
        let agent = agent.clone();
        let flow = dynamic::flow("story").run(move || async move {
            let told = agent.run("How is the weather?").await?;
            let past = agent.run("And how was it?").history(told.new_messages().to_vec()).await?;
            assert_eq!((told.usage.requests, told.usage.tool_calls, past.usage.requests), (2, 3, 1));
            let paid = (told.paid().requests, told.paid().tool_calls, past.paid().requests);
            assert_eq!(paid, if fails { (2, 3, 1) } else { (0, 0, 0) });
            if fails { Err(Error::msg("the process ends here").into()) } else { Ok::<_, RigError>(past.output) }
        });
        let came = flow.id("job").on(&kitaru).await;
        assert_eq!(came.is_err(), fails, "{came:?}");
    }
    assert_eq!(names(&kitaru, "story", "job").await, ["herald", "herald_2"]);
    assert_eq!((mind.requests(), calls.take().len()), (3, 3));
}

#[test]
fn crash_in_turns_that_are_checkpoints_repeats_no_recorded_turn() {
    testkit::crash_everywhere(|kit| async move {
        let agent = KitaruRig::new(herald(&forecaster(), &Calls::default())).granularity(Granularity::Turn);
        kit.run(dynamic::flow("story").run(move || async move {
            let told = agent.run("How is the weather?").await?;
            let past = agent.run("And how was it?").history(told.new_messages().to_vec()).await?;
            Ok::<_, RigError>(format!("{}; {}", told.output, past.output))
        }))
        .await
        .map_err(|error| error.to_string())
    });
}

#[tokio::test]
async fn run_outside_a_flow_resumes_and_asks_again_once_it_has_answered() {
    for (granular, paid_again) in [(true, 1), (false, 2)] {
        let (kitaru, calls) = (store().await, Calls::default());
        let fails = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
        let mind = {
            let (fails, forecaster) = (fails.clone(), forecaster());
            Mind::new(move |request| {
                let ends =
                    last_told(request).contains("rain") && fails.swap(false, std::sync::atomic::Ordering::SeqCst);
                assert!(!ends, "the process ends here");
                forecaster.think(request)
            })
        };
        let agent = KitaruRig::new(herald(&mind, &calls)).granularity(granularity(granular));
        let ask = || agent.run("How is the weather?").on(&kitaru);
        ask().await.unwrap_err();
        assert_eq!(mind.requests(), 1, "the second request was not answered");

        let result = ask().await.unwrap();
        assert_eq!((result.output.as_str(), result.usage.requests, result.paid().requests), (TOLD, 2, paid_again));
        assert_eq!(result.replayed().requests, 2 - paid_again);
        assert_eq!(result.replayed().tokens.total_tokens, Some(12 * (2 - paid_again)));
        let executions = kitaru.executions().await.unwrap();
        assert_eq!((executions.len(), executions[0].flow(), executions[0].status()), (1, "herald", Status::Completed));

        let before = mind.requests();
        assert_eq!(ask().await.unwrap().paid().requests, 2, "answered, so it is asked again");
        assert_eq!(mind.requests() - before, 2);
    }
}

/// How many requests a second attempt of the same flow sends again after `change` to its question.
async fn asked_again(granular: bool, change: fn(Asked) -> Asked) -> usize {
    let kitaru = store().await;
    let mut asked_last = 0;
    for (fails, asked) in [(true, Asked::default()), (false, change(Asked::default()))] {
        let (mind, calls) = (forecaster(), Calls::default());
        let mut agent = AgentBuilder::named_model(asked.model, mind.model()).name("herald").preamble(asked.preamble);
        if let Some(temperature) = asked.temperature {
            agent = agent.temperature(temperature);
        }
        let mut agent = agent.default_max_turns(asked.max_turns).dynamic_tool(weather(&calls));
        if asked.more_tools {
            agent = agent.dynamic_tool(tool("news", |_| async { "none".to_owned() }));
        }
        let agent = KitaruRig::new(agent.build()).version(asked.version).granularity(granularity(granular));
        let flow = dynamic::flow("story").run(move || async move {
            agent.run(asked.prompt).await?;
            if fails { Err(Error::msg("the process ends here").into()) } else { Ok::<_, RigError>(()) }
        });
        assert_eq!(flow.id("job").on(&kitaru).await.is_err(), fails);
        asked_last = mind.requests();
    }
    asked_last
}

struct Asked {
    model: &'static str,
    preamble: &'static str,
    prompt: &'static str,
    version: &'static str,
    temperature: Option<f64>,
    max_turns: usize,
    more_tools: bool,
}

impl Default for Asked {
    fn default() -> Self {
        Asked {
            model: "small",
            preamble: "Tell the weather.",
            prompt: "How is the weather?",
            version: "1",
            temperature: None,
            max_turns: 5,
            more_tools: false,
        }
    }
}

#[tokio::test]
async fn changed_question_is_asked_again_and_an_unchanged_one_is_not() {
    let changes: [fn(Asked) -> Asked; 6] = [
        |asked| Asked { model: "large", ..asked },
        |asked| Asked { preamble: "Tell it in verse.", ..asked },
        |asked| Asked { prompt: "How is the weather there?", ..asked },
        |asked| Asked { version: "2", ..asked },
        |asked| Asked { temperature: Some(0.5), ..asked },
        |asked| Asked { more_tools: true, ..asked },
    ];
    for granular in [true, false] {
        assert_eq!(asked_again(granular, |asked| asked).await, 0);
        for (nth, change) in changes.into_iter().enumerate() {
            assert_eq!(asked_again(granular, change).await, 2, "granular: {granular}, change {nth}");
        }
    }
    // The limit on a turn's requests is not a part of a request.
    assert_eq!(asked_again(true, |asked| Asked { max_turns: 6, ..asked }).await, 0);
}

#[tokio::test]
async fn tool_record_of_one_agent_does_not_answer_another_agents_tool() {
    let (kitaru, calls, mind) = (store().await, Calls::default(), forecaster());
    for name in ["ada", "bob"] {
        let agent = KitaruRig::new(herald(&mind, &calls)).name(name);
        let flow = dynamic::flow("story").run(move || async move {
            agent.run("How is the weather?").await?;
            Err::<(), RigError>(Error::msg("the process ends here").into())
        });
        flow.id("job").on(&kitaru).await.unwrap_err();
        assert_eq!(calls.take().len(), 3, "{name}");
    }
}

#[tokio::test]
async fn agent_in_a_checkpoints_body_is_part_of_that_body() {
    let (kitaru, calls, mind) = (store().await, Calls::default(), forecaster());
    let agent = KitaruRig::new(herald(&mind, &calls));
    let flow = dynamic::flow("story").run(move || async move {
        dynamic::checkpoint("asks")
            .run(|| async { Ok::<_, RigError>(agent.run("How is the weather?").await?.output) })
            .await
    });
    assert_eq!(flow.id("job").on(&kitaru).await.unwrap(), TOLD);
    assert_eq!(names(&kitaru, "story", "job").await, ["asks"]);
}

#[tokio::test]
async fn journal_of_a_growing_conversation_grows_linearly() {
    let kitaru = store().await;
    let words = "a word or two ".repeat(100);
    let mind = Mind::new(move |_| vec![AssistantContent::text(&words)]);
    let length = async |granular, turns| {
        let agent =
            KitaruRig::new(AgentBuilder::new(mind.model()).name("talker").build()).granularity(granularity(granular));
        let flow = dynamic::flow("talk").run(move || async move {
            let mut history = Vec::new();
            for _ in 0..turns {
                let said = agent.run("Continue.").history(history.clone()).await?;
                history.extend(said.new_messages().iter().cloned());
            }
            Ok::<_, RigError>(())
        });
        flow.id(format!("{granular} {turns}")).on(&kitaru).await.unwrap();
        let execution = kitaru.execution(("talk", &format!("{granular} {turns}"))).await.unwrap().unwrap();
        serde_json::to_string(&kitaru.export(&execution).await.unwrap()).unwrap().len()
    };
    for granular in [true, false] {
        let (short, long) = (length(granular, 10).await, length(granular, 40).await);
        assert!(long < short * 9 / 2, "granular: {granular}, {short} bytes for 10 turns, {long} for 40");
    }
}
