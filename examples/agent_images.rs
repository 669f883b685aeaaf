//! An agent that looks at pictures: one of its prompt, which is a file, and one that a tool takes.
//!
//! `cargo run --example agent_images` asks it twice, because the first attempt fails after the last request. The second one
//! reads no file, takes no picture and asks no model: everything is in the records, each picture once. With `OPENAI_API_KEY`
//! (and `OPENAI_BASE_URL`, `OPENAI_MODEL`) a real model looks, otherwise one that counts bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kitaru::agent::{
    Agent, FunctionModel, KitaruAgent, Media, Model, ModelResponse, OpenAi, Prompt, RunError, ToolError, ToolOutput,
};
use kitaru::{Error, Kitaru, flow, tool};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sea.png");

/// Takes a picture of the harbour.
#[tool(read_only)]
async fn camera() -> Result<ToolOutput, ToolError> {
    eprintln!("(the camera takes a picture)");
    let picture = tokio::fs::read(FILE).await?;
    Ok(ToolOutput::text("the harbour, now").with(Media::new("image/png", picture)))
}

/// Says how much it has seen.
fn counting() -> FunctionModel {
    FunctionModel::new("counting", |request| {
        let pictures: Vec<_> = request.attachments().map(|part| part.media.bytes().unwrap_or_default().len()).collect();
        eprintln!("(the model is asked, and sees {} pictures)", pictures.len());
        Ok(match request.tool_returns().last() {
            None => ModelResponse::tool_call("call_1", "camera", "{}"),
            Some(_) => ModelResponse::text(format!("I have seen pictures of {pictures:?} bytes.")),
        })
    })
}

fn watchman() -> Result<KitaruAgent, RunError> {
    let model: Arc<dyn Model> = match OpenAi::from_env() {
        Ok(model) => Arc::new(model),
        Err(_) => Arc::new(counting()),
    };
    let agent = Agent::builder(model).name("watchman").instructions("You watch the sea.").tool(camera()).build()?;
    Ok(KitaruAgent::new(agent))
}

/// Whether the first attempt has failed.
static HAS_FAILED: AtomicBool = AtomicBool::new(false);

#[flow]
async fn watch() -> Result<String, RunError> {
    let prompt = Prompt::from("This is the sea as it should be:").with(Media::file(FILE));
    let result = watchman()?.run(prompt.and("Compare it with a picture of the harbour.")).await?;
    if !HAS_FAILED.swap(true, Ordering::Relaxed) {
        return Err(Error::msg("the power fails").into());
    }
    Ok(result.output)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let kitaru = Kitaru::builder().in_memory().open().await?;
    for attempt in 1..=2 {
        println!("Attempt {attempt}");
        match watch().id("night").on(&kitaru).await {
            Ok(said) => println!("{said}\n"),
            Err(error) => println!("It ended: {error}\n"),
        }
    }
    let execution = kitaru.execution(("watch", "night")).await?.expect("it has just been run");
    for record in execution.records() {
        let size = record.value().and_then(|value| value.json().map(|json| json.to_string().len())).unwrap_or_default();
        println!("{:30} {size:6} bytes", record.name());
    }
    kitaru.close().await
}
