//! Media in durable runs: what is recorded, and how often.
#![cfg(feature = "agent")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use kitaru::agent::{
    Agent, FunctionModel, FunctionTool, KitaruAgent, Media, ModelResponse, Prompt, RunError, ToolDefinition, ToolOutput,
};
use kitaru::{Error, Execution, Kitaru, dynamic, tool};
use serde_json::json;

/// What the base64 of [`content`] contains.
const MARK: &str = "AQEBAQEBAQEB";

fn content() -> Vec<u8> {
    vec![1; 600]
}

fn picture() -> Media {
    Media::new("image/png", content())
}

async fn store() -> Kitaru {
    Kitaru::builder().in_memory().open().await.unwrap()
}

/// A model that calls `look` and `zoom` one after the other, and then says how many bytes it has seen.
fn model() -> FunctionModel {
    FunctionModel::new("mock", |request| {
        let seen: usize = request.attachments().map(|part| part.media.bytes().unwrap_or_default().len()).sum();
        Ok(match request.tool_returns().len() {
            0 if !request.tools.is_empty() => ModelResponse::tool_call("c1", "look", "{}"),
            1 => ModelResponse::tool_call("c2", "zoom", "{}"),
            _ => ModelResponse::text(format!("{seen} bytes")),
        })
    })
}

fn looker(model: FunctionModel) -> Agent {
    let tool = |name: &str| {
        FunctionTool::new(ToolDefinition::new(name, ""), |_| async {
            Ok(ToolOutput::text("seen").with(Media::new("image/png", vec![1; 601])))
        })
    };
    Agent::builder(model).name("looker").tool(tool("look")).tool(tool("zoom")).build().unwrap()
}

/// How many times a content of ones is in an execution: in its input, its records and its result.
fn times(execution: &Execution) -> usize {
    let values = execution.records().iter().filter_map(|record| record.value());
    let values = values.chain(execution.value()).chain([execution.input_value()]);
    let texts = values.map(|value| value.json().map(ToString::to_string).unwrap_or_default());
    texts.map(|text| usize::from(text.contains(MARK)) * text.matches("\"data\"").count()).sum()
}

#[tokio::test]
async fn content_of_media_is_recorded_once_however_many_requests_have_it() {
    for granular in [true, false] {
        let kitaru = store().await;
        let agent = KitaruAgent::new(looker(model())).granular_checkpoints(granular);
        let flow = dynamic::flow("story").run(move || async move {
            let result = agent.run(Prompt::from("Look.").with(picture())).await?;
            assert_eq!(result.new_messages.media().map(|media| media.bytes().unwrap().len()).sum::<usize>(), 1802);
            Ok::<_, RunError>(result.output)
        });
        assert_eq!(flow.id("job").on(&kitaru).await.unwrap(), "1802 bytes");
        let execution = kitaru.execution(("story", "job")).await.unwrap().unwrap();
        // Those of the two tools. The flow has the prompt's.
        assert_eq!(times(&execution), 2, "granular: {granular}");
    }
}

#[tokio::test]
async fn run_outside_a_flow_records_the_media_of_its_tools_and_not_of_its_prompt() {
    let kitaru = store().await;
    let agent = KitaruAgent::new(looker(model()));
    let prompt = || Prompt::from("Look.").with(picture());
    let result = agent.run(prompt()).id("job").on(&kitaru).await.unwrap();
    assert_eq!(result.output, "1802 bytes");
    let bytes = |result: &kitaru::agent::RunResult| -> Vec<usize> {
        result.new_messages.media().map(|media| media.bytes().unwrap_or_default().len()).collect()
    };
    assert_eq!(bytes(&result), [600, 601, 601]);
    let execution = kitaru.execution(("looker", "job")).await.unwrap().unwrap();
    // Of each tool in its record, and in the result.
    assert_eq!(times(&execution), 4);
}

#[tokio::test]
async fn same_media_ask_nothing_again_and_other_media_do() {
    for granular in [true, false] {
        let kitaru = store().await;
        let asked = model();
        let agent = KitaruAgent::new(looker(asked.clone())).granular_checkpoints(granular);
        for (media, requests) in
            [(picture(), 3), (picture(), 3), (Media::new("image/png", vec![2; 600]), 6), (picture().named("x"), 9)]
        {
            let agent = agent.clone();
            let flow = dynamic::flow("story").run(move || async move {
                agent.run(Prompt::from("Look.").with(media)).await?;
                Err::<(), RunError>(Error::msg("the process is to end here").into())
            });
            flow.id("job").on(&kitaru).await.unwrap_err();
            assert_eq!(asked.requests(), requests, "granular: {granular}");
        }
    }
}

/// A file with `content`, which is deleted at the end.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("kitaru-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    fn media(&self) -> Media {
        Media::file(self.0.to_str().unwrap())
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn file_of_a_prompt_is_read_once_and_its_content_stays_though_the_file_changes() {
    for granular in [true, false] {
        let file = TempFile::new(&format!("once-{granular}.png"), &content());
        let (kitaru, asked) = (store().await, model());
        let agent = KitaruAgent::new(looker(asked.clone())).granular_checkpoints(granular);
        for _ in 0..2 {
            let (agent, media) = (agent.clone(), file.media());
            let flow = dynamic::flow("story").run(move || async move {
                let result = agent.run(Prompt::from("Look.").with(media.clone()).with(media)).await?;
                assert_eq!(result.output, "2402 bytes");
                let read = result.new_messages.media().next().unwrap().bytes().unwrap().len();
                assert_eq!(read, 600, "the result has what was read");
                Err::<(), RunError>(Error::msg("the process is to end here").into())
            });
            let error = flow.id("job").on(&kitaru).await.unwrap_err();
            assert!(error.to_string().contains("is to end here"), "{error}");
            std::fs::write(&file.0, b"another").unwrap();
        }
        assert_eq!(asked.requests(), 3, "granular: {granular}");
        let execution = kitaru.execution(("story", "job")).await.unwrap().unwrap();
        let read = execution.records().iter().filter(|record| record.checkpoint() == "looker_content").count();
        // The file twice in the prompt is one record.
        assert_eq!((read, times(&execution)), (1, 3), "granular: {granular}");
    }
}

#[tokio::test]
async fn run_that_continues_a_broken_one_knows_a_file_by_its_content() {
    use kitaru::agent::{ModelError, ModelErrorKind};
    for granular in [true, false] {
        let file = TempFile::new(&format!("broken-{granular}.png"), &content());
        let looks = model();
        let rejected = std::sync::Arc::new(AtomicU32::new(0));
        let (inner, count) = (looks.clone(), rejected.clone());
        let model = FunctionModel::from_async("mock", move |request| {
            let (inner, count) = (inner.clone(), count.clone());
            async move {
                // The second request is rejected once.
                if request.tool_returns().len() == 1 && count.fetch_add(1, Ordering::Relaxed) == 0 {
                    return Err(ModelError::new(ModelErrorKind::Rejected, "no"));
                }
                kitaru::agent::Model::request(&inner, &request).await
            }
        });
        let agent = KitaruAgent::new(looker(model)).granular_checkpoints(granular);
        let media = file.media();
        let flow = dynamic::flow("story").run(move || async move {
            let prompt = || Prompt::from("Look.").with(media.clone());
            let history = || {
                kitaru::agent::History::from(vec![kitaru::agent::Message::Request(kitaru::agent::RequestMessage::new(
                    vec![kitaru::agent::RequestPart::Attachment(kitaru::agent::Attachment::new(media.clone()))],
                ))])
            };
            agent.run(prompt()).history(history()).await.unwrap_err();
            Ok::<_, RunError>(agent.run(prompt()).history(history()).await?.output)
        });
        let kitaru = store().await;
        // The file in the history, the same in the prompt, and both of the tools.
        assert_eq!(flow.id("job").on(&kitaru).await.unwrap(), "2402 bytes");
        assert_eq!(looks.requests(), 3, "the first request is not asked again; granular: {granular}");
    }
}

#[tokio::test]
async fn missing_file_ends_the_run_before_a_request_and_the_next_attempt_reads_again() {
    let kitaru = store().await;
    let asked = model();
    let agent = KitaruAgent::new(looker(asked.clone()));
    let file = TempFile::new("late.png", &content());
    let media = file.media();
    drop(file);
    let run = |media: Media| {
        let agent = agent.clone();
        dynamic::flow("story")
            .run(move || async move { Ok::<_, RunError>(agent.run(Prompt::from("?").with(media)).await?.output) })
    };
    let error = run(media.clone()).id("job").on(&kitaru).await.unwrap_err();
    assert!(error.to_string().contains("cannot read the file") && asked.requests() == 0, "{error}");
    let _file = TempFile::new("late.png", &content());
    assert_eq!(run(media).id("job").on(&kitaru).await.unwrap(), "1802 bytes");
}

static TAKEN: AtomicU32 = AtomicU32::new(0);

/// Takes a picture.
#[tool]
async fn photo() -> Media {
    TAKEN.fetch_add(1, Ordering::Relaxed);
    picture()
}

/// Takes a picture, and says of what.
#[tool]
async fn scene() -> Result<ToolOutput, kitaru::agent::ToolError> {
    Ok(ToolOutput::text("the harbour").with(picture()))
}

#[tokio::test]
async fn tool_that_returns_media_shows_them_to_the_model_after_a_replay_too() {
    let model = FunctionModel::new("mock", |request| {
        let seen: Vec<_> = request.attachments().map(|part| part.call.as_ref().unwrap().tool.clone()).collect();
        let said: Vec<_> = request.tool_returns().iter().map(|given| given.content.clone()).collect();
        Ok(match said.len() {
            0 => ModelResponse::tool_call("c1", "photo", "{}"),
            1 => ModelResponse::tool_call("c2", "scene", "{}"),
            _ => ModelResponse::text(json!([seen, said]).to_string()),
        })
    });
    let kitaru = store().await;
    let agent = KitaruAgent::new(Agent::builder(model).name("guide").tool(photo()).tool(scene()).build().unwrap());
    for _ in 0..2 {
        let agent = agent.clone();
        let flow = dynamic::flow("story").run(move || async move {
            let result = agent.run("Show me.").await?;
            assert_eq!(result.output, r#"[["photo","scene"],["","the harbour"]]"#);
            Err::<(), RunError>(Error::msg("the process is to end here").into())
        });
        let error = flow.id("job").on(&kitaru).await.unwrap_err();
        assert!(error.to_string().contains("is to end here"), "{error}");
    }
    assert_eq!(TAKEN.load(Ordering::Relaxed), 1);
}
